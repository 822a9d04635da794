"""Numbers and times in words."""

import pytest

from sslcli.console.messages import DRAWN
from sslcli.console.progress import ShareDone, about, duration
from sslcli.errors import StateError
from sslcli.exit_codes import errors_to_exit_codes


@pytest.mark.parametrize(
    ("number", "words"), [(0.331, "0.33"), (1.06, "1.1"), (9.96, "10"), (24.6, "25"), (163.2, "163"), (4321.0, "4,321")]
)
def test_a_number_has_two_digits_or_all_before_the_point_and_no_power_of_ten(number: float, words: str) -> None:
    assert about(number) == words


@pytest.mark.parametrize(("seconds", "words"), [(41.7, "42 s"), (425, "7 min 05 s"), (12_000, "3 h 20 min")])
def test_seconds_are_in_words(seconds: float, words: str) -> None:
    assert duration(seconds) == words


def test_an_error_ends_a_bar_that_is_still_drawn_so_that_the_cursor_comes_back(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    share = ShareDone("decoding pictures")

    @errors_to_exit_codes(debug=False)
    def decode() -> None:
        share(0.5)
        assert len(DRAWN) == 1
        raise StateError("the disk is full")

    with pytest.raises(SystemExit):
        decode()
    assert not DRAWN
    assert "ssl: the disk is full" in capsys.readouterr().err


def test_a_bar_that_came_to_its_end_is_drawn_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    share = ShareDone("decoding pictures")
    for done in (0.5, 1.0):
        share(done)
    assert not DRAWN
