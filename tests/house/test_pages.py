"""README and docs: their commands can be typed, the page of the command line is right, and the site has no broken link."""

import json
import re
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from sslcli.bench import minutes
from sslcli.bench.cost import Cost, Costs
from sslcli.evaluation.statistics import paired
from tests.conftest import NEEDS_ONNX, Cli
from tests.docs import cli_reference
from tests.docs.pages import FENCE, PAGES, ROOT, build, commands_of, typed_block
from tests.methods.test_methods import ALONE, PROGRAM

NEEDS_MKDOCS = pytest.mark.skipif(find_spec("material") is None, reason="mkdocs-material is not installed")
IN_FEW_STEPS = (
    "--max-steps 1 --set pretrain.backbone=resnet9 --set pretrain.stem=auto --set pretrain.batch_size=16 --set probe.epochs=1"
)
CHEAPER = {
    "study --preset cifar10-laptop --download": f"{IN_FEW_STEPS} --label-fractions 1",
    "study --preset cifar10-laptop --seeds 3": f"{IN_FEW_STEPS} --seeds 2 --label-fractions 0.5",
    "study --dataset": "--set probe.epochs=1 --set finetune.epochs=1",
    "study": "--max-steps 1",
    "pretrain": "--minutes 1",
    "finetune --label-fraction 0.1": "--label-fraction 0.5 --max-steps 2",  # of ten pictures of a class a tenth is too few
}
"""What a test adds to a command that begins so: of an option that is given twice the last one counts."""


def type_block(ssl: Cli, name: str) -> None:
    for line in typed_block(name):
        more = next((words for begin, words in CHEAPER.items() if line.startswith(begin)), "")
        result = ssl(f"{line} {more}")
        assert result.code == 0, (line, result.err)


@pytest.fixture
def slow_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine that says of each step that it takes four seconds, so that few fit into the minutes that a page says."""

    def of(_: Costs, plan: Any) -> Cost:
        epoch_steps = len(plan.context.data.train_images) // plan.options.batch_size
        steps = plan.options.epochs * epoch_steps
        return Cost(
            {"steps": 4.0 * steps, "measuring": 0.0, "checkpoints": 0.0}, None, steps, epoch_steps, plan.options.batch_size
        )

    monkeypatch.setattr(Costs, "of", of)
    monkeypatch.setattr(minutes, "rough_seconds", lambda training: 4.0 * training.steps)


@pytest.fixture
def photos(tmp_path: Path) -> None:
    """Folders of pictures of two classes, as the pages name them."""
    random = np.random.default_rng(0)
    for name, colour in {"cats": (190, 120, 60), "dogs": (70, 110, 170)}.items():
        (tmp_path / "photos" / name).mkdir(parents=True)
        (tmp_path / "more-photos").mkdir(exist_ok=True)
        for number in range(45):
            pixels = (np.array(colour) + random.integers(-60, 60, (40, 48, 3))).clip(0, 255).astype(np.uint8)
            Image.fromarray(pixels).save(tmp_path / "photos" / name / f"{number}.jpg")
        Image.fromarray(pixels).save(tmp_path / "more-photos" / f"{name}.jpg")


@NEEDS_ONNX
@pytest.mark.usefixtures("photos", "rough_pictures", "slow_machine")
def test_the_walk_through_on_own_pictures_can_be_typed(ssl: Cli, tmp_path: Path) -> None:
    assert len(typed_block("own pictures")) >= 10
    type_block(ssl, "own pictures")
    assert (tmp_path / "results" / "predictions" / "images.png").exists()
    assert list((tmp_path / "results" / "export").glob("*/*.onnx"))


@pytest.mark.usefixtures("rough_pictures", "small_cifar", "slow_machine")
def test_the_walk_through_on_cifar_can_be_typed(ssl: Cli, tmp_path: Path) -> None:
    type_block(ssl, "start")
    assert list((tmp_path / "results").glob("*.html"))


@pytest.mark.usefixtures("no_pictures", "small_cifar")
def test_the_students_quick_start_can_be_typed_and_ends_with_a_page(ssl: Cli, tmp_path: Path) -> None:
    type_block(ssl, "student")
    assert {path.stem for path in (tmp_path / "results").glob("*.html")} == {"demo", "cifar10-laptop"}


@pytest.mark.usefixtures("no_pictures", "photos", "slow_machine")
def test_the_practitioners_quick_start_can_be_typed_and_ends_with_an_encoder(ssl: Cli, tmp_path: Path) -> None:
    type_block(ssl, "practitioner")
    assert list((tmp_path / "results" / "export").glob("*/model.safetensors"))


@pytest.mark.usefixtures("no_pictures", "small_cifar")
def test_the_researchers_quick_start_can_be_typed_and_every_run_is_as_recorded(ssl: Cli) -> None:
    type_block(ssl, "researcher")
    assert ssl("runs verify --numbers").out.rstrip().endswith("as recorded")


def test_the_method_of_the_page_pretrains_as_a_file_beside_the_others_and_imports_no_scikit_learn(
    tmp_path: Path,
) -> None:
    shutil.copytree(ROOT / "sslcli", tmp_path / "sslcli", ignore=shutil.ignore_patterns("__pycache__"))
    own_method(tmp_path / "sslcli" / "methods")
    line = "pretrain --method mean --width 8 --dataset shapes --backbone resnet9-small --batch-size 32 --epochs 1 --max-steps 2"
    done = subprocess.run(
        [sys.executable, "-B", "-c", f"{PROGRAM}\nassert 'sklearn' not in sys.modules", str(tmp_path), json.dumps([line])],
        cwd=tmp_path, env=ALONE, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    ((code, _, said),) = json.loads(done.stdout)
    assert code == 0, said
    assert "run mean-resnet9-small-shapes" in said


def own_method(folder: Path) -> None:
    """Write the file of the page's method into a folder, as its reader does."""
    page = (ROOT / "docs" / "add-your-own.md").read_text(encoding="utf-8")
    text = next(match["text"] for match in FENCE.finditer(page) if match["language"] == "python")
    assert len(text.splitlines()) <= 40
    (folder / "mean.py").write_text(text, encoding="utf-8")


def test_the_method_of_the_page_is_typed_as_a_file_of_ones_own(ssl: Cli, tmp_path: Path) -> None:
    own_method(tmp_path)
    *lines, compared = typed_block("own method")
    for line in lines:
        more = (
            {"pretrain": "--max-steps 2 --batch-size 32", "probe": "--epochs 1"}[line.split()[0]]
            if "--help" not in line
            else ""
        )
        result = ssl(f"{line} {more}")
        assert result.code == 0, (line, result.err)
    table = ssl(compared)
    assert table.code == 0, table.err
    assert "mean" in table.out


def test_the_widths_for_few_labels_are_those_that_compare_prints() -> None:
    """Pretrained 75 %, scratch 65 %, and the two disagree on so many of the pictures; beside it one accuracy of 50 %."""
    page = (ROOT / "docs" / "own-pictures.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| [\d,]+ \| ([\d,]+) \| ±(\d+) points \| ±(\d+) points \| ±(\d+) points \|$", page, re.MULTILINE)
    assert len(rows) == 6
    for images, alone, *shown in [[int(cell.replace(",", "")) for cell in row] for row in rows]:
        widths = []
        for disagreeing in (0.2, 0.4):
            first, second = round(0.75 * images), round(0.65 * images)
            found = paired(first, second, (first + second - round(disagreeing * images)) // 2, images)
            widths.append(round(50 * (found.high - found.low)))
        assert shown == widths
        assert alone == round(196 * 0.5 / images**0.5)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_command_on_a_page_has_options_that_are_accepted(page: Path, tmp_path: Path) -> None:
    own_method(tmp_path)
    for line in commands_of(page):
        build(line)


def test_the_pages_show_most_commands() -> None:
    lines = [line for page in PAGES for line in commands_of(page)]
    assert len(lines) > 80
    names = {name.removeprefix("ssl ") for name, _ in cli_reference.every_command()}
    assert {name for name in names if not any(line.startswith(name) for line in lines)} == set()


def test_the_page_of_the_command_line_is_what_the_commands_say() -> None:
    """If it is not, type: python -m tests.docs.cli_reference --write docs/cli.md."""
    assert (ROOT / "docs" / "cli.md").read_text(encoding="utf-8") == cli_reference.page()


def test_the_page_of_the_command_line_has_every_command_and_option_with_bounds_in_words() -> None:
    text = cli_reference.page()
    for line in (
        "## ssl runs verify",
        "| `--epochs` | whole number, 1 or more | `200` |",
        "| `--seed` | whole number, 0 or more | `1` |",
        "| `--label-fraction` | number, above 0, at most 1 | `1.0` |",
        "| `--optimizer` | `sgd`, `adamw`, `muon` | `sgd` |",
        "| `--projector-dim` | whole number, 1 or more | `128` |",
        "Environment: `SSL_DATA_DIR`.",
    ):
        assert line in text, line


def built_site(root: Path, site: Path) -> subprocess.CompletedProcess[str]:
    line = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(site)]
    return subprocess.run(line, cwd=root, capture_output=True, text=True, check=False)


@NEEDS_MKDOCS
def test_the_site_is_built_without_a_warning_and_has_every_page_and_picture(tmp_path: Path) -> None:
    done = built_site(ROOT, tmp_path / "site")
    assert done.returncode == 0, done.stderr
    pages = {path.stem for path in (ROOT / "docs").glob("*.md")} - {"index"}
    assert {name for name in pages if not (tmp_path / "site" / name / "index.html").exists()} == set()
    for path in ("results/figures/pretrain/growth.png", "results/speedrun/index.html", "results/cifar10-laptop.html"):
        assert (tmp_path / "site" / path).exists()
    assert not (tmp_path / "site" / "hooks.py").exists()


@NEEDS_MKDOCS
def test_a_broken_link_picture_or_heading_stops_the_site(tmp_path: Path) -> None:
    for name in ("docs", "results"):
        shutil.copytree(ROOT / name, tmp_path / name)
    for name in ("mkdocs.yml", "CHANGELOG.md"):
        shutil.copy(ROOT / name, tmp_path)
    with (tmp_path / "docs" / "faq.md").open("a", encoding="utf-8") as page:
        page.write("\n[x](nowhere.md) ![x](../results/nowhere.png) [x](start.md#nowhere)\n")
    done = built_site(tmp_path, tmp_path / "site")
    assert done.returncode != 0
    found = [line for line in done.stderr.splitlines() if "faq.md" in line and "nowhere" in line]
    assert len(found) == 3, done.stderr
