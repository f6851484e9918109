"""The least peak to peak of a smooth function of a few bounded unknowns: linear programmes in a trust region.

At each point the P values are replaced by their tangents; the programme that makes their peak to peak smallest within a
box is solved exactly (HiGHS), and the box grows or shrinks as the tangents foretold the truth (K. Madsen, J. Inst.
Maths Applics 16 (1975) 321).  The answer is a local optimum.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.optimize import linprog

FIRST, SMALLEST = 0.2, 1e-7  # trust radius, in units of the range between the bounds
GAIN = 2e-3  # relative gain per step below which the search ends


@dataclass(frozen=True)
class Evened:
    """x (n,), the value there, the values on the way, and the relative gain the last programme foretold."""

    x: np.ndarray
    value: float
    history: tuple
    foretold: float


def least_spread(evaluate, start, lower, upper, rows=None, sides=None, floor: float = 1.0, steps: int = 40, progress=None) -> Evened:
    """Minimise peak to peak of f(x)/a(x) with a(x) >= floor, lower <= x <= upper and rows @ x >= sides.

    evaluate(x) -> f (P,), its Jacobian (P,n), a, its gradient (n,).
    """
    lower, upper, x = (np.asarray(v, float) for v in (lower, upper, start))
    rows, sides = (np.zeros((0, len(x))), np.zeros(0)) if rows is None else (np.asarray(rows), np.asarray(sides))
    span, radius = np.maximum(upper - lower, 1e-300), FIRST
    now = evaluate(x)
    history, foretold = [_merit(now, floor)], np.inf
    for _ in range(steps):
        step, model = _step(now, x, np.maximum(lower, x - radius * span), np.minimum(upper, x + radius * span), rows, sides, floor)
        foretold = (history[-1] - model) / max(history[-1], 1e-300)
        if foretold < GAIN or radius < SMALLEST:
            break
        trial = evaluate(x + step)
        gain = history[-1] - _merit(trial, floor)
        ratio = gain / (history[-1] - model)
        radius = 0.3 * radius if ratio < 0.3 else min(1.0, 2 * radius) if ratio > 0.7 else radius
        if gain > 0:
            x, now = x + step, trial
            history.append(_merit(trial, floor))
            if progress:
                progress(f"step {len(history) - 1}: {1e6 * history[-1]:.2f} ppm")
    return Evened(x, history[-1], tuple(history), float(foretold))


def _merit(now, floor: float) -> float:
    """Peak to peak over size, with a steep price for a size below the floor."""
    f, _, a, _ = now
    return float(np.ptp(f) / a + 10 * max(0.0, 1 - 1e-9 - a / floor))


def _step(now, x, low, high, rows, sides, floor: float):
    """The best step of the tangents and the merit they foretell."""
    f, slope, a, a_slope = now
    g = f / a
    g_slope = (slope - g[:, None] * a_slope) / a
    points, n = g_slope.shape
    one, none = np.ones((points, 1)), np.zeros((points, 1))
    parts = [np.hstack([g_slope, -one, none, none]), np.hstack([-g_slope, none, one, none])]
    parts += [np.hstack([-rows, np.zeros((len(rows), 3))]), np.r_[-a_slope / floor, 0, 0, -0.1][None]]
    limits = np.concatenate([-g, g, rows @ x - sides, [a / floor - 1]])
    box = list(zip(low - x, high - x)) + [(None, None), (None, None), (0, None)]
    answer = linprog(np.r_[np.zeros(n), 1.0, -1.0, 1.0], A_ub=np.vstack(parts), b_ub=limits, bounds=box, method="highs")
    return (answer.x[:n], float(answer.fun)) if answer.status == 0 else (np.zeros(n), _merit(now, floor))
