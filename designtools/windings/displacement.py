"""What the turns of a coil share with the sheet that they stand for: places on its faces, and the field of what they sweep."""

from __future__ import annotations

import numpy as np
from scipy import sparse
from scipy.spatial import cKDTree

from designtools.units import MU_0

NEIGHBOURS = 12  # faces by distance of their middle among which the one under a point is sought
OBSERVERS = 64  # at a time


def on_faces(mesh, points):
    """Matrix (P,V) that interpolates values at the vertices to points (P,3) m near the mesh, and the face (P,) of each."""
    corner = mesh.corner
    candidates = cKDTree(corner.mean(axis=1)).query(points, k=min(NEIGHBOURS, len(corner)))[1].reshape(len(points), -1)
    inside = _barycentric(corner[candidates], points[:, None])
    best = np.argmax(inside.min(axis=2), axis=1)
    face, row = candidates[np.arange(len(points)), best], np.arange(len(points))
    weight = np.clip(inside[row, best], 0, None)
    weight /= weight.sum(axis=1, keepdims=True)
    entries = (weight.ravel(), (np.repeat(row, 3), mesh.faces[face].ravel()))
    return sparse.csr_array(entries, shape=(len(points), len(mesh.vertices))), face


def _barycentric(corner, points) -> np.ndarray:
    """Barycentric coordinates (...,3) of points (...,3) projected onto triangles (...,3,3)."""
    a, b, c = np.moveaxis(corner, -2, 0)
    normal = np.cross(b - a, c - a)
    area = (normal**2).sum(-1)
    of = lambda p, q: (np.cross(q - p, points - p) * normal).sum(-1) / area
    return np.stack([of(b, c), of(c, a), of(a, b)], axis=-1)


def dipole_fields(points, places, moments) -> np.ndarray:
    """B (P,3,S) T at points (P,3) m of dipoles `moments` (S,3) A m2 at places (S,3) m, each alone."""
    return np.concatenate([_dipoles(points[k : k + OBSERVERS], places, moments) for k in range(0, len(points), OBSERVERS)])


def _dipoles(points, places, moments) -> np.ndarray:
    away = np.moveaxis(points[:, None] - places[None], 2, 1)  # (P,3,S)
    square = np.einsum("pcs,pcs->ps", away, away)
    along = np.einsum("pcs,sc->ps", away, moments)
    cubed = MU_0 / (4 * np.pi) / (square * np.sqrt(square))
    return (3 * along / square * cubed)[:, None] * away - moments.T[None] * cubed[:, None]
