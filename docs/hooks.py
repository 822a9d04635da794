"""What mkdocs calls to make the site: files from outside docs/ join it, and links to them hold here and there.

In the repository docs/ and results/ lie side by side. On the site results/ lies below the pages. So a link is written for the
repository, and turned here into the one of the site.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mkdocs.structure.files import File

ROOT = Path(__file__).parents[1]
BESIDE = ("CHANGELOG.md", *(f"results/**/*.{ending}" for ending in ("md", "png", "svg", "html")))


def on_files(files: Any, config: Any) -> Any:
    """Add what the site shows from outside docs/."""
    for pattern in BESIDE:
        for path in sorted(ROOT.glob(pattern)):
            files.append(File.generated(config, path.relative_to(ROOT).as_posix(), abs_src_path=str(path)))
    return files


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """The page's text with links that hold on the site."""
    place = page.file.src_uri
    if place.startswith("results/"):
        return markdown.replace("](../docs/", "](../")
    return markdown.replace("](docs/", "](") if place == "CHANGELOG.md" else markdown.replace("](../", "](")
