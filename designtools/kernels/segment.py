"""Field and vector potential of straight current segments, exact and stable everywhere.

With Ri, Rf from start and end to the point, d = end - start, L = |d|, a = |Ri|, b = |Rf|:

    B = mu0 I/4pi  d x Ri (a + b)/(a b D),    A = mu0 I/4pi  d log(1 + L (a + b + L)/D)/L,    D = a b + Ri.Rf.

Beside the wire Ri.Rf < 0 cancels in D; since |d x Ri|^2 = (ab)^2 - (Ri.Rf)^2, D = |d x Ri|^2/(ab - Ri.Rf) there.
(Hanson & Hirshman, Phys. Plasmas 9 (2002) 4410, recast.)  On the conductor itself, to rounding of the input
coordinates, both fields are unbounded; the stated value is zero with zero gradient.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp

from designtools.kernels.elementary import log1p
from designtools.kernels.streaming import contract
from designtools.units import MU_0

_ROUNDING = (4 * 2.2e-16) ** 2


def field(points, start, end, current):
    """Flux density (P,3) T at points (P,3) m of segments start, end (S,3) m with current (S,) A."""
    if start.shape[0] == 0:
        return jnp.zeros(points.shape)
    # sum I f d x (r - start) = (sum f I d) x (r - o) - sum f I d x (start - o): one matrix product
    origin = start[:1]
    flow = (end - start) * current[:, None]
    weights = jnp.concatenate([flow, jnp.cross(flow, start - origin)], axis=1)
    total = contract(field_factor, points, (start, end), weights)[:, 0]
    return MU_0 / (4 * jnp.pi) * (jnp.cross(total[:, :3], points - origin) - total[:, 3:])


def potential(points, start, end, current):
    """Vector potential (P,3) T·m (Coulomb gauge for closed paths) of the same segments."""
    flow = (end - start) * current[:, None]
    return MU_0 / (4 * jnp.pi) * contract(potential_factor, points, (start, end), flow)[:, 0]


@jax.custom_jvp
def field_factor(xyz, start, end):
    """(a + b)/(a b D) in 1/m3: one array (S, P)."""
    total, product, dense, divisor, on = _distances(xyz, start, end, _minus(end, start))
    return (jnp.where(on, 0.0, total * divisor / (product * dense)),)


@field_factor.defjvp
def _field_factor_slope(primals, tangents):
    """The factor depends on a, b and Ri.Rf alone; their tangents, and so the adjoints, are small matrix products."""
    ri, rf = (_minus(primals[0], corner) for corner in primals[1:])
    total, product, dense, divisor, on = _distances(*primals, _minus(primals[2], primals[1]))
    inverse = jnp.where(on, 0.0, divisor / dense)  # 1/D
    factor = total * inverse / product
    a, b = (jnp.sqrt(jnp.where(on, 1.0, _dot(r, r))) for r in (ri, rf))
    by_start = -factor * (b / a) * (1 / (a * total) + inverse)
    by_end = -factor * (a / b) * (1 / (b * total) + inverse)
    start_dot, end_dot, cross_dot = jax.lax.optimization_barrier(_dot_tangents(primals, tangents))
    return (factor,), (by_start * start_dot + by_end * end_dot - factor * inverse * cross_dot,)


def _dot_tangents(primals, tangents):
    """Ri.dRi, Rf.dRf and d(Ri.Rf), each (S, P), linear in the tangents."""
    (p, s, e), (dp, ds, de) = (
        (jnp.concatenate(t[0]), *(jnp.concatenate(c, axis=1) for c in t[1:])) for t in (primals, tangents)
    )
    of_point = jnp.concatenate([dp, jnp.sum(p * dp, axis=0, keepdims=True)])
    of_ends = jnp.concatenate([p, jnp.ones_like(p[:1])])

    def tangent(corner, d_corner, self_dot, times):
        known = jnp.concatenate([-corner, jnp.full_like(corner[:, :1], times)], axis=1)
        linear = jnp.concatenate([-d_corner, jnp.sum(self_dot, axis=1, keepdims=True)], axis=1)
        return known @ of_point + linear @ of_ends

    return (
        tangent(s, ds, s * ds, 1.0),
        tangent(e, de, e * de, 1.0),
        tangent(s + e, ds + de, s * de + e * ds, 2.0),
    )


def potential_factor(xyz, start, end):
    """log(1 + L (a + b + L)/D)/L in 1/m: one array (S, P)."""
    direction = _minus(end, start)
    total, _, dense, divisor, on = _distances(xyz, start, end, direction)
    square = _dot(direction, direction)
    length = jnp.sqrt(jnp.where(square > 0, square, 1.0))
    return (jnp.where(on | (square == 0), 0.0, log1p(length * (total + length) * divisor / dense) / length),)


def _distances(xyz, start, end, direction):
    """a + b, a b, two numbers whose ratio is D, and the mask of points on the conductor (where all are 1 or so)."""
    ri, rf = _minus(xyz, start), _minus(xyz, end)
    aa, bb, dot = _dot(ri, ri), _dot(rf, rf), _dot(ri, rf)
    cross = _cross(direction, ri)
    area = _dot(cross, cross)
    touch = (
        _ROUNDING * (_dot(start, start) + _dot(end, end)) * _dot(direction, direction)
    )  # of the coordinates
    beside = dot <= 0
    on = beside & (area <= touch)
    product = jnp.sqrt(jnp.where(on, 1.0, aa * bb))
    total = jnp.sqrt(jnp.where(on, 1.0, aa + bb + 2 * product))
    reach = product + jnp.abs(dot)
    dense = jnp.where(on, 1.0, jnp.where(beside, area, reach))
    return total, product, dense, jnp.where(beside, reach, 1.0), on


def _minus(u, v):
    return tuple(a - b for a, b in zip(u, v))


def _dot(u, v):
    return u[0] * v[0] + u[1] * v[1] + u[2] * v[2]


def _cross(u, v):
    return (
        u[1] * v[2] - u[2] * v[1],
        u[2] * v[0] - u[0] * v[2],
        u[0] * v[1] - u[1] * v[0],
    )
