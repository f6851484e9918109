"""Windings and circuits of RF coils against closed forms: overlap, inductance, modes of ladders and cages, matching, S-parameters."""

import json
from pathlib import Path

import numpy as np
import pytest
from scipy.optimize import brentq

import designtools as dt
from designtools.rf import circuits, coils, wires
from designtools.units import MU_0


# --- windings ---------------------------------------------------------------------------------------


def test_inductance_of_a_loop():
    """45 mm radius, 1 mm wire: Neumann 219.75 nH, method of moments 219.95 nH; mu0 R (ln(8R/a) - 2)."""
    found = wires.inductance(coils.loop([0, 0, 0], [0, 0, 1], 0.045, 144), 1e-3)[0, 0]
    assert found == pytest.approx(MU_0 * 0.045 * (np.log(8 * 45) - 2), rel=1e-3)
    assert found == pytest.approx(219.75e-9, rel=2e-3)


def test_mutual_inductance_is_that_of_the_package():
    pair = [coils.loop([0, 0, 0], [0, 0, 1], 0.05), coils.curved_loop(0.14, 0.3, 0.02, 0.05, 0.08)]
    ours = wires.inductance(wires.joined(pair), 1e-3)
    theirs = dt.inductance([dt.Filaments(w.start, w.end, np.ones(len(w.start))) for w in pair], wire_radius=1e-3)
    assert ours[0, 1] == pytest.approx(float(theirs[0, 1]), rel=1e-4)
    inner = [MU_0 / (8 * np.pi) * w.length.sum() for w in pair]  # theirs: current through the whole section
    np.testing.assert_allclose(np.diag(ours), np.diag(theirs) - inner, rtol=5e-3)


def test_critical_overlap():
    """Coplanar equal loops of thin wire do not couple 0.7580 diameters apart (P. B. Roemer et al. 1990: about 0.75)."""
    flux = lambda d: float(dt.inductance([dt.Loops([[0, 0, 0]], [[0, 0, 1]], [1.0], [1.0]), dt.Loops([[d, 0, 0]], [[0, 0, 1]], [1.0], [1.0])], wire_radius=1e-4)[0, 1])
    assert brentq(flux, 1.48, 1.55, xtol=1e-4) / 2 == pytest.approx(0.7580, abs=5e-4)
    ours = lambda d: wires.inductance(wires.joined([coils.loop([0, 0, 0], [0, 0, 1], 1.0, 96), coils.loop([d, 0, 0], [0, 0, 1], 1.0, 96)]), 1e-4)[0, 1]
    assert brentq(ours, 1.45, 1.58, xtol=1e-3) / 2 == pytest.approx(0.7580, abs=2e-3)


def test_a_long_birdcage_is_uniform():
    """Infinite rungs: the largest deviation from a uniform field at r is (rho^(N-2) + rho^N)/(1 - rho^N), rho = r/R."""
    cage, rungs, rho = coils.birdcage(0.1, 8.0, 16), 16, 0.5
    angle = 2 * np.pi * np.arange(64) / 64
    ring = 0.1 * rho * np.stack([np.cos(angle), np.sin(angle), 0 * angle], axis=1)
    points = np.concatenate([np.zeros((1, 3)), ring])
    field = np.asarray(wires.flux_density(cage, points, 0.0))[:, :2, 0].real
    deviation = np.linalg.norm(field[1:] - field[0], axis=1).max() / np.linalg.norm(field[0])
    assert deviation == pytest.approx((rho ** (rungs - 2) + rho**rungs) / (1 - rho**rungs), rel=0.1, abs=3e-4)
    assert np.linalg.norm(field[0]) == pytest.approx(MU_0 * rungs / (4 * np.pi * 0.1), rel=2e-3)


def test_no_current_ends_but_that_of_dipoles():
    closed = [coils.birdcage(0.1, 0.2, 8), coils.solenoid(0.1, 0.2, 5), coils.saddle_pair(0.1, 0.2, 2.0), coils.helmet_array(0.1, 5, 0.03), coils.helmholtz_pair(0.1), coils.spiral(0.03, 0.1, 4), coils.cage_meshes(0.1, 0.2, 8)]
    assert [len(c.ends()[0]) for c in closed] == [0] * 7
    places, current = coils.dipole_array(0.1, 2, 0.3, 6.0).ends()
    assert len(places) == 40 and abs(current.sum(axis=0)).max() < 1e-12


def test_fields_of_saddles_add_and_a_solenoid_is_one():
    saddle = np.asarray(wires.flux_density(coils.saddle_pair(0.1, 0.2, 2 * np.pi / 3), np.zeros((1, 3)), 0.0))[0, :, 0].real
    assert saddle[0] > 0 and abs(saddle[1:]).max() < 1e-9 * saddle[0]
    one = np.asarray(wires.flux_density(coils._saddle(0.1, 0.2, 2 * np.pi / 3, 0.0), np.zeros((1, 3)), 0.0))[0, 0, 0].real
    assert saddle[0] == pytest.approx(2 * one, rel=1e-9)
    pair = np.asarray(wires.flux_density(coils.helmholtz_pair(0.1), np.zeros((1, 3)), 0.0))[0, 2, 0].real
    assert pair == pytest.approx(0.8**1.5 * MU_0 / 0.1, rel=2e-3)
    flat = np.asarray(wires.flux_density(coils.spiral(0.05, 0.1, 20), np.zeros((1, 3)), 0.0))[0, 2, 0].real
    assert flat == pytest.approx(MU_0 * 20 * np.log(2) / (2 * 0.05), rel=0.01)  # turns spread evenly between the radii
    helix = np.asarray(wires.flux_density(coils.solenoid(0.1, 0.2, 20), np.zeros((1, 3)), 0.0))[0, 2, 0].real
    assert helix == pytest.approx(MU_0 * 20 / np.hypot(0.2, 0.2), rel=5e-3)


def test_loss_of_a_wire():
    ring = coils.loop([0, 0, 0], [0, 0, 1], 0.05, 96)
    assert wires.loss(ring, 2.0)[0, 0].real == pytest.approx(2 * np.pi * 0.05, rel=1e-3)  # I^2 R/2 at one ampere


def test_placing_turns_the_field():
    turned = coils.placed(coils.loop([0, 0, 0], [0, 0, 1], 0.05), [1, 2, 2], np.array([0.1, 0, 0]))
    field = np.asarray(wires.flux_density(turned, np.array([[0.1, 0, 0]]), 0.0))[0, :, 0].real
    np.testing.assert_allclose(field / np.linalg.norm(field), np.array([1, 2, 2]) / 3, atol=1e-12)


# --- circuits ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("rungs, ring, rung", [(8, 20e-9, 100e-9), (16, 35e-9, 80e-9)])
def test_modes_of_birdcages(rungs, ring, rung):
    """Low pass w^2 = 2 s^2/[C (L_ring + 2 L_rung s^2)], high pass w^2 = 1/[C (L_ring + 2 L_rung s^2)], s = sin(pi k/N)."""
    capacitance, s = 10e-12, np.sin(np.pi * np.arange(rungs) / rungs)
    low = 2 * s**2 / (capacitance * (ring + 2 * rung * s**2))
    high = 1 / (capacitance * (ring + 2 * rung * s**2))
    for exact, elastances in ((low, (0.0, 1 / capacitance)), (high, (1 / capacitance, 0.0))):
        found, _ = circuits.modes(*circuits.cage_meshes(rungs, ring, rung, *elastances))
        np.testing.assert_allclose(np.sort(found)[1:], np.sort(np.sqrt(exact))[1:], rtol=1e-10)


@pytest.mark.parametrize("passes, other", [("high", 0.0), ("low", 0.0), ("band", 60e-12)])
def test_the_capacitor_of_a_cage_puts_the_mode_where_it_is_wanted(passes, other):
    matrix = wires.inductance(coils.cage_meshes(0.14, 0.15, 12), 3e-3)
    np.testing.assert_allclose(matrix, np.roll(matrix, (1, 1), axis=(0, 1)), rtol=1e-6, atol=1e-12)
    value = circuits.cage_capacitance(matrix, 128e6, passes, other=other)
    ring = {"high": 1 / value, "low": 0.0, "band": 1 / (other or 1)}[passes]
    found, _ = circuits.modes(matrix, circuits.cage_meshes(12, 0.0, 0.0, ring, 0.0 if passes == "high" else 1 / value)[1])
    assert np.sort(np.abs(found / (2 * np.pi) - 128e6))[1] < 2.0  # both modes of the pair


def test_a_band_pass_that_cannot_be():
    with pytest.raises(ValueError, match="use larger ones"):
        circuits.cage_capacitance(np.eye(8) * 1e-7, 128e6, "band", other=1e-12)


def test_modes_of_a_ladder():
    """N equal meshes in a chain without mutual inductance: w^2 = (4/(L C)) sin^2(pi k/(2(N+1)))."""
    n, own, c = 7, 50e-9, 20e-12
    elastance = (2 * np.eye(n) - np.eye(n, k=1) - np.eye(n, k=-1)) / c
    found, _ = circuits.modes(own * np.eye(n), elastance)
    np.testing.assert_allclose(found, 2 / np.sqrt(own * c) * np.sin(np.pi * np.arange(1, n + 1) / (2 * (n + 1))), rtol=1e-10)


@pytest.mark.parametrize("own, loss, frequency", [(220e-9, 0.5, 64e6), (31e-6, 0.9, 2.13e6), (60e-9, 3.0, 298e6)])
def test_matching(own, loss, frequency):
    found = circuits.matched_impedance(own, loss, *circuits.match(own, loss, frequency), frequency)
    assert complex(found) == pytest.approx(50, abs=1e-8)


def test_a_coil_too_lossy_is_refused():
    with pytest.raises(ValueError, match="parallel resistance must exceed 50 ohm"):
        circuits.match(1e-9, 1.0, 1e6)


def test_scattering_there_and_back_and_of_known_loads():
    random = np.random.default_rng(0)
    z = random.normal(size=(5, 3, 3)) + 1j * random.normal(size=(5, 3, 3)) + 60 * np.eye(3)
    np.testing.assert_allclose(circuits.impedance(circuits.scattering(z)), z, rtol=1e-10)
    assert circuits.scattering([[100.0]])[0, 0] == pytest.approx(1 / 3)
    assert np.abs(np.linalg.eigvals(circuits.scattering(1j * np.array([[3.0, 1.0], [1.0, 7.0]])))) == pytest.approx(1)  # lossless


def test_scattering_against_another_program():
    """Figures of scikit-rf: a matched loop over frequency, and three coupled ports."""
    facts = json.loads((Path(__file__).parent / "reference" / "rf.json").read_text())
    there = {name: np.array(facts[name]) @ [1, 1j] for name in ("matched_loop", "three_ports")}
    seen = circuits.matched_impedance(220e-9, 0.5, *circuits.match(220e-9, 0.5, 64e6), np.array([63.5e6, 64e6, 64.3e6]))
    np.testing.assert_allclose(circuits.scattering(seen[:, None, None]).ravel(), there["matched_loop"], atol=1e-11)
    ports = np.array([[50 + 10j, 5 - 3j, 1j], [5 - 3j, 20 + 70j, 2], [1j, 2, 90 - 40j]])
    np.testing.assert_allclose(circuits.scattering(ports).ravel(), there["three_ports"], atol=1e-12)


def test_splitting_and_isolation():
    matrix, k = np.array([[1.0, 0.2], [0.2, 1.0]]) * 1e-7, 0.2
    found, _ = circuits.modes(matrix, np.eye(2) / 20e-12)
    alone = 1 / np.sqrt(1e-7 * 20e-12) / (2 * np.pi)
    np.testing.assert_allclose(found / (2 * np.pi), circuits.split_frequencies(alone, k), rtol=1e-12)
    assert circuits.coupling(matrix)[0, 1] == pytest.approx(k)
    assert circuits.preamplifier_isolation(1.0, 99.0) == 100
