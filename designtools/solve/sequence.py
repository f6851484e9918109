"""Shots that share limits: least squares of many shots whose currents may not jump, or whose total is bounded.

    minimise   sum over shots s of  x_s.H_s x_s / 2 + g_s.x_s
    subject to |x_s| <= most,  sums of magnitudes <= total,  |x_{s+1} - x_s| <= step,  mean_s x_s.R x_s <= power

One sparse cone programme (cvxpy with Clarabel).  The gap is not the solver's: with its multipliers the shots come
apart, and by convexity no admissible y lies below the tangent of the Lagrangian at x, whose least value over box and
sum of magnitudes is that of a fractional knapsack.
"""

from __future__ import annotations

import warnings
from typing import NamedTuple

import numpy as np

from designtools.solve import box

TOLERANCE = 1e-10


class Sequence(NamedTuple):
    """x (S,n); value and gap of the sum over all shots, the gap infinite where the solver gave up; violation: largest
    relative breach of a shared limit."""

    x: np.ndarray
    value: float
    gap: float
    violation: float


class Shared(NamedTuple):
    """What shots have in common.  total: (bound, groups (G,n) of coefficients whose magnitudes add up), or None;
    step (n,): largest change from shot to shot, inf for none, 0 for what never changes; power: (bound, R (n,)), or None."""

    total: tuple | None = None
    step: np.ndarray | None = None
    power: tuple | None = None


def solve(H, g, most, shared: Shared) -> Sequence:
    """Currents of every shot: H (S,n,n), g (S,n), most (n,) finite."""
    import cvxpy as cp

    shots, count = g.shape
    size = max(float(np.abs(g * most).sum(axis=1).max()), 1e-300)
    t = cp.Variable((shots, count))  # in units of `most`
    roots = [_root(most[:, None] * H[s] * most / size) for s in range(shots)]
    cost = sum(cp.sum_squares(root @ t[s]) / 2 + (g[s] * most / size) @ t[s] for s, root in enumerate(roots))
    limits, moving, power = [cp.abs(t) <= 1], None, None
    if shared.total is not None:
        limits += [cp.norm1(cp.multiply(np.tile(most * group / shared.total[0], (shots, 1)), t), axis=1) <= 1 for group in shared.total[1]]
    moved, still = _moved(shared, shots)
    if moved.any():
        moving = [cp.multiply(np.tile(most[moved] / shared.step[moved], (shots - 1, 1)), t[1:, moved] - t[:-1, moved]) <= 1]
        moving += [-moving[0].args[0] <= 1]
    held = t[1:, still] == t[:-1, still] if still.any() else None
    if shared.power is not None:
        power = cp.norm(cp.multiply(np.tile(np.sqrt(shared.power[1] / (shots * shared.power[0])) * most, (shots, 1)), t), "fro") <= 1
    problem = cp.Problem(cp.Minimize(cost), [*limits, *(moving or ()), *([held] if held is not None else ()), *([power] if power is not None else ())])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # an inaccurate answer is judged by its own certificate
        problem.solve(solver=cp.CLARABEL, tol_gap_abs=TOLERANCE, tol_gap_rel=TOLERANCE, tol_feas=TOLERANCE)
    if t.value is None:  # zero is admissible, and says nothing of the optimum
        return Sequence(np.zeros_like(g), 0.0, np.inf, 0.0)
    x = np.clip(t.value, -1, 1) * most
    pull, weight, fixed = _multipliers(x, most, size, shared, moved, still, moving, held, power)
    return Sequence(x, _value(H, g, x), _value(H, g, x) - _bound(H, g, most, shared, x, pull, weight, fixed), _violation(x, shared))


def _value(H, g, x) -> float:
    return float(np.einsum("si,sij,sj->", x, H, x) / 2 + np.sum(g * x))


def _moved(shared: Shared, shots: int):
    """Coefficients with a bounded step, and those that never change."""
    if shared.step is None or shots < 2:
        none = np.zeros(0 if shared.step is None else len(shared.step), bool)
        return none, none
    return np.isfinite(shared.step) & (shared.step > 0), shared.step == 0


def _root(H):
    """W with W'W = H, for H symmetric and positive semidefinite but for rounding."""
    values, vectors = np.linalg.eigh(H)
    keep = values > 1e-15 * max(values[-1], 0.0)
    return np.sqrt(values[keep])[:, None] * vectors[:, keep].T


def _multipliers(x, most, size, shared, moved, still, moving, held, power):
    """The Lagrangian of the shared limits: pull (S,n) added to g, weight (n,) added to the diagonal of H, and what is taken off."""
    pull, weight, fixed = np.zeros_like(x), np.zeros(x.shape[1]), 0.0
    if moving is not None:
        up, down = (np.maximum(np.asarray(c.dual_value), 0.0) * size for c in moving)
        _tension(pull, moved, (up - down) / shared.step[moved])
        fixed += float(np.sum(up + down))
    if held is not None:
        _tension(pull, still, np.asarray(held.dual_value) * size / most[still])
    if power is not None:
        share = shared.power[1] / (len(x) * shared.power[0])  # of the whole power, per square of a current
        worth = max(float(power.dual_value), 0.0) * size / (2 * max(np.sqrt(np.sum(share * x**2)), 1e-300))
        weight, fixed = 2 * worth * share, fixed + worth
    return pull, weight, fixed


def _tension(pull, which, tension):
    """A multiplier of the change from one shot to the next pulls on both."""
    pull[1:, which] += tension
    pull[:-1, which] -= tension


def _bound(H, g, most, shared: Shared, x, pull, weight, fixed) -> float:
    """A value that no admissible currents undercut: the tangent of the Lagrangian, where sums of magnitudes are
    limited at x, else at its own minimiser over the box, where the multipliers' errors count by their squares."""
    H, g = H + np.diag(weight), g + pull
    if shared.total is None:
        bounds = np.tile(most, (len(x), 1))
        x = box.solve(H, g, -bounds, bounds, np.abs(g * bounds).sum(axis=1)).x
    tilt = np.einsum("sij,sj->si", H, x) + g
    return _value(H, g, x) - float(np.sum(tilt * x)) + sum(_least(t, most, shared.total) for t in tilt) - fixed


def _least(tilt, most, total) -> float:
    """The least of tilt.y over |y| <= most and the sums of magnitudes: the dearest first, as far as the sum reaches."""
    if total is None:
        return -float(np.abs(tilt) @ most)
    bound, groups = total
    free = ~np.any(groups, axis=0)
    value = -float(np.abs(tilt[free]) @ most[free])
    for group in groups:
        worth, reach = np.abs(tilt[group]), most[group]
        order = np.argsort(-worth)
        before = np.cumsum(reach[order]) - reach[order]
        value -= float(worth[order] @ np.clip(bound - before, 0.0, reach[order]))
    return value


def _violation(x, shared: Shared) -> float:
    found = [0.0]
    if shared.total is not None:
        found += [float((np.abs(x[:, group]).sum(axis=1) / shared.total[0] - 1).max()) for group in shared.total[1]]
    if shared.step is not None and len(x) > 1:
        change = np.abs(np.diff(x, axis=0)).max(axis=0)
        bounded = np.isfinite(shared.step) & (shared.step > 0)
        found += list(change[bounded] / shared.step[bounded] - 1)
    if shared.power is not None:
        found.append(float(np.sum(shared.power[1] * x**2) / len(x) / shared.power[0] - 1))
    return max(found)
