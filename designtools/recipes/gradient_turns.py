"""Turns of a gradient coil: cut from the stream function, and the stream function bettered until the turns keep the limits."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from scipy import sparse

from designtools.problem import Design, Limit, Quantity
from designtools.recipes.gradient_problem import allowed_error, limits, problem
from designtools.recipes.gradient_setting import Setting
from designtools.solve import convex
from designtools.solve.linearise import Affine
from designtools.solve.solution import Solution
from designtools.sources import Assembly
from designtools.windings.displacement import distance_sensitivity, turn_sensitivity
from designtools.windings.spacing import wire_spacing
from designtools.windings.winding import Winding

STEPS = 8  # towards turns that keep the limits
FIRST, STIFFEST = 100.0, 1e5  # damping of a step
PRICE = 30.0  # of a violation as large as the limit, in objectives
KEPT = 5e-4  # relative excess over a limit that counts as none
NEAR = 1.15  # of the pitch: how far apart neighbouring tracks may be to be held apart
KEEPING = 0.997  # of the distance of tracks that a step may lose to what is not linear
JOINT = 1.01  # tracks are laid this much wider apart than asked: jogs come a little closer
OF_TURNS = ("target.error", "target.strength", "stray.limit")  # limits that the turns themselves shall keep


def turn_current(setting: Setting, solution: Solution) -> float:
    """Current (A) of one turn: as given, or the largest |psi| of the primary over the turns per lobe."""
    if setting.spec.winding.current:
        return float(setting.spec.winding.current)
    layer = setting.layers[0]
    stream = np.asarray(solution.design.parts[layer.name].stream)
    largest = max(np.abs(patch.of(stream) - patch.rim_value(stream)).max() for patch in layer.patches)
    return float(largest / setting.spec.winding.turns)


def closest_tracks(setting: Setting, windings) -> float:
    """Smallest distance (m) between neighbouring tracks of any winding."""
    return min((wire_spacing(w.tracks, setting.spec.conductor.width).distance for w in windings if w.tracks), default=np.inf)


def loose_turns(setting: Setting, solution: Solution, current: float) -> tuple[Winding, ...]:
    """Closed tracks of every patch, one current apart; those too short to be wound are left out."""
    conductor, found = setting.spec.conductor, []
    for layer in setting.layers:
        stream = np.asarray(solution.design.parts[layer.name].stream)
        for patch in layer.patches:
            tracks = patch.tracks(stream, current, _shortest(setting.spec))
            found.append(Winding(patch.name, tracks, current, conductor.width, conductor.thickness))
    return tuple(w for w in found if w.tracks)


def _shortest(spec) -> float:
    """Level lines shorter than this (m) cannot be wound: a circle of twice the pitch across."""
    return 2 * np.pi * (spec.conductor.width + spec.conductor.spacing)


# --- bettering ------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Wound:
    """A stream function as its turns: the windings, the field quantities of the turns, the excess over each limit (relative)."""

    solution: Solution
    windings: tuple[Winding, ...]
    values: dict[str, np.ndarray]
    excess: dict[str, float]

    @property
    def worst(self) -> float:
        return sum(self.excess.values())


def bettered(setting: Setting, solution: Solution, cap: float | None, matrices: dict, progress=None) -> Solution:
    """The solution whose turns, not only whose sheet, keep the field error and the stray field, as far as that goes.

    A sequence of convex problems: those of the sheet, with the field replaced by that of the turns and its slope with the
    stream function (`windings.displacement`), each step damped.  A step counts when it lowers the excess of the turns
    over their limits and keeps the conductors apart.
    """
    current = turn_current(setting, solution)
    best, damping = _wound(setting, solution, current), FIRST
    for _ in range(STEPS):
        if best.worst <= KEPT or damping > STIFFEST or not best.windings:
            break
        if progress:
            progress("turns exceed " + ", ".join(f"{name} by {over:.1%}" for name, over in best.excess.items() if over > KEPT) + "; moving them")
        trial = _wound(setting, _step(setting, best, current, damping, cap, matrices), current)
        apart = closest_tracks(setting, trial.windings) >= min(KEEPING * JOINT * _pitch(setting), closest_tracks(setting, best.windings))
        best, damping = (trial, damping / 3) if apart and trial.worst < 0.98 * best.worst else (best, damping * 6)
    return replace(solution, design=best.solution.design, x=best.solution.x)


def _pitch(setting: Setting) -> float:
    return setting.spec.conductor.width + setting.spec.conductor.spacing


def _wound(setting: Setting, solution: Solution, current: float) -> Wound:
    windings = loose_turns(setting, solution, current)
    turns = Design({"turns": Assembly([w.filaments() for w in windings])})
    values, excess = {}, {}
    for limit in limits(setting, None):
        if limit.name in OF_TURNS and windings:
            values[limit.quantity.name] = value = np.asarray(limit.quantity.of(turns))
            excess[limit.name] = max(excess.get(limit.name, 0.0), _excess(limit, value))
    return Wound(solution, windings, values, excess)


def _excess(limit: Limit, value) -> float:
    """Relative to what is allowed; of the strength, whose band is narrow, relative to it."""
    if limit.norm == "row":
        return max(0.0, float(np.linalg.norm(value, axis=1).max() / np.max(limit.upper) - 1))
    middle, half = (limit.lower + limit.upper) / 2, (limit.upper - limit.lower) / 2
    if np.ndim(middle) == 0:
        return 0.0  # a slope that is off is taken up by the current
    return max(0.0, float((np.abs(value - middle) / half).max() - 1))


def _step(setting: Setting, wound: Wound, current: float, damping: float, cap: float | None, matrices: dict) -> Solution:
    """The convex problem about the turns at hand."""
    task = problem(setting, cap)
    about = dict(matrices) | _linear_in_turns(setting, wound, current)
    held = _held_apart(setting, wound)
    task = replace(task, subject_to=(*task.subject_to, *(limit for limit, _ in held)))
    about |= {limit.quantity.name: affine for limit, affine in held}
    if setting.spec.winding.turns:
        top, affine = _height(setting, wound, current)
        task = replace(task, subject_to=(*task.subject_to, top))
        about[top.quantity.name] = affine
    return convex.priced(task, PRICE * max(1e-12, abs(wound.solution.objective)), about, wound.solution.x, damping)


def _height(setting: Setting, wound: Wound, current: float) -> tuple[Limit, Affine]:
    """psi of the primary over its rim, in turns: nowhere higher than now, and as high where it is highest.

    The current of a turn follows from that height, so it must stay.
    """
    layer = setting.layers[0]
    stream = np.asarray(wound.solution.design.parts[layer.name].stream)
    rim = np.concatenate([np.full(len(p.mesh.vertices), p.mesh.boundaries[0][0] + p.first if p.mesh.boundaries else p.first) for p in layer.patches])
    picked = sparse.eye_array(len(stream), format="csr") - sparse.csr_array((np.ones(len(stream)), (np.arange(len(stream)), rim)), shape=(len(stream),) * 2)
    matrix = (picked @ layer.basis).toarray() / current
    height = (picked @ stream) / current
    most = np.abs(height).max()
    lower = np.where(height >= most * (1 - 1e-9), most, -most)
    upper = np.where(height <= -most * (1 - 1e-9), -most, most)
    wide = np.pad(matrix, [(0, 0), (0, wound.solution.x.size - matrix.shape[1])])
    quantity = Quantity("height in turns", "1", lambda d: (d.parts[layer.name].stream - d.parts[layer.name].stream[rim]) / current)
    return Limit(quantity, lower, upper, scale=1e-3, label="height"), Affine(np.zeros(len(stream)), wide, (len(stream),))


def _held_apart(setting: Setting, wound: Wound) -> list[tuple[Limit, Affine]]:
    """Neighbouring tracks of each layer at least as far apart as the conductor needs, linear about the turns at hand."""
    pitch, found, first = _pitch(setting), [], 0
    tracks = {w.name: w.tracks for w in wound.windings}
    for layer in setting.layers:
        own = [t for patch in layer.patches for t in tracks.get(patch.name, ())]
        count, x = layer.basis.shape[1], wound.solution.x
        if len(own) > 1:  # a single track has no neighbour
            stream = np.asarray(wound.solution.design.parts[layer.name].stream)
            distance, slope = distance_sensitivity(layer.mesh, stream, own, layer.basis, NEAR * pitch)
            wide = np.zeros((len(distance), x.size))
            wide[:, first : first + count] = slope
            quantity = Quantity(f"distance of tracks of {layer.name}", "m", lambda d, size=len(distance): np.zeros(size))
            if not len(distance):
                continue
            found.append((Limit(quantity, lower=JOINT * pitch, scale=pitch, label="conductor.spacing"), Affine(distance - wide @ x, wide, distance.shape)))
        first += count
    return found


def _linear_in_turns(setting: Setting, wound: Wound, current: float) -> dict[str, Affine]:
    """Field quantities of the turns as offset + matrix @ x about the stream function at hand."""
    found = {}
    for limit in limits(setting, None):
        if limit.name not in OF_TURNS:
            continue
        name, value = limit.quantity.name, wound.values[limit.quantity.name]
        matrix = limit.quantity.read(_sensitivity(setting, wound, current, limit.quantity.points))
        found[name] = Affine(value.ravel() - matrix @ wound.solution.x, matrix, value.shape)
    return found


def _sensitivity(setting: Setting, wound: Wound, current: float, points) -> np.ndarray:
    """dB/dx (P,3,K) of all turns."""
    tracks = {w.name: w.tracks for w in wound.windings}
    columns = []
    for layer in setting.layers:
        stream = np.asarray(wound.solution.design.parts[layer.name].stream)
        own = [t for patch in layer.patches for t in tracks.get(patch.name, ())]
        shape = (len(points), 3, layer.basis.shape[1])
        columns.append(turn_sensitivity(layer.mesh, stream, own, current, points, layer.basis) if own else np.zeros(shape))
    return np.concatenate(columns, axis=2)
