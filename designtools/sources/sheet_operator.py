"""The field of a sheet as a matrix on its stream function: the sensitivity at the price of one field evaluation."""

from __future__ import annotations

from functools import partial

import jax
import numpy as np
from scipy import sparse

from designtools.kernels import segment, triangle
from designtools.kernels.streaming import columns
from designtools.sources.sheet import current_operator, shared_edges
from designtools.units import MU_0

TILE = 64


def field_operator(vertices, faces, points) -> np.ndarray:
    """Matrix (P,3,V) T/A: the field at points (P,3) m is its product with the stream function (V,) A.

    B = mu0/4pi [sum_f (K x n)_f W_f + sum_e s_e g_e] as in `Sheet.field`, with the solid angles W (P,F) and the
    edge logarithms g (P,E) of a tile of points multiplied by sparse operators, so nothing of size P x F is kept.
    """
    vertices, faces, points = np.asarray(vertices, float), np.asarray(faces), np.asarray(points, float)
    on_faces, on_edges, edges = _operators(vertices, faces)
    corners = vertices[faces]
    face_columns = tuple(columns(corners[:, i]) for i in range(3))
    edge_columns = tuple(columns(vertices[edges[:, i]]) for i in range(2))
    out = np.empty((len(points), 3, len(vertices)))
    for first in range(0, len(points), TILE):
        tile = points[first : first + TILE]
        xyz = tuple(np.pad(tile, [(0, TILE - len(tile)), (0, 0)], mode="edge").T[:, None, :])
        angle = np.asarray(_values(triangle.solid_angle, xyz, face_columns)).T[: len(tile)]
        log = np.asarray(_values(segment.potential_factor, xyz, edge_columns)).T[: len(tile)]
        for axis in range(3):
            out[first : first + TILE, axis] = (on_faces[axis].T @ angle.T + on_edges[axis].T @ log.T).T
    return MU_0 / (4 * np.pi) * out


@partial(jax.jit, static_argnums=0)
def _values(kernel, xyz, sources):
    return kernel(xyz, *sources)[0]


def _operators(vertices, faces):
    """Per axis: psi -> K x n of each face, psi -> step of each edge; and the edges (E,2)."""
    corners = vertices[faces]
    normal = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    normal /= np.linalg.norm(normal, axis=1, keepdims=True)
    k = [current_operator(vertices, faces)[axis::3] for axis in range(3)]
    scaled = lambda weight, matrix: sparse.diags_array(weight) @ matrix
    crossed = [scaled(normal[:, (c + 2) % 3], k[(c + 1) % 3]) - scaled(normal[:, (c + 1) % 3], k[(c + 2) % 3]) for c in range(3)]
    first, edge_of = shared_edges(faces)
    edges = np.stack([faces, np.roll(faces, -1, axis=1)], axis=-1).reshape(-1, 2)[first]
    edge_of = edge_of.reshape(-1, 3)
    along = np.roll(corners, -1, axis=1) - corners
    steps = []
    for axis in range(3):
        total = 0
        for side in range(3):
            flow = sum(scaled(along[:, side, c], k[c]) for c in range(3))
            gather = sparse.csr_array((-normal[:, axis], (edge_of[:, side], np.arange(len(faces)))), (len(edges), len(faces)))
            total = total + gather @ flow
        steps.append(sparse.csr_array(total))
    return [sparse.csr_array(m) for m in crossed], steps, edges
