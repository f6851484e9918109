"""The written convention, exact expansions, projection and fit."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from designtools.harmonics import Harmonics, fit, harmonics, solid_harmonics, zonal
from designtools.regions import sphere_rule
from designtools.sources import Assembly, Blocks, Filaments, Loops, Magnets
from designtools.units import MU_0


def coaxial(rows):
    """Loops from rows (radius, height, current)."""
    a, z, i = np.array(rows).T
    return Loops(np.column_stack([0 * z, 0 * z, z]), np.tile([0.0, 0.0, 1.0], (len(a), 1)), a, i)


def relative(rows, order=8):
    """h_n = a_n0/a_00 at R = 1, where the classic systems are quoted."""
    table = zonal(coaxial(rows), 1.0, order)
    return np.asarray(table / table[0])


def test_convention_in_cartesian_form():
    x, y, z = p = np.array([0.3, -0.5, 0.7])
    c, s = (table[0] for table in solid_harmonics(p[None], 3))
    np.testing.assert_allclose(c[1, :2], [z, x])
    np.testing.assert_allclose(s[1, :2], [0, y])
    np.testing.assert_allclose(c[2, :3], [(2 * z * z - x * x - y * y) / 2, 3 * x * z, 3 * (x * x - y * y)])
    np.testing.assert_allclose(s[2, :3], [0, 3 * y * z, 6 * x * y])
    np.testing.assert_allclose(c[3, 3], 15 * (x**3 - 3 * x * y * y))
    np.testing.assert_allclose(c[3, 1], 1.5 * x * (4 * z * z - x * x - y * y))


def test_table_follows_scipy_without_the_condon_shortley_sign():
    from scipy.special import assoc_legendre_p_all

    theta, phi = 0.7, 1.1
    point = np.array([[np.sin(theta) * np.cos(phi), np.sin(theta) * np.sin(phi), np.cos(theta)]])
    c, s = solid_harmonics(point, 12)
    legendre = assoc_legendre_p_all(12, 12, np.cos(theta))[0]
    for n in range(13):
        for m in range(n + 1):
            value = (-1) ** m * legendre[n, m]
            assert c[0, n, m] == pytest.approx(value * np.cos(m * phi), rel=1e-10, abs=1e-10)
            assert s[0, n, m] == pytest.approx(value * np.sin(m * phi), rel=1e-10, abs=1e-10)


def test_helmholtz_pair():
    """B0 = (4/5)^(3/2) mu0 NI/R; h2 = 0, h4 = -1.152."""
    rows = [(1, 0.5, 1), (1, -0.5, 1)]
    assert float(zonal(coaxial(rows), 1.0, 0)[0]) == pytest.approx(8.991762855732131e-07, rel=1e-14)
    h = relative(rows, 4)
    np.testing.assert_allclose(h[1:4], 0, atol=1e-15)
    assert h[4] == pytest.approx(-1.152, rel=1e-13)


def test_maxwell_tri_coil():
    """49:64:49 on a sphere: h2 = h4 = 0, h6 = -2.042857142857145 (recomputed)."""
    a, z = np.sqrt(4 / 7), np.sqrt(3 / 7)
    h = relative([(1, 0, 64), (a, z, 49), (a, -z, 49)])
    np.testing.assert_allclose(h[[2, 4]], 0, atol=2e-15)
    assert h[6] == pytest.approx(-2.042857142857145, rel=1e-13)
    assert h[8] == pytest.approx(2.878097667638485, rel=1e-13)


def test_lee_whiting_coils():
    """Four equal loops of eighth order: h2 = h4 = h6 = 0, h8 = -0.5615831514331165 (recomputed)."""
    z1, z2, ratio = 0.2431859770742156, 0.9407328926479478, 0.44239107222800245
    h = relative([(1, z1, ratio), (1, -z1, ratio), (1, z2, 1), (1, -z2, 1)])
    np.testing.assert_allclose(h[[2, 4, 6]], 0, atol=1e-14)
    assert h[8] == pytest.approx(-0.5615831514331165, rel=1e-12)


def test_maxwell_gradient_pair():
    """eta = 0.6413 mu0/a^2, leading error -(176/343)(z/a)^4."""
    a, current = 0.3, 100.0
    z = a * np.sqrt(3) / 2
    table = zonal(coaxial([(a, z, current), (a, -z, -current)]), a, 5)
    assert float(table[1]) / a == pytest.approx(0.00089541449253519, rel=1e-12)
    assert float(table[3]) == pytest.approx(0, abs=1e-18)
    assert float(table[5] / table[1]) == pytest.approx(-176 / 343, rel=1e-12)


SHIELDED = Blocks([0.48, 0.48, 0.9], [0.5, 0.5, 0.92], [0.1, -0.3, -0.2], [0.3, -0.1, 0.2], [1e8, 1e8, -1e8])


@pytest.mark.parametrize(
    "source",
    [SHIELDED, coaxial([(0.5, 0.1, 3.0), (0.6, -0.4, -2.0)]), Assembly([SHIELDED, coaxial([(0.5, 0.1, 1e5)])])],
    ids=["blocks", "loops", "both"],
)
def test_exact_expansion_is_the_projection(source):
    exact = harmonics(source, 0.25, 16)
    projected = harmonics(source, 0.25, 16, rule=90)
    np.testing.assert_allclose(exact.zonal, harmonics(source, 0.25, 16, axis=(0, 0, 2.0)).zonal, rtol=1e-13)
    size = np.abs(exact.cosine).max()
    np.testing.assert_allclose(exact.cosine, projected.cosine, atol=1e-12 * size)
    np.testing.assert_allclose(exact.sine, projected.sine, atol=1e-12 * size)
    inside = 0.2 * sphere_rule(4)[0]
    np.testing.assert_allclose(
        harmonics(source, 0.25, 40).component(inside), source.field(inside)[:, 2], atol=1e-13 * size
    )


def test_expansion_about_another_centre():
    points = np.array([0, 0, 0.1]) + 0.1 * sphere_rule(4)[0]
    table = harmonics(SHIELDED, 0.2, 40, centre=(0, 0, 0.1))
    np.testing.assert_allclose(table.component(points), SHIELDED.field(points)[:, 2], rtol=1e-12)


@pytest.mark.parametrize("axis, component", [("x", 0), ("y", 1), ("z", 2)])
def test_projection_rebuilds_any_component(axis, component):
    magnet = Magnets([[0.5, 0.1, 0.2]], [[0.1, 0.2, 0.1]], [[0.3, 0.2, 0.1]], [[1, 0.2, 0.3]])
    wire = Filaments.from_path([[0.6, 0, 0], [0, 0.6, 0.1], [-0.6, -0.1, 0.4]], 1e4, closed=True)
    source = Assembly([magnet, wire])
    points = np.array([0.02, 0, 0]) + 0.05 * sphere_rule(4)[0]
    table = harmonics(source, 0.15, 24, axis=axis, centre=(0.02, 0, 0))
    field = source.field(points)[:, component]
    np.testing.assert_allclose(table.component(points), field, atol=1e-10 * np.abs(field).max())


def test_fit_recovers_a_known_field():
    rng = np.random.default_rng(0)
    a, b = np.tril(rng.normal(size=(5, 5))), np.tril(rng.normal(size=(5, 5)))
    b[:, 0] = 0
    truth = Harmonics(a, b, 0.2, (0.01, 0.0, 0.0))
    points = 0.15 * rng.normal(size=(200, 3))
    found = fit(points, truth.component(points), 4, 0.2, centre=(0.01, 0.0, 0.0))
    np.testing.assert_allclose(found.cosine, a, atol=1e-10)
    np.testing.assert_allclose(found.sine, b, atol=1e-10)
    np.testing.assert_allclose(truth.at_radius(0.1).component(points), truth.component(points), rtol=1e-9)


def test_zonal_derivatives():
    leaves = [np.asarray(value) for value in SHIELDED._leaves()]

    def total(leaves):
        return jnp.sum(jnp.arange(1.0, 8.0) * zonal(Blocks(*leaves), 0.25, 6))

    slope = jax.grad(total)(leaves)
    for i, leaf in enumerate(leaves):
        step = 1e-6 * np.abs(leaf).max() * np.array([1.0, -0.3, 0.7])
        moved = [[value + (k == i) * s * step for k, value in enumerate(leaves)] for s in (1, -1)]
        numeric = (total(moved[0]) - total(moved[1])) / 2
        assert float(slope[i] @ step) == pytest.approx(float(numeric), rel=1e-6)


def test_refusals_are_sentences():
    with pytest.raises(ValueError, match="radius must be less than 0.480104 m"):
        harmonics(SHIELDED, 0.6, 4, centre=(0, 0, 0.09))
    with pytest.raises(ValueError, match="axis must be"):
        harmonics(SHIELDED, 0.2, 4, axis="w")
    with pytest.raises(ValueError, match="lower the order"):
        fit(np.zeros((3, 3)), np.zeros(3), 2, 0.1)
    assert MU_0 == pytest.approx(1.2566370614359e-06)
