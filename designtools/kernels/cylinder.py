"""Uniformly polarised cylinders, solid or hollow, any direction of polarization, inside and out.

The polarization J splits into its part along the axis, whose bound current is two thin solenoids (outer and inner
surface), and its part across, whose charge J.n covers the same surfaces; both, and the gradient g of int dV'/R that
gives the potentials A = -J x g/4 pi and mu0 phi = -J.g/4 pi, are in `solenoid`.  Beyond 40 half-diagonals, where the
surfaces nearly cancel, 96 Gauss points of dipoles in the volume replace them (error (1/40)^8).

On the lateral surfaces the value is the mean of both sides, on the end faces one of the two limits; on a rim, where
the field may be infinite, a large finite number.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np

from designtools.kernels.dipole import flux_of, potential_of, scalar_potential_of
from designtools.kernels.frame import from_own, to_own
from designtools.kernels.segment import _cross, _dot
from designtools.kernels.solenoid import charge_sheet, current_sheet, slope_of_volume, tube
from designtools.kernels.streaming import contract
from designtools.units import MU_0

_FAR = 40.0  # half-diagonals from the centre


def field(points, centre, axes, inner, outer, length, polarization):
    """Flux density (P,3) T at points (P,3) m.

    centre (N,3) m; axes (N,3,3), columns are the magnet's axes; inner, outer, length (N,) m; polarization (N,3) T, own
    frame.
    """
    return _sum(field_of, points, centre, axes, inner, outer, length, polarization)


def potential(points, centre, axes, inner, outer, length, polarization):
    """Vector potential (P,3) T·m of the same magnets."""
    return _sum(vector_of, points, centre, axes, inner, outer, length, polarization)


def scalar_potential(points, centre, axes, inner, outer, length, polarization):
    """Scalar potential (P,) A of the same magnets."""
    return _sum(scalar_of, points, centre, axes, inner, outer, length, polarization)[:, 0] / MU_0


def field_of(xyz, centre, axes, inner, outer, length, polarization):
    """B: three arrays (N, P) in T."""
    own = _near_or_far(_near_field, flux_of, 3, to_own(xyz, centre, axes), inner, outer, length, polarization)
    return from_own(own, axes)


def vector_of(xyz, centre, axes, inner, outer, length, polarization):
    """A: three arrays (N, P) in T·m."""
    own = _near_or_far(_near_vector, potential_of, 3, to_own(xyz, centre, axes), inner, outer, length, polarization)
    return from_own(own, axes)


def scalar_of(xyz, centre, axes, inner, outer, length, polarization):
    """mu0 phi: one array (N, P) in T·m."""
    own = to_own(xyz, centre, axes)
    return _near_or_far(_near_scalar, scalar_potential_of, 1, own, inner, outer, length, polarization)


def _near_field(position, inner, outer, length, polarization):
    def full(radius):
        bx, by, bz = current_sheet(*position, radius, length / 2)
        hx, hy, hz = charge_sheet(*position, radius, length / 2, polarization[0], polarization[1])
        inside = tube(*position, radius, length / 2)
        jx, jy, jz = polarization
        return bx * jz + hx + inside * jx, by * jz + hy + inside * jy, bz * jz + hz

    return _hollow(full, inner, outer)


def _near_vector(position, inner, outer, length, polarization):
    slope = _hollow(lambda radius: slope_of_volume(*position, radius, length / 2), inner, outer)
    return tuple(-c / (4 * jnp.pi) for c in _cross(polarization, slope))


def _near_scalar(position, inner, outer, length, polarization):
    slope = _hollow(lambda radius: slope_of_volume(*position, radius, length / 2), inner, outer)
    return (-_dot(polarization, slope) / (4 * jnp.pi),)


def _hollow(full, inner, outer):
    """The full cylinder less its bore, where there is one."""
    bored = inner > 0
    whole = full(outer)
    nothing = tuple(jnp.zeros_like(part) for part in whole)
    bore = jax.lax.cond(jnp.any(bored), lambda: full(jnp.where(bored, inner, outer / 2)), lambda: nothing)
    return tuple(a - jnp.where(bored, b, 0.0) for a, b in zip(whole, bore))


def _near_or_far(near, dipole, count, position, inner, outer, length, polarization):
    """Each form runs only if some point of the tile needs it; points it does not serve are moved to a tame place."""
    *position, inner, outer, length = jnp.broadcast_arrays(*position, inner, outer, length)
    half = jnp.sqrt(outer**2 + length**2 / 4)
    far = _dot(position, position) > (_FAR * half) ** 2
    away = (jnp.where(far, position[0], 1e3 * half), *position[1:])
    close = tuple(jnp.where(far, half / 3, p) for p in position)
    nothing = (jnp.zeros_like(half),) * count
    from_near = jax.lax.cond(jnp.all(far), lambda: nothing, lambda: near(close, inner, outer, length, polarization))
    sum_far = lambda: _cubature(dipole, away, inner, outer, length, polarization)
    from_far = jax.lax.cond(jnp.any(far), sum_far, lambda: nothing)
    return tuple(jnp.where(far, a, b) for a, b in zip(from_far, from_near))


def _cubature(dipole, position, inner, outer, length, polarization, radial=3, around=8, along=4):
    """Dipoles on Gauss points of r^2 and z and on even azimuths."""
    (tr, wr), (tz, wz) = np.polynomial.legendre.leggauss(radial), np.polynomial.legendre.leggauss(along)
    phi = 2 * np.pi * np.arange(around) / around
    grid = np.stack([axis.ravel() for axis in np.meshgrid(tr, phi, tz, indexing="ij")])
    tr, phi, tz = (axis.reshape(-1, 1, 1) for axis in grid)
    weight = (wr[:, None, None] * np.ones(around)[:, None] * wz).reshape(-1, 1, 1) / (4 * around)
    volume = jnp.pi * (outer**2 - inner**2) * length
    r = jnp.sqrt((inner**2 + outer**2) / 2 + (outer**2 - inner**2) / 2 * tr)
    place = r * np.cos(phi), r * np.sin(phi), length / 2 * tz
    parts = dipole(tuple(p - q for p, q in zip(position, place)), tuple(weight * volume * j for j in polarization))
    return tuple(jnp.sum(part, axis=0) for part in parts)


def _sum(kernel, points, centre, axes, inner, outer, length, polarization):
    sources = (centre, axes.reshape(-1, 9), inner, outer, length, polarization)
    return contract(kernel, points, sources, jnp.ones((inner.shape[0], 1)), chunk=1)[:, :, 0]
