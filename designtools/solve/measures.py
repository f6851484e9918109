"""How a quantity becomes a number: each measure said once in JAX and once in cvxpy.

`peak` of an (n,k) quantity with k > 1 is the largest row norm; everything else acts on all entries.
"""

from __future__ import annotations

from typing import NamedTuple

import jax.numpy as jnp

HUBER_KNEE = 1.0
CVAR_TAIL = 0.1


class Measure(NamedTuple):
    """One measure: as a function of arrays for JAX, and of (cvxpy, expression, width) for cvxpy."""
    jax: object
    cvxpy: object


def rows(value):
    """An (n,k) view of a quantity: vectors along the last axis, scalars as k = 1."""
    return value.reshape(-1, 1) if value.ndim < 2 else value.reshape(-1, value.shape[-1])


def _peak_jax(r):
    return jnp.max(jnp.sqrt(jnp.sum(rows(r) ** 2, axis=1)))


def _peak_cvxpy(cp, r, width):
    return cp.max(cp.abs(r)) if width == 1 else cp.max(cp.norm(cp.reshape(r, (r.size // width, width), order="C"), axis=1))


def _huber_jax(r):
    size = jnp.abs(r)
    return jnp.sum(jnp.where(size <= HUBER_KNEE, size**2, 2 * HUBER_KNEE * size - HUBER_KNEE**2))


def _cvar_jax(r):
    size = jnp.sort(jnp.abs(jnp.ravel(r)))[::-1]
    return jnp.mean(size[: max(1, round(CVAR_TAIL * size.size))])


MEASURES = {
    "sum_squares": Measure(lambda r: jnp.sum(r**2), lambda cp, r, width: cp.sum_squares(r)),
    "peak": Measure(_peak_jax, _peak_cvxpy),
    "l1": Measure(lambda r: jnp.sum(jnp.abs(r)), lambda cp, r, width: cp.norm1(r)),
    "huber": Measure(_huber_jax, lambda cp, r, width: cp.sum(cp.huber(r, HUBER_KNEE))),
    "cvar": Measure(
        _cvar_jax,
        lambda cp, r, width: cp.sum_largest(cp.abs(r), max(1, round(CVAR_TAIL * r.size))) / max(1, round(CVAR_TAIL * r.size)),
    ),
    "value": Measure(lambda r: jnp.sum(r), lambda cp, r, width: cp.sum(r)),
}


def measure(name: str) -> Measure:
    """The measure called `name`; raises ValueError listing the known ones."""
    if name not in MEASURES:
        raise ValueError(f"measure must be one of {', '.join(MEASURES)}, got '{name}'")
    return MEASURES[name]
