"""Hollow and stranded conductors: section, resistance, water and the loss to alternating current."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from designtools.pipeline import run
from designtools.quantities import cooling, skin_effect
from designtools.sources.uniform import Uniform
from designtools.spec import SpecError, load

SPEC = Path(__file__).parents[1] / "specs" / "head_gradient_x.yaml"
SMALL = {
    "mesh.resolution": "30 mm", "audit.points": 200, "shield.enabled": False, "stray": None, "target.gradient_axis": "z",
    "target.error": "12 %", "winding": {"turns": 6, "joined": False}, "former": None, "requirements": [],
}  # fmt: skip
SOLID = {"material": "copper", "width": "6 mm", "thickness": "6 mm", "spacing": "1 mm"}
WATER = {"heat_transfer": "5000 W/m^2/K", "pressure": "4 bar", "circuits": 2}


@pytest.fixture(scope="module")
def designs():
    variants = {"solid": SOLID, "hollow": SOLID | {"bore": "4 mm"}, "litz": SOLID | {"strands": {"count": 400, "diameter": "0.2 mm"}}}
    wet = {"hollow": {"cooling": WATER}}
    return {name: run(SPEC, overrides=SMALL | {"conductor": conductor} | wet.get(name, {})) for name, conductor in variants.items()}


def figures(design):
    return {name: figure.value for name, figure in design.figures.items()}


def test_resistance_and_mass_are_those_of_the_metal(designs):
    solid, hollow, litz = (figures(designs[name]) for name in ("solid", "hollow", "litz"))
    for other, area in ((hollow, 36e-6 - np.pi * 4e-6), (litz, 400 * np.pi * 1e-8)):
        assert other["resistance"] / other["wire_length"] == pytest.approx(1.7241e-8 / area, rel=1e-9)
        assert other["conductor_mass"] / other["wire_length"] == pytest.approx(solid["conductor_mass"] / solid["wire_length"] * area / 36e-6, rel=1e-9)


def test_strands_keep_the_resistance_that_a_bar_does_not(designs):
    solid, hollow, litz = (figures(designs[name]) for name in ("solid", "hollow", "litz"))
    rise = {name: f["resistance_ac"] / f["resistance"] for name, f in (("solid", solid), ("hollow", hollow), ("litz", litz))}
    assert 1 <= rise["litz"] < 1.05 < rise["solid"]
    assert rise["hollow"] > 1


def test_water_through_the_hollow_conductor(designs):
    """The flow drives back the pressure, the heat carried is the power."""
    found = figures(designs["hollow"])
    each = found["coolant_flow"] / 2
    drop = cooling.channel(each, np.pi * 4e-6, np.pi * 4e-3, found["wire_length"] / 2).pressure_drop
    assert drop == pytest.approx(4e5, rel=1e-6)
    assert found["coolant_rise"] * 997.0 * 4181.0 * found["coolant_flow"] == pytest.approx(found["dissipated_power"], rel=1e-9)


def test_strands_in_a_uniform_field():
    """Thin wires: pi sigma w^2 B^2 r^4 / 8 per length, of the field across them alone."""
    start, end, radius, sigma, omega = np.array([[0, 0, 0.0]]), np.array([[0, 0, 0.3]]), 1e-4, 5.8e7, 2 * np.pi * 1e3
    loss = skin_effect.strand_proximity_loss(start, end, Uniform([0.3, 0.4, 5.0]), radius, 50, 1e3, sigma)
    assert loss == pytest.approx(50 * 0.3 * np.pi * sigma * omega**2 * 0.25 * radius**4 / 8, rel=1e-4)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"bore": "6 mm"}, "must be smaller than width"),
        ({"bore": "2 mm", "strands": {"count": 10, "diameter": "0.2 mm"}}, "got both"),
        ({"strands": {"count": 4000, "diameter": "0.2 mm"}}, "at most 1039 strands"),
    ],
)
def test_sections_that_cannot_be(changes, words):
    with pytest.raises(SpecError, match=words):
        load(SPEC, SMALL | {"conductor": SOLID | changes})


def test_water_needs_a_bore():
    with pytest.raises(SpecError, match="cooling.pressure: must be left out unless conductor.bore"):
        load(SPEC, SMALL | {"conductor": SOLID, "cooling": WATER})
