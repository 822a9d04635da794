"""Numbers and times in words."""

import pytest

from sslcli.console.progress import about, duration


@pytest.mark.parametrize(
    ("number", "words"), [(0.331, "0.33"), (1.06, "1.1"), (9.96, "10"), (24.6, "25"), (163.2, "163"), (4321.0, "4,321")]
)
def test_a_number_has_two_digits_or_all_before_the_point_and_no_power_of_ten(number: float, words: str) -> None:
    assert about(number) == words


@pytest.mark.parametrize(("seconds", "words"), [(41.7, "42 s"), (425, "7 min 05 s"), (12_000, "3 h 20 min")])
def test_seconds_are_in_words(seconds: float, words: str) -> None:
    assert duration(seconds) == words
