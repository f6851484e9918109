"""Every gradient coil in specs/ is designed as it stands, wound, and meets what it asks."""

from __future__ import annotations

from pathlib import Path

import pytest

from designtools.pipeline import run

SPECS = Path(__file__).parents[1] / "specs"
COILS = ["biplanar_x", "halbach_gradient_z", "pcb_gradient", "slotted_insert_x", "head_insert_x"]


def designed(name, **changes):
    result = run(SPECS / f"{name}.yaml", overrides={"audit.points": 600} | changes)
    assert result.status == "done", result.message
    assert all(row["status"] == "MET" for row in result.requirements)
    assert result.figures["optimality_gap"].value <= 1e-6
    assert result.audit["magpylib"]["largest_relative_difference"] < 1e-8
    return result


@pytest.mark.slow
@pytest.mark.parametrize("name", COILS)
def test_a_spec_gives_a_coil_that_meets_it(name):
    designed(name)


@pytest.mark.slow
@pytest.mark.parametrize("axis", ["x", "y"])
def test_the_other_axes_of_the_halbach_set(axis):
    """As the spec's own comment tells: the same file with another gradient_axis."""
    designed("halbach_gradient_z", **{"target.gradient_axis": axis})
