"""Multi-coil shims: currents of given loops that flatten a measured field map, a convex problem with a certified gap."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from designtools.problem import Design, Free, Limit, Problem, Term
from designtools.quantities import shim
from designtools.recipes.field_map import Volume, read_volume
from designtools.recipes.product import Product, Recipe
from designtools.recipes.shim_evidence import evidence
from designtools.solve import convex
from designtools.solve.solution import Solution
from designtools.sources.assembly import Assembly
from designtools.sources.loops import Loops
from designtools.sources.uniform import Uniform
from designtools.spec import fingerprint
from designtools.units import GAMMA_BAR, format


@dataclass(frozen=True)
class Setting:
    """The map and the loops, at zero current."""

    spec: object
    volume: Volume
    loops: Loops

    @property
    def b0(self) -> np.ndarray:
        return np.asarray(self.spec.frame.b0_axis, float)


# --- from the spec to a problem -----------------------------------------------------------------


def prepare(spec) -> Setting:
    """Read the map and place the loops."""
    return Setting(spec, read_volume(spec), place_loops(spec.coils, spec.frame.bore_axis))


def place_loops(coils, bore_axis) -> Loops:
    """The loops of a spec's `coils` without current."""
    if coils.arrangement == "list":
        centre, normal, radius = (np.array([getattr(l, n) for l in coils.loops], float) for n in ("centre", "normal", "radius"))
    else:
        centre, normal = _on_cylinder(coils, np.asarray(bore_axis, float))
        radius = np.full(coils.count, coils.loop_radius)
    return Loops(centre, normal, radius, np.zeros(coils.count))


def _on_cylinder(coils, axis) -> tuple[np.ndarray, np.ndarray]:
    """Centres and outward normals (N,3), row by row; angles count from the first axis of the frame across the bore."""
    first = np.eye(3)[0 if abs(axis[0]) < 0.9 else 1]
    first = first - axis * (first @ axis)
    first /= np.linalg.norm(first)
    row, place = np.divmod(np.arange(coils.count), coils.per_row)
    turned = (row % 2) / 2 if coils.staggered else 0.0
    angle = 2 * np.pi * (place + turned) / coils.per_row
    normal = np.cos(angle)[:, None] * first + np.sin(angle)[:, None] * np.cross(axis, first)
    height = (row - (coils.rows - 1) / 2) * (coils.row_spacing or 0.0)
    return coils.radius * normal + height[:, None] * axis, normal


def start(setting: Setting) -> Design:
    """The loops without current, and no change of the centre frequency."""
    return Design({"coils": setting.loops, "offset": Uniform(np.zeros(3))}, fingerprint(setting.spec))


def problem(setting: Setting) -> Problem:
    """Make the frequency left in the mask small; currents and, where asked for, the centre frequency are free."""
    spec, volume = setting.spec, setting.volume
    residual = shim.residual_frequency(volume.points, volume.values, setting.b0)
    size = float(volume.values.std()) or 1.0
    terms = {
        "least_squares": Term(residual, scale=size, weight=1 / volume.values.size),
        "min_max": Term(residual, "peak", scale=size),
    }
    limits = []
    if spec.limits.total_current is not None:
        total = spec.limits.total_current
        limits.append(Limit(shim.loop_currents("coils", spec.coils.turns), upper=total, norm="l1", scale=total, label="limits.total_current"))
    return Problem(start(setting), _free(setting), [terms[spec.criterion]], limits)


def _free(setting: Setting) -> list[Free]:
    spec = setting.spec
    most = spec.limits.current * spec.coils.turns
    free = [Free(lambda d: d.parts["coils"].current, -most, most, name="ampere-turns")]
    if spec.include_offset:
        reach = 2 * float(np.abs(setting.volume.values).max()) + 1.0
        per_hertz = setting.b0[:, None] / GAMMA_BAR
        free.append(Free(lambda d: d.parts["offset"].flux_density, -reach, reach, name="offset (Hz)", basis=per_hertz))
    return free


# --- the later hops -----------------------------------------------------------------------------


def solve(setting: Setting, progress=None) -> Solution:
    """The global optimum, with its certified gap."""
    return convex.solve(problem(setting), progress=progress)


def wind(setting: Setting, solution: Solution) -> Product:
    """The loops with their ampere-turns; a change of centre frequency is no hardware."""
    coils = solution.design.parts["coils"]
    return Product(source=Assembly([Loops(*(np.asarray(v) for v in (coils.centre, coils.normal, coils.radius, coils.current)))]))


def relax(setting: Setting, solution: Solution) -> str:
    """Zero current meets every limit, so only a broken spec arrives here."""
    found = "; ".join(f"raise {r.limit} to {format(r.achievable, r.unit)}" for r in solution.relaxations)
    return f"no currents meet all limits: {found}"


RECIPE = Recipe(prepare, start, solve, wind, evidence, relax)
