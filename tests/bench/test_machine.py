"""The class of a machine: the word that the docs use for it, and what was measured for it."""

import json
import platform
import re
from pathlib import Path

import pytest
import torch

from sslcli.bench import machine
from sslcli.bench.machine import MEASURED, class_in_words, machine_class
from tests.conftest import Cli

ROOT = Path(__file__).parents[2]
CPU = torch.device("cpu")


@pytest.mark.parametrize(
    ("kind", "gain", "capability", "found"),
    [
        ("x86_64", 3.9, "AVX512", "bf16"),
        ("x86_64", 0.5, "AVX512", "avx512"),
        ("AMD64", 0.02, "AVX2", "avx2"),
        ("aarch64", 3.0, "DEFAULT", "arm"),
        ("arm64", 0.0, "DEFAULT", "arm"),
    ],
)
def test_the_class_is_what_multiplies_fast_here(
    monkeypatch: pytest.MonkeyPatch, kind: str, gain: float, capability: str, found: str
) -> None:
    monkeypatch.setattr(platform, "machine", lambda: kind)
    monkeypatch.setattr(machine, "bfloat16_gain", lambda _: gain)
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: capability)
    assert machine_class(CPU) == found
    assert machine_class(torch.device("cuda")) == "cuda"


def test_bench_says_the_class_of_this_machine_and_where_to_read_on(ssl: Cli) -> None:
    line = (
        "bench --dataset shapes --backbone resnet9-small --no-presets --view-sizes 8 --knn-every 0 --epochs 1 --batch-size 32"
    )
    result = ssl(line)
    assert result.code == 0, result.err
    found = machine_class(CPU)
    assert f"class of this machine: {found}; measured for it: {MEASURED[found]}; see docs/speed.md" in result.err
    assert json.loads(ssl(f"{line} --format json").out)["columns"][0]["machine_class"] == found


def test_the_page_of_speed_has_these_classes_and_says_how_to_learn_ones_own() -> None:
    page = (ROOT / "docs" / "speed.md").read_text(encoding="utf-8")
    table = page.partition("## Classes of machine")[2].partition("\n\nYou ")[0]
    assert re.findall(r"(?m)^\| (\w+) \|", table)[1:] == [*MEASURED]
    assert "`ssl bench` prints it" in page
    assert class_in_words("bf16").endswith("see docs/speed.md")
