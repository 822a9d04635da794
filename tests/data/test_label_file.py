"""A CSV file of labels as people and their programs write them: encodings, delimiters, paths, values that are missing."""

import codecs
import os
import re
import shutil
import unicodedata
from pathlib import Path

import pytest
from PIL import Image

from sslcli.data.folder.catalogue import Listing, list_pictures
from sslcli.data.folder.entry import Entry
from sslcli.data.folder.label_file import predicted_in, read_labels
from sslcli.data.folder.reading import Reading, load_folder
from sslcli.errors import UsageError

TEXT = "path,label\ncats/1.png,Kätzchen\ncats/2.png,dog\n"
WANTED = {"cats/1.png": Entry("cats/1.png", "Kätzchen"), "cats/2.png": Entry("cats/2.png", "dog")}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A folder of four pictures by their names."""
    for name in ("cats/1.png", "cats/2.png", "cafés/3.png", " odd .png"):
        (tmp_path / "photos" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "photos" / name).write_bytes(b"x")
    return tmp_path / "photos"


def write(root: Path, content: str | bytes) -> Path:
    file = root.with_name("labels.csv")
    file.write_bytes(content if isinstance(content, bytes) else content.encode("utf-8", "surrogateescape"))
    return file


def labels_of(root: Path, *paths: str) -> dict[str, str | None]:
    """The labels that a CSV file with these paths gives, which are called by their places."""
    rows = [f'"{path}",{place}' for place, path in enumerate(paths)]
    return {entry.path: entry.label for entry in named(root, "\n".join(["path,label", *rows])).entries}


def named(root: Path, content: str | bytes) -> Listing:
    return list_pictures(root).named(write(root, content))


@pytest.mark.parametrize("ends", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32"])
def test_encodings_delimiters_and_line_ends_of_other_programs_are_read(
    encoding: str, delimiter: str, ends: str, tmp_path: Path
) -> None:
    mark = {"utf-16-le": codecs.BOM_UTF16_LE, "utf-16-be": codecs.BOM_UTF16_BE}.get(encoding, b"")
    file = write(tmp_path / "x", mark + TEXT.replace(",", delimiter).replace("\n", ends).encode(encoding))
    assert read_labels(file) == WANTED


@pytest.mark.parametrize(
    "text",
    [
        '"Path","LABEL"\n"cats/1.png","Kätzchen"\n"cats/2.png","dog"\n',
        "path, label\ncats/1.png, Kätzchen\ncats/2.png, dog\n",
        '"path", "label"\n"cats/1.png", "Kätzchen"\n"cats/2.png", "dog"\n',
        " PATH ,label \ncats/1.png,Kätzchen \ncats/2.png,dog",
        "\n  \npath,label\n\n   \ncats/1.png,Kätzchen\n , \n,\ncats/2.png,dog\n\n",
        "path;label\n./cats/1.png;Kätzchen\ncats//2.png;dog",
        "path,label,,\ncats/1.png,Kätzchen,,\ncats/2.png,dog,\n",
        '"path";"label"\n"cats/1.png";"Kätzchen"\n"cats/2.png";"dog"\n',
        unicodedata.normalize("NFD", TEXT),
    ],
    ids=["quotes", "spaces", "quotes after spaces", "case", "empty rows", "dots", "empty columns", "quoted semicolons", "NFD"],
)  # fmt: skip
def test_what_is_written_in_other_ways_is_the_same_file(text: str, tmp_path: Path) -> None:
    assert read_labels(write(tmp_path / "x", text)) == WANTED


def test_a_delimiter_may_stand_in_values_of_a_file_with_another(tmp_path: Path) -> None:
    file = write(tmp_path / "x", 'path;label;split\n"a;b.png";x, y;train\nc,d.png;z;\n')
    assert read_labels(file) == {"a;b.png": Entry("a;b.png", "x, y", "train"), "c,d.png": Entry("c,d.png", "z")}


def test_of_the_columns_that_predict_adds_only_by_is_read_and_other_columns_are_refused(tmp_path: Path) -> None:
    head = "path,label,split,confidence,distance,unlike,by\n"
    file = write(tmp_path / "x", f"{head}a.png,cat,train,0.9,0.1,no,predicted\nb.png,dog,test,1,,no,given\n")
    assert read_labels(file) == {
        "a.png": Entry("a.png", "cat", "train", "predicted"), "b.png": Entry("b.png", "dog", "test", "given"),
    }  # fmt: skip
    assert predicted_in(file) == ["a.png"]
    assert predicted_in(None) == predicted_in(tmp_path / "gone.csv") == []
    file = write(tmp_path / "x", "path;label;confidence\na.png;cat;0,9\nb.png;;\n")
    assert read_labels(file) == {"a.png": Entry("a.png", "cat"), "b.png": Entry("b.png")}
    for head in ("path,label,confidence,split", "path,label,trust", "path,confidence,label", "confidence,path,label"):
        with pytest.raises(UsageError, match=f"its first line is '{head}'; accepted is path,label"):
            read_labels(write(tmp_path / "x", f"{head}\n"))
    with pytest.raises(UsageError, match="line 2: 3 values, but the first line has 4"):
        read_labels(write(tmp_path / "x", "path,label,unlike,by\na.png,cat,no\n"))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (TEXT.encode("latin-1"), r"line 2: label b'K\xe4tzchen' is not in UTF-8: save it as CSV in UTF-8"),
        ("path,label\ncäts/1.png,cat\n".encode("cp1252"), r"(b'c\xe4ts/1.png' is not in UTF-8: save it as CSV in UTF-8)"),
        (TEXT.encode("utf-16-le"), "not plain text: it has NUL bytes (a workbook, or UTF-16 without its mark?): save it"),
        (codecs.BOM_UTF16_LE + b"p", "cannot be read as CSV"), (b"PK\3\4\0\0", "not a CSV file: it is an archive"),
        (b"path:label\na:b\n", "its first line is 'path:label'; accepted is path,label or path,label,split (semi"),
        (b"path;label\ncats/1.png,cat\n", "line 2: 1 values, but the first line has 2"),
        (b"path,label\ncats/1.png,cat,dog\n", "line 2: 3 values, but the first line has 2"),
        (b"path,label\n  ,cat\n", "line 2: no path"), (b'path,label\n"a\nb",c\n,d\n', "line 4: no path"),
        (b'path,label\n"a"b,c\n', "cannot be read as CSV: ',' expected after '\"' in line 2"),
    ],
)  # fmt: skip
def test_a_file_that_cannot_be_read_so_says_why_in_words(content: bytes, message: str, root: Path) -> None:
    with pytest.raises(UsageError, match=re.escape(message)):
        named(root, content)


def test_names_of_files_may_be_any_bytes_where_labels_are_text(root: Path) -> None:
    strange = os.fsdecode(b"caf\xe9.png")
    (root / strange).write_bytes(b"x")
    assert labels_of(root, strange)[strange] == "0"


def test_paths_are_found_as_people_write_them(root: Path) -> None:
    (root.with_name("alias")).symlink_to(root)
    (root / "second").symlink_to(root / "cats")
    for path in (
        " cats/1.png ", "./cats/1.png", ".\\cats\\1.png", "cats\\1.png", "cats/../cats/1.png", "../photos/cats/1.png",
        f"{root}/cats/1.png", f"{root}//cats/./1.png ", f"{root.with_name('alias')}/cats/1.png", "second/1.png",
        f"{root}/second/1.png",
    ):  # fmt: skip
        assert labels_of(root, path)["cats/1.png"] == "0", path
    assert labels_of(root.with_name("alias"), f"{root}/cats/1.png", "cats/2.png")["cats/1.png"] == "0"
    assert labels_of(root, " odd .png")[" odd .png"] == "0"


@pytest.mark.parametrize("forms", [("NFC", "NFD"), ("NFD", "NFC")])
def test_paths_are_found_in_the_other_spelling_of_unicode(forms: tuple[str, str], tmp_path: Path) -> None:
    on_disk, written = (unicodedata.normalize(form, "cafés/ü.png") for form in forms)
    (tmp_path / "photos" / on_disk).parent.mkdir(parents=True)
    (tmp_path / "photos" / on_disk).write_bytes(b"x")
    assert labels_of(tmp_path / "photos", written) == {on_disk: "0"}
    assert labels_of(tmp_path / "photos", str(tmp_path / "photos" / written)) == {on_disk: "0"}
    other = tmp_path / "photos" / written
    other.parent.mkdir(parents=True)
    other.write_bytes(b"x")
    assert labels_of(tmp_path / "photos", written, on_disk) == {written: "0", on_disk: "1"}


@pytest.mark.parametrize("other", [" cats/1.png", "cats\\1.png", "{root}/cats/1.png", "second/1.png"])
def test_one_file_named_in_two_ways_is_refused_with_both(other: str, root: Path) -> None:
    (root / "second").symlink_to(root / "cats")
    other = other.format(root=root)
    with pytest.raises(UsageError, match=re.escape(f"'cats/1.png' and {other!r} are one file, 'cats/1.png'; accepted is one")):
        labels_of(root, "cats/1.png", other)


@pytest.mark.parametrize(
    ("path", "why"),
    [
        ("nowhere.png", "; accepted are paths below the folder, like ' odd .png'"), ("../labels.csv", " (it is there, but"),
        (".hidden.png", " (it is there, but hidden, made by a system, or behind a link); accepted"),
        ("/nowhere.png", "; accepted"), ("C:\\photos\\cats\\1.png", "; accepted"), ("x" * 300, "; accepted"),
    ],
)  # fmt: skip
def test_paths_that_are_not_found_are_said(path: str, why: str, root: Path) -> None:
    (root / ".hidden.png").write_bytes(b"x")
    with pytest.raises(UsageError, match=re.escape(f"1 of its 2 paths are not in the folder; the first is {path!r}{why}")):
        labels_of(root, "cats/1.png", path)


def test_labels_that_are_missing_are_none_and_those_that_a_program_wrote_so_are_said(root: Path) -> None:
    listing = named(root, "path,label\ncats/1.png,nan\ncats/2.png,NaN \ncafés/3.png,\n odd .png,nancy\n")
    assert {entry.path: entry.label for entry in listing.entries} == {
        "cats/1.png": None, "cats/2.png": None, "cafés/3.png": None, " odd .png": "nancy",
    }  # fmt: skip
    assert listing.notes == [f"--labels {root.with_name('labels.csv')}: 2 pictures have the label 'nan', read as none"]


def test_labels_in_both_spellings_of_unicode_are_one_class(root: Path) -> None:
    both = [unicodedata.normalize(form, "Kätzchen") for form in ("NFC", "NFD")]
    listing = named(root, f"path,label\ncats/1.png,{both[0]}\ncats/2.png,{both[1]}\n")
    assert {entry.label for entry in listing.entries} == {"Kätzchen", None}


def test_a_folder_without_trouble_keeps_the_fingerprint_that_earlier_versions_gave_it(tmp_path: Path) -> None:
    root = tmp_path / "photos"
    for place, name in enumerate(("café", "b", "猫")):
        (root / name).mkdir(parents=True)
        for number in range(12):
            Image.new("RGB", (40, 40), (20 * number, 80 * place, 7)).save(root / name / f"{number}.bmp")
    shutil.copy(root / "b" / "3.bmp", root / "café" / "copy.bmp")
    shutil.copy(root / "b" / "4.bmp", root / "beside.bmp")
    (root / "猫" / "again.bmp").symlink_to("5.bmp")
    for name in (".hidden.bmp", "notes.txt"):
        (root / name).write_bytes(b"x")
    data = load_folder(root, tmp_path / "cache", Reading())
    assert data.fingerprint == "c673abcf04b68417a1370d9e797dd0d8aecf7f4fdc5108316224fc3b94a69d01"
    lines = "path,label,split\ncafé/1.bmp,x,test\nb/2.bmp,y,\n./猫/3.bmp,x,train\nb/4.bmp,,\nb/5.bmp,y,val\n"
    labels = write(root, lines)
    data = load_folder(root, tmp_path / "cache", Reading(labels=labels, image_size=32))
    assert data.fingerprint == "7d636e021dd437bafe86fc21946bd5e46e5c876557f396a171f0e6df84e67e68"
