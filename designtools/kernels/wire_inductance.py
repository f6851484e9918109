"""Self and mutual inductance of wound conductors with uniform current over their section.

M = mu0/4pi sum of the double integral dl.dl'/|r - r'| along the centre lines, where the distance from a line is
never taken below the conductor's geometric mean distance from itself: for a smooth wire that is its uniform-current
self-inductance (Maxwell 1873 sec. 691; Hurwitz, Landreman & Antonsen, arXiv 2310.09313, whose regularisation
length squared is this distance squared), and turns farther apart than that distance act as thin lines.
"""

from __future__ import annotations

import math

import jax.numpy as jnp
import numpy as np

from designtools.kernels.elementary import log1p
from designtools.kernels.segment import _cross, _dot
from designtools.kernels.streaming import contract
from designtools.units import MU_0


def winding_inductance(groups, mean_distance):
    """Inductance matrix (N,N) H of N groups of straight segments, each group one circuit.

    groups: sequence of (start (S,3) m, end (S,3) m, weight (S,)), where weight is the current in a segment per
    ampere of the circuit; mean_distance m from `rectangle_mean_distance` or `round_mean_distance`.  Segments must
    be shorter than the radius of curvature and, beside other turns, not much longer than the turns are apart.
    """
    start, end, weight = (jnp.concatenate([jnp.asarray(group[k]) for group in groups]) for k in range(3))
    member = np.repeat(np.arange(len(groups)), [len(group[2]) for group in groups])
    flow = weight[:, None, None] * (end - start)[:, None, :] * np.eye(len(groups))[member][:, :, None]
    points, node_weight = _gauss_points(start, end)
    softening = jnp.full(start.shape[0], mean_distance)
    potential = contract(_soft_potential, points, (start, end, softening), flow.reshape(len(member), -1))[
        :, 0
    ]
    potential = jnp.tensordot(
        node_weight, potential.reshape(len(node_weight), len(member), len(groups), 3), 1
    )
    matrix = MU_0 / (4 * jnp.pi) * jnp.einsum("smk,snk->mn", flow, potential)
    return (matrix + matrix.T) / 2


def soft_potential(points, start, end, current, distance):
    """Vector potential (P,3) T·m of segments from which the distance is never taken below `distance` (m)."""
    flow = (end - start) * current[:, None]
    softening = jnp.full(start.shape[0], distance)
    return MU_0 / (4 * jnp.pi) * contract(_soft_potential, points, (start, end, softening), flow)[:, 0]


def rectangle_mean_distance(width: float, thickness: float) -> float:
    """Geometric mean distance (m) of a rectangle from itself (Maxwell 1873 sec. 692)."""
    a, b = width, thickness
    exponent = (
        4 * b / (3 * a) * math.atan(a / b)
        + 4 * a / (3 * b) * math.atan(b / a)
        + (b / a) ** 2 / 6 * math.log(b / a)
        + (a / b) ** 2 / 6 * math.log(a / b)
        - (a**4 - 6 * a**2 * b**2 + b**4) / (6 * a**2 * b**2) * math.log(a / b + b / a)
    )
    return math.sqrt(a * b * math.exp(exponent - 25 / 6))


def round_mean_distance(radius: float) -> float:
    """Geometric mean distance (m) of a disc from itself: radius exp(-1/4)."""
    return radius * math.exp(-0.25)


def _gauss_points(start, end, order: int = 2):
    """Points (order * S, 3) on the segments, node after node, and their weights (order,)."""
    node, weight = np.polynomial.legendre.leggauss(order)
    middle, half = (start + end) / 2, (end - start) / 2
    return (middle[None] + node[:, None, None] * half[None]).reshape(-1, 3), weight / 2


def _soft_potential(xyz, start, end, mean_distance):
    """Integral of dl/|r - r'| over each segment, per length, kept off its line: one array (S, P) in 1/m.

    As `segment.potential_factor`, with the squared distance from the line raised to mean_distance^2 where less.
    """
    d = tuple(e - s for e, s in zip(end, start))
    ri = tuple(p - s for p, s in zip(xyz, start))
    rf = tuple(p - e for p, e in zip(xyz, end))
    cross = _cross(d, ri)
    square = jnp.maximum(_dot(d, d), 1e-300)
    beyond = _dot(cross, cross) / square
    lift = jnp.maximum(mean_distance**2 - beyond, 0.0)
    length = jnp.sqrt(square)
    a, b, dot = jnp.sqrt(_dot(ri, ri) + lift), jnp.sqrt(_dot(rf, rf) + lift), _dot(ri, rf) + lift
    beside = dot < 0
    near = (beyond + lift) * square / (a * b + jnp.abs(dot))
    dense = jnp.where(beside, near, a * b + jnp.abs(dot))
    return (log1p(length * (a + b + length) / dense) / length,)
