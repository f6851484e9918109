"""Circular cylinder about the third axis of a frame."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from designtools.formers.mesh import SurfaceMesh


@dataclass(frozen=True)
class Cylinder:
    """Open cylinder of `radius` and `length` (m); parameters u = azimuth (rad, periodic), v = axial (m).

    `frame` (3,3): rows are the unit vectors x, y, axis of the cylinder in the world; `centre` (3,) m.
    """

    radius: float
    length: float
    frame: np.ndarray = field(default_factory=lambda: np.eye(3))
    centre: np.ndarray = field(default_factory=lambda: np.zeros(3))

    periodic = (True, False)
    developable = True

    @property
    def span(self) -> tuple[tuple[float, float], tuple[float, float]]:
        """Range of u and of v."""
        return (0.0, 2 * np.pi), (-self.length / 2, self.length / 2)

    def at(self, uv, offset: float | np.ndarray = 0.0) -> np.ndarray:
        """Point (n,3) m at parameters uv (n,2), lifted by `offset` m along the outward normal."""
        uv = np.asarray(uv, float)
        r = self.radius + offset
        local = np.stack([r * np.cos(uv[:, 0]), r * np.sin(uv[:, 0]), uv[:, 1]], axis=1)
        return self.centre + local @ self.frame

    def normal(self, uv) -> np.ndarray:
        """Outward unit normal (n,3) at uv (n,2)."""
        u = np.asarray(uv, float)[:, 0]
        return np.stack([np.cos(u), np.sin(u), np.zeros_like(u)], axis=1) @ self.frame

    def inverse(self, points) -> np.ndarray:
        """Parameters (n,2) of points near the surface; u in [0, 2 pi)."""
        local = (np.asarray(points, float) - self.centre) @ self.frame.T
        return np.stack([np.mod(np.arctan2(local[:, 1], local[:, 0]), 2 * np.pi), local[:, 2]], axis=1)

    def unroll(self, uv) -> np.ndarray:
        """Flat pattern (n,2) m: arc length and axial position, true to length."""
        uv = np.asarray(uv, float)
        return np.stack([self.radius * uv[:, 0], uv[:, 1]], axis=1)

    def mesh(self, resolution: float) -> SurfaceMesh:
        """Nearly equilateral triangles with edges of about `resolution` m, in staggered rows.

        Odd rows are turned by half a step, so the mesh keeps every mirror plane of the cylinder and its
        rotations by 2 pi / n_u: what is symmetric stays symmetric after discretisation.
        """
        return tube_mesh(self, 2 * np.pi * self.radius, self.length, resolution)


def tube_mesh(former, around: float, along: float, resolution: float) -> SurfaceMesh:
    """Staggered rows on a former whose u is periodic: `around` and `along` are its lengths (m) over u and v.

    Edges are about `resolution` m; see `Cylinder.mesh`.
    """
    n_u = 4 * max(2, round(around / resolution / 4))
    n_v = 2 * max(1, round(along / resolution / np.sqrt(3)))
    v = np.linspace(*former.span[1], n_v + 1)
    shift = (np.arange(n_v + 1) % 2) / 2
    u = 2 * np.pi * (np.arange(n_u)[:, None] + shift) / n_u
    uv = np.stack([u, np.broadcast_to(v, u.shape)], axis=-1).reshape(-1, 2)
    rims = tuple(np.arange(n_u) * (n_v + 1) + end for end in (0, n_v))
    return SurfaceMesh(former.at(uv), _staggered_faces(n_u, n_v), uv, rims)


def _staggered_faces(n_u: int, n_v: int) -> np.ndarray:
    """Two outward triangles per cell of vertex (i, j) -> i * (n_v + 1) + j, odd rows half a step on."""
    i, j = (a.ravel() for a in np.meshgrid(np.arange(n_u), np.arange(n_v), indexing="ij"))

    def vertex(di, dj):
        return ((i + di) % n_u) * (n_v + 1) + j + dj

    a, b, c, d = vertex(0, 0), vertex(1, 0), vertex(1, 1), vertex(0, 1)
    even = (j % 2 == 0)[:, None]
    first = np.where(even, np.stack([a, b, d], 1), np.stack([a, b, c], 1))
    second = np.where(even, np.stack([b, c, d], 1), np.stack([a, c, d], 1))
    return np.concatenate([first, second])
