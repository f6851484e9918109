"""Thin straight wires."""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np

from designtools._pytree import Leaf, pytree
from designtools.kernels import segment


@pytree
class Filaments:
    """Straight segments of thin wire.

    start, end (S,3) m; current (S,) A flows from start to end.  On the wire itself a segment contributes zero.
    """

    start: Leaf
    end: Leaf
    current: Leaf

    def check(self):
        s, e, i = jnp.shape(self.start), jnp.shape(self.end), jnp.shape(self.current)
        if len(s) != 2 or s[1] != 3 or e != s or i != s[:1]:
            raise ValueError(
                f"Filaments: start and end must have shape (S,3) and current (S,), got {s}, {e} and {i}; "
                "use Filaments.from_path for a polyline"
            )

    @classmethod
    def from_path(cls, points, current=1.0, closed: bool = False) -> Filaments:
        """Segments along a polyline points (n,3) m; `closed` adds the segment from the last point to the first."""
        points = jnp.asarray(points, dtype=float)
        if points.ndim != 2 or points.shape[1] != 3 or points.shape[0] < 2:
            raise ValueError(
                f"Filaments.from_path: points must have shape (n,3) with n >= 2, got {points.shape}"
            )
        if closed:
            points = jnp.concatenate([points, points[:1]])
        return cls(points[:-1], points[1:], jnp.broadcast_to(current, points.shape[0] - 1))

    def field(self, points):
        """Flux density (P,3) T at points (P,3) m."""
        return segment.field(jnp.asarray(points), self.start, self.end, self.current)

    def potential(self, points):
        """Vector potential (P,3) T·m at points (P,3) m."""
        return segment.potential(jnp.asarray(points), self.start, self.end, self.current)

    def extent(self, centre) -> tuple[float, float]:
        """(nearest, farthest) distance in m from centre (3,) to the wire."""
        a, b = np.asarray(self.start) - centre, np.asarray(self.end) - centre
        d = b - a
        row = lambda u, v: np.einsum("ij,ij->i", u, v)
        t = np.clip(-row(a, d) / np.maximum(row(d, d), 1e-300), 0, 1)
        nearest = a + t[:, None] * d
        farthest = max(row(a, a).max(), row(b, b).max())
        return float(np.sqrt(row(nearest, nearest).min())), float(np.sqrt(farthest))

    def current_elements(self, nodes: int = 64, order: int = 6):
        """Points (Q,3) m and I dl (Q,3) A·m: `order` Gauss points on each segment, whatever `nodes`."""
        t, w = np.polynomial.legendre.leggauss(order)
        start, end = jnp.asarray(self.start), jnp.asarray(self.end)
        points = (start + end) / 2 + t[:, None, None] / 2 * (end - start)
        elements = w[:, None, None] / 2 * (end - start) * self.current[:, None]
        return points.reshape(-1, 3), elements.reshape(-1, 3)

    def moment(self):
        """Magnetic dipole moment (3,) A·m2 of a closed path; of an open one, about the origin."""
        return jnp.asarray(self.current) @ jnp.cross(self.start, self.end) / 2
