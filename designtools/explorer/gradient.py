"""A gradient coil that follows its sliders: the continuous sheet under weights, in milliseconds.

The recipe solves a cone problem to the last digit; here the same power, energy, field and stray matrices enter a regularised
least squares whose weights are searched until the largest error, the largest stray field and the largest current density
stand at what the sliders say.  What it finds keeps these limits at the same points, so its objective is never below
the recipe's and a little above it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import NamedTuple

import numpy as np
from scipy import sparse

from designtools.explorer import tradeoff
from designtools.explorer.level_lines import level_lines
from designtools.explorer.live import Answer, Curve, Knob
from designtools.problem import Design
from designtools.quantities import energy
from designtools.quantities.field import component, flux_density
from designtools.recipes import gradient_problem as recipe
from designtools.recipes import gradient_setting
from designtools.recipes.gradient import relax
from designtools.regions import Region
from designtools.result import Figure, Lines, PlaneMap
from designtools.solve import convex
from designtools.sources import Sheet
from designtools.units import MU_0
from designtools.windings import contour

SIDE = 41  # points along each side of the plane of the error
ALONG = 81  # points along the gradient axis
CURVE = np.geomspace(0.02, 50.0, 25)  # of the weight found, on the trade-off curve; its middle is 1
SHEET = "continuous sheet, live"
NOT_HELD = {
    "limits.torque": lambda s: s.limits.torque is not None, "limits.net_force": lambda s: s.limits.net_force is not None,
    "limits.peak_current_density": lambda s: s.limits.peak_current_density is not None,
    "objective.peak_current_density": lambda s: s.objective.peak_current_density > 0,
    "patient.limit": lambda s: s.patient is not None and s.patient.limit is not None, "cryostat": lambda s: s.cryostat is not None,
    "wall": lambda s: s.wall is not None, "cooling": lambda s: s.cooling is not None, "winding.bend_radius": lambda s: s.winding.bend_radius is not None,
}  # fmt: skip


class Views(NamedTuple):
    """Rows in the eigen-coefficients: error at held points, the fitted gradient, stray field, density, the axis and a plane."""

    error: tradeoff.Rows
    slope: np.ndarray
    stray: tradeoff.Rows | None
    density: np.ndarray
    axis: np.ndarray
    plane: np.ndarray


class LiveGradient(NamedTuple):
    """Everything that stays while sliders move: the setting, V (K,K) and the eigenvalues of the energy, rows, sizes of faces."""

    setting: object
    back: np.ndarray
    energies: np.ndarray
    views: Views
    face_weight: np.ndarray
    knobs: tuple[Knob, ...]
    forward: np.ndarray
    matrices: dict

    def exact(self, state: Mapping[str, float]) -> Answer:
        """The recipe's own optimum of the sheet at one state, with its certified gap: a second rather than milliseconds."""
        return exactly(self, state)

    def answer(self, state: Mapping[str, float]) -> Answer:
        """Figures, turns and plots at one state of the sliders."""
        return answered(self, state)

    @property
    def limits(self) -> str:
        """What the live numbers are, and what they leave out, in words."""
        left_out = [key for key, present in NOT_HELD.items() if present(self.setting.spec)]
        words = (
            "Live numbers are those of the continuous current sheet (turns: its level lines, not joined, not moved apart). "
            "Held: target.error, target.strength, stray.limit and the distance of tracks, by weights found by search, "
            "so power and energy lie a little above the certified optimum of a full design."
        )
        return words + (f" Not held here: {', '.join(left_out)}." if left_out else "")


# --- once ---------------------------------------------------------------------------------------


def prepared(spec, progress=None) -> LiveGradient:
    """Matrices of the coil and their eigen-decomposition."""
    say = progress or (lambda sentence: None)
    say("laying out the surfaces")
    setting = gradient_setting.prepare(spec)
    say("power and energy of the sheet")
    rows = [_matrix(setting, recipe._power(l, spec)) for l in setting.layers]
    power = sum(m.T @ m for m in rows)
    matrix = energy.inductance_matrix([recipe.sheet_model(l) for l in setting.layers])
    back, energies = tradeoff.diagonalised(power, matrix / 2)
    say("field of the sheet")
    return LiveGradient(setting, back, energies, _views(setting, back), _face_weights(setting), _knobs(spec), back.T @ power, {})


def _matrix(setting, quantity) -> np.ndarray:
    """A quantity linear in the stream functions as a matrix (m,K) on the coefficients of all layers, by its closed Jacobian."""
    design = Design({l.name: Sheet(l.mesh.vertices, l.mesh.faces, np.zeros(len(l.mesh.vertices))) for l in setting.layers})
    known = quantity.jacobian(design).parts
    blocks = [known[l.name].stream @ l.basis if l.name in known else None for l in setting.layers]
    height = next(b.shape[0] for b in blocks if b is not None)
    wide = [np.zeros((height, l.basis.shape[1])) if b is None else b.toarray() if sparse.issparse(b) else b for b, l in zip(blocks, setting.layers)]
    return np.concatenate(wide, axis=1)


def _views(setting, back) -> Views:
    spec = setting.spec
    of = lambda quantity: _matrix(setting, quantity) @ back
    at = lambda points, name: of(component(Region(points, np.full(len(points), 1 / len(points)), name), setting.b0, name))
    wanted = spec.target.strength * setting.distance(setting.target.points)
    stray = None if setting.stray is None else tradeoff.compressed(of(flux_density(setting.stray)))
    density = np.concatenate([of(recipe._density(l)) for l in setting.layers])
    _, along = axis_points(setting)
    return Views(
        tradeoff.compressed(at(setting.target.points, "target"), wanted), of(recipe._slope_limit(setting).quantity), stray,
        density, at(along, "axis"), at(plane_points(setting)[1].reshape(-1, 3), "plane"),
    )  # fmt: skip


def _face_weights(setting) -> np.ndarray:
    """Share of the power (ohm m^2) that |K|^2 of each face stands for, all layers."""
    from designtools.quantities.sheet import tangents

    areas = [tangents(l.mesh.vertices, l.mesh.faces[l.faces])[2] * l.counts for l in setting.layers]
    return recipe.sheet_resistance(setting.spec) * np.concatenate(areas)


def axis_points(setting):
    """Distances (n,) m along the gradient axis and the points (n,3) m."""
    x = np.linspace(-1.1 * setting.reach, 1.1 * setting.reach, ALONG)
    return x, setting.centre + x[:, None] * setting.direction


def plane_points(setting):
    """Coordinates (n,) m, points (n,n,3) m and both directions of the plane of the gradient axis and the bore."""
    first = setting.direction
    second = setting.frame[2] if abs(first @ setting.frame[2]) < 0.99 else setting.frame[0]
    second = second - first * (first @ second)
    second /= np.linalg.norm(second)
    x = np.linspace(-1.25 * setting.reach, 1.25 * setting.reach, SIDE)
    return x, setting.centre + x[:, None, None] * first + x[None, :, None] * second, first, second


def _knobs(spec) -> tuple[Knob, ...]:
    error, gap = spec.target.error, max(spec.conductor.spacing, 1e-4)
    total = spec.objective.power + spec.objective.stored_energy
    share = spec.objective.stored_energy / total if total else 0.0
    knobs = [Knob("target.error", "Field error", "ratio", error / 4, min(4 * error, 0.5), error, "log", "largest in the region, over strength times reach")]
    if spec.stray is not None:
        limit = spec.stray.limit
        knobs.append(Knob("stray.limit", "Stray field", "field", limit / 8, 8 * limit, limit, "log", "largest |B| on the stray surface at target.strength"))
    knobs.append(Knob("conductor.spacing", "Gap between tracks", "length", 0.0, max(4 * gap, spec.conductor.width), spec.conductor.spacing, "linear", "smallest clear gap that is held"))
    knobs.append(Knob("objective.stored_energy", "Energy against power", "", 0.0, 1.0, share, "linear", "0 makes the power small, 1 the stored energy"))
    return tuple([*knobs, _winding_knob(spec)])


def _winding_knob(spec) -> Knob:
    turns, current = spec.winding.turns, spec.winding.current
    if turns is not None:
        return Knob("winding.turns", "Turns per lobe", "", 1, max(2 * turns, turns + 8), turns, "whole", "of the primary")
    return Knob("winding.current", "Current of a turn", "current", current / 4, min(4 * current, spec.amplifier.current if spec.amplifier else np.inf), current, "log", "at target.strength")


def spec_changes(live: LiveGradient, state: Mapping[str, float]) -> dict:
    """Dotted key -> value of the spec that stands for this state; power and energy share the weight of 1."""
    changes = {k.key: k.written(state[k.key]) for k in live.knobs}
    share = float(changes["objective.stored_energy"])
    return changes | {"objective.power": round(1 - share, 9)}


# --- at one state -------------------------------------------------------------------------------


class Found(NamedTuple):
    """The sheet at one state: z (K,), current of a turn, |K| (F,), what was found, the path of weights it lies on, the limits asked."""

    z: np.ndarray
    current: float
    density: np.ndarray
    solved: tradeoff.Solved
    system: tradeoff.Dual
    path: tradeoff.Path
    error: tradeoff.Rows
    allowed: float
    badness: tuple[float, float]


def found_at(live: LiveGradient, state: Mapping[str, float]) -> Found:
    """The sheet whose error, stray field and track distance stand at the state; crowded places get weights until none is."""
    spec, views = live.setting.spec, live.views
    share, keep = state["objective.stored_energy"], 1 - recipe.reserve(spec)
    scales = recipe.natural_scales(spec, live.setting.size)
    diagonal = (1 - share + 1e-9) / scales["power"] + share * live.energies / scales["stored_energy"]
    allowed = keep * state["target.error"] * spec.target.strength * live.setting.reach
    most = keep * state["stray.limit"] if views.stray is not None else None
    size = None if views.stray is None else lambda z: _stray_norms(views.stray, z).max()
    rows, weight = (views.error, views.stray), np.zeros(len(live.face_weight))
    best, near = None, 0.0
    for _ in range(FEW if len(diagonal) > LARGE else MANY):
        crowded = np.flatnonzero(weight)
        soft = tradeoff.Soft(*_soft(views.density, crowded, weight * live.face_weight / scales["power"])) if crowded.size else None
        system = tradeoff.dual(diagonal, views.slope, np.array([spec.target.strength]), *rows, soft)
        solved, path = tradeoff.balanced(system, rows[0], allowed, size, most, near)
        density = _densities(live, solved.z)
        current, near = turn_current(live, solved.z, state), solved.stray_weight
        over = density * (spec.conductor.width + state["conductor.spacing"]) / current
        here = Found(solved.z, current, density, solved, system, path, rows[0], allowed, _badness(diagonal, solved, allowed, most, over))
        best = here if best is None or here.badness < best.badness else best
        rows, weight = _sharper(rows, solved), _heavier(weight, over)
    return best


def _badness(diagonal, solved, allowed, most, over) -> tuple[float, float]:
    """First by how much limits are exceeded beyond what counts as none, then the objective."""
    beyond = [solved.error / allowed - 1.001, over.max() - 1.01] + ([] if most is None else [solved.stray / most - 1.01])
    return max(0.0, *beyond), float(diagonal @ solved.z**2)


def _sharper(rows, solved):
    """Rows weighted more where the residual is large, so that their peak falls."""
    error, stray = rows
    sized = np.abs(error.residual(solved.z))
    found = tradeoff.reweighted(error, (sized / sized.max() + 0.05) / error.scale**2)
    if stray is None or not solved.stray_weight:
        return found, stray
    sized = np.repeat(_stray_norms(stray, solved.z), 3)
    return found, tradeoff.reweighted(stray, (sized / sized.max() + 0.05) / stray.scale**2)


def _soft(density, faces, weight):
    return density[(2 * faces[:, None] + np.arange(2)).ravel()], np.repeat(weight[faces], 2)


def _heavier(weight, over) -> np.ndarray:
    """Weights of crowded faces grow, those of faces with room fall; the lightest are dropped."""
    grown = np.where(weight > 0, weight * over**3, np.where(over > 1, over**2 - 1, 0.0))
    lightest = np.sort(grown)[-MOST_CROWDED] if len(grown) > MOST_CROWDED else 0.0
    return np.where(grown >= max(lightest, 1e-6), grown, 0.0)


MOST_CROWDED = 160  # faces at a time
MANY, FEW, LARGE = 10, 4, 400  # rounds of weights; fewer where there are more coefficients than LARGE


def _stray_norms(stray: tradeoff.Rows, z) -> np.ndarray:
    return np.linalg.norm(stray.residual(z).reshape(-1, 3), axis=1)


def streams(live: LiveGradient, z) -> list[np.ndarray]:
    """psi (V,) A of every layer."""
    x = live.back @ z
    parts = np.split(x, np.cumsum([l.basis.shape[1] for l in live.setting.layers])[:-1])
    return [l.basis @ part for l, part in zip(live.setting.layers, parts)]


def turn_current(live: LiveGradient, z, state) -> float:
    """Current (A) of a turn: as given, or the largest |psi| of the primary over the turns per lobe."""
    if "winding.current" in state:
        return state["winding.current"]
    layer = live.setting.layers[0]
    stream = streams(live, z)[0]
    return float(max(np.abs(p.of(stream) - p.rim_value(stream)).max() for p in layer.patches) / state["winding.turns"])


def answered(live: LiveGradient, state: Mapping[str, float]) -> Answer:
    """See `LiveGradient.answer`."""
    found = found_at(live, state)
    stream = streams(live, found.z)
    curves = turns(live, stream, found.current)
    return Answer(_figures(live, found, curves, state), curves, _plots(live, found, state), _notes(live, found, state))


# --- the recipe's optimum -----------------------------------------------------------------------


def setting_at(live: LiveGradient, state: Mapping[str, float]):
    """The setting whose spec states what the sliders say; geometry is as it was."""
    spec = live.setting.spec
    parts: dict[str, dict] = {}
    for key, value in (state | {"objective.power": 1 - state["objective.stored_energy"]}).items():
        branch, _, name = key.partition(".")
        parts.setdefault(branch, {})[name] = int(round(value)) if name == "turns" else value
    return replace(live.setting, spec=spec.model_copy(update={name: getattr(spec, name).model_copy(update=values) for name, values in parts.items()}))


def exactly(live: LiveGradient, state: Mapping[str, float]) -> Answer:
    """See `LiveGradient.exact`."""
    setting = setting_at(live, state)
    solution, advice = _settled(live, setting, state)
    if solution is None:
        return Answer({}, notes=(advice,))
    z = live.forward @ np.asarray(solution.x)
    current, near = turn_current(live, z, state), found_at(live, state)
    reached = near.solved._replace(error=np.abs(live.views.error.residual(z)).max(), stray=0.0)
    found = near._replace(z=z, current=current, density=_densities(live, z), solved=reached)
    curves = turns(live, streams(live, z), current)
    figures = _figures(live, found, curves, state, "exact sheet")
    figures["optimality_gap"] = Figure(float(solution.gap), "1", "duality gap of the convex problem, relative to its objective")
    return Answer(figures, curves, _plots(live, found, state), (*_notes(live, found, state), *((advice,) if advice else ())))


def _settled(live: LiveGradient, setting, state):
    """The optimum whose density leaves room for its own turns, or the last that was found; and what to relax where there is no room."""
    pitch, cap, best = setting.spec.conductor.width + setting.spec.conductor.spacing, None, None
    for _ in range(SETTLING):
        solution = convex.solve(recipe.problem(setting, cap), matrices=live.matrices)
        if not solution.status.ok:
            return best, relax(setting, solution) if solution.relaxations else solution.status.advice
        best, z = solution, live.forward @ np.asarray(solution.x)
        current = turn_current(live, z, state)
        if _densities(live, z).max() * pitch <= 1.001 * current:
            break
        cap = current / pitch
    return best, ""


SETTLING = 4  # rounds of current and density


def _densities(live: LiveGradient, z) -> np.ndarray:
    return np.linalg.norm((live.views.density @ z).reshape(-1, 2), axis=1)


def design_at(live: LiveGradient, z) -> Design:
    """The sheets as a design, for whoever wants to check the figures by other means."""
    parts = zip(live.setting.layers, streams(live, z))
    return Design({l.name: Sheet(l.mesh.vertices, l.mesh.faces, s) for l, s in parts})


def turns(live: LiveGradient, stream, current: float) -> tuple[Curve, ...]:
    """Level lines of every patch, one current apart."""
    curves = []
    for layer, psi in zip(live.setting.layers, stream):
        for patch in layer.patches:
            own = patch.of(psi)
            values, _ = contour.levels(own, current=current, rim=patch.rim_value(psi))
            curves.append(Curve(patch.name, level_lines(patch.mesh.vertices, patch.mesh.faces, own, values)))
    return tuple(curves)


# --- figures ------------------------------------------------------------------------------------


def _figures(live, found: Found, curves, state, sheet: str = SHEET) -> dict[str, Figure]:
    spec, scales = live.setting.spec, found.z
    strength, current = spec.target.strength, found.current
    stored = float(live.energies @ scales**2)
    length = sum(_length(c.points) for c in curves)
    resistance = spec.conductor.effective_resistivity * length / spec.conductor.area
    inductance = 2 * stored / current**2
    deviation = live.views.error.residual(found.z) / (strength * live.setting.reach)
    figures = {
        "linearity_error_max": Figure(float(np.abs(deviation).max()), "1", f"{sheet}, at the points where it is held"),
        "linearity_error_rms": Figure(float(np.sqrt(np.mean(deviation**2))), "1", f"{sheet}, over the surface of the region, points unweighted"),
        "gradient_strength": Figure(strength, "T/m", "held"),
        "operating_current": Figure(current, "A", "current of every turn at target.strength"),
        "efficiency": Figure(strength / current, "T/m/A", f"{sheet}: strength over current"),
        "wire_spacing_min": Figure(float(current / found.density.max()), "m", f"{sheet}: current over the largest current density"),
        "stored_energy": Figure(stored, "J", sheet),
        "inductance": Figure(inductance, "H", f"{sheet}: twice the energy over current squared"),
        "wire_length": Figure(length, "m", "level lines, without joints and leads"),
        "resistance": Figure(resistance, "ohm", "of that length, direct current"),
        "dissipated_power": Figure(resistance * current**2, "W", "resistance times operating current squared, continuous"),
        "figure_of_merit": Figure((strength / current) ** 2 * live.setting.size**5 / (MU_0 * inductance), "1", "efficiency^2 a^5 / (mu0 L)"),
    }
    if live.views.stray is not None:
        figures["stray_field_max"] = Figure(float(_stray_norms(live.views.stray, found.z).max()), "T", f"{sheet}, at the points where it is held")
    return figures | _driven(spec, figures)


def _driven(spec, figures) -> dict[str, Figure]:
    if spec.amplifier is None:
        return {}
    current, inductance = figures["operating_current"].value, figures["inductance"].value
    spare = spec.amplifier.voltage - figures["resistance"].value * current
    if spare <= 0:
        return {}
    rise = inductance * current / spare
    how = "linear ramp to operating current: L I / (V - R I)"
    return {"rise_time": Figure(rise, "s", how), "slew_rate": Figure(spec.target.strength / rise, "T/m/s", how)}


def _length(points) -> float:
    return float(np.nansum(np.linalg.norm(np.diff(points, axis=0), axis=1))) if len(points) else 0.0


def sheet_power(found: Found) -> float:
    """Power (W) of the sheet laid without gaps, which the objective means."""
    return float(found.z @ found.z)


# --- plots --------------------------------------------------------------------------------------


def _plots(live, found: Found, state) -> dict:
    plots = {"tradeoff": _tradeoff(live, found, state), "profile": _profile(live, found, state), "plane": _plane(live, found, state)}
    if live.views.stray is not None:
        plots["stray"] = _stray(live, found, state)
    return plots


def _tradeoff(live, found: Found, state) -> Lines:
    """Power against error with everything else as it stands, and the weights of points too: an upper estimate away from `here`."""
    weights = found.solved.error_weight * CURVE
    power = (tradeoff.coefficients(found.system, found.path, weights) ** 2).sum(axis=0)
    reached = tradeoff.errors(found.path, found.error, weights) / (live.setting.spec.target.strength * live.setting.reach)
    order = np.argsort(reached)
    here = order == len(CURVE) // 2
    order, here = (a[here | (power[order] <= np.minimum.accumulate(power[order]))] for a in (order, here))
    here = np.where(here, power[order], np.nan)
    return Lines(
        "Power against field error", reached[order], {"all answers": power[order], "here": here}, "W", "1", "largest field error", "power of the sheet",
        caption="What this coil needs at each error, the other sliders as they stand; away from the dot an upper estimate.",
    )  # fmt: skip


def _profile(live, found: Found, state) -> Lines:
    x, points = axis_points(live.setting)
    full = live.setting.spec.target.strength
    error = (live.views.axis @ found.z - full * live.setting.distance(points)) / (full * live.setting.reach)
    limit = state["target.error"]
    return Lines(
        "Field error along the gradient axis", x, {"sheet": error}, "1", x_label="along the gradient", y_label="error over G x reach",
        marks={"target.error": limit, "-target.error": -limit},
    )  # fmt: skip


def _plane(live, found: Found, state) -> PlaneMap:
    x, points, first, second = plane_points(live.setting)
    full, reach, limit = live.setting.spec.target.strength, live.setting.reach, state["target.error"]
    field = (live.views.plane @ found.z).reshape(SIDE, SIDE)
    wanted = full * live.setting.distance(points.reshape(-1, 3)).reshape(SIDE, SIDE)
    return PlaneMap(
        "Field error in a plane", x, x, (field - wanted) / (full * reach), "1", "along the gradient", "across", label="error over G x reach",
        levels=(-limit, limit), circle=(0.0, 0.0, reach), diverging=True, span=(-2 * limit, 2 * limit), origin=live.setting.centre,
        x_direction=first, y_direction=second, caption="The circle is the region; contours are target.error.",
    )  # fmt: skip


def _stray(live, found: Found, state) -> Lines:
    points = live.setting.stray.points @ live.setting.frame[2]
    size, place = _stray_norms(live.views.stray, found.z), np.round(points, 9)
    z = np.unique(place)
    return Lines(
        "Stray field outside", z, {"sheet": np.array([size[place == v].max() for v in z])}, "T", x_label="axial", y_label="largest |B| round the surface",
        marks={"stray.limit": state["stray.limit"]},
    )  # fmt: skip


def _notes(live, found: Found, state) -> tuple[str, ...]:
    notes = []
    if found.solved.error > 1.02 * found.allowed:
        notes.append("no current on this surface keeps the error asked, with the stray field and the gap as they stand")
    if live.views.stray is not None and found.solved.stray > 1.02 * state["stray.limit"]:
        notes.append("no current on these surfaces keeps the stray field asked")
    pitch = live.setting.spec.conductor.width + state["conductor.spacing"]
    if found.density.max() * pitch > 1.03 * found.current:
        notes.append("tracks lie closer than asked: fewer turns, a narrower conductor or more error make room")
    return tuple(notes)
