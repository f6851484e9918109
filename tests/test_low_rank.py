"""Blocks of low rank: the bound that is asked is kept, on meshes and points not used to tune anything."""

import numpy as np
import pytest
import trimesh

from designtools.kernels import low_rank
from designtools.sources.sheet_operator import InductanceOperator, inductance_matrix


def ellipsoid():
    mesh = trimesh.creation.icosphere(subdivisions=3, radius=0.2)
    turn = trimesh.transformations.rotation_matrix(0.7, [1, 2, 3])[:3, :3]
    return np.array(mesh.vertices) * [1, 1.3, 2.1] @ turn.T, np.array(mesh.faces)


@pytest.mark.parametrize("error", [1e-3, 1e-6])
def test_inductance_operator_keeps_its_bound(error):
    vertices, faces = ellipsoid()
    dense = inductance_matrix(vertices, faces)
    operator = InductanceOperator(vertices, faces, error)
    found = operator @ np.eye(len(vertices))
    assert np.linalg.norm(found - dense, 2) < error * dense.diagonal().max()
    np.testing.assert_allclose(operator.T @ dense[:, 0], operator @ dense[:, 0])
    assert operator.far.rank() > 4  # something was compressed


@pytest.mark.parametrize("count", [50, 1500])
def test_points_of_any_number(count):
    """1/r between points of unequal weight in a cloud, a single cluster included; two right-hand sides."""
    rng = np.random.default_rng(count)
    points, weight = rng.normal(size=(count, 3)), rng.uniform(size=count)

    def kernel(p, q):
        square = sum((a - b) ** 2 for a, b in zip(p[1:], q[1:]))
        return p[0] * q[0] / (square + 1e-4) ** 0.5

    dense = kernel(*(np.vstack([weight, points.T])[s] for s in (np.s_[:, :, None], np.s_[:, None, :])))
    asked = 1e-6 * np.linalg.norm(dense)
    matrix = low_rank.compress(kernel, np.vstack([weight, points.T]), points, asked)
    x = rng.normal(size=(count, 2))
    assert np.linalg.norm(matrix.matvec(x) - dense @ x) <= asked * np.linalg.norm(x)
    np.testing.assert_allclose(matrix.matvec(x[:, 0]), matrix.matvec(x)[:, 0])
