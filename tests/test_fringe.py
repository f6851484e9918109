"""Stray-field extent against closed forms (dipole, thin solenoid, zero-dipole pair)."""

import json
from pathlib import Path

import numpy as np
import pytest

from designtools.fringe import far_sighted, fringe_extent
from designtools.harmonics.exterior import exterior
from designtools.sources import Assembly, Blocks, Dipoles, Loops, Magnets, Uniform
from designtools.units import MU_0


def coaxial(radii, currents):
    n = len(radii)
    return Loops(np.zeros((n, 3)), np.tile([0.0, 0.0, 1.0], (n, 1)), radii, currents)


def test_loop_off_axis_field():
    """Complete elliptic integrals, a = 0.5 m, 1 MA turns, at r = 1.2 m, z = 0.8 m."""
    field = coaxial([0.5], [1e6]).field(np.array([[1.2, 0, 0.8]]))[0]
    np.testing.assert_allclose(field, [0.038177107786751, 0, 0.0017771356935061], rtol=1e-12, atol=1e-18)


def test_dipole_surface_area_and_volume():
    """m = 1e6 A m2 as a loop of 1 mm: r = R0 (1 + 3 cos^2)^(1/6); the loop's size shifts it by 2e-8."""
    fringe = fringe_extent(coaxial([1e-3], [1e6 / (np.pi * 1e-6)]))
    assert fringe.axial == pytest.approx(7.3680629972808, rel=5e-8)
    assert fringe.radial == pytest.approx(5.8480354764257, rel=5e-8)
    assert fringe.area == pytest.approx(142.54783214393, rel=5e-8)
    assert fringe.volume == pytest.approx(1156.2510271127, rel=5e-8)
    assert fringe.axial_max == pytest.approx(fringe.axial, rel=1e-9)
    assert fringe.radial_max == pytest.approx(fringe.radial, rel=1e-9)


def test_unshielded_solenoid():
    """Current sheet a = 0.5 m, L = 1.6 m, 1.5 T, here 0.1 mm thick about the same radius."""
    sheet, thickness = 1407623.1845648, 1e-4
    solenoid = Blocks([0.5 - thickness / 2], [0.5 + thickness / 2], [-0.8], [0.8], [sheet / thickness])
    fringe = fringe_extent(solenoid)
    assert fringe.axial == pytest.approx(8.9443815271905, rel=1e-7)
    assert fringe.radial == pytest.approx(7.0402001337472, rel=1e-7)
    assert fringe_extent(solenoid, level=9e-4, angles=60).axial == pytest.approx(7.3659592660082, rel=1e-7)


def test_zero_dipole_pair_is_not_extrapolated():
    """NI2 = -NI1 (a1/a2)^2: the far field falls as r^-5."""
    pair = coaxial([0.5, 0.8], [1e6, -390625.0])
    assert float(pair.field(np.zeros((1, 3)))[0, 2]) == pytest.approx(0.94984090385879, rel=1e-10)
    fringe = fringe_extent(pair)
    assert fringe.axial == pytest.approx(2.7579687216172, rel=1e-10)
    assert fringe.radial == pytest.approx(2.4109572527903, rel=1e-10)
    alone = fringe_extent(coaxial([0.5], [1e6]), angles=60)
    assert alone.axial == pytest.approx(np.sqrt((MU_0 * 1e6 * 0.25 / (2 * 5e-4)) ** (2 / 3) - 0.25), rel=1e-10)


def test_shielded_magnet_bulges_beside_its_midplane():
    """Axis and midplane recomputed independently; the largest radius there was taken on a grid."""
    case = json.loads((Path(__file__).parent / "reference" / "magnets_recomputed.json").read_text())["shielded_1p5T"]
    fringe = fringe_extent(Blocks(*np.array(case["coils_r1_r2_z1_z2_J"]).T), angles=120)
    known = case["recomputed"]["five_gauss"]
    assert fringe.axial == pytest.approx(known["axial_m_r0"], rel=1e-6)
    assert fringe.radial == pytest.approx(known["radial_m_z0"], rel=1e-6)
    assert known["max_r_m"] <= fringe.radial_max == pytest.approx(known["max_r_m"], rel=2e-4)


def test_general_source_is_sampled_all_round():
    """A magnet along x seen about x: the dipole figures again; its size shifts them by 1e-6."""
    edge = 0.01
    magnet = Magnets([[0, 0, 0]], [[edge] * 3], [[0, 0, 0]], [[1e6 * MU_0 / edge**3, 0, 0]])
    fringe = fringe_extent(magnet, axis="x", angles=48)
    assert fringe.axial == pytest.approx(7.3680629972808, rel=1e-6)
    assert fringe.radial == pytest.approx(5.8480354764257, rel=1e-6)
    assert fringe.volume == pytest.approx(1156.2510271127, rel=1e-6)
    assert fringe.area == pytest.approx(142.54783214393, rel=1e-6)


def test_weak_source_never_reaches_the_level():
    fringe = fringe_extent(coaxial([0.5], [1.0]), level=1.0, angles=12)
    assert fringe.axial == fringe.radial_max == fringe.area == fringe.volume == 0.0


def test_contour_close_to_the_conductor_is_found_inside_the_bounding_sphere():
    """On the axis of a loop |B| = B0 (1 + z^2/a^2)^(-3/2)."""
    loop = coaxial([0.5], [1.0])
    level = 0.9 * MU_0
    fringe = fringe_extent(loop, level=level, angles=24)
    assert fringe.axial == pytest.approx(0.5 * np.sqrt((1 / 0.9) ** (2 / 3) - 1), rel=1e-10)


def test_refusals_are_sentences():
    with pytest.raises(TypeError, match="leave background fields out"):
        fringe_extent(Uniform([0, 0, 1]))
    with pytest.raises(ValueError, match="level must be a positive"):
        fringe_extent(coaxial([0.5], [1e6]), level=0)


def test_a_dipole_at_the_centre():
    """FR02: the 0.5 mT surface of 1e6 A m2 ends at 7.3680629972808 m on the axis and 5.8480354764257 m across."""
    found = fringe_extent(Dipoles([[0, 0, 0]], [[0, 0, 1e6]]))
    assert found.axial == pytest.approx(7.3680629972808, abs=1e-3) and found.radial == pytest.approx(5.8480354764257, abs=1e-3)


def test_the_series_of_coils_is_their_field_within_its_bound():
    """Against the exact sections and loops, about two centres; beyond `from_here` the far-sighted source is its series."""
    coils = Assembly(
        [Blocks([0.48, 0.9], [0.52, 0.95], [-0.1, -0.6], [0.2, -0.4], [1e8, -1e8]), Loops([[0, 0, 0.3]], [[0, 0, -1.0]], [0.7], [1e5])]
    )
    way = np.random.default_rng(1).normal(size=(30, 3))
    way = np.concatenate([way / np.linalg.norm(way, axis=1)[:, None], [[0, 0, 1.0], [0, 0, -1.0]]])
    for height in (0.0, 0.1):
        far = exterior(coils, 80, height)
        for share in (1.2, 1.6, 4.0):
            points = [0, 0, height] + share * far.radius * way
            error = np.linalg.norm(far.field(points) - np.asarray(coils.field(points)), axis=1).max()
            assert error <= far.error_bound(share * far.radius) + 1e-14
    seen = far_sighted(coils, 5e-4)
    places = np.linspace(0.9, 1.3, 21)[:, None] * seen.from_here * way[:1]
    np.testing.assert_allclose(seen.field(places), coils.field(places), atol=1e-14)
    assert seen.from_here < 1.5 * seen.far.radius and not np.array_equal(seen.field(places)[-1], np.asarray(coils.field(places))[-1])
