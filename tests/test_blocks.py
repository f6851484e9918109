"""Thick windings: exact inside, on faces and corners, beside and far away."""

import json
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.special import ellipe, ellipk

from designtools.fields import field_gradient
from designtools.inductance import inductance, reference_current
from designtools.sources import Blocks
from designtools.units import MU_0

REFERENCE = json.loads((Path(__file__).parent / "reference" / "magnets_recomputed.json").read_text())
REFERENCE_MP = json.loads((Path(__file__).parent / "reference" / "blocks_mpmath.json").read_text())["rows"]
SECTIONS = [
    (0.5, 0.55, -0.2, 0.2), (1.865, 2.135, -0.8, 0.8), (0.5, 0.501, -0.8, 0.8), (0.3, 0.6, -0.001, 0.001),
    (0.01, 0.5, -0.3, 0.3),
]  # fmt: skip
NUMBER = 96  # points per call, so that one program serves most tests


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


def padded(points):
    """Points (P,3) repeated up to NUMBER, and P."""
    return np.pad(points, ((0, NUMBER - len(points)), (0, 0)), mode="edge"), len(points)


def field_of(section, r, z):
    points, count = padded(at(r, z))
    return np.asarray(one(section).field(points))[:count]


def potential_of(section, r, z):
    points, count = padded(at(r, z))
    return np.asarray(one(section).potential(points))[:count, 1]


def stringent_points(section, rng):
    """On corners and faces, 1e-11..1e-1 of the section away from them, inside and beside."""
    r1, r2, z1, z2 = section
    w, h = r2 - r1, z2 - z1
    points = [(a, b) for a in (r1, r2) for b in (z1, z2)]
    points += [(r1 + 0.37 * w, z) for z in (z1, z2)] + [(r, z1 + 0.61 * h) for r in (r1, r2)]
    for e in 10.0 ** np.arange(-11, 0, 2):
        points += [(r + s * w * e, z1 + 0.61 * h) for r in (r1, r2) for s in (1, -1)]
        points += [(r2 + w * e, z2 - h * e), (r2 - w * e, z2 + h * e), (r1 + 0.4 * w, z1 - h * e)]
    points += [(r1 + a * w, z1 + b * h) for a, b in rng.uniform(-1, 2, (20, 2))]
    r, z = np.array(points).T
    return np.abs(r), z


def random_sections(count, seed):
    """Any radius, size and aspect up to 1:30."""
    rng = np.random.default_rng(seed)
    inner, size, aspect = 10 ** rng.uniform(-1, 0, count), 10 ** rng.uniform(-1.5, 0.3, count), 10 ** rng.uniform(-1.5, 1.5, count)
    width, height = inner * size, inner * size * aspect
    return [(a, a + w, -0.3 * h, 0.7 * h) for a, w, h in zip(inner, width, height)]


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


def test_thin_and_tiny_sections_and_corners_against_mpmath():
    """0.2 mm square to tapes of 1:1000, radius up to 1e4 of the size, on corners and faces, inside, beside, far."""
    rows = np.array(REFERENCE_MP)
    for section in np.unique(rows[:, :4], axis=0):
        r, z, br, bz, potential = rows[(rows[:, :4] == section).all(axis=1)][:, 4:].T
        field, size = field_of(section, r, z), np.hypot(br, bz)
        assert (np.hypot(field[:, 0] - br, field[:, 2] - bz) / size).max() < 2e-12
        assert np.abs(potential_of(section, r, z) / potential - 1).max() < 2e-12


@pytest.mark.parametrize("section", SECTIONS + random_sections(5, seed=11))
def test_everywhere_against_a_fine_azimuthal_integral(section):
    """The textbook form with 1100 nodes on another grading, in NumPy, is the reference on faces and corners."""
    r, z = stringent_points(section, np.random.default_rng(2))
    br, bz = fine_azimuthal(section, r, z)
    field = field_of(section, r, z)
    assert (np.hypot(field[:, 0] - br, field[:, 2] - bz) / np.hypot(br, bz)).max() < 1e-11


def test_cutting_the_section_changes_nothing():
    """Cut at each point: the point becomes a corner of four pieces, so the singular form meets the smooth one."""
    for section in SECTIONS[:2]:
        r1, r2, z1, z2 = section
        for a, b in np.random.default_rng(1).uniform(0.1, 0.9, (2, 2)):
            rc, zc = r1 + a * (r2 - r1), z1 + b * (z2 - z1)
            quarters = [(r1, rc, z1, zc), (rc, r2, z1, zc), (r1, rc, zc, z2), (rc, r2, zc, z2)]
            r, z = np.array([rc]), np.array([zc])
            for of in (field_of, potential_of):
                whole = of(section, r, z)
                np.testing.assert_allclose(sum(of(q, r, z) for q in quarters), whole, atol=3e-12 * np.abs(whole).max(), rtol=0)


def fine_azimuthal(section, r, z, order=20):
    x, w = np.polynomial.legendre.leggauss(order)
    edges = np.pi / 4 * np.concatenate([[0], 10.0 ** np.arange(-17, -0.9, 0.4), np.linspace(0.12, 4, 16)])
    low, step = edges[:-1, None], np.diff(edges)[:, None]
    phi, w = (low + step * (x + 1) / 2).ravel(), (step * w / 2).ravel()
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


@pytest.mark.parametrize("section", SECTIONS)
def test_outside_against_loops(section):
    r1, r2, z1, z2 = section
    size = max(r2 - r1, z2 - z1)
    r = np.array([0.3 * r1, 0.01 * r1, r2 + size, r2 + 20 * size, 0.5 * r2, 70.0])
    z = np.array([z1 - 0.4 * size, z2 + 0.5 * size, z1, z2 + 30 * size, z2 + 3 * size, 70.0])
    br, bz, potential = loops_sum(section, r, z)
    field = field_of(section, r, z)
    assert (np.hypot(field[:, 0] - br, field[:, 2] - bz) / np.hypot(br, bz))[:5].max() < 1e-12
    assert (np.abs(field[:, 2] / bz - 1))[5] < 1e-11  # the textbook form of the reference cancels at 100 m
    off_axis = (r > 0.1 * r1) & (r < 50)  # and near the axis
    np.testing.assert_allclose(potential_of(section, r, z)[off_axis], potential[off_axis], rtol=1e-11)


def test_on_the_axis_against_the_closed_form():
    """B_z = mu0 J/2 [v ln(r' + sqrt(r'^2 + v^2))] over the corners (Montgomery, Solenoid Magnet Design, 1969)."""
    r1, r2, z1, z2 = section = (0.5, 0.55, -0.2, 0.2)
    z = np.array([0.0, 0.2, 0.7, 3.0])

    def term(a, b):
        return (b - z) * np.log(a + np.hypot(a, b - z))

    exact = MU_0 / 2 * (term(r2, z2) - term(r1, z2) - term(r2, z1) + term(r1, z1))
    field = field_of(section, 0 * z, z)
    np.testing.assert_allclose(field[:, 2], exact, rtol=1e-11)  # the reference cancels at 3 m
    assert np.all(field[:, :2] == 0)


def test_long_thick_solenoid():
    """B_z = mu0 J (b - r) inside an infinitely long winding (published benchmark after Moon: 8.798e-3 T)."""
    field = field_of((0.01, 0.02, -20, 20), np.array([0.013]), np.zeros(1))
    assert float(field[0, 2]) * 1e6 == pytest.approx(0.0087964594300514, rel=1e-6)


@jax.jit
def slopes(leaves, points):
    """B, and its first derivatives (P, component, direction)."""
    return field_gradient(Blocks(*leaves), points)


@jax.jit
def second_along(leaves, points, way):
    """Second derivative (P,3) of B along one direction."""
    once = lambda p: jax.jvp(Blocks(*leaves).field, (p,), (jnp.broadcast_to(way, p.shape),))[1]
    return jax.jvp(once, (points,), (jnp.broadcast_to(way, points.shape),))[1]


LEAVES = [np.array([value]) for value in (0.5, 0.55, -0.8, 0.8, 1e7)]


def test_first_derivatives_obey_maxwell_everywhere():
    """On and near the axis, inside, on a face (half the current's curl), beside and 30 m away."""
    r = np.array([0.0, 1e-12, 1e-7, 1e-3, 0.3, 0.51, 0.54, 0.51, 0.8, 3.0, 30.0])
    z = np.array([0.3, 0.3, 0.3, 0.3, 0.1, 0.1, -0.79, 0.8, 0.2, 2.0, 5.0])
    inside = np.array([0, 0, 0, 0, 0, 1, 1, 0.5, 0, 0, 0])
    slope = np.asarray(slopes(LEAVES, at(r, z)))
    size = np.abs(slope).max(axis=(1, 2))
    assert (np.abs(np.trace(slope, axis1=1, axis2=2)) / size).max() < 1e-11
    curl = slope[:, 0, 2] - slope[:, 2, 0]
    assert (np.abs(curl - inside * MU_0 * 1e7) / size).max() < 1e-11
    np.testing.assert_allclose(slope[:4, 0, 0], -slope[:4, 2, 2] / 2, rtol=1e-5)


def test_second_derivatives_are_harmonic_on_the_axis_too():
    """Laplacian of B = 0 off the current; on the axis that needs d2B/dx2 = -d2B/dz2 / 2, which a where() would lose."""
    r, z = np.array([0.0, 1e-9, 1e-5, 0.02, 0.4, 0.7, 4.0]), np.full(7, 0.6)
    x, y, along = (np.asarray(second_along(LEAVES, at(r, z), way)) for way in np.eye(3))
    size = np.abs(along).max(axis=1)
    assert (np.abs(x + y + along).max(axis=1) / size).max() < 1e-9
    assert x[0, 2] == pytest.approx(-along[0, 2] / 2, rel=1e-9)


def test_faces_corners_and_axis_have_finite_derivatives():
    """A slope on a face is the mean of both sides."""
    r, z = np.array([0.5, 0.55, 0.55, 0.5, 0.52, 0.52, 0.52, 0.0]), np.array([-0.8, 0.8, 0.1, 0.3, 0.8, 0.8 - 1e-9, 0.8 + 1e-9, 0.8])
    slope = np.asarray(slopes(LEAVES, at(r, z)))
    assert np.isfinite(slope).all()
    np.testing.assert_allclose(slope[4], (slope[5] + slope[6]) / 2, atol=1e-6 * np.abs(slope[4]).max())
    assert np.isfinite(second_along(LEAVES, at(r[:7], z[:7]), np.ones(3))).all()


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
