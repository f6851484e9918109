"""Shared values found rather than given: a trust region around quadratic models, every part designed anew for each trial.

Parts that a value does not touch are found in the store, so a trial costs the parts that it changes.  The objective is the
sum of figures of the parts over their scales; a trial without a design counts as infinitely bad.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from designtools.recipes.product import Unfinished
from designtools.result import load
from designtools.spec import SpecError
from designtools.units import parse

FIRST = 0.25  # of the range: the first trust radius
SHRINK = 0.5


def found(spec, trial: Callable, say: Callable):
    """(the spec at the best shared values, folders of its parts, record of the search).

    trial(shared or None) -> name -> result folder.  Raises what the trial at the given values raises.
    """
    from designtools.recipes.system_parts import with_shared

    joint = spec.joint
    names = list(joint.free)
    low, start, high = (np.array([parse(v, "any") for v in values]) for values in zip(*((b.min, spec.shared[n], b.max) for n, b in joint.free.items())))
    place = lambda x: {n: float(f"{v:.6g}") for n, v in zip(names, low + np.clip(x, 0, 1) * (high - low))}
    history: list[dict] = []
    allowed: list[set] = []  # requirements of parts that the spec as given misses already

    def objective(x) -> float:
        shared = place(x)
        folders = _attempted(trial, shared if history else None, bool(history), say)
        terms = {} if folders is None else terms_of(joint.minimise, folders)
        value = sum(terms.values()) if folders is not None and keeps(folders, allowed, say) else float("inf")
        history.append({**shared, "objective": value, **terms})
        say(f"trial {len(history)}: " + ", ".join(f"{n} = {v:.5g}" for n, v in shared.items()) + f", objective {value:.5g}")
        return value

    best = descend(objective, (start - low) / (high - low), joint.trials, joint.tolerance)
    values = place(best)
    chosen = with_shared(spec, values)
    return chosen, trial(values), {"history": history, "shared": values, "separate": history[0]["objective"], "joint": min(h["objective"] for h in history)}


def keeps(folders: dict[str, Path], allowed: list[set], say) -> bool:
    """Whether a trial misses no requirement of a part that the first one met; the first puts what it misses into `allowed`."""
    missed = {(part, row["quantity"], row["op"]) for part, folder in folders.items() for row in load(folder).requirements if row["status"] == "MISSED"}
    if not allowed:
        allowed.append(missed)
    new = missed - allowed[0]
    if new:
        say("does not count, since it misses " + ", ".join(sorted(f"{part}.{quantity}" for part, quantity, _ in new)))
    return not new


def _attempted(trial, shared, may_fail: bool, say):
    try:
        return trial(shared)
    except (Unfinished, SpecError) as error:
        if not may_fail:
            raise
        say(f"no design: {' '.join(str(error).split())[:200]}")
        return None


def terms_of(aims, folders: dict[str, Path]) -> dict[str, float]:
    """Name of each aimed figure -> its value over its scale; infinite where a part has no such figure."""
    figures = {part: load(folder).figures for part, folder in folders.items()}
    found = {}
    for aim in aims:
        part, _, name = aim.quantity.rpartition(".")
        value = figures[part][name].value if name in figures.get(part, {}) else float("inf")
        found[aim.quantity] = float(value / parse(aim.scale, "any")) if np.isfinite(value) else float("inf")
    return found


def descend(objective: Callable, x, trials: int, tolerance: float) -> np.ndarray:
    """The best of at most `trials` points (n,) of the unit box: coordinate by coordinate, the vertex of the parabola through
    the best point and its neighbours, kept within a trust radius that halves where nothing is gained."""
    x, radius = np.clip(np.asarray(x, float), 0, 1), FIRST
    known = {tuple(x): objective(x)}
    while radius > tolerance and len(known) < trials:
        before = min(known.values())
        for axis in range(len(x)):
            x = np.array(min(known, key=known.get))
            for point in _around(known, x, axis, radius):
                if len(known) < trials and tuple(point) not in known:
                    known[tuple(point)] = objective(point)
            vertex = _vertex(known, np.array(min(known, key=known.get)), axis, radius)
            if vertex is not None and len(known) < trials and min(np.abs(np.array(list(known)) - vertex).max(axis=1)) > tolerance / 2:
                known[tuple(vertex)] = objective(vertex)
        radius = radius if min(known.values()) < before * (1 - 1e-3) and radius > 4 * tolerance else radius * SHRINK
    return np.array(min(known, key=known.get))


def _around(known, x, axis: int, radius: float):
    for step in (-radius, radius):
        point = x.copy()
        point[axis] = np.clip(point[axis] + step, 0, 1)
        yield point


def _vertex(known, x, axis: int, radius: float):
    """Lowest point of the parabola through the three points on a line along the axis nearest to x, or None."""
    line = [(p[axis], v) for p, v in known.items() if np.allclose(np.delete(p, axis), np.delete(x, axis)) and np.isfinite(v)]
    line = sorted(line, key=lambda item: abs(item[0] - x[axis]))[:3]
    if len(line) < 3:
        return None
    bend, slope, _ = np.polyfit(*np.array(line).T, 2)
    if bend <= 0:
        return None
    point = x.copy()
    point[axis] = np.clip(-slope / (2 * bend), max(0.0, x[axis] - radius), min(1.0, x[axis] + radius))
    return point
