"""TIFF files of one grey channel with any number of bits, written by hand: Pillow itself writes few of the kinds."""

from __future__ import annotations

import struct

WIDTH, HEIGHT, BITS, COMPRESSION, PHOTOMETRIC, OFFSETS, CHANNELS, ROWS, COUNTS = 256, 257, 258, 259, 262, 273, 277, 278, 279
LARGEST, FORMAT = 281, 339
UNSIGNED, SIGNED, FLOATING = 1, 2, 3


def tiff(
    pixels: bytes, *, size: tuple[int, int], bits: int, form: int = UNSIGNED, largest: int | None = None, order: str = "<"
) -> bytes:
    """An uncompressed TIFF; `order` is < (II) or > (MM), `largest` its MaxSampleValue."""
    tags = {
        WIDTH: size[0], HEIGHT: size[1], BITS: bits, COMPRESSION: 1, PHOTOMETRIC: 1, CHANNELS: 1, ROWS: size[1],
        COUNTS: len(pixels), FORMAT: form, **({LARGEST: largest} if largest is not None else {}),
    }  # fmt: skip
    tags[OFFSETS] = 8 + 2 + 12 * (len(tags) + 1) + 4
    entries = b"".join(struct.pack(f"{order}HHII", tag, 4, 1, tags[tag]) for tag in sorted(tags))
    head = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(f"{order}IH", 8, len(tags))
    return head + entries + bytes(4) + pixels


def packed_12_bits(values: list[int]) -> bytes:
    """Pairs of 12-bit values in three bytes each."""
    pairs = zip(values[::2], values[1::2], strict=True)
    return b"".join(bytes([a >> 4, (a & 15) << 4 | b >> 8, b & 255]) for a, b in pairs)
