"""The card of an encoder: which runs stand beside each other, what is measured of them, and what is written."""

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from sslcli.cards import elsewhere
from sslcli.cards.arms import Answers, arms_of, groups, main_run
from sslcli.cards.card import Card
from sslcli.cards.elsewhere import at_side, others, transfer
from sslcli.cards.files import save_card
from sslcli.cards.layout import markdown, print_card, tables, verdict
from sslcli.cards.sturdiness import Answered, Gap, gaps, sturdy
from sslcli.data.corruptions import CORRUPTIONS, SEVERITIES, corrupt
from sslcli.data.loading import load_data
from sslcli.evaluation.protocols.protocol import Start
from sslcli.evaluation.represented import Represented
from sslcli.evaluation.statistics import paired, paired_scores
from sslcli.evaluation.test_logits import read_kept
from sslcli.models.encoder import build_encoder
from sslcli.models.own_input import own_input
from sslcli.runs.registry import Registry
from sslcli.runs.run import Run
from tests.conftest import TINY, Cli, Once
from tests.models.test_networks import NAME, save_weights


@pytest.fixture
def study(done: Callable[[str], Run], once: Once[list[str]]) -> list[str]:
    """The ids of a linear evaluation, its partner from scratch, a fine-tuning, its partner, and a kNN evaluation."""
    lines = [
        "probe --epochs 2", "probe --epochs 2 --init scratch", "finetune --max-steps 2 --epochs 1",
        "finetune --max-steps 2 --epochs 1 --init scratch", "probe --protocol knn",
    ]  # fmt: skip

    def make_study_of_card() -> list[str]:
        done(f"pretrain {TINY}")
        return [done(line).id for line in lines]

    return once(make_study_of_card)


def card_of(registry: Registry, run: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((registry.root / "results" / "cards" / run / "card.json").read_text())
    return found


def made_answers(arm: Any, clean: list[int], corrupted: list[int], confidence: float = 0.8) -> Answered:
    """Answers whose corrupted versions are all right or all wrong."""

    def of(right: list[int]) -> Answers:
        return Answers(np.array(right, bool), np.full(len(right), confidence))

    return Answered(arm, of(clean), {name: [of(corrupted)] * len(SEVERITIES) for name in CORRUPTIONS})


class MadeArm:
    """An arm with a name alone."""

    def __init__(self, init: str, protocol: str = "linear") -> None:
        self.record = Run(id=f"run-{init}", experiment="linear_eval", status="finished", init=init)
        self.protocol, self.name = protocol, f"{init}, {protocol}"


def test_the_card_of_the_newest_pretraining_measures_four_classifiers_on_the_same_pictures(
    ssl: Cli, registry: Registry, study: list[str]
) -> None:
    result = ssl("card --n 5000 --transfer patchwork")
    assert result.code == 0, result.err
    card = card_of(registry, study[0])
    assert [row["run"] for row in card["sturdiness"]] == study[:4]
    assert [row["arm"] for row in card["sturdiness"]] == [
        "pretrained, linear", "scratch, linear", "pretrained, finetune", "scratch, finetune",
    ]  # fmt: skip
    assert (card["images"], card["test_images"], card["archive"]) == (80, 80, None)
    for row in card["sturdiness"]:
        assert row["clean"]["value"] == pytest.approx(registry.load(registry.find(row["run"])).metrics["test_acc"])
        assert row["corrupted"]["value"] == pytest.approx(np.mean([one["value"] for one in row["severities"]]))
        assert row["corrupted"]["value"] == pytest.approx(np.mean([*row["kinds"].values()]))
    kept = [read_kept(registry.path(f"{registry.find(run).folder}/test_logits.npz")).right for run in study[:2]]
    clean = next(gap for gap in card["gaps"] if (gap["what"], gap["first"]) == ("clean", "pretrained, linear"))
    wanted = paired(int(kept[0].sum()), int(kept[1].sum()), int((kept[0] & kept[1]).sum()), 80)
    assert (clean["value"], clean["low"], clean["high"]) == pytest.approx((wanted.value, wanted.low, wanted.high))
    assert {one["dataset"] for one in card["elsewhere"]} == {"patchwork"}
    assert all(0 <= one["value"] <= 1 for one in card["elsewhere"])
    assert max(map(len, result.out.splitlines())) <= 100
    folder = registry.root / "results" / "cards" / study[0]
    assert sorted(path.name for path in folder.iterdir()) == ["card.json", "card.md", "severity.png"]
    assert "Does pretraining without labels make it sturdier?" in (folder / "card.md").read_text()


def test_others_weights_stand_beside_pretrained_and_scratch_and_the_tables_stay_narrow(
    ssl: Cli, registry: Registry, done: Callable[[str], Run], study: list[str]
) -> None:
    torch.save(build_encoder("resnet9-small", stem="own", seed=7).backbone.state_dict(), "imagenet.pth")
    other = done("probe --epochs 2 --init imagenet.pth")
    result = ssl(f"card {study[0]} --n 10 --transfer none")
    assert result.code == 0, result.err
    card = card_of(registry, study[0])
    assert [row["run"] for row in card["sturdiness"]][:3] == [study[0], other.id, study[1]]
    against = {(gap["first"], gap["second"]) for gap in card["gaps"] if gap["what"] == "corrupted"}
    assert ("imagenet, linear", "scratch, linear") in against
    assert [line for line in result.out.splitlines() if len(line) > 100] == []


def test_a_card_is_the_same_every_time_and_its_seed_draws_the_pictures(ssl: Cli, registry: Registry, study: list[str]) -> None:
    made = []
    for seed in (1, 1, 2):
        assert ssl(f"card {study[1]} --n 10 --transfer none --seed {seed}").code == 0
        made.append(card_of(registry, study[1])["sturdiness"])
    assert made[0] == made[1] != made[2]


def test_what_cannot_have_a_card_is_refused_before_anything_is_written(
    ssl: Cli, registry: Registry, pretrained: Run, done: Callable[[str], Run]
) -> None:
    result = ssl("card")
    assert (result.code, f"type: ssl probe --encoder {pretrained.id}" in result.err) == (3, True)
    knn = done("probe --protocol knn")
    result = ssl(f"card {knn.id}")
    assert (result.code, "classifies no other pictures" in result.err) == (2, True)
    result = ssl("card --transfer folder: --transfer shapes")
    assert (result.code, "--transfer 'folder:'" in result.err) == (2, True)
    result = ssl("card --transfer none --transfer shapes")
    assert (result.code, "accepted is none alone" in result.err) == (2, True)
    done("probe --epochs 1")
    result = ssl("card --transfer svhn")
    assert (result.code, "SVHN is not in" in result.err) == (3, True)
    assert not (registry.root / "results" / "cards").exists()


def test_data_sets_that_nobody_named_are_used_where_they_lie(ssl: Cli, study: list[str], registry: Registry) -> None:
    result = ssl("card --n 10")
    assert (result.code, "or not whole: cifar10, cifar100" in result.err) == (0, True)
    assert {one["dataset"] for one in card_of(registry, study[0])["elsewhere"]} == {"patchwork"}  # shapes are its own


def test_a_folder_of_pictures_is_another_data_set_and_one_that_is_missing_is_refused(
    ssl: Cli, study: list[str], registry: Registry, tmp_path: Path
) -> None:
    random = np.random.default_rng(0)
    for name in ("cats", "dogs"):
        (tmp_path / "photos" / name).mkdir(parents=True)
        for number in range(8):
            pixels = random.integers(0, 255, (40, 48, 3), np.uint8)
            Image.fromarray(pixels).save(tmp_path / "photos" / name / f"{number}.png")
    result = ssl("card --n 10 --transfer folder:photos")
    assert result.code == 0, result.err
    assert {one["dataset"] for one in card_of(registry, study[0])["elsewhere"]} == {"folder:photos"}
    result = ssl("card --n 10 --transfer folder:nowhere")
    assert (result.code, "nowhere" in result.err) == (3, True)


def test_pictures_of_the_same_classes_from_elsewhere_are_classified_and_never_those_that_were_trained_on(
    ssl: Cli, registry: Registry, done: Callable[[str], Run], tmp_path: Path
) -> None:
    random = np.random.default_rng(0)
    for folder, names in (("photos", ("cats", "dogs")), ("camera", ("cats", "dogs")), ("birds", ("birds", "dogs"))):
        for name in names:
            (tmp_path / folder / name).mkdir(parents=True)
            for number in range(10):
                pixels = random.integers(0, 255, (40, 48, 3), np.uint8)
                Image.fromarray(pixels).save(tmp_path / folder / name / f"{number}.png")
    done("pretrain --dataset folder:photos --backbone resnet9-small --batch-size 8 --epochs 1 --max-steps 2")
    run = done("probe --epochs 1")
    result = ssl("card --transfer none --moved folder:camera")
    assert result.code == 0, result.err
    (found,) = card_of(registry, run.id)["elsewhere"]
    listed = ssl(f"predict --run {run.id} --images camera").out.splitlines()
    right = [line for line in listed if f": {Path(line.partition(':')[0]).parent.name} " in line]
    assert len(listed) == 20
    assert (found["dataset"], found["value"]) == ("folder:camera", pytest.approx(len(right) / 20))
    result = ssl("card --transfer none --moved folder:birds")
    assert (result.code, "'birds' is not known to the classifiers" in result.err) == (2, True)
    shutil.copytree(tmp_path / "photos" / "cats", tmp_path / "camera" / "cats" / "more")
    result = ssl("card --transfer none --moved folder:camera")
    assert (result.code, "were trained on 8 of its pictures" in result.err) == (2, True)
    result = ssl("card --moved shapes")
    assert (result.code, "accepted is folder:PATH" in result.err) == (2, True)


def test_the_published_corruptions_are_used_where_they_lie_and_compared_with_ours(
    ssl: Cli, registry: Registry, done: Callable[[str], Run], small_cifar: Path
) -> None:
    done("pretrain --dataset cifar10 --backbone resnet9-small --batch-size 32 --epochs 1 --max-steps 2")
    run = done("probe --epochs 1")
    data = load_data("cifar10", small_cifar)
    folder = small_cifar / "CIFAR-10-C"
    folder.mkdir()
    rows = torch.arange(len(data.test_labels))
    for name in CORRUPTIONS:
        made = torch.cat([corrupt(data.test_images, name, severity=severity, seed=9) for severity in SEVERITIES])
        np.save(folder / f"{name}.npy", made.permute(0, 2, 3, 1).numpy())
    np.save(folder / "labels.npy", data.test_labels.repeat(5).numpy())
    (small_cifar / "CIFAR-10.1").mkdir()
    np.save(small_cifar / "CIFAR-10.1" / "cifar10.1_v6_data.npy", data.test_images[:6].permute(0, 2, 3, 1).numpy())
    np.save(small_cifar / "CIFAR-10.1" / "cifar10.1_v6_labels.npy", data.test_labels[:6].numpy())
    result = ssl("card --n 100 --transfer none")
    assert result.code == 0, result.err
    card = card_of(registry, run.id)
    right = read_kept(registry.path(f"{run.folder}/test_logits.npz")).right[:6]  # the same pictures as other test images
    wanted = {"what": "accuracy", "dataset": "CIFAR-10.1", "arm": "pretrained, linear", "value": right.mean()}
    assert card["elsewhere"] == [pytest.approx(wanted)]
    (row,) = card["sturdiness"]
    assert (card["archive"], card["images"]) == ("CIFAR-10-C", len(rows))
    same = [name for name in CORRUPTIONS if row["kinds"][name] == card["ours"][row["arm"]][name]]
    assert {"defocus_blur", "zoom_blur", "brightness", "contrast", "pixelate", "jpeg_compression"} <= set(same)  # no chance
    assert "CIFAR-10-C: accuracy in per cent" in result.out
    assert "cannot be said: there is no finished partner" in " ".join(result.out.split())


def test_a_transfer_does_not_look_at_the_test_labels(registry: Registry, study: list[str]) -> None:
    """Each test image is right for exactly one of the classes, whatever the others' labels are."""
    device = torch.device("cpu")
    arm = arms_of(registry, study[1], device)[1:2]
    data = others(["patchwork"], "shapes", registry.root, side=32)[0][1]()
    some = data.first(60)
    shares = []
    for label in range(len(data.classes)):
        there = replace(some, test_labels=torch.full_like(some.test_labels, label))
        shares.append(transfer(arm, there, "patchwork", device)[0][0].value)
    assert sum(shares) == pytest.approx(1)


def test_the_gap_under_corruption_is_over_each_images_share_of_right_versions() -> None:
    first = made_answers(MadeArm("pretrained"), [1, 1, 1, 0], [1, 1, 0, 0])
    second = made_answers(MadeArm("scratch"), [1, 1, 0, 0], [0, 0, 0, 1])
    clean, corrupted, loss = gaps([first, second])
    assert clean.value == pytest.approx(1 / 4)
    wanted = paired_scores(1 / 4, 3 / 4, 4)
    assert (corrupted.value, corrupted.low, corrupted.high) == pytest.approx((wanted.value, wanted.low, wanted.high))
    half = paired_scores(0, 1 / 4, 4)  # one loses 0, 0, 1 and 0, the other 1, 1, 0 and -1; scores go from -1 to 1
    assert (loss.value, loss.low, loss.high) == pytest.approx((2 * half.value, 2 * half.low, 2 * half.high))


def test_the_score_under_corruption_is_over_all_severities() -> None:
    def at(severity: int) -> Answers:
        return Answers(np.array([severity < 5, severity < 2]), np.full(2, 0.8))

    found = replace(made_answers(MadeArm("scratch"), [1, 1], [0, 0]), corrupted={"fog": [at(one) for one in SEVERITIES]})
    assert found.score == pytest.approx([4 / 5, 1 / 5])


def test_calibration_is_measured_at_each_severity() -> None:
    row = sturdy(made_answers(MadeArm("pretrained"), [1, 1, 1, 1, 0], [1, 0, 0, 0, 0]))
    assert row.clean_ece == pytest.approx(0.0)
    assert row.ece == pytest.approx([0.6] * 5)
    assert (row.clean.value, row.corrupted.value, row.loss) == pytest.approx((0.8, 0.2, 0.6))
    assert row.clean.low < 0.8 < row.clean.high


@pytest.mark.parametrize(
    ("corrupted", "loss", "word"),
    [
        (
            (0.1, 0.05, 0.2),
            (-0.1, -0.2, -0.05),
            "Linear evaluation: yes, it is more accurate",
        ),
        ((0.1, 0.05, 0.2), (0.0, -0.1, 0.1), "it is not shown to lose less"),
        ((0.1, 0.05, 0.2), (0.1, 0.05, 0.2), "but it loses more"),
        ((0.0, -0.1, 0.1), (0.0, -0.1, 0.1), "no difference that can be told from chance"),
        ((-0.1, -0.2, -0.05), (0.1, 0.05, 0.2), "no, it is less accurate on corrupted pictures and loses more"),
        ((-0.1, -0.2, -0.05), (-0.1, -0.2, -0.05), "it loses less, but is less accurate"),
    ],
)
def test_the_sentence_says_what_both_intervals_allow(
    corrupted: tuple[float, float, float], loss: tuple[float, float, float], word: str
) -> None:
    rows = [sturdy(made_answers(MadeArm(init), [1, 1, 0], [1, 0, 0])) for init in ("pretrained", "scratch")]
    names = {"first": rows[0].arm, "second": rows[1].arm, "protocol": "linear"}
    both = [
        Gap(what=what, value=ends[0], low=ends[1], high=ends[2], **names)
        for what, ends in (("corrupted", corrupted), ("loss", loss))
    ]  # fmt: skip
    assert word in verdict(card_with(sturdiness=rows, gaps=both))


def test_the_verdict_is_on_what_was_pretrained_here_whatever_a_file_is_called() -> None:
    scratch = sturdy(made_answers(MadeArm("scratch"), [1, 1, 0], [1, 0, 0]))
    for init, name, told in (
        ("pretrained-from-lite0-1234abcd", "continued from lite0, linear", True),
        ("file-pretrained-big-1234abcd", "pretrained-big, linear", False),
    ):
        arm = MadeArm(init)
        arm.name = name
        ends = {"first": name, "second": scratch.arm, "protocol": "linear", "value": 0.1, "low": 0.05, "high": 0.2}
        found = card_with(
            sturdiness=[sturdy(made_answers(arm, [1, 1, 0], [1, 0, 0])), scratch],
            gaps=[Gap(what=what, **ends) for what in ("corrupted", "loss")],
        )
        assert ("This cannot be said" not in verdict(found)) == told


def card_with(**known: Any) -> Card:
    plain = {"run": "a", "dataset": "shapes", "backbone": "resnet9", "method": None, "images": 3, "test_images": 9, "seed": 1}
    return Card(**{**plain, "archive": None, "sturdiness": [], "gaps": [], "elsewhere": []} | known)


def test_a_card_without_partners_has_no_empty_table_and_says_what_is_missing(capsys: pytest.CaptureFixture[str]) -> None:
    card = card_with(sturdiness=[sturdy(made_answers(MadeArm("pretrained"), [1, 1, 0], [1, 0, 0]))])
    assert all(table.rows for table in tables(card))
    print_card(card)
    out = " ".join(capsys.readouterr().out.split())
    assert "there is no finished partner from scratch" in out
    assert "3 of the 9 test images" in out
    assert "| pretrained, linear | 66.7 |" in markdown(card)


def test_three_files_are_written_and_nothing_else(registry: Registry) -> None:
    card = card_with(sturdiness=[sturdy(made_answers(MadeArm("pretrained"), [1, 1, 0], [1, 0, 0]))])
    written = save_card(registry, card)
    assert [path.name for path in written] == ["card.md", "card.json", "severity.png"]
    assert not [path for path in written[0].parent.iterdir() if path not in written]


def runs_of(*made: Run) -> Registry:
    class Made(Registry):
        def runs(self) -> list[Run]:
            return list(made)

    return Made(Path())


def evaluation(name: str, **known: Any) -> Run:
    plain: dict[str, Any] = {"experiment": "linear_eval", "status": "finished", "protocol": "linear", "dataset": "shapes",
                             "label_fraction": 1.0, "seed": 1, "pair": "p"}  # fmt: skip
    return Run(id=name, **plain | known)


def test_beside_each_other_stand_the_newest_of_each_init_and_fine_tuned_siblings() -> None:
    tuned = {"experiment": "finetune", "protocol": "finetune"}
    registry = runs_of(
        Run(id="pre", experiment="pretrain", status="finished"),
        evaluation("old", init="scratch"),
        evaluation("scratch", init="scratch"),
        evaluation("imagenet", init="file-imagenet-1234"),
        evaluation("half", init="pretrained", parent="pre", label_fraction=0.5, pair="q"),
        evaluation("linear", init="pretrained", parent="pre"),
        evaluation("other seed", init="pretrained", parent="pre2", seed=2, pair="r"),
        evaluation("tuned", init="pretrained", parent="pre", pair="t", **tuned),
        evaluation("tuned scratch", init="scratch", pair="t", **tuned),
        evaluation("stopped", init="pretrained", parent="pre", **tuned | {"status": "interrupted"}),
    )
    main = main_run(registry, "pre")
    assert main.id == "linear"
    wanted = [["linear", "imagenet", "scratch"], ["tuned", "tuned scratch"]]
    assert [[run.id for run in group] for group in groups(registry, main)] == wanted
    from_tuned = groups(registry, main_run(registry, "tuned"))
    assert [[run.id for run in group] for group in from_tuned] == wanted[::-1]
    from_scratch = groups(registry, main_run(registry, "scratch"))
    assert [[run.id for run in group] for group in from_scratch] == wanted


def test_an_encoder_of_an_earlier_epoch_stands_beside_scratch_and_only_its_own_siblings() -> None:
    tuned = {"experiment": "finetune", "protocol": "finetune", "pair": "t"}
    registry = runs_of(
        evaluation("scratch", init="scratch"),
        evaluation("imagenet", init="file-imagenet-1234"),
        evaluation("early", init="pretrained", parent="pre", at_epoch=5),
        evaluation("early tuned", init="pretrained", parent="pre", at_epoch=5, **tuned),
        evaluation("tuned scratch", init="scratch", **tuned),
        evaluation("late", init="pretrained", parent="pre"),
        evaluation("late tuned", init="pretrained", parent="pre", **tuned),
    )
    for epoch in ("early", "late"):
        wanted = [[epoch, "imagenet", "scratch"], [f"{epoch} tuned", "tuned scratch"]]
        assert [[run.id for run in group] for group in groups(registry, main_run(registry, epoch))] == wanted


def test_a_sibling_that_was_tested_on_other_data_is_left_out() -> None:
    def tuned(sha256: str) -> Run:
        return evaluation(
            f"tuned on {sha256}", experiment="finetune", protocol="finetune", init="pretrained", parent="pre", pair="t",
            data={"sha256": sha256},
        )  # fmt: skip

    main = evaluation("linear", init="pretrained", parent="pre", data={"sha256": "new"})
    registry = runs_of(tuned("new"), tuned("old"), main)
    assert [[run.id for run in group] for group in groups(registry, main)] == [["linear"], ["tuned on new"]]


def test_an_encoder_of_another_network_and_input_size_stands_beside_the_own_ones(
    ssl: Cli, registry: Registry, done: Callable[[str], Run], study: list[str]
) -> None:
    save_weights(Path("theirs.pth"))
    other = done(f"probe --epochs 2 --init {NAME}@40=theirs.pth")
    assert ssl(f"card {study[0]} --n 80 --transfer none").code == 0
    rows = card_of(registry, study[0])["sturdiness"]
    assert [row["run"] for row in rows][:3] == [study[0], other.id, study[1]]
    assert [row["arm"] for row in rows][:3] == ["pretrained, linear", "theirs, linear", "scratch, linear"]
    assert rows[1]["clean"]["value"] == pytest.approx(registry.load(other).metrics["test_acc"])
    assert [run.id for run in groups(registry, other)[0]] == [study[0], other.id, study[1]]


def test_a_transfer_normalises_a_librarys_encoder_as_its_authors_did_and_ones_own_by_the_data(
    ssl: Cli, done: Callable[[str], Run], study: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    save_weights(Path("theirs.pth"))
    done(f"probe --epochs 2 --init {NAME}@32=theirs.pth")
    used: dict[str, list[float]] = {}
    original = elsewhere.represent

    def spy(run: Run, start: Start) -> Represented:
        used[run.init or ""] = start.context.data.normalisation[0].flatten().tolist()
        return original(run, start)

    monkeypatch.setattr(elsewhere, "represent", spy)
    assert ssl(f"card {study[0]} --n 10 --transfer patchwork").code == 0
    (theirs,) = used.keys() - {"pretrained", "scratch"}
    assert used[theirs] == pytest.approx(own_input(NAME).mean)
    assert used["pretrained"] == used["scratch"] != pytest.approx(used[theirs])


def test_pictures_of_another_size_become_squares_of_the_encoders_side() -> None:
    wide = torch.zeros(2, 3, 40, 60, dtype=torch.uint8)
    wide[..., 10:50] = 200
    made = at_side(wide, 32)
    assert (made.shape, made.dtype, made.unique().tolist()) == ((2, 3, 32, 32), torch.uint8, [200])
    same = torch.randint(0, 256, (2, 3, 32, 32), dtype=torch.uint8)
    assert torch.equal(at_side(same, 32), same)
