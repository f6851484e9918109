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


def distance_sensitivity(mesh, stream, tracks, basis, near: float) -> tuple[np.ndarray, np.ndarray]:
    """Distances (N,) m between neighbouring tracks where below `near` (m), and their slope (N,K) m/A with the coefficients of psi.

    Each point of a track moves by -dpsi grad(psi)/|grad(psi)|^2; taken at points about `near` apart, from the nearest of
    others a quarter as far apart.
    """
    points, track = _sampled(tracks, near / 4)
    looked = np.arange(0, len(points), 4)
    other = np.full(len(looked), -1)
    for k in range(len(tracks)):
        rest, own = np.flatnonzero(track != k), track[looked] == k
        if len(rest):
            distance, index = cKDTree(points[rest]).query(points[looked[own]], distance_upper_bound=near)
            other[own] = np.where(np.isfinite(distance), rest[np.minimum(index, len(rest) - 1)], -1)
    one, two = points[looked[other >= 0]], points[other[other >= 0]]
    distance = np.linalg.norm(one - two, axis=1)
    if not len(distance):
        return distance, np.zeros((0, basis.shape[1]))
    along = (one - two) / distance[:, None]
    return distance, (_motion(mesh, stream, basis, one, along) - _motion(mesh, stream, basis, two, along)).toarray()


def _motion(mesh, stream, basis, points, along):
    """Way (P,K) m/A along unit vectors (P,3) of level lines at points (P,3) m, sparse."""
    share, _ = on_faces(mesh, points)
    slope = share @ slopes(mesh, np.asarray(stream))
    size = np.linalg.norm(slope, axis=1)
    way = -np.sum(slope * along, axis=1) / np.maximum(size, FLATTEST * np.median(size)) ** 2
    return sparse.diags_array(way) @ (share @ sparse.csr_array(basis))


def _sampled(tracks, step: float) -> tuple[np.ndarray, np.ndarray]:
    """Points (P,3) m on the tracks at most about `step` apart, and the number of the track (P,) of each."""
    found = []
    for track in tracks:
        pieces = np.linalg.norm(np.diff(track.points, axis=0), axis=1)
        run = np.concatenate([[0.0], np.cumsum(pieces)])
        at = np.linspace(0, run[-1], max(4, int(np.ceil(run[-1] / step))), endpoint=False)
        found.append(np.column_stack([np.interp(at, run, track.points[:, c]) for c in range(3)]))
    return np.concatenate(found), np.repeat(np.arange(len(found)), [len(f) for f in found])


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
