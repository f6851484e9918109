"""Nodes and weights for integrals whose integrand is smooth but for faces, edges or wires that lie somewhere near.

Every element starts as one cell, the unit cube of its own coordinates.  A cell is sampled at Gauss-Legendre points; the
tail of its Legendre series along each coordinate says whether they suffice.  If not, more points are tried, then the
cell is halved along the coordinates whose tail is too long, so cells crowd towards what is singular.
"""

from __future__ import annotations

import numpy as np

_ORDERS = (4, 8, 14)  # points along each coordinate before a cell is halved
_RULES = {order: np.polynomial.legendre.leggauss(order) for order in _ORDERS}
_ROUNDS = 90  # some 43 halvings; a weak singularity (logarithm, kink) is settled long before
_MOST = 4_000_000  # points in all


def adaptive_nodes(integrand, count: int, dimension: int, tolerance: float):
    """Points t (Q,dimension) of [0,1]^dimension, their elements, weights and values (Q,) for `count` elements.

    integrand(element (Q,), t (Q,dimension)) -> (Q,).  The tails left over add up to less than `tolerance` of the
    integral of its magnitude; the integral itself is usually far better.  RuntimeError if the points become too many.
    """
    if dimension == 0:
        points = np.zeros((count, 0)), np.arange(count), np.ones(count)
        return *points, np.asarray(integrand(points[1], points[0]))
    element, low, size = np.arange(count), np.zeros((count, dimension)), np.ones((count, dimension))
    stage = np.zeros(count, int)
    scale, used, kept = 0.0, 0, []
    for _ in range(_ROUNDS):
        if not len(element):
            return tuple(np.concatenate(arrays) for arrays in zip(*kept))
        waiting = []
        for level in np.unique(stage):
            here = stage == level
            cells = element[here], low[here], size[here]
            nodes = _cell_nodes(_ORDERS[level], *cells)
            values = np.asarray(integrand(nodes[1], nodes[0])).reshape(len(cells[0]), -1)
            used += values.size
            tails = _tails(values, _ORDERS[level], dimension) * np.prod(cells[2], axis=1)[:, None]
            scale = max(scale, float(np.sum(np.abs(values).ravel() * nodes[2])))
            rough = ~(tails <= tolerance * scale / count)  # what is not a number is rough too
            done = ~rough.any(axis=1)
            kept.append([array[np.repeat(done, values.shape[1])] for array in (*nodes, values.ravel())])
            waiting.append(_next(level, *(part[~done] for part in (*cells, rough))))
        if used > _MOST:
            raise RuntimeError(
                f"the integral needs more than {_MOST} points for a tolerance of {tolerance:g}; ask for a larger tolerance, "
                "or move apart conductors that cross or overlap"
            )
        element, low, size, stage = (np.concatenate(arrays) for arrays in zip(*waiting))
    raise RuntimeError(f"the integral does not settle to {tolerance:g}: its integrand is infinite somewhere; move apart conductors that overlap")


def fixed_nodes(count: int, dimension: int, order: int):
    """As `adaptive_nodes`, blindly: `order` Gauss points along each coordinate of every element."""
    return _cell_nodes(order, np.arange(count), np.zeros((count, dimension)), np.ones((count, dimension)))


def _cell_nodes(order: int, element, low, size):
    t, w = (np.stack([g.ravel() for g in np.meshgrid(*[x] * low.shape[1], indexing="ij")], axis=1) for x in _gauss(order))
    points = low[:, None] + size[:, None] * t
    weight = np.prod(w, axis=1) * np.prod(size, axis=1)[:, None]
    return points.reshape(-1, low.shape[1]), np.repeat(element, len(t)), weight.ravel()


def _tails(values, order: int, dimension: int):
    """Magnitude (N,dimension) of the last two Legendre coefficients along each coordinate, summed over the others."""
    cube = values.reshape(-1, *[order] * dimension)
    for axis in range(1, dimension + 1):
        cube = np.moveaxis(np.tensordot(_to_legendre(order), cube, (1, axis)), 0, axis)
    size = np.abs(cube)
    return np.stack([size.take([-2, -1], axis=axis).reshape(len(cube), -1).sum(axis=1) for axis in range(1, dimension + 1)], axis=1)


def _next(level: int, element, low, size, rough):
    """The cells again at the next order, or halved along the coordinates that are rough."""
    if level + 1 < len(_ORDERS):
        return element, low, size, np.full(len(element), level + 1)
    for axis in range(low.shape[1]):
        cut = rough[:, axis]
        size = np.where(cut[:, None] & (np.arange(low.shape[1]) == axis), size / 2, size)
        upper = low[cut] + size[cut] * (np.arange(low.shape[1]) == axis)
        element, low = np.concatenate([element, element[cut]]), np.concatenate([low, upper])
        size, rough = np.concatenate([size, size[cut]]), np.concatenate([rough, rough[cut]])
    return element, low, size, np.full(len(element), 1)


def _gauss(order: int):
    t, w = _rule(order)
    return (1 + t) / 2, w / 2


def _rule(order: int):
    return _RULES[order] if order in _RULES else np.polynomial.legendre.leggauss(order)


def _to_legendre(order: int):
    """Matrix from samples at the Gauss points to coefficients of P_0 ... P_(order-1)."""
    t, w = _rule(order)
    vander = np.polynomial.legendre.legvander(t, order - 1)
    return (vander * w[:, None]).T * (np.arange(order) + 0.5)[:, None]
