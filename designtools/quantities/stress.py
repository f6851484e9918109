"""Stress in a winding under its own magnetic load: turns that stand alone, and turns bonded into one body.

Free turns: every turn carries J B_z r as its own hoop tension.  Bonded: radial equilibrium of an elastic ring,

    d sigma_r/dr + (sigma_r - sigma_h)/r + J B_z(r) = 0,      free at the inner and the outer face, plane stress,

with moduli E_h along the turns and E_r across them, e_h = u/r = (sigma_h - nu sigma_r)/E_h.  In s = ln(r/a) the
displacement obeys u'' - k^2 u = -(load), k^2 = E_h/E_r, whose solution is integrals of hyperbolic functions; with

    g(s) = int_0^s [cosh k(s-s') + nu/k sinh k(s-s')] J B r^2 ds'
    r sigma_r = g(S) sinh(ks)/sinh(kS) - g(s)
    r sigma_h = g(S) k cosh(ks)/sinh(kS) - int_0^s [k sinh k(s-s') + nu cosh k(s-s')] J B r^2 ds'

so no system is solved, and no ratio of the moduli is singular.  The moduli enter the stress by their ratio alone.
Isotropic case: M. N. Wilson, Superconducting Magnets (1983), ch. 4; derivation: docs/physics-magnet.md.
"""

from __future__ import annotations

from dataclasses import dataclass

import jax.numpy as jnp
import numpy as np
from numpy.polynomial import chebyshev

from designtools.quantities.coaxial import section_field

RADII, LEVELS = 13, 9  # points across and along every section


@dataclass(frozen=True)
class Stress:
    """Stress (N, LEVELS, RADII) Pa at r, z (m) of every section; hoop strain where the modulus was given.

    hoop, radial: positive in tension.  Radial tension anywhere pulls the layers apart.
    """

    r: jnp.ndarray
    z: jnp.ndarray
    hoop: jnp.ndarray
    radial: jnp.ndarray
    hoop_strain: jnp.ndarray


def free_turn_stress(blocks, hoop_modulus: float = np.inf, radii: int = RADII, levels: int = LEVELS) -> Stress:
    """Stress of turns that do not touch: J B_z r, over the whole section; hoop_modulus (Pa) gives the strain."""
    r, z = _places(blocks, radii, levels)
    load = _load(blocks, r, z)
    return Stress(r, z, load * r, jnp.zeros_like(r), load * r / hoop_modulus)


def bonded_stress(blocks, stiffness_ratio=1.0, poisson: float = 0.3, hoop_modulus: float = np.inf, radii: int = RADII,
                  levels: int = LEVELS) -> Stress:  # fmt: skip
    """Stress of bonded turns, each level of each section a ring of its own.

    stiffness_ratio: E_h/E_r, one number or one per block (N,); poisson: contraction across per stretch along the turns;
    hoop_modulus (Pa): E_h, for the strain.  Shear between the levels is left out, so a long thin coil is exact and a
    short thick one errs by what its ends hold back.
    """
    r, z = _places(blocks, radii, levels)
    k = jnp.sqrt(jnp.broadcast_to(jnp.asarray(stiffness_ratio, float), jnp.shape(blocks.z_low)))[:, None, None]
    hoop, radial = ring_stress(r, _load(blocks, r, z), k, poisson)
    return Stress(r, z, hoop, radial, (hoop - poisson * radial) / hoop_modulus)


def ring_stress(r, load, k, poisson):
    """(hoop, radial) Pa in rings free at both faces under a radial load (N/m3).

    r (..., Q) m on the points of `ring_points`, load there; k = sqrt(E_h/E_r) and poisson broadcast.
    """
    s = jnp.log(r / r[..., :1])
    integral = _integration(r.shape[-1])
    half = s[..., -1:] / 2
    cumulative = lambda f: half * jnp.einsum("ij,...j->...i", integral, f * load * r**2)
    even, odd = cumulative(jnp.cosh(k * s)), cumulative(jnp.sinh(k * s))
    cosh = jnp.cosh(k * s) * even - jnp.sinh(k * s) * odd  # integral of cosh k(s - s') times the load
    sinh = jnp.sinh(k * s) * even - jnp.cosh(k * s) * odd
    g, slope = cosh + poisson / k * sinh, k * sinh + poisson * cosh
    whole = g[..., -1:] / jnp.sinh(k * s[..., -1:])
    return (whole * k * jnp.cosh(k * s) - slope) / r, (whole * jnp.sinh(k * s) - g) / r


def ring_points(inner, outer, count: int = RADII):
    """Radii (..., count) m from inner to outer, Chebyshev points of ln r."""
    share = (1 - np.cos(np.pi * np.arange(count) / (count - 1))) / 2
    return inner[..., None] * (outer / inner)[..., None] ** share


def _integration(count: int) -> np.ndarray:
    """Matrix (count, count) from values at Chebyshev points of [-1, 1], rising, to integrals from -1 to each point."""
    x = -np.cos(np.pi * np.arange(count) / (count - 1))
    basis = chebyshev.chebvander(x, count - 1)
    integrals = np.stack([chebyshev.chebval(x, chebyshev.chebint(unit, lbnd=-1)) for unit in np.eye(count)], axis=1)
    return integrals @ np.linalg.inv(basis)


def _places(blocks, radii: int, levels: int):
    """r, z (N, levels, radii) m."""
    a, b, low, high = (jnp.asarray(v) for v in (blocks.inner_radius, blocks.outer_radius, blocks.z_low, blocks.z_high))
    share = np.linspace(0, 1, levels)[:, None]
    height = low[:, None, None] + (high - low)[:, None, None] * share
    r = ring_points(a, b, radii)[:, None, :]
    return jnp.broadcast_to(r, (len(a), levels, radii)), jnp.broadcast_to(height, (len(a), levels, radii))


def _load(blocks, r, z):
    """J B_z (N, levels, radii) N/m3, outwards."""
    count = len(blocks.z_low)
    along = section_field(blocks, r.reshape(count, -1), z.reshape(count, -1))[..., 1].reshape(r.shape)
    return blocks.current_density[:, None, None] * along
