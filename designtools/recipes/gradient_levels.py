"""Levels of the turns of a gradient coil, chosen so that the wires keep the field of the sheet."""

from __future__ import annotations

import jax
import numpy as np

from designtools.sources import Filaments
from designtools.windings import contour
from designtools.windings.levels import LevelField, matched
from designtools.windings.winding import Winding

FINENESS = 3  # levels per turn at which the field of a layer is sampled
FEWEST = 14  # and at least so many per layer


def level_matched(setting, solution, current: float) -> tuple[Winding, ...]:
    """One loose winding per layer whose field stays closest to the sheet's, over region and stray surface.

    The levels of both signs move together, so what is symmetric stays so.  Where a layer's rim is not at zero, or
    the move does not help, the half-way levels stand.
    """
    from designtools.recipes.gradient import _loose

    plain = tuple(_loose(layer, solution, current, setting.spec) for layer in setting.layers)
    fields = [_level_field(setting, layer, solution, current) for layer in setting.layers]
    if any(f is None for f in fields):
        return plain
    goal = _observed(setting, sum(_sheet_field(setting, p) for p in solution.design.parts.values()))
    levels = matched(fields, goal, current)
    moved = tuple(
        _loose(layer, solution, current, setting.spec, np.concatenate([-values[::-1], values]))
        for layer, values in zip(setting.layers, levels)
    )
    return moved if _misfit(setting, moved, goal) < _misfit(setting, plain, goal) else plain


def _points(setting) -> np.ndarray:
    stray = [] if setting.stray is None else [setting.stray.points]
    return np.concatenate([setting.target.points, *stray])


def _observed(setting, field: np.ndarray) -> np.ndarray:
    """Field (P,3) at `_points` as weighted residual components: each in units of what the spec allows."""
    spec, count = setting.spec, len(setting.target)
    allowed = spec.target.error * spec.target.strength * setting.reach
    inside = np.sqrt(setting.target.weights) * (field[:count] @ setting.b0) / allowed
    if setting.stray is None:
        return inside
    outside = np.sqrt(setting.stray.weights)[:, None] * field[count:] / spec.stray.limit
    return np.concatenate([inside, outside.ravel()])


def _sheet_field(setting, part) -> np.ndarray:
    return np.asarray(part.field(_points(setting)))


def _misfit(setting, windings, goal) -> float:
    field = sum(np.asarray(w.filaments().field(_points(setting))) for w in windings)
    return float(np.square(_observed(setting, field) - goal).sum())


def _level_field(setting, layer, solution, current: float) -> LevelField | None:
    """Fields of the tracks at +l and -l together, for levels l up to the layer's largest |psi|."""
    stream = np.asarray(solution.design.parts[layer.name].stream)
    rim, largest = contour.rim_value(layer.mesh, stream), float(np.abs(stream).max())
    if abs(rim) > 1e-9 * largest or abs(stream.max() + stream.min()) > 1e-6 * largest:
        return None
    nominal = np.asarray([v for v in contour.levels(stream, current=current)[0] if v > 0])
    if not len(nominal):
        return None
    nodes = np.linspace(0.15 * current, largest - 0.02 * current, max(FEWEST, int(FINENESS * largest / current)))
    tracks = contour.contours_by_level(layer.former, layer.mesh, stream, np.concatenate([nodes, -nodes]))
    fields = _fields_by_level(_points(setting), tracks, current)
    both = fields[: len(nodes)] + fields[len(nodes) :]
    observed = np.stack([_observed(setting, f) for f in both])
    return LevelField(nodes, observed, nominal, _least_steps(setting, layer, stream, nominal, current))


def _fields_by_level(points, tracks, current: float) -> np.ndarray:
    """Field (K,P,3) T at `points` of the tracks of each of K levels carrying `current`."""
    start = np.concatenate([t.points[:-1] for level in tracks for t in level])
    end = np.concatenate([t.points[1:] for level in tracks for t in level])
    count = [sum(len(t.points) - 1 for t in level) for level in tracks]
    currents = np.eye(len(tracks))[:, np.repeat(np.arange(len(tracks)), count)] * current
    return np.asarray(jax.vmap(lambda amperes: Filaments(start, end, amperes).field(points))(currents))


def _least_steps(setting, layer, stream, nominal, current: float) -> np.ndarray:
    """Smallest step (A) between neighbouring levels that keeps their tracks a pitch apart: pitch times the densest K."""
    part_current = np.linalg.norm(layer_current(layer, stream), axis=1)
    corner = np.abs(stream[layer.mesh.faces])
    low, high = corner.min(axis=1), corner.max(axis=1)
    pitch = setting.spec.conductor.width + setting.spec.conductor.spacing
    steps = []
    for a, b in zip(nominal[:-1], nominal[1:]):
        band = (low < b) & (high > a)
        steps.append(min(1.0, 1.1 * pitch * part_current[band].max(initial=0.0) / current) * current)
    return np.asarray(steps)


def layer_current(layer, stream) -> np.ndarray:
    """K (F,3) A/m of a layer's stream function."""
    from designtools.sources.sheet import current_operator

    return (current_operator(layer.mesh.vertices, layer.mesh.faces) @ stream).reshape(-1, 3)
