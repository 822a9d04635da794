"""What a project needs to be taken up: a wheel that is whole, and files that say how to cite, report and build it."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from sslcli import __version__

ROOT = Path(__file__).parents[2]
SOURCE = ("pyproject.toml", "README.md", "LICENSE")
SHOWS = """
import json, sslcli
from importlib import metadata, resources
from pathlib import Path
root = Path(str(resources.files("sslcli")))
print(json.dumps({
    "place": str(root), "version": sslcli.__version__, "metadata": metadata.version("sslcli"),
    "files": sorted(path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file()),
    "scripts": [entry.value for entry in metadata.entry_points(group="console_scripts", name="ssl")],
}))
"""
"""What an installed package says of itself, in an environment that has nothing else."""


def run(*line: str | Path) -> str:
    done = subprocess.run([str(word) for word in line], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_a_wheel_in_an_empty_environment_has_every_file_of_the_package(tmp_path: Path) -> None:
    source, empty = tmp_path / "source", tmp_path / "empty"
    shutil.copytree(ROOT / "sslcli", source / "sslcli", ignore=shutil.ignore_patterns("__pycache__"))
    for name in SOURCE:
        shutil.copy(ROOT / name, source)
    pip = (sys.executable, "-m", "pip", "--disable-pip-version-check")
    run(*pip, "wheel", "--no-deps", "--no-build-isolation", "--no-index", "--wheel-dir", tmp_path, source)
    run(sys.executable, "-m", "venv", "--without-pip", empty)
    python = next(path for path in (empty / "bin" / "python", empty / "Scripts" / "python.exe") if path.exists())
    wheel = next(tmp_path.glob("sslcli-*.whl"))
    run(*pip, "--python", python, "install", "--no-deps", "--no-index", "--no-compile", wheel)
    shown = json.loads(run(python, "-I", "-B", "-c", SHOWS))
    assert Path(shown["place"]).is_relative_to(empty)
    ours = {path.relative_to(ROOT / "sslcli").as_posix() for path in (ROOT / "sslcli").rglob("*") if path.is_file()}
    assert set(shown["files"]) == {name for name in ours if "__pycache__" not in name}
    assert {"presets/demo.yaml", "templates/report.html.j2"} < set(shown["files"])
    assert shown["version"] == shown["metadata"] == __version__
    assert shown["scripts"] == ["sslcli.__main__:main"]


def test_the_citation_and_the_changes_are_of_this_version() -> None:
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert citation["cff-version"] == "1.2.0"
    assert {"message", "title", "authors"} < citation.keys()
    assert str(citation["version"]) == __version__
    assert citation["license"] == "MIT"
    heads = [line for line in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8").splitlines() if line.startswith("## ")]
    released = [head for head in heads if head != "## Not released"]
    assert released[0].startswith(f"## {__version__},")
    assert heads[-1].startswith("## 0.1.0,")


TEMPLATES = sorted(path for path in (ROOT / ".github" / "ISSUE_TEMPLATE").glob("*.yml") if path.stem != "config")


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: path.stem)
def test_an_issue_template_is_a_form_with_fields_of_their_own_names(path: Path) -> None:
    form = yaml.safe_load(path.read_text(encoding="utf-8"))
    assert {"name", "description", "body"} <= form.keys()
    names = [field["id"] for field in form["body"]]
    assert len(names) == len(set(names)) > 1
    assert all(field["attributes"]["label"] for field in form["body"])


def test_the_container_is_built_of_what_the_repository_has_and_lets_through() -> None:
    let_through = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    copied = {
        word.rstrip("/")
        for line in (ROOT / "Dockerfile").read_text().splitlines()
        if line.startswith("COPY ")
        for word in line.split()[1:-1]
    }
    assert copied == let_through == {*SOURCE, "sslcli"}
    assert all((ROOT / name).exists() for name in copied)
