"""The check of a page's images: what a reader would not see is named, what is certain is mended, nothing else is touched."""

import html
import shutil
import subprocess
from pathlib import Path
from urllib.parse import unquote

import pytest

from sslcli.report.page_images import image_links
from tests.conftest import Cli

FIGURES = ("figures/linear_eval/test_acc.png", "figures/linear_eval/train_loss_epoch.png", "figures/my picture.png")


@pytest.fixture
def page(tmp_path: Path) -> Path:
    """A page in a git repository beside committed figures."""
    for name in FIGURES:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"picture")
    (tmp_path / "README.md").write_text("nothing yet\n")
    git(tmp_path, "init", "-q")
    git(tmp_path, "add", ".")
    return tmp_path / "README.md"


def git(folder: Path, *arguments: str) -> None:
    subprocess.run(["git", "-C", str(folder), *arguments], check=True, capture_output=True)


GOOD = """\
![a](figures/linear_eval/test_acc.png) ![b](./figures/my%20picture.png "title") ![c](<figures/my picture.png>)
<img alt='x > y src=no.png' src="figures/linear_eval/test_acc.png?raw=true"> <IMG SRC='/figures/linear_eval/test_acc.png'>
![d][Label] ![e][] ![shortcut] [![linked](figures/linear_eval/test_acc.png)](https://example.org/A.png)
![far](https://example.org/x.png) ![data](data:image/png;base64,AAAA) [text](#part) [prose](nowhere.md)
<picture><source srcset="figures/linear_eval/test_acc.png 1x, figures/linear_eval/train_loss_epoch.png 2x"></picture>

[label]: figures/linear_eval/test_acc.png
[e]: <figures/my picture.png> "title"
[shortcut]: figures/linear_eval/train_loss_epoch.png#frag
[unused]: nowhere.md
"""


def test_a_page_whose_images_are_there_passes(ssl: Cli, page: Path) -> None:
    page.write_text(GOOD)
    result = ssl("plots --check README.md")
    assert (result.code, result.err) == (0, "")
    assert "11 local images, all available" in result.out


PARTS = [
    ("`![code](no.png)` and ``![`](no.png)``, then ![x](a.png)", ["a.png"]),
    ("```\n![fenced](no.png)\n```\n![x](a.png)", ["a.png"]),
    ("```ssl plots``` draws ![x](a.png)", ["a.png"]),
    ("a stray ` here\n\n![x](a.png)\n\nand ` there", ["a.png"]),
    (r"\`![x](a.png)\`", ["a.png"]),
    ("text\n\n    ![indented](no.png)\n\n![x](a.png)", ["a.png"]),
    ("<pre>\n![x](no.png)\n</pre>\n\n> ~~~\n> ![x](no.png)\n> ~~~", []),
    ("- a\n  - ~~~\n    ![x](no.png)\n    ~~~\n  - ![x](a.png)", ["a.png"]),
    ("<!-- ![hidden](no.png) <img src=no.png> -->", []),
    (r"!\[x](no.png) and foo](no.png) are nothing, [a picture](a.png) is linked", ["a.png"]),
    ("[^1]: no.png is nice", []),
    ("![x](a&amp;b.png) <img src='c&amp;d.png'>", ["a&b.png", "c&d.png"]),
    (r'![x](a.png "a \" title") ![x](b(c(d)).png) ![a [b] c][l]' + "\n\n[l]: e.png", ["a.png", "b(c(d)).png", "e.png"]),
    ("<details>\n\n![x](a.png)\n\n</details>\n\n| a |\n|---|\n| ![x](b.png) |", ["a.png", "b.png"]),
    ("![an alt\nof two lines](a.png)\n![x](b.png)\n\n![y](c.png)", ["a.png", "b.png", "c.png"]),
    ("![x](caf\u00e9.png) ![y](caf%C3%A9.png)", ["caf\u00e9.png", "caf\u00e9.png"]),
]


@pytest.mark.parametrize(("text", "paths"), PARTS, ids=[text for text, _ in PARTS])
@pytest.mark.parametrize("newline", ["\n", "\r\n"], ids=["lf", "crlf"])
def test_the_images_of_a_page_are_found_where_they_stand(text: str, paths: list[str], newline: str) -> None:
    text = ("# Title\n\n" + text).replace("\n", newline)
    found = image_links(text)
    assert [link.path for link in found] == paths
    for link in found:
        assert html.unescape(unquote(text[link.start : link.end])) == link.path
        assert link.line == 1 + text.count(newline, 0, link.start)


BROKEN = [
    ("![x](figures/linear_eval/Test_Acc.png)", "figures/linear_eval/test_acc.png"),
    ("![x](Figures/Linear_eval/TEST_ACC.PNG)", "figures/linear_eval/test_acc.png"),
    ("![x](figures/linear_eval/Train_epoch.png 'title')", "figures/linear_eval/train_loss_epoch.png"),
    ("<img src=figures/linear_eval/Train_Loss_epoch.png>", "figures/linear_eval/train_loss_epoch.png"),
    ("![x](</figures/linear_eval/Test_acc.png>)", "/figures/linear_eval/test_acc.png"),
    ("![x](./figures/linear_eval/Test_acc.png?raw=true#f)", "./figures/linear_eval/test_acc.png?raw=true#f"),
    ("![x][r]\n\n[r]: figures/linear_eval/Test_acc.png 'title'", "figures/linear_eval/test_acc.png"),
    ("[look](figures/linear_eval/Test_acc.png)", "figures/linear_eval/test_acc.png"),
]


@pytest.mark.parametrize(("text", "mended"), BROKEN, ids=[text for text, _ in BROKEN])
def test_a_wrong_case_and_an_old_name_are_named_and_mended(ssl: Cli, page: Path, text: str, mended: str) -> None:
    before = f"\ufeffcaf\u00e9 {text}\r\n`figures/linear_eval/Test_acc.png`\r\nend".encode() + b"\xff"
    page.write_bytes(before)
    result = ssl("plots --check README.md")
    assert result.code == 3
    assert "line 1" in result.out or "line 3" in result.out
    assert f"meant is {mended.split('?')[0].lstrip('./')}" in result.out
    assert "--fix" in result.err
    assert page.read_bytes() == before
    assert ssl("plots --check README.md --fix").code == 0
    link = image_links(text)[0]
    assert page.read_bytes() == before.replace(text[link.start : link.end].encode(), mended.encode(), 1)
    assert ssl("plots --check README.md").code == 0


def test_what_has_no_certain_answer_is_named_and_left(ssl: Cli, page: Path) -> None:
    (page.parent / "figures" / "Twin.png").write_bytes(b"1")
    (page.parent / "figures" / "tWIN.png").write_bytes(b"2")
    git(page.parent, "add", ".")
    targets = ("figures/twin.png", "figures/linear_eval/test_loss.png", "../up.png", "figures/My%20Picture.png")
    text = "".join(f"![a]({target})\n" for target in targets)
    page.write_text(text)
    result = ssl("plots --check README.md --fix")
    assert result.code == 3
    assert page.read_text() == text
    lines = result.out.splitlines()
    assert "meant may be figures/Twin.png or figures/tWIN.png" in lines[0]
    assert lines[1].endswith("figures/linear_eval/test_loss.png is not there")
    assert "outside" in lines[2]
    assert "meant is figures/my picture.png" in lines[3]  # which a link would have to spell in its own way
    assert "4 of 4" in result.err


def test_what_git_does_not_track_is_named_though_it_lies_there(ssl: Cli, page: Path) -> None:
    (page.parent / ".gitignore").write_text("ignored.png\n")
    for name in ("ignored.png", "new.png"):
        (page.parent / name).write_bytes(b"picture")
    page.write_text("![a](ignored.png) ![b](new.png) ![c](New.png)")
    result = ssl("plots --check README.md --fix")
    assert result.code == 3
    assert "ignored.png is ignored by git" in result.out
    assert "new.png is not in git yet" in result.out
    assert "New.png is not there; meant may be new.png" in result.out


def commit(folder: Path) -> None:
    git(folder, "add", "-A")
    git(folder, "-c", "user.name=a", "-c", "user.email=a@b.c", "commit", "-qm", "x")


def test_a_tracked_picture_that_is_deleted_is_named(ssl: Cli, page: Path) -> None:
    commit(page.parent)
    (page.parent / "figures/linear_eval/test_acc.png").unlink()
    page.write_text("![a](figures/linear_eval/test_acc.png) ![b](figures/linear_eval/Test_acc.png)")
    result = ssl("plots --check README.md --fix")
    assert result.code == 3
    advice = "is in git, but deleted here; to restore it, type: git restore figures/linear_eval/test_acc.png"
    first, second = result.out.splitlines()
    assert advice in first
    assert "meant may be figures/linear_eval/test_acc.png" in second
    git(page.parent, "restore", "figures/linear_eval/test_acc.png")
    page.write_text("![a](figures/linear_eval/test_acc.png)")
    assert ssl("plots --check README.md").code == 0


def test_a_deletion_that_is_staged_is_named(ssl: Cli, page: Path) -> None:
    commit(page.parent)
    git(page.parent, "rm", "-q", "figures/linear_eval/test_acc.png")
    page.write_text("![a](figures/linear_eval/test_acc.png)")
    result = ssl("plots --check README.md")
    assert (result.code, "is not there" in result.out) == (3, True)


def test_a_folder_that_is_gone_with_its_pictures_is_named(ssl: Cli, page: Path) -> None:
    shutil.rmtree(page.parent / "figures")
    page.write_text("<img src='figures/my%20picture.png?raw=true'> ![x][r]\n\n[r]: figures/linear_eval/test_acc.png#top\n")
    result = ssl("plots --check README.md")
    assert (result.code, result.out.count("deleted here")) == (3, 2)
    assert "git restore 'figures/my picture.png'" in result.out


def test_what_a_sparse_checkout_leaves_out_is_there_for_a_reader(ssl: Cli, page: Path) -> None:
    commit(page.parent)
    git(page.parent, "update-index", "--skip-worktree", "figures/linear_eval/test_acc.png")
    (page.parent / "figures/linear_eval/test_acc.png").unlink()
    page.write_text("![a](figures/linear_eval/test_acc.png)")
    assert ssl("plots --check README.md").code == 0


def test_a_submodule_a_repository_inside_and_a_link_are_named(ssl: Cli, page: Path) -> None:
    for name in ("module", "inside"):
        (page.parent / name).mkdir()
        (page.parent / name / "a.png").write_bytes(b"picture")
        git(page.parent / name, "init", "-q")
        commit(page.parent / name)
    git(page.parent, "add", "module")
    (page.parent / "linked").symlink_to("figures")
    (page.parent / "dangling.png").symlink_to("nowhere.png")
    (page.parent / "empty.png").touch()
    git(page.parent, "add", "linked", "dangling.png", "empty.png")
    page.write_text("![a](module/a.png)\n![b](inside/a.png)\n![c](linked/linear_eval/test_acc.png)\n"
                    "![d](dangling.png)\n![e](empty.png)\n")  # fmt: skip
    result = ssl("plots --check README.md")
    assert result.code == 3
    for line, words in zip(result.out.splitlines(), (
        "lies in the submodule module", "lies in inside, a git repository of its own", "lies behind the link linked",
        "a folder or a broken link", "is an empty file",
    ), strict=True):  # fmt: skip
        assert words in line


def test_a_page_of_a_project_without_git_misses_what_is_deleted(ssl: Cli, tmp_path: Path) -> None:
    (tmp_path / "README.md").write_text("![a](my%20picture.png?raw=true#x) <img src='b.png'>")
    for name in ("my picture.png", "b.png"):
        (tmp_path / name).write_bytes(b"picture")
    assert ssl("plots --check README.md").code == 0
    (tmp_path / "b.png").unlink()
    result = ssl("plots --check README.md")
    assert (result.code, "b.png is not there" in result.out) == (3, True)


SRCSETS = [
    ("a.png 1x, b.png 2x", ["a.png", "b.png"]),
    ("a.png,b.png 2x", ["a.png,b.png"]),
    ("a.png, b.png", ["a.png", "b.png"]),
    ("data:image/png;base64,AAAA 1x, a.png 2x", ["a.png"]),
    ("  a.png   100w ,\n b.png 200w,", ["a.png", "b.png"]),
    ("a.png", ["a.png"]),
]


@pytest.mark.parametrize(("srcset", "paths"), SRCSETS)
def test_a_srcset_is_taken_apart_as_browsers_do(srcset: str, paths: list[str]) -> None:
    text = f'<img srcset="{srcset}">'
    found = image_links(text)
    assert [link.path for link in found] == paths
    assert [text[link.start : link.end] for link in found] == paths


def test_an_attribute_that_ends_alike_is_left(ssl: Cli, page: Path) -> None:
    before = '<img data-src="figures/linear_eval/Test_acc.png" src="figures/linear_eval/Test_acc.png">'
    page.write_text(before)
    assert ssl("plots --check README.md --fix").code == 0
    assert page.read_text() == before[::-1].replace("Test"[::-1], "test"[::-1], 1)[::-1]


def test_case_counts_where_the_file_system_ignores_it(ssl: Cli, page: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page.write_text("![a](figures/linear_eval/Test_acc.png)")
    kept = Path.exists
    monkeypatch.setattr("os.path.exists", lambda _: True)
    monkeypatch.setattr(Path, "exists", lambda path, **_: path.name != ".git" or kept(path))
    assert ssl("plots --check README.md").code == 3
    (page.parent / ".git").rename(page.parent / "git-no-more")
    assert ssl("plots --check README.md").code == 3


def test_without_git_the_files_on_the_disk_count(ssl: Cli, tmp_path: Path) -> None:
    (tmp_path / "docs").mkdir()
    (tmp_path / "Pic.png").write_bytes(b"picture")
    (tmp_path / "docs" / "page.md").write_text("![a](../Pic.png)")
    assert ssl("plots --check docs/page.md").code == 0
    (tmp_path / "docs" / "page.md").write_text("![a](../pic.png)")
    assert ssl("plots --check docs/page.md").code == 3


LEFT = [
    "    ![x](figures/linear_eval/Test_acc.png)",
    "```\n![x](figures/linear_eval/Test_acc.png)\n```",
    "<pre>![x](figures/linear_eval/Test_acc.png)</pre>",
    "`![x](figures/linear_eval/Test_acc.png)`",
]


@pytest.mark.parametrize("text", LEFT)
def test_code_is_neither_an_image_nor_mended(ssl: Cli, page: Path, text: str) -> None:
    page.write_text(text)
    assert ssl("plots --check README.md --fix").code == 0
    assert page.read_text() == text


def test_a_new_name_is_never_mended_to_the_old_one(ssl: Cli, page: Path) -> None:
    (page.parent / "Train_epoch.png").write_bytes(b"picture")
    git(page.parent, "add", ".")
    page.write_text("![x](train_loss_epoch.png)")
    assert ssl("plots --check README.md --fix").code == 3
    assert page.read_text() == "![x](train_loss_epoch.png)"


def test_every_place_of_a_mended_link_is_rewritten_and_the_page_keeps_its_mode(ssl: Cli, page: Path) -> None:
    page.write_text("![y][r] ![z][s]\n\n[r]: Figures/linear_eval/test_acc.png\n[s]: Figures/linear_eval/test_acc.png\n")
    page.chmod(0o600)
    assert ssl("plots --check README.md --fix").code == 0
    assert page.read_text().count("]: figures/linear_eval/test_acc.png\n") == 2
    assert page.stat().st_mode & 0o777 == 0o600


def test_bytes_that_are_no_text_are_shown_and_kept(ssl: Cli, page: Path) -> None:
    page.write_bytes(b"![x](caf\xe9.png) ![y](figures/linear_eval/Test_acc.png)")
    result = ssl("plots --check README.md --fix")
    assert (result.code, "1 of 2 local images" in result.err) == (3, True)
    assert page.read_bytes() == b"![x](caf\xe9.png) ![y](figures/linear_eval/test_acc.png)"


def test_the_advice_can_be_typed_and_is_given_only_where_it_helps(ssl: Cli, page: Path) -> None:
    (page.parent / "docs").mkdir()
    (page.parent / "docs" / "page.md").write_text("![x](../figures/linear_eval/Test_acc.png)")
    assert "ssl plots --check docs/page.md --fix" in ssl("plots --check docs/page.md").err
    page.write_text("![x](nothing-like-it.png)")
    assert "--fix" not in ssl("plots --check README.md").err


@pytest.mark.parametrize(
    ("line", "code", "text"),
    [
        ("plots --check picture.png", 2, "not a Markdown page"),
        ("plots --check nowhere.md", 3, "no such file"),
        ("plots --fix", 2, "--check README.md"),
    ],
)
def test_a_page_that_is_none_is_said(ssl: Cli, tmp_path: Path, line: str, code: int, text: str) -> None:
    (tmp_path / "picture.png").write_bytes(b"\x89PNG\r\n\x1a\n\0\0")
    result = ssl(line)
    assert (result.code, text in result.err) == (code, True)


def test_git_that_refuses_is_said(ssl: Cli, tmp_path: Path) -> None:
    (tmp_path / ".git").write_text("gitdir: nowhere\n")
    (tmp_path / "README.md").write_text("![a](x.png)")
    result = ssl("plots --check README.md")
    assert (result.code, "git cannot list the files" in result.err) == (3, True)
