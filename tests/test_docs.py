"""The pages say what is true: their Python runs, their tables match the code, their links lead somewhere."""

import importlib.util
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
PAGES = sorted([ROOT / "README.md", *DOCS.glob("*.md")])


def blocks(page: Path, language: str = "python") -> list[tuple[int, str]]:
    """(line of the first statement, text) of every fenced block in a language."""
    text = page.read_text(encoding="utf-8")
    fence = re.compile(rf"^```{language}\n(.*?)^```$", re.MULTILINE | re.DOTALL)
    return [(text[: m.start(1)].count("\n") + 1, m[1]) for m in fence.finditer(text)]


@pytest.mark.parametrize("page", [p for p in PAGES if blocks(p)], ids=lambda p: p.stem)
def test_the_python_of_a_page_runs_from_top_to_bottom(page, tmp_path, monkeypatch):
    (tmp_path / "specs").symlink_to(ROOT / "specs")
    monkeypatch.chdir(tmp_path)
    names = {"__name__": page.stem}
    for line, text in blocks(page):
        exec(compile("\n" * (line - 1) + text, str(page), "exec"), names)  # so that a traceback names the page's line
