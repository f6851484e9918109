"""Flat rectangle: half of a biplanar coil, a single-sided one, or a printed circuit."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from designtools.formers.mesh import SurfaceMesh


@dataclass(frozen=True)
class Plate:
    """Flat rectangle of `width` x `height` (m); u and v are metres from its centre.

    `frame` (3,3): rows are the directions of u, of v, and the outward normal; `centre` (3,) m.
    """

    width: float
    height: float
    frame: np.ndarray = field(default_factory=lambda: np.eye(3))
    centre: np.ndarray = field(default_factory=lambda: np.zeros(3))

    periodic = (False, False)
    developable = True

    @property
    def span(self) -> tuple[tuple[float, float], tuple[float, float]]:
        """Range of u and of v."""
        return (-self.width / 2, self.width / 2), (-self.height / 2, self.height / 2)

    def at(self, uv, offset: float | np.ndarray = 0.0) -> np.ndarray:
        """Point (n,3) m at parameters uv (n,2), lifted by `offset` m along the outward normal."""
        uv = np.asarray(uv, float)
        lift = np.broadcast_to(offset, len(uv))
        return self.centre + np.column_stack([uv, lift]) @ self.frame

    def normal(self, uv) -> np.ndarray:
        """Outward unit normal (n,3) at uv (n,2)."""
        return np.tile(self.frame[2], (len(uv), 1))

    def inverse(self, points) -> np.ndarray:
        """Parameters (n,2) of points near the surface."""
        return (np.asarray(points, float) - self.centre) @ self.frame[:2].T

    def unroll(self, uv) -> np.ndarray:
        """Flat pattern (n,2) m: the plate itself."""
        return np.array(uv, float)

    def mesh(self, resolution: float) -> SurfaceMesh:
        """Right triangles with legs of about `resolution` m; diagonals alternate, which keeps both mirror planes."""
        n_u, n_v = (2 * max(2, round(side / resolution / 2)) for side in (self.width, self.height))
        (u0, u1), (v0, v1) = self.span
        grid = np.meshgrid(np.linspace(u0, u1, n_u + 1), np.linspace(v0, v1, n_v + 1), indexing="ij")
        uv = np.stack(grid, axis=-1).reshape(-1, 2)
        return SurfaceMesh(self.at(uv), _faces(n_u, n_v), uv, (_rim(n_u, n_v),))


def _faces(n_u: int, n_v: int) -> np.ndarray:
    """Two triangles per cell of vertex (i, j) -> i * (n_v + 1) + j."""
    i, j = (k.ravel() for k in np.meshgrid(np.arange(n_u), np.arange(n_v), indexing="ij"))
    a, b = i * (n_v + 1) + j, (i + 1) * (n_v + 1) + j
    c, d = b + 1, a + 1
    rising = ((i + j) % 2 == 0)[:, None]
    first = np.where(rising, np.stack([a, b, c], 1), np.stack([a, b, d], 1))
    second = np.where(rising, np.stack([a, c, d], 1), np.stack([b, c, d], 1))
    return np.concatenate([first, second])


def _rim(n_u: int, n_v: int) -> np.ndarray:
    """Vertices of the open edge, once around."""
    index = np.arange((n_u + 1) * (n_v + 1)).reshape(n_u + 1, n_v + 1)
    return np.concatenate([index[:-1, 0], index[-1, :-1], index[:0:-1, -1], index[0, :0:-1]])
