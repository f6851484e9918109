"""How the field of turns changes with the stream function that they were cut from.

A turn on the level line psi = c moves, when psi gains dpsi, by -dpsi grad(psi)/|grad(psi)|^2.  A wire dl that moves by
d sweeps a ribbon of area d x dl, whose current is that of a dipole I d x dl: here I dpsi |dl|/|grad(psi)| along the
normal.  Exact to first order, for few turns as for many, where a sheet of current is a good guess for many only.
"""

from __future__ import annotations

import numpy as np
from scipy import sparse
from scipy.spatial import cKDTree

from designtools.units import MU_0
from designtools.windings.mesh_contour import slopes

NEIGHBOURS = 12  # faces by distance of their middle among which the one under a point is sought
FLATTEST = 0.1  # of the median slope: where psi is flatter (at its tops) turns would run away
POINTS = 64  # observers at a time


def turn_sensitivity(mesh, stream, tracks, current: float, points, basis) -> np.ndarray:
    """dB/dx (P,3,K) T/A at points (P,3) m of the turns `tracks`, x (K,) being the coefficients of psi in `basis` (V,K).

    stream (V,) A is psi itself at the vertices of `mesh`, current (A) that of every turn.
    """
    start = np.concatenate([t.points[:-1] for t in tracks])
    end = np.concatenate([t.points[1:] for t in tracks])
    normal = np.concatenate([t.normals[:-1] + t.normals[1:] for t in tracks]) / 2
    middle, length = (start + end) / 2, np.linalg.norm(end - start, axis=1)
    share, _ = on_faces(mesh, middle)
    slope = np.linalg.norm(share @ slopes(mesh, np.asarray(stream)), axis=1)
    strength = current * length / np.maximum(slope, FLATTEST * np.median(slope))
    moment = sparse.diags_array(strength) @ share @ sparse.csr_array(basis)
    parts = [_dipole_fields(points[k : k + POINTS], middle, normal) for k in range(0, len(points), POINTS)]
    return np.concatenate([(p.reshape(-1, len(middle)) @ moment).reshape(len(p), 3, -1) for p in parts])


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


def _dipole_fields(points, places, directions) -> np.ndarray:
    """B (P,3,S) T at points (P,3) m of unit dipoles (A m2) along directions (S,3) at places (S,3) m."""
    away = np.moveaxis(points[:, None] - places[None], 2, 1)  # (P,3,S)
    distance = np.linalg.norm(away, axis=1)
    along = np.einsum("pcs,sc->ps", away, directions)
    return MU_0 / (4 * np.pi) * (3 * along[:, None] * away / distance[:, None] ** 5 - directions.T[None] / distance[:, None] ** 3)
