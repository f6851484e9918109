"""The shots of a shim and their currents: thousands of small least squares at once, or what couples them."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy import sparse

from designtools.problem import Design, Free, Limit, Problem, Term
from designtools.quantities import shim
from designtools.quantities.shim import Currents, Reduced
from designtools.recipes.field_map import Volume
from designtools.solve import box, convex, sequence

MEASURES = {"l1": "l1", "huber": "huber", "cvar": "cvar", "min_max": "peak"}
REACH = 4.0  # unlimited channels of a problem that needs bounds, in units of what least squares gives them


class Shot(NamedTuple):
    """A part of a map that is imaged at once: which map, and which of its points."""

    name: str
    volume: int
    index: np.ndarray


class Solved(NamedTuple):
    """Currents of all shots; objective; relative gaps, of all together and of the worst shot; breach of shared limits."""

    currents: Currents
    objective: float
    gap: float
    worst_gap: float
    violation: float


class Task(NamedTuple):
    """Least squares of one shot: limited (P,K) and unlimited (P,F) channels, offset last, and the target (P,)."""

    limited: np.ndarray
    unlimited: np.ndarray
    target: np.ndarray


# --- shots ----------------------------------------------------------------------------------------


def shots_of(spec, volumes) -> tuple[Shot, ...]:
    """In the order of the maps and of the slices along the axis of the schedule."""
    return tuple(shot for k, volume in enumerate(volumes) for shot in _of_volume(spec.schedule, k, volume))


def _of_volume(schedule, k: int, volume: Volume):
    before = f"{volume.name}, " if volume.name else ""
    if schedule.shots == "global":
        return [Shot(volume.name or "all", k, np.arange(len(volume.points)))]
    place = np.argwhere(volume.mask)[:, "ijk".index(schedule.axis)]
    thick = schedule.thickness or 1
    slab = (place - place.min()) // thick
    word = "slice" if thick == 1 else "slab"
    first = place.min() + thick * np.unique(slab)
    return [Shot(f"{before}{word} {f}", k, np.flatnonzero(slab == s)) for f, s in zip(first, np.unique(slab))]


def slope_across(volume: Volume, axis: str):
    """(R,P) 1/m, sparse: the slope across the slices at each voxel with a neighbour on both sides; and which voxels (R,)."""
    along = "ijk".index(axis)
    number = np.full(volume.mask.shape, -1)
    number[volume.mask] = np.arange(len(volume.points))
    inner, low, high = (np.moveaxis(number, along, 0)[part].ravel() for part in (slice(1, -1), slice(None, -2), slice(2, None)))
    whole = (inner >= 0) & (low >= 0) & (high >= 0)
    step = 2e-3 * np.linalg.norm(volume.affine[:3, along])
    row = np.arange(whole.sum())
    entries = np.concatenate([np.full(row.size, 1 / step), np.full(row.size, -1 / step)])
    matrix = sparse.csr_array((entries, (np.tile(row, 2), np.concatenate([high[whole], low[whole]]))), shape=(row.size, len(volume.points)))
    return matrix, inner[whole]


# --- currents ---------------------------------------------------------------------------------------


def solved(setting) -> Solved:
    """The best currents of all shots, map by map."""
    found = [_of_map(setting, k) for k in range(len(setting.volumes))]
    currents = Currents(np.concatenate([f.currents.values for f in found]), np.concatenate([f.currents.offset for f in found]))
    objective = sum(f.objective for f in found)
    gap = sum(f.gap * f.objective for f in found) / max(objective, 1e-300)
    return Solved(currents, objective, gap, max(f.worst_gap for f in found), max(f.violation for f in found))


def _of_map(setting, k: int) -> Solved:
    spec, volume, matrix = setting.spec, setting.volumes[k], setting.profiles[k]
    first = setting.over(lambda c: c.set.first)
    frequency, early = volume.values, np.zeros(matrix.shape[1])
    gaps = [0.0]
    if first.any():
        early[first], gap = _set_first(setting, volume, matrix, first)
        frequency = frequency + matrix[:, first] @ early[first]
        gaps.append(gap)
    shots = [s for s in setting.shots if s.volume == k]
    if spec.criterion == "least_squares":
        tasks = [_task(setting, volume, matrix, frequency, shot, ~first) for shot in shots]
        solved = _coupled(setting, tasks) if _needs_coupling(setting) else _apart(setting, tasks)
    else:
        solved = _one_by_one(setting, volume, matrix, frequency, shots, ~first)
    values = np.asarray(solved.currents.values)
    values[:, :, first] = early[first]
    return solved._replace(gap=max(solved.gap, *gaps), worst_gap=max(solved.worst_gap, *gaps))


def _set_first(setting, volume, matrix, chosen):
    """What the scanner's own shims do before the others, with the whole mask in view, and the relative gap."""
    most = setting.over(lambda c: c.most)[chosen]
    root = np.sqrt(volume.weights)[:, None]
    bounded = np.isfinite(most)
    columns = root * matrix[:, chosen]
    free = np.concatenate([columns[:, ~bounded], root], axis=1) if setting.spec.include_offset else columns[:, ~bounded]
    reduced = shim.reduced(columns[:, bounded], free, root[:, 0] * volume.values)
    x, gap = np.zeros(chosen.sum()), 0.0
    if bounded.any():
        found = box.solve(reduced.H[None], reduced.g[None], -most[None, bounded], most[None, bounded], [reduced.constant])
        x[bounded], gap = found.x[0], float(box.relative_gap(found.gap[0], found.value[0] + reduced.constant, reduced.constant))
    x[~bounded] = (reduced.rest + reduced.pull @ x[bounded])[: (~bounded).sum()]
    return x, gap


def _task(setting, volume, matrix, frequency, shot: Shot, chosen) -> Task:
    spec = setting.spec
    bounded = np.isfinite(setting.over(lambda c: c.most))
    own, extra = matrix[shot.index], np.ones((shot.index.size, int(spec.include_offset)))
    limited, unlimited = own[:, chosen & bounded], np.concatenate([own[:, chosen & ~bounded], extra], axis=1)
    root = np.sqrt(volume.weights[shot.index])
    if spec.schedule.trace:
        rows = lambda part: shim.breathing_rows(part, frequency[shot.index], volume.breathing[shot.index], spec.schedule.trace)
        root = np.tile(root, 2)[:, None]
        return Task(root * rows(limited)[0], root * rows(unlimited)[0], root[:, 0] * rows(limited)[1])
    task = Task(root[:, None] * limited, root[:, None] * unlimited, root * frequency[shot.index])
    return _with_slopes(setting, volume, matrix, frequency, shot, chosen, bounded, task) if spec.through_slice else task


def _with_slopes(setting, volume, matrix, frequency, shot, chosen, bounded, task: Task) -> Task:
    """The slope across the slices as further rows."""
    operator, owner = slope_across(volume, setting.spec.schedule.axis)
    rows = np.isin(owner, shot.index)
    weight = setting.spec.through_slice * np.sqrt(volume.weights[owner[rows]])
    steep = lambda columns: weight[:, None] * (operator[rows] @ columns)
    flat = np.zeros((rows.sum(), int(setting.spec.include_offset)))
    unlimited = np.concatenate([steep(matrix[:, chosen & ~bounded]), flat], axis=1)
    target = weight * (operator[rows] @ frequency)
    parts = zip(task, (steep(matrix[:, chosen & bounded]), unlimited, target))
    return Task(*(np.concatenate(pair) for pair in parts))


# --- shots by themselves ------------------------------------------------------------------------------


def _apart(setting, tasks) -> Solved:
    """One batch of box-constrained least squares."""
    reduced = [shim.reduced(*task) for task in tasks]
    most = _ends(setting, _limited(setting))
    if most.size:
        bounds = np.tile(most, (len(tasks), 1))
        found = box.solve(np.stack([r.H for r in reduced]), np.stack([r.g for r in reduced]), -bounds, bounds, [r.constant for r in reduced])
        x, value, gap = found
    else:
        x, value, gap = np.zeros((len(tasks), 0)), np.zeros(len(tasks)), np.zeros(len(tasks))
    objective = value + np.array([r.constant for r in reduced])
    before = np.array([task.target @ task.target / 2 for task in tasks])
    together = float(box.relative_gap(gap.sum(), objective.sum(), before.sum()))
    return Solved(_written(setting, reduced, x), float(objective.sum()), together, float(box.relative_gap(gap, objective, before).max()), 0.0)


def _limited(setting) -> np.ndarray:
    """Bounds (K,) of the channels that have one and are not set first."""
    most = setting.over(lambda c: c.most)
    return most[np.isfinite(most) & ~setting.over(lambda c: c.set.first)]


def _ends(setting, per_channel) -> np.ndarray:
    """The same for both ends of a breathing trace."""
    return np.tile(per_channel, 2 if setting.spec.schedule.trace else 1)


def _written(setting, reduced: list[Reduced], x) -> Currents:
    """Currents of all channels (S,E,C) and offsets (S,E) from the limited ones; channels set first are left at zero."""
    most, first = setting.over(lambda c: c.most), setting.over(lambda c: c.set.first)
    ends = 2 if setting.spec.schedule.trace else 1
    rest = np.stack([r.rest + r.pull @ row for r, row in zip(reduced, x)]).reshape(len(x), ends, -1)
    values = np.zeros((len(x), ends, most.size))
    values[:, :, np.isfinite(most) & ~first] = x.reshape(len(x), ends, -1)
    unlimited = ~np.isfinite(most) & ~first
    values[:, :, unlimited] = rest[:, :, : unlimited.sum()]
    offset = rest[:, :, -1] if setting.spec.include_offset else np.zeros((len(x), ends))
    return Currents(values, offset)


# --- shots that share limits ----------------------------------------------------------------------------


def _needs_coupling(setting) -> bool:
    limits, still = setting.spec.limits, setting.over(lambda c: c.set.update == "static") & ~setting.over(lambda c: c.set.first)
    driven = (setting.over(lambda c: c.amperes) & ~setting.over(lambda c: c.set.first)).any()
    coupled = driven and limits is not None and any(v is not None for v in (limits.total_current, limits.power, limits.step))
    return coupled or (still.any() and len(setting.shots) > 1)


def _coupled(setting, tasks) -> Solved:
    """All shots of a map at once; channels without limit that never change get one far away."""
    still = _ends(setting, setting.over(lambda c: c.set.update == "static"))
    reduced, most, chosen = _all_limited(setting, tasks, still)
    shared = _shared(setting, still[chosen], chosen)
    found = sequence.solve(np.stack([r.H for r in reduced]), np.stack([r.g for r in reduced]), most, shared)
    objective = found.value + sum(r.constant for r in reduced)
    gap = abs(found.gap) / max(objective, 1e-300)
    return Solved(_spread(setting, reduced, found.x, chosen), objective, gap, gap, found.violation)


def _all_limited(setting, tasks, still):
    """Reduced shots in which static channels without a limit have one, REACH times what least squares gives them."""
    most, first = _ends(setting, setting.over(lambda c: c.most)), _ends(setting, setting.over(lambda c: c.set.first))
    bounded, loose = np.isfinite(most) & ~first, ~np.isfinite(most) & ~first
    chosen = bounded | (loose & still)
    ends = 2 if setting.spec.schedule.trace else 1
    own = still[loose].reshape(ends, -1)
    kept = np.concatenate([own, np.zeros((ends, tasks[0].unlimited.shape[1] // ends - own.shape[1]), bool)], axis=1).ravel()
    if kept.any():
        whole = Task(*(np.concatenate(parts) for parts in zip(*tasks)))
        alone = np.linalg.lstsq(whole.unlimited[:, kept], -whole.target, rcond=1e-8)[0]
        most[loose & still] = REACH * np.maximum(np.abs(alone), np.abs(alone).max() * 1e-3)
    order = np.argsort(np.concatenate([np.flatnonzero(bounded), np.flatnonzero(loose & still)]), kind="stable")
    joined = [Task(np.concatenate([t.limited, t.unlimited[:, kept]], axis=1)[:, order], t.unlimited[:, ~kept], t.target) for t in tasks]
    return [shim.reduced(*task) for task in joined], most[chosen], chosen


def _shared(setting, still, chosen) -> sequence.Shared:
    limits = setting.spec.limits
    amperes = _ends(setting, setting.over(lambda c: c.amperes))
    ends = 2 if setting.spec.schedule.trace else 1
    end = np.repeat(np.arange(ends), amperes.size // ends)
    groups = np.stack([(amperes & (end == e))[chosen] for e in range(ends)])
    total = None if limits is None or limits.total_current is None else (limits.total_current, groups)
    step = np.where(amperes[chosen] & (limits is not None and limits.step is not None), (limits.step if limits else None) or np.inf, np.inf)
    step = np.where(still, 0.0, step)
    resistance = _ends(setting, setting.over(lambda c: c.resistance))[chosen] / ends
    power = None if limits is None or limits.power is None else (limits.power, resistance)
    return sequence.Shared(total, step, power)


def _spread(setting, reduced, x, chosen) -> Currents:
    """As `_written`, where the chosen channels are those of x."""
    first = _ends(setting, setting.over(lambda c: c.set.first))
    ends = 2 if setting.spec.schedule.trace else 1
    rest = np.stack([r.rest + r.pull @ row for r, row in zip(reduced, x)])
    values = np.zeros((len(x), chosen.size))
    values[:, chosen] = x
    others = ~chosen & ~first
    offset = np.zeros((len(x), ends))
    each = rest.reshape(len(x), ends, -1)  # unlimited channels, then the offset, end by end
    values.reshape(len(x), ends, -1)[:, :, others.reshape(ends, -1)[0]] = each[:, :, : others.sum() // ends]
    if setting.spec.include_offset:
        offset = each[:, :, -1]
    return Currents(values.reshape(len(x), ends, -1), offset)


# --- other criteria ---------------------------------------------------------------------------------------


def _one_by_one(setting, volume, matrix, frequency, shots, chosen) -> Solved:
    """A convex problem per shot."""
    found = [_convex(setting, volume, matrix[:, chosen], frequency, shot, chosen) for shot in shots]
    values = np.zeros((len(shots), 1, chosen.size))
    values[:, :, chosen] = np.stack([np.asarray(f.design.parts["currents"].values)[0] for f in found])
    offset = np.stack([np.asarray(f.design.parts["currents"].offset)[0] for f in found])
    gaps = [np.inf if f.gap is None else f.gap for f in found]
    return Solved(Currents(values, offset), sum(f.objective for f in found), max(gaps), max(gaps), 0.0)


def _convex(setting, volume, matrix, frequency, shot: Shot, chosen):
    spec = setting.spec
    weights = volume.weights[shot.index] / (volume.weights[shot.index].mean() or 1.0)
    target = frequency[shot.index]
    size = spec.knee if spec.criterion == "huber" else float(target.std()) or 1.0
    residual = shim.residual_frequency(matrix[shot.index], target, weights)
    peak = spec.criterion in ("min_max", "cvar")
    term = Term(residual, MEASURES[spec.criterion], scale=size, weight=1.0 if peak else 1 / shot.index.size)
    amperes = setting.over(lambda c: c.amperes)[chosen]
    total = spec.limits.total_current if spec.limits is not None else None
    limits = [] if total is None else [Limit(shim.channel_currents(amperes), upper=total, norm="l1", scale=total, label="limits.total_current")]
    most = _within_reach(setting.over(lambda c: c.most)[chosen], matrix[shot.index], target)
    nothing = Currents(np.zeros((1, 1, matrix.shape[1])), np.zeros((1, 1)))
    drift = (2 * float(np.abs(target).max()) + 1.0) * spec.include_offset
    free = [
        Free(lambda d: d.parts["currents"].values, -most, most, name="currents"),
        Free(lambda d: d.parts["currents"].offset, -drift, drift, name="offset (Hz)"),
    ]
    return convex.solve(Problem(Design({"currents": nothing}), free, [term], limits))


def _within_reach(most, matrix, target) -> np.ndarray:
    """Bounds (K,), for channels without one REACH times what least squares gives all of those together."""
    loose, out = ~np.isfinite(most), np.array(most)
    if loose.any():
        alone = np.abs(np.linalg.lstsq(matrix[:, loose], -target, rcond=1e-8)[0])
        out[loose] = REACH * np.maximum(alone, max(1e-3 * alone.max(), 1e-12))
    return out
