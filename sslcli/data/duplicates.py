"""Duplicates: images of a data set that show the same picture, byte by byte or nearly.

Near means re-encoded, brightened, recoloured, shifted by one pixel of 32, scaled by up to 8 %, or mirrored. Two steps find
these, both on whitened thumbnails: pooled, each channel centred, scaled to unit length, and whitened by the covariance of all
images of the set, so that common structure (a light sky over dark ground) counts little and detail counts much.

1. All pairs are compared as 8x8 thumbnails, mirrored ones too. Pairs with a cosine of at least 0.65 are candidates.
2. Candidates are aligned over shifts and scales as 16x16 thumbnails. The similarity is the largest cosine.

The first step can miss pairs: of copies of CIFAR-10's images it keeps 99 of 100 if shifted by one pixel, 72 if by two along one
axis, 16 if by two along both. Candidates from 0.50 on found 8 % more test images, but took five times as long.

The threshold, 0.80, was chosen on CIFAR-10 by eye, on sheets of pairs with a test image, in bands of similarity. From 0.80 on
nearly every pair is the same photograph (or the same picture, cropped and recoloured) or another shot of the same subject; from
0.76 to 0.80 about two of three are, from 0.68 to 0.72 one of three. Wrongly accepted are planes and birds with the same outline
against a clear sky, and framed pictures. Of the 279 near-duplicates that Barz & Denzler (2020, arXiv:1902.00423) list, 221 are
found.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator

import torch
import torch.nn.functional as F
from torch import Tensor

from sslcli.data.check_file import Pair
from sslcli.data.image_data import ImageData, in_parts
from sslcli.data.on_disk import Images

THRESHOLD = 0.80
CANDIDATE_BELOW = 0.15  # how far a candidate's coarse cosine may be below the threshold
SIDE, COARSE, FINE = (
    32,
    8,
    16,
)  # sides in pixels: of aligned images, of the thumbnails that find candidates, and of those that decide
SHRINKAGE = 1e-3  # fraction of the total variance added to each component: 8x8 and 1e-3 ranked best of nine that were tried
SHIFT, ZOOMS = 2, (0.92, 1.08)
HOPELESS = 0.3  # if it is this far below the threshold after shifts, no scale helps
ROWS, COLUMNS, GROUP, CHUNK = 1024, 2048, 64, 1000
SEARCH_SHARE = 0.7  # of the time, for the progress bar

Progress = Callable[[float], None]


def duplicate_pairs(data: ImageData, *, threshold: float = THRESHOLD, progress: Progress = lambda _: None) -> list[Pair]:
    """All pairs of duplicates in training and test images, the most similar first.

    Each of several images with the same bytes is paired only with the first; the first represents them in the search for
    near duplicates. `progress` gets the fraction of the work that is done. A check of 60,000 images takes 1.3 GB in total.
    """

    def parts() -> Iterator[Tensor]:
        for images in (data.train_images, data.test_images):
            yield from (part.cpu() for part in in_parts(images, CHUNK))

    labels = torch.cat([data.train_labels, data.test_labels]).tolist()
    train = len(data.train_images)
    first = first_equal(image for part in parts() for image in part)
    found = [("exact", first[i], i, 1.0) for i in range(len(first)) if first[i] != i]
    unique = torch.tensor([i for i in range(len(first)) if first[i] == i])
    small = torch.cat([torch.empty(0, 3, SIDE, SIDE, dtype=torch.uint8), *map(_of_side, parts())])
    near = near_duplicates(small if not found else small[unique], threshold=threshold, progress=progress)
    found += [(kind, int(unique[i]), int(unique[j]), value) for kind, i, j, value in near]

    def place(index: int) -> tuple[str, int]:
        return ("train", index) if index < train else ("test", index - train)

    pairs = [Pair(kind, *place(i), *place(j), value, labels[i], labels[j]) for kind, i, j, value in found]
    return sorted(pairs, key=lambda pair: (-pair.similarity, pair.where_a == "test", pair.where_b == "test", pair.i, pair.j))


def first_equal(images: Iterable[Tensor]) -> list[int]:
    """For each uint8 image the position of the first one with the same bytes (its own if it is the first)."""
    seen: dict[bytes, int] = {}
    return [seen.setdefault(hashlib.sha256(image.numpy().tobytes()).digest(), i) for i, image in enumerate(images)]


def constant_images(images: Images) -> list[int]:
    """The positions of images (N, 3, H, W) whose pixels all have the same colour."""
    flat = (part.flatten(2) for part in in_parts(images, CHUNK))
    flags = [(pixels == pixels[..., :1]).all(2).all(1) for pixels in flat]
    return torch.cat([*flags, torch.empty(0, dtype=torch.bool)]).nonzero().flatten().tolist()


def near_duplicates(images: Tensor, *, threshold: float, progress: Progress) -> list[tuple[str, int, int, float]]:
    """Pairs (kind, i, j, similarity), i < j, of images (N, 3, 32, 32) uint8 whose similarity reaches the threshold."""
    i, j, mirrored = candidates(
        images, least=threshold - CANDIDATE_BELOW, progress=lambda share: progress(SEARCH_SHARE * share)
    )
    whitener, values = whitening(images, FINE), []
    for start in range(0, len(i), CHUNK):
        part = slice(start, start + CHUNK)
        second = torch.where(mirrored[part, None, None, None], images[j[part]].flip(3), images[j[part]])
        values.append(similarity(images[i[part]], second, whitener, least=threshold - HOPELESS))
        progress(SEARCH_SHARE + (1 - SEARCH_SHARE) * min(1.0, (start + CHUNK) / len(i)))
    best: dict[tuple[int, int], tuple[float, str]] = {}
    for a, b, flip, value in zip(i.tolist(), j.tolist(), mirrored.tolist(), torch.cat([*values, torch.empty(0)]), strict=True):
        rounded = round(min(1.0, float(value)), 4)
        if rounded >= threshold and rounded > best.get((a, b), (0.0, ""))[0]:
            best[a, b] = rounded, "mirrored" if flip else "near"
    return [(kind, a, b, value) for (a, b), (value, kind) in best.items()]


def thumbnails(images: Tensor, side: int) -> Tensor:
    """Images (N, 3, H, W) to (N, 3, side, side) float32, channels of mean 0, images of length 1 (0 if of one colour)."""
    pooled = F.adaptive_avg_pool2d(images.float(), side)
    centred = pooled - pooled.mean((2, 3), keepdim=True)
    return F.normalize(centred.flatten(1)).view_as(centred)


def whitening(images: Tensor, side: int) -> Tensor:
    """The symmetric matrix (3·side², 3·side²) that whitens thumbnails of the images and of their mirror images.

    Because the covariance includes the mirror images, it commutes with mirroring: mirror images need no whitening of their own.
    """
    covariance = torch.zeros(3 * side * side, 3 * side * side, dtype=torch.float64)
    for chunk in torch.split(images, CHUNK):
        small = thumbnails(chunk, side)
        for view in (small, small.flip(3)):
            flat = view.flatten(1)
            covariance += (flat.T @ flat).double()
    values, vectors = torch.linalg.eigh(covariance / covariance.trace().clamp_min(1e-12))
    whitener: Tensor = ((vectors / (values.clamp_min(0) + SHRINKAGE).sqrt()) @ vectors.T).float()
    return whitener


def _whitened(images: Tensor, whitener: Tensor, side: int) -> Tensor:
    return F.normalize(thumbnails(images, side).flatten(1) @ whitener)


def candidates(images: Tensor, *, least: float, progress: Progress) -> tuple[Tensor, Tensor, Tensor]:
    """Positions i < j (C,) of pairs whose coarse cosine is at least `least`, and whether j is mirrored.

    A thumbnail is split into the parts that mirroring keeps (even) and negates (odd). The products of the parts, E and O,
    give both cosines: E + O, and E - O with the mirror image.
    """
    even, odd = _even_and_odd(images)
    found, blocks = [torch.empty(3, 0, dtype=torch.int64)], list(_blocks(len(even)))
    for number, (row, column) in enumerate(blocks, 1):
        e = even[row : row + ROWS] @ even[column : column + COLUMNS].T
        o = odd[row : row + ROWS] @ odd[column : column + COLUMNS].T
        found.append(_hits(e, o, least) + torch.tensor([[row], [column], [0]]))
        progress(number / len(blocks))
    i, j, mirrored = torch.cat(found, 1)
    later = i < j
    return i[later], j[later], mirrored[later] > 0


def _even_and_odd(images: Tensor) -> tuple[Tensor, Tensor]:
    """Whitened coarse thumbnails in two halves (M, 96); M is a multiple of COLUMNS, extra rows are 0."""
    whitener = whitening(images, COARSE)
    white = torch.cat([_whitened(chunk, whitener, COARSE) for chunk in torch.split(images, CHUNK)])
    white = F.pad(white, (0, 0, 0, -len(white) % COLUMNS)).view(-1, 3, COARSE, COARSE)
    halves = [((white + sign * white.flip(3))[..., : COARSE // 2] / 2**0.5).flatten(1) for sign in (1, -1)]
    return halves[0].contiguous(), halves[1].contiguous()


def _blocks(count: int) -> Iterator[tuple[int, int]]:
    """The upper left corners of the blocks that together contain every pair once."""
    for row in range(0, count, ROWS):
        for column in range(row // COLUMNS * COLUMNS, count, COLUMNS):
            yield row, column


def _hits(even: Tensor, odd: Tensor, least: float) -> Tensor:
    """Rows i, j, mirrored (3, hits) from a block's products; groups of columns without a hit are skipped."""
    highest = (odd.abs() + even).view(len(even), -1, GROUP).amax(2)
    row, group = (highest >= least).nonzero(as_tuple=True)
    columns = group[:, None] * GROUP + torch.arange(GROUP)
    e, o = even[row[:, None], columns], odd[row[:, None], columns]
    hits = []
    for mirrored, cosine in enumerate((e + o, e - o)):
        at, within = (cosine >= least).nonzero(as_tuple=True)
        hits.append(torch.stack([row[at], columns[at, within], torch.full_like(at, mirrored)]))
    return torch.cat(hits, 1)


def similarity(first: Tensor, second: Tensor, whitener: Tensor, *, least: float) -> Tensor:
    """The cosines (n,) of the fine thumbnails of images (n, 3, 32, 32), at the best shift and scale of the second ones.

    Every shift is tried first; then, for pairs that reach `least`, other scales at the best shift.
    """
    target = _whitened(first, whitener, FINE)
    best, shift = torch.full((len(first),), -1.0), torch.zeros(len(first), 2)
    steps = [(float(y), float(x)) for y in range(-SHIFT, SHIFT + 1) for x in range(-SHIFT, SHIFT + 1)]
    for step in sorted(steps, key=lambda step: step[0] ** 2 + step[1] ** 2):  # prefer the smallest of equal shifts
        moved = torch.tensor(step).expand_as(shift)
        value = (target * _whitened(_moved(second, moved, 1.0), whitener, FINE)).sum(1)
        shift = torch.where((value > best)[:, None], moved, shift)
        best = torch.maximum(best, value)
    hopeful = (best >= least).nonzero().flatten()
    for zoom in ZOOMS:
        for step in steps:
            if max(map(abs, step)) <= 1:
                moved = _moved(second[hopeful], shift[hopeful] + torch.tensor(step), zoom)
                value = (target[hopeful] * _whitened(moved, whitener, FINE)).sum(1)
                best[hopeful] = torch.maximum(best[hopeful], value)
    return best


def _moved(images: Tensor, shift: Tensor, zoom: float) -> Tensor:
    """Images (n, 3, 32, 32) shifted by `shift` pixels (n, 2; rows, columns) and scaled; edge pixels are repeated."""
    if not len(images):  # a filter may leave no images, for which torch makes no grid
        return images.float()
    matrix = torch.zeros(len(images), 2, 3)
    matrix[:, 0, 0] = matrix[:, 1, 1] = 1 / zoom
    matrix[:, :, 2] = shift.flip(1) * 2 / SIDE
    grid = F.affine_grid(matrix, list(images.shape), align_corners=False)
    return F.grid_sample(images.float(), grid, padding_mode="border", align_corners=False)


def _of_side(images: Tensor) -> Tensor:
    """Images of any size at 32x32, uint8."""
    if images.shape[-2:] == (SIDE, SIDE):
        return images
    return torch.cat([F.adaptive_avg_pool2d(c.float(), SIDE).round().to(torch.uint8) for c in torch.split(images, CHUNK)])
