"""The cylinder as a surface: parameters there and back, normals, flat pattern, and a mesh that is what it says."""

import numpy as np
import pytest

from designtools.formers.cylinder import Cylinder

TILTED = np.array([[0.0, 0.6, 0.8], [1.0, 0.0, 0.0], [0.0, 0.8, -0.6]])
UPRIGHT = Cylinder(0.2, 0.6)
ASKEW = Cylinder(0.2, 0.6, TILTED, np.array([0.05, -0.1, 0.2]))
BOTH = pytest.mark.parametrize("former", [UPRIGHT, ASKEW], ids=["upright", "askew"])


def some_uv(n=50):
    rng = np.random.default_rng(0)
    return np.stack([rng.uniform(0, 2 * np.pi, n), rng.uniform(-0.3, 0.3, n)], axis=1)


@BOTH
def test_points_and_parameters_there_and_back(former):
    uv = some_uv()
    for offset in (0.0, 0.01, -0.02):
        np.testing.assert_allclose(former.inverse(former.at(uv, offset)), uv, atol=1e-14)
    turned = uv + [2 * np.pi, 0]
    np.testing.assert_allclose(former.at(turned), former.at(uv), atol=1e-15)


@BOTH
def test_points_lie_on_the_cylinder(former):
    local = (former.at(some_uv()) - former.centre) @ former.frame.T
    np.testing.assert_allclose(np.hypot(local[:, 0], local[:, 1]), 0.2, rtol=1e-14)
    (low, high), (bottom, top) = former.span
    assert (low, high) == (0.0, 2 * np.pi) and (bottom, top) == (-0.3, 0.3)


@BOTH
def test_normals_are_unit_outward_and_across_the_surface(former):
    uv, step = some_uv(), 1e-6
    normal = former.normal(uv)
    np.testing.assert_allclose(np.linalg.norm(normal, axis=1), 1, rtol=1e-14)
    for direction in ([step, 0], [0, step]):
        tangent = (former.at(uv + direction) - former.at(uv - np.array(direction))) / (2 * step)
        assert np.abs((tangent * normal).sum(axis=1)).max() < 1e-9
    np.testing.assert_allclose(former.at(uv, 0.03) - former.at(uv), 0.03 * normal, atol=1e-15)


def test_the_flat_pattern_is_true_to_length():
    uv, step = some_uv(), 1e-7
    for direction in ([step, 0], [0, step], [step, step]):
        flat = np.linalg.norm(UPRIGHT.unroll(uv + direction) - UPRIGHT.unroll(uv), axis=1)
        solid = np.linalg.norm(UPRIGHT.at(uv + direction) - UPRIGHT.at(uv), axis=1)
        np.testing.assert_allclose(flat, solid, rtol=1e-6)


@BOTH
@pytest.mark.parametrize("resolution", [0.09, 0.05, 0.021])
def test_the_mesh_is_an_open_tube(former, resolution):
    mesh = former.mesh(resolution)
    sides = np.sort(np.concatenate([mesh.faces[:, [0, 1]], mesh.faces[:, [1, 2]], mesh.faces[:, [2, 0]]]), axis=1)
    edges, count = np.unique(sides, axis=0, return_counts=True)
    assert len(mesh.vertices) - len(edges) + len(mesh.faces) == 0  # Euler characteristic of a tube
    assert len(mesh.boundaries) == 2 and set(count) == {1, 2}
    assert set(edges[count == 1].ravel()) == set(np.concatenate(mesh.boundaries))
    for rim, v in zip(mesh.boundaries, (-0.3, 0.3)):
        np.testing.assert_allclose(mesh.uv[rim, 1], v, atol=1e-15)


@BOTH
def test_faces_look_outward(former):
    mesh = former.mesh(0.05)
    a, b, c = np.moveaxis(mesh.corner, 1, 0)
    normal = np.cross(b - a, c - a)
    outward = former.normal(former.inverse(mesh.corner.mean(axis=1)))
    assert (normal * outward).sum(axis=1).min() > 0.9 * np.linalg.norm(normal, axis=1).max()
    np.testing.assert_allclose(mesh.vertices, former.at(mesh.uv), atol=1e-15)


@pytest.mark.parametrize("resolution", [0.1, 0.05, 0.025])
def test_edges_are_about_the_resolution_and_nearly_equal(resolution):
    corner = UPRIGHT.mesh(resolution).corner
    length = np.linalg.norm(corner - np.roll(corner, 1, axis=1), axis=2)
    assert 0.75 * resolution < length.min() and length.max() < 1.25 * resolution


def test_the_area_converges_with_the_square_of_the_resolution():
    exact = 2 * np.pi * 0.2 * 0.6
    sizes = np.array([0.08, 0.04, 0.02])
    counts = [round(2 * np.pi * 0.2 / s / 4) * 4 for s in sizes]
    errors = np.array([1 - UPRIGHT.mesh(s).area.sum() / exact for s in sizes])
    order = np.log(errors[:-1] / errors[1:]) / np.log(np.array(counts[1:]) / counts[:-1])
    assert (errors > 0).all()
    np.testing.assert_allclose(order, 2, atol=0.15)
