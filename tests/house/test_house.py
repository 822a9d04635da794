"""The house is in order: style, types, layers, options, presets, and a README that is in step with the code."""

import ast
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import fields
from graphlib import TopologicalSorter
from pathlib import Path

import pytest
import torch
import yaml
from grimp import build_graph

from sslcli.cli import COMMANDS, DATA_COMMANDS, RUNS_COMMANDS, command_line, commands_in
from sslcli.data import DATASETS
from sslcli.methods import FILES, METHODS
from sslcli.models import BACKBONES
from sslcli.options.mapping import from_mapping
from sslcli.options.presets import read_preset
from tests.conftest import Cli
from tests.measuring import times_as_long

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
BIN = Path(sys.executable).parent
LONG: dict[str, str] = {}
"""Files of over 250 lines, and why."""
WITHOUT_ANY = ("workflows", "studies", "evaluation", "runs", "plans", "options")
"""The rooms in which what has a name has a type."""
ANY = {
    "evaluation/protocols/protocol.py: AnyProtocol": "one table holds protocols with options of several classes",
    "options/values.py: check": "what a value is, is found out here: by an annotation that is known at run time alone",
}
"""Where `Any` stands there in a signature, a field, or a type's other name, and why."""


@pytest.mark.parametrize(
    "command",
    [["ruff", "check", "."], ["ruff", "format", "--check", "sslcli", "tests"], ["mypy"], ["lint-imports"]],
    ids=lambda command: " ".join(command[:2]),
)
def test_style_types_and_layers_hold(command: list[str]) -> None:
    if command == ["mypy"] and torch.__version__ < "2.14":
        pytest.skip("types are those of torch 2.14 and newer")
    done = subprocess.run([str(BIN / command[0]), *command[1:]], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def annotated(tree: ast.Module) -> Iterator[tuple[str, ast.expr | None]]:
    """Of functions, fields and names of a module each annotation, of names without one the value: it may be a type."""
    for node in ast.walk(tree):
        match node:
            case ast.FunctionDef(name=name, args=arguments, returns=returned):
                yield name, returned
                yield from ((name, found.annotation) for found in ast.walk(arguments) if isinstance(found, ast.arg))
            case ast.Module(body=body) | ast.ClassDef(body=body):
                yield from ((ast.unparse(line.target), line.annotation) for line in body if isinstance(line, ast.AnnAssign))
                yield from ((ast.unparse(line.targets[0]), line.value) for line in body if isinstance(line, ast.Assign))


def test_any_stands_for_nothing_that_has_a_name() -> None:
    files = {path for room in WITHOUT_ANY for path in (ROOT / "sslcli" / room).rglob("*.py")}
    found = {
        f"{path.relative_to(ROOT / 'sslcli').as_posix()}: {name}"
        for path in files
        for name, annotation in annotated(ast.parse(path.read_text(encoding="utf-8")))
        if annotation is not None and re.search(r"\bAny\b", ast.unparse(annotation))
    }
    assert found == set(ANY)


def test_no_circle_of_imports_joins_two_files() -> None:
    graph = build_graph("sslcli", exclude_type_checking_imports=True, cache_dir=None)
    order = TopologicalSorter({module: graph.find_modules_directly_imported_by(module) for module in graph.modules})
    order.prepare()  # a CycleError names the files


def test_commands_are_thin_and_files_short() -> None:
    lines = {path: len(path.read_text(encoding="utf-8").splitlines()) for path in (ROOT / "sslcli").rglob("*.py")}
    commands = {path: count for path, count in lines.items() if path.parent.name == "commands"}
    assert sum(commands.values()) < 1600
    assert [path.name for path, count in commands.items() if count >= 100] == []
    assert {path.relative_to(ROOT / "sslcli").as_posix() for path, count in lines.items() if count > 250} == set(LONG)


def walk(command: object, prefix: str = "") -> list[tuple[str, object]]:
    """Every command of the application by its whole name."""
    below = getattr(command, "commands", {})
    return [(prefix.strip(), command)] * (not below) + [
        pair for name in below for pair in walk(below[name], f"{prefix} {name}")
    ]


ALL = walk(command_line())


def test_the_application_has_the_commands_of_the_tables() -> None:
    assert {name for name, _ in ALL} == {
        *COMMANDS,
        *(f"runs {name}" for name in RUNS_COMMANDS),
        *(f"data {name}" for name in DATA_COMMANDS),
    }


@pytest.mark.parametrize(("name", "command"), ALL, ids=[name for name, _ in ALL])
def test_only_the_options_of_a_typed_command_are_built(name: str, command: object) -> None:
    built = dict(walk(command_line(commands_in([*name.split(), "--debug"]))))
    assert [p.name for p in built[name].params] == [p.name for p in command.params]  # type: ignore[attr-defined]
    times = {"pretrain", "probe", "finetune"} if name == "bench" else set()
    assert {other for other, one in built.items() if one.params} == {name, *times}  # type: ignore[attr-defined]
    listed = {other: one.help.split("\n\n")[0] for other, one in built.items()}  # type: ignore[attr-defined]
    assert listed == {other: one.help.split("\n\n")[0] for other, one in ALL}  # type: ignore[attr-defined]
    assert all(listed.values())


@pytest.mark.parametrize(("name", "command"), ALL, ids=[name for name, _ in ALL])
def test_every_command_and_option_has_help_and_stands_in_the_readme(name: str, command: object) -> None:
    assert command.help  # type: ignore[attr-defined]
    assert f"`ssl {name}" in README
    for parameter in command.params:  # type: ignore[attr-defined]
        assert getattr(parameter, "help", None), parameter.name


@pytest.mark.parametrize(
    "kind",
    [entry.options for entry in (*COMMANDS.values(), *RUNS_COMMANDS.values(), *DATA_COMMANDS.values())],
    ids=lambda kind: kind.__name__,
)
def test_every_default_passes_its_own_checks(kind: type) -> None:
    required = {f.name: "x" for f in fields(kind) if f.init and f.default.__class__.__name__ == "_MISSING_TYPE"}
    assert kind(**required).options() is not None


def test_the_page_of_methods_names_each_with_its_paper() -> None:
    page = (ROOT / "docs" / "methods.md").read_text(encoding="utf-8")
    papers = {name: re.search(r"arXiv:([\d.]+\d)", file.about) for name, file in FILES.items()}
    assert [name for name, paper in papers.items() if not paper or f"| `{name}` | [{paper[1]}]" not in page] == []


def test_the_page_of_methods_has_the_settings_that_tuning_tries() -> None:
    page = (ROOT / "docs" / "methods.md").read_text(encoding="utf-8")
    for name, file in FILES.items():
        settings = (", ".join(f"{key.replace('_', '-')} {value:g}" for key, value in of.items()) for of in file.tuning)
        assert f"| `{name}` | {'; '.join(settings)} |" in page


WITH_FINETUNING = ("demo", "cifar10-laptop", "cifar10-cpu", "cifar10")
PRESETS = sorted(path.stem for path in (ROOT / "sslcli" / "presets").glob("*.yaml"))


@pytest.mark.parametrize("name", PRESETS)
def test_the_page_of_speed_names_every_preset_with_its_minutes_or_says_that_there_are_none(name: str) -> None:
    page = (ROOT / "docs" / "speed.md").read_text(encoding="utf-8")
    (row,) = re.findall(rf"(?m)^\| `{name}` \|[^|]*\|([^|]*)\|$", page)
    assert re.search(r"\d+ (min|s)\b|not measured", row)


@pytest.mark.parametrize("name", PRESETS)
def test_every_preset_passes_the_checks(name: str) -> None:
    preset = read_preset(name)
    assert set(preset) == {"pretrain", "probe"} | ({"finetune"} if name in WITH_FINETUNING else set())
    for command, sections in preset.items():
        for section in sections:
            COMMANDS[command].options(**from_mapping(COMMANDS[command].options, section, name))


BARE = "import typer; app = typer.Typer(); app.command()(lambda: None); app()"
"""The smallest program with a command line."""
OURS = "from sslcli.cli import main; main()"
HEAVY = {"torch", "torchvision", "scipy", "sklearn", "numpy", "pandas", "PIL", "matplotlib", "tensorboard", "jinja2"}


def modules_of(program: str, line: list[str], folder: Path) -> set[str]:
    """What a program has imported when it ends."""
    code = f"import sys\ntry:\n    {program}\nfinally:\n    print('modules:', *sys.modules, file=sys.stderr)"
    done = subprocess.run([sys.executable, "-c", code, *line], cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return set(done.stderr.rpartition("modules:")[2].split())


@pytest.mark.parametrize(("line", "most"), [([], 110), (["--help"], 20), (["compare"], 110), (["runs", "list"], 110)], ids=str)
def test_ssl_help_compare_and_runs_list_import_little_and_take_a_few_times_what_typer_does(
    line: list[str], most: int, tmp_path: Path
) -> None:
    shutil.copy(ROOT / "registry.yaml", tmp_path)
    of_typer = modules_of(BARE, ["--help"] if line == ["--help"] else [], tmp_path)
    imported = modules_of(OURS, line, tmp_path)
    own = imported - of_typer
    assert "pydantic" not in imported
    assert not HEAVY & {name.partition(".")[0] for name in own}
    assert "rich" in of_typer or "rich" not in own
    assert len(own) < most, sorted(own)

    def run(code: str, *words: str) -> None:
        subprocess.run([sys.executable, "-c", code, *words], cwd=tmp_path, capture_output=True, check=True)

    ratio = times_as_long(lambda: run(OURS, *line), lambda: run("import typer"), enough=7)
    assert ratio < 7  # it is 4 to 5


def test_the_readme_is_short() -> None:
    assert len(README.splitlines()) <= 150


def test_the_readmes_links_hold_with_the_headings_that_they_name() -> None:
    links = re.findall(r"\]\(([^)#:]+)#?([^)]*)\)", README)
    assert any(heading for _, heading in links)
    for target, heading in links:
        text = (ROOT / target).read_text(encoding="utf-8", errors="ignore")
        slugs = [re.sub(r"[^\w -]", "", line.lower()).strip().replace(" ", "-") for line in re.findall(r"(?m)^#+ (.+)$", text)]
        assert not heading or heading in slugs, f"{target}#{heading}"


@pytest.mark.parametrize("page", ["README.md", "docs/results.md", "docs/gpu.md", "docs/benchmarks.md", "docs/is-it-working.md"])
def test_the_pages_images_are_tracked_in_exactly_this_case(ssl: Cli, page: str) -> None:
    result = ssl(f"plots --check {ROOT / page}")
    assert result.code == 0, result.out
    assert re.search(r"[1-9]\d* local images, all available", result.out)


def test_the_pages_of_results_show_the_published_tables(ssl: Cli) -> None:
    pages = ("docs/results.md", "docs/gpu.md", "results/speedrun.md")
    assert "](docs/results.md)" in README
    text = "\n".join((ROOT / page).read_text(encoding="utf-8") for page in pages)
    assert "@@" not in README + text  # a figure that was to be filled in
    shown_lines = text.splitlines()
    for study in dict.fromkeys(run["study"] for run in yaml.safe_load((ROOT / "registry.yaml").read_text())["runs"]):
        result = ssl(f"compare --project {ROOT} --study {study} --format json")
        assert result.code == 0
        for row in yaml.safe_load(result.out)["rows"]:
            shown = [f"{100 * row[key]:.2f}" for key in ("test_acc", "best_test_acc") if row[key] is not None]
            lines = [line for line in shown_lines if line.startswith("|") and all(figure in line for figure in shown)]
            assert lines, f"no table has {study} {row['run']}: {shown}"


def test_the_tables_name_what_exists() -> None:
    built, loaded = (entry.build for entry in BACKBONES.values()), (entry.load for entry in DATASETS.values())
    assert [path for path in (*METHODS.values(), *built, *loaded) if not re.fullmatch(r"[\w.]+:\w+", path)] == []


def test_the_gate_types_the_test_command_of_the_readme() -> None:
    assert ".venv/bin/pytest" in README
    gate = (ROOT / ".ci" / "run").read_text()
    assert "README.md" in gate
    assert "pytest" not in gate
