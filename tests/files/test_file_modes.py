"""Every new file has the mode that the person's umask leaves it; a file that is replaced keeps its own."""

import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from sslcli.files import write_text
from sslcli.paths import relative
from tests.conftest import TINY, Cli
from tests.data.test_folder import in_cache, pictures  # noqa: F401  (a fixture)

LINES = (
    f"pretrain {TINY} --max-steps 1 --keep-every 1",
    "probe --epochs 1 --batch-size 32",
    "probe --init scratch --protocol knn",
    "plots",
    "views --dataset shapes",
    "predict --n 4",
    "embed",
    "export latest --format safetensors --out out",
    "runs note latest words",
    "data check --dataset shapes",
)


@pytest.fixture(params=[0o077, 0o002], ids=["private", "shared with a group"])
def umask(request: pytest.FixtureRequest) -> Iterator[int]:
    before = os.umask(request.param)
    yield request.param
    os.umask(before)


def wrong(folder: Path, umask: int) -> dict[str, str]:
    """Files and folders below one whose mode is not what the umask leaves."""
    modes = {path: stat.S_IMODE(path.stat().st_mode) for path in folder.rglob("*")}
    wanted = {path: (0o777 if path.is_dir() else 0o666) & ~umask for path in modes}
    return {str(path.relative_to(folder)): oct(mode) for path, mode in modes.items() if mode != wanted[path]}


def test_a_new_file_heeds_the_umask_and_one_that_is_replaced_keeps_its_mode(tmp_path: Path, umask: int) -> None:
    path = tmp_path / "new" / "file"
    write_text(path, "one")
    assert wrong(tmp_path, umask) == {}
    for mode in (0o600, 0o640, 0o664, 0o444):
        path.chmod(mode)
        write_text(path, "two")
        assert stat.S_IMODE(path.stat().st_mode) == mode
    assert path.read_text() == "two"


@pytest.mark.usefixtures("rough_pictures")
def test_everything_that_commands_write_heeds_the_umask(ssl: Cli, tmp_path: Path, umask: int) -> None:
    for line in LINES:
        result = ssl(line)
        assert result.code == 0, result.err
    assert len(list(tmp_path.rglob("*"))) > 30
    assert wrong(tmp_path, umask) == {}


def test_a_cache_of_pictures_heeds_the_umask(pictures: Path, tmp_path: Path, umask: int) -> None:  # noqa: F811
    assert in_cache(pictures, tmp_path / "cache").problems == [""] * 60
    assert wrong(tmp_path / "cache", umask) == {}


def test_a_link_stays_and_the_file_behind_it_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    link, behind = tmp_path / "page.html", tmp_path / "elsewhere" / "page.html"
    link.symlink_to(behind)
    for text in ("first", "second"):
        write_text(link, text)
        assert (link.is_symlink(), behind.read_text()) == (True, text)
    assert [path.name for path in behind.parent.iterdir()] == ["page.html"]


def test_a_file_is_replaced_where_modes_cannot_be_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    write_text(tmp_path / "file", "first")
    monkeypatch.setattr("sslcli.files.os.chmod", refuse)
    write_text(tmp_path / "file", "second")
    assert (tmp_path / "file").read_text() == "second"


def test_a_path_on_another_drive_is_shown_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    assert relative("/a/b/c", "/a") == os.path.join("b", "c")

    def other_drive(*_: object) -> str:
        raise ValueError("path is on mount 'D:', start on mount 'C:'")

    monkeypatch.setattr("sslcli.paths.os.path.relpath", other_drive)
    assert relative("/a/b") == os.path.abspath("/a/b")
