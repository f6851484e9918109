"""Magnets of coaxial coils: radii, positions and currents free within bounds, downhill to an even field.

The optimiser sees the very sections that are built (`sources.Blocks`), not thin loops.  The mirror twins of a
symmetric magnet are structure: only one half is free.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import jax
import jax.numpy as jnp
import numpy as np

from designtools import regions
from designtools._pytree import pytree
from designtools.problem import Design, Free, Limit, Problem, Quantity, Term
from designtools.quantities import coaxial, homogeneity
from designtools.recipes.magnet_evidence import evidence
from designtools.recipes.product import Product, Recipe
from designtools.regions import Region
from designtools.solve import descent
from designtools.solve.solution import Solution
from designtools.sources.blocks import Blocks
from designtools.sources.loops import Loops
from designtools.spec import fingerprint
from designtools.spec.gradient import MATERIALS
from designtools.units import MU_0, format

ORDER = 40  # harmonic degree integrated exactly by the target points
EVEN = 1e-5  # relative rms variation that counts as 1
COPPER = MATERIALS["copper"].resistivity  # ohm·m at 20 degC


@pytree
class Coils:
    """Coaxial coils about z of one rectangular section: radius, position (N,) m of its centre, current (N,) A-turns.

    width (along z) and height (across) in m; `mirrored` adds a twin at the opposite position to every coil.
    """

    radius: jax.Array
    position: jax.Array
    current: jax.Array
    width: float = field(metadata={"static": True})
    height: float = field(metadata={"static": True})
    mirrored: bool = field(metadata={"static": True})

    def field(self, points):
        """Flux density (P,3) T at points (P,3) m."""
        return self.blocks().field(points)

    def potential(self, points):
        """Vector potential (P,3) T·m at points (P,3) m."""
        return self.blocks().potential(points)

    def blocks(self) -> Blocks:
        """The windings, in the order of their positions where mirrored: twins first."""
        r, z, current = (self._full(v, s) for v, s in ((self.radius, 1), (self.position, -1), (self.current, 1)))
        w, h = self.width / 2, self.height / 2
        return Blocks(r - h, r + h, z - w, z + w, current / (self.width * self.height))

    def loops(self) -> Loops:
        """Thin loops at the centres of the sections."""
        r, z, current = (self._full(v, s) for v, s in ((self.radius, 1), (self.position, -1), (self.current, 1)))
        up = jnp.zeros((r.size, 3)).at[:, 2].set(1.0)
        return Loops(up * z[:, None], up, r, current)

    def _full(self, values, sign):
        values = jnp.asarray(values)
        return jnp.concatenate([sign * values[::-1], values]) if self.mirrored else values


@dataclass(frozen=True)
class Setting:
    """The task: the coils where the search starts, and one target point per circle about the axis."""

    spec: object
    coils: Coils
    target: Region

    @property
    def b0(self) -> np.ndarray:
        return np.asarray(self.spec.frame.b0_axis, float)


# --- from the spec to a problem -----------------------------------------------------------------


def prepare(spec) -> Setting:
    """The coils at their start and the surface of the region, where the variation is largest."""
    value = lambda name: np.array([getattr(coil, name).start for coil in spec.coils])
    sign = spec.frame.b0_axis[2]
    section = spec.section
    coils = Coils(value("radius"), _upwards(spec) * value("position"), sign * value("current"), section.width, section.height, spec.symmetric)
    surface = regions.ellipsoid(spec.region.half_widths, order=ORDER, name="target")
    return Setting(spec, coils, coaxial.folded(surface, spec.symmetric))


def _upwards(spec) -> float:
    """1 where the bore axis is z, -1 where it is -z."""
    return float(spec.frame.bore_axis[2])


def start(setting: Setting) -> Design:
    """The coils where the search starts."""
    return Design({"coils": setting.coils}, fingerprint(setting.spec))


def problem(setting: Setting) -> Problem:
    """Minimise variation (and power), hold the field at the centre and the gaps."""
    spec = setting.spec
    limits = [Limit(central_field(setting.b0), lower=spec.field.floor, scale=1e-3 * spec.field.floor, label="field.floor")]
    if len(spec.coils) > 1:
        pitch = spec.section.width + spec.gap
        limits.append(Limit(distances(setting), lower=pitch, scale=1e-3 * pitch, label="gap"))
    return Problem(start(setting), _free(setting), _objective(setting), limits)


def _free(setting: Setting) -> list[Free]:
    spec = setting.spec
    signs = {"radius": 1.0, "position": _upwards(spec), "current": spec.frame.b0_axis[2]}
    bounds = {name: _bounds(spec, name, sign) for name, sign in signs.items()}
    return [Free(lambda d, n=name: getattr(d.parts["coils"], n), *bounds[name], name=name) for name in signs]


def _bounds(spec, name: str, sign: float):
    sides = sign * np.array([[getattr(coil, name).min, getattr(coil, name).max] for coil in spec.coils])
    return sides.min(axis=1), sides.max(axis=1)


def _objective(setting: Setting) -> list[Term]:
    weights, terms = setting.spec.objective, []
    if weights.homogeneity:
        terms.append(Term(homogeneity.variation(setting.target, setting.b0), scale=EVEN, weight=weights.homogeneity))
    if weights.power:
        terms.append(Term(power_root(), scale=natural_power(setting.spec) ** 0.5, weight=weights.power))
    return terms


def central_field(b0) -> Quantity:
    """B.b0 (1,) T at the origin."""
    origin, b0 = jnp.zeros((1, 3)), jnp.asarray(b0)
    return Quantity("central field", "T", lambda design: design.field(origin) @ b0)


def distances(setting: Setting) -> Quantity:
    """Axial distance (N-1,) m between the centres of neighbouring coils, in the order of their start."""
    order = np.argsort(np.asarray(setting.coils.position))
    return Quantity("distance of neighbours", "m", lambda design: jnp.diff(jnp.asarray(design.parts["coils"].position)[order]))


def power_root() -> Quantity:
    """Residual (N,) whose sum of squares is the power (W) of sections filled with copper.

    Insulation and cooling channels in the section cost nothing here.
    """

    def of(design):
        coils = design.parts["coils"]
        twins = 2 if coils.mirrored else 1
        per_ampere = jnp.sqrt(2 * jnp.pi * twins * COPPER * coils.radius / (coils.width * coils.height))
        return per_ampere * coils.current

    return Quantity("power", "sqrt(W)", of, cheat="gaps between turns cost nothing")


def natural_power(spec) -> float:
    """Power (W) that counts as 1: a Helmholtz pair of the mean starting radius that makes the field wanted."""
    radius = np.mean([coil.radius.start for coil in spec.coils])
    turns = spec.field.floor * radius / (0.8**1.5 * MU_0)
    return 2 * (2 * np.pi * radius) * COPPER * turns**2 / (spec.section.width * spec.section.height)


# --- the later hops -----------------------------------------------------------------------------


def solve(setting: Setting, progress=None) -> Solution:
    """Downhill from the start: a local optimum, with its stationarity."""
    return descent.solve(problem(setting), progress=progress)


def wind(setting: Setting, solution: Solution) -> Product:
    """The windings of finite section, and the thin loops that they are often taken for."""
    coils = solution.design.parts["coils"]
    return Product(source=_plain(coils.blocks()), stages={"sections": coils.blocks(), "thin loops": coils.loops()})


def _plain(blocks: Blocks) -> Blocks:
    return jax.tree_util.tree_map(np.asarray, blocks)


def relax(setting: Setting, solution: Solution) -> str:
    """What to relax: the floor of the field, or the gap."""
    spec = setting.spec
    advice = {
        "field.floor": lambda r: f"lower field.floor from {format(spec.field.floor, 'T')} to {format(r.achievable, 'T')}, "
        "or raise coils.*.current.max",
        "gap": lambda r: f"lower gap from {format(spec.gap, 'm')} by {format(r.by, 'm')}, or widen coils.*.position",
    }
    return "no magnet within the bounds meets all limits: " + "; ".join(advice[r.limit](r) for r in solution.relaxations)


RECIPE = Recipe(prepare, start, solve, wind, evidence, relax)
