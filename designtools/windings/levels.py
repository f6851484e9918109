"""Where to cut a stream function so that few turns keep the field of the continuous sheet.

Half-way levels are right for many turns; a shield of four turns needs better.  With f(l) the field, at the
points that matter, of the tracks at level l carrying one conductor current I, the sheet's field is the
integral of f dl / I and the winding's the sum of f(l_k).  The levels are moved to bring the two together.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.interpolate import CubicSpline

REACH = 0.45  # of a conductor current: how far a level may move from its half-way place
STEADY = 0.02  # price of moving every level by a whole conductor current, in units of the residual


@dataclass(frozen=True)
class LevelField:
    """The field of one layer as a function of the level.

    nodes (n,) A, ascending levels; field (n, m) the weighted residual components of the tracks at each node;
    nominal (K,) A the half-way levels; least (K-1,) A the smallest distance between neighbouring levels that
    keeps their tracks apart.
    """

    nodes: np.ndarray
    field: np.ndarray
    nominal: np.ndarray
    least: np.ndarray


def matched(layers: list[LevelField], goal: np.ndarray, current: float, rounds: int = 12) -> list[np.ndarray]:
    """Levels (K,) of each layer that bring the sum of the tracks' fields closest to goal (m,), least squares.

    Gauss-Newton with bounds; neighbouring levels never come closer than `least`, nor leave the span of the nodes.
    """
    splines = [CubicSpline(layer.nodes, layer.field) for layer in layers]
    nominal = np.concatenate([layer.nominal for layer in layers])
    best = levels = nominal
    for _ in range(rounds):
        residual, slope = _residual(layers, splines, levels, goal)
        step = _bounded_step(layers, levels, nominal, residual, slope, current)
        levels = levels + step
        if _misfit(layers, splines, levels, goal) < _misfit(layers, splines, best, goal):
            best = levels
        if np.abs(step).max() < 1e-4 * current:
            break
    return np.split(best, np.cumsum([len(layer.nominal) for layer in layers])[:-1])


def _residual(layers, splines, levels, goal):
    parts = np.split(levels, np.cumsum([len(layer.nominal) for layer in layers])[:-1])
    values = [spline(part) for spline, part in zip(splines, parts)]
    slopes = [spline(part, 1) for spline, part in zip(splines, parts)]
    return np.concatenate(values).sum(axis=0) - goal, np.concatenate(slopes).T


def _misfit(layers, splines, levels, goal) -> float:
    return float(np.square(_residual(layers, splines, levels, goal)[0]).sum())


def _bounded_step(layers, levels, nominal, residual, slope, current) -> np.ndarray:
    """The Gauss-Newton step inside the bounds, as a small least-squares programme."""
    import cvxpy as cp

    step = cp.Variable(len(levels))
    moved = levels + step
    fit = cp.sum_squares(slope @ step + residual) + STEADY * cp.sum_squares((moved - nominal) / current)
    limits = [cp.abs(moved - nominal) <= REACH * current, cp.abs(step) <= 0.2 * current]
    first = 0
    for layer in layers:
        own = moved[first : first + len(layer.nominal)]
        limits += [own >= layer.nodes[0], own <= layer.nodes[-1]]
        if len(layer.nominal) > 1:
            limits.append(cp.diff(own) >= layer.least)
        first += len(layer.nominal)
    cp.Problem(cp.Minimize(fit), limits).solve(solver=cp.CLARABEL)
    return np.zeros(len(levels)) if step.value is None else step.value
