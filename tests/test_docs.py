"""The pages say what is true: their Python runs, their tables match the code, their links lead somewhere."""

import ast
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


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.stem)
def test_links_lead_to_files(page):
    links = re.findall(r"\]\(([^)#\s]+)(?:#[\w-]+)?\)", page.read_text(encoding="utf-8"))
    assert [link for link in links if "://" not in link and not (page.parent / link).exists()] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.stem)
def test_files_of_the_package_that_a_page_names_exist(page):
    named = set(re.findall(r"`((?:designtools/|docs/|specs/|tests/)?[\w/]+\.(?:py|yaml))`", page.read_text(encoding="utf-8")))
    homes = (ROOT, ROOT / "designtools")
    missing = {name for name in named if not any((home / name).exists() for home in homes)}
    assert missing - PROPOSED.get(page.stem, set()) == set()


# files that a page tells its reader to write, or that a result holds
PROPOSED = {
    "README": {"spec.yaml"},
    "adding-a-former": {"designtools/formers/plate.py"},
    "adding-an-exporter": {"designtools/export/fasthenry.py"},
    "adding-a-recipe": {"designtools/recipes/rings.py", "designtools/starters/rings.yaml", "specs/rings.yaml"},
}


# --- pages that follow from the code ---------------------------------------------------------------------------


def generator():
    """docs/generate.py as a module."""
    found = importlib.util.spec_from_file_location("generate", DOCS / "generate.py")
    module = importlib.util.module_from_spec(found)
    found.loader.exec_module(module)
    return module


@pytest.mark.parametrize("name", sorted(generator().pages()))
def test_generated_pages_are_current(name):
    assert (DOCS / name).read_text(encoding="utf-8") == generator().pages()[name], "run `python docs/generate.py`"


def test_the_page_of_architecture_shows_the_table_that_is_asserted():
    from test_architecture import LAYERS, PACKAGE

    text = (DOCS / "architecture.md").read_text(encoding="utf-8").partition("<!-- layers")[2].partition("\n\n")[0]
    shown = [tuple(cell.strip() for cell in line.split("|")[1:3]) for line in text.splitlines() if line.startswith("| ")][1:]
    there = lambda names: {n for n in names if (PACKAGE / n).is_dir() or (PACKAGE / f"{n}.py").exists()}
    asserted = [(row, there(names)) for row, names in LAYERS if there(names)]
    assert [(row, set(re.findall(r"`(\w+)`", modules))) for row, modules in shown] == asserted


def test_every_word_a_requirement_may_name_is_explained():
    from designtools.spec.figures import FIGURES
    from designtools.units import DIMENSIONS

    rows = figure_rows()
    assert set(FIGURES) - set(rows) == set()
    wrong = {name: rows[name] for name, (dimension, _) in FIGURES.items() if dimension != "any" and rows[name] != DIMENSIONS[dimension].si}
    assert wrong == {}


def figure_rows() -> dict[str, str]:
    """Figure name -> unit, from the tables of docs/results.md."""
    text = (DOCS / "results.md").read_text(encoding="utf-8")
    return dict(re.findall(r"^\| `(\w+)` \| ([^|]+?) \|", text, re.MULTILINE))


def computed_figures() -> set[str]:
    """Names under which the recipes make a Figure: keys of dicts of figures, and figures["name"] = Figure(...)."""
    found: set[str] = set()
    for path in sorted((ROOT / "designtools" / "recipes").glob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            pairs = zip(node.keys, node.values) if isinstance(node, ast.Dict) else ()
            if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Subscript):
                pairs = [(node.targets[0].slice, node.value)]
            found |= {key.value for key, value in pairs if isinstance(key, ast.Constant) and _makes_figure(value)}
    return found


def _makes_figure(node) -> bool:
    return isinstance(node, ast.Call) and ast.unparse(node.func) == "Figure"


def test_every_figure_a_recipe_makes_is_explained():
    assert "stored_energy" in computed_figures()
    assert computed_figures() - set(figure_rows()) == set()
