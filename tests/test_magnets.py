"""Cuboid magnets against magpylib, closed forms and a published Halbach array."""

import json
from pathlib import Path

import jax
import jax.numpy as jnp
import magpylib
import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from designtools.fields import field_gradient
from designtools.kernels import cuboid
from designtools.sources import Magnets

REFERENCE = json.loads((Path(__file__).parent / "reference" / "magnets_recomputed.json").read_text())
CUBE = Magnets([[0, 0, 0]], [[2, 2, 2]], [[0, 0, 0]], [[0.3, 0.2, 1.0]])


def some_magnets(n=12, seed=0):
    rng = np.random.default_rng(seed)
    return Magnets(rng.normal(size=(n, 3)), 0.1 + rng.random((n, 3)), rng.normal(size=(n, 3)), rng.normal(size=(n, 3)))


def magpylib_field(magnets, points):
    rows = zip(*map(np.asarray, (magnets.centre, magnets.size, magnets.rotation, magnets.polarization)))
    return sum(
        magpylib.magnet.Cuboid(position=c, dimension=s, orientation=Rotation.from_rotvec(r), polarization=p).getB(points)
        for c, s, r, p in rows
    )


def test_field_inside_and_outside_is_magpylibs():
    magnets = some_magnets()
    points = 1.5 * np.random.default_rng(1).normal(size=(300, 3))
    expected = magpylib_field(magnets, points)
    np.testing.assert_allclose(magnets.field(points), expected, atol=1e-14 * np.abs(expected).max(), rtol=0)


def test_centre_of_a_cube_has_two_thirds_of_the_polarization():
    np.testing.assert_allclose(CUBE.field(np.zeros((1, 3)))[0], [0.2, 0.4 / 3, 2 / 3], rtol=1e-14)


def test_curl_of_the_potential_is_the_field_inside_too():
    points = np.array([[0.2, -0.3, 0.1], [1.5, 0.4, 0.2], [0.9, 0.9, -0.9], [100.0, 20.0, 50.0]])
    slope = jax.vmap(jax.jacfwd(lambda p: CUBE.potential(p[None])[0]))(points)
    curl = np.stack([slope[:, 2, 1] - slope[:, 1, 2], slope[:, 0, 2] - slope[:, 2, 0], slope[:, 1, 0] - slope[:, 0, 1]], -1)
    field = CUBE.field(points)
    np.testing.assert_allclose(curl, field, atol=0, rtol=3e-11)


@pytest.mark.parametrize("distance", [3, 30, 69, 100, 140, 1000])
@pytest.mark.parametrize(
    "size, limit", [((2, 2, 2), 2e-13), ((2, 2, 10), 1e-12), ((2, 10, 10), 1e-12), ((0.1, 10, 10), 1e-11), ((10, 0.1, 0.1), 1e-11)]
)
def test_far_field_keeps_its_digits(distance, size, limit):
    """Against 14 x 14 x 14 Gauss dipoles; plates and rods too."""
    half, polarization = np.array(size) / 2, np.array([0.3, 0.2, 1.0])
    point = distance * half.max() * np.array([0.3, 0.5, 0.8])
    t, w = np.polynomial.legendre.leggauss(14)
    nodes = np.stack(np.meshgrid(t, t, t, indexing="ij"), -1).reshape(-1, 3) * half
    weight = np.einsum("i,j,k->ijk", w, w, w).reshape(-1, 1) * half.prod() / (4 * np.pi)
    d = point - nodes
    r = np.linalg.norm(d, axis=1, keepdims=True)
    field = np.sum(weight * (3 * d * (d @ polarization)[:, None] / r**5 - polarization / r**3), axis=0)
    potential = np.sum(weight * np.cross(polarization, d) / r**3, axis=0)
    magnet = Magnets([[0, 0, 0]], [size], [[0, 0, 0]], [polarization])
    assert np.abs(magnet.field(point[None])[0] - field).max() < limit * np.abs(field).max()
    assert np.abs(magnet.potential(point[None])[0] - potential).max() < limit * np.abs(potential).max()


@pytest.mark.parametrize("distance, works", [(11, True), (40, True), (7, False)])
def test_far_form_errs_by_no_more_than_it_may(distance, works):
    """Multipoles beyond 7.5 half-diagonals at a tolerance of 1e-6; the closed form nearer."""
    points = distance * np.sqrt(3) * np.array([[1.0, 0, 0], [0.6, 0.8, 0.0], [1, 1, 1] / np.sqrt(3)])
    pose = np.zeros((1, 3)), np.ones((1, 3)), np.eye(3)[None], np.array([[0.3, 0.2, 1.0]])
    exact, loose = (np.asarray(cuboid.field(points, *pose, tolerance=t)) for t in (1e-12, 1e-6))
    error = (np.linalg.norm(loose - exact, axis=1) / np.linalg.norm(exact, axis=1)).max()
    assert error < 1e-6 and (error > 0) == works


@pytest.mark.parametrize("point", [(1, 0, 0), (-1, 0.3, 0.2), (1, 1, 0), (1, 1, 1), (1, 1, 2), (3, 1, 1)])
def test_faces_edges_and_corners_are_finite(point):
    point = jnp.array([point], float)
    for of in (CUBE.field, CUBE.potential):
        assert np.isfinite(of(point)).all()
        assert np.isfinite(jax.jacfwd(of)(point)).all()


def test_face_value_is_one_of_its_limits():
    for x in (1.0, -1.0):
        points = np.array([[x, 0.2, 0.3], [0.999999999 * x, 0.2, 0.3], [1.000000001 * x, 0.2, 0.3]])
        on, inside, outside = np.asarray(CUBE.field(points))
        assert min(np.abs(on - inside).max(), np.abs(on - outside).max()) < 1e-8
        assert on[0] == pytest.approx(inside[0], abs=1e-8)
        assert on[0] == pytest.approx(outside[0], abs=1e-8)


def test_polarization_turns_with_the_magnet():
    turn = [0.0, 0.0, np.pi / 2]
    turned = Magnets([[0, 0, 0]], [[1, 1, 1]], [turn], [[1.0, 0, 0]])
    np.testing.assert_allclose(turned.polarization_in_space(), [[0, 1, 0]], atol=1e-15)
    point = np.array([[0, 2.0, 0]])
    np.testing.assert_allclose(turned.field(point), magpylib_field(turned, point)[None], atol=1e-15)


def test_derivatives_by_pose_and_size():
    magnets = some_magnets(2)
    points = np.array([[0.4, 1.3, -0.2], [-1.0, 0.2, 0.3]])

    def total(leaves):
        return jnp.sum(jnp.arange(6.0).reshape(2, 3) * Magnets(*leaves).field(points))

    leaves = [np.asarray(leaf) for leaf in (magnets.centre, magnets.size, magnets.rotation, magnets.polarization)]
    gradient = jax.grad(total)(leaves)
    step = [np.random.default_rng(k).normal(size=leaf.shape) for k, leaf in enumerate(leaves)]
    for i in range(4):
        moved = [[leaf + (k == i) * s * 1e-6 * d for k, (leaf, d) in enumerate(zip(leaves, step))] for s in (1, -1)]
        numeric = (total(moved[0]) - total(moved[1])) / 2e-6
        assert float(np.sum(gradient[i] * step[i])) == pytest.approx(float(numeric), rel=1e-6)


def test_rotation_is_smooth_at_zero():
    def component(rotation):
        return Magnets(jnp.zeros((1, 3)), jnp.ones((1, 3)), rotation, jnp.array([[1.0, 0, 0]])).field(np.array([[2.0, 0.3, 0.1]]))

    slope = jax.jacfwd(component)(jnp.zeros((1, 3)))
    step = jnp.zeros((1, 3)).at[0, 2].set(1e-6)
    np.testing.assert_allclose(slope[0, :, 0, 2], (component(step) - component(-step))[0] / 2e-6, rtol=1e-7, atol=1e-10)


def test_field_gradient_is_traceless_and_symmetric_outside():
    slope = field_gradient(CUBE, np.array([[2.0, 0.3, 1.4]]))[0]
    np.testing.assert_allclose(slope, slope.T, rtol=1e-11, atol=1e-13)
    assert float(jnp.trace(slope)) == pytest.approx(0, abs=1e-13)


def test_published_halbach_array():
    """2,674 cubes on 42 rings (JMR 307:106578 as carried by HalbachMRIDesigner): central field."""
    case = REFERENCE["halbach_27cm"]
    rows = [(r, 2 * np.pi * k / n, z) for r, n, z in case["rings_R_n_z"] for k in range(int(n))]
    r, phi, z = np.array(rows).T
    assert len(r) == case["n_magnets"]
    zero = 0 * phi
    array = Magnets(
        np.column_stack([r * np.cos(phi), r * np.sin(phi), z]),
        np.full((len(r), 3), case["cube_m"]),
        np.column_stack([zero, zero, 2 * phi]),
        np.tile([case["Br_T"], 0, 0], (len(r), 1)),
    )
    assert np.linalg.norm(array.field(np.zeros((1, 3)))) == pytest.approx(case["B0_cube_T"], rel=1e-6)


def test_finite_ideal_halbach_cylinder():
    """B0 = Br [G(ri) - G(ro)], G(r) = z0/(2 sqrt(r^2+z0^2)) + ln((z0+sqrt(r^2+z0^2))/r): dipole-sized cubes converge to it."""
    ri, ro, z0, br = 0.1, 0.15, 0.1, 1.0

    def g(r):
        return z0 / (2 * np.hypot(r, z0)) + np.log((z0 + np.hypot(r, z0)) / r)

    t, w = np.polynomial.legendre.leggauss(14)
    radius, height = (ri + ro) / 2 + (ro - ri) / 2 * t, z0 * t
    phi = 2 * np.pi * np.arange(16) / 16
    r, z, p = (a.ravel() for a in np.meshgrid(radius, height, phi, indexing="ij"))
    volume = np.einsum("i,j,k->ijk", w * (ro - ri) / 2, w * z0, np.full(16, 2 * np.pi / 16)).ravel() * r
    edge = 1e-4
    zero = 0 * p
    cubes = Magnets(
        np.column_stack([r * np.cos(p), r * np.sin(p), z]),
        np.full((len(r), 3), edge),
        np.column_stack([zero, zero, 2 * p]),
        np.column_stack([br * volume / edge**3, zero, zero]),
    )
    field = cubes.field(np.zeros((1, 3)))[0]
    np.testing.assert_allclose(np.abs(field), [br * (g(ri) - g(ro)), 0, 0], rtol=1e-6, atol=1e-9)


def test_bad_shapes_are_refused_in_words():
    with pytest.raises(ValueError, match="must all have shape"):
        Magnets([[0, 0, 0]], [1, 1, 1], [[0, 0, 0]], [[0, 0, 1]])
