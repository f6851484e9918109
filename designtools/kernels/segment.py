"""Field and vector potential of straight current segments, exact and stable everywhere.

In cylindrical coordinates of the segment (length L, unit vector e): t and u = t - L are the heights of the point
above its start and its end, h the squared distance from its line, a and b the distances from start and end:

    B = mu0 I/4pi  L e x Ri (a + b)/(a b D),    A = mu0 I/4pi  e log(1 + L (a + b + L)/D),    D = a b + (h + t u).

Beside the wire h + t u = Ri.Rf < 0 cancels in D, where D = L^2 h/(a b - Ri.Rf) instead.
(Hanson & Hirshman, Phys. Plasmas 9 (2002) 4410, recast.)  On the conductor itself, to rounding of the input
coordinates, both fields are unbounded; the stated value is zero with zero gradient.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp

from designtools.kernels.elementary import log1p
from designtools.kernels.streaming import contract, real
from designtools.units import MU_0


def field(points, start, end, current):
    """Flux density (P,3) T at points (P,3) m of segments start, end (S,3) m with current (S,) A."""
    if start.shape[0] == 0:
        return jnp.zeros(points.shape)
    # sum I f d x (r - start) = (sum f I d) x (r - o) - sum f I d x (start - o): one matrix product
    current = real(current)
    points, start, end = (array.astype(current.dtype) for array in (points, start, end))
    weights = _moments(start, end, current)
    total = contract(field_factor, points, (start, end), weights, single=True)[:, 0]
    return _assemble(points - start[:1], total)


def potential(points, start, end, current):
    """Vector potential (P,3) T·m (Coulomb gauge for closed paths) of the same segments."""
    flow = real((end - start) * current[:, None])
    total = contract(potential_factor, points, (start, end), flow, single=True)[:, 0]
    return MU_0 / (4 * jnp.pi) * total


@jax.jit
def _moments(start, end, current):
    """I d and its moment about the first start, side by side: (S, 6)."""
    flow = (end - start) * current[:, None]
    return jnp.concatenate([flow, jnp.cross(flow, start - start[:1])], axis=1)


@jax.jit
def _assemble(points, total):
    return MU_0 / (4 * jnp.pi) * (jnp.cross(total[:, :3], points) - total[:, 3:])


@jax.custom_jvp
def field_factor(xyz, start, end):
    """(a + b)/(a b D) in 1/m3: one array (S, P)."""
    a, b, dense, divisor, _, touch = _distances(xyz, start, end)
    return (jnp.where(dense > touch, (a + b) * divisor / (a * b * dense), 0.0),)


@field_factor.defjvp
def _field_factor_slope(primals, tangents):
    """With s = a + b, D = (s^2 - L^2)/2: the tangents of a, b and L, and so the adjoints, are small matrix products."""
    a, b, dense, divisor, _, touch = _distances(*primals, smooth=True)
    both, inverse = 1 / (a * b), jnp.where(dense > touch, divisor / dense, 0.0)  # 1/ab, 1/D
    to_start, to_end = b * both, a * both
    factor = (to_start + to_end) * inverse
    bend = (a + b) * factor
    by_start = -inverse * to_start * (to_start * to_start + bend)
    by_end = -inverse * to_end * (to_end * to_end + bend)
    start_dot, end_dot, length_dot = jax.lax.optimization_barrier(_dot_tangents(primals, tangents))
    return (factor,), (by_start * start_dot + by_end * end_dot + factor * inverse * length_dot,)


@jax.custom_jvp
def potential_factor(xyz, start, end):
    """log(1 + L (a + b + L)/D)/L in 1/m: one array (S, P)."""
    a, b, dense, divisor, length, touch = _distances(xyz, start, end)
    reach = log1p(length * (a + b + length) * divisor / dense)
    return (jnp.where(dense > touch, reach / jnp.where(length > 0, length, 1.0), 0.0),)


@potential_factor.defjvp
def _potential_factor_slope(primals, tangents):
    """log((s + L)/(s - L))/L has the slopes -1/D by s = a + b and (s/D - itself)/L by L."""
    a, b, dense, divisor, length, touch = _distances(*primals, smooth=True)
    (factor,) = potential_factor(*primals)
    inverse = jnp.where(dense > touch, divisor / dense, 0.0)
    by_length = ((a + b) * inverse - factor) / jnp.where(length > 0, length, 1.0) ** 2
    start_dot, end_dot, length_dot = jax.lax.optimization_barrier(_dot_tangents(primals, tangents))
    return (factor,), (by_length * length_dot - inverse * (start_dot / a + end_dot / b),)


def _dot_tangents(primals, tangents):
    """Ri.dRi and Rf.dRf, each (S, P), and d.dd of the segment vector d, (S, 1): linear in the tangents."""
    (p, s, e), (dp, ds, de) = (
        (jnp.concatenate(t[0]), *(jnp.concatenate(c, axis=1) for c in t[1:])) for t in (primals, tangents)
    )
    of_point = jnp.concatenate([dp, jnp.sum(p * dp, axis=0, keepdims=True)])
    of_ends = jnp.concatenate([p, jnp.ones_like(p[:1])])

    def tangent(corner, d_corner):
        known = jnp.concatenate([-corner, jnp.ones_like(corner[:, :1])], axis=1)
        linear = jnp.concatenate([-d_corner, jnp.sum(corner * d_corner, axis=1, keepdims=True)], axis=1)
        return known @ of_point + linear @ of_ends

    return tangent(s, ds), tangent(e, de), jnp.sum((e - s) * (de - ds), axis=1, keepdims=True)


def _distances(xyz, start, end, smooth=False):
    """a, b, two numbers whose ratio is D, L (S, 1), and what the first of the two (S, 1) must exceed off the conductor.

    `smooth` keeps the distance from the line above half of its own rounding, so that no slope divides by zero.
    """
    unit, length, square = _frame(start, end)
    rounding = _rounding(start, end)
    ri = _minus(xyz, start)
    along = _dot(ri, unit)
    across = tuple(r - along * e for r, e in zip(ri, unit))
    off, beyond = _dot(across, across), along - length
    if smooth:
        off = jnp.maximum(off, rounding / 4 + jnp.finfo(along.dtype).tiny ** 0.5)
    inner = off + along * beyond
    a, b = jnp.sqrt(off + along * along), jnp.sqrt(off + beyond * beyond)
    beside = inner <= 0
    reach = a * b + jnp.where(beside, -inner, inner)
    dense, divisor = jnp.where(beside, square * off, reach), jnp.where(beside, reach, 1.0)
    return a, b, dense, divisor, length, square * rounding


def _frame(start, end):
    """Unit vector, length and its square, columns (S, 1); zeros for a segment of no length."""
    direction = _minus(end, start)
    square = _dot(direction, direction)
    length = jnp.sqrt(jnp.where(square > 0, square, 1.0))
    return tuple(component / length for component in direction), jnp.where(square > 0, length, 0.0), square


def _rounding(start, end):
    """The square (m2) of what rounding of the coordinates may amount to."""
    return (4 * jnp.finfo(start[0].dtype).eps) ** 2 * (_dot(start, start) + _dot(end, end))


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
