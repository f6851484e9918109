"""Cylinder of elliptic section about the third axis of a frame."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from scipy.special import ellipe, ellipeinc

from designtools.formers.cylinder import tube_mesh
from designtools.formers.mesh import SurfaceMesh

ROUNDS = 8  # of Newton's method, from starts that are near


@dataclass(frozen=True)
class EllipticCylinder:
    """Open cylinder with half axes `across` (along the frame's first direction) and `upright` (second), `length` (m).

    Parameters u = arc length round the section over that of a full turn, times 2 pi (periodic); v = axial (m).
    `frame` (3,3): rows are the unit vectors x, y, axis of the cylinder in the world; `centre` (3,) m.
    """

    across: float
    upright: float
    length: float
    frame: np.ndarray = field(default_factory=lambda: np.eye(3))
    centre: np.ndarray = field(default_factory=lambda: np.zeros(3))

    periodic = (True, False)
    developable = True

    @property
    def span(self) -> tuple[tuple[float, float], tuple[float, float]]:
        """Range of u and of v."""
        return (0.0, 2 * np.pi), (-self.length / 2, self.length / 2)

    @property
    def circumference(self) -> float:
        """Length (m) round the section."""
        return float(4 * self.upright * ellipe(1 - (self.across / self.upright) ** 2))

    def at(self, uv, offset: float | np.ndarray = 0.0) -> np.ndarray:
        """Point (n,3) m at parameters uv (n,2), lifted by `offset` m along the outward normal."""
        uv = np.asarray(uv, float)
        t = self._eccentric(uv[:, 0])
        section = np.stack([self.across * np.cos(t), self.upright * np.sin(t)], axis=1)
        section = section + np.broadcast_to(offset, len(uv))[:, None] * self._outward(t)
        return self.centre + np.column_stack([section, uv[:, 1]]) @ self.frame

    def normal(self, uv) -> np.ndarray:
        """Outward unit normal (n,3) at uv (n,2)."""
        return self._outward(self._eccentric(np.asarray(uv, float)[:, 0])) @ self.frame[:2]

    def inverse(self, points) -> np.ndarray:
        """Parameters (n,2) of points near the surface; u in [0, 2 pi)."""
        x, y, v = ((np.asarray(points, float) - self.centre) @ self.frame.T).T
        a, b = self.across, self.upright
        t = np.arctan2(a * y, b * x)
        for _ in range(ROUNDS):  # the foot of the normal: (p - e).e' = 0
            sine, cosine = np.sin(t), np.cos(t)
            aside = -a * sine * (x - a * cosine) + b * cosine * (y - b * sine)
            slope = -a * cosine * (x - a * cosine) - b * sine * (y - b * sine) - (a * sine) ** 2 - (b * cosine) ** 2
            t = t - aside / slope
        return np.stack([np.mod(2 * np.pi * self._arc(t) / self.circumference, 2 * np.pi), v], axis=1)

    def unroll(self, uv) -> np.ndarray:
        """Flat pattern (n,2) m: arc length and axial position, true to length."""
        uv = np.asarray(uv, float)
        return np.stack([self.circumference / (2 * np.pi) * uv[:, 0], uv[:, 1]], axis=1)

    def mesh(self, resolution: float) -> SurfaceMesh:
        """Nearly equilateral triangles with edges of about `resolution` m; see `tube_mesh`."""
        return tube_mesh(self, self.circumference, self.length, resolution)

    def _arc(self, t):
        """Arc length (m) from the first axis to the eccentric angle t."""
        return self.upright * ellipeinc(t, 1 - (self.across / self.upright) ** 2)

    def _eccentric(self, u):
        """The eccentric angle t of u, which may lie outside one turn."""
        wanted, t = self.circumference * u / (2 * np.pi), np.array(u, float)
        for _ in range(ROUNDS):
            t = t - (self._arc(t) - wanted) / np.hypot(self.across * np.sin(t), self.upright * np.cos(t))
        return t

    def _outward(self, t):
        normal = np.stack([self.upright * np.cos(t), self.across * np.sin(t)], axis=1)
        return normal / np.linalg.norm(normal, axis=1, keepdims=True)
