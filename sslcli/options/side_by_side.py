"""Turn options that are given several times into several command lines."""

from __future__ import annotations

from collections.abc import Iterable

from sslcli.errors import UsageError


def side_by_side(words: list[str], flags: Iterable[str]) -> list[list[str]]:
    """One command line for each repetition of the options that are given several times; `flags` take no value.

    An option given once is in all lines. Options given several times are paired in order; a UsageError if their counts
    differ.
    """
    given: list[list[str]] = []
    for word in words:
        follows = given and len(given[-1]) == 1 and "=" not in given[-1][0] and given[-1][0] not in flags
        if word.startswith("--") or not follows:
            given.append([word])
        else:
            given[-1].append(word)
    names = [words[0].partition("=")[0] for words in given]
    counts = {name: names.count(name) for name in names if names.count(name) > 1 and name not in flags}
    if len(set(counts.values())) > 1:
        said = " and ".join(f"{name} {count} times" for name, count in counts.items())
        raise UsageError(f"{said}: give each option once, or all of them equally often (they are paired in order)")
    lines: list[list[str]] = [[] for _ in range(max(counts.values(), default=1))]
    for place, (name, option) in enumerate(zip(names, given, strict=True)):
        for number, line in enumerate(lines):
            if name not in counts or names[:place].count(name) == number:
                line.extend(option)
    return lines
