"""Matrix coils: the currents of an array of loops for each of several wanted fields, least power within error, current and voltage.

Sources: S. Littin et al., Magn. Reson. Med. 79 (2018) 1181 (an 84-channel array); C. Juchem et al., J. Magn. Reson. 236 (2013)
95 (generic loops).  The fields are wanted one after the other, so the problem falls apart into one per field.
"""

from __future__ import annotations

from dataclasses import dataclass
from types import SimpleNamespace

import jax.numpy as jnp
import numpy as np

from designtools import regions
from designtools.inductance import loop_array_inductance
from designtools.problem import Design, Free, Limit, Problem, Quantity, Term
from designtools.quantities import field
from designtools.recipes import matrix_coil_shim, targets
from designtools.recipes.matrix_coil_evidence import evidence
from designtools.recipes.product import Product, Recipe
from designtools.recipes.shim_sets import place_loops
from designtools.solve import convex
from designtools.solve.solution import Solution
from designtools.sources import Assembly, Loops
from designtools.units import format

ORDER = 50  # harmonic degree that the points on the region's surface resolve
HELD = 0.98  # of the error allowed, which the optimiser uses: the audit looks elsewhere


@dataclass(frozen=True)
class Setting:
    """The loops without current, their inductance matrix (N,N) H and resistance (ohm), and the wanted fields.

    shapes: name -> u(points) in m; reach: name -> largest |u| (m) in the region.
    """

    spec: object
    loops: Loops
    inductance: np.ndarray
    resistance: float
    shapes: dict
    reach: dict
    duty: matrix_coil_shim.Duty | None = None

    @property
    def b0(self) -> np.ndarray:
        return np.asarray(self.spec.frame.b0_axis, float)


def prepare(spec) -> Setting:
    """Place the loops and find how they couple."""
    loops = place_loops(spec.elements, spec.frame.bore_axis)
    turns, conductor = spec.elements.turns, spec.conductor
    bundle = float(np.sqrt(turns * conductor.area / np.pi))  # radius of the turns together
    matrix = turns**2 * loop_array_inductance(loops, bundle)
    length = turns * 2 * np.pi * float(np.max(loops.radius))
    asked = {t.name: SimpleNamespace(target=t, region=spec.region) for t in spec.targets}
    shapes = {name: targets.shape_of(each) for name, each in asked.items()}
    reach = {name: targets.reach_of(each, shapes[name]) for name, each in asked.items()}
    return Setting(spec, loops, matrix, conductor.effective_resistivity * length / conductor.area, shapes, reach, matrix_coil_shim.duty(spec, loops))


# --- the convex problem ---------------------------------------------------------------------------


def start(setting: Setting) -> Design:
    """The array once per wanted field, without current."""
    shim = {} if setting.duty is None else {matrix_coil_shim.PART: setting.loops}
    return Design({t.name: setting.loops for t in setting.spec.targets} | shim)


def problem(setting: Setting) -> Problem:
    """Least power of each field, within its error and the amplifiers' current and voltage."""
    spec, points = setting.spec, regions.ellipsoid(setting.spec.region.half_widths, setting.spec.region.centre, ORDER, "surface")
    most = spec.channels.current * spec.elements.turns
    free = [Free(lambda d, n=name: d.parts[n].current, -most, most, name=name) for name in start(setting).parts]
    terms = [Term(_currents(t.name, 1.0), scale=most) for t in spec.targets]
    limits = [limit for k, t in enumerate(spec.targets) for limit in _limits(setting, k, t, points)]
    if setting.duty is not None:
        drive = jnp.asarray(volts_per_ampere(setting) / spec.elements.turns)
        terms += matrix_coil_shim.terms(spec, setting.duty)
        limits += [limit for t in spec.targets for limit in matrix_coil_shim.limits(spec, t.name, most, drive, setting.resistance)]
    return Problem(start(setting), free, terms, limits)


def _currents(part: str, per_ampere_turn: float) -> Quantity:
    return Quantity(f"ampere-turns of {part}", "A", lambda d: d.parts[part].current * per_ampere_turn)


def _limits(setting: Setting, index: int, target, points) -> list[Limit]:
    spec, allowed = setting.spec, HELD * target.error * target.strength * setting.reach[target.name]
    wanted = target.strength * setting.shapes[target.name](points.points)
    own = lambda d: Design({target.name: d.parts[target.name]})
    made = field.component(points, setting.b0)
    error = Quantity(f"field of {target.name}", "T", lambda d: made.of(own(d)), "between the points")
    drive = jnp.asarray(volts_per_ampere(setting) / spec.elements.turns)
    voltage = Quantity(f"voltage of {target.name}", "V", lambda d: drive @ d.parts[target.name].current)
    return [
        Limit(error, wanted - allowed, wanted + allowed, scale=allowed, label=f"targets.{index}.error"),
        Limit(voltage, -spec.channels.voltage, spec.channels.voltage, scale=spec.channels.voltage, label="channels.voltage"),
    ]


def volts_per_ampere(setting: Setting) -> np.ndarray:
    """Voltages (N,N) at the end of a linear ramp to one ampere in each channel: L/t + R."""
    return setting.inductance / setting.spec.channels.rise_time + setting.resistance * np.eye(len(setting.inductance))


# --- the later hops -------------------------------------------------------------------------------


def solve(setting: Setting, progress=None) -> Solution:
    """The global optimum, with its certified gap."""
    return convex.solve(problem(setting), progress=progress)


def wind(setting: Setting, solution: Solution) -> Product:
    """The array with the currents of the first field; each field is a stage."""
    stages = {name: solution.design.parts[name] for name in start(setting).parts}
    first = next(iter(stages.values()))
    return Product(Assembly([Loops(*(np.asarray(v) for v in (first.centre, first.normal, first.radius, first.current)))]), stages)


def relax(setting: Setting, solution: Solution) -> str:
    """Which keys of the spec to relax, and how far."""
    found = []
    for r in solution.relaxations:
        if r.limit == "channels.voltage":
            found.append(f"raise channels.voltage to {format(r.achievable, 'V')}, or channels.rise_time")
        else:
            target = setting.spec.targets[int(r.limit.split(".")[1])]
            found.append(f"raise {r.limit} from {format(target.error, '1')} to {format(target.error * (1 + r.relative), '1')}, or channels.current")
    return f"no currents meet all limits; the smallest change that makes it possible: {'; '.join(found)}"


RECIPE = Recipe(prepare, start, solve, wind, evidence, relax)
