"""The protocols beside linear evaluation, few labels, and what a run keeps so that its figures can be made again."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from scipy.stats import t as student
from sklearn.neighbors import KNeighborsClassifier
from torch import nn

from sslcli.comparison.differences import both_right
from sslcli.data.batches import Batches
from sslcli.data.loading import load_data
from sslcli.data.sets import shapes
from sslcli.data.split import class_counts, hold_to_labels, split
from sslcli.errors import StateError, UsageError
from sslcli.evaluation.knn import knn_votes
from sslcli.evaluation.linear import RATES, HeadPerRate, search_rate
from sslcli.evaluation.logistic import logistic_regression
from sslcli.evaluation.test_logits import FILE, Kept, keep, read_kept
from sslcli.options.pairing import pair_key
from sslcli.options.presets import label_fractions, trainings_of
from sslcli.options.study import Study
from sslcli.runs.registry import Registry
from sslcli.runs.run import Run
from sslcli.training.checkpoint import load_checkpoint
from sslcli.workflows.finishing import count_both_right
from tests.conftest import TINY, Cli, Once

Done = Callable[[str], Run]
PROBE = "--epochs 2 --batch-size 32"
PROTOCOLS = ("linear", "linear-augmented", "logistic", "knn")


@pytest.fixture
def evaluated(done: Done, once: Once[dict[str, Run]]) -> dict[str, Run]:
    """A pretrain run, and a pretrained and a scratch evaluation by each protocol and by fine-tuning."""

    def make_evaluated() -> dict[str, Run]:
        runs = {"pretrain": done(f"pretrain {TINY}")}
        for protocol in PROTOCOLS:
            line = f"probe --protocol {protocol} {PROBE if protocol.startswith('linear') else ''}"
            runs[protocol] = done(line)
            runs[f"{protocol} scratch"] = done(f"{line} --init scratch")
        runs["finetune"] = done("finetune --epochs 1 --batch-size 32")
        runs["finetune scratch"] = done("finetune --epochs 1 --batch-size 32 --init scratch")
        return runs

    return once(make_evaluated)


def test_every_protocol_keeps_what_its_figures_are_made_of_and_has_a_table_of_its_own(
    ssl: Cli, evaluated: dict[str, Run], registry: Registry
) -> None:
    for name, run in evaluated.items():
        if name == "pretrain":
            continue
        kept = read_kept(registry.path(f"{run.folder}/{FILE}"))
        assert kept.logits.shape == (80, 10)
        assert kept.right.mean() == run.metrics["test_acc"], name
        assert kept.labels.tolist() == load_data("shapes", Path()).test_labels.tolist()
        assert ("test_nll" in run.metrics) == (run.protocol != "knn")
    shown = json.loads(ssl("compare --format json").out)
    assert [d["protocol"] for d in shown["differences"]] == [*PROTOCOLS, "finetune"]
    assert {d["interval"] for d in shown["differences"]} == {"paired"}
    table = ssl("compare").out
    headings = [
        "Linear evaluation\n",
        "Linear evaluation on augmented images\n",
        "Logistic regression\n",
        "kNN\n",
        "Fine-tuning\n",
    ]
    places = [table.lower().index(f"\n{heading.lower()}") for heading in headings]
    assert places == sorted(places)
    for place, end, protocol in zip(places, [*places[1:], len(table)], [*PROTOCOLS, "finetune"], strict=True):
        section = table[place:end]
        assert f"{evaluated[protocol].metrics['test_acc']:.2%}" in section
        assert re.findall(r"(?:pretrained-simclr|scratch)-resnet9-small-\S+", section.split("Does pre")[0]) == [
            evaluated[protocol].id, evaluated[f"{protocol} scratch"].id,
        ]  # fmt: skip
    markdown = ssl("compare --format markdown").out
    assert markdown.count("### ") == 5
    assert ssl("compare --format csv").out.splitlines()[0].startswith("experiment,protocol,init")


def test_the_paired_interval_is_made_of_the_images_themselves(ssl: Cli, evaluated: dict[str, Run], registry: Registry) -> None:
    pretrained, scratch = (registry.find(evaluated[name].id) for name in ("linear", "linear scratch"))
    first, second = (read_kept(registry.path(f"{run.folder}/{FILE}")).right for run in (pretrained, scratch))
    assert both_right(pretrained, scratch) == int((first & second).sum())
    found = json.loads(ssl("compare --format json").out)["differences"][0]
    b, c = int((first & ~second).sum()) + 1, int((~first & second).sum()) + 1
    centre = (b - c) / 82
    half = student.ppf(0.975, 79) * ((b + c) / 82 - centre**2) ** 0.5 / 82**0.5 + 1 / 82
    assert (found["low"], found["high"]) == (pytest.approx(centre - half), pytest.approx(centre + half))


def test_every_figure_can_be_made_again_and_a_changed_one_is_found(
    ssl: Cli, evaluated: dict[str, Run], registry: Registry
) -> None:
    whole = ssl("runs verify --from-checkpoint")
    assert whole.code == 0, whole.out
    assert whole.out.count("as recorded") == len(evaluated)
    assert whole.err.count("100.00% equal predictions") == len(evaluated) - 1
    records = {run.id: registry.path(f"{run.folder}/run.yaml") for run in evaluated.values()}
    before, index = {name: path.read_text() for name, path in records.items()}, registry.index.read_text()
    for key in {key for run in evaluated.values() for key in run.metrics} - {"test_images"}:
        having = [run for run in evaluated.values() if key in run.metrics]
        for run in having:
            changed = re.sub(rf"(?m)^  {key}: .*$", f"  {key}: {run.metrics[key] / 2 + 0.01}", before[run.id], count=1)
            assert changed != before[run.id]
            records[run.id].write_text(changed)
        ssl("runs rebuild")  # so that registry.yaml tells the same
        result = ssl("runs verify --numbers")
        assert result.code == 3
        assert [run.id for run in having if f"{run.id}: changed: metric {key}" not in result.out] == [], key
        for run in having:
            records[run.id].write_text(before[run.id])
    registry.index.write_text(index)
    assert ssl("runs verify --numbers").code == 0


def test_an_edited_curve_or_count_and_exchanged_logits_are_found(
    ssl: Cli, evaluated: dict[str, Run], registry: Registry
) -> None:
    run = evaluated["linear scratch"]
    record = registry.path(f"{run.folder}/run.yaml")
    before, index = record.read_text(), registry.index.read_text()
    other = evaluated["linear"].id
    for pattern, text in ((r"  val/acc: .*", "  val/acc: 0.99"), (rf"  {other}: \d+", f"  {other}: 79")):
        record.write_text(re.sub(pattern, text, before, count=1))
        assert record.read_text() != before
        ssl("runs rebuild")
        result = ssl("runs verify --numbers")
        assert (result.code, f"{run.id}: changed" in result.out) == (3, True), pattern
    record.write_text(before)
    registry.index.write_text(index)
    path = registry.path(f"{run.folder}/{FILE}")
    kept = read_kept(path)
    keep(path, Kept(kept.logits, kept.labels.copy()[::-1], kept.indices))
    assert "changed: metric test_nll" in ssl("runs verify --numbers").out
    path.write_bytes(b"PK nonsense")
    assert "is damaged" in ssl("runs verify --numbers").out
    path.unlink()
    assert "has no test logits" in ssl("runs verify --numbers").out
    assert ssl("runs verify").code == 0


@pytest.mark.usefixtures("pretrained")
def test_a_run_that_says_it_is_another_is_found(ssl: Cli, done: Done, registry: Registry) -> None:
    pair = [done(f"probe {PROBE} --init {init}") for init in ("pretrained", "scratch")]
    records = {run.id: registry.path(f"{run.folder}/run.yaml") for run in pair}
    before = {name: path.read_text() for name, path in records.items()}
    other = {"pretrained": "scratch", "scratch": "pretrained"}

    def edited(pattern: str, new: str) -> str:
        for run in pair:
            text = re.sub(pattern, new.replace("OTHER", other[run.init or ""]), before[run.id])
            assert text != before[run.id]
            records[run.id].write_text(text)
        ssl("runs rebuild")
        result = ssl("runs verify --numbers")
        assert result.code == 3
        return result.out

    assert edited(r"(?m)^init: .*", "init: OTHER").count("changed: init is") == 2
    assert edited(r"(?m)^( *)init: .*", r"\1init: OTHER").count("changed: init is") == 2  # in the options, too
    assert edited(r"label_fraction: .*", "label_fraction: 0.5").count("changed: label_fraction is recorded as 0.5") == 2
    assert edited(r"(?m)^epochs: .*", "epochs: 300.0").count("changed: epochs is recorded as 300.0") == 2
    assert edited(r"seed: 1", "seed: 2").count("changed: seed is recorded as 2") == 2


@pytest.mark.usefixtures("pretrained")
def test_another_runs_damaged_logits_stop_no_training(ssl: Cli, done: Done, registry: Registry) -> None:
    first = done(f"probe {PROBE}")
    path = registry.path(f"{first.folder}/{FILE}")
    path.write_bytes(path.read_bytes()[:1000])
    second = done(f"probe {PROBE} --init scratch")
    assert (second.status, second.both_right) == ("finished", {})
    assert f"{second.id}: as recorded" in ssl("runs verify --numbers").out


def test_kept_logits_with_any_bit_flipped_are_read_or_refused(tmp_path: Path) -> None:
    path = tmp_path / FILE
    keep(path, Kept(np.random.default_rng(1).normal(size=(40, 3)).astype(np.float32), np.arange(40), np.arange(40)))
    whole = path.read_bytes()
    refused = 0
    for bit in range(0, 8 * len(whole), 7):
        spoilt = bytearray(whole)
        spoilt[bit // 8] ^= 1 << bit % 8
        path.write_bytes(spoilt)
        try:
            read_kept(path)
        except StateError:
            refused += 1
    assert refused > 100


@pytest.mark.parametrize(("labels", "logits"), [((3,), (4, 2)), ((4,), (4,))])
def test_kept_logits_that_do_not_fit_are_refused(tmp_path: Path, labels: tuple[int, ...], logits: tuple[int, ...]) -> None:
    path = tmp_path / FILE
    keep(path, Kept(np.zeros(logits, np.float32), np.zeros(labels, np.int64), np.zeros(4, np.int64)))
    with pytest.raises(StateError, match="differ in length"):
        read_kept(path)


def test_knn_votes_equal_scikit_learns_with_and_without_temperature() -> None:
    torch.manual_seed(0)
    labels = torch.arange(600) % 4
    points = torch.randn(600, 6) + nn.functional.one_hot(labels, 6)
    bank, queries = points[:500], points[500:]
    for k, temperature in ((10, None), (200, 0.1), (20, 0.07)):

        def weights(distance: np.ndarray, temperature: float | None = temperature) -> np.ndarray:
            return np.ones_like(distance) if temperature is None else np.exp((1 - distance) / temperature)

        model = KNeighborsClassifier(k, metric="cosine", weights=weights).fit(bank, labels[:500])
        votes = knn_votes(bank, labels[:500], queries, classes=4, k=k, temperature=temperature)
        assert np.allclose(votes.numpy(), model.predict_proba(queries), atol=1e-4)


@pytest.mark.usefixtures("pretrained")
def test_the_knn_protocol_asks_all_labelled_training_images(done: Done) -> None:
    plain, weighted = done("probe --protocol knn"), done("probe --protocol knn --k 200 --temperature 0.1")
    assert plain.experiment == "knn"
    assert (weighted.options["k"], weighted.options["temperature"]) == (200, 0.1)
    assert plain.setup != weighted.setup
    assert plain.epochs is None


@pytest.mark.parametrize(
    ("line", "text"),
    [
        ("--protocol knn --epochs 3", "--epochs 3: belongs to linear and linear-augmented; with --protocol knn leave it out"),
        (
            "--protocol logistic --batch-size 5",
            "--batch-size 5: belongs to linear and linear-augmented; with --protocol logistic",
        ),
        ("--protocol logistic --temperature 0.1", "--temperature 0.1: belongs to knn; with --protocol logistic leave it out"),
        ("--k 5", "--k 5: belongs to knn; with --protocol linear leave it out"),
        ("--config options.yaml", "--k 7: belongs to knn; with --protocol linear leave it out"),
    ],
)
def test_an_option_of_another_protocol_is_refused(ssl: Cli, tmp_path: Path, line: str, text: str) -> None:
    (tmp_path / "options.yaml").write_text("k: 7\n")
    result = ssl(f"probe {line}")
    assert (result.code, text in result.err) == (2, True), result.err


@pytest.mark.usefixtures("pretrained")
def test_an_option_of_another_protocol_at_its_default_is_no_error(done: Done) -> None:
    plain = done("probe --protocol knn")
    assert done("probe --protocol knn --epochs 30 --batch-size 256 --k 10").pair == plain.pair


@pytest.mark.usefixtures("pretrained")
def test_more_neighbours_than_labelled_images_are_refused(ssl: Cli, done: Done) -> None:
    result = ssl("probe --protocol knn --k 241")
    assert (result.code, "--k 241: accepted is at most the 240 images that have labels" in result.err) == (2, True)
    result = ssl("probe --protocol knn --k 240 --label-fraction 0.5")
    assert (result.code, "--k 240: accepted is at most the 120 images" in result.err) == (2, True)
    done("probe --protocol knn --k 240")


@pytest.mark.usefixtures("pretrained")
@pytest.mark.parametrize("command", ["probe", "probe --protocol knn", "finetune", "finetune --init scratch"])
def test_a_share_of_the_labels_that_would_be_rounded_up_is_refused(ssl: Cli, done: Done, command: str) -> None:
    result = ssl(f"{command} --label-fraction 0.01")
    assert result.code == 2
    assert "--label-fraction 0.01: this is 0.24 of the 24 training images of the smallest class of shapes" in result.err
    least = re.search(r"accepted is (\S+) to 1", result.err)
    assert least
    assert least[1] == "0.083334"
    done("probe --protocol knn --label-fraction 0.083334")


@pytest.mark.parametrize(("images", "fraction"), [(5000, 0.01), (5000, 0.0004), (24, 0.1), (24, 0.083334), (1, 1.0)])
def test_a_share_that_is_accepted_differs_from_what_is_used_by_rounding(images: int, fraction: float) -> None:
    labels = torch.arange(3 * images) % 3
    hold_to_labels(class_counts(labels), label_fraction=fraction, dataset="x")
    parts = split(labels, seed=1, label_fraction=fraction)
    assert abs((len(parts.train) + len(parts.val)) / 3 - fraction * images) <= 1


def test_all_rates_on_augmented_images_train_as_each_would_alone() -> None:
    torch.manual_seed(0)
    h, labels = torch.randn(96, 6), torch.arange(96) % 3
    batches = Batches(96, 32, seed=0, drop_last=False)
    heads = HeadPerRate(6, 3)
    optimizer = torch.optim.SGD(heads.parameters(), lr=1.0, momentum=0.9)
    best = torch.zeros(len(RATES))
    for step in range(6):
        optimizer.param_groups[0]["lr"] = 0.5 * (1 + torch.cos(torch.tensor(torch.pi * step / 6)).item())
        optimizer.zero_grad()
        rows = batches.at(step)
        heads.loss(h[rows], labels[rows]).backward()
        optimizer.step()
        if step in (2, 5):
            best = torch.maximum(best, (heads(h).argmax(2) == labels).float().mean(1))
    found = search_rate(h, labels, h, labels, classes=3, epochs=2, batches=batches)
    assert best.tolist() == pytest.approx(list(found.values()), abs=1e-6)


def test_augmented_linear_evaluation_leaves_the_encoder_alone(pretrained: Run, done: Done, registry: Registry) -> None:
    run = done(f"probe --protocol linear-augmented {PROBE}")
    mine, theirs = load_checkpoint(registry, run, "best")["model"], load_checkpoint(registry, pretrained, "last")["model"]
    for name, value in theirs.items():
        if name.startswith("encoder."):
            assert torch.equal(mine[name], value), name


def test_logistic_regression_chooses_its_strength_on_validation_images() -> None:
    torch.manual_seed(0)
    h, labels = torch.randn(300, 5), torch.arange(300) % 2
    h[:, 0] += 2 * labels
    head, strength = logistic_regression(h[:200], labels[:200], h[200:], labels[200:], classes=2)
    assert strength in (1e-4, 1e-3, 1e-2, 1e-1, 1.0)
    assert float((head(h[200:]).argmax(1) == labels[200:]).float().mean()) > 0.75


def test_label_fractions_are_read_from_all_to_few() -> None:
    assert label_fractions("0.01,1,0.1,1") == [1.0, 0.1, 0.01]


def test_label_fractions_keep_every_protocol_of_a_preset() -> None:
    preset: dict[str, Any] = {
        "pretrain": [{"dataset": "shapes"}],
        "probe": [{"epochs": 10}, {"protocol": "linear", "epochs": 30, "label-fraction": 0.1}, {"protocol": "knn"},
                  {"protocol": "knn", "k": 200, "temperature": 0.1}],
    }  # fmt: skip
    steps = trainings_of(preset, Study(label_fractions="0.1,1", preset="mine"))[1:]
    shown = [(o.get("protocol", "linear"), o.get("k"), o.get("epochs"), o["label_fraction"]) for _, o in steps[::2]]
    assert shown == [
        ("linear", None, 10, 1.0), ("linear", None, 30, 0.1),
        ("knn", None, None, 1.0), ("knn", None, None, 0.1), ("knn", 200, None, 1.0), ("knn", 200, None, 0.1),
    ]  # fmt: skip


@pytest.mark.parametrize("section", [{"seed": 7}, {"encoder": "latest"}, {"init": "scratch"}, {"label_fraction": 0}])
def test_a_preset_cannot_decide_what_the_study_decides(section: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match=r"mine: probe 1"):
        trainings_of({"pretrain": [{}], "probe": [section]}, Study(preset="mine", label_fractions="0.1"))


@pytest.mark.usefixtures("no_pictures")
def test_a_study_of_seeds_and_few_labels_gives_means_and_one_difference_a_setting(
    ssl: Cli, registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shapes, "TRAIN", 400)
    line = "study --set pretrain.batch_size=32 --set pretrain.keep_every=0 --set probe.epochs=2 --set finetune.epochs=1"
    line += " --max-steps 2 --seeds 2 --label-fractions 0.1,1"
    result = ssl(line)
    assert result.code == 0, result.err
    assert len(registry.runs()) == 2 * (1 + 8 + 4)
    assert {run.seed for run in registry.runs()} == {1, 2}
    shown = json.loads(ssl("compare --format json").out)
    assert [(d["protocol"], d["label_fraction"]) for d in shown["differences"]] == [
        (protocol, share) for protocol in ("linear", "knn", "finetune") for share in (1.0, 0.1)
    ]
    for found in shown["differences"]:
        rows = [row for row in shown["rows"] if row["run"] in found["pretrained_runs"]]
        assert found["seeds"] == [1, 2]
        assert found["interval"] == "seeds"
        assert found["pretrained"] == pytest.approx(sum(row["test_acc"] for row in rows) / 2)
        assert found["low"] <= found["difference"] <= found["high"]
    table = ssl("compare").out
    assert table.count("±") >= 12
    assert "Means over 2 seeds" in " ".join(table.split())
    assert ssl(line).err.count("finished already") == 26
    assert ssl("runs verify --numbers").code == 0


@pytest.mark.usefixtures("pretrained")
def test_a_part_of_the_labels_that_is_rounded_up_by_much_is_said(ssl: Cli) -> None:
    result = ssl("probe --protocol knn --label-fraction 0.1")
    assert result.code == 0
    assert "--label-fraction 0.1: 30 of 240 labels, 0.12: each class needs one held out" in result.err
    assert "each class needs" not in ssl("probe --protocol knn --label-fraction 0.5").err


@pytest.mark.usefixtures("pretrained")
def test_of_two_evaluations_that_end_together_one_counts_the_other(done: Done, registry: Registry) -> None:
    pretrained, scratch = done("probe --protocol knn"), done("probe --protocol knn --init scratch")
    for run in (pretrained, scratch):
        run.status, run.both_right = "running", {}
        registry.save(run)
    kept = read_kept(registry.path(f"{pretrained.folder}/{FILE}"))
    assert set(count_both_right(registry, pretrained, kept)) == {scratch.id}


@pytest.mark.parametrize("protocol", ["linear", "linear-augmented"])
def test_max_steps_ends_a_probe_and_its_search_within_the_first_epoch(
    done: Done, pretrained: Run, monkeypatch: pytest.MonkeyPatch, protocol: str
) -> None:
    looked: list[int] = []

    def spy(*arguments: Any, **named: Any) -> dict[float, float]:
        found = search_rate(*arguments, **named)
        looked.append(named["max_steps"])
        assert any(found.values())  # it is measured at its end, though no epoch is whole
        return found

    monkeypatch.setattr("sslcli.evaluation.linear.search_rate", spy)
    run = done(f"probe --protocol {protocol} --epochs 5 --batch-size 32 --max-steps 3")
    assert [entry["step"] for entry in run.history] == [3]
    assert looked == ([3] if protocol == "linear" else [])
    assert run.parent == pretrained.id


def test_a_study_in_few_steps_stops_its_probes_too_and_one_that_has_no_steps_is_as_ever(registry: Registry, ssl: Cli) -> None:
    preset = "pretrain: {dataset: shapes, backbone: resnet9-small, batch_size: 32, epochs: 1}\nprobe: [{}, {protocol: knn}]\n"
    (registry.root / "mine.yaml").write_text(f"{preset}finetune: {{epochs: 1}}\n")
    assert ssl("study --preset mine.yaml --max-steps 3 --plan").code == 0
    planned = [(run.experiment, registry.load(run).options["max_steps"]) for run in registry.runs()]
    assert planned == [("pretrain", 3), *[("linear_eval", 3)] * 2, *[("knn", None)] * 2, *[("finetune", 3)] * 2]


def test_the_pair_of_a_probe_without_a_number_of_steps_is_that_of_older_runs() -> None:
    options = {"protocol": "linear", "epochs": 30, "batch_size": 256}
    assert pair_key("linear_eval", options | {"max_steps": None}, "data") == pair_key("linear_eval", options, "data")
    assert pair_key("linear_eval", options | {"max_steps": 5}, "data") != pair_key("linear_eval", options, "data")
