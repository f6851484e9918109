"""Matrices and operators on the stream function of a sheet: field per ampere, inductance."""

from __future__ import annotations

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from scipy import sparse
from scipy.sparse.linalg import LinearOperator

from designtools.kernels import face_inductance, low_rank, segment, triangle
from designtools.kernels.elementary import arctan2, log1p
from designtools.sources.sheet import current_operator, shared_edges
from designtools.units import MU_0

TILE = 64  # points at once
_PAIRS = 1 << 16  # near pairs at once
_SAFE = 0.05  # below this share of its terms a difference is left to the careful kernel


def field_operator(vertices, faces, points) -> np.ndarray:
    """Matrix (P,3,V) T/A: the field at points (P,3) m is its product with the stream function (V,) A.

    B = mu0/4pi [sum_f (K x n)_f W_f + sum_e s_e g_e] as in `Sheet.field`: one solid angle W per face, one logarithm g
    per edge, then one sparse product for a tile of points, so nothing of size P x F is kept.  Distances to
    the vertices are shared by their faces and edges.  Error: a few roundings of the largest term of each entry, hence
    1e-13 of the entry up to 20 mesh sizes away; it grows with the square of that distance.  In the sheet: the mean
    of both sides.
    """
    vertices, faces, points = np.asarray(vertices, float), np.asarray(faces), np.asarray(points, float)
    operator, edges = _assembly(vertices, faces)
    tile_values = _tile_values(vertices, faces, edges)
    out = np.empty((len(points), 3, len(vertices)))
    for first in range(0, len(points), TILE):
        tile = points[first : first + TILE]
        values = tile_values(np.pad(tile, [(0, TILE - len(tile)), (0, 0)], mode="edge"))
        out[first : first + TILE] = (operator @ values).T[: len(tile)].reshape(len(tile), 3, -1)
    return out


def _tile_values(vertices, faces, edges):
    """Function: points (TILE,3) -> solid angles of all faces, then logarithms of all edges (F+E, TILE)."""
    corners, ends = vertices[faces], vertices[edges]
    side = np.sum((corners - np.roll(corners, -1, axis=1)) ** 2, axis=2)
    normal = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    length = np.linalg.norm(ends[:, 1] - ends[:, 0], axis=1)
    index = (array.astype(np.int32).T for array in (faces, edges))
    known = [jnp.asarray(array) for array in (vertices, *index, corners[:, 0], side, normal, length)]

    def values(points):
        table = np.asarray(_fast_values(points.T, *known))
        if not np.isnan(table.sum()):
            return table
        angles, logs = np.split(table.copy(), [len(faces)])
        _settle(triangle.solid_angle, angles, points, corners)
        _settle(segment.potential_factor, logs, points, ends)
        return np.concatenate([angles, logs])

    return values


def _settle(kernel, table, points, corners):
    """Fills in the NaN of `table` (S,P), where the fast form is unsafe, by the kernel of those pairs alone."""
    source, point = np.nonzero(np.isnan(table))
    count = len(source)
    if count:
        short = max(64, 1 << (count - 1).bit_length()) - count  # few sizes are compiled
        source, point = (np.pad(index, (0, short), mode="edge") for index in (source, point))
        pairs = _kernel_of_pairs(kernel, points[point].T, corners[source].transpose(1, 2, 0))
        table[source, point] = np.asarray(pairs)


@partial(jax.jit, static_argnums=0)
def _kernel_of_pairs(kernel, points, corners):
    return kernel(tuple(points), *map(tuple, corners))[0]


@jax.jit
def _fast_values(xyz, vertices, faces, edges, corner, side, normal, length):
    """Solid angles, then edge logarithms (F+E,P), from distances to the vertices; NaN where that is unsafe."""
    distance = jnp.sqrt(sum((xyz[c] - vertices[:, c, None]) ** 2 for c in range(3)))
    triple = sum((xyz[c] - corner[:, c, None]) * normal[:, c, None] for c in range(3))
    angles = _fast_angles(*(distance[i] for i in faces), *side.T[..., None], triple)
    logs = _fast_logs(distance[edges[0]] + distance[edges[1]], length[:, None])
    return jnp.concatenate([angles, logs])


def _fast_angles(a, b, c, ab, bc, ca, triple):
    """`triangle.solid_angle` from the distances of three corners, the squared sides and the triple product."""
    product = a * b * c
    dot = lambda p, q, side: (p * p + q * q - side) / 2
    scale = product + dot(a, b, ab) * c + dot(b, c, bc) * a + dot(c, a, ca) * b
    safe = scale > _SAFE * product
    return jnp.where(safe, 2 * arctan2(triple, jnp.where(safe, scale, 1.0)), jnp.nan)


def _fast_logs(total, length):
    """`segment.potential_factor` from the sum of the distances of both ends; beside the edge it cancels."""
    excess = total - length
    safe = excess > _SAFE * length
    return jnp.where(safe, log1p(2 * length / jnp.where(safe, excess, 1.0)) / length, jnp.nan)


def inductance_matrix(vertices, faces, tolerance: float = face_inductance.TOLERANCE) -> np.ndarray:
    """L (V,V) H of a sheet's stream function: its energy is psi' L psi / 2.  Symmetric; rounding of its integrals: `tolerance`.

    At the default tolerance entries err by 2e-5 of the largest.  Several surfaces: concatenate their meshes.
    """
    vertices, faces = np.asarray(vertices, float), np.asarray(faces)
    flow = current_operator(vertices, faces)
    matrix = MU_0 / (4 * np.pi) * face_inductance.coupling(vertices[faces], None, flow, flow, tolerance)
    return (matrix + matrix.T) / 2


class InductanceOperator(LinearOperator):
    """L (V,V) H of a sheet's stream function as a product only: scipy LinearOperator, symmetric, of low rank off its diagonal.

    error: bound on the spectral norm of its difference from `inductance_matrix`, relative to the largest inductance of a
    vertex, which is less than the norm of L.  For ten thousand vertices and more; see docs/physics-fields.md.
    """

    def __init__(self, vertices, faces, error: float = 1e-4, tolerance: float = face_inductance.TOLERANCE):
        vertices, faces = np.asarray(vertices, float), np.asarray(faces)
        super().__init__(np.float64, (len(vertices),) * 2)
        corners = vertices[faces]
        shape = np.asarray(face_inductance.moments(corners))
        self.flow = sparse.csr_array(current_operator(vertices, faces))
        near = face_inductance.near_values(corners, corners, tolerance)
        allowed = error * self._largest(near) / _squared_norm(self.flow)
        self.near = _beyond_far(near, shape)
        self.far = low_rank.compress(face_inductance.far, shape, corners.mean(axis=1), allowed)

    def nbytes(self) -> int:
        """Memory of the operator."""
        return self.far.nbytes() + sum(m.data.nbytes + m.indices.nbytes for m in (self.near, self.flow))

    def _largest(self, near):
        """Largest inductance of a vertex over mu0/4pi, from the pairs of faces that touch."""
        axes = [self.flow[axis::3] for axis in range(3)]
        return sum((near @ axis).multiply(axis).sum(axis=0) for axis in axes).max()

    def _matmat(self, x):
        current = (self.flow @ x).reshape(self.near.shape[0], -1)  # (F, component and column)
        linked = self.far.matvec(current) + self.near @ current
        return MU_0 / (4 * np.pi) * (self.flow.T @ linked.reshape(self.flow.shape[0], -1))

    def _matvec(self, x):
        return self._matmat(np.reshape(x, (-1, 1)))[:, 0]

    def _adjoint(self):
        return self


def _squared_norm(flow):
    """Largest eigenvalue of flow' flow, from above by a hundredth: power iteration."""
    x = np.random.default_rng(0).normal(size=flow.shape[1])
    for _ in range(60):
        x = flow.T @ (flow @ (x / np.linalg.norm(x)))
    return 1.01 * np.linalg.norm(x)


def _beyond_far(near, shape):
    """What the exact integrals of near pairs have beyond the far form, sparse (F,F)."""
    found = sparse.coo_array(near)
    row, column, extra = found.row, found.col, found.data.copy()
    for first in range(0, len(row), _PAIRS):
        here = slice(first, first + _PAIRS)
        short = _PAIRS - len(row[here])
        i, j = (np.pad(index[here], (0, short), mode="edge") for index in (row, column))
        extra[here] -= np.asarray(face_inductance.far(shape[:, i], shape[:, j]))[: _PAIRS - short]
    return sparse.csr_array((extra, (row, column)), shape=near.shape)


def _assembly(vertices, faces):
    """Sparse (3V, F+E) that takes solid angles and edge logarithms to T/A, rows (component, vertex); the edges (E,2).

    psi of a corner drives K = opposite / 2 area on its face, which weighs K x n there and -n (K.l) on each side.
    """
    corners, count = vertices[faces], len(faces)
    opposite = np.roll(corners, 1, axis=1) - np.roll(corners, -1, axis=1)
    normal = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    twice_area = np.linalg.norm(normal, axis=1)[:, None]
    normal, current = normal / twice_area, opposite / twice_area[:, None]
    first, edge_of = shared_edges(faces)
    on_face = np.cross(current, normal[:, None, :])  # (F, corner, component)
    flow = np.einsum("fic,fsc->fis", current, np.roll(corners, -1, axis=1) - corners)
    on_side = -flow[..., None] * normal[:, None, None, :]  # (F, corner, side, component)
    values = MU_0 / (4 * np.pi) * np.concatenate([on_face[:, :, None], on_side], axis=2)
    columns = np.column_stack([np.arange(count), count + edge_of.reshape(-1, 3)])[:, None, :, None]
    rows = faces[:, :, None, None] + len(vertices) * np.arange(3)
    places = np.broadcast_to(rows, values.shape).ravel(), np.broadcast_to(columns, values.shape).ravel()
    edges = np.stack([faces, np.roll(faces, -1, axis=1)], axis=-1).reshape(-1, 2)[first]
    matrix = sparse.coo_array((values.ravel(), places), shape=(3 * len(vertices), count + len(edges)))
    return matrix.tocsr(), edges
