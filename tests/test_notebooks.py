"""Every notebook runs from the first cell to the last; each ends with assertions on what it told; its .ipynb says the same."""

import runpy
from pathlib import Path

import jupytext
import pytest

FOLDER = Path(__file__).parents[1] / "notebooks"
NOTEBOOKS = sorted(FOLDER.glob("*.py"))
LONG = {"shim_7T", "halbach_scanner", "magnet_certificate", "fringe_room", "b1_shim_sar", "cad_and_pcb", "first_coil"}  # whole designs


@pytest.mark.parametrize("path", [pytest.param(p, id=p.stem, marks=[pytest.mark.slow] if p.stem in LONG else []) for p in NOTEBOOKS])
def test_runs(path, capsys):
    runpy.run_path(str(path))
    assert capsys.readouterr().out.count("\n") > 3


def test_there_are_notebooks():
    assert LONG < {path.stem for path in NOTEBOOKS}


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_pairs_say_the_same(path):
    """`uv run jupytext --to ipynb notebooks/*.py` writes the pairs anew."""
    script, notebook = jupytext.read(path), jupytext.read(path.with_suffix(".ipynb"))
    cells = lambda book: [(cell.cell_type, cell.source) for cell in book.cells]
    assert cells(script) == cells(notebook)
    assert all(not cell.get("outputs") for cell in notebook.cells), "outputs are not kept: they are made by running"
