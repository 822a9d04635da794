"""What this program writes and reads as YAML is what the library writes and reads, though it remembers the kinds of scalars."""

import copy
from pathlib import Path

import pytest
import yaml

from sslcli.files import Dumper, Loader, load_yaml

AWKWARD = [
    None, True, False, 0, -3, 1.5, 1e-07, float("inf"), "", " ", "null", "~", "yes", "No", "on", "1", "1.0", "1e-3", "0x1f",
    "0o7", "1_000", "12:30", "2026-11-27", "2026-11-27T10:00:00.000000Z", "=", "<<", "-", "- a", "a: b", "#a", "a #b", "'", '"',
    "%a", "@a", "é", "\u2028", "two\nlines", "x" * 300, "{}", "[1]", [], {}, [1, "1"], {"1": 1}, {"a": [{"b": None}]},
]  # fmt: skip


@pytest.mark.parametrize("value", AWKWARD, ids=repr)
def test_a_value_is_written_as_the_library_writes_it_and_comes_back(value: object, tmp_path: Path) -> None:
    for _ in range(2):  # the second time its kind is known
        content = {"name": value, "list": [copy.deepcopy(value)]}
        text = yaml.dump(content, Dumper=Dumper, sort_keys=False, allow_unicode=True, width=120)
        assert text == yaml.dump(content, Dumper=yaml.CSafeDumper, sort_keys=False, allow_unicode=True, width=120)
        (tmp_path / "a.yaml").write_text(text, encoding="utf-8")
        assert load_yaml(tmp_path / "a.yaml") == content
        assert list(map(type, load_yaml(tmp_path / "a.yaml").values())) == [type(value), list]


@pytest.mark.parametrize("text", ["0x1f", "1_000", "on", "2026-11-27", "~", "1e-3", ".5", "'1'", '"on"', "!!int '7'"])
def test_a_scalar_is_read_as_the_library_reads_it_plain_and_quoted(text: str) -> None:
    whole = f"[{text}, '{text.strip(chr(39))}', {text}]" if "!" not in text else f"[{text}, {text}]"
    assert yaml.load(whole, Loader) == yaml.safe_load(whole)


def test_a_list_that_occurs_twice_is_written_twice() -> None:
    shared = [1.0, 2.0]
    assert yaml.dump({"a": shared, "b": shared}, Dumper=Dumper) == "a:\n- 1.0\n- 2.0\nb:\n- 1.0\n- 2.0\n"
