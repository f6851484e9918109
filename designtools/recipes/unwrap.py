"""Phase maps beyond one turn."""

from __future__ import annotations

import numpy as np
from scipy import sparse
from scipy.sparse import csgraph


def unwrapped(phase, mask, magnitude=None) -> np.ndarray:
    """The phase (nx,ny,nz) rad in `mask` without its jumps of whole turns; elsewhere as it was.

    Neighbours are joined along a spanning tree of the smallest differences (weighted by signal where there is a
    magnitude), as in path-following by reliability (Herraez et al., Appl. Opt. 41 (2002) 7437).  Each connected part
    of the mask keeps the turn in which its median lies nearest zero.
    """
    number = np.full(mask.shape, -1)
    number[mask] = np.arange(mask.sum())
    values = np.asarray(phase, float)[mask]
    signal = np.ones(values.size) if magnitude is None else np.clip(magnitude[mask], 0, None) / max(np.max(magnitude[mask]), 1e-300)
    pairs = np.concatenate([_neighbours(number, axis) for axis in range(3)])
    jump = _within_a_turn(values[pairs[:, 1]] - values[pairs[:, 0]])
    cost = np.abs(jump) + 1e-6 + (1 - np.minimum(signal[pairs[:, 0]], signal[pairs[:, 1]]))
    tree = csgraph.minimum_spanning_tree(sparse.coo_array((cost, pairs.T), shape=(values.size,) * 2).tocsr())
    found = np.array(phase, float)
    found[mask] = _along(tree, values)
    return found


def _neighbours(number, axis) -> np.ndarray:
    """Pairs (K,2) of masked voxels that touch along an axis."""
    low, high = (np.moveaxis(number, axis, 0)[part].ravel() for part in (slice(None, -1), slice(1, None)))
    both = (low >= 0) & (high >= 0)
    return np.stack([low[both], high[both]], axis=1)


def _within_a_turn(angle):
    return angle - 2 * np.pi * np.round(angle / (2 * np.pi))


def _along(tree, values) -> np.ndarray:
    """Turns added from the root of each part of the tree to its leaves."""
    count, part = csgraph.connected_components(tree, directed=False)
    turns = np.zeros(values.size)
    for root in np.unique(part, return_index=True)[1]:
        order, before = csgraph.breadth_first_order(tree, root, directed=False)
        for node in order[1:]:
            last = before[node]
            turns[node] = turns[last] - np.round((values[node] - values[last]) / (2 * np.pi))
    out = values + 2 * np.pi * turns
    middle = np.array([np.median(out[part == k]) for k in range(count)])
    return out - 2 * np.pi * np.round(middle / (2 * np.pi))[part]
