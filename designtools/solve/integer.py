"""One option for each group: the choice whose summed columns vary least, with a certified lower bound.

A design made of stock parts is a list of groups (ring places, shim slots), each of which takes one of a few options
(sizes, grades, nothing).  Everything that an option adds to the field at P points is a column, so

    minimise  (max_p f_p - min_p f_p) / a     over choices k,   f = base + sum_g column[g, k_g],   a = size + sum_g size[g, k_g] >= floor.

Below: the linear relaxation (HiGHS; mixtures of options are allowed, the ratio made linear by Charnes and Cooper), whose
duals give a bound that holds whatever the solver's tolerances and on every finer set of points; best-first branching,
which raises it; and a search that exchanges many groups at once: the sums of one half of the exchanged groups are
looked up among those of the other half in a tree, so that 47 million combinations of six groups of 19 options cost
milliseconds (Horowitz & Sahni, J. ACM 21 (1974) 277: meet in the middle).
"""

from __future__ import annotations

import heapq
import itertools
from dataclasses import dataclass, replace

import numpy as np
from scipy.optimize import linprog
from scipy.spatial import cKDTree

SIDE = 8000  # most combinations held in a tree
DIMENSIONS = 8  # principal directions in which sums are compared
TREES = 300  # most trees kept at a time
STALE = 40  # exchanges without gain before a kick
KICKED = 3  # groups set anew by a kick


@dataclass(frozen=True)
class Choices:
    """columns (G,S,P), size (G,S), both of the options; base (P,) and base_size of what is there anyway.

    allowed (G,S) marks the options of each group (groups may have fewer than S).  The value of a choice is
    dimensionless, peak to peak over size; sizes below `floor` (positive) are infeasible.
    """

    columns: np.ndarray
    size: np.ndarray
    floor: float
    base: np.ndarray | None = None
    base_size: float = 0.0
    allowed: np.ndarray | None = None

    def __post_init__(self):
        groups, options, points = np.shape(self.columns)
        object.__setattr__(self, "base", np.zeros(points) if self.base is None else np.asarray(self.base, float))
        object.__setattr__(self, "allowed", np.ones((groups, options), bool) if self.allowed is None else np.asarray(self.allowed, bool))
        if np.shape(self.size) != (groups, options) or self.allowed.shape != (groups, options) or self.base.shape != (points,):
            raise ValueError(
                f"Choices: columns (G,S,P), size (G,S), allowed (G,S) and base (P,) must agree, got {np.shape(self.columns)}, "
                f"{np.shape(self.size)}, {self.allowed.shape} and {self.base.shape}; transpose what is turned"
            )
        if not self.floor > 0 or not self.allowed.any(axis=1).all():
            raise ValueError(f"Choices: floor must be positive and every group must have an option, got floor {self.floor}")

    def field(self, choice) -> np.ndarray:
        """Sum (P,) of a choice (G,), or (N,P) of N choices (N,G)."""
        choice = np.asarray(choice)
        return self.base + self.columns[np.arange(len(self.columns)), choice].sum(axis=-2)

    def size_of(self, choice):
        """Size of a choice, or (N,) of N choices."""
        choice = np.asarray(choice)
        return self.base_size + self.size[np.arange(len(self.size)), choice].sum(axis=-1)

    def value(self, choice):
        """Peak to peak over size; infinite below the floor."""
        size = self.size_of(choice)
        value = np.ptp(self.field(choice), axis=-1) / size
        return np.where(size >= self.floor * (1 - 1e-12), value, np.inf)


@dataclass(frozen=True)
class Relaxation:
    """Optimum of the linear relaxation: `value`, the certified lower `bound`, the shares (G,S) of the options."""

    value: float
    bound: float
    weights: np.ndarray


@dataclass(frozen=True)
class Chosen:
    """A choice (G,) with its value, a certified lower bound, the gap between them relative to the value, and the steps."""

    choice: np.ndarray
    value: float
    bound: float
    history: tuple = ()

    @property
    def gap(self) -> float:
        return 1.0 - self.bound / self.value if self.value > 0 else 0.0


def choose(choices: Choices, *, seed: int = 0, rounds: int = 2000, nodes: int = 60, start=None, progress=None) -> Chosen | None:
    """The best choice found and the certified bound; None where no choice reaches the floor.  Same seed, same answer."""
    relaxed = relaxation(choices)
    if relaxed is None:
        return None
    found = search(choices, relaxed.weights, seed=seed, rounds=rounds, start=start, progress=progress)
    if found is None:
        return None
    bound = branched_bound(choices, relaxed, found.value, nodes) if nodes else relaxed.bound
    return replace(found, bound=bound)


# --- the relaxation -----------------------------------------------------------------------------


def relaxation(choices: Choices) -> Relaxation | None:
    """The linear relaxation; None where even mixtures of options stay below the floor."""
    group, option = np.nonzero(choices.allowed)
    program = _programme(choices, group, option)
    answer = linprog(**program, method="highs")
    if answer.status != 0:
        return None
    points = len(choices.base)
    weights = np.zeros(choices.size.shape)
    weights[group, option] = answer.x[: len(group)] / answer.x[-1]
    pull = -answer.ineqlin.marginals
    bound = certified_bound(choices, pull[:points], pull[points:])
    return Relaxation(float(answer.fun), max(0.0, bound), weights)


def _programme(choices: Choices, group, option) -> dict:
    """Unknowns: share times tau of each option, the largest and smallest sum times tau, tau = 1/size."""
    n, points, groups = len(group), len(choices.base), len(choices.size)
    columns = choices.columns[group, option].T
    one, none, base = np.ones((points, 1)), np.zeros((points, 1)), choices.base[:, None]
    bounded = np.block([[columns, -one, none, base], [-columns, none, one, -base]])
    held = np.zeros((groups + 1, n + 3))
    held[group, np.arange(n)] = 1.0
    held[:groups, -1] = -1.0
    held[groups, :n], held[groups, -1] = choices.size[group, option], choices.base_size
    return {
        "c": np.r_[np.zeros(n), 1.0, -1.0, 0.0],
        "A_ub": bounded,
        "b_ub": np.zeros(2 * points),
        "A_eq": held,
        "b_eq": np.r_[np.zeros(groups), 1.0],
        "bounds": [(0, None)] * n + [(None, None)] * 2 + [(0, 1 / choices.floor)],
    }


def certified_bound(choices: Choices, high, low) -> float:
    """A value that no choice can beat, from any weights (P,) on the largest and on the smallest of the sums.

    With both scaled to sum 1, peak to peak >= sum (high - low) f.  Then v is a bound where
    h(w) + (w - v) floor >= 0 for some w >= v, h(w) = the smallest of sum (high - low) f - w size over all choices: a sum
    of minima, group by group.  Nothing here trusts the solver.
    """
    high, low = (np.maximum(side, 0) for side in (high, low))
    if not (high.sum() > 0 and low.sum() > 0):
        return 0.0
    pull = high / high.sum() - low / low.sum()
    slope = np.where(choices.allowed, choices.columns @ pull, np.inf)
    offset = float(choices.base @ pull)

    def least(w):
        return float((slope - w * choices.size).min(axis=1).sum() + offset - w * choices.base_size)

    bound = lambda w: min(w, least(w) / choices.floor + w)
    return _highest(bound, max(1e-9, 2 * abs(least(0.0)) / choices.floor))


def _highest(concave, reach: float) -> float:
    """The largest value of a concave function of w >= 0, bracketed by doubling, then by golden section."""
    while concave(2 * reach) > concave(reach):
        reach *= 2
    low, high, golden = 0.0, 2 * reach, (np.sqrt(5) - 1) / 2
    for _ in range(80):
        a, b = high - golden * (high - low), low + golden * (high - low)
        low, high = (a, high) if concave(a) < concave(b) else (low, b)
    return concave((low + high) / 2)


def branched_bound(choices: Choices, relaxed: Relaxation, target: float, nodes: int) -> float:
    """The bound after `nodes` relaxations, each with the options of one group halved: the lowest of the open parts.

    A part whose own bound exceeds `target` can hold nothing better, and counts as target.
    """
    tie = itertools.count()
    open_parts = [(relaxed.bound, next(tie), choices, relaxed.weights)]
    while nodes > 0 and open_parts[0][0] < target:
        bound, _, part, weights = heapq.heappop(open_parts)
        halves = _halves(part, weights)
        if not halves:  # one choice is left, and its bound is its value
            heapq.heappush(open_parts, (bound, next(tie), part, weights))
            break
        for half in halves:
            nodes -= 1
            found = relaxation(half)
            if found is not None:
                heapq.heappush(open_parts, (max(bound, found.bound), next(tie), half, found.weights))
        if not open_parts:
            return target
    return min(target, open_parts[0][0])


def _halves(part: Choices, weights) -> list[Choices]:
    """The part cut in two, in the group whose shares are spread widest over its options."""
    index = np.arange(weights.shape[1])
    mean = weights @ index
    spread = np.where(part.allowed.sum(axis=1) > 1, weights @ index**2 - mean**2, -1.0)
    group = int(spread.argmax())
    if spread[group] < 0:
        return []
    own = np.flatnonzero(part.allowed[group])
    cut = np.clip(np.searchsorted(own, mean[group], side="right"), 1, len(own) - 1)
    halves = []
    for keep in (own[:cut], own[cut:]):
        allowed = part.allowed.copy()
        allowed[group] = False
        allowed[group, keep] = True
        halves.append(replace(part, allowed=allowed))
    return halves


# --- the search ---------------------------------------------------------------------------------


def search(choices: Choices, weights=None, *, seed: int = 0, rounds: int = 2000, start=None, progress=None) -> Chosen | None:
    """Exchanges of many groups at once, with kicks from the best; `weights` (G,S) guide the first choice.

    None where no feasible choice was found to start from.
    """
    rng = np.random.default_rng(seed)
    now = _first(choices, weights, rng) if start is None else np.asarray(start)
    if now is None or not np.isfinite(choices.value(now)):
        return None
    sums = _Sums(choices)
    value = best_value = float(choices.value(now))
    best, stale, history = now, 0, [(0, value)]
    for count in range(1, rounds + 1):
        now, value, gained = _exchanged(choices, sums, now, value, rng)
        stale = 0 if gained else stale + 1
        if value < best_value * (1 - 1e-12):
            best, best_value = now, value
            history.append((count, value))
            if progress:
                progress(f"exchange {count}: {1e6 * value:.1f} ppm")
        if stale > STALE:
            now, stale = _kicked(choices, best, rng), 0
            value = float(choices.value(now))
    return Chosen(best, best_value, 0.0, tuple(history))


def _first(choices: Choices, weights, rng):
    """A feasible choice: options drawn by their shares, else the largest of every group."""
    shares = np.where(choices.allowed, 1.0 if weights is None else weights, 0.0)
    total = shares.cumsum(axis=1)
    for _ in range(200):
        draw = (rng.random((len(total), 1)) * total[:, -1:] >= total).sum(axis=1)
        if np.isfinite(choices.value(draw)):
            return draw
    largest = np.where(choices.allowed, choices.size, -np.inf).argmax(axis=1)
    return largest if np.isfinite(choices.value(largest)) else None


def _kicked(choices: Choices, choice, rng):
    """A few groups set anew, where that keeps the floor."""
    for _ in range(50):
        new = choice.copy()
        for group in rng.choice(len(choice), min(KICKED, len(choice)), replace=False):
            new[group] = rng.choice(np.flatnonzero(choices.allowed[group]))
        if np.isfinite(choices.value(new)):
            return new
    return choice


class _Sums:
    """Sums over all combinations of a few groups, in principal directions, and their trees; lives for one search."""

    def __init__(self, choices: Choices):
        self.choices, self.kept = choices, {}
        self.options = [np.flatnonzero(row) for row in choices.allowed]
        level = choices.columns - choices.columns.mean(axis=2, keepdims=True)
        within = (level - level.mean(axis=1, keepdims=True))[choices.allowed]
        axes = np.linalg.svd(within, full_matrices=False)[2][:DIMENSIONS]
        self.axes, self.reduced = axes, level @ axes.T
        self.base = (choices.base - choices.base.mean()) @ axes.T

    def combinations(self, groups) -> np.ndarray:
        """(C,len(groups)) options, the last group fastest."""
        return np.stack(np.meshgrid(*(self.options[g] for g in groups), indexing="ij"), axis=-1).reshape(-1, len(groups))

    def side(self, groups):
        """Options (C,n), reduced sums (C,q), sizes (C,) and tree of the combinations of some groups."""
        if groups not in self.kept:
            if len(self.kept) >= TREES:
                self.kept.clear()
            options = self.combinations(groups)
            index = list(groups)
            sums = self.reduced[index, options].sum(axis=1)
            self.kept[groups] = (options, sums, self.choices.size[index, options].sum(axis=1), cKDTree(sums, balanced_tree=False, compact_nodes=False))
        return self.kept[groups]

    def split(self, rng) -> tuple[tuple, tuple]:
        """Two disjoint random sets of groups, each with at most SIDE combinations."""
        order = rng.permutation(len(self.options))
        half = -(-len(order) // 2)
        return tuple(self._within(part) for part in (order[:half], order[half:]))

    def _within(self, order) -> tuple:
        count, taken = 1, []
        for group in order:
            count *= len(self.options[group])
            if count > SIDE and taken:
                break
            taken.append(int(group))
        return tuple(sorted(taken))


def _exchanged(choices: Choices, sums: _Sums, now, value: float, rng):
    """(choice, value, gained) after the best combination of two random sets of groups, the others held."""
    left, right = sums.split(rng)
    if not right:
        left, right = left[: len(left) // 2], left[len(left) // 2 :]
    if not left or not right:
        return _one_group(choices, now, value)
    rest = np.setdiff1d(np.arange(len(now)), left + right)
    (l_options, l_sums, l_sizes, _), (r_options, _, r_sizes, tree) = sums.side(left), sums.side(right)
    held = sums.base + sums.reduced[rest, now[rest]].sum(axis=0)
    # a sum within peak to peak v a lies within sqrt(P) v a / 2 of its mean; sizes seldom exceed the present one
    reach = 0.5 * np.sqrt(len(choices.base)) * value * choices.size_of(now)
    distance, match = tree.query(-(held + l_sums), k=2, distance_upper_bound=reach)
    row, column = np.nonzero(np.isfinite(distance))
    match = match[row, column]
    size = choices.base_size + choices.size[rest, now[rest]].sum() + l_sizes[row] + r_sizes[match]
    keep = np.flatnonzero(size >= choices.floor)
    keep = keep[np.argsort(distance[row, column][keep], kind="stable")[:4000]]
    if not len(keep):
        return now, value, False
    trial = np.repeat(now[None], len(keep), axis=0)
    trial[:, left], trial[:, right] = l_options[row[keep]], r_options[match[keep]]
    values = choices.value(trial)
    return _better(now, value, trial[values.argmin()], float(values.min()))


def _one_group(choices: Choices, now, value: float):
    """With a single group: every option of it."""
    trial = np.flatnonzero(choices.allowed[0])[:, None]
    values = choices.value(trial)
    return _better(now, value, trial[values.argmin()], float(values.min()))


def _better(now, value: float, trial, trial_value: float):
    gained = trial_value < value * (1 - 1e-12)
    return (trial, trial_value, True) if gained else (now, value, False)
