"""Gradient coils on surfaces of any shape: from the spec to a convex problem in the stream function, and to wires.

The convex problem (Turner 1993; Poole & Bowtell 2007; Lemdiasov & Ludwig 2005): minimise dissipated power,
stored energy and peak current density of the sheets, while the encoded component B.b0 stays within the error
allowed at every target point, |B| within the stray limit on the surface outside, the current density
within what the conductor's pitch allows, and force and torque within theirs.
"""

from __future__ import annotations

import functools

import numpy as np

from designtools import units
from designtools.problem import Design
from designtools.recipes.gradient_between import beyond, held_at
from designtools.recipes.gradient_join import bettered_joined, joined, wires
from designtools.recipes.gradient_problem import natural_scales, natural_stream, problem, sheet_model
from designtools.recipes.gradient_setting import Setting, background
from designtools.recipes.gradient_setting import prepare as geometry
from designtools.recipes.gradient_surroundings import cooler, residual_over, surrounded, tightened
from designtools.recipes.gradient_turns import closest_tracks, cut_turns, loose_turns, pitch, turn_current
from designtools.recipes.product import Product, Recipe
from designtools.solve import convex
from designtools.solve.solution import Solution
from designtools.sources import Assembly, Sheet
from designtools.windings.join import JoinError

TRIES = 6  # of a limit on the current density that leaves room for the tracks
EVEN = 1.002  # excess of a density over its limit that counts as none
CROWDED = 0.85  # of the pitch: how close tracks may come that moving them may part
TIGHT = 1e-3  # of the distance, that tracks may lack where moving them did not help
_UNITS = {"target.error": "1", "cryostat.residual_limit": "1", "cryostat.power_limit": "W", "cooling.limit": "K"}  # of keys that differ from their limit's
ROUNDS = 5  # of points added where the field strays
LOWER = 2  # times that sheets are held lower because their wires exceed what they keep
COOLINGS = 20  # spots, one after the other, that may need to be kept cool


def prepare(spec) -> Setting:
    """The geometry of the task, and what stands around it."""
    return surrounded(geometry(spec))


def solve(setting: Setting, progress=None) -> Solution:
    """Solve for the sheets; cut and better the turns; where these still lie too close, with less current density again.

    With winding.current the limit on the density is known: the current over the pitch.  With winding.turns the current
    of a turn, and with it the limit, follow from the answer, and the answer from the limit, in a few rounds.
    """
    matrices: dict = {}
    share, solution, held_lower = 1.0, None, 0
    cap = setting.spec.winding.current and setting.spec.winding.current / pitch(setting)
    for _ in range(TRIES):
        found, setting = _everywhere(setting, cap, matrices, progress)
        if not found.status.ok:
            missing = _missing(setting, found)
            if solution is not None or not missing:
                return solution or found
            cap *= 1 + 1.1 * missing
            continue
        fits = turn_current(setting, found) / pitch(setting)
        dense = _densest(setting, found) > EVEN * share * fits
        if dense and closest_tracks(setting, cut_turns(setting, found, fits * pitch(setting))) < CROWDED * pitch(setting):
            cap = share * fits
            continue
        solution, wound = bettered_joined(setting, found, matrices, progress)
        lack = wound.excess["conductor.spacing"]
        if lack < TIGHT:
            more = {name: excess for name, excess in _over(setting, wound).items() if excess > TIGHT}
            if not more or held_lower == LOWER:
                break
            held_lower += 1
            if progress:
                progress("wires exceed " + ", ".join(f"{name} by {excess:.1%}" for name, excess in more.items()) + "; holding the sheets lower")
            for name, excess in more.items():
                setting = tightened(setting, name, 1 / (1 + excess))
            continue
        share *= 1.0 if dense else 1 - lack
        cap = share * fits
        if _densest(setting, found) <= cap:
            break
        if progress:
            progress(f"tracks lack {lack:.1%} of their spacing; lowering the current density")
    return solution or found


def _over(setting: Setting, wound) -> dict[str, float]:
    """Excess of what wires do over what their sheets were held to, where single turns differ from these: eddy currents
    (of the joined wires, if they can be joined) and temperature."""
    try:
        eddies = residual_over(setting, wires(setting, wound.windings))
    except JoinError:
        eddies = 0.0
    return {"cryostat.residual_limit": eddies, "cooling.limit": wound.excess.get("cooling.limit", 0.0)}


def _densest(setting: Setting, solution: Solution) -> float:
    """Largest |K| (A/m) on any layer."""
    return max(peak_density(solution.design.parts[l.name]) for l in setting.layers)


def _missing(setting: Setting, solution: Solution) -> float:
    """How much more density (relative) than allowed an answer would take; 0 where it is not for want of that, or the current is given."""
    wanted = [r.relative for r in solution.relaxations if r.limit == "conductor.spacing"]
    return max(wanted, default=0.0) if setting.spec.winding.turns else 0.0


def _everywhere(setting: Setting, cap: float | None, matrices: dict, progress) -> tuple[Solution, Setting]:
    """The solution whose field keeps its error between the points too, and the setting with the points that took."""
    for _ in range(ROUNDS):
        solution, setting = _cooled(setting, cap, matrices, progress)
        points = beyond(setting, _sheets(setting, solution)) if solution.status.ok else ()
        if not len(points):
            break
        if progress:
            progress(f"holding the field at {len(points)} points more")
        setting = held_at(setting, points)
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
        windings = joined(setting, loose)
        stages["joined"] = Assembly([w.filaments() for w in windings])
    formers = {patch.name: patch.former for layer in setting.layers for patch in layer.patches if patch.former is not None}
    source = list(stages.values())[-1]
    return Product(source, stages, windings, formers, dict(solution.design.parts))


def _sheets(setting: Setting, solution: Solution) -> Assembly:
    return Assembly([solution.design.parts[layer.name] for layer in setting.layers])


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
