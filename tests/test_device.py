"""The machine at hand is used well without being asked."""

import platform
import resource

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
