"""The results of `ssl data check` on the page: tables in words, without the lists. Imports no torch."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sslcli.report.tables import Cell, Table
from sslcli.runs.naming import dataset_word

MOST_CLASSES = 100  # with more, the table of classes would be longer than the page
NOT_SHOWN = ("dataset",)
"""Entries that the page shows elsewhere."""
WORDS = {
    "fingerprint": "fingerprint of the data (SHA-256)",
    "sizes train": "images in training, with and without a label",
    "sizes test": "test images",
    "threshold": "least similarity of near copies (1: the same image)",
    "counts label disagreements": "pairs of copies with different labels",
    "counts constant": "images of one colour",
    "counts test images exact in train": "test images with an exact copy in training",
    "counts test images near in train": "test images with a near copy in training",
    "counts test images within test only": "test images with a copy in the test part alone",
    "counts test images any": "test images with any copy",
    "counts test images left out": "test images that --without-duplicates leaves out",
} | {
    f"counts pairs {part} {kind}": f"pairs of {words}, {where}"
    for part, where in (("train", "both in training"), ("test", "both in the test part"),
                        ("train test", "one in training, one in the test part"))
    for kind, words in (("exact", "exact copies"), ("near", "near copies"), ("mirrored", "near copies, mirrored"))
}  # fmt: skip
"""The entries of a data check, by their keys with spaces, in words."""


def data_checks(root: Path, datasets: Mapping[str, str | None]) -> tuple[list[Table], list[str], dict[str, int]]:
    """The results of `ssl data check` for each data set, without lists; sentences about missing or unreadable checks; and the
    numbers of test images that training has copies of, where there are some.

    `datasets` maps names to the sha256 of the content, None if unknown; a check of other data is not shown.
    """
    tables, without, copies = [], [], {}
    for dataset, sha256 in datasets.items():
        name = f"results/data/{dataset_word(dataset)}.json"
        try:
            content = json.loads((root / name).read_text(encoding="utf-8"))
            if not isinstance(content, dict) or not content:
                raise ValueError
        except FileNotFoundError:
            without.append(f"there is no data check of {dataset}")
            continue
        except (OSError, ValueError):
            without.append(f"the data check {name} is damaged")
            continue
        if sha256 and content.get("fingerprint") != sha256:
            without.append(f"the data check {name} is of other data than these runs were trained on")
            continue
        shown = [(WORDS.get(key, key), text) for key, text in _scalars(content) if key not in NOT_SHOWN]
        rows = [[Cell(words, head=True), Cell(text, kind="number")] for words, text in shown]
        tables.append(Table(f"Data check of {dataset}", [("count", False), ("value", True)], rows, sortable=False))
        tables += _classes(dataset, content)
        if count := _copies(content):
            copies[dataset] = count
    return tables, without, copies


def _copies(content: Mapping[str, Any]) -> int:
    """The test images with an exact or a near copy in training; 0 if an old or damaged check does not tell."""
    match content:
        case {"counts": {"test_images": {"exact_in_train": int(exact), "near_in_train": int(near)}}}:
            return exact + near
    return 0


def _scalars(content: Any, prefix: str = "") -> list[tuple[str, str]]:
    """The scalars of nested mappings, each with its keys in words."""
    match content:
        case dict():
            inner = ((f"{prefix} {key}".strip().replace("_", " "), value) for key, value in content.items())
            return [pair for name, value in inner for pair in _scalars(value, name)]
        case bool():
            return [(prefix, "yes" if content else "no")]
        case int():
            return [(prefix, f"{content:,}")]
        case float():
            return [(prefix, f"{content:.6g}")]
        case str():
            return [(prefix, content)]
    return []


def _classes(dataset: str, content: Mapping[str, Any]) -> list[Table]:
    """The labelled images of each class, in training and in the test part; [] for an old check without them."""
    names, balance = content.get("classes", []), content.get("class_balance", {})
    if not 0 < len(names) <= MOST_CLASSES:
        return []
    rows = [
        [Cell(name, head=True), *(Cell(f"{count:,}", count, kind="number") for count in of_class)]
        for name, *of_class in zip(names, balance.get("train", []), balance.get("test", []), strict=False)
    ]
    columns = [("class", False), ("to learn from and validate", True), ("test", True)]
    return [Table(f"Labelled images of each class of {dataset}", columns, rows)]
