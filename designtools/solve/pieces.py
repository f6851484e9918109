"""How many equal pieces to put in each pocket so that a field varies least: a mixed-integer programme (HiGHS).

    minimise  max_p f_p - min_p f_p,     f = base + response n,   n whole, 0 <= n <= most

The linear relaxation gives a bound no placement beats; branch and bound raises it; single pieces are then moved while
that helps.  All is scaled to the base's own variation, so units do not matter.

It cheats between the points: with many pockets and free pieces the field may vary more there than on them.  Give points
twice as dense as the pockets' own detail, or a `thrift`, and judge on other points.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.optimize import Bounds, LinearConstraint, linprog, milp


@dataclass(frozen=True)
class Placement:
    """counts (K,) pieces in each pocket; value: peak to peak in the unit of `base`; bound: what no counts can go below.

    relaxed: the optimum with fractions of pieces allowed; before: peak to peak without pieces.
    """

    counts: np.ndarray
    value: float
    bound: float
    relaxed: float
    before: float

    @property
    def gap(self) -> float:
        """Relative distance to the bound; the best possible is at most that much better."""
        return 1 - self.bound / self.value if self.value > 0 else 0.0


def place_pieces(base, response, most, seconds: float = 20.0, thrift: float = 0.0) -> Placement:
    """Counts (K,) for a field base (P,) and the field of one piece in each pocket response (P,K), same unit.

    most: pieces a pocket holds, a number or (K,); seconds: time limit of the branch and bound, whose best answer and bound
    are taken when it ends; thrift: peak to peak (in the unit of base) that a piece must gain to be worth placing.
    """
    base, response = np.asarray(base, float), np.asarray(response, float)
    most = np.broadcast_to(np.floor(np.asarray(most, float)), response.shape[1:])
    if response.ndim != 2 or base.shape != response.shape[:1] or np.any(most < 0):
        raise ValueError(f"place_pieces: base (P,), response (P,K) and most >= 0 must agree, got {base.shape}, {response.shape} and {most.shape}")
    before = float(np.ptp(base))
    if before == 0:
        return Placement(np.zeros(len(most), int), 0.0, 0.0, 0.0, 0.0)
    programme = _programme(base / before, response / before, most, thrift / before)
    relaxed, answer = _relaxed(programme, len(most)), _branched(programme, len(most), seconds)
    starts = [np.zeros(len(most)), np.round(relaxed.x[:-2])] + ([] if answer.x is None else [np.round(answer.x[:-2])])
    counts = min((_polished(base, response, most, start, thrift) for start in starts), key=lambda n: _cost(base, response, n, thrift))
    lowest = relaxed.fun if answer.mip_dual_bound is None else max(relaxed.fun, answer.mip_dual_bound)
    bound = lowest * before if thrift == 0 else _variation_bound(programme, len(most)) * before
    value = float(np.ptp(base + response @ counts))
    return Placement(counts.astype(int), value, min(max(bound, 0.0), value), float(relaxed.fun) * before, before)


def _programme(base, response, most, thrift):
    """Cost, constraint matrix, its upper side, upper bounds; unknowns: counts, lowest, highest value."""
    one = np.ones((len(base), 1))
    matrix = np.block([[response, 0 * one, -one], [-response, one, 0 * one]])
    cost = np.concatenate([np.full(len(most), thrift), [-1.0, 1.0]])
    return cost, matrix, np.concatenate([-base, base]), np.concatenate([most, [np.inf, np.inf]])


def _relaxed(programme, count: int):
    cost, matrix, side, upper = programme
    bounds = np.stack([np.concatenate([np.zeros(count), [-np.inf, -np.inf]]), upper], axis=1)
    return linprog(cost, A_ub=matrix, b_ub=side, bounds=bounds, method="highs")


def _branched(programme, count: int, seconds: float):
    cost, matrix, side, upper = programme
    whole = np.concatenate([np.ones(count), [0.0, 0.0]])
    lower = np.concatenate([np.zeros(count), [-np.inf, -np.inf]])
    return milp(cost, integrality=whole, bounds=Bounds(lower, upper), constraints=LinearConstraint(matrix, ub=side), options={"time_limit": seconds})


def _variation_bound(programme, count: int) -> float:
    """The relaxation's bound on the variation alone, pieces for free."""
    free = np.concatenate([np.zeros(count), [-1.0, 1.0]])
    return float(_relaxed((free, *programme[1:]), count).fun)


def _cost(base, response, counts, thrift) -> float:
    return float(np.ptp(base + response @ counts) + thrift * counts.sum())


def _polished(base, response, most, counts, thrift):
    """One piece more or less in any pocket, or moved from one to another, as long as the cost falls."""
    counts = np.clip(counts, 0, most)
    while True:
        best, better = _cost(base, response, counts, thrift), None
        for trial in _neighbours(base, response, most, counts, thrift):
            if (cost := _cost(base, response, trial, thrift)) < best * (1 - 1e-12):
                best, better = cost, trial
        if better is None:
            return counts
        counts = better


def _neighbours(base, response, most, counts, thrift):
    """The best single change, and the best move of a piece from each occupied pocket."""
    field = base + response @ counts
    yield from _best_change(field, response, most, counts, thrift, +1)
    yield from _best_change(field, response, most, counts, thrift, -1)
    for pocket in np.flatnonzero(counts > 0):
        fewer = counts.copy()
        fewer[pocket] -= 1
        yield from _best_change(field - response[:, pocket], response, most, fewer, thrift, +1)


def _best_change(field, response, most, counts, thrift, step: int):
    """The counts with `step` in the pocket where that leaves the least variation."""
    may = (counts + step >= 0) & (counts + step <= most)
    if may.any():
        value = np.where(may, np.ptp(field[:, None] + step * response, axis=0), np.inf)
        changed = counts.copy()
        changed[int(np.argmin(value))] += step
        yield changed
