"""The benchmarks measure what they say, on sizes that take a second."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from multiprocessing import Pipe
from pathlib import Path
from typing import Any

import pytest
import torch

from sslcli.data import DATASETS
from sslcli.data.image_data import random_data
from tests.benchmarks import gpu, growth, growth_case, interleave, jobs, pictures, ratios, spread, step, suggest, wrong_labels
from tests.benchmarks.growth import Case, exponent
from tests.benchmarks.programs import Program, Task, Timing, lightly, ours
from tests.measuring import PATIENCE

SECONDS = {"ssl pretrain": 1.0, "lightly": 3.0, "lightly + bf16 + channels_last": 1.05}


def test_the_cost_of_jobs_is_that_of_each_of_a_study(tmp_path: Path) -> None:
    found = jobs.measure(2 * jobs.PER_SEED, tmp_path)
    assert found["jobs"] == 2 * jobs.PER_SEED
    assert set(found) == set(jobs.COLUMNS)
    assert all(value > 0 for value in found.values())
    assert found["index"] == (tmp_path / "registry.yaml").stat().st_size / 1000


def test_programs_take_turns_and_the_first_rounds_do_not_count() -> None:
    turns: list[str] = []
    made = interleave({name: lambda name=name: turns.append(name) or len(turns) for name in "ab"}, rounds=2, warm_up=1)
    assert "".join(turns) == "ababab"
    assert made == {"a": [3, 5], "b": [4, 6]}


def test_ratios_are_of_the_same_round() -> None:
    assert ratios([6.0, 4.0, 9.0], [2.0, 1.0, 4.5]) == [3.0, 4.0, 2.0]
    assert spread([3.0, 4.0, 2.0]) == "3.00 (2.00 to 4.00)"


def test_a_step_of_ours_trains_on_two_views_of_each_image(tmp_path: Path) -> None:
    program = ours(Task(batch_size=4, data_dir=tmp_path))
    assert program.net == {"backbone": 11_168_832, "projector": 512 * 512 + 512 * 128, "views": [(4, 3, 32, 32)] * 2}
    timing = program.step()
    assert timing.data > 0
    assert timing.net > timing.data


@pytest.mark.parametrize("fast", [False, True])
def test_lightlys_step_is_of_the_same_net(tmp_path: Path, fast: bool) -> None:
    pytest.importorskip("lightly")
    task = Task(batch_size=4, data_dir=tmp_path, channels_last=fast, bf16=fast)
    program = lightly(task)
    assert program.net == ours(task).net
    assert program.step().data > 0


def test_a_program_apart_is_asked_step_by_step_and_ends_with_its_pipe(tmp_path: Path) -> None:
    here, there = Pipe()
    asked: list[Task] = []

    def build(task: Task) -> Program:
        asked.append(task)
        return Program(lambda: Timing(1.0, 2.0), {"backbone": 1})

    task = Task(batch_size=4, data_dir=tmp_path)
    thread = threading.Thread(target=step._serve, args=(there, build, task, torch.get_num_threads()))
    thread.start()
    assert here.recv() == {"backbone": 1}
    here.send(True)
    assert here.recv().step == 3.0
    here.close()
    thread.join(PATIENCE)
    assert not thread.is_alive()
    assert asked == [task]


@pytest.fixture
def apart(monkeypatch: pytest.MonkeyPatch) -> Callable[[dict[str, object]], None]:
    """Let programs take the time that SECONDS says; lightly's net is the one given."""

    def install(net_of_lightly: dict[str, object]) -> None:
        def make(build: object, task: Task, *, threads: int) -> Any:
            assert threads == 1
            name = [*SECONDS][0 if build is ours else 1 + task.channels_last]
            fake = Program(lambda: Timing(0.0, SECONDS[name]), {"backbone": 5, "projector": 6, "views": []})
            made = Program(fake.step, net_of_lightly if build is lightly else fake.net)
            made.__dict__["end"] = lambda: None
            return made

        monkeypatch.setattr(step, "Apart", make)
        monkeypatch.setattr(step, "cores", lambda: 1)
        monkeypatch.setattr(step, "find_spec", lambda _: True)
        monkeypatch.setattr(step, "machine", lambda *_: "a machine")
        monkeypatch.setattr(step, "choose_precision", lambda *_: "bf16")

    return install


def test_the_step_benchmark_prints_ratios_and_whether_they_are_reached(
    apart: Callable[[dict[str, object]], None], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    apart({"backbone": 5, "projector": 6, "views": []})
    assert step.main(["--rounds", "3", "--threads", "1", "--markdown"]) == 0
    out = capsys.readouterr().out
    assert "| lightly | 3.00 (3.00 to 3.00) | 2.5 (reached) |" in out
    assert "| lightly + bf16 + channels_last | 1.05 (1.05 to 1.05) | 1.1 (missed) |" in out
    monkeypatch.setattr(step, "choose_precision", lambda *_: "fp32")
    assert step.main(["--rounds", "3", "--threads", "1", "--markdown"]) == 0
    out = capsys.readouterr().out
    assert "| lightly | 3.00 (3.00 to 3.00) | 1.25 (reached) |" in out
    assert "| lightly + channels_last | 1.05 (1.05 to 1.05) | 1.1 (missed) |" in out


def test_programs_with_different_nets_are_not_compared(
    apart: Callable[[dict[str, object]], None], capsys: pytest.CaptureFixture[str]
) -> None:
    apart({"backbone": 4, "projector": 6, "views": []})
    assert step.main(["--threads", "1"]) == 1
    assert "do not train the same net" in capsys.readouterr().err


def test_without_lightly_the_step_benchmark_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(step, "find_spec", lambda _: None)
    assert step.main([]) == 2
    assert "pip install -e '.[bench]'" in capsys.readouterr().err


@pytest.mark.parametrize("power", [0.5, 1.0, 2.0])
def test_the_exponent_is_found_whatever_the_constant_part(power: float) -> None:
    sizes = [128, 256, 512, 1024, 2048]
    assert exponent(sizes, [7 + 0.1 * size**power for size in sizes]) == pytest.approx(power)


def test_what_hardly_rises_has_no_exponent() -> None:
    assert exponent([5, 50, 500], [1.0, 1.01, 1.15]) is None
    assert exponent([5, 50, 500], [0.03, 0.05, 0.04]) is None
    assert exponent([5, 50, 500], [10.0, 9.0, 1000.0]) == pytest.approx(1.0)


@pytest.mark.parametrize(("power", "code"), [(1.0, 0), (1.3, 1)])
def test_the_growth_benchmark_ends_with_1_if_memory_grows_faster_than_the_images(
    power: float, code: int, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(growth, "machine", lambda *_: "a machine")

    def run(case: Case) -> dict[str, float]:
        parts = dict.fromkeys(["load", "order", "knn", "write", "loss"], 1.0)
        memory = 50.0 + 1e-3 * case.images**power + case.batch
        return {"seconds": 2 + case.images / 1e3, "step": case.batch / 1e3, "memory": memory, "start": 300.0, **parts}

    out = tmp_path / "growth.png"
    assert growth.main(["--out", str(out), "--processes", "1,2"], run=run) == code
    printed = capsys.readouterr()
    assert printed.out.count("500,000") == 2
    assert ("grows faster than the work: memory along images" in printed.err) == bool(code)
    assert out.read_bytes().startswith(b"\x89PNG")


def test_a_growth_case_runs_pretrain_on_all_images_and_measures_its_parts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(DATASETS, "cifar10", growth_case.LOADER)
    (tmp_path / "data").mkdir()
    growth.write_images(tmp_path / "data" / "images.bin", 64 + growth.TEST)
    growth_case.main([str(tmp_path), "16", "8"])
    costs = growth.read_costs(tmp_path)
    assert costs["steps"] == 4
    assert costs["seconds"] > costs["step"] * 4
    assert all(costs[key] > 0 for key in ("load", "order", "knn", "write", "loss"))
    assert costs["memory"] >= 0


def test_the_pictures_benchmark_reads_what_it_wrote_twice(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = tmp_path / "pictures"
    pictures.write_pictures(root, 40, width=40, height=36, form="jpg")
    found = [pictures.start(root, tmp_path / "cache") for _ in range(2)]
    assert found[0]["pictures"] == found[1]["pictures"] == 40
    assert (found[0]["size"], found[0]["in file"]) == (32, False)
    assert found[0]["pixels"] == 40 * 3 * 36 * 36
    assert pictures.main(["--start", str(root)]) == 0
    assert json.loads(capsys.readouterr().out)["memory"] > 100


def test_the_suggest_benchmark_compares_ways_of_the_same_seed_with_random() -> None:
    found = {"random": [[0.2] * 4, [0.3] * 4, [0.25] * 4], "typical": [[0.3] * 4, [0.4] * 4, [0.36] * 4]}
    row = suggest.rows_of(found)[1]
    assert (row["labels"], row["random"], row["typical"]) == ("100", "25.0 ± 5.0", "35.3 ± 5.0")
    assert row["typical-random"] == "+10.3 (+8.9 to +11.8)"  # 4.303 * 0.577 / sqrt(3) = 1.43


def test_typical_pictures_are_of_every_class_where_the_random_ones_of_the_same_seed_miss_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(suggest, "SIZES", (6, 9))
    torch.manual_seed(0)
    labels = torch.arange(90) % 3
    h = torch.randn(90, 4) + 9 * torch.eye(4)[labels]
    found = {name: suggest.accuracies(h, labels, (h, labels), way, 1) for name, way in suggest.WAYS.items()}
    assert found["typical"] == found["margin"] == [1.0, 1.0]
    assert max(found["random"]) < 0.7
    first = suggest.at_random(h, labels, suggest.NONE, 6, 1)
    assert not set(first) & set(suggest.at_random(h, labels, first, 3, 1))


@pytest.mark.parametrize("make", [wrong_labels.to_any, wrong_labels.as_people_do])
def test_a_twentieth_of_the_labels_is_flipped_and_each_to_another_class(make: Callable[[Any], wrong_labels.Flip]) -> None:
    classes = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
    labels = torch.arange(1000) % 10
    wrong, rows = wrong_labels.flipped(labels, make(classes), 1)
    assert sorted(rows.tolist()) == (wrong != labels).nonzero().flatten().tolist()
    assert len(rows) == 50
    pairs = {frozenset((classes[labels[row]], classes[wrong[row]])) for row in rows.tolist()}
    similar = {frozenset(pair) for pair in wrong_labels.PAIRS}
    assert (pairs <= similar) == (make is wrong_labels.as_people_do)


def test_flips_between_clusters_are_the_first_suspects_and_get_their_own_class_back() -> None:
    torch.manual_seed(0)
    labels = torch.arange(400) % 4
    h = torch.randn(400, 4) + 9 * torch.eye(4)[labels]
    found = wrong_labels.found_of(h, labels, wrong_labels.to_any(range(4)), 1)
    assert (found["20"], found["renamed"]) == (1.0, 1.0)
    assert found["suspects"] == 20 * found["recall"] > 10  # no label that is right is suspect


def test_what_a_gpu_does_is_measured_part_by_part_and_written_as_each_ends(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gpu, "STEPS", gpu.STEPS[:1])
    monkeypatch.setattr(gpu, "RECIPES", {"short": {"view_sizes": "8:0.5,16:0.5"}, "no such option": {"batch_sise": 4}})
    monkeypatch.setattr(gpu, "random_data", lambda _: random_data("cifar10").first(100))
    monkeypatch.setattr(gpu, "matmul_peak", lambda *_: 2e12)
    recipe = gpu.recipe
    monkeypatch.setattr(gpu, "recipe", lambda bench, changes, seconds: recipe(bench, changes, min(seconds, 1.0)))
    line = ["--device", "cpu", "--seconds", "10000", "--parts", "card,steps,recipes", "--data-dir", str(tmp_path)]
    assert gpu.main([*line, "--out", str(tmp_path / "out")]) == 0
    found = json.loads((tmp_path / "out" / "gpu.json").read_text())
    assert found["card"]["matmul_tflops"] == 2.0
    assert found["steps"]["eager"]["views_per_s"] == pytest.approx(32 / found["steps"]["eager"]["seconds"])
    assert found["recipes"]["short"]["steps"] >= 4
    assert found["recipes"]["no such option"].startswith("failed: TypeError")
    gpu.main(["--device", "cpu", "--seconds", "1", "--parts", "trace", "--out", str(tmp_path / "short")])
    assert "left out: it needs 15 s" in json.loads((tmp_path / "short" / "gpu.json").read_text())["trace"]
