"""Print the measurements of ssl bench, for people or other programs."""

from __future__ import annotations

from typing import Any

from sslcli.console.progress import duration
from sslcli.console.tables import print_rows

SECTIONS = {"pretrain": "pretraining", "probe": "probes", "finetune": "fine-tuning"}


CSV_COLUMNS = ("name", "seconds_per_step", "batch", "augmentation", "forward", "backward", "optimizer", "rest",
               "images_per_second", "matmul_share", "peak_memory", "steps", "expected_seconds")  # fmt: skip


def show(columns: list[dict[str, Any]], presets: dict[str, dict[str, float]], *, style: str) -> None:
    """Print the columns side by side, and the presets."""
    if style == "json":
        of_presets = {name: {"expected_seconds": sum(of.values()), "expected": of} for name, of in presets.items()}
        print_rows(columns, {}, style="json", whole={"columns": columns, "presets": of_presets})
    elif style == "csv":
        rows = [column | column.get("split", {}) for column in columns]
        rows += [{"name": name, "expected_seconds": sum(of.values())} for name, of in presets.items()]
        print_rows(rows, dict(zip(CSV_COLUMNS, CSV_COLUMNS, strict=True)), style="csv")
    else:
        heads = {str(number): column["name"] for number, column in enumerate(columns)}
        words = [in_words(column) for column in columns]
        most_first = sorted(words, key=len, reverse=True)  # a protocol without steps lacks their lines
        lines = dict.fromkeys(line for of in most_first for line in of)
        rows = [{"": line} | {place: of.get(line, "") for place, of in zip(heads, words, strict=True)} for line in lines]
        print_rows(rows, {"": columns[0]["device"]} | heads, style=style)
        if presets:
            print()
            titles = {"": "expected time of the study", "whole": "whole"} | SECTIONS
            print_rows([_preset_row(name, of) for name, of in presets.items()], titles, style=style)


def _preset_row(name: str, of: dict[str, float]) -> dict[str, str]:
    parts = {section: duration(of[section]) for section in SECTIONS}
    return {"": f"ssl study --preset {name}", "whole": duration(sum(of.values()))} | parts


def in_words(column: dict[str, Any]) -> dict[str, str]:
    """A column in words: the names of its lines and their text."""
    lines = {}
    if "split" in column:
        lines = {"seconds per step": f"{column['seconds_per_step']:.4g}"}
        lines |= {
            f"  {phase}": f"{seconds:.4g} ({seconds / column['seconds_per_step']:.0%})"
            for phase, seconds in column["split"].items()
        }
        lines["images per second"] = f"{column['images_per_second']:,.0f}"
        share, peak, precision = column["matmul_share"], column["matmul_peak"], column["precision"]
        lines["fraction of peak matmul speed"] = f"{share:.0%} of {peak / 1e12:.3g} TFLOP/s, {precision}"
    if column["peak_memory"] is not None:
        lines["peak memory"] = f"{column['peak_memory'] / 2**30:.2f} GiB"
    lines["expected time"] = duration(column["expected_seconds"])
    return lines | {f"  {part}": duration(seconds) for part, seconds in column["expected"].items()}
