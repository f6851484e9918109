"""Thin cylindrical current sheets anywhere in space."""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np

from designtools._pytree import Leaf, pytree
from designtools.kernels import solenoid
from designtools.sources.pose import check_batch, rotation_matrix


@pytree
class Solenoids:
    """N thin solenoids: uniform azimuthal current on a cylinder's surface.

    centre (N,3) m, the middle; rotation (N,3) rad, a rotation vector as in `Magnets`: the axis is the solenoid's own z;
    radius, length (N,) m; current (N,) A, the ampere-turns in all, right-handed about the axis.
    On the sheet the field is the mean of both sides; on a rim, where it is infinite, a large finite number.
    No scalar potential: its current fills a surface, not a rim.
    """

    centre: Leaf
    rotation: Leaf
    radius: Leaf
    length: Leaf
    current: Leaf

    def check(self):
        check_batch(self, ("centre", "rotation"), ("radius", "length", "current"))

    def field(self, points):
        """Flux density (P,3) T at points (P,3) m; error below 1e-12 of its size off the rims."""
        return solenoid.field(*self._arguments(points))

    def potential(self, points):
        """Vector potential (P,3) T·m (Coulomb gauge) at points (P,3) m."""
        return solenoid.potential(*self._arguments(points))

    def extent(self, centre) -> tuple[float, float]:
        """(nearest, farthest) distance in m from centre (3,) to the sheets."""
        axes = np.asarray(rotation_matrix(self.rotation))
        x, y, z = np.einsum("nij,ni->jn", axes, np.asarray(centre) - np.asarray(self.centre))
        radius, half = np.asarray(self.radius), np.asarray(self.length) / 2
        r, above = np.hypot(x, y), np.maximum(np.abs(z) - half, 0)
        return float(np.hypot(r - radius, above).min()), float(np.hypot(r + radius, np.abs(z) + half).max())

    def current_elements(self, nodes: int = 64, order: int = 12):
        """Points (Q,3) m and K dA (Q,3) A·m: `nodes` round each solenoid, `order` Gauss points along it."""
        t, w = (v[:, None, None] for v in np.polynomial.legendre.leggauss(order))
        phi = 2 * np.pi * (np.arange(nodes)[:, None] + 0.5) / nodes
        radius = jnp.asarray(self.radius)
        c, s = np.cos(phi) + 0 * radius, np.sin(phi) + 0 * radius
        height = jnp.broadcast_to(t * jnp.asarray(self.length) / 2, (order, *c.shape))
        place = jnp.stack([*jnp.broadcast_arrays(radius * c, radius * s, height)], axis=-1)
        way = jnp.stack(jnp.broadcast_arrays(-s, c, 0 * s), axis=-1)
        axes = rotation_matrix(self.rotation)
        points = self.centre + jnp.einsum("nij,oqnj->oqni", axes, place)
        share = w * np.pi / nodes * radius * self.current
        elements = share[..., None] * jnp.einsum("nij,qnj->qni", axes, way)
        return points.reshape(-1, 3), elements.reshape(-1, 3)

    def moment(self):
        """Magnetic dipole moment (3,) A·m2: sum of I pi a^2 along each axis."""
        return (self.current * jnp.pi * self.radius**2) @ rotation_matrix(self.rotation)[:, :, 2]

    def _arguments(self, points):
        axes = rotation_matrix(self.rotation)
        return jnp.asarray(points), self.centre, axes, self.radius, self.length, self.current
