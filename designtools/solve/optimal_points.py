"""Where to measure: the choice among candidate rows that makes the determinant of the information largest.

Exchange after Fedorov (Theory of Optimal Experiments, 1972): one point after another goes where the rest leaves most
unsaid, until no exchange gains; from several starts.
"""

from __future__ import annotations

import numpy as np

RIDGE = 1e-10  # of the mean diagonal, so that fewer points than unknowns still have an inverse while they are exchanged
GAIN = 1e-9  # relative gain of the determinant below which an exchange is not worth it
PASSES = 100


def d_optimal(rows, count: int, blocked=None, starts: int = 10, seed: int = 1) -> list[np.ndarray]:
    """Indices (count,) of the candidate rows (M,K) chosen, from each start, the best first.

    blocked(index) -> (M,) bool says which candidates one that is chosen rules out (itself included), such as those too
    near.  Raises ValueError where no choice of `count` candidates is left.
    """
    rng = np.random.default_rng(seed)
    blocked = blocked or (lambda index: np.arange(len(rows)) == index)
    found = [np.array(_exchanged(rows, _start(rows, count, blocked, rng), blocked)) for _ in range(starts)]
    return sorted(found, key=lambda chosen: -_log_determinant(rows[chosen]))


def _start(rows, count: int, blocked, rng) -> list[int]:
    """A few at random, the rest each where it says most."""
    chosen, free = [], np.ones(len(rows), bool)
    for k in range(count):
        if not free.any():
            raise ValueError(f"d_optimal: {count} points must fit among the candidates, but only {k} do; ask for fewer, or nearer ones")
        worth = np.einsum("mk,kl,ml->m", rows, _inverse(rows[chosen]), rows) if k >= max(2, count // 3) else rng.random(len(rows))
        chosen.append(int(np.argmax(np.where(free, worth, -np.inf))))
        free &= ~blocked(chosen[-1])
    return chosen


def _exchanged(rows, chosen: list[int], blocked) -> list[int]:
    block = {k: blocked(k) for k in chosen}
    for _ in range(PASSES):
        gained = False
        for place in range(len(chosen)):
            rest = chosen[:place] + chosen[place + 1 :]
            free = ~np.any([block[k] for k in rest], axis=0) if rest else np.ones(len(rows), bool)
            worth = np.where(free, np.einsum("mk,kl,ml->m", rows, _inverse(rows[rest]), rows), -np.inf)
            new = int(np.argmax(worth))
            if worth[new] > (1 + GAIN) * worth[chosen[place]] + GAIN:
                chosen[place], gained = new, True
                block[new] = blocked(new)
        if not gained:
            break
    return chosen


def _inverse(rows) -> np.ndarray:
    information = rows.T @ rows
    size = max(float(np.trace(information)) / len(information), 1.0)
    return np.linalg.inv(information + RIDGE * size * np.eye(len(information)))


def _log_determinant(rows) -> float:
    sign, value = np.linalg.slogdet(rows.T @ rows)
    return float(value) if sign > 0 else -np.inf
