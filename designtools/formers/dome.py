"""Round patches without an axis of seams: the disc and the cap of a sphere (a helmet)."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from designtools.formers.mesh import SurfaceMesh


@dataclass(frozen=True)
class Dome:
    """Points within `reach` m, measured on the surface, of the pole of a sphere of `radius` m, or of a plane's point.

    Parameters (u, v): metres from the pole along and across (azimuthal equidistant); a flat disc where radius is inf.
    `frame` (3,3): rows are the directions of u and v at the pole and the outward normal there; `pole` (3,) m.
    """

    radius: float
    reach: float
    frame: np.ndarray = field(default_factory=lambda: np.eye(3))
    pole: np.ndarray = field(default_factory=lambda: np.zeros(3))

    periodic = (False, False)
    fills_its_span = False  # the corners of the span lie outside

    @property
    def developable(self) -> bool:
        """Whether the flat pattern is true to length."""
        return not np.isfinite(self.radius)

    @property
    def span(self) -> tuple[tuple[float, float], tuple[float, float]]:
        """Range of u and of v: the square that holds the patch."""
        return (-self.reach, self.reach), (-self.reach, self.reach)

    def at(self, uv, offset: float | np.ndarray = 0.0) -> np.ndarray:
        """Point (n,3) m at parameters uv (n,2), lifted by `offset` m along the outward normal."""
        uv = np.asarray(uv, float)
        distance = np.linalg.norm(uv, axis=1)
        if self.developable:
            local = np.column_stack([uv, np.zeros(len(uv))])
        else:
            angle = distance / self.radius
            across = uv * (np.sinc(angle / np.pi))[:, None]  # radius sin(angle) along the direction of uv
            local = np.column_stack([across, self.radius * (np.cos(angle) - 1)])
        return self.pole + local @ self.frame + np.broadcast_to(offset, len(uv))[:, None] * self.normal(uv)

    def normal(self, uv) -> np.ndarray:
        """Outward unit normal (n,3) at uv (n,2)."""
        uv = np.asarray(uv, float)
        if self.developable:
            return np.tile(self.frame[2], (len(uv), 1))
        angle = np.linalg.norm(uv, axis=1) / self.radius
        across = uv / self.radius * (np.sinc(angle / np.pi))[:, None]
        return np.column_stack([across, np.cos(angle)]) @ self.frame

    def inverse(self, points) -> np.ndarray:
        """Parameters (n,2) of points near the surface."""
        local = (np.asarray(points, float) - self.pole) @ self.frame.T
        if self.developable:
            return local[:, :2]
        away = np.linalg.norm(local[:, :2], axis=1)
        angle = np.arctan2(away, local[:, 2] + self.radius)
        return local[:, :2] * (self.radius * angle / np.maximum(away, 1e-300))[:, None]

    def unroll(self, uv) -> np.ndarray:
        """Flat pattern (n,2) m: distances from the pole are true; all are on a disc."""
        return np.array(uv, float)

    def mesh(self, resolution: float) -> SurfaceMesh:
        """A pole and rings of 8 k vertices, k = 1, 2, ...: mirror planes through u and v, and quarter turns, are kept."""
        rings = max(3, round(self.reach / resolution))
        rows = [np.zeros((1, 2))] + [_ring(self.reach * k / rings, 8 * k) for k in range(1, rings + 1)]
        uv = np.concatenate(rows)
        faces = np.concatenate([_between(k) for k in range(1, rings + 1)])
        rim = _first(rings) + np.arange(8 * rings)
        return SurfaceMesh(self.at(uv), faces, uv, (rim,))


def _ring(radius: float, count: int) -> np.ndarray:
    angle = 2 * np.pi * np.arange(count) / count
    return radius * np.stack([np.cos(angle), np.sin(angle)], axis=1)


def _first(k: int) -> int:
    """Index of the first vertex of ring k."""
    return 0 if k == 0 else 1 + 4 * k * (k - 1)


def _between(k: int) -> np.ndarray:
    """Triangles (.,3) between ring k - 1 and ring k, sector by sector; each sector is its own mirror image."""
    inner, outer, n_in, n_out = _first(k - 1), _first(k), max(1, 8 * (k - 1)), 8 * k
    low = lambda s, i: inner + ((k - 1) * s + i) % n_in
    high = lambda s, i: outer + (k * s + i) % n_out
    faces = []
    for s in range(8):
        faces += [(low(s, i), high(s, i), high(s, i + 1)) for i in range(k)]
        faces += [(low(s, i), high(s, i + 1), low(s, i + 1)) for i in range(k - 1)]
    return np.array(faces)
