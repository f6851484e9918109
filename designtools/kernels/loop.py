"""Field and vector potential of a circular current loop, exact everywhere.

Cylindrical coordinates of the loop: z along its normal, r from its axis, radius a, current 1 A.
With s = a^2 + r^2 + z^2 and

    T = sqrt((r^2 - a^2 + z^2)^2 + 4 a^2 z^2)      product of nearest and farthest distance to the wire
    alpha^2 = (s + T) / 2,   m = (a r / alpha^2)^2,   1 - m = T / alpha^2

(one descending Landen step from the textbook modulus) every quantity depends on r only through r^2
and none of the terms cancels on the axis, beside the wire or far away:

    A_phi / r = mu0 a^2 D / (pi alpha^3)
    B_r / r   = mu0 a^2 z G / (pi alpha T^2)
    B_z       = mu0 a^2 [(a^2 - r^2 + z^2) G + T^2 D / alpha^2] / (2 pi alpha T^2)

D and G as in `elliptic`.  On the wire itself the field is infinite; the value returned is 0.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp

from designtools.kernels.elliptic import potential_integral, ring_integrals
from designtools.kernels.streaming import contract
from designtools.units import MU_0


def field(points, centre, normal, radius, current):
    """Flux density (P,3) T at points (P,3) m: centre (N,3) m, unit normal (N,3), radius (N,) m, current (N,) A."""
    return contract(field_factors, points, (centre, normal, radius), current[:, None])[:, :, 0]


def potential(points, centre, normal, radius, current):
    """Vector potential (P,3) T·m of the same loops."""
    return contract(potential_factors, points, (centre, normal, radius), current[:, None])[:, :, 0]


def soft_potential(points, centre, normal, radius, current, distance):
    """As `potential`, with the distance from each wire never taken below `distance` (m), for self-inductance."""
    lift = jnp.full(radius.shape[0], distance)
    return contract(soft_potential_factors, points, (centre, normal, radius, lift), current[:, None])[:, :, 0]


def soft_potential_factors(xyz, centre, normal, radius, distance):
    """As `potential_factors` for `soft_potential`."""
    height, side, r2 = _cylindrical(xyz, centre, normal)
    gap = (jnp.sqrt(r2) - radius) ** 2 + height * height
    lifted = jnp.sqrt(height * height + jnp.maximum(distance**2 - gap, 0.0))
    return _about(normal, side, loop_potential(r2, lifted, radius))


def field_factors(xyz, centre, normal, radius):
    """B per ampere, T/A: three arrays (N, P); B = B_z n + (B_r / r) (d - (d.n) n)."""
    height, across, r2 = _cylindrical(xyz, centre, normal)
    along, radial = loop_field(r2, height, radius)
    return tuple(along * n + radial * side for n, side in zip(normal, across))


def potential_factors(xyz, centre, normal, radius):
    """A per ampere, T·m/A: three arrays (N, P); A = (A_phi / r) n x d."""
    height, side, r2 = _cylindrical(xyz, centre, normal)
    return _about(normal, side, loop_potential(r2, height, radius))


def _about(normal, side, swirl):
    """swirl times normal x side."""
    (nx, ny, nz), (x, y, z) = normal, side
    return swirl * (ny * z - nz * y), swirl * (nz * x - nx * z), swirl * (nx * y - ny * x)


def _cylindrical(xyz, centre, normal):
    """Height along the normal, the vector across it, and the squared distance from the axis."""
    d = tuple(p - c for p, c in zip(xyz, centre))
    height = d[0] * normal[0] + d[1] * normal[1] + d[2] * normal[2]
    across = tuple(component - height * n for component, n in zip(d, normal))
    return height, across, across[0] ** 2 + across[1] ** 2 + across[2] ** 2


def loop_field(r2, z, a):
    """(B_z, B_r / r) in T and T/m per ampere at squared radius r2 and height z, for radius a (all m)."""
    alpha2, t2, off_wire = _shape(r2, z, a)
    d, g = ring_integrals(jnp.sqrt(t2) / alpha2)
    scale = jnp.where(off_wire, MU_0 / (2 * jnp.pi) * a * a / (jnp.sqrt(alpha2) * t2), 0.0)
    outside = _difference_of_squares(r2, a)
    return scale * ((z * z - outside) * g + t2 / alpha2 * d), scale * (2 * z * g)


def loop_potential(r2, z, a):
    """A_phi / r in T per ampere at squared radius r2 and height z, for radius a (all m)."""
    alpha2, t2, off_wire = _shape(r2, z, a)
    d = potential_integral(jnp.sqrt(t2) / alpha2)
    return jnp.where(off_wire, MU_0 / jnp.pi * a * a * d / (alpha2 * jnp.sqrt(alpha2)), 0.0)


def _shape(r2, z, a):
    """alpha^2, T^2 and whether the point is off the wire; on it both are replaced by 1 (double where)."""
    z2 = z * z
    t2 = (_difference_of_squares(r2, a) + z2) ** 2 + 4 * a * a * z2
    off_wire = t2 > 0
    t2 = jnp.where(off_wire, t2, 1.0)
    alpha2 = jnp.where(off_wire, (a * a + r2 + z2 + jnp.sqrt(t2)) / 2, 1.0)
    return alpha2, t2, off_wire


@jax.custom_jvp
def _difference_of_squares(r2, a):
    """r^2 - a^2 as (r - a)(r + a): r^2 itself has too few digits within 1e-6 a of the wire."""
    r = jnp.sqrt(r2)
    return (r - a) * (r + a)


@_difference_of_squares.defjvp
def _difference_of_squares_jvp(primals, tangents):
    r2, a = primals
    dr2, da = tangents
    return _difference_of_squares(r2, a), dr2 - 2 * a * da
