"""Symmetric matrices of a smooth kernel between elements in space, stored as blocks of low rank.

Elements are halved along the longest side of their box into clusters of equal size.  Blocks of two clusters farther apart
than the smaller one's diameter are approximated by crosses, one row and one column of the residual at a time
(adaptive cross approximation: Bebendorf, Numer. Math. 86 (2000) 565), all blocks of a level together; what is left
near the diagonal is stored whole.  Time and memory grow as n log(n) log(1/error).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np

_LEAF = 48  # elements in the smallest clusters, at most
_BATCH = 1 << 22  # numbers in the factors of the blocks that are found together


@dataclass(frozen=True)
class LowRankMatrix:
    """A symmetric matrix (n,n): `matvec` (n,...) -> (n,...).

    order (N,): the element of each place, n for a place that only fills up; dense, low: per level blocks
    (row cluster (B,), column cluster (B,), values (B,m,m) or factors (B,m,r), (B,m,r)).
    """

    size: int
    order: np.ndarray
    dense: list
    low: list

    def matvec(self, x):
        """The matrix times x (n,) or (n,k)."""
        x = np.asarray(x, float)
        columns = np.zeros((self.size + 1, int(np.prod(x.shape[1:]))))
        columns[: self.size] = x.reshape(self.size, -1)
        ordered = columns[self.order]
        total = np.zeros_like(ordered)
        for row, column, *factors in (*self.dense, *self.low):
            _add_blocks(total, ordered, row, column, factors)
        result = np.zeros_like(columns)
        result[self.order] = total
        return result[: self.size].reshape(x.shape)

    def nbytes(self) -> int:
        """Memory of the blocks."""
        return sum(array.nbytes for block in (*self.dense, *self.low) for array in block)

    def rank(self) -> int:
        """Largest rank of a block."""
        return max((u.shape[2] for _, _, u, _ in self.low), default=0)


def compress(kernel, elements, centres, error: float) -> LowRankMatrix:
    """The matrix kernel(elements, elements) (n,n), to an absolute Frobenius norm `error`.

    kernel(p, q) takes arrays (k,...) that broadcast and must be symmetric, smooth away from coincidence, and 0 where
    an element is all zero; elements (k,n); centres (n,3) m.  The error is estimated from the last crosses, with a factor
    of 2 in hand.
    """
    order, levels = _order(np.asarray(centres))
    padded = np.concatenate([np.asarray(elements), np.zeros((len(elements), 1))], axis=1)[:, order]
    apart, touching = _blocks(np.asarray(centres)[np.minimum(order, len(centres) - 1)], levels)
    low = [group for level, pairs in apart for group in _crosses(kernel, _split(padded, level), pairs, error / 2)]
    return LowRankMatrix(len(centres), order, _whole(kernel, _split(padded, levels), touching), low)


def _add_blocks(total, x, row, column, factors):
    """total += blocks times x, and their transposes; blocks on the diagonal once."""
    if not len(row):
        return
    clusters = x.reshape(-1, factors[0].shape[1], x.shape[1])
    sums = total.reshape(clusters.shape)
    off = row != column
    for out, into, chain in ((row, column, factors), (column[off], row[off], [f[off] if not off.all() else f for f in factors[::-1]])):
        seen = clusters[into]
        if len(chain) == 2:
            seen = chain[1].swapaxes(1, 2) @ seen
            seen = chain[0] @ seen
        else:
            seen = (chain[0] if chain is factors else chain[0].swapaxes(1, 2)) @ seen
        np.add.at(sums, out, seen)


def _order(centres):
    """Element of each place (N,), n for the places that fill clusters of equal size up, and the number of levels."""
    count = len(centres)
    levels = max(0, int(np.ceil(np.log2(count / _LEAF))))
    size = -(-count // (1 << levels)) << levels
    clusters = np.concatenate([np.arange(count), np.full(size - count, count)])[None]
    places = np.concatenate([centres, np.full((1, 3), np.inf)])
    for _ in range(levels):
        clusters = _halve(clusters, places)
    return clusters.ravel(), levels


def _halve(clusters, places):
    """Each row (C,m) sorted along the longest side of its box and cut in the middle: (2C,m/2); fillers go last."""
    found = places[clusters]
    filler = np.isinf(found)
    side = np.where(filler, -np.inf, found).max(axis=1) - np.where(filler, np.inf, found).min(axis=1)
    along = np.take_along_axis(found, np.argmax(side, axis=1)[:, None, None], axis=2)[..., 0]
    return np.take_along_axis(clusters, np.argsort(along, axis=1, kind="stable"), axis=1).reshape(2 * len(clusters), -1)


def _blocks(centres, levels: int):
    """[(level, pairs (B,2))] far enough apart for low rank, row < column; and the other pairs of leaves, row <= column."""
    pairs, apart = np.zeros((1, 2), int), []
    for level in range(levels + 1):
        boxes = centres.reshape(1 << level, -1, 3)
        low, high = boxes.min(axis=1), boxes.max(axis=1)
        i, j = pairs.T
        gap = np.linalg.norm(np.maximum(np.maximum(low[j] - high[i], low[i] - high[j]), 0), axis=1)
        size = np.minimum(*(np.linalg.norm(high[k] - low[k], axis=1) for k in (i, j)))
        far = gap > size
        apart.append((level, pairs[far]))
        pairs = pairs[~far]
        if level < levels:
            children = 2 * pairs[:, None] + np.array([[0, 0], [0, 1], [1, 0], [1, 1]])
            pairs = children.reshape(-1, 2)
            pairs = pairs[pairs[:, 0] <= pairs[:, 1]]
    return apart, pairs


def _split(elements, level: int):
    return elements.reshape(len(elements), 1 << level, -1)


def _whole(kernel, clusters, pairs):
    """The blocks near the diagonal, a few hundred at a time."""
    found = [np.asarray(_dense(kernel, clusters[:, i], clusters[:, j])) for i, j in _chunks(pairs, 256)]
    return [(*pairs.T, np.concatenate(found)[: len(pairs)])]


@partial(jax.jit, static_argnums=0)
def _dense(kernel, a, b):
    return kernel(a[:, :, :, None], b[:, :, None, :])


def _chunks(pairs, size: int):
    """Row and column clusters, `size` at a time; the last ones repeat."""
    short = -len(pairs) % size
    return np.pad(pairs, [(0, short), (0, 0)], mode="edge").reshape(-1, size, 2).swapaxes(1, 2) if len(pairs) else []


def _crosses(kernel, clusters, pairs, error: float):
    """Groups (row, column, u, v) of one level: each block's share of the error goes with its size."""
    member, rank = clusters.shape[2], min(32, clusters.shape[2])
    share, groups = error / clusters.shape[1], []
    while len(pairs):
        size = int(np.clip(_BATCH // (2 * member * rank), 1, 256))
        parts = []
        for i, j in _chunks(pairs, size):
            u, v, used = (np.asarray(a) for a in _cross(kernel, clusters[:, i], clusters[:, j], share, rank))
            top = min(-(-used.max() // 4) * 4, rank)
            parts.append((u[:, :top], v[:, :top], used))
        groups += _by_rank(pairs, parts, rank)
        used = np.concatenate([part[2] for part in parts])[: len(pairs)]
        pairs = pairs[used > rank]
        rank = min(2 * rank, member)
    return groups


def _by_rank(pairs, parts, rank: int):
    """Groups (row, column, u, v), factors (B,m,r), of the blocks that `rank` crosses do, rounded up to fours."""
    used = np.concatenate([part[2] for part in parts])
    owner = np.repeat(np.arange(len(parts)), [len(part[2]) for part in parts])
    place = np.concatenate([np.arange(len(part[2])) for part in parts])
    used = np.where(np.arange(len(used)) < len(pairs), used, rank + 1)  # what fills the last batch up does not count
    groups = []
    for top in np.unique(-(-used[used <= rank] // 4) * 4):
        here = np.flatnonzero((used <= top) & (used > top - 4))
        factors = (np.stack([parts[owner[n]][side][place[n], :top].T for n in here]) for side in (0, 1))
        groups.append((*pairs[here].T, *factors))
    return groups


@partial(jax.jit, static_argnums=(0, 4))
def _cross(kernel, a, b, error, rank: int):
    """Factors u, v (B,rank,m) of kernel(a, b), a, b (k,B,m), and the crosses used (B,); rank + 1 where they do not do."""
    count, member = a.shape[1:]
    every = jnp.arange(count)
    zero = jnp.zeros((count, rank, member))

    def more(state):
        k, small = state[0], state[5]
        return (k < rank) & jnp.any(small < 2)

    def step(state):
        k, u, v, row, free, small, used = state
        across = kernel(a[:, every, row][..., None], b) - jnp.einsum("br,brm->bm", u[every, :, row], v)
        column = jnp.argmax(jnp.abs(across), axis=1)
        pivot = across[every, column]
        down = kernel(a, b[:, every, column][..., None]) - jnp.einsum("br,brm->bm", v[every, :, column], u)
        open_ = (small < 2) & (pivot != 0)
        across = jnp.where(open_[:, None], across / jnp.where(pivot != 0, pivot, 1.0)[:, None], 0.0)
        down = jnp.where(open_[:, None], down, 0.0)
        size = jnp.linalg.norm(across, axis=1) * jnp.linalg.norm(down, axis=1)
        free = free.at[every, row].set(False)
        row = jnp.argmax(jnp.where(free, jnp.abs(down), -1.0), axis=1)
        used = jnp.where(open_, k + 1, used)
        small = jnp.where(size <= error, small + 1, jnp.where(small < 2, 0, small))
        return k + 1, u.at[:, k].set(down), v.at[:, k].set(across), row, free, small, used

    start = 0, zero, zero, jnp.full(count, member // 2), jnp.ones((count, member), bool), jnp.zeros(count, int), jnp.zeros(count, int)
    _, u, v, _, _, small, used = jax.lax.while_loop(more, step, start)
    done = (small >= 2) | (rank == member)
    return u, v, jnp.where(done, used, rank + 1)
