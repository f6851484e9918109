"""The far field: all three components of B as exterior multipoles, with a bound of what the series leaves out."""

from __future__ import annotations

from dataclasses import field

import jax
import jax.numpy as jnp
import numpy as np

from designtools._pytree import pytree
from designtools.harmonics.elements import element_rules, has_rules
from designtools.kernels import solid
from designtools.units import MU_0


@pytree
class Multipoles:
    """B_k = mu0/(4 pi R^2) Re sum_nm e_m conj(M_k,nm) S_nm((r - c)/R), the scaled harmonics of `kernels.solid`.

    real, imag (3, order+2, order+2) A·m: parts of M, exact integrals over the source; strength (A·m): the sum of
    |I dl| and of charges; radius (m): the source lies within it of `centre` (3,) m.
    """

    real: jax.Array
    imag: jax.Array
    strength: jax.Array
    radius: float = field(metadata={"static": True})
    centre: tuple = field(default=(0.0, 0.0, 0.0), metadata={"static": True})

    @property
    def order(self) -> int:
        return self.real.shape[-1] - 2

    def field(self, points):
        """Flux density (P,3) T at points (P,3) m farther than `radius` from the centre; see `error_bound`."""
        weighted = solid.doubled(self.order + 1) * jax.lax.complex(self.real, -self.imag)
        own = (jnp.asarray(points) - jnp.array(self.centre)) / self.radius
        return MU_0 / (4 * np.pi * self.radius**2) * solid.values(own, weighted, regular=False)

    def error_bound(self, distance):
        """No component of B errs by more than this (T) at `distance` (...) m from the centre.

        The terms left out of 1/|r - r'| differ from zero by at most sum_{n>N} R^n/r^(n+1); their slopes gain n+1.
        """
        t, n = self.radius / distance, self.order
        tail = t ** (n + 1) * (n + 2 - (n + 1) * t) / (1 - t) ** 2
        return MU_0 / (4 * np.pi) * self.strength / distance**2 * jnp.where(t < 1, tail, jnp.inf)


def multipoles(source, order: int, centre=(0.0, 0.0, 0.0)) -> Multipoles:
    """Exterior multipoles of `source` about `centre` (3,) m, exact from its currents and charges up to `order`.

    Harmonics up to `order` are polynomials on the source, which Gauss rules integrate without error; rules round
    circles need more points than the order.  Raises TypeError for a source without elements.
    """
    centre = tuple(float(c) for c in centre)
    radius = float(source.extent(np.asarray(centre))[1]) or 1e-3  # a dipole at the centre has no size of its own
    if not has_rules(source):
        raise TypeError(
            f"multipoles: the source must be made of currents and charges with rules of any fineness, got "
            f"{type(source).__name__}; leave background fields out"
        )
    total, strength = jnp.zeros((3, order + 2, order + 2), complex), 0.0
    for kind, points, weights in element_rules(source, max(64, 5 * (order // 2 + 2))):
        table = solid.moments((points - np.asarray(centre)) / radius, weights, order + 1, True)
        if kind == "dipole":
            table = sum(solid.slopes(table[k], k, regular=True) for k in range(3))[None] / radius
            weights = 2 * (order + 1) / radius * weights  # n-fold the terms of a charge, n up to twice the order
        slope = [-solid.slopes(table, axis, regular=True) for axis in range(3)]
        total = total + (_curl(slope) if kind == "current" else -jnp.stack([s[0] for s in slope]))
        strength = strength + jnp.sum(jnp.sqrt(jnp.sum(weights**2, axis=1)))
    return Multipoles(total.real, total.imag, strength, radius, centre)


def _curl(slope):
    return jnp.stack([slope[(k + 1) % 3][(k + 2) % 3] - slope[(k + 2) % 3][(k + 1) % 3] for k in range(3)])
