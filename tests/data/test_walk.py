"""What is found below a reading, what is passed over there, and that data sets and own pictures are read by one walk."""

import csv
import os
import re
import unicodedata
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from sslcli.data.folder import reading, walk
from sslcli.data.folder.catalogue import list_pictures
from sslcli.data.folder.own_images import read_images
from sslcli.data.folder.reading import Reading, load_folder
from sslcli.data.folder.walk import Kind
from sslcli.data.image_data import ImageData
from sslcli.errors import StateError, UsageError
from sslcli.gallery import neighbours, predictions
from tests.conftest import Cli

SYSTEM = (
    "@eaDir", "@EADIR", "#recycle", "#Recycle", "$RECYCLE.BIN", "$Recycle.Bin", "lost+found", "__MACOSX", "@Recycle",
    "@Recently-Snapshot", "#snapshot", "System Volume Information", "__pycache__",
)  # fmt: skip
HIDDEN = (".Trash-1000", ".thumbnails", ".snapshot", ".ipynb_checkpoints", ".AppleDouble", ".git", ".@__thumb")


def picture(path: Path, number: int = 0) -> Path:
    """A noisy picture, another one for each number."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(number).integers(0, 256, (36, 36, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(path)
    return path


def classes(root: Path, *names: str, count: int = 10) -> Path:
    """A folder with so many pictures in each class."""
    for place, name in enumerate(names):
        for number in range(count):
            picture(root / name / f"{number}.png", 1000 * place + number)
    return root


def load(root: Path, tmp_path: Path, **options: Path) -> tuple[ImageData, list[str]]:
    """A folder as a data set, and what was said of it."""
    said: list[str] = []
    return load_folder(root, tmp_path / "cache", Reading(say=said.append, **options)), said


def kinds(root: Path) -> dict[str, Kind]:
    return {found.path: found.kind for found in walk.walk(root)}


@pytest.mark.parametrize("depth", ["", "cats/", "cats/young/"])
@pytest.mark.parametrize("name", [*SYSTEM, *HIDDEN])
def test_what_systems_and_programs_leave_is_passed_over_at_any_depth(name: str, depth: str, tmp_path: Path) -> None:
    picture(tmp_path / f"{depth}{name}" / "1.jpg" / "SYNOPHOTO_THUMB_M.jpg")
    picture(tmp_path / f"{depth}a.png")
    found = list_pictures(tmp_path)
    assert [entry.path for entry in found.entries] == [f"{depth}a.png"]
    assert found.found.passed_over == [(f"{depth}{name}", "hidden" if name in HIDDEN else "made by a system or a program")]
    assert found.others == []


def test_thumbnails_and_waste_of_network_drives_are_neither_classes_nor_test_pictures(tmp_path: Path) -> None:
    root = classes(tmp_path / "photos", "cats", "dogs")
    plain, _ = load(root, tmp_path)
    for place in ("", "cats", "dogs"):
        for name in ("@eaDir/0.png", "#recycle", "lost+found", "__MACOSX"):
            picture(root / place / name / "thumb.jpg", 7)
        (root / place / "Thumbs.db").write_bytes(b"x")
        (root / place / "desktop.ini").write_bytes(b"x")
        picture(root / place / "._0.png")
    data, said = load(root, tmp_path)
    assert data.classes == ("cats", "dogs")
    assert (len(data.train_labels), len(data.test_labels)) == (16, 4)
    assert data.fingerprint == plain.fingerprint
    named = re.search(r"named in (.+?\.csv): 21 hidden or system files or folders skipped", said[0])
    assert named, said
    rows = dict(csv.reader(Path(named[1]).read_text().splitlines()))
    assert rows["cats/@eaDir"] == rows["dogs/Thumbs.db"] == "made by a system or a program"
    assert rows["dogs/._0.png"] == "hidden"


@pytest.mark.parametrize("name", ["recycle", "trash", "thumbnails", "snapshot", "eaDir", "found", "runs", "results"])
def test_classes_that_only_sound_like_a_systems_folders_stay(name: str, tmp_path: Path) -> None:
    classes(tmp_path, name, "cats", count=1)
    assert {entry.label for entry in list_pictures(tmp_path).entries} == {name, "cats"}


def test_results_of_a_project_inside_are_no_pictures_of_the_folder(tmp_path: Path) -> None:
    (tmp_path / "study").mkdir()
    (tmp_path / "study" / "registry.yaml").write_text("runs: []\n")
    for name in ("results/figures/loss.png", "runs/pretrain/x/embedding.png", "photos/1.png"):
        picture(tmp_path / "study" / name)
    assert [entry.path for entry in list_pictures(tmp_path).entries] == ["study/photos/1.png"]
    assert kinds(tmp_path)["study/results"] == kinds(tmp_path)["study/runs"] == Kind.RESULT


def test_a_folder_named_like_a_picture_is_a_folder(tmp_path: Path) -> None:
    (tmp_path / "empty.jpg").mkdir()
    picture(tmp_path / "x.jpg" / "in.png")
    assert [entry.path for entry in list_pictures(tmp_path).entries] == ["x.jpg/in.png"]


def test_each_link_is_called_by_what_it_leads_to(tmp_path: Path) -> None:
    root = tmp_path / "root"
    picture(root / "a" / "1.png")
    classes(tmp_path / "store", "cats", count=3)
    links = {
        "a/out.png": tmp_path / "store" / "cats" / "0.png", "cats": tmp_path / "store" / "cats", "up": tmp_path,
        "notes": tmp_path / "store", "gone.png": tmp_path / "nowhere.png", "here.png": root / "nowhere.png",
        "self.png": root / "self.png", "one.png": root / "two.png", "two.png": root / "one.png", "gone.txt": tmp_path / "x",
        "inside.png": root / "a" / "1.png",
    }  # fmt: skip
    for name, target in links.items():
        (root / name).symlink_to(target)
    os.mkfifo(root / "pipe.png")
    found = {other.path: (other.kind, other.pictures) for other in walk.walk(root)}
    assert found == {
        "a/1.png": (Kind.PICTURE, 0), "inside.png": (Kind.PICTURE, 0), "a/out.png": (Kind.LEAVES, 1), "cats": (Kind.LEAVES, 3),
        "up": (Kind.LEAVES, 0), "notes": (Kind.LEAVES, 3), "gone.png": (Kind.DANGLES, 1), "here.png": (Kind.DANGLES, 1),
        "self.png": (Kind.DANGLES, 1), "one.png": (Kind.DANGLES, 1), "two.png": (Kind.DANGLES, 1),
        "gone.txt": (Kind.DANGLES, 0), "pipe.png": (Kind.SPECIAL, 1),
    }  # fmt: skip


def test_of_several_ways_to_a_folder_the_one_without_a_link_counts_and_loops_end(tmp_path: Path) -> None:
    picture(tmp_path / "z" / "deep" / "1.png")
    picture(tmp_path / ".store" / "cats" / "2.png")
    for name, target in {"a": "z/deep", "z/loop": "..", "z/deep/back": "../..", "m": ".store", "n": ".store/cats"}.items():
        (tmp_path / name).symlink_to(target)
    (tmp_path / "z" / "twin").symlink_to("deep")
    assert [entry.path for entry in list_pictures(tmp_path).entries] == ["m/cats/2.png", "z/deep/1.png"]


def test_a_link_into_what_is_passed_over_as_a_systems_is_passed_over_too(tmp_path: Path) -> None:
    picture(tmp_path / "cats" / "@eaDir" / "1.png")
    picture(tmp_path / "cats" / "1.png")
    (tmp_path / "thumbs").symlink_to(tmp_path / "cats" / "@eaDir")
    (tmp_path / "thumb.png").symlink_to(tmp_path / "cats" / "@eaDir" / "1.png")
    assert kinds(tmp_path) == {
        "cats/1.png": Kind.PICTURE, "cats/@eaDir": Kind.SYSTEM, "thumbs": Kind.SYSTEM, "thumb.png": Kind.SYSTEM,
    }  # fmt: skip


def test_a_folder_that_is_itself_a_link_is_read_as_the_folder(tmp_path: Path) -> None:
    real = classes(tmp_path / "real", "cats", "dogs", count=3)
    (real / "cats" / "again.png").symlink_to(real / "cats" / "0.png")
    (tmp_path / "link").symlink_to(real)
    (tmp_path / "chain").symlink_to(tmp_path / "link")
    assert list_pictures(tmp_path / "chain").entries == list_pictures(real).entries
    assert len(list_pictures(tmp_path / "link").entries) == 7
    assert load(tmp_path / "link", tmp_path)[0].fingerprint == load(real, tmp_path)[0].fingerprint


@pytest.mark.parametrize("whole", [True, False], ids=["a folder", "each picture"])
def test_pictures_behind_links_count_among_those_that_cannot_be_read(
    whole: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root, store = classes(tmp_path / "photos", "cats"), classes(tmp_path / "my store", "dogs")
    if whole:
        (root / "dogs").symlink_to(store / "dogs")
    else:
        (root / "dogs").mkdir()
        for number in range(10):
            (root / "dogs" / f"{number}.png").symlink_to(store / "dogs" / f"{number}.png")
    monkeypatch.setattr(reading, "decode", None)  # nothing is decoded before
    with pytest.raises(StateError) as refused:
        load(root, tmp_path)
    message = str(refused.value)
    assert (
        "10 of 20 pictures cannot be read (10 of them behind links out of the folder). At most a tenth may be skipped"
        in message
    )
    assert "a link that leaves the folder" in message
    assert f"cp -rL {root} photos-copy), or name the folder that they lead to: '{store / 'dogs'}'" in message


def test_a_few_links_are_skipped_and_named_and_dangling_ones_count_too(tmp_path: Path) -> None:
    root, outside = classes(tmp_path / "photos", "cats", "dogs"), picture(tmp_path / "outside.png")
    (root / "cats" / "out.png").symlink_to(outside)
    (root / "cats" / "gone.png").symlink_to(tmp_path / "gone")
    data, said = load(root, tmp_path)
    assert len(data.train_labels) + len(data.test_labels) == 20
    assert "2 of 22 pictures cannot be read (1 of them behind links out of the folder)" in said[0]
    (root / "dogs" / "too.png").symlink_to(tmp_path / "gone")
    with pytest.raises(StateError, match=r"3 of 23 pictures cannot be read"):
        load(root, tmp_path)


def test_broken_pictures_and_links_share_the_tenth(tmp_path: Path) -> None:
    root = classes(tmp_path / "photos", "cats", "dogs")
    for number in range(2):
        (root / "cats" / f"cut{number}.png").write_bytes(b"x")
    assert "2 of 22 pictures" in load(root, tmp_path)[1][0]
    (root / "cats" / "gone.png").symlink_to(tmp_path / "gone")
    with pytest.raises(StateError, match=r"3 of 23 pictures cannot be read.*cut0.*All are named in .*csv"):
        load(root, tmp_path)


def test_a_folder_without_pictures_says_what_it_holds(tmp_path: Path) -> None:
    root, store = tmp_path / "root", classes(tmp_path / "store", "cats", count=3)
    (root / ".hidden").mkdir(parents=True)
    for name in ("a.TXT", "b.txt", "c.heif", "README"):
        (root / name).write_text("x")
    for number in range(3):
        (root / f"{number}.png").symlink_to(store / "cats" / f"{number}.png")
    (root / "gone.png").symlink_to(tmp_path / "gone")
    with pytest.raises(StateError) as refused:
        list_pictures(root)
    for words in (
        "no picture in this folder", "3 pictures behind 3 links out of the folder", "1 link to nothing that can be read",
        "4 files of other kinds (2 .txt, 1 no suffix, 1 .heif)", "1 hidden or system file or folder skipped",
        f"lead to: {store / 'cats'}", "Accepted are files that end in .jpg",
    ):  # fmt: skip
        assert words in str(refused.value)
    (tmp_path / "empty" / "below").mkdir(parents=True)
    with pytest.raises(StateError, match="no picture in this folder; there is: nothing"):
        list_pictures(tmp_path / "empty")
    with pytest.raises(StateError, match="this is a file; accepted is a folder"):
        list_pictures(root / "README")


def test_a_folder_that_cannot_be_read_stops_a_data_set_and_is_named_of_own_pictures(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root, scandir = classes(tmp_path / "photos", "cats", "dogs", count=2), os.scandir

    def closed(path: str) -> object:
        if os.fspath(path).endswith("dogs"):
            raise PermissionError(13, "Permission denied", path)
        return scandir(path)

    monkeypatch.setattr(os, "scandir", closed)
    with pytest.raises(StateError, match="'dogs' is a folder that cannot be read: Permission denied; allow it"):
        list_pictures(root)
    said: list[str] = []
    assert [path.name for path, _ in read_images([str(root)], size=8, say=said.append)] == ["0.png", "1.png"]
    assert "'dogs': a folder that cannot be read: Permission denied" in said[0]
    with pytest.raises(StateError, match=r"1 folder that cannot be read \('.': Permission denied\)"):
        read_images([str(root / "dogs")], size=8)


def test_a_picture_whose_state_may_not_be_read_is_tried_all_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root, stat = classes(tmp_path / "photos", "cats", "dogs"), os.stat
    picture(root / "cats" / "closed.png")

    def closed(path: object, **options: object) -> os.stat_result:
        if str(path).endswith("closed.png"):
            raise PermissionError(13, "Permission denied", str(path))
        return stat(path, **options)  # type: ignore[call-overload, no-any-return]

    monkeypatch.setattr(os, "stat", closed)
    assert len(load(root, tmp_path)[0].train_labels) == 17


def test_own_pictures_are_those_that_a_data_set_reads(tmp_path: Path) -> None:
    root = classes(tmp_path / "photos", "cats", "dogs/young", count=2)
    picture(root / "top.png")
    (root / "x.jpg").mkdir()
    (root / "notes.txt").write_text("no picture")
    picture(root / "@eaDir" / "top.png" / "THUMB.jpg")
    (root / "._top.png").write_bytes(b"\0\5\26\7\0\2\0\0Mac OS X")
    (root / "out.png").symlink_to(picture(tmp_path / "outside.png"))
    (root / "cut.png").write_bytes((root / "top.png").read_bytes()[:200])
    said: list[str] = []
    own = read_images([str(root)], size=8, say=said.append)
    found = [entry.path for entry in list_pictures(root).entries if entry.path != "cut.png"]
    assert [path.relative_to(root).as_posix() for path, _ in own] == found
    assert found == ["cats/0.png", "cats/1.png", "dogs/young/0.png", "dogs/young/1.png", "top.png"]
    (line,) = said
    assert "2 of 7 pictures cannot be read (1 of them behind links out of the folder), 1 other files are not pictures" in line
    assert "2 hidden or system files or folders skipped. 'cut.png': " in line
    assert "'out.png': a link that leaves the folder" in line
    assert read_images([root / "out.png"], size=8)[0][0].name == "out.png"  # named itself, a link is followed


def test_own_pictures_without_anything_to_skip_say_nothing(tmp_path: Path) -> None:
    said: list[str] = []
    assert len(read_images([str(classes(tmp_path / "p", "a", count=2))], size=8, say=said.append)) == 2
    assert said == []


def test_own_pictures_that_are_all_damaged_are_an_error_and_so_is_a_damaged_one_that_is_named(tmp_path: Path) -> None:
    (tmp_path / "cut.png").write_bytes(picture(tmp_path / "whole" / "a.png").read_bytes()[:200])
    with pytest.raises(UsageError, match=r"cut.png cannot be read as a picture"):
        read_images([str(tmp_path / "cut.png")], size=8)
    (tmp_path / "whole" / "a.png").unlink()
    with pytest.raises(UsageError, match=r"no readable picture: 1 of 1 pictures cannot be read\. 'cut.png': "):
        read_images([str(tmp_path)], size=8)


@pytest.mark.parametrize("name", ["nowhere.png", "x" * 300, "a\0b.png"])
def test_own_pictures_that_are_not_there_are_said(name: str) -> None:
    with pytest.raises(StateError, match="there is no such file"):
        read_images([name], size=8)


def test_many_own_pictures_that_are_damaged_are_named_in_part(tmp_path: Path) -> None:
    picture(tmp_path / "whole.png")
    for number in range(30):
        (tmp_path / f"cut{number:02}.png").write_bytes(b"x")
    said: list[str] = []
    read_images([str(tmp_path)], size=8, say=said.append)
    assert "30 of 31 pictures cannot be read" in said[0]
    assert "'cut09.png'" in said[0]
    assert "'cut10.png'" not in said[0]


def test_a_class_that_unicode_spells_in_two_ways_is_one(tmp_path: Path) -> None:
    composed, apart = (unicodedata.normalize(form, "café") for form in ("NFC", "NFD"))
    once = classes(tmp_path / "once", composed, "thé", count=6)
    plain, said = load(once, tmp_path)
    assert not any("spellings" in line for line in said)
    twice = classes(tmp_path / "twice", composed, "thé", count=6)
    (twice / apart).mkdir()
    for number in range(3):
        (twice / composed / f"{number}.png").rename(twice / apart / f"{number}.png")
    data, said = load(twice, tmp_path)
    assert data.classes == plain.classes == ("café", "thé")
    assert len(data.test_labels) == len(plain.test_labels) == 2
    (line,) = [line for line in said if "spellings" in line]
    assert line == r"class 'café' has several spellings in Unicode, 'cafe\u0301' and 'caf\xe9': their pictures are one class"
    parted = tmp_path / "parted"
    for number, (part, name) in enumerate((("train", composed), ("test", apart), ("train", "b"), ("test", "b"))):
        picture(parted / part / name / "1.png", number)
    assert {entry.label for entry in list_pictures(parted).entries} == {"café", "b"}


STRANGE = (
    "a\nb", "c,d", "q\"u'o", "--help", "-x", "x" * 200, "esc\x1b[31m", "tab\tname", "emoji😀", "$math$ ^_{", "[red]",
    "back\\slash", os.fsdecode(b"caf\xe9"), " lead", "trail ", "猫", "|pipe|", "\u202eright", "%s {x}", "<b>&amp;", "CON",
)  # fmt: skip


def test_names_of_any_kind_are_read_checked_and_drawn(ssl: Cli, tmp_path: Path) -> None:
    for place, name in enumerate(STRANGE):
        for number in range(3):
            picture(tmp_path / "pics" / name / f"{name[:100]}{number}.png", 10 * place + number)
    (tmp_path / "pics" / STRANGE[0] / "bad\n,.txt").write_text("x")
    for line in ("data check", "data check --format markdown", "data check --format csv", "views --n 4"):
        result = ssl(f"{line} --dataset folder:pics")
        assert result.code == 0, (line, result.err)
    assert f"63 with a label of {len(STRANGE)} classes" in result.err
    assert len(read_images([str(tmp_path / "pics")], size=8)) == 63
    (skipped,) = tmp_path.glob("data/cache/*.skipped.csv")
    with skipped.open(newline="") as lines:
        assert dict(csv.reader(lines))[f"{STRANGE[0]}/bad\n,.txt"] == "not a picture by its name"


def test_own_pictures_with_strange_names_are_embedded_classified_and_compared(ssl: Cli, tmp_path: Path) -> None:
    classes(tmp_path / "photos", "cats", "dogs")
    for number, name in enumerate((os.fsdecode(b"caf\xe9.png"), "a\nb.png", "-x.png", "sub folder/,.png")):
        picture(tmp_path / "own" / name, number)
    assert (
        ssl("pretrain --dataset folder:photos --backbone resnet9-small --batch-size 8 --max-steps 1 --optimizer sgd").code == 0
    )
    assert ssl("probe --epochs 1").code == 0
    for line in ("embed --images own", "predict --images own", "neighbours own --k 2"):
        result = ssl(line)
        assert result.code == 0, (line, result.err)
    assert r"own/caf\udce9.png: " in result.out
    (embedded,) = tmp_path.glob("results/embeddings/*/images/images.csv")
    with embedded.open(encoding="utf-8", newline="") as lines:
        assert [row[0] for row in csv.reader(lines)] == [
            "path", "own/-x.png", "own/a\nb.png", r"own/caf\udce9.png", "own/sub folder/,.png",
        ]  # fmt: skip


def test_of_many_own_pictures_all_are_printed_and_the_first_are_drawn(
    ssl: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    classes(tmp_path / "photos", "cats", "dogs")
    assert (
        ssl("pretrain --dataset folder:photos --backbone resnet9-small --batch-size 8 --max-steps 1 --optimizer sgd").code == 0
    )
    assert ssl("probe --epochs 1").code == 0
    drawn: list[int] = []
    for module, draw in ((predictions, "draw_predictions"), (neighbours, "draw_neighbours")):
        monkeypatch.setattr(module, "MOST_DRAWN", 3)

        whole = getattr(module, draw)

        def noted(shown: list[object], *rest: object, whole: Any = whole, **options: Any) -> Any:
            drawn.append(len(shown))
            assert "the first 3 of 20" in options["title"]
            return whole(shown, *rest, **options)

        monkeypatch.setattr(module, draw, noted)
        result = ssl("predict --images photos" if module is predictions else "neighbours photos --k 2")
        assert result.code == 0, result.err
        assert len(result.out.splitlines()) == 20
    assert drawn == [3, 3]
