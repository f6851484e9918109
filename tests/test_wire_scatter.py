"""Coils wound with errors: linear changes against moved wires, closed forms, symmetry, and the figures of a spec."""

from __future__ import annotations

import numpy as np
import pytest

from designtools.pipeline import run
from designtools.windings.scatter import WireErrors, changes, exact_field, modes_of
from designtools.windings.winding import Track, Winding

MU_0 = 4e-7 * np.pi
RADIUS, CURRENT = 0.2, 30.0
ANGLES = 2 * np.pi * np.arange(721) / 720


def ring(z, sense=1.0) -> Track:
    circle = np.stack([np.cos(ANGLES), sense * np.sin(ANGLES), 0 * ANGLES], axis=1)
    return Track(RADIUS * circle + [0, 0, z], circle, ("turn",) * 720)


HELMHOLTZ = [Winding("pair", (ring(-RADIUS / 2), ring(RADIUS / 2)), CURRENT, 2e-3, 2e-3)]


def on_axis(z, radius, place):
    return MU_0 * CURRENT * radius**2 / 2 / (radius**2 + (z - place) ** 2) ** 1.5


def test_every_error_of_a_pair_of_rings_is_that_of_the_closed_form():
    z = np.linspace(-0.05, 0.05, 5)
    points = np.stack([0 * z, 0 * z, z], axis=1)
    errors = WireErrors(shift=1e-4, rotation=1e-3, expansion=2e-4, turns=3e-4)
    modes = modes_of(HELMHOLTZ, errors, [0, 0, 1])
    found = changes(HELMHOLTZ, modes, points)
    assert found.kinds == ("shift",) * 3 + ("rotation", "expansion", "turns", "turns")
    pair = lambda radius, shift: sum(on_axis(z - shift, radius, at) for at in (-RADIUS / 2, RADIUS / 2))
    slope = lambda f, h: (f(h) - f(-h)) / 2
    shift, spin, growth = found.change[2, :, 2], found.change[3], found.change[4, :, 2]
    np.testing.assert_allclose(shift, slope(lambda h: pair(RADIUS, h), 1e-4), rtol=2e-4, atol=1e-13)
    np.testing.assert_allclose(growth, slope(lambda h: pair(RADIUS + h, 0), 2e-4), rtol=2e-4)
    assert np.abs(spin).max() < 1e-3 * np.abs(shift).max()  # a circle turned about its axis is itself
    # a turn's sideways move in a surface whose normal is radial is along the axis, to the left of its current
    np.testing.assert_allclose(np.abs(found.change[5, :, 2]), np.abs(slope(lambda h: on_axis(z, RADIUS, h - RADIUS / 2), 3e-4)), rtol=2e-4, atol=1e-13)


def test_the_linear_field_is_the_exact_one_to_first_order():
    points = np.random.default_rng(3).uniform(-0.06, 0.06, (20, 3))
    left = []
    for size in (4e-4, 2e-4):
        modes = modes_of(HELMHOLTZ, WireErrors(size, size / RADIUS, size, size), [0, 0, 1])
        found = changes(HELMHOLTZ, modes, points)
        numbers = found.draws(1, 0)[0]
        change = np.tensordot(numbers, found.change, axes=1)
        left.append(np.abs(exact_field(HELMHOLTZ, modes, numbers, points) - found.field - change).max())
    assert 3.3 < left[0] / left[1] < 5  # the second order falls with the square
    assert left[1] < 0.02 * np.abs(change).max()


def test_draws_are_the_same_for_the_same_seed_and_halving_halves():
    found = changes(HELMHOLTZ, modes_of(HELMHOLTZ, WireErrors(shift=1e-4), [0, 0, 1]), np.zeros((1, 3)))
    np.testing.assert_array_equal(found.draws(4, 7), found.draws(4, 7))
    assert not np.array_equal(found.draws(4, 7), found.draws(4, 8))
    assert found.halved("shift").tolist() == [0.5] * 3 and found.halved("turns").tolist() == [1.0] * 3
    np.testing.assert_allclose(found.draws(20_000, 1).std(axis=0), 1, atol=0.02)


COIL = {
    "kind": "gradient", "name": "wound", "region": {"radius": "80 mm"}, "target": {"gradient_axis": "z", "strength": "10 mT/m", "error": "8 %"},
    "primary": {"radius": "150 mm", "length": "450 mm"}, "shield": {"radius": "200 mm", "length": "600 mm"},
    "stray": {"radius": "250 mm", "length": "600 mm", "limit": "60 uT"}, "conductor": {"width": "3 mm", "thickness": "3 mm"},
    "winding": {"turns": 8, "joined": False}, "mesh": {"resolution": "30 mm"}, "audit": {"points": 200},
    "tolerances": {"shift": "0.5 mm", "turns": "0.3 mm", "rotation": 0.001, "samples": 60},
}  # fmt: skip


@pytest.fixture(scope="module")
def coils():
    return run(COIL)


def test_a_spec_says_what_most_of_its_coils_keep(coils):
    value = lambda name: coils.figures[name].value
    assert value("linearity_error_95_wound") >= value("linearity_error_median_wound") > 0.97 * value("linearity_error_max")
    assert value("stray_field_95_wound") > 0.9 * value("stray_field_max")
    assert 0 <= value("yield_wound") <= 1 and coils.figures["yield_wound"].uncertainty > 0
    assert coils.audit["tolerances"]["largest difference from the exact field"] < 0.05
    rows = coils.plots["tolerances"].rows if hasattr(coils, "plots") else None
    assert rows is None or [r[0] for r in rows] == ["all as given", "shift halved", "rotation halved", "expansion halved", "turns halved"]


def test_smaller_errors_are_nearer_to_the_coil_as_designed(coils):
    fine = run(COIL | {"tolerances": {"shift": "5 um", "turns": "5 um", "expansion": "5 um", "samples": 20}})
    drawn = fine.figures["linearity_error_95_wound"].value - fine.figures["linearity_error_median_wound"].value
    assert drawn < 0.1 * (coils.figures["linearity_error_95_wound"].value - coils.figures["linearity_error_median_wound"].value)
