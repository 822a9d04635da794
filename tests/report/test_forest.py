"""The forest plot as SVG: what it draws, that nothing leaves it, and that the README's is the published study's."""

import re
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.text import Text

from sslcli.figures.canvas import save_svgs
from sslcli.figures.forest import Bar, draw_forest
from sslcli.figures.palette import DARK, DARK_OF, LETTERS, LIGHT, Palette
from sslcli.report.differences import bars_of
from tests.conftest import Cli
from tests.made_differences import made_difference

ROOT = Path(__file__).parents[2]
BARS = [
    Bar("Linear evaluation on augmented images on 10 % of the labels", 31.04, 23.5, 36.44, "gain"),
    Bar("Fine-tuning", -2.5, -4, -1, "loss"),
    Bar("Fine-tuning on 1 % of the labels", 0.2, -1.2, 1.6, "chance"),
]


def texts(figure: Figure) -> list[Text]:
    return [text for text in figure.findobj(Text) if isinstance(text, Text) and text.get_text().strip() and text.get_visible()]


def luminance(colour: str) -> float:
    parts = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


@pytest.mark.parametrize("scale", [1e-3, 1, 2.5])
def test_nothing_leaves_the_plot_and_no_text_lies_on_another(scale: float) -> None:
    bars = [replace(bar, value=scale * bar.value, low=scale * bar.low, high=scale * bar.high) for bar in BARS * 4]
    figure = draw_forest(bars, subtitle=f"cifar10, resnet18, simclr. {'Means over seeds. ' * 8}")
    figure.draw_without_rendering()
    boxes = [text.get_window_extent() for text in texts(figure)]
    assert all(box.x0 >= 0 and box.y0 >= 0 and box.x1 <= figure.bbox.x1 and box.y1 <= figure.bbox.y1 for box in boxes)
    assert not [
        (one.get_text(), other.get_text())
        for number, one in enumerate(texts(figure)) for other in texts(figure)[number + 1 :]
        if one.get_window_extent().overlaps(other.get_window_extent())
    ]  # fmt: skip


def test_each_row_has_its_interval_and_numbers_that_are_aligned() -> None:
    figure = draw_forest(BARS, subtitle="s")
    (axes,) = figure.axes
    assert isinstance(axes, Axes)
    for number, (drawn, bar) in enumerate(zip(axes.containers, BARS, strict=True)):
        line, _, (whisker,) = drawn.lines  # type: ignore[attr-defined]
        assert (line.get_xdata()[0], line.get_ydata()[0]) == (bar.value, number)
        assert whisker.get_segments()[0][:, 0].tolist() == pytest.approx([bar.low, bar.high])
    assert [text.get_text() for text in axes.texts[1::3]] == ["+31.0", "−2.5", "+0.2"]
    assert [text.get_text() for text in axes.texts[2::3]] == ["+23.5 to +36.4", "−4.0 to −1.0", "−1.2 to +1.6"]
    for column in (axes.texts[1::3], axes.texts[2::3]):
        assert len({text.get_position()[0] for text in column}) == 1
        assert {text.get_ha() for text in column} == {"right"}


def test_gain_loss_and_chance_differ_in_marker_and_in_filling_too() -> None:
    lines = [drawn.lines[0] for drawn in draw_forest(BARS, subtitle="s").axes[0].containers]  # type: ignore[attr-defined]
    assert [line.get_marker() for line in lines] == ["o", "D", "o"]
    assert [line.get_markerfacecolor() for line in lines] == [LIGHT.gain, LIGHT.loss, LIGHT.card]


def test_of_no_chance_nothing_is_explained() -> None:
    shown = [text.get_text() for text in texts(draw_forest(BARS[:1], subtitle="s"))]
    assert not any("holds 0" in text for text in shown)


@pytest.mark.parametrize("palette", [LIGHT, DARK])
@pytest.mark.parametrize("name", ["ink", "soft", "gain", "loss", "chance", "link"])
def test_letters_of_the_palette_can_be_read_on_its_grounds(palette: Palette, name: str) -> None:
    for ground in (palette.ground, palette.card):
        low, high = sorted(luminance(colour) for colour in (getattr(palette, name), ground))
        assert (high + 0.05) / (low + 0.05) >= 4.5  # WCAG 2.2, 1.4.3


def test_names_of_curves_can_be_read_on_both_grounds() -> None:
    for letters, ground in [(colour, LIGHT.card) for colour in LETTERS] + [(DARK_OF[colour], DARK.card) for colour in LETTERS]:
        low, high = sorted((luminance(letters), luminance(ground)))
        assert (high + 0.05) / (low + 0.05) >= 4.5  # WCAG 2.2, 1.4.3


def test_the_dark_version_is_the_light_one_in_the_dark_palettes_colours(tmp_path: Path) -> None:
    light, dark = save_svgs(draw_forest(BARS, subtitle="s"), tmp_path / "plot", description="d")
    assert [path.name for path in (light, dark)] == ["plot_light.svg", "plot_dark.svg"]
    colours = {path: re.findall("#[0-9a-f]{6}", path.read_text(encoding="utf-8")) for path in (light, dark)}
    assert [DARK_OF[colour] for colour in colours[light]] == colours[dark]
    assert re.sub("#[0-9a-f]{6}", "", light.read_text()) == re.sub("#[0-9a-f]{6}", "", dark.read_text())


def test_bars_are_the_differences_in_points() -> None:
    (bar,) = bars_of([made_difference(0.02, 0.01)])
    assert (bar.label, bar.kind) == ("kNN", "gain")
    assert (bar.value, bar.low, bar.high) == pytest.approx((2, 1, 3))


def described(path: Path) -> str:
    (text,) = re.findall(r"(?s)<dc:description>(.*?)</dc:description>", path.read_text(encoding="utf-8"))
    return str(text)


def test_the_readmes_plot_is_that_of_the_published_study_on_both_grounds(ssl: Cli, tmp_path: Path) -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    (command,) = re.findall(r"`ssl (report [^`]*--svg [^`]*)`", readme)
    shutil.copy(ROOT / "registry.yaml", tmp_path)
    result = ssl(command)
    assert result.code == 0, result.err
    written = result.out.split()[1:]
    assert written == [f"results/figures/differences_{ground}.svg" for ground in ("light", "dark")]
    assert all(path in readme for path in written)
    for path in written:
        assert described(tmp_path / path) == described(ROOT / path)
        assert "Linear evaluation +18.25 (+17.48 to +19.01)" in described(tmp_path / path)
        assert (ROOT / path).stat().st_size < 150_000
    first = (tmp_path / written[0]).read_bytes()
    assert ssl(command).code == 0
    assert (tmp_path / written[0]).read_bytes() == first


def test_without_a_pair_there_is_no_plot_and_the_message_says_so(ssl: Cli, tmp_path: Path) -> None:
    (tmp_path / "registry.yaml").write_text(
        'runs:\n- {"id": "a", "experiment": "knn", "protocol": "knn", "status": "published", "metrics": {"test_acc": 0.5}}\n'
    )
    result = ssl("report --svg figures")
    assert (result.code, "there is no difference to draw" in result.err) == (3, True)
    assert not (tmp_path / "figures").exists()
