"""Folds of the labelled images: stratified, drawn by seed, and all copies of a picture in one of them."""

import pytest
import torch

from sslcli.data.folds import exact_copies, folds_of, hold_to_folds, joined
from sslcli.errors import UsageError

LABELS = torch.tensor([0] * 23 + [1] * 11 + [2] * 6)


def test_each_class_is_spread_over_all_folds_and_folds_are_equally_large() -> None:
    found = folds_of(LABELS, range(40), folds=5, seed=1)
    assert found.bincount().tolist() == [8] * 5
    for label, count in ((0, 23), (1, 11), (2, 6)):
        assert set(found[label == LABELS].bincount(minlength=5).tolist()) <= {count // 5, count // 5 + 1}


def test_the_seed_alone_draws_the_folds() -> None:
    first, again, other = (folds_of(LABELS, range(40), folds=5, seed=seed) for seed in (1, 1, 2))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_copies_of_a_picture_are_in_one_fold_even_with_other_labels() -> None:
    copies = list(range(40))
    copies[5] = copies[17] = copies[30] = 3  # of two classes
    found = folds_of(LABELS, copies, folds=5, seed=1)
    assert len({int(found[place]) for place in (3, 5, 17, 30)}) == 1
    assert len(found.unique()) == 5


def test_equal_bytes_are_copies_and_links_join_them() -> None:
    images = [torch.full((1, 3, 4, 4), value, dtype=torch.uint8) for value in (1, 2, 1, 3, 4)]
    copies = exact_copies(images)
    assert copies == [0, 1, 0, 2, 3]
    root = joined([(1, 2), (3, 3)])
    together = [root(copies[place]) for place in (0, 1, 2, 3, 4)]
    assert together[1] == together[3] != together[0] == together[2]
    assert len({*together}) == 3


@pytest.mark.parametrize("links", [
    [(0, number) for number in range(1, 20_000)],
    [(number, 0) for number in range(1, 20_000)],
    [(number, number + 1) for number in range(20_000)],
    [(number + 1, number) for number in range(20_000)],
], ids=["from the first", "to the first", "in a row", "in a row, turned"])  # fmt: skip
def test_many_copies_of_one_picture_are_joined_in_few_steps(links: list[tuple[int, int]]) -> None:
    asked = 0

    class Counted(int):
        def __eq__(self, other: object) -> bool:
            nonlocal asked
            asked += 1
            return int(self) == other

        __hash__ = int.__hash__

    root = joined((Counted(one), Counted(other)) for one, other in links)
    assert len({int(root(Counted(number))) for number in range(20_000)}) == 1
    assert asked < 40 * len(links)


def test_a_class_too_small_for_the_folds_is_named() -> None:
    labels = torch.tensor([0] * 8 + [1] * 2)
    with pytest.raises(
        UsageError, match=r"outside one fold too few pictures are left of 1 class, 'lynx' \(1\); each class needs 2"
    ):
        hold_to_folds(labels, torch.arange(10) % 5, folds=5, classes=["cat", "lynx"])
    with pytest.raises(UsageError, match="accepted is at most the number of labelled pictures without copies, 10"):
        hold_to_folds(labels, torch.arange(10), folds=11, classes=["cat", "lynx"])
