"""Tube of varying radius about the third axis of a frame: cones, tapered inserts, waisted formers."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from scipy.interpolate import CubicSpline

from designtools.formers.cylinder import tube_mesh
from designtools.formers.mesh import SurfaceMesh

FINE = 400  # places along the profile from which the nearest one is sought
ROUNDS = 8  # of Newton's method from there


@dataclass(frozen=True)
class Revolved:
    """Open tube whose wall passes through the profile points (z, r) (n,2) m, z rising: straight for two, else a spline.

    Parameters u = azimuth (rad, periodic), v = length along the points' chords (m).
    `frame` (3,3): rows are the unit vectors x, y, axis of the tube in the world; `centre` (3,) m.
    """

    profile: np.ndarray
    frame: np.ndarray = field(default_factory=lambda: np.eye(3))
    centre: np.ndarray = field(default_factory=lambda: np.zeros(3))

    periodic = (True, False)
    developable = False

    @property
    def span(self) -> tuple[tuple[float, float], tuple[float, float]]:
        """Range of u and of v."""
        return (0.0, 2 * np.pi), (0.0, float(self._knots()[-1]))

    def at(self, uv, offset: float | np.ndarray = 0.0) -> np.ndarray:
        """Point (n,3) m at parameters uv (n,2), lifted by `offset` m along the outward normal."""
        u, v = np.asarray(uv, float).T
        lift = np.broadcast_to(offset, len(u))[:, None] * self._outward(v)
        z, r = (self._curve()(v) + lift).T
        return self.centre + np.stack([r * np.cos(u), r * np.sin(u), z], axis=1) @ self.frame

    def normal(self, uv) -> np.ndarray:
        """Outward unit normal (n,3) at uv (n,2)."""
        u, v = np.asarray(uv, float).T
        z, r = self._outward(v).T
        return np.stack([r * np.cos(u), r * np.sin(u), z], axis=1) @ self.frame

    def inverse(self, points) -> np.ndarray:
        """Parameters (n,2) of points near the surface; u in [0, 2 pi)."""
        x, y, z = ((np.asarray(points, float) - self.centre) @ self.frame.T).T
        place, curve = np.stack([z, np.hypot(x, y)], axis=1), self._curve()
        v = np.linspace(*self.span[1], FINE)
        v = v[np.argmin(((place[:, None] - curve(v)) ** 2).sum(-1), axis=1)]
        for _ in range(ROUNDS):
            away, first, second = place - curve(v), curve(v, 1), curve(v, 2)
            v = v + (away * first).sum(1) / ((first**2).sum(1) - (away * second).sum(1))
        return np.stack([np.mod(np.arctan2(y, x), 2 * np.pi), v], axis=1)

    def unroll(self, uv) -> np.ndarray:
        """Map (n,2) m to look at: arc at the mean radius and length along the profile; not true to length."""
        uv = np.asarray(uv, float)
        return np.stack([self._mean_radius() * uv[:, 0], uv[:, 1]], axis=1)

    def mesh(self, resolution: float) -> SurfaceMesh:
        """Triangles with edges of about `resolution` m at the mean radius; see `tube_mesh`."""
        return tube_mesh(self, 2 * np.pi * self._mean_radius(), self.span[1][1], resolution)

    def _knots(self):
        return np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(self.profile, axis=0), axis=1))])

    def _curve(self):
        """v -> (z, r); beyond the ends it goes on as it arrives."""
        return CubicSpline(self._knots(), self.profile, bc_type="natural")

    def _outward(self, v):
        dz, dr = self._curve()(v, 1).T
        return np.stack([-dr, dz], axis=1) / np.hypot(dz, dr)[:, None]

    def _mean_radius(self) -> float:
        return float(self._curve()(np.linspace(*self.span[1], FINE))[:, 1].mean())
