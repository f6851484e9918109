"""Flat straight strips of conductor."""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np

from designtools._pytree import Leaf, pytree
from designtools.kernels import triangle
from designtools.sources.pose import check_batch
from designtools.sources.sheet import faces_extent, shared_edges


@pytree
class Strips:
    """N thin flat strips with uniform current over their width.

    start, end (N,3) m, the ends of the middle line; width (N,3) m, the vector across the strip from one edge to the other
    (at right angles to the line for a rectangle); current (N,) A flows from start to end.
    In a strip the field is the mean of both sides; on an edge, where it is infinite, its logarithm is left out.
    No scalar potential: the current does not close.
    """

    start: Leaf
    end: Leaf
    width: Leaf
    current: Leaf

    def check(self):
        check_batch(self, ("start", "end", "width"), ("current",))

    def field(self, points):
        """Flux density (P,3) T at points (P,3) m."""
        return triangle.field(jnp.asarray(points), *self._triangles())

    def potential(self, points):
        """Vector potential (P,3) T·m at points (P,3) m: the strip's part of the integral of K/R."""
        return triangle.potential(jnp.asarray(points), *self._triangles())

    def extent(self, centre) -> tuple[float, float]:
        """(nearest, farthest) distance in m from centre (3,) to the strips."""
        return faces_extent(np.asarray(self._triangles()[0]), centre)

    def current_elements(self, nodes: int = 64, order: int = 6):
        """Points (Q,3) m and K dA (Q,3) A·m: order x order Gauss points on each strip, whatever `nodes`."""
        t, w = np.polynomial.legendre.leggauss(order)
        u, v = (axis.reshape(-1, 1, 1) for axis in np.meshgrid(t, t, indexing="ij"))
        start, end = jnp.asarray(self.start), jnp.asarray(self.end)
        points = (start + end) / 2 + u / 2 * (end - start) + v / 2 * self.width
        elements = np.outer(w, w).reshape(-1, 1, 1) / 4 * (end - start) * self.current[:, None]
        return points.reshape(-1, 3), elements.reshape(-1, 3)

    def moment(self):
        """Magnetic dipole moment (3,) A·m2 of strips that form a closed path; of an open one, about the origin."""
        return jnp.asarray(self.current) @ jnp.cross(self.start, self.end) / 2

    def surface_current(self):
        """K (N,3) A/m: current over the width at right angles to it."""
        along = jnp.asarray(self.end) - self.start
        area = jnp.linalg.norm(jnp.cross(along, self.width), axis=1)
        return (self.current / area)[:, None] * along

    def _triangles(self):
        """Corners (2N,3,3), their K, and the edges that the two halves of a strip share."""
        start, end, half = jnp.asarray(self.start), jnp.asarray(self.end), jnp.asarray(self.width) / 2
        corners = jnp.stack([start - half, end - half, end + half, start + half], axis=1)
        halves = corners[:, np.array([[0, 1, 2], [0, 2, 3]])].reshape(-1, 3, 3)
        first = 4 * np.arange(len(start))[:, None, None]
        faces = (first + np.array([[0, 1, 2], [0, 2, 3]])).reshape(-1, 3)
        return halves, jnp.repeat(self.surface_current(), 2, axis=0), shared_edges(faces)
