"""A remark on a line to type holds nothing that a shell would read if it takes the remark for words, as zsh does."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
LINE = re.compile(r"^(?:ssl|pip|python|mkdocs)\b[^#\n]* # (.+)$", re.MULTILINE)
READ_BY_SHELLS = re.compile(r"""['"`()\[\]{}<>|&;$?*!~\\]""")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_no_remark_of_a_page_holds_what_a_shell_reads(page: Path) -> None:
    blocks = re.findall(r"^```\n(.*?)^```", page.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    remarks = [remark for block in blocks for remark in LINE.findall(block)]
    assert [remark for remark in remarks if READ_BY_SHELLS.search(remark)] == []
    if page.name in ("README.md", "start.md", "own-pictures.md"):
        assert len(remarks) >= 5
