"""The plot of the growth benchmark: seconds and memory over images and over batch, beside lines that are linear."""

from __future__ import annotations

from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, LogLocator

from sslcli.figures.canvas import new_figure, save_picture, save_svgs, styled
from sslcli.figures.curves import LOOKS
from tests.benchmarks.growth import Case, Costs, series

PANELS = (
    ("images", "seconds", "seconds of the command"),
    ("images", "memory", "MB beyond the start"),
    ("batch", "step", "seconds a step"),
    ("batch", "memory", "MB beyond the start"),
)
X_LABELS = {"images": "training images ({0.batch} a step)", "batch": "images a step ({0.images:,} training images)"}


@styled
def draw_growth(costs: dict[Case, Costs], path: Path, *, description: str) -> None:
    """Four panels, both axes logarithmic: what is linear is as steep as the dotted line, what is constant is flat."""
    figure = new_figure(7.6, 5.8)
    figure.suptitle("Cost over images and over batch: nothing may rise faster than the dotted lines")
    for axes, (along, key, label) in zip(figure.subplots(2, 2).flat, PANELS, strict=True):
        for look, processes in enumerate(sorted({case.processes for case in costs})):
            cases = series(costs, along, processes)
            points = [(getattr(case, along), costs[case][key]) for case in cases]
            name = f"{processes} process{'es' * (processes > 1)}"
            axes.plot(*zip(*points, strict=True), label=name, markersize=4.5, **LOOKS[look])
        _draw_linear(axes, points)
        axes.set(xscale="log", yscale="log", ylabel=label, xlabel=X_LABELS[along].format(cases[0]))
        axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axes.yaxis.set_major_formatter(FuncFormatter(lambda y, _: f"{y:,g}"))
        axes.minorticks_off()
        axes.set_xticks([x for x, _ in points], [f"{x:,}" if x >= 5000 else f"{x}" for x, _ in points])
    figure.legend(*axes.get_legend_handles_labels(), loc="outside lower center", ncols=3)
    save_picture(figure, path, description=description)
    save_svgs(figure, path.with_suffix(""), description=description)


def _draw_linear(axes: Axes, points: list[tuple[int, float]]) -> None:
    """Through the last point: what has a constant part stays above it, what grows faster than linear starts below it."""
    x, y = points[-1]
    ends = [points[0][0], x]
    axes.plot(ends, [y * end / x for end in ends], color="0.35", linestyle=(0, (1, 2)), label="linear")
