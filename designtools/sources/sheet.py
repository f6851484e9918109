"""Current sheets on triangle meshes, given by a stream function."""

from __future__ import annotations

import math

import jax
import jax.numpy as jnp
import numpy as np

from designtools._pytree import Leaf, pytree
from designtools.kernels import layer, triangle


@pytree
class Sheet:
    """Surface current K = grad(psi) x n on a triangle mesh.

    vertices (V,3) m; faces (F,3) vertex indices, whose right-hand rule gives the (outward) normal n; stream psi
    (V,) A, linear on each face.  A sphere with psi = psi0 cos(theta) has the field 2 mu0 psi0/(3a) along +z inside.
    The current between two vertices is the difference of their psi; no current leaves a rim of constant psi.
    """

    vertices: Leaf
    faces: Leaf
    stream: Leaf

    def check(self):
        v, f, s = jnp.shape(self.vertices), jnp.shape(self.faces), jnp.shape(self.stream)
        if len(v) != 2 or v[1] != 3 or len(f) != 2 or f[1] != 3 or s != v[:1]:
            raise ValueError(
                f"Sheet: vertices must have shape (V,3), faces (F,3) and stream (V,), got {v}, {f} and {s}"
            )
        if not isinstance(self.faces, jax.core.Tracer):
            object.__setattr__(self, "faces", _indices(self.faces, v[0]))

    def field(self, points):
        """Flux density (P,3) T at points (P,3) m; in the sheet itself the mean of both sides."""
        corners = jnp.asarray(self.vertices)[self.faces]
        return triangle.field(jnp.asarray(points), corners, self.surface_current(), shared_edges(self.faces))

    def potential(self, points):
        """Vector potential (P,3) T·m at points (P,3) m."""
        corners = jnp.asarray(self.vertices)[self.faces]
        return triangle.potential(
            jnp.asarray(points), corners, self.surface_current(), shared_edges(self.faces)
        )

    def surface_current(self):
        """K (F,3) A/m, constant on each face: sum over its corners of psi times the opposite edge / (2 area)."""
        corners = jnp.asarray(self.vertices)[self.faces]
        psi = jnp.asarray(self.stream)[self.faces]
        opposite = jnp.roll(corners, 1, axis=1) - jnp.roll(corners, -1, axis=1)  # v0: from v1 to v2
        return jnp.einsum("fi,fic->fc", psi, opposite) / (2 * face_areas(corners)[:, None])

    def scalar_potential(self, points):
        """Scalar potential (P,) A at points (P,3) m; jumps by psi across the sheet, where it is the mean of both sides.

        The stream function must be zero on every rim: H = -grad holds for current that closes within the sheet.
        """
        if not isinstance(self.stream, jax.core.Tracer):
            _check_rims(self.faces, self.stream)
        corners, stream = jnp.asarray(self.vertices)[self.faces], jnp.asarray(self.stream)[self.faces]
        return layer.sheet_potential(jnp.asarray(points), corners, stream, self.surface_current())

    def extent(self, centre) -> tuple[float, float]:
        """(nearest, farthest) distance in m from centre (3,) to the faces."""
        return faces_extent(np.asarray(self.vertices)[np.asarray(self.faces)], centre)

    def current_elements(self, nodes: int = 64):
        """Points (Q,3) m and K dA (Q,3) A·m: seven points on each face, whatever `nodes`."""
        corners = jnp.asarray(self.vertices)[self.faces]
        barycentric, weight = triangle_rule()
        points = jnp.einsum("qi,fic->qfc", barycentric, corners)
        elements = weight[:, None, None] * face_areas(corners)[:, None] * self.surface_current()
        return points.reshape(-1, 3), elements.reshape(-1, 3)

    def moment(self):
        """Magnetic dipole moment (3,) A·m2: half the integral of r x K."""
        corners = jnp.asarray(self.vertices)[self.faces]
        return jnp.cross(corners.mean(axis=1), self.surface_current()).T @ face_areas(corners) / 2


def face_areas(corners):
    """Areas (F,) m2 of triangles corners (F,3,3) m."""
    return jnp.linalg.norm(jnp.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]), axis=1) / 2


def faces_extent(corners, centre) -> tuple[float, float]:
    """(nearest, farthest) distance in m from centre (3,) to triangles corners (F,3,3) m."""
    from trimesh.triangles import closest_point

    corners = corners - np.asarray(centre)
    nearest = np.linalg.norm(closest_point(corners, np.zeros((len(corners), 3))), axis=1).min()
    return float(nearest), float(np.linalg.norm(corners, axis=2).max())


def triangle_rule():
    """Seven points of degree 5 (Radon 1948): barycentric (7,3) and weights (7,) that sum to 1."""
    root = math.sqrt(15)
    points, weights = [[1 / 3] * 3], [9 / 40]
    for sign in (1, -1):
        a = (6 + sign * root) / 21
        points += [[1 - 2 * a, a, a], [a, 1 - 2 * a, a], [a, a, 1 - 2 * a]]
        weights += [(155 + sign * root) / 1200] * 3
    return np.array(points), np.array(weights)


def shared_edges(faces):
    """One side (E,) of the 3F (face by face, corner i to i+1) for each edge, and the edge (3F,) of each side.

    None for traced faces, whose sides then stay apart: same sums, twice the logarithms.
    """
    if isinstance(faces, jax.core.Tracer):
        return None
    faces = np.asarray(faces, dtype=np.int64)
    sides = np.sort(np.stack([faces, np.roll(faces, -1, axis=1)], axis=-1).reshape(-1, 2), axis=1)
    key = sides[:, 0] * (sides.max() + 1) + sides[:, 1]
    _, first, edge_of = np.unique(key, return_index=True, return_inverse=True)
    return first, edge_of.reshape(-1)


def current_operator(vertices, faces):
    """Sparse matrix (3F, V) that maps psi (V,) A to K (F,3) A/m, row-major (face, component)."""
    import scipy.sparse

    vertices, faces = np.asarray(vertices, float), _indices(faces, len(vertices))
    corners = vertices[faces]
    opposite = np.roll(corners, 1, axis=1) - np.roll(corners, -1, axis=1)
    normal = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    values = opposite / np.linalg.norm(normal, axis=1)[:, None, None]  # (F, corner, component)
    rows = np.broadcast_to(3 * np.arange(len(faces))[:, None, None] + np.arange(3), values.shape)
    columns = np.broadcast_to(faces[:, :, None], values.shape)
    shape = (3 * len(faces), len(vertices))
    return scipy.sparse.csr_array((values.ravel(), (rows.ravel(), columns.ravel())), shape=shape)


def _indices(faces, n_vertices: int):
    """Faces as int32, refusing what names no vertex."""
    faces = np.asarray(faces)
    if faces.size == 0 or np.any(faces != np.floor(faces)) or faces.min() < 0 or faces.max() >= n_vertices:
        raise ValueError(
            f"Sheet: faces must be whole numbers from 0 to {n_vertices - 1}, got values from "
            f"{faces.min(initial=0)} to {faces.max(initial=0)}; count vertices from zero"
        )
    return faces.astype(np.int32)


def _check_rims(faces, stream):
    """Refuse a stream function that is not zero on the edges of one face only."""
    faces, stream = np.asarray(faces), np.asarray(stream)
    sides = np.sort(np.stack([faces, np.roll(faces, -1, axis=1)], axis=-1).reshape(-1, 2), axis=1)
    edges, count = np.unique(sides, axis=0, return_counts=True)
    rim = edges[count == 1].reshape(-1)
    worst = np.abs(stream[rim]).max(initial=0.0)
    if worst > 1e-12 * np.abs(stream).max(initial=0.0):
        raise ValueError(
            f"Sheet.scalar_potential: stream must be 0 on every rim of the sheet, got up to {worst:.6g} A; subtract a "
            "constant, or close the mesh over its holes with faces of constant stream"
        )
