"""How fast are our 3x3 convolutions beside torch's own? `python -m tests.benchmarks.convolution` prints the ratios.

Forward and backward of each, in turn, on channels-last maps of 512 views, as two of 256 images are. They are in the number
format that is the faster one on this machine.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from time import perf_counter

import torch
from torch import nn

from sslcli.console.tables import print_rows
from sslcli.models.convolution import QuickConv2d
from sslcli.training.device import choose_precision, use_well
from tests.benchmarks import interleave, machine, ratios, spread

COMMAND = "tests.benchmarks.convolution"
SMALL = [
    (512, 512, 1, 1), (256, 512, 2, 2), (512, 512, 2, 1), (256, 256, 2, 1), (192, 512, 2, 1), (256, 512, 3, 2),
    (256, 256, 3, 1), (192, 512, 3, 1), (256, 512, 4, 2), (128, 256, 4, 2), (256, 256, 4, 1), (128, 128, 4, 1),
    (256, 512, 8, 2), (512, 512, 4, 1),
]  # fmt: skip
"""Channels in and out, side of the map, stride: what ResNet-18 and resnet9-wide have with views of 16 to 32 pixels."""
LARGE = [
    (64, 64, 32, 1),
    (64, 128, 8, 1),
    (128, 128, 16, 1),
    (128, 512, 4, 1),
    (192, 512, 6, 1),
    (256, 256, 8, 1),
    (512, 512, 4, 1),
]
"""Those that Winograd's way is for, in float32."""
SHAPES = {"bf16": SMALL, "fp32": [*(shape for shape in SMALL if shape[2] < 4), *LARGE]}


def main(arguments: Sequence[str] | None = None) -> int:
    """The command."""
    options = parse(arguments)
    use_well(torch.device("cpu"))
    rows, precision = [], choose_precision("auto", torch.device("cpu"))
    dtype = torch.bfloat16 if precision == "bf16" else torch.float32
    for inputs, outputs, side, stride in SHAPES[precision]:
        torchs = nn.Conv2d(inputs, outputs, 3, stride, padding=1, bias=False).to(memory_format=torch.channels_last)
        x = torch.randn(options.views, inputs, side, side).contiguous(memory_format=torch.channels_last)
        programs = {
            name: passes(module.to(dtype), x.to(dtype))
            for name, module in {"ours": QuickConv2d(torchs), "torch": torchs}.items()
        }
        seconds = interleave(programs, rounds=options.rounds, warm_up=2)
        found = {name: f"{1e3 * sorted(taken)[len(taken) // 2]:.1f}" for name, taken in seconds.items()}
        shape = f"{inputs} to {outputs}, {side}x{side}, stride {stride}"
        rows.append({"shape": shape, "ratio": spread(ratios(seconds["torch"], seconds["ours"])), **found})
    heads = {"shape": "channels, map", "torch": "torch, ms", "ours": "ours, ms", "ratio": "times as fast (range)"}
    print_rows(rows, heads, style="markdown" if options.markdown else "table")
    print(f"\n{options.rounds} rounds, {precision}, {torch.get_num_threads()} threads; {machine(COMMAND)}")
    return 0


def passes(module: nn.Module, x: torch.Tensor) -> Callable[[], float]:
    """Seconds of one forward and backward pass."""
    x = x.requires_grad_()
    dy = torch.randn_like(module(x))

    def run() -> float:
        began = perf_counter()
        torch.autograd.grad(module(x), (x, *module.parameters()), dy)
        return perf_counter() - began

    return run


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """The options."""
    parser = argparse.ArgumentParser(prog=f"python -m {COMMAND}", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--views", type=int, default=512, help="maps that pass at once")
    parser.add_argument("--rounds", type=int, default=9, help="passes of each that count")
    parser.add_argument("--markdown", action="store_true", help="print the table in Markdown")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
