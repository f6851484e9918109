"""Circular current loops anywhere in space."""

from __future__ import annotations

import jax
import jax.numpy as jnp

from designtools._pytree import pytree
from designtools.kernels import loop


@pytree
class Loops:
    """N thin circular loops.

    centre (N,3) m; normal (N,3), any length but zero: the current runs right-handed about it;
    radius (N,) m; current (N,) A.  On a wire itself the returned field and potential are 0.
    """

    centre: jax.Array
    normal: jax.Array
    radius: jax.Array
    current: jax.Array

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

    def potential(self, points):
        """Vector potential (P,3) T·m (Coulomb gauge) at points (P,3) m."""
        return loop.potential(jnp.asarray(points), self.centre, unit(self.normal), self.radius, self.current)

    def moment(self):
        """Magnetic dipole moment (3,) A·m2: sum of I pi a^2 n."""
        return (self.current * jnp.pi * self.radius**2) @ unit(self.normal)


@jax.jit
def unit(vectors):
    """Vectors (N,3) scaled to length one."""
    vectors = jnp.asarray(vectors)
    return vectors / jnp.sqrt(jnp.sum(vectors**2, axis=-1, keepdims=True))
