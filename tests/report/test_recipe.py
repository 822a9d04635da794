"""The page's recipe, provenance, navigation and answer: how the study is made again, and where its reader goes."""

import re
from pathlib import Path
from typing import Any

import pytest

from sslcli.data import DATASETS
from sslcli.models import BACKBONES
from sslcli.options.pretrain import Pretrain
from sslcli.options.probe import Probe
from sslcli.report.page import make
from sslcli.report.pictures import KINDS
from sslcli.report.recipe import chosen, encoders, pieces, recipe, references, settled
from sslcli.report.sections import SECTIONS
from sslcli.runs.registry import Registry
from sslcli.runs.run import Run
from tests.conftest import Cli
from tests.report.test_report import add, read

RECORDED = Pretrain(method="byol", epochs=12, batch_size=128, optimizer="muon", lr=0.06, teacher_momentum=0.9, seed=3).options()


def pretrained(**known: Any) -> Run:
    values = {"id": "p", "experiment": "pretrain", "status": "finished", "method": "byol", "options": RECORDED}
    return Run(**{**values, **known})


def pair(registry: Registry, seed: int = 1) -> list[Run]:
    """A pretraining and its pair of linear evaluations, with options, minutes and commands."""
    parent = add(registry, "pretrain", method="byol", seed=seed, options=RECORDED, metrics={"seconds": 90.0 * seed})
    runs = [parent]
    for init, accuracy in (("pretrained", 0.7), ("scratch", 0.4)):
        runs.append(add(
            registry, "linear_eval", protocol="linear", init=init, pair=f"p{seed}", setup="one", seed=seed, label_fraction=1.0,
            parent=parent.id if init == "pretrained" else None, options=Probe(epochs=30).options(),
            metrics={"test_acc": accuracy, "test_images": 1000, "seconds": 2.0},
        ))  # fmt: skip
    for run in runs:
        run.command = "ssl study --preset cifar10-cpu --data-dir /home/ada/data"
        registry.save(run)
    return runs


def test_of_options_those_that_differ_from_the_methods_own_defaults_are_told() -> None:
    assert chosen(pretrained()) == "teacher momentum 0.9, epochs 12, batch size 128, optimizer muon"
    assert settled(pretrained()) == "lr 0.06"


def test_an_evaluation_does_not_repeat_what_its_encoder_was_trained_on() -> None:
    options = Probe(epochs=100, dataset="cifar100", backbone="resnet50").options()
    run = Run(id="l", experiment="linear_eval", status="finished", protocol="linear", init="pretrained", options=options)
    assert (chosen(run), settled(run)) == ("epochs 100", "")


def test_the_recipe_has_a_row_for_each_training_with_the_fewest_and_the_most_minutes(registry: Registry) -> None:
    table = recipe(pair(registry, 1) + pair(registry, 2))
    assert table is not None
    assert [[cell.text for cell in row] for row in table.rows] == [
        ["pretraining, byol", "teacher momentum 0.9, epochs 12, batch size 128, optimizer muon", "2", "1.5 to 3.0"],
        ["linear evaluation", "none", "4", "< 0.1"],
    ]
    assert recipe([pretrained(options={}, status="published")]) is None


def test_what_is_to_be_cited_is_the_methods_the_data_sets_and_the_backbones_that_were_used() -> None:
    mine = {"dataset": "cifar10", "backbone": "resnet18"}
    found = references([pretrained(**mine), pretrained(dataset="cifar100", backbone="resnet50")])
    assert [kind for kind, _ in found] == ["Method", "Data", "Backbone"]
    assert all(part in paper for part, (_, paper) in zip(("arXiv:2006.07733", "Krizhevsky", "1512.03385"), found, strict=True))
    assert references([pretrained(method="file.py:Own", dataset="folder:photos", backbone="timm:resnet18")]) == []


def test_an_encoder_from_elsewhere_has_its_network_weights_and_recorded_name_in_one_table() -> None:
    origin = {"file": "lite0.pth", "sha256": "ab" * 32}
    theirs = Run(
        id="t", experiment="knn", status="finished", init="file-lite0-abababab", backbone="timm:tf_efficientnet_lite0",
        options={"stem": "input-96"}, data={"init": origin},
    )  # fmt: skip
    own = Run(id="o", experiment="knn", status="finished", init="pretrained", backbone="resnet9")
    table = encoders([own, theirs, theirs], {"pretrained": "own pretraining", "file-lite0-abababab": "lite0"})
    assert table is not None
    assert [[(cell.text, cell.note) for cell in row] for row in table.rows] == [[
        ("lite0", ""), ("timm:tf_efficientnet_lite0", "images resized to 96 pixels"), ("lite0.pth", f"SHA-256 {'ab' * 32}"),
        ("file-lite0-abababab", ""),
    ]]  # fmt: skip
    assert encoders([own], {"pretrained": "pretrained"}) is None


@pytest.mark.parametrize("paper", [entry.paper for entry in (*DATASETS.values(), *BACKBONES.values()) if entry.paper])
def test_a_paper_has_names_a_year_and_one_line(paper: str) -> None:
    assert re.fullmatch(r".+ \([A-Z].+ (19|20)\d\d(, arXiv:\d{4}\.\d{5})?\)\.", paper)


def test_runs_of_one_command_at_one_commit_are_one_piece_and_of_two_commits_two(registry: Registry) -> None:
    runs = pair(registry)
    (piece,) = pieces(runs)
    assert (piece.command, piece.commit) == ("ssl study --preset cifar10-cpu --data-dir …/data", "abc123")
    assert (piece.runs, piece.what) == (3, ("pretraining", "linear evaluation"))
    assert "One command at one commit: ssl study" in " ".join(read(make(registry, "s")).text.split())
    runs[2].versions = runs[2].versions | {"commit": "fff"}
    registry.save(runs[2])
    assert [(piece.commit, piece.runs) for piece in pieces(runs)] == [("abc123", 2), ("fff", 1)]
    text = " ".join(read(make(registry, "s")).text.split())
    assert "Run in pieces, 2 in all:" in text
    assert "commit fff: 1 run (linear evaluation)" in text
    assert "One command" not in text
    assert "This command reproduces the study (…/ stands for a folder):" in text


def test_the_page_has_the_recipe_the_author_and_no_wall_of_words(ssl: Cli, registry: Registry) -> None:
    pair(registry)
    assert ssl("report --author 'Ada <Lovelace>' --out page.html").code == 0
    text = Path("page.html").read_text(encoding="utf-8")
    assert "By Ada &lt;Lovelace&gt;" in text
    assert "<td>teacher momentum 0.9, epochs 12, batch size 128, optimizer muon<small>without a fixed default: lr 0.06" in text
    (caption,) = re.findall(r'(?s)<figure class="forest">.*?<figcaption>(.*?)<span', text)
    assert "One seed: this holds for these encoders" in caption
    assert len(caption) < 300
    assert "70.0 against 40.0 %" in text
    assert "By " not in read(make(registry, "s")).text


def test_published_runs_have_no_recipe_and_the_page_says_so(registry: Registry) -> None:
    for init in ("pretrained", "scratch"):
        run = registry.create(
            init, experiment="knn", protocol="knn", status="published", study="s", init=init, pair="p", seed=1,
            metrics={"test_acc": 0.5, "test_images": 100},
        )  # fmt: skip
        registry.save(run)
    assert "their options and commands are not known here" in read(make(registry, "s")).text


def test_all_sections_together_have_nine_entries_in_the_navigation() -> None:
    chapters = [section.chapter or section.heading for section in SECTIONS.values()]
    assert list(dict.fromkeys(chapters)) == [
        "Results", "What next", "Recipe", "Training", "Pictures", "Confidence", "Data", "Provenance", "Limits"
    ]  # fmt: skip
    assert chapters == sorted(chapters, key=list(dict.fromkeys(chapters)).index)  # neighbours, so that an entry leads to all
    assert {kind.chapter for kind in KINDS} == {"Training", "Pictures", "Confidence", "Data"}


@pytest.mark.parametrize("key", ["results", "recipe", "provenance", "gaps"])
def test_an_entry_leads_to_the_first_section_of_its_chapter(registry: Registry, key: str) -> None:
    pair(registry)
    page = read(make(registry, "s"))
    links = [attributes["href"] for tag, attributes in page.tags if tag == "a" and attributes["href"] != "#main"]
    assert links == [*dict.fromkeys(links)]
    assert f"#{key}" in links
    assert len(links) <= 8
