"""Circular loops against 50-digit arithmetic at the points where loop codes fail."""

import jax
import jax.numpy as jnp
import mpmath as mp
import numpy as np
import pytest

from designtools.sources import Loops
from designtools.units import MU_0

UNIT_LOOP = Loops([[0, 0, 0]], [[0, 0, 1]], [1], [1])

# (r, z) for radius 1: on and beside the axis, beside and on the wire's ring, far away.
HARD_POINTS = [
    (0, 1.0), (1e-12, 0.3), (1e-6, 0.3), (1e-3, 0.3), (0.5, 0.3), (0.999999, 0.0), (1.0, 1e-9), (1.000000000001, 0.0),
    (1.0, 1e-3), (1000.0, 1000.0), (1e6, 10.0), (0, 0), (0.9, 0), (2, 0), (1, 1), (0.1, 1e4), (1.0, 1e-15),
]  # fmt: skip


def exact(r, z):
    """(B_r, B_z, A_phi) of the unit loop (Smythe, Static and Dynamic Electricity, 7.10) in 60 digits."""
    with mp.workdps(60):
        r, z, mu0 = mp.mpf(r), mp.mpf(z), mp.mpf(MU_0)
        far, near = (1 + r) ** 2 + z**2, (1 - r) ** 2 + z**2
        m = 4 * r / far
        k, e = mp.ellipk(m), mp.ellipe(m)
        bz = mu0 / (2 * mp.pi * mp.sqrt(far)) * (k + (1 - r**2 - z**2) / near * e)
        if r == 0:
            return 0.0, bz, 0.0
        br = mu0 * z / (2 * mp.pi * r * mp.sqrt(far)) * (-k + (1 + r**2 + z**2) / near * e)
        a = mu0 / mp.pi / mp.sqrt(r * m) * ((1 - m / 2) * k - e)
        return br, bz, a


@pytest.mark.parametrize("r, z", HARD_POINTS)
def test_field_and_potential_at_hard_points(r, z):
    br, bz, a = exact(r, z)
    point = np.array([[r, 0.0, z]])
    field = UNIT_LOOP.field(point)[0]
    size = mp.sqrt(br**2 + bz**2)
    assert abs(float(field[0]) - br) <= 1e-15 * size
    assert abs(float(field[2]) - bz) <= 1e-15 * size
    assert abs(float(UNIT_LOOP.potential(point)[0, 1]) - a) <= 1e-15 * abs(a)


@pytest.mark.parametrize("r, z", [(1e-12, 0.3), (1e-6, 0.3), (0.5, 0.3), (1000.0, 1000.0), (1.0, 1e-9)])
def test_radial_field_keeps_its_own_digits(r, z):
    br = exact(r, z)[0]
    assert abs(float(UNIT_LOOP.field(np.array([[r, 0.0, z]]))[0, 0]) / br - 1) < 1e-14


def exact_gradient(r, z):
    """dB_i/dx_j of the unit loop at (r, 0, z), r > 0, off the wire: differences of 60 digits of the exact field."""
    with mp.workdps(60):
        r, z = mp.mpf(r), mp.mpf(z)
        h = mp.mpf("1e-20") * min(1, r, mp.hypot(r - 1, z))
        by_r, by_z = (
            [(b - a) / (2 * h) for a, b in zip(exact(r - x, z - y)[:2], exact(r + x, z + y)[:2])] for x, y in ((h, 0), (0, h))
        )
        rows = [by_r[0], 0, by_z[0]], [0, exact(r, z)[0] / r, 0], [by_r[1], 0, by_z[1]]
        return np.array([[float(x) for x in row] for row in rows])


def test_field_gradient_at_hard_points():
    points = [(r, z) for r, z in HARD_POINTS if r > 1e-9 and (r, z) != (1.0, 1e-15)]
    slope = jax.vmap(jax.jacfwd(lambda p: UNIT_LOOP.field(p[None])[0]))(jnp.array([[r, 0.0, z] for r, z in points]))
    for found, point in zip(np.asarray(slope), points):
        expected = exact_gradient(*point)
        np.testing.assert_allclose(found, expected, rtol=0, atol=3e-15 * np.abs(expected).max())


def test_on_the_wire_value_and_gradient_are_zero():
    point = jnp.array([[0.6, 0.8, 0.0]])
    for of in (UNIT_LOOP.field, UNIT_LOOP.potential):
        assert np.all(of(point) == 0)
        assert np.all(jax.jacfwd(of)(point) == 0)
        assert np.all(jax.jacrev(of)(point) == 0)


def test_derivatives_on_the_axis_match_their_closed_forms():
    """B_z = mu0/2 (1+z^2)^-3/2 on the axis; Laplace gives the derivatives across it."""
    z = 0.3
    point = jnp.array([0.0, 0.0, z])
    slope = jax.jacfwd(lambda p: UNIT_LOOP.field(p[None])[0])(point)
    axial = -1.5 * MU_0 * z * (1 + z**2) ** -2.5
    np.testing.assert_allclose(slope, np.diag([-axial / 2, -axial / 2, axial]), rtol=1e-13, atol=1e-20)
    curvature = jax.hessian(lambda p: UNIT_LOOP.field(p[None])[0, 2])(point)
    second = 1.5 * MU_0 * (4 * z**2 - 1) * (1 + z**2) ** -3.5
    np.testing.assert_allclose(curvature, np.diag([-second / 2, -second / 2, second]), rtol=1e-11, atol=1e-18)


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_derivative_by_the_normal_at_plus_and_minus_z(sign):
    points = np.array([[0.3, 0.2, 0.4], [0.0, 0.0, 0.5]])

    def component(tilt):
        return Loops(jnp.zeros((1, 3)), jnp.array([[tilt, 0.3 * tilt, sign]]), jnp.ones(1), jnp.ones(1)).field(points)

    h = 1e-5
    numeric = (component(h) - component(-h)) / (2 * h)
    np.testing.assert_allclose(jax.jacfwd(component)(0.0), numeric, rtol=1e-8, atol=1e-15)


def test_any_pose_is_the_turned_unit_loop():
    from scipy.spatial.transform import Rotation

    turn = Rotation.from_rotvec([0.3, -1.1, 0.7]).as_matrix()
    shift = np.array([0.4, -0.2, 0.9])
    points = np.random.default_rng(0).normal(size=(40, 3))
    posed = Loops(shift[None], 2.5 * turn[:, 2:].T, [1], [1])
    np.testing.assert_allclose(posed.field(points @ turn.T + shift), UNIT_LOOP.field(points) @ turn.T, atol=1e-19, rtol=1e-12)


def test_bad_shapes_are_refused_in_words():
    with pytest.raises(ValueError, match="centre and normal must have shape"):
        Loops([[0, 0, 0]], [[0, 0, 1]], [1, 2], [1])
