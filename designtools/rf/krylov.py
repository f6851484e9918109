"""Generalised minimal residuals for complex systems, in JAX: restarted, with the residual known at every step.

Y. Saad, M. H. Schultz, SIAM J. Sci. Stat. Comput. 7 (1986) 856.  Orthogonalisation by classical Gram-Schmidt twice.
"""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp


class Outcome(NamedTuple):
    """Solution, number of products with the matrix, and residual relative to the right-hand side."""

    x: jax.Array
    products: jax.Array
    residual: jax.Array


class _Arnoldi(NamedTuple):
    step: jax.Array
    basis: jax.Array  # (m+1, n)
    triangle: jax.Array  # (m, m), by columns
    turns: jax.Array  # (m, 2): cosine and sine of the rotations
    right: jax.Array  # (m+1,): rotated right-hand side


def gmres(product, right, tolerance: float = 1e-5, restart: int = 100, cycles: int = 20) -> Outcome:
    """Solve product(x) = right (n,) complex until |residual| <= tolerance |right|, or `cycles` restarts are spent.

    Memory: (restart + 1) vectors.  Inside jit; not differentiable by itself: wrap it in lax.custom_linear_solve.
    """
    size = jnp.linalg.norm(right)
    goal = tolerance * size

    def more(state):
        x, rest, cycle, _ = state
        return (jnp.linalg.norm(rest) > goal) & (cycle < cycles)

    def cycle(state):
        x, rest, count, spent = state
        change, steps = _cycle(product, rest, goal, restart)
        x = x + change
        return x, right - product(x), count + 1, spent + steps + 1

    x, rest, _, spent = jax.lax.while_loop(more, cycle, (jnp.zeros_like(right), right, 0, 0))
    return Outcome(x, spent, jnp.linalg.norm(rest) / jnp.where(size > 0, size, 1.0))


def _cycle(product, rest, goal, restart: int):
    """The change of x that makes the residual smallest over one Krylov space, and its dimension."""
    start = jnp.linalg.norm(rest)
    m, dtype = restart, rest.dtype
    basis = jnp.zeros((m + 1, rest.size), dtype).at[0].set(rest / start)
    state = _Arnoldi(0, basis, jnp.zeros((m, m), dtype), jnp.zeros((m, 2), dtype), jnp.zeros(m + 1, dtype).at[0].set(start))
    state = jax.lax.while_loop(
        lambda s: (s.step < m) & (jnp.abs(s.right[s.step]) > 0.9 * goal), lambda s: _step(product, s), state
    )
    used = jnp.arange(m) < state.step
    upper = jnp.where(used[:, None] & used[None], state.triangle.T, jnp.eye(m, dtype=dtype))
    weights = jax.scipy.linalg.solve_triangular(upper, jnp.where(used, state.right[:m], 0))
    return jnp.append(weights, 0) @ state.basis, state.step


def _step(product, state: _Arnoldi) -> _Arnoldi:
    k, basis = state.step, state.basis
    new = product(basis[k])
    first = (basis @ new.conj()).conj()  # not basis.conj() @ new, which copies the basis
    new = new - first @ basis
    second = (basis @ new.conj()).conj()
    new = new - second @ basis
    length = jnp.linalg.norm(new)
    column = (first + second).at[k + 1].set(length)
    column, turn = _rotate(column, state.turns, k)
    right = state.right
    right = right.at[k + 1].set(-turn[1].conj() * right[k]).at[k].set(turn[0] * right[k])
    return _Arnoldi(
        k + 1, basis.at[k + 1].set(new / jnp.where(length > 0, length, 1.0)), state.triangle.at[k].set(column[:-1]),
        state.turns.at[k].set(turn), right,
    )  # fmt: skip


def _rotate(column, turns, k):
    """Earlier rotations on a new column, then the one that makes its last entry zero."""

    def turned(i, column):
        c, s = turns[i]
        a, b = column[i], column[i + 1]
        return column.at[i].set(c * a + s * b).at[i + 1].set(-s.conj() * a + c * b)

    column = jax.lax.fori_loop(0, k, turned, column)
    a, b = column[k], column[k + 1]
    size = jnp.sqrt(jnp.abs(a) ** 2 + jnp.abs(b) ** 2)
    phase = jnp.where(jnp.abs(a) > 0, a / jnp.where(jnp.abs(a) > 0, jnp.abs(a), 1), 1.0)
    c, s = (jnp.abs(a) / size).astype(column.dtype), phase * b.conj() / size
    return column.at[k].set(phase * size).at[k + 1].set(0), jnp.stack([c, s])
