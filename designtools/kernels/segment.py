"""Field and vector potential of straight current segments, exact and stable everywhere.

With Ri, Rf from start and end to the point, d = end - start, a = |Ri|, b = |Rf|:

    B = mu0 I/4pi  d x Ri (a + b)/(a b D),    A = mu0 I/4pi  d log(1 + L (a + b + L)/D)/L,    D = a b + Ri.Rf.

Beside the wire Ri.Rf < 0 cancels in D; since |d x Ri|^2 = (ab)^2 - (Ri.Rf)^2, D = |d x Ri|^2/(ab - Ri.Rf) there.
(Hanson & Hirshman, Phys. Plasmas 9 (2002) 4410, recast.)  On the conductor itself, to rounding of the input
coordinates, both fields are unbounded; the stated value is zero with zero gradient.
"""

from __future__ import annotations

import jax.numpy as jnp

from designtools.kernels.streaming import contract
from designtools.units import MU_0

_ROUNDING = (4 * 2.2e-16) ** 2


def field(points, start, end, current):
    """Flux density (P,3) T at points (P,3) m of segments start, end (S,3) m with current (S,) A."""
    total = contract(field_factors, points, (start, end), current[:, None])
    return MU_0 / (4 * jnp.pi) * total[:, :, 0]


def potential(points, start, end, current):
    """Vector potential (P,3) T·m (Coulomb gauge for closed paths) of the same segments."""
    direction = (end - start) * current[:, None]
    total = contract(potential_factor, points, (start, end), direction)
    return MU_0 / (4 * jnp.pi) * total[:, 0, :]


def field_factors(xyz, start, end):
    """4 pi B/(mu0 I) in 1/m: three arrays (S, P)."""
    d, ri, a, b, dense, on = _distances(xyz, start, end)
    factor = jnp.where(on, 0.0, (a + b) / (a * b * dense))
    return tuple(component * factor for component in _cross(d, ri))


def potential_factor(xyz, start, end):
    """4 pi |A|/(mu0 I L) in 1/m, along the segment: one array (S, P)."""
    d, _, a, b, dense, on = _distances(xyz, start, end)
    square = _dot(d, d)
    length = jnp.sqrt(jnp.where(square > 0, square, 1.0))
    return (jnp.where(on | (square == 0), 0.0, jnp.log1p(length * (a + b + length) / dense) / length),)


def _distances(xyz, start, end):
    """d, Ri, a, b, D and the mask of points on the conductor, where a, b, D are replaced by 1."""
    d = tuple(e - s for e, s in zip(end, start))
    ri = tuple(p - s for p, s in zip(xyz, start))
    rf = tuple(p - e for p, e in zip(xyz, end))
    aa, bb, dot = _dot(ri, ri), _dot(rf, rf), _dot(ri, rf)
    cross = _cross(d, ri)
    cross_square = _dot(cross, cross)
    touch = _ROUNDING * (_dot(start, start) + _dot(end, end)) * _dot(d, d)  # rounding of the coordinates
    beside = dot <= 0
    on = beside & (cross_square <= touch)
    a = jnp.sqrt(jnp.where(on, 1.0, aa))
    b = jnp.sqrt(jnp.where(on, 1.0, bb))
    product = a * b
    near = cross_square / jnp.where(beside, product - jnp.where(on, 0.0, dot), 1.0)
    dense = jnp.where(beside, near, product + jnp.where(beside, 0.0, dot))
    return d, ri, a, b, jnp.where(on, 1.0, dense), on


def _dot(u, v):
    return u[0] * v[0] + u[1] * v[1] + u[2] * v[2]


def _cross(u, v):
    return (
        u[1] * v[2] - u[2] * v[1],
        u[2] * v[0] - u[0] * v[2],
        u[0] * v[1] - u[1] * v[0],
    )
