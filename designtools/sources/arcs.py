"""Circular arcs of thin wire anywhere in space."""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np

from designtools._pytree import Leaf, pytree
from designtools.kernels import arc
from designtools.sources.pose import check_batch, rotation_matrix


@pytree
class Arcs:
    """N circular arcs of thin wire.

    centre (N,3) m; rotation (N,3) rad, a rotation vector as in `Magnets`; radius (N,) m; start, stop (N,) rad, angles
    from the arc's own x axis towards its y axis; current (N,) A flows from start to stop (stop < start turns the other
    way; more than a turn is as many turns).  On the wire itself an arc contributes 0.  No scalar potential: the
    current does not close.
    """

    centre: Leaf
    rotation: Leaf
    radius: Leaf
    start: Leaf
    stop: Leaf
    current: Leaf

    def check(self):
        check_batch(self, ("centre", "rotation"), ("radius", "start", "stop", "current"))

    def field(self, points):
        """Flux density (P,3) T at points (P,3) m; relative error below 1e-12 off the wire."""
        return arc.field(*self._arguments(points))

    def potential(self, points):
        """Vector potential (P,3) T·m at points (P,3) m: the arc's part of the integral of I dl/R."""
        return arc.potential(*self._arguments(points))

    def extent(self, centre) -> tuple[float, float]:
        """(nearest, farthest) distance in m from centre (3,) to the wires."""
        axes = np.asarray(rotation_matrix(self.rotation))
        x, y, z = np.einsum("nij,ni->jn", axes, np.asarray(centre) - np.asarray(self.centre))
        start, stop, radius = (np.asarray(v) for v in (self.start, self.stop, self.radius))
        low, span = np.minimum(start, stop), np.abs(stop - start)
        facing = np.arctan2(y, x) + np.array([[0], [np.pi]])  # nearest and farthest azimuth of the full circle
        on_arc = np.where((facing - low) % (2 * np.pi) <= span, facing, low)
        angles = np.concatenate([[start, stop], on_arc])
        distances = np.sqrt((x - radius * np.cos(angles)) ** 2 + (y - radius * np.sin(angles)) ** 2 + z**2)
        return float(distances.min()), float(distances.max())

    def current_elements(self, nodes: int = 64):
        """Points (Q,3) m and I dl (Q,3) A·m: `nodes` Gauss points on each arc."""
        t, w = (v[:, None] for v in np.polynomial.legendre.leggauss(nodes))
        start, stop, radius = (jnp.asarray(v) for v in (self.start, self.stop, self.radius))
        angle = (start + stop) / 2 + (stop - start) / 2 * t
        zero = jnp.zeros_like(angle)
        place = jnp.stack([radius * jnp.cos(angle), radius * jnp.sin(angle), zero], axis=-1)
        way = jnp.stack([-jnp.sin(angle), jnp.cos(angle), zero], axis=-1)
        axes = rotation_matrix(self.rotation)
        points = self.centre + jnp.einsum("nij,qnj->qni", axes, place)
        elements = jnp.einsum("nij,qnj->qni", axes, way) * (w / 2 * (stop - start) * radius * self.current)[..., None]
        return points.reshape(-1, 3), elements.reshape(-1, 3)

    def moment(self):
        """Magnetic dipole moment (3,) A·m2, half the integral of I r x dl: of one arc of an open path, about the origin."""
        start, stop, radius = (jnp.asarray(v) for v in (self.start, self.stop, self.radius))
        chord = jnp.stack([jnp.cos(stop) - jnp.cos(start), jnp.sin(stop) - jnp.sin(start), 0 * start], axis=-1)
        axes = rotation_matrix(self.rotation)
        swept = radius**2 * (stop - start)
        path = jnp.einsum("nij,nj->ni", axes, radius[:, None] * chord)
        return jnp.asarray(self.current) @ (jnp.cross(self.centre, path) + swept[:, None] * axes[:, :, 2]) / 2

    def _arguments(self, points):
        axes = rotation_matrix(self.rotation)
        return jnp.asarray(points), self.centre, axes, self.radius, self.start, self.stop, self.current
