"""Uniformly polarised cylinders, solid or hollow, anywhere in space."""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np

from designtools._pytree import Leaf, pytree
from designtools.kernels import cylinder
from designtools.sources.pose import check_batch, rotation_matrix
from designtools.units import MU_0


@pytree
class Cylinders:
    """N cylinder magnets, rings where the inner radius is not 0.

    centre (N,3) m, the middle; rotation (N,3) rad, a rotation vector as in `Magnets`: the axis is the magnet's own z;
    inner_radius, outer_radius, length (N,) m; polarization (N,3) T (mu0 M), any direction, in the magnet's OWN frame.
    On the lateral surfaces B is the mean of both sides; on a rim, where it may be infinite, a large finite number.
    """

    centre: Leaf
    rotation: Leaf
    inner_radius: Leaf
    outer_radius: Leaf
    length: Leaf
    polarization: Leaf

    def check(self):
        check_batch(self, ("centre", "rotation", "polarization"), ("inner_radius", "outer_radius", "length"))

    def field(self, points):
        """Flux density (P,3) T at points (P,3) m; error below 1e-12 of its size off the rims."""
        return cylinder.field(*self._arguments(points))

    def potential(self, points):
        """Vector potential (P,3) T·m (Coulomb gauge) at points (P,3) m."""
        return cylinder.potential(*self._arguments(points))

    def scalar_potential(self, points):
        """Scalar potential (P,) A at points (P,3) m; H = -grad inside too."""
        return cylinder.scalar_potential(*self._arguments(points))

    def extent(self, centre) -> tuple[float, float]:
        """(nearest, farthest) distance in m from centre (3,) to the magnets."""
        x, y, z = np.einsum("nij,ni->jn", np.asarray(self._axes()), np.asarray(centre) - np.asarray(self.centre))
        inner, outer, length = (np.asarray(v) for v in (self.inner_radius, self.outer_radius, self.length))
        r, above = np.hypot(x, y), np.maximum(np.abs(z) - length / 2, 0)
        beside = np.maximum(np.maximum(inner - r, r - outer), 0)
        return float(np.hypot(beside, above).min()), float(np.hypot(r + outer, np.abs(z) + length / 2).max())

    def charge_elements(self, nodes: int = 64, order: int = 12):
        """Points (Q,3) m and charge J.n/mu0 dA (Q,) A·m: `nodes` round the axis, `order` Gauss points across it."""
        phi = 2 * np.pi * (np.arange(nodes)[:, None] + 0.5) / nodes
        t, w = (v[:, None, None] for v in np.polynomial.legendre.leggauss(order))
        inner, outer, length = (jnp.asarray(v) for v in (self.inner_radius, self.outer_radius, self.length))
        jx, jy, jz = jnp.asarray(self.polarization).T
        normal_part = np.cos(phi) * jx + np.sin(phi) * jy
        spread, middle = (outer - inner) / 2, (outer + inner) / 2
        across = middle + spread * t
        surfaces = [(r, length / 2 * t, side * r * length / 2 * normal_part) for r, side in ((outer, 1), (inner, -1))]
        surfaces += [(across, side * length / 2, side * across * spread * jz) for side in (1, -1)]
        full = lambda value: jnp.broadcast_to(value, (order, nodes, *jnp.shape(inner)))
        own = [jnp.stack([full(r * np.cos(phi)), full(r * np.sin(phi)), full(z)], axis=-1) for r, z, _ in surfaces]
        charge = [full(w * 2 * np.pi / nodes / MU_0 * flux) for _, _, flux in surfaces]
        points = self.centre + jnp.einsum("nij,soqnj->soqni", self._axes(), jnp.stack(own))
        return points.reshape(-1, 3), jnp.stack(charge).reshape(-1)

    def volume(self):
        """Volume of each magnet (N,) m3."""
        return jnp.pi * (self.outer_radius**2 - self.inner_radius**2) * self.length

    def polarization_in_space(self):
        """Polarization (N,3) T in the frame of the points."""
        return jnp.einsum("nij,nj->ni", self._axes(), jnp.asarray(self.polarization))

    def moment(self):
        """Magnetic dipole moment (3,) A·m2."""
        return self.volume() @ self.polarization_in_space() / MU_0

    def _axes(self):
        return rotation_matrix(self.rotation)

    def _arguments(self, points):
        shape = self.inner_radius, self.outer_radius, self.length
        return jnp.asarray(points), self.centre, self._axes(), *shape, self.polarization
