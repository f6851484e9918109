"""Gradient coils on surfaces of any shape: from the spec to a convex problem in the stream function, and to wires.

The convex problem (Turner 1993; Poole & Bowtell 2007; Lemdiasov & Ludwig 2005): minimise dissipated power,
stored energy and peak current density of the sheets, while the encoded component B.b0 stays within the error
allowed at every target point, |B| within the stray limit on the surface outside, the current density
within what the conductor's pitch allows, and force and torque within theirs.
"""

from __future__ import annotations

import functools
from dataclasses import replace

import numpy as np

from designtools import units
from designtools.problem import Design
from designtools.recipes.gradient_problem import allowed_error, natural_scales, natural_stream, problem, sheet_model
from designtools.recipes.gradient_setting import TARGET_ORDER, Setting, background
from designtools.recipes.gradient_setting import prepare as geometry
from designtools.recipes.gradient_surroundings import cooler, surrounded
from designtools.recipes.gradient_turns import JOINT, bettered, closest_tracks, loose_turns, turn_current
from designtools.recipes.product import Product, Recipe
from designtools.regions import Region
from designtools.solve import convex
from designtools.solve.solution import Solution
from designtools.sources import Assembly, Sheet
from designtools.windings import join
from designtools.windings.winding import Winding

JOG = 1.0  # length of a jog over what it steps aside: long jogs tilt the few turns of a shield
SPACING_TRIES = 5
_UNITS = {"target.error": "1", "cryostat.residual_limit": "1", "cryostat.power_limit": "W", "cooling.limit": "K"}  # of keys that differ from their limit's
ROUNDS, MOST_ADDED = 5, 60  # of points added where the field strays, of points in one
COOLINGS = 20  # spots, one after the other, that may need to be kept cool
NEAR, BETWEEN = 0.9, 5e-4  # of the error allowed: where the field is looked at between points, how much it may exceed


def prepare(spec) -> Setting:
    """The geometry of the task, and what stands around it."""
    return surrounded(geometry(spec))


def solve(setting: Setting, progress=None) -> Solution:
    """Solve; where the tracks come out closer than the conductor needs, lower the density allowed and solve again.

    With winding.current the first limit on the density is known; with winding.turns it follows from the first
    answer.  Contours of the smoothed stream function crowd more than single faces say, so the tracks themselves
    are measured.
    """
    spec = setting.spec
    pitch = spec.conductor.width + spec.conductor.spacing
    cap = spec.winding.current and spec.winding.current / pitch
    matrices: dict = {}
    for _ in range(SPACING_TRIES):
        solution, setting = _everywhere(setting, cap, matrices, progress)
        if not solution.status.ok:
            return solution
        closest = closest_tracks(setting, loose_turns(setting, solution, turn_current(setting, solution)))
        if closest >= JOINT * pitch:
            break
        if progress:
            progress(f"tracks come within {closest * 1e3:.2f} mm of each other; lowering the current density")
        peak = max(peak_density(solution.design.parts[l.name]) for l in setting.layers)
        cap = min(peak, turn_current(setting, solution) / pitch, cap or np.inf) * min(1.0, closest / (1.01 * JOINT * pitch) if cap else 1.0)
    return bettered(setting, solution, cap, matrices, progress)


def _everywhere(setting: Setting, cap: float | None, matrices: dict, progress) -> tuple[Solution, Setting]:
    """The solution whose field keeps its error between the points too, and the setting with the points that took."""
    for _ in range(ROUNDS):
        solution, setting = _cooled(setting, cap, matrices, progress)
        beyond = _beyond(setting, solution) if solution.status.ok else ()
        if not len(beyond):
            break
        if progress:
            progress(f"holding the field at {len(beyond)} points more")
        points = Region(beyond, np.full(len(beyond), 1 / len(beyond)), "between")
        setting = replace(setting, between=(*setting.between, points))
    return solution, setting


def _cooled(setting: Setting, cap: float | None, matrices: dict, progress) -> tuple[Solution, Setting]:
    """The solution whose hottest spot is cool enough, and the setting with the spots that took."""
    for _ in range(COOLINGS):
        solution = convex.solve(problem(setting, cap), matrices=matrices, progress=progress)
        closer = cooler(setting, solution) if solution.status.ok else setting
        if closer is setting:
            break
        setting = closer
    return solution, setting


def _beyond(setting: Setting, solution: Solution) -> np.ndarray:
    """Places (n,3) on the region's surface, round the points that bind, where the field error exceeds what is allowed."""
    held = np.concatenate([setting.target.points, *(r.points for r in setting.between)])
    near = _round_about(setting, held[_error(setting, solution, held) > NEAR * allowed_error(setting)])
    error = _error(setting, solution, near) / allowed_error(setting)
    worst = np.argsort(-error)[:MOST_ADDED]
    return near[worst[error[worst] > 1 + BETWEEN]]


def _error(setting: Setting, solution: Solution, points) -> np.ndarray:
    """|B·b0 - strength * u| (T) of the sheets at points (P,3) m."""
    made = np.asarray(_sheets(setting, solution).field(points)) @ setting.b0
    return np.abs(made - setting.spec.target.strength * setting.distance(points))


def _round_about(setting: Setting, points) -> np.ndarray:
    """Places on the region's surface, half a spacing of the target points away from each of `points` in eight directions."""
    half_widths = np.asarray(setting.spec.region.half_widths)
    unit = (points - setting.centre) / half_widths
    first = np.cross(unit, np.eye(3)[np.argmin(np.abs(unit), axis=1)])
    first /= np.linalg.norm(first, axis=1, keepdims=True)
    turn = 2 * np.pi * np.arange(8)[:, None, None] / 8
    aside = unit + np.pi / TARGET_ORDER * (np.cos(turn) * first + np.sin(turn) * np.cross(unit, first))
    aside = (aside / np.linalg.norm(aside, axis=2, keepdims=True)).reshape(-1, 3)
    return setting.centre + aside * half_widths


def peak_density(part: Sheet) -> float:
    """Largest |K| (A/m) on a sheet."""
    return float(np.linalg.norm(np.asarray(part.surface_current()), axis=1).max())


# --- winding ------------------------------------------------------------------------------------


def wind(setting: Setting, solution: Solution) -> Product:
    """N turns per lobe in series: contours one current apart, joined into one winding per layer."""
    current = turn_current(setting, solution)
    loose = loose_turns(setting, solution, current)
    stages = {"continuous": _sheets(setting, solution), "discrete": Assembly([w.filaments() for w in loose])}
    windings = loose
    if setting.spec.winding.joined:
        windings = _joined(setting, loose)
        stages["joined"] = Assembly([w.filaments() for w in windings])
    formers = {patch.name: patch.former for layer in setting.layers for patch in layer.patches if patch.former is not None}
    source = list(stages.values())[-1]
    return Product(source, stages, windings, formers, dict(solution.design.parts))


def _sheets(setting: Setting, solution: Solution) -> Assembly:
    return Assembly([solution.design.parts[layer.name] for layer in setting.layers])


def _joined(setting: Setting, loose) -> tuple[Winding, ...]:
    """Each patch joined; layers of one patch each in series, several patches with terminals of their own."""
    rule, conductor = setting.spec.winding, setting.spec.conductor
    of = {patch.name: (layer, patch) for layer in setting.layers for patch in layer.patches}
    each = tuple(
        join.join(
            of[w.name][1].former, w.tracks, w.current, conductor.width, conductor.thickness,
            name=w.name, azimuth=0.0, lead_length=rule.lead_length, return_clearance=rule.return_clearance,
            inward=of[w.name][0].name == "shield", jog=JOG,
        )
        for w in loose
    )  # fmt: skip
    single = all(len(layer.patches) == 1 for layer in setting.layers)
    return join.series(each) if single and len(each) > 1 else each


# --- infeasible specs ---------------------------------------------------------------------------


def relax(setting: Setting, solution: Solution) -> str:
    """Which keys of the spec to relax, and how far, so that a coil exists: the smallest violation found."""
    advice = [_relaxed(setting.spec, r) for r in solution.relaxations]
    head = "no coil meets all limits together; the smallest change that makes one possible"
    return f"{head}: {'; '.join(advice)}" if advice else "no coil meets all limits together; relax target.error or stray.limit"


def _relaxed(spec, relaxation) -> str:
    key, factor = relaxation.limit, 1 + relaxation.relative
    if key == "conductor.spacing":
        return _finer_tracks(spec, factor)
    value = functools.reduce(getattr, key.split("."), spec)
    if key == "target.strength":
        return f"lower {key} below {units.format(value, 'T/m')} by {units.format(relaxation.by, 'T/m')}"
    unit = _UNITS.get(key, relaxation.unit)
    factor = factor**2 if key in ("cryostat.power_limit", "cooling.limit") else factor  # these limits are on the root
    return f"raise {key} from {units.format(value, unit)} to {units.format(value * factor, unit)}"


def _finer_tracks(spec, factor: float) -> str:
    pitch = spec.conductor.width + spec.conductor.spacing
    words = f"lower conductor.width + conductor.spacing from {units.format(pitch, 'm')} to {units.format(pitch / factor, 'm')}"
    if spec.winding.turns is None:
        return f"{words}, or raise winding.current to {units.format(spec.winding.current * factor, 'A')}"
    return f"{words}, or lower winding.turns from {spec.winding.turns} to {int(spec.winding.turns / factor)}"


def start(setting: Setting) -> Design:
    """The design before it is solved: the sheets without current."""
    return problem(setting).start


def evidence(setting: Setting, solution: Solution, product: Product, progress):
    """Figures, audit, plots and maps; see `gradient_evidence`."""
    from designtools.recipes.gradient_evidence import evidence as assess

    return assess(setting, solution, product, progress)


RECIPE = Recipe(prepare, start, solve, wind, evidence, relax)
