"""Circular current loops anywhere in space."""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np

from designtools._pytree import Leaf, pytree
from designtools.kernels import layer, loop
from designtools.sources.pose import across, unit


@pytree
class Loops:
    """N thin circular loops.

    centre (N,3) m; normal (N,3), any length but zero: the current runs right-handed about it;
    radius (N,) m; current (N,) A.  On a wire itself the returned field and potential are 0.
    """

    centre: Leaf
    normal: Leaf
    radius: Leaf
    current: Leaf

    def check(self):
        c, n, r, i = map(jnp.shape, (self.centre, self.normal, self.radius, self.current))
        if len(i) != 1 or r != i or c != (*i, 3) or n != (*i, 3):
            raise ValueError(
                f"Loops: centre and normal must have shape (N,3), radius and current (N,), got {c}, {n}, {r} and {i}; "
                "repeat what the loops share, once per loop"
            )

    def field(self, points):
        """Flux density (P,3) T at points (P,3) m; relative error about 1e-15 off the wires."""
        return loop.field(jnp.asarray(points), self.centre, unit(self.normal), self.radius, self.current)

    def per_ampere(self, points, direction):
        """Component along `direction` (3,) of the field of each loop by itself, per ampere: (P,N) T/A at points (P,3) m."""
        return loop.component_per_ampere(jnp.asarray(points), self.centre, unit(self.normal), self.radius, jnp.asarray(direction))

    def potential(self, points):
        """Vector potential (P,3) T·m (Coulomb gauge) at points (P,3) m."""
        return loop.potential(jnp.asarray(points), self.centre, unit(self.normal), self.radius, self.current)

    def scalar_potential(self, points):
        """Scalar potential (P,) A at points (P,3) m: I/4pi times the solid angle of the flat disc, where it jumps by I."""
        return layer.disc_potential(jnp.asarray(points), self.centre, unit(self.normal), self.radius, self.current)

    def extent(self, centre) -> tuple[float, float]:
        """(nearest, farthest) distance in m from centre (3,) to the wires."""
        normal = np.asarray(self.normal) / np.linalg.norm(self.normal, axis=1, keepdims=True)
        d = np.asarray(centre) - np.asarray(self.centre)
        height = np.sum(d * normal, axis=1)
        beside = np.linalg.norm(d - height[:, None] * normal, axis=1)
        radius = np.asarray(self.radius)
        return float(np.hypot(beside - radius, height).min()), float(np.hypot(beside + radius, height).max())

    def current_elements(self, nodes: int = 64):
        """Points (Q,3) m and I dl (Q,3) A·m: `nodes` points round each loop."""
        first, second = across(unit(self.normal))
        phi = 2 * np.pi * (np.arange(nodes) + 0.5) / nodes
        c, s = np.cos(phi)[:, None, None], np.sin(phi)[:, None, None]
        radius = jnp.asarray(self.radius)[:, None]
        points = self.centre + radius * (c * first + s * second)
        elements = (2 * np.pi / nodes) * radius * self.current[:, None] * (c * second - s * first)
        return points.reshape(-1, 3), elements.reshape(-1, 3)

    def moment(self):
        """Magnetic dipole moment (3,) A·m2: sum of I pi a^2 n."""
        return (self.current * jnp.pi * self.radius**2) @ unit(self.normal)
