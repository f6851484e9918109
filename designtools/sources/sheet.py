"""Current sheets on triangle meshes, given by a stream function."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np

from designtools._pytree import pytree
from designtools.kernels import triangle


@pytree
class Sheet:
    """Surface current K = grad(psi) x n on a triangle mesh.

    vertices (V,3) m; faces (F,3) vertex indices, whose right-hand rule gives the (outward) normal n; stream psi
    (V,) A, linear on each face.  A sphere with psi = psi0 cos(theta) has the field 2 mu0 psi0/(3a) along +z inside.
    The current between two vertices is the difference of their psi; no current leaves a rim of constant psi.
    """

    vertices: jax.Array
    faces: jax.Array
    stream: jax.Array

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
        twice_area = jnp.linalg.norm(
            jnp.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]), axis=1
        )
        return jnp.einsum("fi,fic->fc", psi, opposite) / twice_area[:, None]


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


def magnetic_moment(sheet: Sheet):
    """Magnetic dipole moment (3,) A·m2: half the integral of r x K."""
    corners = jnp.asarray(sheet.vertices)[sheet.faces]
    area = (
        jnp.linalg.norm(jnp.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]), axis=1) / 2
    )
    return jnp.cross(corners.mean(axis=1), sheet.surface_current()).T @ area / 2


def _indices(faces, n_vertices: int):
    """Faces as int32, refusing what names no vertex."""
    faces = np.asarray(faces)
    if faces.size == 0 or np.any(faces != np.floor(faces)) or faces.min() < 0 or faces.max() >= n_vertices:
        raise ValueError(
            f"Sheet: faces must be whole numbers from 0 to {n_vertices - 1}, got values from "
            f"{faces.min(initial=0)} to {faces.max(initial=0)}; count vertices from zero"
        )
    return faces.astype(np.int32)
