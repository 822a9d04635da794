"""Data sets that have to be downloaded: where their files are, how they are verified, and the messages about them."""

from __future__ import annotations

import tarfile
import zipfile
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path

from torchvision.datasets.utils import check_integrity

from sslcli.data import size_of
from sslcli.data.image_data import ImageData
from sslcli.errors import StateError

LOST = (RuntimeError, OSError, EOFError, ValueError, HTTPException, tarfile.TarError, zipfile.BadZipFile, zlib.error)
"""The errors of a failed download: no network, another checksum, an archive that is cut off."""
DAMAGE = (RuntimeError, OSError, EOFError, ValueError, LookupError, TypeError, SyntaxError, AssertionError, zlib.error)
"""The errors of torchvision, numpy, scipy and Pillow for damaged or foreign files."""


@dataclass(frozen=True, kw_only=True)
class Source:
    """A torchvision data set by its name in DATASETS. Calling it is the `load` of that table.

    `folder`, below the folder of data sets, holds the files; "." is the folder of data sets itself. `files` gives their
    names and md5 sums, None where torchvision has none; then the number of images is compared with the table's size
    instead. `fetch` downloads below the folder of data sets, `read` reads from there.
    """

    name: str
    title: str
    download: str
    folder: str
    files: Callable[[], Sequence[Sequence[str | None]]]
    fetch: Callable[[str], object]
    read: Callable[[str], ImageData]

    def __call__(self, data_dir: Path, *, download: bool) -> ImageData:
        """The data set. Known checksums are verified before a file is opened. A StateError says what is wrong."""
        folder = data_dir / self.folder
        missing = self._missing(folder)
        if missing and not download:
            held = missing[0] if self.folder == "." else self.folder
            raise StateError(
                f"{self.title} is not in {folder.resolve()}: {', '.join(missing[:3])}{' …' * (len(missing) > 3)} missing. "
                f"Name the folder that holds {held} with --data-dir DIR, or have it downloaded ({self.download}): "
                "add --download"
            )
        if missing:
            self._fetch(data_dir)
        self._verify(folder)
        try:
            data = self.read(str(data_dir))
        except DAMAGE as error:
            raise StateError(self._advice(folder, f"{type(error).__name__}: {_in_a_line(error)}")) from error
        self._hold_to_size(data, folder)
        return data

    def _missing(self, folder: Path) -> list[str]:
        return [str(name) for name, _ in self.files() if not (folder / str(name)).exists()]

    def _fetch(self, data_dir: Path) -> None:
        try:
            self.fetch(str(data_dir))
        except LOST as error:
            raise StateError(f"{self.title} could not be downloaded to {data_dir.resolve()}: {_in_a_line(error)}") from error

    def _verify(self, folder: Path) -> None:
        if missing := self._missing(folder):
            raise StateError(self._advice(folder, f"{', '.join(missing)} missing after the download"))
        known = [(str(name), md5) for name, md5 in self.files() if md5 is not None]
        damaged = [name for name, md5 in known if not check_integrity(str(folder / name), md5)]
        if damaged:
            raise StateError(
                f"{folder.resolve()}: {', '.join(damaged)} damaged or not the official file (its checksum is another); "
                "delete it and add --download"
            )

    def _hold_to_size(self, data: ImageData, folder: Path) -> None:
        size = size_of(self.name)
        found, official = (len(data.train_labels), len(data.test_labels)), (size.train, size.test)
        if found != official and any(md5 is None for _, md5 in self.files()):
            numbers = [f"{train:,} training and {test:,} test" for train, test in (found, official)]
            raise StateError(self._advice(folder, f"{numbers[0]} images instead of the official {numbers[1]}"))

    def _advice(self, folder: Path, what: str) -> str:
        place = folder.resolve()
        files = ", ".join(str(name) for name, _ in self.files())
        damaged = f"{files} there" if self.folder == "." else place
        return f"{self.title} in {place} is damaged or incomplete: {what}; delete {damaged} and add --download"


def _in_a_line(error: Exception) -> str:
    return " ".join(str(error).split())
