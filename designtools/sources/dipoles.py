"""Point dipoles."""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np

from designtools._pytree import Leaf, pytree
from designtools.kernels import dipole
from designtools.sources.pose import check_batch


@pytree
class Dipoles:
    """N point dipoles: centre (N,3) m, dipole_moment (N,3) A·m2.  At a dipole itself its own contribution is 0."""

    centre: Leaf
    dipole_moment: Leaf

    def check(self):
        check_batch(self, ("centre", "dipole_moment"), ())

    def field(self, points):
        """Flux density (P,3) T at points (P,3) m."""
        return dipole.field(jnp.asarray(points), self.centre, self.dipole_moment)

    def potential(self, points):
        """Vector potential (P,3) T·m (Coulomb gauge) at points (P,3) m."""
        return dipole.potential(jnp.asarray(points), self.centre, self.dipole_moment)

    def scalar_potential(self, points):
        """Scalar potential (P,) A at points (P,3) m, zero far away."""
        return dipole.scalar_potential(jnp.asarray(points), self.centre, self.dipole_moment)

    def extent(self, centre) -> tuple[float, float]:
        """(nearest, farthest) distance in m from centre (3,) to a dipole."""
        distance = np.linalg.norm(np.asarray(self.centre) - np.asarray(centre), axis=1)
        return float(distance.min()), float(distance.max())

    def dipole_elements(self):
        """Points (N,3) m and moments (N,3) A·m2: what force, torque and expansions need."""
        return jnp.asarray(self.centre), jnp.asarray(self.dipole_moment)

    def moment(self):
        """Magnetic dipole moment (3,) A·m2."""
        return jnp.sum(jnp.asarray(self.dipole_moment), axis=0)
