"""Uniformly polarised spheres: a dipole outside, uniform inside (Jackson, Classical Electrodynamics, sec. 5.10).

Polarization J, radius a, d from the centre; strength s = 4/3 pi a^3 J:

    outside  the dipole s (`dipole`);    inside  B = 2 J/3,    A = J x d/3,    mu0 phi = J.d/3.

A and phi are continuous; on the surface B is the value outside.
"""

from __future__ import annotations

import jax.numpy as jnp

from designtools.kernels.dipole import flux_of, potential_of, scalar_potential_of
from designtools.kernels.segment import _cross, _dot, _minus
from designtools.kernels.streaming import contract
from designtools.units import MU_0


def field(points, centre, radius, polarization):
    """Flux density (P,3) T at points (P,3) m: centre (N,3) m, radius (N,) m, polarization (N,3) T."""
    return _sum(field_of, points, centre, radius, polarization)


def potential(points, centre, radius, polarization):
    """Vector potential (P,3) T·m of the same spheres."""
    return _sum(vector_of, points, centre, radius, polarization)


def scalar_potential(points, centre, radius, polarization):
    """Scalar potential (P,) A of the same spheres."""
    return _sum(scalar_of, points, centre, radius, polarization)[:, 0] / MU_0


def field_of(xyz, centre, radius, polarization):
    """B: three arrays (N, P) in T."""
    return _inside_or_out(flux_of, lambda d, j: tuple(2 * c / 3 for c in j), xyz, centre, radius, polarization)


def vector_of(xyz, centre, radius, polarization):
    """A: three arrays (N, P) in T·m."""
    inside = lambda d, j: tuple(c / 3 for c in _cross(j, d))
    return _inside_or_out(potential_of, inside, xyz, centre, radius, polarization)


def scalar_of(xyz, centre, radius, polarization):
    """mu0 phi: one array (N, P) in T·m."""
    return _inside_or_out(scalar_potential_of, lambda d, j: (_dot(j, d) / 3,), xyz, centre, radius, polarization)


def _inside_or_out(outside, inside, xyz, centre, radius, polarization):
    d = _minus(xyz, centre)
    within = _dot(d, d) < radius**2
    volume = 4 / 3 * jnp.pi * radius**3
    out = outside(tuple(jnp.where(within, radius, c) for c in d), tuple(volume * j for j in polarization))
    return tuple(jnp.where(within, a, b) for a, b in zip(inside(d, polarization), out))


def _sum(kernel, points, centre, radius, polarization):
    return contract(kernel, points, (centre, radius, polarization), jnp.ones((radius.shape[0], 1)))[:, :, 0]
