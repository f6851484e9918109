"""Thick windings: exact inside, on faces and corners, beside and far away."""

import json
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.special import ellipe, ellipk

from designtools.fields import field_gradient, inductance, reference_current
from designtools.sources import Blocks
from designtools.units import MU_0

REFERENCE = json.loads((Path(__file__).parent / "reference" / "magnets_recomputed.json").read_text())
SECTIONS = [
    (0.5, 0.55, -0.2, 0.2), (0.48, 0.4933, 0.078, 0.183), (1.865, 2.135, -0.8, 0.8), (0.176, 0.1865, 0.0241, 0.0461),
    (0.5, 0.501, -0.8, 0.8), (0.3, 0.6, -0.001, 0.001), (0.01, 0.5, -0.3, 0.3), (0.0, 0.1, -0.1, 0.1),
]  # fmt: skip


def one(section, density=1.0):
    return Blocks(*[[value] for value in section], [density])


def magnet(name):
    coils = np.array(REFERENCE[name]["coils_r1_r2_z1_z2_J"])
    if REFERENCE[name].get("mirrored_about_z0"):
        mirrored = coils[:, [0, 1, 3, 2, 4]] * [1, 1, -1, -1, 1]
        coils = np.concatenate([coils, mirrored])
    return Blocks(*coils.T)


def at(r, z):
    return np.stack([r, np.zeros_like(r), z], axis=-1)


def stringent_points(section):
    """On corners and faces, 1e-11..1e-1 of the section away from them, inside and beside."""
    r1, r2, z1, z2 = section
    w, h = r2 - r1, z2 - z1
    points = [(a, b) for a in (r1, r2) for b in (z1, z2)]
    points += [(r1 + 0.37 * w, z) for z in (z1, z2)] + [(r, z1 + 0.61 * h) for r in (r1, r2)]
    for e in 10.0 ** np.arange(-11, 0, 2):
        points += [(r + s * w * e, z1 + 0.61 * h) for r in (r1, r2) for s in (1, -1)]
        points += [(r2 + w * e, z2 - h * e), (r2 - w * e, z2 + h * e), (r1 + 0.4 * w, z1 - h * e)]
    points += [(r1 + a * w, z1 + b * h) for a, b in np.random.default_rng(1).uniform(-1, 2, (20, 2))]
    r, z = np.array(points).T
    return np.abs(r), z


def loops_sum(section, r, z, n=40):
    """B_r, B_z, A_phi by n x n Gauss loops: independent of the package, good outside the winding."""
    t, w = np.polynomial.legendre.leggauss(n)
    r1, r2, z1, z2 = section
    a = ((r1 + r2) / 2 + (r2 - r1) / 2 * t)[:, None, None]
    d = z - ((z1 + z2) / 2 + (z2 - z1) / 2 * t)[None, :, None]
    weight = 2e-7 * (w[:, None] * w)[:, :, None] * (r2 - r1) * (z2 - z1) / 4
    far, near = (a + r) ** 2 + d**2, (a - r) ** 2 + d**2
    m = 4 * a * r / far
    k, e = ellipk(m), ellipe(m)
    bz = weight / np.sqrt(far) * (k + (a * a - r * r - d * d) / near * e)
    br = weight * d / (r * np.sqrt(far)) * (-k + (a * a + r * r + d * d) / near * e)
    potential = weight * np.sqrt(a / r) * 2 / np.sqrt(m) * ((1 - m / 2) * k - e)
    return [part.sum(axis=(0, 1)) for part in (br, bz, potential)]


@pytest.mark.parametrize("section", SECTIONS)
def test_cutting_the_section_changes_nothing(section):
    """Cut at each point: the point becomes a corner of four pieces, so the singular form meets the smooth one."""
    r1, r2, z1, z2 = section
    whole = one(section)
    r, z = stringent_points(section)
    r, z = r[-20:][::4], z[-20:][::4]
    for ri, zi in zip(r, z):
        rc, zc = np.clip(ri, r1 + 0.1 * (r2 - r1), r2 - 0.1 * (r2 - r1)), np.clip(zi, z1, z2)
        pieces = Blocks([r1, rc, r1, rc], [rc, r2, rc, r2], [z1, z1, zc, zc], [zc, zc, z2, z2], np.ones(4))
        point = at(np.array([ri]), np.array([zi]))
        size = np.abs(whole.field(point)).max()
        np.testing.assert_allclose(pieces.field(point), whole.field(point), atol=2e-11 * size, rtol=0)
        size = np.abs(whole.potential(point)).max()
        np.testing.assert_allclose(pieces.potential(point), whole.potential(point), atol=2e-11 * size, rtol=0)


@pytest.mark.parametrize("section", SECTIONS)
def test_everywhere_against_a_fine_azimuthal_integral(section):
    """The near form with 500 nodes of another grading, in NumPy, is the reference on faces and corners."""
    r, z = stringent_points(section)
    br, bz = fine_azimuthal(section, r, z)
    size = np.hypot(br, bz)
    field = one(section).field(at(r, z))
    error = np.maximum(np.abs(field[:, 0] - br), np.abs(field[:, 2] - bz)) / size
    assert error.max() < 1e-11


def fine_azimuthal(section, r, z, nodes=500, grading=14.0):
    x, w = np.polynomial.legendre.leggauss(nodes)
    x, w = (x + 1) / 2, w / 2
    phi = np.pi * np.sinh(grading * x**3) / np.sinh(grading)
    w = w * 3 * x**2 * np.pi * grading * np.cosh(grading * x**3) / np.sinh(grading)
    r1, r2, z1, z2 = section
    r, z = r[:, None], z[:, None]
    c, h, versine = np.cos(phi), r * np.sin(phi), 2 * np.sin(phi / 2) ** 2
    br = bz = 0.0
    for sign, a, b in ((1, r2, z2), (-1, r2, z1), (-1, r1, z2), (1, r1, z1)):
        u, v = a - r + r * versine, b - z
        distance = np.sqrt(u * u + v * v + h * h)
        log_u = np.where(u >= 0, np.log(_tiny(distance + np.abs(u))), np.log(_tiny(v * v + h * h)) - np.log(_tiny(distance + np.abs(u))))
        log_v = np.where(v >= 0, np.log(_tiny(distance + np.abs(v))), np.log(_tiny(u * u + h * h)) - np.log(_tiny(distance + np.abs(v))))
        bz = bz + sign * (v * log_u - r * c * log_v - h * np.arctan2(u * v, h * distance))
        br = br + sign * c * (distance + r * c * log_u)
    return 2e-7 * br @ w, 2e-7 * bz @ w


def _tiny(x):
    return np.maximum(x, 1e-300)


@pytest.mark.parametrize("section", SECTIONS[:5])
def test_outside_against_loops(section):
    r1, r2, z1, z2 = section
    size = max(r2 - r1, z2 - z1)
    r = np.array([0.3 * r1, 0.01 * r1, r2 + size, r2 + 20 * size, 0.5 * r2])
    z = np.array([z1 - 0.4 * size, z2 + 0.5 * size, z1, z2 + 30 * size, z2 + 3 * size])
    br, bz, potential = loops_sum(section, r, z)
    size = np.hypot(br, bz)
    field = one(section).field(at(r, z))
    assert np.max(np.abs(field[:, 0] - br) / size) < 3e-12
    assert np.max(np.abs(field[:, 2] - bz) / size) < 3e-12
    off_axis = r > 0.1 * r1  # the textbook form of the reference potential cancels near the axis
    ours = one(section).potential(at(r, z))[:, 1]
    np.testing.assert_allclose(ours[off_axis], potential[off_axis], rtol=3e-12)


def test_on_the_axis_against_the_closed_form():
    """B_z = mu0 J/2 [v ln(r' + sqrt(r'^2 + v^2))] over the corners (Montgomery, Solenoid Magnet Design, 1969)."""
    r1, r2, z1, z2 = section = (0.5, 0.55, -0.2, 0.2)
    z = np.array([0.0, 0.2, 0.7, 3.0])

    def term(a, b):
        return (b - z) * np.log(a + np.hypot(a, b - z))

    exact = MU_0 / 2 * (term(r2, z2) - term(r1, z2) - term(r2, z1) + term(r1, z1))
    field = one(section).field(at(0 * z, z))
    np.testing.assert_allclose(field[:, 2], exact, rtol=1e-11)
    assert np.all(field[:, :2] == 0)


def test_curl_inside_is_the_current():
    points = at(np.array([0.51, 0.54, 0.3]), np.array([0.1, -0.19, 0.0]))
    slope = field_gradient(one((0.5, 0.55, -0.2, 0.2), 1e7), points)
    curl = slope[:, 0, 2] - slope[:, 2, 0]
    np.testing.assert_allclose(curl, [MU_0 * 1e7, MU_0 * 1e7, 0.0], rtol=1e-8, atol=1e-8)


def test_long_thick_solenoid():
    """B_z = mu0 J (b - r) inside an infinitely long winding (published benchmark after Moon: 8.798e-3 T)."""
    field = one((0.01, 0.02, -20, 20), 1e6).field(at(np.array([0.013]), np.zeros(1)))
    assert float(field[0, 2]) == pytest.approx(0.0087964594300514, rel=1e-6)


@pytest.mark.parametrize("r", [0.0, 1e-12, 1e-7, 1e-3])
def test_field_gradient_near_the_axis_is_smooth(r):
    """Near form on the axis of a long winding: dB_x/dx = -dB_z/dz / 2."""
    slope = field_gradient(one((0.5, 0.55, -0.8, 0.8), 1e7), np.array([[r, 0.0, 0.3]]))[0]
    assert float(slope[0, 0]) == pytest.approx(-float(slope[2, 2]) / 2, rel=1e-5 if r == 1e-3 else 1e-9)


def test_every_leaf_has_the_derivative_of_a_difference():
    points = np.array([[0.1, 0.05, 0.02], [0.52, 0.0, 0.1], [1.4, 0.3, 2.0]])
    leaves = [np.array([value]) for value in (0.5, 0.55, -0.2, 0.2, 1e7)]

    def total(leaves):
        return jnp.sum(jnp.arange(9.0).reshape(3, 3) * Blocks(*leaves).field(points))

    gradient = jax.grad(total)(leaves)
    for i, leaf in enumerate(leaves):
        h = 1e-5 * max(abs(leaf[0]), 0.1)
        moved = [[value + (k == i) * s * h for k, value in enumerate(leaves)] for s in (1, -1)]
        numeric = (total(moved[0]) - total(moved[1])) / (2 * h)
        assert float(gradient[i][0]) == pytest.approx(float(numeric), rel=1e-5)


def test_kssc_extremity_magnet():
    source, known = magnet("kssc_extremity"), REFERENCE["kssc_extremity"]["recomputed"]
    assert float(source.field(np.zeros((1, 3)))[0, 2]) == pytest.approx(known["B0_T"], abs=5e-6)
    assert float(source.volume().sum()) == pytest.approx(known["conductor_volume_m3"], rel=1e-6)
    energy = inductance([source])[0, 0] * reference_current(source) ** 2 / 2
    assert float(energy) == pytest.approx(known["stored_energy_J"], rel=2e-5)


def test_team22_energy_and_stray_field():
    """Stray field: 21 points on r = 10 m and z = 10 m (TEAM workshop problem 22)."""
    source, known = magnet("team22"), REFERENCE["team22"]["recomputed"]
    energy = inductance([source])[0, 0] * reference_current(source) ** 2 / 2
    assert float(energy) == pytest.approx(known["energy_J"], rel=2e-6)
    step = np.linspace(0, 10, 11)
    points = np.unique(np.concatenate([at(np.full(11, 10.0), step), at(step, np.full(11, 10.0))]), axis=0)
    field = np.linalg.norm(source.field(points), axis=1)
    assert len(points) == 21
    assert np.sqrt(np.sum(field**2) / 22) == pytest.approx(known["B_stray_rms_T"], rel=2e-3)


def test_shielded_magnet_energy_and_field():
    source, known = magnet("shielded_1p5T"), REFERENCE["shielded_1p5T"]["recomputed"]
    assert float(source.field(np.zeros((1, 3)))[0, 2]) == pytest.approx(known["B0"], rel=1e-9)
    assert float(source.volume().sum()) == pytest.approx(known["volume_m3"], rel=1e-12)
    energy = inductance([source])[0, 0] * reference_current(source) ** 2 / 2
    assert float(energy) == pytest.approx(known["energy_J"], rel=1e-5)


def test_bad_shapes_are_refused_in_words():
    with pytest.raises(ValueError, match="must have one shape"):
        Blocks([0.5], [0.6], [-0.1], [0.1, 0.2], [1e8])
