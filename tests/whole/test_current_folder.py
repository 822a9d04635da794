"""Files in the current folder that are called as modules are take no module's place."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

PATIENCE = 600  # seconds
SHADOWS = ("ssl", "random", "typing", "yaml", "torch", "numpy", "typer", "socket", "pickle", "signal", "platform", "__future__")


def shadow(folder: Path, names: tuple[str, ...] = SHADOWS) -> None:
    for name in names:
        (folder / f"{name}.py").write_text(f"raise SystemExit('{name}.py of the current folder was imported')")


def module(folder: Path, *line: str) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if name not in ("PYTHONSAFEPATH", "PYTHONPATH")}
    return subprocess.run(
        [sys.executable, *line], cwd=folder, env=environment, capture_output=True, text=True, timeout=PATIENCE, check=False
    )  # fmt: skip


@pytest.mark.parametrize("name", SHADOWS)
def test_python_m_sslcli_works_beside_a_file_called_as_a_module_is(tmp_path: Path, name: str) -> None:
    shadow(tmp_path, (name,))
    done = module(tmp_path, "-m", "sslcli", "runs", "list")
    assert (done.returncode, "no runs in" in done.stderr) == (0, True), done.stderr


def test_a_package_that_lies_in_the_current_folder_alone_is_found(tmp_path: Path) -> None:
    (tmp_path / "sslcli").symlink_to(Path(__file__).parents[2] / "sslcli")
    done = module(tmp_path, "-m", "sslcli", "--version")
    assert (done.returncode, done.stdout.startswith("ssl ")) == (0, True), done.stderr


def make_pictures(folder: Path) -> None:
    """As many as several processes decode."""
    for number in range(300):
        name = folder / "ab"[number % 2] / f"{number}.png"
        name.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (8, 8), (number % 256, number // 256, 0)).save(name)


def test_a_script_without_a_guard_decodes_pictures_once(tmp_path: Path) -> None:
    make_pictures(tmp_path / "pictures")
    (tmp_path / "train.py").write_text(
        "from pathlib import Path\nfrom sslcli.data.folder import picture_cache\n"
        "root = Path('pictures')\npaths = sorted(str(p.relative_to(root)) for p in root.rglob('*.png'))\n"
        "found = picture_cache.decode(root, paths, side=8, fit='crop', caches=Path('caches'), workers=2, "
        "progress=lambda _: None)\nprint(len(found.paths), set(found.problems))"
    )
    done = module(tmp_path, "train.py")
    assert (done.returncode, done.stdout) == (0, "300 {''}\n"), done.stderr


@pytest.mark.parametrize(
    "start", [["-m", "sslcli"], ["-c", "import sys; sys.path.pop(0); from sslcli.cli import main; main()"]]
)
def test_processes_that_decode_pictures_work_there_too(tmp_path: Path, start: list[str]) -> None:
    make_pictures(tmp_path / "pictures")
    shadow(tmp_path)
    code = (
        "import sys\nsys.path.pop(0)\nfrom pathlib import Path\nfrom sslcli.data.folder import picture_cache\n"
        "root = Path('pictures')\npaths = sorted(str(p.relative_to(root)) for p in root.rglob('*.png'))\n"
        "if __name__ == '__main__':\n    found = picture_cache.decode(root, paths, side=8, fit='crop', caches=Path('caches'), "
        "workers=2, progress=lambda _: None)\n    print(len(found.paths), set(found.problems))"
    )
    done = (
        module(tmp_path, "-c", code) if start[0] == "-c" else module(tmp_path, *start, "views", "--dataset", "folder:pictures")
    )
    assert done.returncode == 0, done.stderr
    assert "300 {''}" in done.stdout or "300 pictures" in done.stderr
