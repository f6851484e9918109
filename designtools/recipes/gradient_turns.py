"""Turns of a gradient coil: cut from the stream function, then moved until they keep the limits themselves."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from scipy.spatial import cKDTree

from designtools.problem import Design, Limit
from designtools.quantities import cooling
from designtools.recipes.gradient_between import beyond, held_at
from designtools.recipes.gradient_problem import limits
from designtools.recipes.gradient_setting import Setting
from designtools.recipes.surfaces import Patch, inside
from designtools.solve import standard
from designtools.solve.assembly import NORMS
from designtools.solve.linearise import Affine
from designtools.solve.solution import Solution
from designtools.sources import Assembly
from designtools.windings import pliant
from designtools.windings.bend import sharpest_bend
from designtools.windings.displacement import dipole_fields, on_faces
from designtools.windings.mesh_contour import vertex_normals
from designtools.windings.spacing import wire_spacing
from designtools.windings.winding import Track, Winding

STEPS = 12  # towards turns that keep the limits
FARTHEST, NEAREST = 2.0, 0.1  # pitches that a turn may move in one step: at first, and where it is not worth going on
ELBOW = 0.4  # of the room beyond the pitch, that a turn far from others may move instead: two that meet do not cross
PRICE = 100.0  # of a violation as large as the limit; moving all turns by one pitch costs 1
KEPT = 1e-3  # relative excess over all limits together that counts as none
CLOSE = 0.05  # excess below which the field is looked at between the points too
NEAR = 1 + 2 * FARTHEST  # pitches: how far apart neighbouring tracks may be to be held apart: both may move
JOINT, LOOSE = 1.02, 1.001  # tracks lie this much wider apart than asked, to be joined (jogs come a little closer) or left loose
LAID, AIM = 1.003, 0.997  # the same of a step, and of the field limits that it aims at, for what is not linear
WAVE = 6.0  # pitches: the shortest wave in which a turn moves
STIFFER = 3.0  # times dearer does moving get with each step that should keep all limits: what is left is not linear, and takes little
STRAIGHT = 200.0  # price of the mean square curvature of the turns, in 1/pitch, where moving them by one pitch costs 1
KNEE = 4.0  # waves round a turn from which on moving it gets dear
FINE, MOST_POINTS = 0.5, 192  # of the pitch: the step of the points of a track; how many one may have
ALONG = 3  # places per pitch at which tracks are held apart
BESIDE = 1.3  # pitches, beyond which a fourth of the places will do to hold tracks apart
TIGHT = 0.6  # of the curvature allowed, from where on a bend is held
OF_TURNS = ("target.error", "target.strength", "stray.limit")  # limits that the turns themselves shall keep


def turn_current(setting: Setting, solution: Solution) -> float:
    """Current (A) of one turn: as given, or the largest |psi| of the primary over the turns per lobe."""
    if setting.spec.winding.current:
        return float(setting.spec.winding.current)
    layer = setting.layers[0]
    stream = np.asarray(solution.design.parts[layer.name].stream)
    largest = max(np.abs(patch.of(stream) - patch.rim_value(stream)).max() for patch in layer.patches)
    return float(largest / setting.spec.winding.turns)


def pitch(setting: Setting) -> float:
    """Least distance (m) of the centrelines of neighbouring tracks."""
    return setting.spec.conductor.width + setting.spec.conductor.spacing


def apart(setting: Setting) -> float:
    """Least distance (m) at which neighbouring tracks are left."""
    return pitch(setting) * (JOINT if setting.spec.winding.joined else LOOSE)


def closest_tracks(setting: Setting, windings) -> float:
    """Smallest distance (m) between neighbouring tracks of any winding."""
    return min((wire_spacing(w.tracks, setting.spec.conductor.width).distance for w in windings if w.tracks), default=np.inf)


def cut_turns(setting: Setting, solution: Solution, current: float) -> tuple[Winding, ...]:
    """Closed tracks of every patch, one current apart; those too short to be wound are left out."""
    conductor, found = setting.spec.conductor, []
    for layer in setting.layers:
        stream = np.asarray(solution.design.parts[layer.name].stream)
        for patch in layer.patches:
            tracks = patch.tracks(stream, current, _shortest(setting.spec))
            found.append(Winding(patch.name, tracks, current, conductor.width, conductor.thickness))
    return tuple(w for w in found if w.tracks)


def _shortest(spec) -> float:
    """Level lines shorter than this (m) cannot be wound: a circle of twice the pitch across, or of the least bend."""
    return 2 * np.pi * max(spec.conductor.width + spec.conductor.spacing, spec.winding.bend_radius or 0.0)


# --- kept beside a solution -----------------------------------------------------------------------


def kept(windings) -> dict[str, np.ndarray]:
    """Windings as arrays that a solution carries."""
    tracks = [t for w in windings for t in w.tracks]
    empty = np.zeros((0, 3))
    return {
        "turn_points": np.concatenate([t.points for t in tracks]) if tracks else empty,
        "turn_normals": np.concatenate([t.normals for t in tracks]) if tracks else empty,
        "turn_sizes": np.array([len(t.points) for t in tracks], int),
        "turn_layer": np.repeat(np.arange(len(windings)), [len(w.tracks) for w in windings]),
        "turn_names": np.array([w.name for w in windings], str),
    }


def loose_turns(setting: Setting, solution: Solution, current: float) -> tuple[Winding, ...]:
    """The closed turns that a solution carries, or those cut from its stream functions where it carries none."""
    extra = solution.extra
    if "turn_points" not in extra:
        return cut_turns(setting, solution, current)
    ends = np.cumsum(extra["turn_sizes"])[:-1]
    pieces = zip(np.split(extra["turn_points"], ends), np.split(extra["turn_normals"], ends))
    tracks = [Track(p, n, ("turn",) * (len(p) - 1)) for p, n in pieces]
    conductor = setting.spec.conductor
    own = lambda k: tuple(t for t, layer in zip(tracks, extra["turn_layer"]) if layer == k)
    return tuple(Winding(str(name), own(k), current, conductor.width, conductor.thickness) for k, name in enumerate(extra["turn_names"]))


# --- moving ---------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Wound:
    """Turns at hand: the windings, x (K,) of the stream functions that they stand for, the limits on the field with what
    the turns make of them, and the excess over each limit (relative)."""

    windings: tuple[Winding, ...]
    x: np.ndarray
    field: tuple[tuple[Limit, np.ndarray], ...]
    excess: dict[str, float]

    @property
    def worst(self) -> float:
        return sum(self.excess.values())

    @property
    def tracks(self) -> tuple[Track, ...]:
        return tuple(t for w in self.windings for t in w.tracks)


def bettered(setting: Setting, solution: Solution, matrices: dict, progress=None, begun: Wound | None = None, steps: int = STEPS) -> tuple[Solution, Wound]:
    """The solution with turns, cut from its stream functions or as `begun`, that keep the field error, the stray field, spacing and bends, as far as that goes.

    A sequence of convex problems in smooth displacements of the turns (`windings.pliant`), the field of the turns taken
    as linear in them; a step counts when it lowers the excess over the limits.  What the sheets keep beside the field
    (torque, electric field, eddy currents ...) is held too, of the stream functions that the turns stand for.
    """
    current = turn_current(setting, solution)
    windings, x = (begun.windings, begun.x) if begun else (_evened(setting, cut_turns(setting, solution, current)), solution.x)
    best, farthest, stiff = _wound(setting, windings, x), FARTHEST, 1.0
    for _ in range(steps):
        if best.worst < CLOSE:
            setting, best = _seen_between(setting, best)
        if best.worst <= KEPT or farthest < NEAREST or not best.windings:
            break
        if progress:
            progress("turns exceed " + ", ".join(f"{name} by {over:.1%}" for name, over in best.excess.items() if over > KEPT) + "; moving them")
        trial, left = _moved(setting, best, current, farthest, stiff, matrices)
        better = trial.worst < 0.98 * best.worst
        best, farthest = (trial, min(2 * farthest, FARTHEST)) if better else (best, farthest / 4)
        stiff *= STIFFER if left <= KEPT else 1.0
    return replace(solution, extra=solution.extra | kept(best.windings)), best


def _seen_between(setting: Setting, wound: Wound) -> tuple[Setting, Wound]:
    """The setting with the points more at which the turns stray, and the turns judged there too."""
    points = beyond(setting, Assembly([w.filaments() for w in wound.windings])) if wound.windings else ()
    if not len(points):
        return setting, wound
    setting = held_at(setting, points)
    return setting, _wound(setting, wound.windings, wound.x)


def _evened(setting: Setting, windings) -> tuple[Winding, ...]:
    """The windings with tracks fine enough that chords are no matter beside the pitch."""
    patches = {patch.name: patch for layer in setting.layers for patch in layer.patches}
    return tuple(replace(w, tracks=tuple(_fine(setting, patches[w.name], t) for t in w.tracks)) for w in windings)


def _fine(setting: Setting, patch: Patch, track: Track) -> Track:
    """A closed track on the patch, on a smooth curve through its points."""
    return pliant.evened(pliant.without_knots(track, pitch(setting)), FINE * pitch(setting), MOST_POINTS, lambda points: _onto(patch, points))


def _wound(setting: Setting, windings, x) -> Wound:
    turns, field, excess = Design({"turns": Assembly([w.filaments() for w in windings])}), [], {}
    for limit in limits(setting, None):
        if limit.name in OF_TURNS and windings:
            value = np.asarray(limit.quantity.of(turns))
            field.append((limit, value))
            excess[limit.name] = max(excess.get(limit.name, 0.0), _excess(setting, limit, value))
    excess["conductor.spacing"] = max(0.0, 1 - closest_tracks(setting, windings) / apart(setting))
    least = setting.spec.winding.bend_radius
    if least:
        excess["winding.bend_radius"] = max(0.0, 1 - min((sharpest_bend(w.tracks, w.width) for w in windings), default=np.inf) / least)
    if setting.spec.cooling is not None and setting.spec.cooling.limit is not None:
        excess["cooling.limit"] = max(0.0, _hottest(setting, windings) / setting.spec.cooling.limit - 1)
    return Wound(windings, x, tuple(field), excess)


def wire_rise(spec, layer, tracks, current: float) -> np.ndarray:
    """Temperature (V,) K above the coolant at the vertices of a layer: heat of the turns as they lie, carried along the surface."""
    start, end = (np.concatenate([t.points[k:][: len(t.points) - 1] for t in tracks]) for k in (0, 1))
    share, _ = on_faces(layer.mesh, (start + end) / 2)
    watts = spec.cooling.duty * current**2 * spec.conductor.effective_resistivity / spec.conductor.area * np.linalg.norm(end - start, axis=1)
    return cooling.wire_rise(layer.mesh.vertices, layer.mesh.faces, share, watts, spec.cooling.heat_transfer, spec.cooling.spreading)


def _hottest(setting: Setting, windings) -> float:
    """Temperature (K) of the hottest spot of any layer above the coolant."""
    of, rise = {patch.name: layer.name for layer in setting.layers for patch in layer.patches}, 0.0
    for layer in setting.layers:
        tracks = [t for w in windings if of[w.name] == layer.name for t in w.tracks]
        if tracks:
            rise = max(rise, float(wire_rise(setting.spec, layer, tracks, windings[0].current).max()))
    return rise


def _excess(setting: Setting, limit: Limit, value) -> float:
    """Relative to what is allowed; a slope that is off, which the current takes up, counts as the field error that it then makes."""
    if limit.norm == "row":
        return max(0.0, float(np.linalg.norm(value, axis=1).max() / np.max(limit.upper) - 1))
    middle, half = (limit.lower + limit.upper) / 2, (limit.upper - limit.lower) / 2
    if limit.name == "target.strength":
        return float(np.maximum(np.abs(value - middle) - half, 0).max() / middle) / setting.spec.target.error
    return max(0.0, float((np.abs(value - middle) / half).max() - 1))


@dataclass(frozen=True)
class _Linear:
    """A limit about the turns at hand: value + matrix @ c between lower and upper, or the norm of its rows below upper."""

    value: np.ndarray
    matrix: np.ndarray
    lower: object
    upper: object
    scale: float
    norm: str = "component"


def _moved(setting: Setting, wound: Wound, current: float, farthest: float, stiff: float, matrices: dict) -> tuple[Wound, float]:
    """The turns after one convex step, and the excess that it left over all limits together, as far as they are linear."""
    tracks, owner = wound.tracks, _owners(setting, wound)
    found = pliant.families(tracks, setting.symmetry, WAVE * pitch(setting))
    coarse = pliant.samples(found, tracks, setting.symmetry, np.inf)
    onto_sheet = _as_stream(setting, coarse, owner, current)
    held = [
        *_field_rows(wound, coarse, current),
        *_sheet_rows(setting, wound, onto_sheet, matrices),
        *_spacing_rows(setting, wound, found),
        *_bend_rows(setting, wound, found),
    ]
    gap = np.maximum(pliant.elbow_room(coarse, _windings_of(wound)) - pitch(setting), 0.0)
    loose = np.maximum(pitch(setting), ELBOW / FARTHEST * gap)
    room = _room(setting, coarse, owner, farthest * loose[coarse.first])
    answer = standard.solve(_programme(*_smooth(setting, found, coarse, tracks, loose, stiff), held, room), 1e-6, elastic=PRICE, estimate=True)
    smooth = lambda k, track: _fine(setting, owner[k][1], track)
    after = pliant.moved(found, tracks, setting.symmetry, answer.x, smooth)
    ends = np.cumsum([len(w.tracks) for w in wound.windings])
    windings = tuple(replace(w, tracks=after[end - len(w.tracks) : end]) for w, end in zip(wound.windings, ends))
    return _wound(setting, windings, wound.x + onto_sheet @ answer.x), float(answer.violation[:-1].sum())


def _windings_of(wound: Wound) -> np.ndarray:
    """Number of the winding of every track."""
    return np.repeat(np.arange(len(wound.windings)), [len(w.tracks) for w in wound.windings])


def _owners(setting: Setting, wound: Wound) -> list:
    """(layer, patch, number of the winding) of every track."""
    of = {patch.name: (layer, patch) for layer in setting.layers for patch in layer.patches}
    return [(*of[w.name], number) for number, w in enumerate(wound.windings) for _ in w.tracks]


def _smooth(setting: Setting, found, at: pliant.Samples, tracks, loose, stiff: float) -> tuple[np.ndarray, np.ndarray]:
    """P (C,C) and q (C,) of 1/2 c'Pc + q'c: what it costs to move turns, in slow waves little, and how much they are bent then."""
    curvature, slope, _ = pliant.bends(at)
    images = np.bincount(np.concatenate([np.full(len(f.images), f.track) for f in found]))[at.track[at.first]]
    share = images * at.size[at.first] / at.around[at.first] / len(tracks) * STRAIGHT * pitch(setting) ** 2
    scale = [np.median(loose[at.track == f.track]) for f in found]
    weight = stiff * pliant.roughness(found, tracks, KNEE, scale) + slope.T @ (share[:, None] * slope)
    return 2 * weight, 2 * slope.T @ (share * curvature)


def _programme(quadratic, linear, held: list[_Linear], room: _Linear) -> standard.Standard:
    """The convex problem: small smooth displacements, violations priced, no turn farther than it has room."""
    flat, cones = [(room, len(held))], []
    for index, h in enumerate(held):
        if h.norm in NORMS:
            shape = h.value.shape
            cones.append(standard.Cones(h.matrix.reshape(*shape, -1), h.value, np.broadcast_to(np.asarray(h.upper, float), shape[:1]), index, NORMS[h.norm]))
        else:
            flat.append((h, index))
    side = lambda h, bound, none: np.broadcast_to(np.asarray(none if bound is None else bound, float), h.value.shape).ravel() - h.value.ravel()
    rows = standard.Rows(
        np.concatenate([h.matrix for h, _ in flat]),
        np.concatenate([side(h, h.lower, -np.inf) for h, _ in flat]),
        np.concatenate([side(h, h.upper, np.inf) for h, _ in flat]),
        np.concatenate([np.full(h.value.size, index) for h, index in flat]),
    )
    scale = np.array([*(h.scale for h in held), 1e-12])
    return standard.Standard(quadratic, linear, 0.0, rows, tuple(cones), (), scale)


def _field_rows(wound: Wound, at: pliant.Samples, current: float):
    """What the turns themselves make of the limits on the field."""
    known: dict = {}
    for limit, value in wound.field:
        points = limit.quantity.points
        if id(points) not in known:
            fields = dipole_fields(points, at.points, current * at.moment)
            known[id(points)] = (fields.reshape(-1, len(at.points)) @ at.shape).reshape(len(points), 3, -1)
        yield _Linear(value, limit.quantity.read(known[id(points)]), *_within_reach(limit), limit.scale, limit.norm)


def _within_reach(limit: Limit):
    """Lower and upper bound, drawn in by what a step leaves for what is not linear."""
    if limit.norm == "row":
        return None, AIM * np.asarray(limit.upper)
    middle, half = (limit.lower + limit.upper) / 2, (limit.upper - limit.lower) / 2
    return middle - AIM * half, middle + AIM * half


def _sheet_rows(setting: Setting, wound: Wound, onto_sheet, matrices: dict):
    """The other limits, of the stream functions that the turns stand for; never tighter than they are now."""
    for limit in limits(setting, None):
        a: Affine | None = matrices.get(limit.quantity.name)
        if limit.name in (*OF_TURNS, "limits.peak_current_density") or a is None:
            continue
        value = (a.offset + a.matrix @ wound.x).reshape(a.shape)
        yield _Linear(value, a.matrix @ onto_sheet, limit.lower, limit.upper, limit.scale, limit.norm)


def _as_stream(setting: Setting, at: pliant.Samples, owner, current: float) -> np.ndarray:
    """Change (K,C) A of the coefficients of the stream functions that displaced turns amount to: their ribbons' moments."""
    blocks, layer_of = [], np.array([next(i for i, l in enumerate(setting.layers) if l is own[0]) for own in owner])[at.track]
    for number, layer in enumerate(setting.layers):
        own = np.flatnonzero(layer_of == number)
        share = on_faces(layer.mesh, at.points[own])[0]
        moment = current * np.einsum("ij,ij->i", at.moment[own], at.normals[own])
        spread = layer.basis.T @ (share.T @ (moment[:, None] * at.shape[own]))
        area = _vertex_areas(layer.mesh)
        blocks.append(np.asarray(spread.todense() if hasattr(spread, "todense") else spread) / (layer.basis.power(2).T @ area)[:, None])
    return np.concatenate(blocks)


def _vertex_areas(mesh) -> np.ndarray:
    """A third of the faces round each vertex (m2)."""
    return np.bincount(mesh.faces.ravel(), np.repeat(mesh.area / 3, 3), len(mesh.vertices))


def _spacing_rows(setting: Setting, wound: Wound, found):
    """Neighbouring turns of one winding as far apart as they are laid."""
    near = pliant.samples(found, wound.tracks, setting.symmetry, pitch(setting) / ALONG)
    distance, slope = pliant.distances(near, NEAR * pitch(setting), BESIDE * pitch(setting), setting.spec.conductor.width, _windings_of(wound))
    if len(distance):
        short = wound.excess["conductor.spacing"]  # between the places looked at they are a little closer
        yield _Linear(distance, slope, LAID * (1 + short) * apart(setting), None, pitch(setting))


def _bend_rows(setting: Setting, wound: Wound, found):
    """Bends no tighter than winding.bend_radius; the surface's own curvature along the track takes its part of it."""
    least = setting.spec.winding.bend_radius
    if not least:
        return
    at = pliant.samples(found, wound.tracks, setting.symmetry, least / 4)
    curvature, slope, surface = pliant.bends(at)
    most = np.sqrt(np.maximum((1 / least) ** 2 - surface**2, 0.0)) / LAID
    tight = np.abs(curvature) > TIGHT * most
    if tight.any():
        yield _Linear(curvature[tight], slope[tight], -most[tight], most[tight], 1 / least)


# --- where a turn may go --------------------------------------------------------------------------


SHARES = np.array([0.25, 0.5, 0.75, 1.0])  # of the farthest step, at which the way is looked at


def _room(setting: Setting, at: pliant.Samples, owner, step) -> _Linear:
    """How far each place that is on no image may move: `step` (R,) m, less where a rim or a keep-out is nearer."""
    first = np.flatnonzero(at.first)
    sides = []
    for way in (-1.0, 1.0):
        free = np.ones((len(SHARES), len(first)), bool)
        for k, share in enumerate(SHARES):
            there = at.points[first] + way * share * step[:, None] * at.across[first]
            free[k] = _may_lie(setting, owner, at.track[first], there)
        sides.append(step * np.where(free.all(axis=0), 1.0, np.append(0.0, SHARES)[np.argmin(free, axis=0)]))
    value = np.zeros(len(first))
    return _Linear(value, at.shape[first].toarray(), -sides[0], sides[1], 1e-12)


def _may_lie(setting: Setting, owner, track, points) -> np.ndarray:
    """Whether the conductor may lie at points (P,3) m beside tracks (P,)."""
    fine = np.ones(len(points), bool)
    for patch in {id(owner[k][1]): owner[k][1] for k in np.unique(track)}.values():
        own = np.array([owner[k][1] is patch for k in track])
        fine[own] = _within(patch, points[own], setting.spec.conductor.width / 2)
    for space in setting.spec.keep_out:
        fine &= ~inside(space, points, pitch(setting) / 2)
    return fine


def _within(patch: Patch, points, margin: float) -> np.ndarray:
    """Whether points (P,3) m beside a patch lie on it, `margin` m from its rims."""
    on, _ = _onto(patch, points)
    if patch.former is None:
        fine = np.linalg.norm(on - points, axis=1) <= margin  # beyond a rim the nearest face is farther away
    else:
        uv, span = patch.former.inverse(points), patch.former.span
        inner = [(uv[:, k] >= span[k][0]) & (uv[:, k] <= span[k][1]) for k in (0, 1) if not patch.former.periodic[k]]
        fine = np.all(inner, axis=0) if inner else np.ones(len(points), bool)
    if not patch.mesh.boundaries:
        return fine
    return fine & (cKDTree(_rims(patch.mesh, margin)).query(on)[0] >= margin)


def _rims(mesh, step: float) -> np.ndarray:
    """Points (R,3) m on the rims of a mesh, at most about `step` apart."""
    start, end = (np.concatenate([mesh.vertices[np.roll(rim, -k)] for rim in mesh.boundaries]) for k in (0, 1))
    pieces = max(1, int(np.ceil(np.linalg.norm(end - start, axis=1).max() / step)))
    share = np.arange(pieces)[:, None, None] / pieces
    return (start + share * (end - start)).reshape(-1, 3)


def _onto(patch: Patch, points) -> tuple[np.ndarray, np.ndarray]:
    """Points (P,3) m moved onto the surface of a patch, and its outward normals there."""
    if patch.former is not None:
        uv = patch.former.inverse(points)
        return patch.former.at(uv), patch.former.normal(uv)
    share, _ = on_faces(patch.mesh, points)
    normals = share @ vertex_normals(patch.mesh)
    return share @ patch.mesh.vertices, normals / np.linalg.norm(normals, axis=1)[:, None]
