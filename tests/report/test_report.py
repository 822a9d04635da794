"""The report: what stands in it, that nothing in it runs or loads, and how it behaves in a browser."""

import io
import json
import re
import shutil
from collections.abc import Iterator
from dataclasses import replace
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from sslcli.comparison.arms import ArmDifference
from sslcli.errors import StateError, UsageError
from sslcli.figures.canvas import new_figure, save_picture
from sslcli.report import page as report
from sslcli.report.answer import forest, verdicts
from sslcli.report.data_checks import WORDS, data_checks
from sslcli.report.embedded import picture_of, read_picture, that_fit
from sslcli.report.page import make
from sslcli.report.pictures import find_pictures, kind_of
from sslcli.runs.registry import Registry
from sslcli.runs.run import Run
from tests.conftest import Cli
from tests.made_differences import made_difference
from tests.measuring import PATIENCE

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
HOSTILE = "<script>window.hacked = 1</script><img src=x onerror=hacked()>"
ACCURACIES = {("linear", 1.0): (0.6922, 0.4008), ("finetune", 1.0): (0.8759, 0.8728), ("finetune", 0.1): (0.6942, 0.6490)}


def add(registry: Registry, experiment: str, **known: Any) -> Run:
    """A finished run made up for the report."""
    values = {"status": "finished", "study": "s", "dataset": "cifar10", "backbone": "resnet18", "seed": 1, "epochs": 10.0}
    run = registry.create("run", experiment=experiment, **{**values, **known})
    run.command, run.device = f"ssl {experiment}", "AMD EPYC, 2 threads"
    run.versions, run.data = {"sslcli": "0.1.0", "torch": "2.14", "commit": "abc123"}, {"sha256": "d" * 64}
    run.checkpoint, run.sha256 = f"{run.folder}/checkpoints/best.pt", run.id.encode().hex().ljust(64, "0")[:64]
    registry.save(run)
    return run


def picture(path: Path, title: str, run: Run | None) -> None:
    figure = new_figure(6, 2)
    figure.suptitle(title)
    save_picture(figure, path, description=f"Runs: {run.id}" if run else "Runs: nobody")


@pytest.fixture
def study(registry: Registry) -> Registry:
    """A project with a pretrain run, three pairs and two pictures."""
    parent = add(registry, "pretrain", name=HOSTILE, options={"method": "simclr"})
    for (protocol, share), values in ACCURACIES.items():
        for init, accuracy in zip(("pretrained", "scratch"), values, strict=True):
            run = add(
                registry, "linear_eval" if protocol == "linear" else protocol, protocol=protocol, init=init,
                parent=parent.id if init == "pretrained" else None, pair=f"{protocol}{share}", label_fraction=share,
                note=HOSTILE,
                metrics={"test_acc": accuracy, "best_test_acc": accuracy + 0.0101, "test_images": 10_000, "seconds": 3.4},
            )  # fmt: skip
    folder = registry.root / "results"
    picture(folder / "figures" / "linear_eval" / "test_acc.png", "Linear: test accuracy", run)
    picture(folder / "figures" / "linear_eval" / "train_lr.png", "Linear: learning rate", run)
    picture(folder / "predictions" / "linear_pretrained.png", HOSTILE, run)
    picture(folder / "figures" / "pretrain" / "views.png", "Of another study", None)
    return registry


class Page(HTMLParser):
    """The tags of a page with their attributes, and its text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attributes)))

    def handle_data(self, data: str) -> None:
        self.text += data


def read(path: Path) -> Page:
    return Page(path.read_text(encoding="utf-8"))


WITHIN_CHANCE = r"in fine-tuning, no difference that can be told from chance \(\+0\.3 points, 95\s% interval −0\.6 to \+1\.2\)"


def test_every_accuracy_printed_is_the_runs_figure(study: Registry) -> None:
    page = read(make(study, "s"))
    shown = [
        float(attributes["data-sort"] or 0) for _, attributes in page.tags if attributes.get("data-sort", "x")[0].isdigit()
    ]
    for run in study.runs():
        for key in ("test_acc", "best_test_acc"):
            if key in run.metrics:
                assert f"{100 * run.metrics[key]:.2f}" in page.text
                assert run.metrics[key] in shown
    assert re.search(r"In linear evaluation, yes, by 29\.1 points \(95\s% interval 27\.8 to 30\.5\)", page.text)
    assert re.search(WITHIN_CHANCE, page.text)


def test_protocols_never_share_a_table(study: Registry) -> None:
    text = make(study, "s").read_text(encoding="utf-8")
    tables = re.findall(r"<table.*?</table>", text, re.DOTALL)
    holding = [[figure for figure in ("69.22", "87.59", "69.42") if f">{figure}<" in table] for table in tables]
    assert holding[:2] == [["69.22"], ["87.59", "69.42"]]
    assert all(not ({"69.22"} < set(found)) for found in holding)


def test_it_names_where_each_run_comes_from(study: Registry) -> None:
    page = read(make(study, "s"))
    for run in map(study.load, study.runs()):
        for word in (run.id, run.command, run.sha256, "d" * 64, "abc123", "AMD EPYC, 2 threads"):
            assert (word or "?") in page.text


def test_of_paths_in_a_command_no_folder_is_told(study: Registry) -> None:
    run = study.runs()[-1]
    run.command = "ssl probe --data-dir /home/ada/private/pictures --config='/home/ada/own notes.yaml' --out sub/dir/a.png"
    run.command += " --labels ../../ada/labels.csv"
    study.save(run)
    text = read(make(study, "s")).text
    assert "ada" not in text
    assert "--data-dir …/pictures --config='…/own notes.yaml' --out sub/dir/a.png --labels …/labels.csv" in text


def test_it_says_what_was_not_measured(study: Registry) -> None:
    text = read(make(study, "s")).text
    for words in (
        "One seed only in linear evaluation, fine-tuning and fine-tuning on 10 % of the labels: ",
        "logistic regression and kNN", "No GPU was used",
        "linear evaluation used all labels only", "the test images choose the epoch", "There is no data check of cifar10",
        "one data set (cifar10), one backbone (resnet18) and one pretraining method (simclr)", "(ECE) were not measured",
    ):  # fmt: skip
        assert words in text, words


def test_a_lone_second_seed_is_a_gap_still_and_a_gpu_is_none(study: Registry) -> None:
    gpu = add(study, "linear_eval", protocol="linear", init="scratch", seed=2, metrics={"test_acc": 0.4, "test_nll": 1.5})
    gpu.device = "NVIDIA H100"
    study.save(gpu)
    text = read(make(study, "s")).text
    assert "One seed only in linear evaluation" in text
    assert "No GPU was used" not in text
    assert f"{gpu.id} has no partner" in text
    assert "1.500" in text


def test_pictures_of_the_studys_runs_are_in_it_and_others_are_named_as_missing(study: Registry) -> None:
    page = read(make(study, "s"))
    images = [attributes for tag, attributes in page.tags if tag == "img"]
    assert len(images) == 3
    assert all((image["src"] or "").startswith("data:image/png;base64,") and image["alt"] for image in images)
    assert "Linear: test accuracy. Runs: run-" in (images[0]["alt"] or "")
    assert f"Views: ssl views --run {study.find('latest', experiment='pretrain').id} makes it" in page.text
    assert "Map of the representations: ssl map --study s makes it" in page.text
    assert "Accuracy over time: ssl plots --study s makes it" in page.text
    assert "Predictions: ssl predict" not in page.text


def test_a_damaged_picture_is_named(study: Registry) -> None:
    (study.root / "results" / "figures" / "linear_eval" / "val_acc.png").write_bytes(b"\x89PNG\r\n\x1a\nnothing")
    assert "Damaged: results/figures/linear_eval/val_acc.png" in read(make(study, "s")).text


def test_what_users_write_is_shown_and_not_run(study: Registry) -> None:
    page = read(make(study, "s", title=HOSTILE))
    assert [attributes for tag, attributes in page.tags if tag == "script"] == [{}]
    assert not [attributes for _, attributes in page.tags if any(name.startswith("on") for name in attributes)]
    assert page.text.count(HOSTILE) > 3


def test_nothing_in_it_is_outside_it(study: Registry) -> None:
    text = make(study, "s").read_text(encoding="utf-8")
    assert "default-src &#39;none&#39;" in text or "default-src 'none'" in text
    for _, attributes in Page(text).tags:
        for name in ("src", "href", "srcset", "action", "data"):
            assert (attributes.get(name) or "#").startswith(("#", "data:image/png"))
    assert not re.search(r"https?://|url\(|@import", re.sub(r"base64,[^\"]*", "", text))


def test_it_stays_below_three_megabytes_and_names_what_is_left_out(study: Registry) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (700, 900, 3), dtype=np.uint8)
    path = study.root / "results" / "figures" / "linear_eval"
    information = PngInfo()
    information.add_text("Description", study.runs()[1].id)
    for name in "abcdefgh":
        Image.fromarray(noise).save(path / f"other_{name}.png", pnginfo=information)
    page = make(study, "s")
    assert page.stat().st_size < 3_000_000
    text = page.read_text(encoding="utf-8")
    assert "stays small: <code>results/figures/linear_eval/other_h.png</code>" in text
    assert 'alt="Linear: test accuracy' in text
    assert sum(f"<code>results/figures/linear_eval/other_{name}.png</code>" in text for name in "abcdefgh") == 8


def test_pictures_lose_nothing_while_there_is_room_and_colours_before_they_are_left_out(tmp_path: Path) -> None:
    figure = new_figure(4, 3)
    figure.add_subplot().imshow(np.random.default_rng(0).random((40, 40, 3)))
    save_picture(figure, tmp_path / "a.png", description="a")
    found = read_picture(tmp_path / "a.png", name="a.png")
    with Image.open(tmp_path / "a.png") as before, Image.open(io.BytesIO(found.png)) as after:
        assert np.array_equal(np.asarray(before.convert("RGB")), np.asarray(after.convert("RGB")))
    kept, left_out = that_fit([found], found.cost - 1)
    assert not left_out
    assert len(kept[0].png) < len(found.png)
    assert that_fit([found], 1000) == ([], [kept[0]])


def test_the_data_check_is_shown_without_its_lists(study: Registry) -> None:
    content = {"images": 60000, "exact_duplicates": {"train_test": 3, "pairs": [[1, 2]]}, "share": 0.00012, "clean": False}
    path = study.root / "results" / "data" / "cifar10.json"
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps(content))
    ((table,), without, _) = data_checks(study.root, {"cifar10": None})
    cells = [[cell.text for cell in row] for row in table.rows]
    assert cells == [["images", "60,000"], ["exact duplicates train test", "3"], ["share", "0.00012"], ["clean", "no"]]
    assert not without
    assert "is of other data than these runs were trained on" in read(make(study, "s")).text
    path.write_text(json.dumps(content | {"fingerprint": "d" * 64}))
    assert "exact duplicates train test" in read(make(study, "s")).text
    for damaged in ("{", "{}", "[1]"):
        path.write_text(damaged)
        assert data_checks(study.root, {"cifar10": None}) == ([], ["the data check results/data/cifar10.json is damaged"], {})


def test_the_data_check_says_its_counts_in_words_and_has_a_table_of_the_classes(tmp_path: Path) -> None:
    pairs = {place: {"exact": 1, "near": 2, "mirrored": 3} for place in ("train", "test", "train_test")}
    images = {"exact_in_train": 4, "near_in_train": 5, "within_test_only": 6, "any": 7, "left_out": 8}
    content = {
        "dataset": "folder-p", "fingerprint": "d" * 64, "sizes": {"train": 1200, "test": 30}, "threshold": 0.8,
        "classes": ["cat", "dog"], "class_balance": {"train": [900, 20], "test": [20, 10]},
        "counts": {"pairs": pairs, "test_images": images, "label_disagreements": 9, "constant": 10},
    }  # fmt: skip
    path = tmp_path / "results" / "data" / "folder-p.json"
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps(content))
    (check, classes), _, copies = data_checks(tmp_path, {"folder:p": None})
    assert copies == {"folder:p": 9}
    found = {row[0].text: row[1].text for row in check.rows}
    assert set(found) == set(WORDS.values())
    assert found["images in training, with and without a label"] == "1,200"
    assert found["pairs of near copies, one in training, one in the test part"] == "2"
    assert found["test images with a near copy in training"] == "5"
    assert [[cell.text for cell in row] for row in classes.rows] == [["cat", "900", "20"], ["dog", "20", "10"]]


def test_the_limits_name_test_images_with_copies_in_training_and_what_compares_without_them(study: Registry) -> None:
    path = study.root / "results" / "data" / "cifar10.json"
    path.parent.mkdir(parents=True)

    of_data = {"fingerprint": "d" * 64}

    def said(exact: int, near: int) -> str:
        path.write_text(json.dumps(of_data | {"counts": {"test_images": {"exact_in_train": exact, "near_in_train": near}}}))
        return " ".join(read(make(study, "s")).text.partition("What was not measured")[2].split())

    told = (
        "What copies add to the accuracy: 1,005 test images of cifar10 have a copy or a near copy in training. Without them: "
    )
    assert told + "ssl compare --study s --without-duplicates." in said(5, 1000)
    assert "1 test image of cifar10 has a copy" in said(1, 0)
    assert "copies add" not in said(0, 0)
    for damaged in ({"counts": None}, {"counts": {"test_images": 3}}, {"counts": {"test_images": {"exact_in_train": "x"}}}):
        path.write_text(json.dumps(of_data | damaged))
        assert "copies add" not in read(make(study, "s")).text
    said(5, 1000)
    for run in study.runs():
        run.status = "published"
        study.save(run)
    assert "have a copy or a near copy in training." in read(make(study, "s")).text
    assert "--without-duplicates" not in read(make(study, "s")).text.partition("What was not measured")[2]


def test_the_data_check_of_a_folder_is_found_by_its_name(study: Registry) -> None:
    path = study.root / "results" / "data" / "folder-my-photos.json"
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps({"images": 3}))
    ((table,), without, _) = data_checks(study.root, {"folder:../My photos": None})
    assert [cell.text for cell in table.rows[0]] == ["images", "3"]
    assert not without


def test_a_picture_of_other_data_with_a_like_name_is_left_out(study: Registry) -> None:
    folder = study.root / "results" / "data"
    for name in ("cifar10", "cifar100"):
        picture(folder / f"{name}_duplicates.png", "Duplicates", None)
    runs = [replace(run, data={}) for run in study.runs()]
    found, _ = find_pictures(study, runs)
    assert [one.name for one in found if "data/" in one.name] == ["results/data/cifar10_duplicates.png"]
    found, _ = find_pictures(study, [replace(run, data={"sha256": "e" * 64}) for run in runs])
    assert not [one.name for one in found if "data/" in one.name]


def test_a_loss_and_many_differences_in_words() -> None:
    loss = made_difference(-0.02, 0.01)
    assert verdicts([loss]) == [("In kNN, no", ", it costs 2.0 points (95\u00a0% interval 1.0 to 3.0)")]
    several = [replace(loss, label_fraction=share) for share in (0.1, 0.2, 0.3, 0.4, 0.5)]
    assert verdicts(several)[1] == ("Of all 5 comparisons", " 0 gains, 5 losses, 0 that cannot be told from chance")
    several[:4] = [replace(found, low=-0.03, high=0.01) for found in several[:4]]
    assert verdicts(several)[0][0] == "In kNN on 50 % of the labels, no"
    assert verdicts(several)[1][1] == " 0 gains, 1 loss, 4 that cannot be told from chance"


def test_a_difference_over_epochs_chosen_on_the_test_images_says_so() -> None:
    found = made_difference(0.2, 0.1, protocol="linear", metric="best_test_acc")
    assert verdicts([found])[0][0] == "In linear evaluation (best epoch on the test images), yes"


@pytest.mark.parametrize("scale", [1e-6, 1e-3, 0.2, 1])
def test_the_forest_plot_stays_in_its_box_and_its_ticks_are_few(scale: float) -> None:
    values = (-0.4 * scale, 0.7 * scale)
    plot = forest([made_difference(value, 0.3 * scale) for value in values])
    assert all(0 < value < 100 for row in plot["rows"] for value in (row["low"], row["at"], row["high"]))
    assert 3 <= len(plot["ticks"]) <= 10
    assert (plot["zero"], "0") in plot["ticks"]


def test_the_forest_plot_has_a_row_for_each_encoder_from_elsewhere_and_no_gain_that_only_the_pair_shows() -> None:
    told = ArmDifference(
        place="kNN", first="own pretraining", second="lite0", seeds=[1], difference=-0.9, low=-0.95, high=-0.85,
        interval="paired", apart=True, first_runs=["a"], second_runs=["b"],
    )  # fmt: skip
    plot = forest([made_difference(0.2, 0.1)], beside=[told, replace(told, low=-0.91, high=-0.89, apart=False)])
    assert [row["kind"] for row in plot["rows"]] == ["gain", "loss", "chance"]
    assert [row["label"] for row in plot["rows"]][1:] == ["kNN", "kNN"]
    assert [row["accuracies"] for row in plot["rows"]][1:] == [
        "minus lite0", "minus lite0; with all comparisons counted, not told apart",
    ]  # fmt: skip
    assert plot["rows"][1]["interval"] == "−95.0 to −85.0"
    assert all(0 < value < 100 for row in plot["rows"] for value in (row["low"], row["at"], row["high"]))


def test_published_runs_make_a_report_too(ssl: Cli, tmp_path: Path) -> None:
    shutil.copy(Path(__file__).parents[2] / "registry.yaml", tmp_path)
    result = ssl("report --study original")
    assert result.code == 0, result.err
    assert result.out.strip() == "results/original.html"
    text = read(tmp_path / "results" / "original.html").text
    assert "58.87" in text
    assert "numbers without weights" in text


def test_the_command_writes_where_it_is_told(ssl: Cli, study: Registry) -> None:
    assert ssl("report --title 'Does it?' --out page.html").out.strip() == "page.html"
    assert "Does it?" in read(study.root / "page.html").text
    assert ssl("report --out page.pdf").code == UsageError.exit_code
    assert ssl("report --study nowhere").code == StateError.exit_code


def test_the_same_project_gives_the_same_bytes(study: Registry) -> None:
    assert make(study, "s", Path("a.html")).read_bytes() == make(study, "s", Path("b.html")).read_bytes()


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    playwright = pytest.importorskip("playwright.sync_api")
    if CHROMIUM is None:
        pytest.skip("no Chromium is installed")
    with playwright.sync_playwright() as running:
        opened = running.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield opened
        opened.close()


class Opened:
    """A page in the browser, what it asked for and what it complained of."""

    def __init__(self, browser: Any, path: Path, **settings: Any) -> None:
        self.page = browser.new_page(viewport={"width": settings.pop("width", 1280), "height": 900}, **settings)
        self.page.set_default_timeout(1000 * PATIENCE)  # a busy machine is slow, not wrong
        self.errors: list[str] = []
        self.requests: list[str] = []
        self.page.on("console", lambda message: self.errors.append(message.text) if message.type == "error" else None)
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.page.goto(path.as_uri())

    def get(self, script: str) -> Any:
        return self.page.evaluate(script)


@pytest.mark.parametrize("width", [390, 1280])
def test_in_a_browser_it_fits_and_asks_for_nothing(browser: Any, study: Registry, width: int) -> None:
    path = make(study, "s").resolve()
    opened = Opened(browser, path, width=width)
    for _ in range(2):
        assert opened.get("document.scrollingElement.scrollWidth <= innerWidth")
        opened.get("document.querySelectorAll('details').forEach((d) => { d.open = true; })")
    assert opened.get("[...document.images].every((image) => image.complete && image.naturalWidth > 0)")
    assert opened.get("window.hacked === undefined")
    assert [url for url in opened.requests if not url.startswith("data:")] == [path.as_uri()]
    assert opened.errors == []
    opened.page.close()


def test_in_a_browser_the_differences_and_their_intervals_are_aligned(browser: Any, study: Registry) -> None:
    opened = Opened(browser, make(study, "s").resolve())
    for part in ("b", "span"):
        ends = opened.get(
            f"[...document.querySelectorAll('.forest .value > {part}')].map((e) => e.getBoundingClientRect().right)"
        )
        assert len(ends) == 3
        assert max(ends) - min(ends) < 0.5
    opened.page.close()


def test_in_a_browser_its_structure_can_be_heard(browser: Any, study: Registry) -> None:
    opened = Opened(browser, make(study, "s").resolve())
    levels = opened.get("[...document.querySelectorAll('h1,h2,h3,h4')].map((h) => +h.tagName[1])")
    assert levels.count(1) == 1
    assert levels[0] == 1
    assert all(later - earlier <= 1 for earlier, later in pairwise(levels))
    for every in (
        "[...document.images].every((i) => i.alt.length > 3)",
        "[...document.querySelectorAll('table')].every((t) => t.caption && t.querySelector('th[scope=col]'))",
        "[...document.querySelectorAll('.scroll')].every((s) => s.role === 'region' && s.tabIndex === 0"
        " && document.getElementById(s.getAttribute('aria-labelledby')))",
        "[...document.querySelectorAll('svg[role=img]')].every((s) => s.querySelector('title') && s.querySelector('desc'))",
        "new Set([...document.querySelectorAll('[id]')].map((e) => e.id)).size === document.querySelectorAll('[id]').length",
        "[...document.querySelectorAll('a')].every((a) => document.querySelector(a.hash))",
        "['header', 'nav', 'main', 'footer'].every((name) => document.querySelectorAll(`body > ${name}`).length === 1)",
    ):
        assert opened.get(every), every
    opened.page.keyboard.press("Tab")
    assert opened.get("document.activeElement.className") == "skip"
    opened.page.keyboard.press("Enter")
    assert opened.get("document.activeElement.id") == "main"
    opened.page.close()


def test_in_a_browser_a_column_sorts_by_click_and_by_key(browser: Any, study: Registry) -> None:
    opened = Opened(browser, make(study, "s").resolve())
    table = opened.page.locator("table.sortable").nth(1)
    button = table.get_by_role("button", name="test accuracy (%)", exact=True)
    column = table.locator("tbody tr td:nth-child(5)")
    before, foot = column.all_text_contents(), table.locator("tfoot").inner_text()
    assert before == ["87.59", "87.28", "69.42", "64.90"]
    button.click()
    assert column.all_text_contents() == sorted(before, key=float)
    assert table.locator("[aria-sort=ascending]").count() == 1
    button.focus()
    opened.page.keyboard.press("Enter")
    assert column.all_text_contents() == sorted(before, key=float, reverse=True)
    assert table.locator("th[aria-sort]").get_attribute("aria-sort") == "descending"
    table.get_by_role("button", name="init", exact=True).click()
    assert table.locator("tbody tr td:nth-child(2)").all_text_contents() == ["pretrained"] * 2 + ["scratch"] * 2
    assert table.locator("th[aria-sort]").count() == 1
    assert table.locator("tfoot").inner_text() == foot
    opened.page.close()


def test_in_a_browser_a_picture_is_enlarged_and_closed_by_key(browser: Any, study: Registry) -> None:
    opened = Opened(browser, make(study, "s").resolve(), width=390)
    opened.page.get_by_role("button", name="Enlarge: Linear: test accuracy").press("Enter")
    assert opened.page.locator("dialog[open] img").evaluate("(i) => i.getBoundingClientRect().width === i.naturalWidth")
    opened.page.keyboard.press("Escape")
    assert opened.page.locator("dialog[open]").count() == 0
    assert opened.get("document.activeElement.className") == "enlarge"
    opened.page.close()


def test_in_a_browser_without_scripts_everything_is_there(browser: Any, study: Registry) -> None:
    opened = Opened(browser, make(study, "s").resolve(), java_script_enabled=False)
    assert opened.page.get_by_role("columnheader", name="test accuracy (%)", exact=True).first.is_visible()
    assert opened.page.locator("button").count() == 0
    assert opened.errors == []
    opened.page.close()


def test_in_a_browser_it_has_a_dark_look_and_one_for_paper(browser: Any, study: Registry) -> None:
    path = make(study, "s").resolve()
    colour = "getComputedStyle(document.body).backgroundColor"
    grounds = {}
    for scheme in ("light", "dark"):
        opened = Opened(browser, path, color_scheme=scheme)
        grounds[scheme] = opened.get(colour)
        assert opened.get("getComputedStyle(document.querySelector('.paper')).backgroundColor") == "rgb(255, 255, 255)"
        opened.page.emulate_media(media="print")
        assert opened.get(colour) == "rgb(255, 255, 255)"
        for selector in ("h1", ".verdict", ".forest", "tfoot", "figure.picture", "#gaps"):
            assert opened.page.locator(selector).first.is_visible(), selector
        assert not opened.page.locator("nav").is_visible()
        opened.page.set_viewport_size({"width": 680, "height": 960})
        assert opened.get("document.scrollingElement.scrollWidth <= innerWidth")
        opened.get("dispatchEvent(new Event('beforeprint'))")
        assert opened.page.locator("#provenance table").is_visible()
        assert not opened.page.locator("details .pictures").is_visible()
        opened.get("dispatchEvent(new Event('afterprint'))")
        assert opened.get("document.querySelectorAll('details[open]').length") == 0
        opened.page.close()
    assert grounds["light"] != grounds["dark"]


def test_figures_made_of_test_logits_stand_in_their_sections(study: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    figure = new_figure(2, 1.5)
    figure.suptitle("Reliability of a run")
    drawn = picture_of(figure, name="reliability of a run", description="made now")
    monkeypatch.setattr(report, "quality_figures", lambda *_: [drawn])
    text = make(study, "s").read_text(encoding="utf-8")
    assert '<h2 id="reliability-h">Reliability</h2>' in text
    assert "Confusions; Risk and coverage: " in text


KIND_OF = {
    "figures/linear_eval/map.png": "map", "figures/x/my_map.png": "map", "figures/x/bitmap.png": "other",
    "figures/x/mapping.png": "other", "figures/x/val_map.png": "curves", "figures/x/map/lr.png": "other",
    "figures/pretrain/views.png": "views", "figures/x/reviews.png": "other", "figures/x/asterisk.png": "other",
    "figures/x/train_risk.png": "curves", "figures/x/unreliability.png": "other", "figures/x/risk_linear.png": "risk",
    "figures/x/confusion_finetune.png": "confusion", "figures/x/reliability_linear-augmented.png": "reliability",
    "data/folder-risk_duplicates.png": "data", "data/folder-views_duplicates.png": "data",
    "predictions/neighbours.png": "predictions", "figures/linear_eval/neighbours.png": "neighbours",
    "figures/pretrain/accuracy_over_time.png": "over-time",
}  # fmt: skip


@pytest.mark.parametrize(("name", "kind"), KIND_OF.items())
def test_a_pictures_kind_is_told_by_whole_words(name: str, kind: str) -> None:
    assert kind_of(f"results/{name}").key == kind


def test_a_study_with_the_name_of_a_device_has_a_page_that_windows_can_write(registry: Registry) -> None:
    for init in ("pretrained", "scratch"):
        run = registry.create(
            init, experiment="knn", protocol="knn", status="finished", study="nul", init=init, pair="p", seed=1
        )
        run.metrics = {"test_acc": 0.5, "test_images": 100}
        registry.save(run)
    assert make(registry, "nul").name == "report.html"
