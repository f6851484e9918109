"""Thousands of small box-constrained quadratic programmes at once, each with a certified gap.

    minimise  x.H x / 2 + g.x   subject to  lower <= x <= upper        for every problem of the batch

A predictor-corrector interior point (Mehrotra, SIAM J. Optim. 2 (1992) 575), vectorised over the batch, finds the
active bounds; solving the equations of the coefficients that are left (a primal-dual active set: Hintermueller, Ito,
Kunisch, SIAM J. Optim. 13 (2003) 865) then sharpens the answer to rounding.  By convexity no admissible y has

    f(y) < f(x) + min over the box of grad f(x).(y - x),

whatever way x was found: that difference is the gap stated.
"""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

INTERIOR = 60  # steps of the interior point at most; 12 to 20 are usual
CLOSE = 1e-10  # gap, relative to the whole objective, at which the interior point ends
FLOOR = 1e-6  # of the objective in the middle of the box: below it, an objective is as good as zero
SHARP = 6  # rounds of the active set
RIDGE = 1e-14  # of the mean diagonal, added to the matrix that steps are computed with, not to the problem
BATCH = 256  # problems in one compiled call


def relative_gap(gap, objective, at_zero):
    """A gap (B,) relative to the objective, or to FLOOR of what it is at zero where next to nothing is left."""
    return gap / np.maximum(np.maximum(objective, FLOOR * np.asarray(at_zero)), 1e-300)


class Boxed(NamedTuple):
    """x (B,n); value (B,) of the objective; gap (B,): by how much another x could be better at most."""

    x: np.ndarray
    value: np.ndarray
    gap: np.ndarray


def solve(H, g, lower, upper, constant) -> Boxed:
    """The minimisers for H (B,n,n) symmetric and positive semidefinite, g, lower and upper (B,n), all finite.

    constant (B,): what the objective has besides, such as half the sum of squares at x = 0: a gap counts relative to
    the whole.  It is not in the value returned.

    Raises ValueError where a bound is infinite or the bounds cross; take unbounded coefficients out beforehand.
    """
    H, g, lower, upper, constant = (np.asarray(a, float) for a in (H, g, lower, upper, constant))
    _check(H, g, lower, upper)
    parts = [_padded(*(a[i : i + BATCH] for a in (H, g, lower, upper, constant))) for i in range(0, len(g), BATCH)]
    return Boxed(*(np.concatenate([p[k] for p in parts]) if parts else np.zeros(g.shape[: 2 - min(k, 1)]) for k in range(3)))


def _check(H, g, lower, upper):
    if H.shape != (*g.shape, g.shape[-1]) or lower.shape != g.shape or upper.shape != g.shape:
        raise ValueError(f"box.solve: H must have shape (B,n,n) and g, lower, upper (B,n), got {H.shape}, {g.shape}, {lower.shape}, {upper.shape}")
    if not (np.isfinite(lower).all() and np.isfinite(upper).all() and (lower <= upper).all()):
        raise ValueError("box.solve: bounds must be finite and lower must not exceed upper; take unbounded coefficients out beforehand")


def _padded(H, g, lower, upper, constant):
    """One compiled shape for every batch of up to a power of two."""
    count = len(g)
    size = min(BATCH, 1 << max(0, count - 1).bit_length())
    fill = lambda a: np.concatenate([a, np.repeat(a[-1:], size - count, axis=0)]) if size > count else a
    return [np.asarray(a)[:count] for a in _solve(*map(fill, (H, g, lower, upper, constant)))]


@jax.jit
def _solve(H, g, lower, upper, constant):
    """In units of half the width of each box, where the box is -1 <= t <= 1."""
    centre, half = (lower + upper) / 2, (upper - lower) / 2
    slope = g + jnp.einsum("bij,bj->bi", H, centre)
    scaled = half[:, :, None] * H * half[:, None, :]
    size = jnp.maximum(jnp.max(jnp.abs(half * slope), axis=1), 1e-300)  # so that every problem has slopes of order 1
    level = constant + jnp.sum(centre * (g + slope), axis=1) / 2
    t = jax.vmap(_one)(scaled / size[:, None, None], half * slope / size[:, None], level / size)
    x = centre + half * t
    gradient = g + jnp.einsum("bij,bj->bi", H, x)
    gap = jnp.sum(half * (jnp.abs(gradient) + gradient * t), axis=1)
    return x, jnp.sum(x * (g + gradient), axis=1) / 2, gap


def _one(Q, c, level):
    """t in [-1,1]^n that makes t.Q t / 2 + c.t least: the better of the interior point's answer and the sharpened one."""
    rough, held = _interior(Q, c, level)
    sharp = _sharpened(Q, c, rough, held)
    gap = lambda t: _gap(Q, c, t)
    return jnp.where(gap(sharp) < gap(rough), sharp, rough)


def _gap(Q, c, t):
    slope = Q @ t + c
    value = jnp.sum(jnp.abs(slope) + slope * t)
    return jnp.where(jnp.isnan(value), jnp.inf, value)


def _interior(Q, c, level):
    """(t, held): slacks s of both sides and their multipliers z are kept positive; held at a bound is what presses harder
    than it is away.  level: the objective at t = 0."""
    n = len(c)
    bias = RIDGE * (jnp.trace(Q) / n + 1.0) * jnp.eye(n)

    def step(state):
        t, z, best, _, count = state
        s = jnp.stack([1 - t, 1 + t])
        mu = jnp.sum(s * z) / (2 * n)
        root = jax.scipy.linalg.cho_factor(Q + bias + jnp.diag(jnp.sum(z / s, axis=0)), lower=True)
        slope = Q @ t + c
        affine = _direction(root, slope, s, z, -s * z)
        ahead = jnp.sum((s + _reach(s, z, affine) * affine[1]) * (z + _reach(s, z, affine) * affine[2])) / (2 * n)
        centring = (ahead / mu) ** 3
        both = _direction(root, slope, s, z, centring * mu - s * z - affine[1] * affine[2])
        far = 0.995 * _reach(s, z, both)
        t, z = t + far * both[0], z + far * both[2]
        best = jnp.where(_gap(Q, c, t) < _gap(Q, c, best), t, best)
        worth = level + jnp.sum(best * (c + Q @ best + c)) / 2
        return t, z, best, _gap(Q, c, best) <= CLOSE * jnp.maximum(worth, FLOOR * level), count + 1

    def unfinished(state):
        return ~state[3] & (state[4] < INTERIOR)

    start = (jnp.zeros(n), jnp.full((2, n), 1.0), jnp.zeros(n), jnp.asarray(False), 0)
    t, z, best, *_ = jax.lax.while_loop(unfinished, step, start)
    return jnp.clip(best, -1, 1), jnp.where(z[0] > 1 - t, 1.0, jnp.where(z[1] > 1 + t, -1.0, 0.0))


def _direction(root, slope, s, z, target):
    """Newton's step (dt, ds, dz) to s z + ds z + s dz = s z + target and Q t + c + z_upper - z_lower = 0."""
    pull = (target / s) * jnp.array([[1.0], [-1.0]])
    dt = jax.scipy.linalg.cho_solve(root, -(slope + z[0] - z[1]) - pull[0] - pull[1])
    ds = jnp.stack([-dt, dt])
    return dt, ds, (target - z * ds) / s


def _reach(s, z, step):
    """The longest step, at most 1, that leaves slacks and multipliers positive."""
    limit = lambda v, dv: jnp.min(jnp.where(dv < 0, -v / jnp.where(dv < 0, dv, -1.0), jnp.inf))
    return jnp.minimum(1.0, jnp.minimum(limit(s, step[1]), limit(z, step[2])))


def _sharpened(Q, c, t, edge):
    """What is held at its bound (edge +-1) stays there, the rest solves its equations, and what is held is looked at
    anew: bounds that are passed hold, those that pull away let go.  The best round counts."""
    n = len(c)
    bias = RIDGE * (jnp.trace(Q) / n + 1.0)

    def round_(state, _):
        t, edge, best = state
        free = edge == 0
        M = jnp.where(free[:, None] & free[None, :], Q, 0.0) + jnp.diag(jnp.where(free, bias, 1.0))
        root = jax.scipy.linalg.cho_factor(M, lower=True)
        here = jnp.where(free, t, edge)
        for _ in range(2):  # the second mends what the ridge and rounding left
            here = here - jax.scipy.linalg.cho_solve(root, jnp.where(free, Q @ here + c, 0.0))
        here = jnp.where(jnp.isnan(here), t, here)
        slope = Q @ here + c
        again = jnp.where(free, jnp.where(jnp.abs(here) > 1, jnp.sign(here), 0.0), jnp.where(slope * edge <= 0, edge, 0.0))
        here = jnp.clip(here, -1, 1)
        return (here, again, jnp.where(_gap(Q, c, here) < _gap(Q, c, best), here, best)), None

    return jax.lax.scan(round_, (t, edge, t), None, length=SHARP)[0][2]
