"""Whole steps on many places that bring a residual near zero: passive shims, with a certified lower bound.

    minimise |base + matrix k|  with every k_i one of `levels` (such as -1, 0, 1).

The relaxation to the interval between the outermost levels is a bounded least-squares problem; its dual, evaluated at any
residual, bounds every choice from below whatever the solver's tolerances.  The search changes two places at a time, the
best pair first, all pairs at once from the Gram matrix, with kicks.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.optimize import lsq_linear

KICKED = 6  # places set anew by a kick


@dataclass(frozen=True)
class Placed:
    """Levels (K,) chosen, the norm of the residual, a certified lower bound, and the relaxed (K,) values."""

    levels: np.ndarray
    value: float
    bound: float
    relaxed: np.ndarray

    @property
    def gap(self) -> float:
        return 1.0 - self.bound / self.value if self.value > 0 else 0.0


def place(matrix, base, levels=(-1.0, 0.0, 1.0), *, seed: int = 0, kicks: int = 40, progress=None) -> Placed:
    """The best levels found for |base + matrix k|; matrix (P,K), base (P,)."""
    matrix, base, levels = np.asarray(matrix, float), np.asarray(base, float), np.sort(np.asarray(levels, float))
    if matrix.shape[0] != len(base) or len(levels) < 2:
        raise ValueError(f"place: matrix (P,K) must have a row per entry of base and two levels at least, got {matrix.shape}, {base.shape} and {levels}")
    answer = lsq_linear(matrix, -base, (levels[0], levels[-1]), method="trf", tol=1e-10)
    bound = certified_bound(matrix, base, answer.x, levels[0], levels[-1])
    rounded = np.abs(answer.x[:, None] - levels).argmin(axis=1)
    rng, best = np.random.default_rng(seed), None
    search = _Pairs(matrix, base, levels)
    index = search.descended(rounded)
    best, least = index, search.value(index)
    for _ in range(kicks):
        trial = best.copy()
        trial[rng.choice(len(best), min(KICKED, len(best)), replace=False)] = rng.integers(0, len(levels), min(KICKED, len(best)))
        trial = search.descended(search.descended(trial, pairs=False))
        value = search.value(trial)
        if value < least - 1e-15:
            best, least = trial, value
            if progress:
                progress(f"shims: {least:.6g} left, at least {bound:.6g}")
    return Placed(levels[best], float(np.linalg.norm(base + matrix @ levels[best])), bound, answer.x)


def greedy(matrix, base, levels=(-1.0, 0.0, 1.0)) -> np.ndarray:
    """One place after the other, the best change each time, until none helps: what is usually done."""
    search = _Pairs(np.asarray(matrix, float), np.asarray(base, float), np.sort(np.asarray(levels, float)))
    index = np.abs(search.levels).argmin() * np.ones(matrix.shape[1], int)
    return search.levels[search.descended(index, pairs=False)]


def certified_bound(matrix, base, x, low: float, high: float) -> float:
    """A norm of the residual that no x within the bounds can beat, from the residual at any x (Fenchel duality)."""
    residual = base + matrix @ x
    size = np.linalg.norm(residual)
    if size == 0:
        return 0.0
    unit = residual / size
    slope = unit @ matrix
    return max(0.0, float(unit @ base + np.minimum(slope * low, slope * high).sum()))


class _Pairs:
    """Half the squared residual as a quadratic of the levels, and descent by changes of one or two places."""

    def __init__(self, matrix, base, levels):
        self.levels, self.gram, self.linear = levels, matrix.T @ matrix, matrix.T @ base
        self.matrix, self.base = matrix, base

    def value(self, index) -> float:
        return float(np.sum((self.base + self.matrix @ self.levels[index]) ** 2) / 2)

    def descended(self, index, pairs: bool = True):
        """Index (K,) after the best changes, until none helps."""
        index, slope = index.copy(), self.gram @ self.levels[index] + self.linear
        least = 1e-13 * (float(self.base @ self.base) + 1e-300)
        while True:
            step = self.levels[None] - self.levels[index][:, None]
            alone = slope[:, None] * step + 0.5 * np.diag(self.gram)[:, None] * step**2
            change = self._pair(alone, step) if pairs else None
            single = np.unravel_index(alone.argmin(), alone.shape)
            if change is not None and change[0] < alone[single] - least:
                moves = change[1]
            elif alone[single] < -least:
                moves = [single]
            else:
                return index
            for place, level in moves:
                slope += self.gram[place] * (self.levels[level] - self.levels[index[place]])
                index[place] = level

    def _pair(self, alone, step):
        """(change, ((place, level), (place, level))) of the best two changes."""
        place, level = np.nonzero(step)
        d, e = step[place, level], alone[place, level]
        both = e[:, None] + e[None] + self.gram[np.ix_(place, place)] * np.outer(d, d)
        both[place[:, None] == place[None]] = np.inf
        a, b = np.unravel_index(both.argmin(), both.shape)
        return float(both[a, b]), ((place[a], level[a]), (place[b], level[b]))
