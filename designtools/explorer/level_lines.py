"""Level lines of a function on triangles, at once for all values: for pictures and lengths, not for building."""

from __future__ import annotations

import numpy as np


def level_lines(vertices, faces, values, levels) -> np.ndarray:
    """Polylines (n,3) m with rows of NaN between them, where `values` (V,), linear on each face, equal any of `levels`."""
    pieces = [np.zeros((0, 3))]
    for level in np.atleast_1d(levels):
        pieces += [np.concatenate([line, np.full((1, 3), np.nan)]) for line in _linked(*_cuts(vertices, faces, values - level))]
    return np.concatenate(pieces)[:-1] if len(pieces) > 1 else pieces[0]


def _cuts(vertices, faces, values):
    """Pairs (S,2) of edge numbers that a level line joins inside a face, and the point (E,3) on every edge crossed."""
    above = values[faces] > 0
    crossed = np.flatnonzero(above.any(axis=1) & ~above.all(axis=1))
    corner = faces[crossed]
    ends = np.stack([corner, np.roll(corner, -1, axis=1)], axis=2)
    cut = above[crossed] != np.roll(above[crossed], -1, axis=1)
    edge = np.sort(ends[cut].reshape(-1, 2), axis=1)
    keys, number = np.unique(edge[:, 0] * np.int64(len(vertices)) + edge[:, 1], return_inverse=True)
    a, b = np.divmod(keys, len(vertices))
    share = values[a] / (values[a] - values[b])
    return number.reshape(-1, 2), vertices[a] + share[:, None] * (vertices[b] - vertices[a])


def _linked(pairs, points):
    """Chains of edges that follow one another, as points (n,3); closed ones end where they began."""
    beside = _neighbours(pairs, len(points))
    nexts, done = beside.tolist(), bytearray(len(points))
    rims = np.flatnonzero(beside[:, 1] < 0).tolist()
    for first in rims + list(range(len(points))):
        if done[first]:
            continue
        chain, here = [], first
        while here >= 0 and not done[here]:
            done[here] = 1
            chain.append(here)
            a, b = nexts[here]
            here = a if a >= 0 and not done[a] else b if b >= 0 and not done[b] else -1
        closed = len(chain) > 2 and first in nexts[chain[-1]]
        yield points[chain + [first]] if closed else points[chain]


def _neighbours(pairs, count: int) -> np.ndarray:
    """The one or two edges (E,2) that each edge is joined with; -1 where there is no second."""
    mine, other = np.concatenate([pairs, pairs[:, ::-1]]).T
    order = np.argsort(mine, kind="stable")
    mine, other = mine[order], other[order]
    first = np.searchsorted(mine, np.arange(count))
    second = np.minimum(first + 1, len(mine) - 1)
    return np.stack([other[first], np.where((second > first) & (mine[second] == np.arange(count)), other[second], -1)], axis=1)
