"""Critical surfaces, load lines and margins, against published values, restated formulas and relations."""

import json
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import designtools as dt
from designtools.materials import superconductors
from designtools.materials.superconductors import SURFACES, critical_current_density, nb3sn_iter, rebco_gl, surface_named, tabulated
from designtools.quantities import coaxial, superconductor
from designtools.quantities.superconductor import Wire

FACTS = json.loads((Path(__file__).parent / "reference" / "superconductors.json").read_text())
NBTI = Wire(surface_named("NbTi"), 1.5e-3, 1e-3)


# --- surfaces -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("temperature, field, expected", FACTS["NbTi"]["temperature_K, field_T, Jc_A_per_mm2"])
def test_nbti_has_its_published_values(temperature, field, expected):
    assert float(critical_current_density("NbTi", field, temperature)) / 1e6 == pytest.approx(expected, abs=0.5)


def _iter(B, T):
    t, C = T / 16.06, 19922e6 / (np.pi * 0.41**2 * 0.5)
    b = B / (32.97 * (1 - t**1.52))
    return C / B * (1 - t**1.52) * (1 - t**2) * b**0.63 * (1 - b) ** 2.1


def _summers(B, T):
    t = T / 18
    b = B / (28 * (1 - t**2) * (1 - 0.31 * t**2 * (1 - 1.77 * np.log(t))))
    return 3.85e10 / np.sqrt(B) * (1 - b) ** 2 * (1 - t**2) ** 2


def _rebco(B, T):
    irr = 132.5 * (1 - T / 90) ** 1.54121
    return 1.82962e8 / B * irr**1.96679 * (B / irr) ** 0.5875 * (1 - B / irr) ** 1.7


def _bordini(B, T):
    t = T / 16.3
    b = B / (26.45 * (1 - t**1.52))
    return 267.845e9 * (1 - t**1.52) * (1 - t**2) / B * b**0.5 * (1 - b) ** 2


def _gl(B, T):
    e = -0.058
    s = 1 - 0.0191 * e**2 + 0.0039 * e**3 + 0.00103 * e**4
    tc = 185 * s ** (1 / 2.2)
    bc = 429 * (1 - T / tc) ** 5.27 * s
    return 295 * (tc * (1 - (T / tc) ** 2)) ** 2 * bc**0.33 * (B / bc) ** (0.32 - 1) * (1 - B / bc) ** 2.5


RESTATED = {"Nb3Sn-ITER": _iter, "Nb3Sn": _summers, "REBCO": _rebco, "Nb3Sn-Bordini": _bordini, "REBCO-GL": _gl}


@pytest.mark.parametrize("name", RESTATED)
def test_surfaces_are_the_formulas_they_cite(name):
    for B, T in ((1.0, 4.2), (5.0, 8.0), (12.0, 4.5)):
        assert float(critical_current_density(name, B, T)) == pytest.approx(RESTATED[name](B, T), rel=1e-9)


def test_a_tape_minds_the_direction_of_the_field():
    along = float(critical_current_density("REBCO-angle", 1.0, 77.0, across=0.0))
    across = float(critical_current_density("REBCO-angle", 0.0, 77.0, across=1.0))
    assert along > 1.4 * across
    expected = 1.8303e9 * (1 - (77 / 92) ** 2) ** 1.5 / (1 + (1 / 0.09262) ** 0.7283)
    assert across == pytest.approx(expected, rel=1e-6)
    with pytest.raises(ValueError, match="across the tape"):
        critical_current_density("REBCO-angle", 1.0, 77.0)


@pytest.mark.parametrize("name", SURFACES)
def test_surfaces_fall_smoothly_to_zero_and_stay_there(name):
    """Domain: all of them, far beyond the critical field and temperature; values and slopes finite, Jc never rising."""
    surface = SURFACES[name]
    field = np.linspace(surface.field[0] + 0.01, 500.0, 400)
    for temperature in (surface.temperature[0], 0.5 * surface.critical_temperature, 2 * surface.critical_temperature):
        value = surface.density(field, 0 * field, temperature)
        slope = jax.vmap(jax.grad(lambda b: surface.density(b, 0.1, temperature)))(field)
        assert np.all(np.isfinite(value)) and np.all(np.isfinite(slope))
        assert np.all(np.diff(value) <= 0) and np.all(np.asarray(value) >= 0)
    assert np.all(np.asarray(surface.density(field, 0 * field, 2 * surface.critical_temperature)) == 0)


@pytest.mark.parametrize("name", ["NbTi", "Nb3Sn", "Nb3Sn-ITER", "REBCO", "REBCO-angle"])
def test_slopes_are_those_of_finite_differences(name):
    surface = SURFACES[name]
    at = np.array([1.5, 0.7, sum(surface.temperature) / 2])
    slopes = jax.grad(lambda x: surface.density(*x))(jnp.asarray(at))
    for k, step in enumerate(1e-6 * np.eye(3)):
        expected = (surface.density(*(at + step)) - surface.density(*(at - step))) / 2e-6
        assert float(slopes[k]) == pytest.approx(float(expected), rel=1e-5)


def test_strain_lowers_the_surface():
    assert float(nb3sn_iter(-0.005).density(12.0, 0.0, 4.2)) < 0.7 * float(nb3sn_iter().density(12.0, 0.0, 4.2))
    assert float(rebco_gl(0.004).density(5.0, 0.0, 4.2)) < float(rebco_gl(0.00058).density(5.0, 0.0, 4.2))
    for make, strain in ((nb3sn_iter, 0.01), (rebco_gl, -0.02)):
        with pytest.raises(ValueError, match="strain must lie in"):
            make(strain)


@pytest.mark.parametrize("field, temperature, word", [(20.0, 4.2, "field"), (5.0, 20.0, "temperature"), (float("nan"), 4.2, "field")])
def test_nothing_is_extrapolated(field, temperature, word):
    with pytest.raises(ValueError, match=f"NbTi: the {word} must lie in"):
        critical_current_density("NbTi", field, temperature)
    assert word in SURFACES["NbTi"].outside(field, temperature) and SURFACES["NbTi"].outside([1.0, 5.0], 4.2) == ""


def test_unknown_material_names_the_known():
    with pytest.raises(ValueError, match="material must be one of NbTi, .*got 'NbTl'"):
        surface_named("NbTl")


def test_a_table_keeps_its_points_and_refuses_the_rest():
    fields, temperatures = [0.0, 2.0, 4.0], [4.0, 20.0]
    table = np.array([[4e9, 1e9], [2e9, 5e8], [1e9, 2e8]])
    surface = tabulated("mine", fields, temperatures, table)
    for i, b in enumerate(fields):
        for k, t in enumerate(temperatures):
            assert float(critical_current_density(surface, b, t)) == pytest.approx(table[i, k], rel=1e-5)
    assert float(critical_current_density(surface, 3.0, 4.0)) == pytest.approx(np.sqrt(2e9 * 1e9), rel=1e-6)
    assert float(critical_current_density(surface, 2.0, 12.0)) == pytest.approx(np.sqrt(2e9 * 5e8), rel=1e-6)
    with pytest.raises(ValueError, match="mine: the field must lie in 0 to 4 T"):
        critical_current_density(surface, 4.1, 4.0)


@pytest.mark.parametrize("change, word", [({"fields": [2.0, 1.0]}, "fields must be"), ({"densities": [[1.0, 0.0]]}, "densities must be")])
def test_tables_that_are_none_are_refused(change, word):
    right = {"fields": [1.0, 2.0], "temperatures": [4.0, 5.0], "densities": [[2.0, 1.0], [1.0, 0.5]]}
    with pytest.raises(ValueError, match=word):
        tabulated("bad", **(right | change))


# --- load lines -----------------------------------------------------------------------------------------


def test_the_load_line_ends_on_the_surface():
    surface, field, density = SURFACES["NbTi"], np.array([0.5, 3.0, 6.0, 9.0]), 8e8
    fraction = np.asarray(superconductor.load_fraction(surface, field, 0 * field, density, 4.2))
    np.testing.assert_allclose(surface.density(field / fraction, 0 * field, 4.2), density / fraction, rtol=1e-9)
    assert np.all(np.diff(fraction) > 0)
    assert float(superconductor.load_fraction(surface, 3.0, 0.0, density, 9.5)) > 1e5  # not superconducting at all


def test_the_slope_of_the_fraction():
    of = lambda x: superconductor.load_fraction(SURFACES["NbTi"], x[0], x[1], x[2], 4.2)
    at = jnp.array([4.0, 1.0, 7e8])
    slopes = jax.grad(of)(at)
    for k, step in enumerate((1e-5, 1e-5, 1e3)):
        by = step * np.eye(3)[k]
        assert float(slopes[k]) == pytest.approx(float((of(at + by) - of(at - by)) / (2 * step)), rel=1e-5)


def test_sharing_temperature_lies_on_the_surface():
    surface = SURFACES["NbTi"]
    sharing = float(superconductor.sharing_temperature(surface, 4.0, 0.0, 6e8))
    assert 4.2 < sharing < 9.2 and float(surface.density(4.0, 0.0, sharing)) == pytest.approx(6e8, rel=1e-6)
    assert float(superconductor.sharing_temperature(surface, 20.0, 0.0, 6e8)) == 0.0


def test_allowed_field_leaves_the_margin():
    density = 1.5e8 / NBTI.superconductor
    allowed = superconductor.allowed_field(NBTI.surface, density, 4.2, 0.25)
    assert float(superconductor.load_fraction(NBTI.surface, allowed, 0.0, density, 4.2)) == pytest.approx(0.75, rel=1e-9)
    with pytest.raises(ValueError, match="must lie in"):
        superconductor.allowed_field(NBTI.surface, 1e12, 4.2, 0.25)


# --- windings -------------------------------------------------------------------------------------------


def test_a_long_solenoid_has_the_margin_of_its_field():
    long = dt.Blocks([0.1], [0.11], [-5.0], [5.0], [2e8])
    (margin,) = superconductor.block_margins(long, NBTI, 4.2)
    assert margin.peak_field == pytest.approx(4e-7 * np.pi * 2e8 * 0.01, rel=0.01) and margin.radius == pytest.approx(0.1)
    expected = superconductor.load_fraction(NBTI.surface, margin.peak_field, 0.0, 2e8 / NBTI.superconductor, 4.2)
    assert margin.fraction == pytest.approx(float(expected), rel=1e-9) and margin.margin == 1 - margin.fraction
    assert not margin.outside and 0 < margin.temperature_margin < 5


def wb15():
    return dt.Blocks(*np.array(FACTS["scatter_0.1mm"]["wb15_1sh"]["coils"]).T)


def test_the_peak_lies_on_the_surface_of_every_winding():
    blocks = wb15()
    everywhere = np.asarray(coaxial.peak_field(blocks, 17))
    surface = np.linalg.norm(np.asarray(coaxial.section_field(blocks, *coaxial.perimeter(blocks, 17))), axis=-1).max(axis=1)
    np.testing.assert_allclose(surface, everywhere, rtol=1e-12)
    assert everywhere.max() == pytest.approx(FACTS["scatter_0.1mm"]["wb15_1sh"]["recomputed"]["peak_B_T"], rel=1e-4)


def test_graded_wires_serve_their_own_blocks():
    """Two kinds of wire in mixed order; each block as if the magnet had that wire alone."""
    blocks = wb15()
    lean = Wire(NBTI.surface, 1.5e-3, 1e-3, copper_ratio=9.0)
    wires = [NBTI, lean, lean, NBTI, NBTI, lean, lean, NBTI, NBTI]
    mixed = np.asarray(superconductor.block_load_fraction(blocks, wires, 4.2, 5))
    for wire in (NBTI, lean):
        alone = np.asarray(superconductor.block_load_fraction(blocks, wire, 4.2, 5))
        own = [i for i, w in enumerate(wires) if w is wire]
        np.testing.assert_allclose(mixed[own], alone[own], rtol=1e-12)
        assert np.all(alone.max(axis=1) > 0.2)
    with pytest.raises(ValueError, match="one per block, got 2 for 9"):
        superconductor.block_load_fraction(blocks, [NBTI, lean], 4.2)


def test_a_block_without_current_is_finite_and_does_not_spoil_the_slope():
    def worst(density):
        pair = dt.Blocks([0.1, 0.2], [0.11, 0.21], [-0.1, -0.1], [0.1, 0.1], density)
        return superconductor.block_load_fraction(pair, NBTI, 4.2, 3).max(axis=1)

    at = jnp.array([1e8, 0.0])
    slope = np.asarray(jax.jacfwd(worst)(at))
    assert np.all(np.isfinite(slope)) and np.all(np.isfinite(worst(at)))
    step = np.array([1e4, 0.0])
    assert slope[0, 0] == pytest.approx(float((worst(at + step) - worst(at - step))[0] / 2e4), rel=1e-6)


def test_what_the_fit_does_not_know_is_said():
    tape = Wire(superconductors.SURFACES["REBCO"], 4e-3, 1e-4, copper_ratio=99.0)
    strong = dt.Blocks([0.05], [0.1], [-0.2], [0.2], [4e8])
    (margin,) = superconductor.block_margins(strong, tape, 4.2)
    assert "REBCO: the field must lie in" in margin.outside


@pytest.mark.parametrize("change", [{"width": 0.0}, {"metal_fraction": 1.2}, {"rrr": -1.0}, {"copper_ratio": float("nan")}])
def test_wires_that_cannot_be_are_refused(change):
    with pytest.raises(ValueError, match=f"Wire: {next(iter(change))} must be positive"):
        Wire(**({"surface": NBTI.surface, "width": 1e-3, "height": 1e-3} | change))
