"""What a training would cost: columns, the parts of a step, the time of a command, what makes it slow."""

import json
import math
import os
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import FlopCounterMode, flop_registry

from sslcli.bench import cost, timing
from sslcli.bench.cost import Costs
from sslcli.bench.minutes import settle_minutes
from sslcli.bench.timing import ATTENTION, PHASES, StepTime, time_step
from sslcli.data.image_data import ImageData
from sslcli.data.sets import shapes
from sslcli.errors import UsageError
from sslcli.options.mapping import from_mapping
from sslcli.options.presets import read_preset
from sslcli.options.pretrain import Pretrain
from sslcli.options.side_by_side import side_by_side
from sslcli.plans.pretraining import plan, training_of
from sslcli.plans.watching import watched_rows
from sslcli.runs.registry import Registry
from sslcli.training import device
from sslcli.training.device import choose_precision, slow_by_choice, usable_cores
from sslcli.training.step import Training
from tests.conftest import TINY, Cli
from tests.layouts import resize
from tests.measuring import processor_time

CPU = torch.device("cpu")
QUICK = "--view-sizes 8 --knn-every 0"
FAST = "--dataset shapes --backbone resnet9-small --no-presets"


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Little is multiplied for the peak, little is repeated, and no step is long because the machine is busy."""
    monkeypatch.setitem(timing.PRODUCT, "cpu", 64)
    monkeypatch.setattr(timing, "BUDGET", 0.0)
    monkeypatch.setattr(timing, "SHORT", 0.0)
    monkeypatch.setattr(timing, "LONG", math.inf)
    monkeypatch.setattr(cost, "BUDGET", 0.0)


def test_the_table_has_a_line_for_each_part_of_a_step_and_the_next_command(ssl: Cli, tmp_path: Path) -> None:
    result = ssl(f"bench finetune {FAST} --batch-size 32 --batch-size 48")
    assert result.code == 0, result.err
    assert "--batch-size 32   " in result.out
    lines = [line.strip() for line in result.out.splitlines()]
    for start in ("seconds per step", *PHASES, "images per second", "fraction of peak", "peak memory", "expected time"):
        assert any(line.startswith(start) for line in lines), start
    assert "ssl finetune --dataset shapes --backbone resnet9-small --batch-size 32, or: ssl finetune" in result.err
    assert list(tmp_path.iterdir()) == []


def test_a_pretraining_of_hours_on_a_cpu_is_not_the_only_command_that_is_advised(ssl: Cli) -> None:
    line = f"bench pretrain {FAST} --no-presets --knn-every 0 --batch-size 32"
    said = ssl(f"{line} --epochs 9000000").err
    assert re.search(
        r"this would take [\d,]+ h.*; for a result sooner, type: ssl pretrain --dataset shapes .*--minutes 15\n", said
    )
    assert "--epochs" not in said.partition("sooner, type:")[2].partition("\n")[0]
    assert said.index("class of this machine") < said.index("for a result sooner") < said.index("to run it, type: ssl pretrain")
    assert "for a result sooner" not in ssl(f"{line} --epochs 1").err


@pytest.mark.parametrize("style", ["csv", "markdown"])
def test_other_formats_have_the_same_figures(ssl: Cli, style: str) -> None:
    result = ssl(f"bench probe {FAST} --epochs 1 --format {style}")
    assert result.code == 0, result.err
    assert "expected" in result.out
    assert result.out.splitlines()[-1].count("," if style == "csv" else "|") >= 2


def test_options_given_unequally_often_are_refused(ssl: Cli) -> None:
    result = ssl("bench --batch-size 8 --batch-size 16 --batch-size 32 --precision bf16 --precision fp32")
    assert result.code == 2
    assert "--batch-size 3 times and --precision 2 times" in result.err


def test_words_are_told_apart_by_what_takes_a_value() -> None:
    line = ["--lr", "0.1", "--deterministic", "--lr=0.2", "--epochs", "3"]
    first, second = side_by_side(line, ["--deterministic"])
    assert first == ["--lr", "0.1", "--deterministic", "--epochs", "3"]
    assert second == ["--deterministic", "--lr=0.2", "--epochs", "3"]
    assert side_by_side([], []) == [[]]
    with pytest.raises(UsageError, match="--lr 2 times and --epochs 3 times"):
        side_by_side([*line, "--epochs", "4", "--epochs", "5"], ["--deterministic"])


@pytest.mark.parametrize(
    "options", ["--batchsize 3", "--batch-size x", "--batch-size 1", "--backbone resnet8", "stray", "--lr"]
)
def test_a_mistyped_option_is_refused_in_the_words_of_the_command_itself(ssl: Cli, options: str) -> None:
    benched, direct = ssl(f"bench pretrain {options}"), ssl(f"pretrain {options}")
    assert benched.code == direct.code == 2
    assert benched.err == direct.err


def test_what_cannot_be_timed_is_refused(ssl: Cli) -> None:
    result = ssl("bench predict")
    assert result.code == 2
    assert "accepted are pretrain, probe, finetune" in result.err


def test_json_holds_what_the_table_says(ssl: Cli) -> None:
    (column,) = json.loads(ssl(f"bench {FAST} --batch-size 32 --epochs 2 --format json").out)["columns"]
    assert column["seconds_per_step"] > 0
    assert list(column["split"]) == [*PHASES, "rest"]
    assert column["images_per_second"] == pytest.approx(32 / column["seconds_per_step"])
    assert column["matmul_share"] > 0
    assert column["peak_memory"] > 2**20
    assert column["expected_seconds"] == pytest.approx(sum(column["expected"].values()))
    assert set(column["expected"]) == {"starting", "data", "steps", "measuring", "checkpoints"}
    assert column["options"]["view_sizes"] == "32"


def tiny(registry: Registry, **options: object) -> tuple[Costs, object]:
    costs = Costs()
    command = Pretrain(**{"dataset": "shapes", "backbone": "resnet9", "batch_size": 32, "precision": "fp32", **options})  # type: ignore[arg-type]
    return costs, plan(registry, command, settle_minutes=settle_minutes, load=costs.load)


def test_the_parts_of_a_step_add_up_to_the_step(registry: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    _, settled = tiny(registry, batch_size=64)
    _, training = training_of(settled.options, settled.context)  # type: ignore[attr-defined]
    now = 0.0
    monkeypatch.setattr(timing, "time", SimpleNamespace(perf_counter=lambda: now))

    def pass_time(seconds: float) -> None:
        nonlocal now
        now += seconds

    def taking(part: Callable[..., Any], seconds: float) -> Callable[..., Any]:
        return lambda *arguments: (pass_time(seconds), part(*arguments))[1]

    def loss_of(*arguments: Any) -> Any:
        loss, scalars = training.loss_of(*arguments)
        loss.register_hook(lambda _: pass_time(4))  # backward begins at it
        return loss, scalars

    training.optimizer.register_step_post_hook(lambda *_: pass_time(5))
    slowed = replace(
        training, batch_at=taking(training.batch_at, 1), views_of=taking(training.views_of, 2), loss_of=taking(loss_of, 3)
    )
    found = time_step(slowed, 0)
    assert found.split == {"batch": 1, "augmentation": 2, "forward": 3, "backward": 4, "optimizer": 5}
    assert found.seconds == 15


def test_attention_counts_as_the_products_that_it_is(registry: Registry) -> None:
    _, settled = tiny(registry, backbone="vit-tiny", batch_size=4, view_sizes="16:1")
    _, training = training_of(settled.options, settled.context)  # type: ignore[attr-defined]
    fused = time_step(training, 0).operations
    with sdpa_kernel(SDPBackend.MATH):
        assert time_step(training, 0).operations == fused
    # 12 layers, 8 views, 3 heads of 64, 16 patches and a token: scores and weighted values, forward, and twice that backward.
    of_attention = 12 * 3 * (2 * 2 * 8 * 3 * 17 * 17 * 64)
    with FlopCounterMode(display=False, custom_mapping=dict.fromkeys(ATTENTION, lambda *_, **__: 0)) as without:
        training.loss_at(0)[0].backward()
    assert fused - without.get_total_flops() == of_attention


@pytest.mark.parametrize("backbone", ["resnet9", "vit-tiny"])
def test_no_product_of_a_step_is_left_out(registry: Registry, backbone: str) -> None:
    _, settled = tiny(registry, backbone=backbone, batch_size=4, optimizer="muon", view_sizes="16:1")
    _, training = training_of(settled.options, settled.context)  # type: ignore[attr-defined]
    with Uncounted() as names:
        training.loss_at(0)[0].backward()
        training.optimizer.step()
    products = re.compile(r"mm|mv|attention|conv|matmul|einsum|linear|dot|outer|ger")
    assert [name for name in names.seen if products.search(name)] == []
    assert "relu_" in names.seen or "gelu" in names.seen


class Uncounted(TorchDispatchMode):
    """Notes the names of the operations that `ssl bench` does not count."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: set[str] = set()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func._overloadpacket not in flop_registry | ATTENTION:
            self.seen.add(func._overloadpacket.__name__)
        return func(*args, **kwargs or {})


def test_operations_are_counted_forward_and_backward_and_of_the_optimizer(registry: Registry) -> None:
    _, settled = tiny(registry, optimizer="sgd")
    _, training = training_of(settled.options, settled.context)  # type: ignore[attr-defined]
    operations = time_step(training, 0).operations
    # The stem: 2 views of 32 images, 16x16 places, 32 filters of 3x4x4; forward, and for the weights backward.
    stem = 2 * (2 * 32) * 16 * 16 * 32 * 48
    assert operations > 2 * stem
    with FlopCounterMode(display=False) as of_one_step:
        training.loss_at(0)[0].backward()
    assert operations == of_one_step.get_total_flops()
    _, settled = tiny(registry, optimizer="muon")
    _, training = training_of(settled.options, settled.context)  # type: ignore[attr-defined]
    assert time_step(training, 0).operations > operations


def test_a_long_step_is_taken_once_and_for_presets_only_in_part(registry: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    _, settled = tiny(registry, batch_size=64)
    _, training = training_of(settled.options, settled.context)  # type: ignore[attr-defined]
    sizes: list[int] = []

    def seen(views: list[torch.Tensor], batch: tuple[torch.Tensor, ...]) -> object:
        sizes.append(len(views[0]))
        return training.loss_of(views, batch)

    watched = replace(training, loss_of=seen)  # type: ignore[arg-type]
    time_step(watched, 0)
    assert sizes == [8, 8, 64, 64]
    sizes.clear()
    monkeypatch.setattr(timing, "LONG", 0.0)
    time_step(watched, 0)
    assert sizes == [8, 8, 64]
    sizes.clear()
    time_step(watched, 0, in_part=True)
    assert sizes == [8, 8, 8]
    sizes.clear()
    training.module.compile(backend="eager")
    time_step(watched, 0, in_part=True)
    assert sizes == [8, 8, 8], "a long step is not compiled for a list of jobs"
    split = {"batch": 0.1, "augmentation": 0.1, "forward": 0.2, "backward": 0.4, "optimizer": 0.3}
    assert timing.grown(StepTime(1.2, split, 7), 8.0).seconds == pytest.approx(8 * 0.8 + 0.3)


def test_a_timed_step_changes_no_weight(registry: Registry) -> None:
    _, settled = tiny(registry, optimizer="muon", weight_decay=0.5)
    _, training = training_of(settled.options, settled.context)  # type: ignore[attr-defined]
    before = {name: weights.clone() for name, weights in training.module.named_parameters()}
    time_step(training, 0)
    assert all(torch.equal(before[name], weights) for name, weights in training.module.named_parameters())


def faked(monkeypatch: pytest.MonkeyPatch, of_step: dict[int, float]) -> None:
    """Steps take what `of_step` says for the size of their views, a tenth of it the optimizer; other work a second."""

    def step_of(training: Training, step: int, **_: bool) -> StepTime:
        views = training.views_of(step, training.batch_at(step))
        seconds = of_step.get(views[0].shape[-1], 1.0)  # of a probe there are representations, not views
        return StepTime(seconds, dict.fromkeys(PHASES, 0.0) | {"optimizer": seconds / 10}, 100.0)

    monkeypatch.setattr(cost, "time_step", step_of)
    for module in (cost, device):
        monkeypatch.setattr(module, "seconds_of", lambda *_: 1.0)
    monkeypatch.setattr(cost, "STARTING", 3.0)


def test_the_expected_time_of_pretraining_adds_up_over_sizes_epochs_and_checkpoints(
    registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    faked(monkeypatch, {16: 2.0, 24: 4.0, 32: 8.0})
    costs, settled = tiny(registry, epochs=4, view_sizes="16:0.5,24:0.25,32:0.25", knn_every=3, keep_every=2)
    costs.seeing = lambda *_: 1e-6  # type: ignore[method-assign]
    found = costs.of(settled)  # type: ignore[arg-type]
    assert (found.steps, found.epoch_steps) == (28, 7)
    assert found.expected["steps"] == pytest.approx(14 * 2 + 7 * 4 + 7 * 8)
    assert found.expected["measuring"] == 2  # after epochs 3 and 4
    assert found.expected["checkpoints"] == 2  # one kept after epoch 2, one at the end
    assert found.expected["starting"] == 3
    assert found.seconds == pytest.approx(sum(found.expected.values()))
    assert found.step is not None
    assert found.step.seconds == pytest.approx(4.0)


def test_measuring_many_images_is_timed_on_fewer_and_multiplied(registry: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    faked(monkeypatch, {32: 1.0})
    monkeypatch.setattr(cost, "BATCH", 120)
    costs, settled = tiny(registry, epochs=1)
    costs.seeing = lambda *_: 100.0  # type: ignore[method-assign]
    # Of 240 images 20 are held out, 2 of each class: 220 + 13 * 20; of 120 of them 10 or a few more: 110 + 13 * 10.
    assert costs.of(settled).expected["measuring"] == pytest.approx(480 / 240, rel=0.1)  # type: ignore[arg-type]


def test_watched_images_are_timed_on_fewer_too_and_never_multiplied_with_the_others(
    registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    faked(monkeypatch, {32: 1.0})
    monkeypatch.setattr(cost, "BATCH", 120)
    for seeing, measuring in ((100.0, 480 / 240), (1e-9, 1.0)):
        costs, settled = tiny(registry, epochs=1, watch="patchwork")
        costs.seeing = lambda *_, seeing=seeing: seeing  # type: ignore[method-assign]
        costs.budget = 1.0
        images = sum(map(len, watched_rows(settled.options, settled.context.watched)))  # type: ignore[attr-defined]
        of_watched = images / 120 if seeing > 1 else 1.0
        assert costs.of(settled).expected["measuring"] == pytest.approx(measuring + of_watched, rel=0.1)  # type: ignore[arg-type]


@pytest.mark.parametrize(("labels", "images"), [(1.0, 220), (0.5, 110)])
def test_the_last_step_of_an_epoch_counts_for_the_images_it_has(
    ssl: Cli, monkeypatch: pytest.MonkeyPatch, labels: float, images: int
) -> None:
    faked(monkeypatch, {32: 1.0})
    monkeypatch.setattr(Costs, "seeing", lambda *_: 0.01)
    line = f"bench finetune {FAST} --epochs 2 --batch-size 100 --label-fraction {labels} --format json"
    expected = json.loads(ssl(line).out)["columns"][0]["expected"]
    steps = 2 * -(-images // 100)
    assert expected["steps"] == pytest.approx(steps * 0.1 + 2 * images / 100 * 0.9)
    assert expected["measuring"] == pytest.approx((2 * (20 * labels + 80) + 80) * 0.01)


@pytest.mark.parametrize("protocol", ["linear", "linear-augmented", "logistic", "knn"])
def test_every_protocol_of_probe_has_an_expected_time(ssl: Cli, protocol: str) -> None:
    epochs = "--epochs 2" if protocol.startswith("linear") else ""
    result = ssl(f"bench probe {FAST} --protocol {protocol} {epochs} --format json")
    assert result.code == 0, result.err
    (column,) = json.loads(result.out)["columns"]
    assert column["expected"]["representations"] > 0
    assert ("seconds_per_step" in column) == protocol.startswith("linear")


def test_a_missing_data_set_is_stood_in_for_and_that_is_said(ssl: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    resize("cifar10", monkeypatch, train=200, test=50)
    result = ssl("bench --backbone resnet9 --batch-size 32 --epochs 1 --no-presets --format json")
    assert result.code == 0, result.err
    assert "timed on as many random images" in result.err
    assert json.loads(result.out)["columns"][0]["steps"] == 6
    assert ssl("pretrain --backbone resnet9 --batch-size 32 --dry-run").code == 3


def test_a_preset_costs_what_its_trainings_cost(ssl: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    faked(monkeypatch, {32: 1.0})
    monkeypatch.setattr(Costs, "seeing", lambda *_: 0.01)
    pretrain = "dataset: shapes, backbone: resnet9-small, batch_size: 32"
    (tmp_path / "mine.yaml").write_text(
        f"pretrain: {{{pretrain}, epochs: 3, keep_every: 1}}\n"
        "probe: [{epochs: 2}, {protocol: knn}]\nfinetune: {epochs: 1}\n"
    )
    monkeypatch.setattr("sslcli.options.study.FOLDER_OF_PRESETS", tmp_path)

    def alone(line: str) -> float:
        (column,) = json.loads(ssl(f"bench {line} {FAST} --format json").out)["columns"]
        return sum(seconds for part, seconds in column["expected"].items() if part not in ("starting", "data"))

    result = ssl(f"bench {TINY} --format json")
    assert result.code == 0, result.err
    found = json.loads(result.out)["presets"]["mine"]
    parts, loading = found["expected"], json.loads(result.out)["columns"][0]["expected"]["data"]
    assert parts["starting"] == 3.0 + loading  # once for all trainings
    assert parts["pretrain"] == pytest.approx(alone("pretrain --batch-size 32 --epochs 3 --keep-every 1"))
    # Pretrained and scratch, and the first probe on the checkpoints kept after epochs 1 and 2.
    probes = 4 * alone("probe --epochs 2") + 2 * alone("probe --protocol knn")
    assert parts["probe"] == pytest.approx(probes)
    assert parts["finetune"] == pytest.approx(2 * alone("finetune --epochs 1"))
    assert found["expected_seconds"] == pytest.approx(sum(parts.values()))


def test_a_preset_of_several_methods_costs_the_pretraining_and_the_probe_of_each_and_scratch_once(
    ssl: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    faked(monkeypatch, {32: 1.0})
    monkeypatch.setattr(Costs, "seeing", lambda *_: 0.01)
    monkeypatch.setattr("sslcli.options.study.FOLDER_OF_PRESETS", tmp_path)
    (tmp_path / "two.yaml").write_text(
        "pretrain:\n- {dataset: shapes, backbone: resnet9-small, batch_size: 32, epochs: 1, knn_every: 0}\n"
        "- {dataset: shapes, backbone: resnet9-small, batch_size: 32, minutes: 0.5, method: byol}\n"
        "probe: {protocol: knn}\n"
    )
    (tmp_path / "short.yaml").write_text("pretrain: {dataset: shapes, backbone: resnet9-small, batch_size: 32, minutes: 0.001}")
    result = ssl(f"bench {TINY} --format json")
    assert result.code == 0, result.err
    whole = json.loads(result.out)
    assert whole["presets"]["short"]["expected"]["pretrain"] == pytest.approx(0.06)  # what is given is not timed
    parts = whole["presets"]["two"]["expected"]

    def alone(line: str) -> float:
        (column,) = json.loads(ssl(f"bench {line} --no-presets --format json").out)["columns"]
        return sum(seconds for part, seconds in column["expected"].items() if part not in ("starting", "data"))

    assert parts["pretrain"] == pytest.approx(alone(f"{TINY} --knn-every 0") + 30)  # the other's minutes
    assert parts["probe"] == pytest.approx(3 * alone("probe --dataset shapes --backbone resnet9-small --protocol knn"))


def test_one_thread_is_told_where_more_can_run_and_not_where_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch, "get_num_threads", lambda: 1)
    monkeypatch.setattr(device, "usable_cores", lambda: 8)
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    (told,) = slow_by_choice(CPU, [])
    assert "one thread, but there are 8 cores (OMP_NUM_THREADS=1)" in told
    assert "set OMP_NUM_THREADS=8" in told
    torchrun = {
        "WORLD_SIZE": "8",
        "RANK": "0",
        "LOCAL_WORLD_SIZE": "8",
        "LOCAL_RANK": "0",
        "MASTER_ADDR": "x",
        "MASTER_PORT": "1",
    }
    for name, value in torchrun.items():  # eight processes on eight cores
        monkeypatch.setenv(name, value)
    assert slow_by_choice(CPU, []) == []
    for name in torchrun:
        monkeypatch.delenv(name)
    monkeypatch.setattr(device, "usable_cores", lambda: 1)
    assert slow_by_choice(CPU, []) == []


def test_a_process_bound_to_one_core_has_one() -> None:
    if not hasattr(os, "sched_setaffinity"):
        pytest.skip("cores cannot be bound here")
    before = os.sched_getaffinity(0)
    try:
        os.sched_setaffinity(0, {min(before)})
        assert usable_cores() == 1  # the function itself, not what all tests are told
    finally:
        os.sched_setaffinity(0, before)


@pytest.mark.parametrize(
    ("gain", "precision", "told"),
    [
        (3.96, "fp32", "float32: bfloat16 is 4 times as fast on this machine; use --precision bf16"),
        (0.02, "bf16", "bfloat16: float32 is 50 times as fast on this machine; use --precision fp32"),
        (0.0, "bf16", "bfloat16: this device cannot compute in it; use --precision fp32"),
    ],
)
def test_the_slower_precision_is_told_with_the_measured_factor(
    monkeypatch: pytest.MonkeyPatch, gain: float, precision: str, told: str
) -> None:
    monkeypatch.setattr(device, "bfloat16_gain", lambda _: gain)
    assert slow_by_choice(CPU, [choose_precision(precision, CPU)]) == [told]


@pytest.mark.parametrize(("gain", "precision"), [(3.96, "bf16"), (1.1, "bf16"), (0.02, "fp32"), (0.02, "auto")])
def test_nothing_is_told_of_the_faster_precision_or_of_one_about_as_fast(
    monkeypatch: pytest.MonkeyPatch, gain: float, precision: str
) -> None:
    monkeypatch.setattr(device, "bfloat16_gain", lambda _: gain)
    assert slow_by_choice(CPU, [choose_precision(precision, CPU)]) == []


def test_training_and_timing_tell_of_the_slower_precision_once(ssl: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(device, "bfloat16_gain", lambda _: 4.0)
    for line in (f"pretrain {TINY} --max-steps 1 {QUICK}", f"bench {TINY} --no-presets {QUICK}"):
        result = ssl(f"{line} --precision fp32")
        assert (result.code, result.err.count("slower than it could be: float32")) == (0, 1)


@pytest.mark.parametrize(("precision", "gain", "told"), [("fp32", 4.0, 0), ("bf16", 4.0, 0), ("bf16", 0.25, 1)])
def test_a_resumed_run_keeps_its_precision_and_is_told_where_that_is_slow(
    ssl: Cli, monkeypatch: pytest.MonkeyPatch, precision: str, gain: float, told: int
) -> None:
    line = f"pretrain {TINY} --precision {precision} --optimizer sgd --lr 1e30 --warmup-epochs 0"
    assert ssl(line).code == 3
    monkeypatch.setattr(device, "bfloat16_gain", lambda _: gain)
    result = ssl("resume")
    words = "bfloat16: float32 is 4 times as fast on this machine; the run started with it and keeps it"
    assert result.err.count(f"slower than it could be: {words}") == result.err.count("slower than") == told


@pytest.mark.parametrize(("preset", "most"), [("speedrun-30s", 0.1), ("demo", 0.2)])
def test_augmentation_is_a_small_part_of_a_step_where_the_net_is_smallest(
    registry: Registry, preset: str, most: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Below a tenth; of the demo, whose net is a quarter of the smallest of the others, below a fifth.

    Of the other presets it is less: their encoders are larger, the views the same. Processor time, the least of each part, in
    the quietest of some attempts, since others' work slows most what fetches from memory.
    """
    monkeypatch.setattr(shapes, "TRAIN", 512)
    monkeypatch.setattr(timing, "BUDGET", 1.0)
    monkeypatch.setattr(timing, "time", SimpleNamespace(perf_counter=processor_time))  # which does not count others' work
    monkeypatch.setattr(timing, "median", min)
    options = from_mapping(Pretrain, read_preset(preset)["pretrain"][0], preset)
    settled = plan(registry, Pretrain(**options), settle_minutes=settle_minutes, load=Costs(stand_in=True).load)
    _, training = training_of(settled.options, settled.context)  # type: ignore[arg-type]
    attempts = (time_step(training, 0) for _ in range(20))
    assert any(0 < step.split["augmentation"] < most * step.seconds for step in attempts)


def test_protocols_with_and_without_steps_stand_side_by_side(ssl: Cli) -> None:
    result = ssl(f"bench probe {FAST} --epochs 1 --protocol knn --protocol linear --protocol logistic")
    assert result.code == 0, result.err
    lines = [line.strip() for line in result.out.splitlines()]
    shown = ["seconds per step", "expected time", "choosing the rate", "neighbours", "logistic regression"]
    places = [next(place for place, line in enumerate(lines) if line.startswith(start)) for start in shown]
    assert places == sorted(places)


def test_folds_cost_a_training_each_and_images_are_counted_as_they_are_seen(ssl: Cli) -> None:
    (column,) = json.loads(ssl(f"bench probe {FAST} --epochs 1 --batch-size 4096 --folds 5 --format json").out)["columns"]
    assert column["images_per_second"] < 4096 / column["seconds_per_step"] / 2
    expected = column["expected"]
    once = expected["steps"] + expected["choosing the rate"]
    assert expected["folds"] == pytest.approx(once * 4 * 320 / 240)


def test_logistic_regression_is_timed_on_images_of_all_classes(ssl: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    made = shapes.load

    def class_by_class(*arguments: Any, **options: Any) -> ImageData:
        data = made(*arguments, **options)
        order = data.train_labels.argsort()
        return replace(data, train_images=data.train_images[order], train_labels=data.train_labels[order])

    monkeypatch.setattr(shapes, "load", class_by_class)
    monkeypatch.setattr("sslcli.evaluation.protocols.logistic.TIMED_IMAGES", 60)
    result = ssl(f"bench probe {FAST} --protocol logistic")
    assert result.code == 0, result.err
