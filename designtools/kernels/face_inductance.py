"""Double integrals of 1/|r - r'| over pairs of triangles: the inductance of current sheets.

Far pairs: three Gauss points on each face.  Near pairs: the inner integral in closed form (`triangle`), a
Gauss rule outside, finer where faces touch, averaged over which face is the outer one.  A face with itself:
closed form (Eibert & Hansen, IEEE Trans. Antennas Propag. 43 (1995) 1499).
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import scipy.spatial

from designtools.kernels import triangle

NEAR = 2.5  # centre distance, in mean longest edges, below which a pair is near
_EVALUATIONS = 1 << 18  # near: pairs times outer points at once

_ROWS = 64  # far: faces of the first set at once
_FAR_POINTS = np.array([[4, 1, 1], [1, 4, 1], [1, 1, 4]]) / 6  # degree 2, equal weights


def _orbit_rule(*orbits):
    """Barycentric points and weights from (weight, first, second) with all permutations of each orbit."""
    points, weights = [], []
    for weight, a, b in orbits:
        members = sorted(
            {tuple(np.roll(p, k)) for p in ((a, b, 1 - a - b), (b, a, 1 - a - b)) for k in range(3)}
        )
        distinct = [p for i, p in enumerate(members) if not any(np.allclose(p, q) for q in members[:i])]
        points += distinct
        weights += [weight] * len(distinct)
    return np.array(points), np.array(weights) / np.sum(weights)


# Radon 1948: degree 5, 7 points
_APART_RULE = _orbit_rule(
    (0.225, 1 / 3, 1 / 3),
    (0.132394152788506, 0.470142064105115, 0.470142064105115),
    (0.125939180544827, 0.101286507323456, 0.101286507323456),
)
# Dunavant, Int. J. Numer. Meth. Eng. 21 (1985) 1129: degree 6, 12 points
_CORNER_RULE = _orbit_rule(
    (0.116786275726379, 0.249286745170910, 0.249286745170910),
    (0.050844906370207, 0.063089014491502, 0.063089014491502),
    (0.082851075618374, 0.310352451033784, 0.053145049844817),
)


def _quarter(rule):
    """The rule on each of the four triangles between the corners and the middles of the sides."""
    points, weights = rule
    corners = np.array([[1, 0, 0], [0, 1, 0], [0, 0, 1], [0.5, 0.5, 0], [0, 0.5, 0.5], [0.5, 0, 0.5]])
    parts = corners[[[0, 3, 5], [3, 1, 4], [5, 4, 2], [3, 4, 5]]]
    return np.concatenate([points @ part for part in parts]), np.tile(weights / 4, 4)


def _extrapolate(rule):
    """Cancels an error that goes with the square of the size: 4/3 of the quartered rule less 1/3 of the whole."""
    fine = _quarter(rule)
    return np.concatenate([fine[0], rule[0]]), np.concatenate([fine[1] * 4, -rule[1]]) / 3


_EDGE_RULE = _extrapolate(_CORNER_RULE)  # the slope of the inner integral is unbounded at a common edge


def pair_integrals(corner_a, corner_b):
    """Double integrals (A,B) m3 of 1/|r - r'| over the faces corner_a (A,3,3) m and corner_b (B,3,3) m.

    The energy of the sheets K_a, K_b (A/m) is mu0/8pi times the sum of K_a.K_b times these.  Swapping the
    arguments transposes the result.  Memory beyond the result is bounded.  Error against the largest entry on
    an even mesh: below 4e-5.
    """
    corner_a, corner_b = np.asarray(corner_a, float), np.asarray(corner_b, float)
    result = _far(corner_a, corner_b)
    row, column = _near_pairs(corner_a, corner_b)
    shared = _shared_corners(corner_a[row], corner_b[column])
    for count, rule in enumerate((_APART_RULE, _CORNER_RULE, _EDGE_RULE)):
        i, j = row[shared == count], column[shared == count]
        result[i, j] = _near(corner_a[i], corner_b[j], rule)
    same = shared == 3
    result[row[same], column[same]] = self_integral(corner_a[row[same]])
    return result


def self_integral(corners):
    """Double integral (F,) m3 of 1/|r - r'| over each face with itself, corners (F,3,3) m."""
    edge = np.linalg.norm(corners - np.roll(corners, 1, axis=1), axis=2)
    half = edge.sum(axis=1, keepdims=True) / 2
    return -4 / 3 * _area(corners) ** 2 * (np.log1p(-edge / half) / edge).sum(axis=1)


def _far(corner_a, corner_b):
    """Every pair by three points on both faces (A,B); infinite where points coincide."""
    points_a, points_b = (np.einsum("qi,nic->qcn", _FAR_POINTS, corner) for corner in (corner_a, corner_b))
    area_a, area_b = _area(corner_a), _area(corner_b)
    result = np.empty((len(corner_a), len(corner_b)))
    for first in range(0, len(corner_a), _ROWS):
        part = slice(first, first + _ROWS)
        inverse = np.asarray(_mean_inverse_distance(_fill(points_a[..., part].T, _ROWS).T, points_b))
        result[part] = inverse[: len(area_a[part])] * area_a[part, None]
    return np.multiply(result, area_b, out=result)


@jax.jit
def _mean_inverse_distance(points_a, points_b):
    """Mean of 1/distance over all pairs of points (3,3,A) and (3,3,B) of two faces (A,B)."""
    total = 0.0
    for a in points_a:
        for b in points_b:
            total = total + 1 / jnp.sqrt(sum((p[:, None] - q[None, :]) ** 2 for p, q in zip(a, b)))
    return total / (len(points_a) * len(points_b))


def _near(corner_a, corner_b, rule):
    """Pairs one by one (N,): closed inner integral, `rule` outside, mean of both orders."""
    size = max(1, _EVALUATIONS // len(rule[1]))
    result = np.empty(len(corner_a))
    for first in range(0, len(corner_a), size):
        part = slice(first, first + size)
        count = len(corner_a[part])
        padded = min(size, max(64, 1 << (count - 1).bit_length()))
        a, b = _fill(corner_a[part], padded), _fill(corner_b[part], padded)
        result[part] = np.asarray((_outer(rule, a, b) + _outer(rule, b, a)) / 2)[:count]
    return result


def _outer(rule, outer, inner):
    return _area(outer) * np.asarray(_mean_potential(*rule, outer, inner))


@jax.jit
def _mean_potential(points, weights, outer, inner):
    """Mean over the outer faces of the potential of the inner ones (N,)."""
    xyz = jnp.einsum("qi,nic->cqn", points, outer)
    first, second, third = (tuple(inner[:, i].T[:, None, :]) for i in range(3))
    return weights @ triangle.inverse_distance(tuple(xyz), first, second, third)[0]


def _near_pairs(corner_a, corner_b):
    """Row and column of the pairs whose centres are nearer than NEAR mean longest edges."""
    centre_a, centre_b = corner_a.mean(axis=1), corner_b.mean(axis=1)
    size_a, size_b = _longest_edge(corner_a), _longest_edge(corner_b)
    radius = NEAR * (size_a + size_b.max()) / 2
    found = scipy.spatial.cKDTree(centre_b).query_ball_point(centre_a, radius)
    row = np.repeat(np.arange(len(found)), [len(f) for f in found])
    column = np.fromiter((j for f in found for j in f), dtype=int, count=len(row))
    distance = np.linalg.norm(centre_a[row] - centre_b[column], axis=1)
    near = distance < NEAR * (size_a[row] + size_b[column]) / 2
    return row[near], column[near]


def _shared_corners(corner_a, corner_b):
    """How many corners each pair of faces has in common (N,)."""
    return (corner_a[:, :, None] == corner_b[:, None, :]).all(axis=-1).sum(axis=(1, 2))


def _longest_edge(corners):
    return np.linalg.norm(corners - np.roll(corners, 1, axis=1), axis=2).max(axis=1)


def _area(corners):
    a, b, c = np.moveaxis(corners, 1, 0)
    return np.linalg.norm(np.cross(b - a, c - a), axis=1) / 2


def _fill(array, n: int):
    """Repeat the last row up to n rows, so that few shapes are compiled."""
    return np.pad(array, [(0, n - len(array))] + [(0, 0)] * (array.ndim - 1), mode="edge")
