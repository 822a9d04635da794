"""The machine at hand is used well without being asked."""

import os
import platform
import resource
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from sslcli.training import device

CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def _as_many_threads_as_before(monkeypatch: pytest.MonkeyPatch):  # type: ignore[no-untyped-def]
    for name in device.THREADS:
        monkeypatch.delenv(name, raising=False)
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


@pytest.mark.parametrize(("cores", "named", "threads"), [(2, None, 2), (64, None, 3), (2, "3", 3)])
def test_torch_computes_on_no_more_threads_than_cores_unless_told(
    cores: int, named: str | None, threads: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    torch.set_num_threads(3)
    monkeypatch.setattr(device, "usable_cores", lambda: cores)
    if named:
        monkeypatch.setenv("OMP_NUM_THREADS", named)
    device.use_well(CPU)
    assert torch.get_num_threads() == threads


@pytest.mark.parametrize(
    ("instructions", "used", "precision"),
    [
        ({"avx512_bf16": True}, True, "bf16"),
        ({"amx_bf16": True}, True, "bf16"),
        ({"avx512_bf16": True}, False, "fp32"),
        ({"avx2": True}, True, "fp32"),  # where oneDNN computes bfloat16 with instructions for float32
    ],
)
def test_bfloat16_is_chosen_where_the_cpu_has_instructions_for_it_and_onednn_uses_them(
    instructions: dict[str, bool], used: bool, precision: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: instructions)
    monkeypatch.setattr(torch.ops.mkldnn, "_is_mkldnn_bf16_supported", lambda: used)
    assert device.choose_precision("auto", CPU) == precision


def test_a_machine_without_bfloat16_can_be_imitated() -> None:
    code = "import torch; from sslcli.training.device import choose_precision as c; print(c('auto', torch.device('cpu')))"
    environment = os.environ | {"ONEDNN_MAX_CPU_ISA": "AVX2", "PYTHONPATH": str(Path(__file__).parents[1])}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "fp32"


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="another allocator")
def test_memory_is_kept_from_step_to_step() -> None:
    def faults() -> int:
        return resource.getrusage(resource.RUSAGE_SELF).ru_minflt

    def steps(count: int) -> None:
        for _ in range(count):
            torch.ones(size) * 2

    device.use_well(CPU)
    size = 10 * 2**20  # of float32: 40 MB, which glibc would fetch anew each time
    steps(100)
    before = faults()
    steps(50)
    assert faults() - before < 0.1 * 100 * size * 4 / 4096
