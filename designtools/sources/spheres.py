"""Uniformly polarised spheres."""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np

from designtools._pytree import Leaf, pytree
from designtools.kernels import sphere
from designtools.sources.pose import check_batch
from designtools.units import MU_0


@pytree
class Spheres:
    """N spheres: centre (N,3) m, radius (N,) m, polarization (N,3) T (mu0 M).

    Inside, B = 2/3 polarization and mu0 H = -1/3 polarization; on the surface B is the value outside.
    """

    centre: Leaf
    radius: Leaf
    polarization: Leaf

    def check(self):
        check_batch(self, ("centre", "polarization"), ("radius",))

    def field(self, points):
        """Flux density (P,3) T at points (P,3) m."""
        return sphere.field(jnp.asarray(points), self.centre, self.radius, self.polarization)

    def potential(self, points):
        """Vector potential (P,3) T·m (Coulomb gauge) at points (P,3) m."""
        return sphere.potential(jnp.asarray(points), self.centre, self.radius, self.polarization)

    def scalar_potential(self, points):
        """Scalar potential (P,) A at points (P,3) m; H = -grad inside too."""
        return sphere.scalar_potential(jnp.asarray(points), self.centre, self.radius, self.polarization)

    def extent(self, centre) -> tuple[float, float]:
        """(nearest, farthest) distance in m from centre (3,) to the spheres."""
        distance = np.linalg.norm(np.asarray(self.centre) - np.asarray(centre), axis=1)
        radius = np.asarray(self.radius)
        return float(np.maximum(distance - radius, 0).min()), float((distance + radius).max())

    def charge_elements(self, nodes: int = 64):
        """Points (Q,3) m and charge J.n/mu0 dA (Q,) A·m: nodes/2 Gauss latitudes with `nodes` azimuths each."""
        t, w = np.polynomial.legendre.leggauss(max(nodes // 2, 1))
        phi = 2 * np.pi * (np.arange(nodes) + 0.5) / nodes
        flat = np.sqrt(1 - t * t)[:, None]
        normal = np.stack(np.broadcast_arrays(flat * np.cos(phi), flat * np.sin(phi), t[:, None]), axis=-1).reshape(-1, 3)
        radius = jnp.asarray(self.radius)
        points = self.centre + radius[:, None] * normal[:, None, :]
        share = np.repeat(w, nodes)[:, None] * 2 * np.pi / nodes * radius**2 / MU_0
        return points.reshape(-1, 3), (share * (normal @ jnp.asarray(self.polarization).T)).reshape(-1)

    def volume(self):
        """Volume of each sphere (N,) m3."""
        return 4 / 3 * jnp.pi * jnp.asarray(self.radius) ** 3

    def moment(self):
        """Magnetic dipole moment (3,) A·m2."""
        return self.volume() @ jnp.asarray(self.polarization) / MU_0
