"""What the messages of errors share: the line that installs an extra."""

import shlex
from pathlib import Path

import pytest

from sslcli import errors
from sslcli.errors import install_line

ROOT = Path(__file__).parents[2]


def test_in_a_clone_an_extra_is_installed_from_the_clone_wherever_the_person_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    *words, where = shlex.split(install_line("export"))
    assert words == ["pip", "install", "-e"]
    assert where.endswith("[export]")
    assert (tmp_path / where.removesuffix("[export]")).resolve() == ROOT
    monkeypatch.chdir(ROOT)
    assert install_line("timm") == "pip install -e '.[timm]'"


def test_an_installed_program_takes_an_extra_from_the_package_index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(errors, "__file__", str(tmp_path / "site-packages" / "sslcli" / "errors.py"))
    assert install_line("export") == "pip install 'sslcli[export]'"


def test_the_way_to_install_an_extra_stands_in_one_place() -> None:
    sources = {path.name: path.read_text(encoding="utf-8") for path in (ROOT / "sslcli").rglob("*.py")}
    assert [name for name, text in sources.items() if "sslcli[" in text] == ["errors.py"]
