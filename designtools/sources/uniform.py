"""A homogeneous background field."""

from __future__ import annotations

import jax.numpy as jnp

from designtools._pytree import Leaf, pytree
from designtools.units import MU_0


@pytree
class Uniform:
    """The same flux density (3,) T everywhere."""

    flux_density: Leaf

    def check(self):
        if jnp.shape(self.flux_density) != (3,):
            raise ValueError(
                f"Uniform: flux_density must have shape (3,), got {jnp.shape(self.flux_density)}"
            )

    def field(self, points):
        """Flux density (P,3) T at points (P,3) m."""
        return jnp.broadcast_to(jnp.asarray(self.flux_density), jnp.shape(points))

    def potential(self, points):
        """Vector potential B x r / 2 (P,3) T·m at points (P,3) m."""
        return jnp.cross(jnp.asarray(self.flux_density), jnp.asarray(points)) / 2

    def scalar_potential(self, points):
        """Scalar potential -H.r (P,) A, zero at the origin."""
        return -jnp.asarray(points) @ jnp.asarray(self.flux_density) / MU_0

    def extent(self, centre):
        """Refused: what makes a background field has no place."""
        raise TypeError(
            "extent: the source must be made of conductors or magnets, got Uniform; leave background fields out"
        )
