"""Every notebook runs from the first cell to the last; each ends with assertions on what it told."""

import runpy
from pathlib import Path

import pytest

NOTEBOOKS = sorted((Path(__file__).parents[1] / "notebooks").glob("*.py"))


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_runs(path, capsys):
    runpy.run_path(str(path))
    assert capsys.readouterr().out.count("\n") > 3


def test_there_are_notebooks():
    assert NOTEBOOKS
