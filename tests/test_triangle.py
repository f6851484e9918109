"""Flat triangles of uniform surface current: closed forms against quadrature, magpylib and limits."""

import jax
import jax.numpy as jnp
import magpylib
import numpy as np
import pytest
from test_segment import curl, jacobian

from designtools.kernels import triangle

CORNERS = np.array([[[0.0, 0, 0], [1, 0, 0.1], [0.2, 0.9, 0.3]]])
A, B, C = CORNERS[0]
NORMAL = np.cross(B - A, C - A) / np.linalg.norm(np.cross(B - A, C - A))
CENTRE = CORNERS[0].mean(axis=0)
CURRENT = np.cross([[0.3, -0.2, 0.5]], NORMAL)


def quadrature(function, order=80):
    """Integral over the triangle of function(r' (n,3)) -> (n,...): Gauss-Legendre product on the collapsed square."""
    node, weight = np.polynomial.legendre.leggauss(order)
    s, t = (x.ravel()[:, None] for x in np.meshgrid((node + 1) / 2, (node + 1) / 2))
    w = np.outer(weight, weight).ravel() / 4 * s[:, 0] * np.linalg.norm(np.cross(B - A, C - A))
    return w @ function(A + s * (B - A) + s * t * (C - B))


@pytest.mark.parametrize("xyz", [(0.3, 0.2, 0.5), (2.0, 1.0, -1.0), (0.5, 0.3, 0.35)])
def test_against_quadrature(xyz):
    def integrand(r):
        offset = np.array(xyz) - r
        distance = np.linalg.norm(offset, axis=1, keepdims=True)
        return np.concatenate([1 / distance, offset / distance**3], axis=1)

    inverse, *force = quadrature(integrand)
    point = np.array([xyz])
    np.testing.assert_allclose(
        triangle.potential(point, CORNERS, CURRENT)[0], 1e-7 * CURRENT[0] * inverse, rtol=1e-12
    )
    expected = 1e-7 * np.cross(CURRENT[0], force)
    found = triangle.field(point, CORNERS, CURRENT)[0]
    np.testing.assert_allclose(found, expected, atol=1e-12 * np.abs(expected).max())


def test_against_magpylib():
    xyz = np.random.default_rng(0).normal(size=(50, 3))
    twin = magpylib.current.TriangleSheet(vertices=CORNERS[0], faces=[[0, 1, 2]], current_densities=CURRENT)
    np.testing.assert_allclose(triangle.field(xyz, CORNERS, CURRENT), twin.getB(xyz), rtol=1e-9, atol=1e-15)


def test_solid_angle_of_the_octant():
    corners = tuple(np.eye(3)[i][:, None, None] for i in range(3))
    seen = triangle.solid_angle(tuple(np.zeros((3, 1, 1))), *corners)[0]  # the origin is below this face
    np.testing.assert_allclose(seen, -np.pi / 2, rtol=1e-15)


def test_plane_is_the_mean_of_both_sides():
    h = 1e-6
    sides = triangle.field(np.array([CENTRE + h * NORMAL, CENTRE - h * NORMAL]), CORNERS, CURRENT)
    middle = triangle.field(CENTRE[None], CORNERS, CURRENT)[0]
    np.testing.assert_allclose(sides.mean(axis=0), middle, atol=1e-5 * np.abs(middle).max())
    jump = sides[0] - sides[1]
    np.testing.assert_allclose(
        jump, 4e-7 * np.pi * np.cross(CURRENT[0], NORMAL), atol=1e-5 * np.abs(jump).max()
    )


SINGULAR = np.array(
    [A, B, C, (A + B) / 2, (B + C) / 2, (C + A) / 2, CENTRE, 2 * A - B, A + B - C, 3 * CENTRE - 2 * A]
)


def test_finite_in_value_and_slope_on_plane_edges_and_corners():
    for function in (triangle.field, triangle.potential):
        assert np.isfinite(function(SINGULAR, CORNERS, CURRENT)).all()
        slopes = jax.grad(lambda p, c, f=function: f(p, c, CURRENT).sum(), argnums=(0, 1))(
            jnp.asarray(SINGULAR), jnp.asarray(CORNERS)
        )
        assert all(np.isfinite(leaf).all() for leaf in slopes)


@pytest.mark.parametrize("beside", [CENTRE, 2 * A - B + 0.01 * (C - A)])
def test_slope_in_the_plane_is_that_beside_it(beside):
    found = jacobian(lambda p: triangle.field(p, CORNERS, CURRENT), [beside])[0]
    near = jacobian(lambda p: triangle.field(p, CORNERS, CURRENT), [beside + 1e-7 * NORMAL])[0]
    np.testing.assert_allclose(found, near, atol=1e-5 * np.abs(near).max())


def test_field_is_the_curl_of_the_potential():
    xyz = np.random.default_rng(1).normal(size=(20, 3))
    rotation = curl(jacobian(lambda p: triangle.potential(p, CORNERS, CURRENT), xyz))
    np.testing.assert_allclose(rotation, triangle.field(xyz, CORNERS, CURRENT), rtol=1e-10, atol=1e-19)


def test_far_away_a_point():
    area = np.linalg.norm(np.cross(B - A, C - A)) / 2
    direction = np.array([0.6, 0.64, 0.48])
    errors = []
    for distance in (100.0, 1000.0):
        offset = distance * direction
        expected = 1e-7 * area * np.cross(CURRENT[0], offset) / distance**3
        found = triangle.field((CENTRE + offset)[None], CORNERS, CURRENT)[0]
        errors.append(np.abs(found - expected).max() / np.abs(expected).max())
    assert errors[0] < 1e-4 and errors[1] < 1.1e-2 * errors[0]


def test_two_halves_make_the_whole():
    middle = (B + C) / 2
    halves = np.array([[A, B, middle], [A, middle, C]])
    xyz = np.random.default_rng(2).normal(size=(20, 3))
    for function in (triangle.field, triangle.potential):
        whole = function(xyz, CORNERS, CURRENT)
        np.testing.assert_allclose(
            function(xyz, halves, CURRENT.repeat(2, axis=0)), whole, rtol=1e-11, atol=1e-22
        )
