"""What kind of file this is, by its first bytes: a web page, a Git LFS pointer, an archive. For messages. No torch."""

from __future__ import annotations

import io
import re

BEGINNINGS = (
    (b"version https://git-lfs", "a pointer of Git LFS, not the file itself; to get that, type: git lfs pull"),
    (b"/annex/objects/", "a pointer of git-annex, not the file itself; to get that, type: git annex get ."),
    (b"\x89HDF\r\n\x1a\n", "an HDF5 file, as Keras writes them (.h5)"),
    (b"\x1f\x8b", "compressed by gzip; unpack it first"),
    (b"BZh", "compressed by bzip2; unpack it first"),
    (b"\xfd7zXZ", "compressed by xz; unpack it first"),
    (b"\x28\xb5\x2f\xfd", "compressed by zstd; unpack it first"),
    (b"7z\xbc\xaf", "a 7z archive; unpack it first"),
    (b"Rar!", "a RAR archive; unpack it first"),
    (b"\x93NUMPY", "an array of NumPy (.npy)"),
    (b"MATLAB", "a file of MATLAB (.mat)"),
    (b"GGUF", "a language model (.gguf)"),
    (b"\x89PNG", "a picture (PNG)"),
    (b"\xff\xd8\xff", "a picture (JPEG)"),
    (b"%PDF", "a PDF"),
    (b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19", "a file of torch.save that is cut off or damaged"),
    (b"\x80\x02", "a pickle"), (b"\x80\x03", "a pickle"), (b"\x80\x04", "a pickle"), (b"\x80\x05", "a pickle"),
)  # fmt: skip
TORCH_ARCHIVE = "an archive of torch.save"
TORCHSCRIPT = "an archive of TorchScript"
PAGE = re.compile(rb"\s*(<!doctype html|<html|<head|<body|<!--)", re.IGNORECASE)
IN_ARCHIVES = (
    ("data.pkl", TORCH_ARCHIVE),
    (".npy", "an archive of NumPy arrays (.npz)"), ("model.weights.h5", "a model of Keras (.keras)"),
    ("[Content_Types].xml", "a document of an office program"),
)  # fmt: skip
"""A file inside a zip archive, to the kind of archive that it shows."""
ONNX_MAKERS = (b"pytorch", b"onnx", b"tf2", b"keras")
SHOWN = 40  # characters of a text to show


def is_safetensors(content: bytes) -> bool:
    """Whether a file starts like safetensors: the length of the header, then the header, which is JSON."""
    return content[8:9] == b"{" and 2 <= int.from_bytes(content[:8], "little") <= 100_000_000


def kind_of(content: bytes) -> str | None:
    """The kind of file with this content, in words that follow "it is"; None if the first bytes do not show it."""
    return (marked_kind(content) or _text(content)) if content else "empty"


def marked_kind(content: bytes) -> str | None:
    """The same, but None for what can be a plain text that a person wrote: YAML, CSV."""
    if page := PAGE.match(content):
        return f"a web page: it begins with {_shown(content[page.start(1) :])}"
    for beginning, words in BEGINNINGS:
        if content.startswith(beginning):
            return words
    if content.startswith(b"PK\x03\x04"):
        return _archive(content)
    if content[257:262] == b"ustar":
        return "a tar archive; unpack it first"
    if content[4:8] == b"TFL3":
        return "a model of TensorFlow Lite"
    if is_safetensors(content):
        return "a file of safetensors"
    if content[:1] == b"\x08" and content[2:3] == b"\x12" and any(maker in content[:200] for maker in ONNX_MAKERS):
        return "an ONNX graph (.onnx), in which the weights have lost their names"
    if content and not content.strip(b"\0"):
        return "all zeros: its download was cut off, or its disk is damaged"
    return None


def _archive(content: bytes) -> str:
    """What a zip archive contains."""
    import zipfile  # slow to import, and needed only for a rare message

    try:
        names = zipfile.ZipFile(io.BytesIO(content)).namelist()
    except (zipfile.BadZipFile, ValueError, NotImplementedError):
        return "an archive that is cut off, as by a download that broke: get it again"
    if any(name.endswith("constants.pkl") for name in names) and any("/code/" in name for name in names):
        return TORCHSCRIPT
    for ending, words in IN_ARCHIVES:
        if any(name.endswith(ending) for name in names):
            return words
    listed = ", ".join(names[:3]) + ", …" * (len(names) > 3)
    return f"a zip archive of {listed or 'nothing'}; unpack it first"


def _text(content: bytes) -> str | None:
    """The kind of a text: JSON, XML, or its first words; None if it is not text."""
    try:
        text = content[:400].decode("utf-8", "strict" if len(content) <= 400 else "ignore")
    except UnicodeDecodeError:
        return None
    if not text.strip() or not all(character.isprintable() or character in "\r\n\t" for character in text):
        return None
    kind = {"{": "JSON, as a server answers", "[": "JSON", "<": "XML, as a server answers"}.get(text.lstrip()[0], "a text")
    return f"{kind}: it begins with {_shown(content.lstrip())}"


def _shown(content: bytes) -> str:
    first = content[: 4 * SHOWN].decode("utf-8", "replace").splitlines()[0]
    return first[:SHOWN] + "…" * (len(first) > SHOWN)
