"""Superconducting magnets: the least conductor inside an envelope, first as a bound, then as blocks of whole turns.

1. A linear programme gives the least volume any coaxial magnet needs and where conductor pays (`magnet_bound`).
2. Its clusters become rectangles (`clusters`), whose edges go downhill in volume while field, homogeneity, fringe,
   gaps, stress and peak field are held (`solve.descent`).
3. With a wire, sections become whole layers, then whole turns; places and the current make up for the rounding.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import jax
import jax.numpy as jnp
import numpy as np

from designtools._pytree import pytree
from designtools.problem import Design, Free, Limit, Problem, Quantity, Term
from designtools.quantities.sections import nodes_for, section_field
from designtools.recipes.block_magnet_evidence import evidence
from designtools.recipes.clusters import Rectangles, clusters, rectangles
from designtools.recipes.magnet_bound import Certificate, Places, Task, certificate
from designtools.recipes.product import Product, Recipe
from designtools.solve import descent
from designtools.solve.solution import Relaxation, Solution, Status
from designtools.sources.blocks import Blocks
from designtools.spec import fingerprint
from designtools.units import format

CIRCLES, FAR_CIRCLES = 80, 60  # places per quarter of the region's surface, of the ellipse
LOAD_POINTS = 5  # along each side of a block, where stress and peak field are held
STEPS, STATIONARY = 120, 1e-5  # of the descent: the volume moves by less than that relative
MARGIN = 0.98  # of the variation allowed, which the optimiser uses: the audit looks at other points


@pytree
class Windings:
    """Blocks about z, or those on the positive side of a mirrored magnet, with the certificate they are measured by.

    edges (4N,) m: all inner radii, all outer radii, all lower ends, all upper ends; density (N,) A/m2 with its sign;
    level: lowest field on the region, relative to the strength, minus one, in units of the variation allowed;
    conductor (N,) index into the spec; turns, layers (N,) of the wire, zero where the section is not of whole turns;
    fill (nr,nz) on cells r, z; volume, bound, bound_error (m3): the linear programme's answer.
    A block of a mirrored magnet that starts at z = 0 is one with its twin.
    """

    edges: jax.Array
    density: jax.Array
    level: jax.Array
    conductor: jax.Array
    turns: jax.Array
    layers: jax.Array
    fill: jax.Array
    r: jax.Array
    z: jax.Array
    volume: jax.Array
    bound: jax.Array
    bound_error: jax.Array
    mirrored: bool = field(metadata={"static": True})
    sense: float = field(metadata={"static": True})

    def sections(self):
        """Edges (N,4) m."""
        return jnp.reshape(self.edges, (4, -1)).T

    def field(self, points):
        """Flux density (P,3) T at points (P,3) m."""
        return self.blocks().field(points)

    def potential(self, points):
        """Vector potential (P,3) T·m at points (P,3) m."""
        return self.blocks().potential(points)

    def conductor_volume(self):
        """Volume (m3) of all windings, twins included."""
        inner, outer, low, high = self.sections().T
        return (2 if self.mirrored else 1) * jnp.pi * jnp.sum((outer**2 - inner**2) * (high - low))

    def blocks(self) -> Blocks:
        """The windings from the lowest to the highest."""
        inner, outer, low, high = self.sections().T
        density = self.sense * jnp.asarray(self.density)
        if not self.mirrored:
            return Blocks(inner, outer, low, high, density)
        alone = self.central()
        low = jnp.where(alone, -high, low)
        twin = np.flatnonzero(~alone)
        full = lambda own, other: jnp.concatenate([other[twin][::-1], own])
        return Blocks(full(inner, inner), full(outer, outer), full(low, -high), full(high, -low), full(density, density))

    def central(self) -> np.ndarray:
        """Which blocks (N,) of a mirrored magnet are one with their twin."""
        return np.asarray(self.sections()[:, 2]) < 1e-9 if self.mirrored else np.zeros(self.density.shape[0], bool)


@dataclass(frozen=True)
class Setting:
    """The task: what the linear programme is asked, the density allowed per conductor."""

    spec: object
    task: Task
    densities: np.ndarray

    @property
    def b0(self) -> np.ndarray:
        return np.asarray(self.spec.frame.b0_axis, float)

    @property
    def upwards(self) -> float:
        """1 where the bore axis is z, -1 where it is -z."""
        return float(self.spec.frame.bore_axis[2])


# --- from the spec to a task ------------------------------------------------------------------------


def prepare(spec) -> Setting:
    """Places and densities; one half where the magnet is symmetric."""
    densities = np.array([c.current_density or spec.operating_current / (c.wire.width * c.wire.height) for c in spec.conductors])
    up = float(spec.frame.bore_axis[2])
    low, high = _turned(spec.envelope, up)
    box = (spec.envelope.inner_radius, spec.envelope.outer_radius, 0.0 if spec.symmetric else low, high)
    level = spec.fringe.level if spec.fringe else 1.0
    density = lambda r, z: np.max([d * _may_lie(spec, c, up, r, z) for d, c in zip(densities, spec.conductors)], axis=0)
    task = Task(_places(spec, up), spec.field.strength, spec.field.homogeneity, level, density, box, _walls(spec, up), spec.symmetric)
    return Setting(spec, task, densities)


def _walls(spec, up: float):
    zones = [*spec.envelope.keep_out, *(c.zone for c in spec.conductors if c.zone)]
    return tuple(r for z in zones for r in (z.inner_radius, z.outer_radius)), tuple(e for z in zones for e in _turned(z, up))


def _turned(zone, up: float) -> tuple[float, float]:
    """Lower and upper end along +z."""
    return (zone.z_low, zone.z_high) if up > 0 else (-zone.z_high, -zone.z_low)


def _places(spec, up: float) -> Places:
    """The centre, circles on the region's surface, circles on the ellipse (none without a fringe limit)."""
    centre, (across, _, along) = up * spec.region.centre[2], spec.region.half_widths
    quarters = 1 if spec.symmetric else 2
    arc = lambda count: np.linspace(0, quarters * np.pi / 2, quarters * count + 1)
    near, far = arc(CIRCLES), arc(FAR_CIRCLES) if spec.fringe else np.zeros(0)
    reach = (spec.fringe.radial, spec.fringe.axial) if spec.fringe else (1.0, 1.0)
    r = np.concatenate([[0.0], across * np.sin(near), reach[0] * np.sin(far)])
    z = centre + np.concatenate([[0.0], along * np.cos(near), reach[1] * np.cos(far)])
    return Places(r, z, slice(1, 1 + near.size), slice(1 + near.size, r.size))


def _may_lie(spec, conductor, up: float, r, z) -> np.ndarray:
    inside = lambda zone: (r >= zone.inner_radius) & (r <= zone.outer_radius) & (z >= _turned(zone, up)[0]) & (z <= _turned(zone, up)[1])
    allowed = inside(conductor.zone) if conductor.zone else np.ones(np.shape(r), bool)
    for zone in spec.envelope.keep_out:
        allowed &= ~inside(zone)
    return allowed


def start(setting: Setting) -> Design:
    """A design of the structure of any other; a solution kept on disk is read into it."""
    nothing = np.zeros(0)
    return _design(setting, Windings(*([nothing] * 12), mirrored=setting.spec.symmetric, sense=float(setting.b0[2])))


def _design(setting: Setting, windings: Windings) -> Design:
    return Design({"windings": windings}, fingerprint(setting.spec))


# --- the solution -----------------------------------------------------------------------------------


def solve(setting: Setting, progress=None) -> Solution:
    """Certificate, blocks, whole turns."""
    say = progress or (lambda sentence: None)
    found = certificate(setting.task, say)
    if found.relaxations:
        return _impossible(setting, found)
    windings, boxes, cluster = first_blocks(setting, found)
    solution = _descended(setting, windings, boxes, cluster, say)
    return replace(solution, gap=float(solution.design.parts["windings"].conductor_volume() / found.bound - 1))


def _impossible(setting: Setting, found: Certificate) -> Solution:
    units = {"strength": ("T", setting.task.strength), "variation": ("1", setting.task.variation), "level": ("T", setting.task.level)}
    sign = {"strength": -1.0, "variation": 1.0, "level": 1.0}
    relaxations = tuple(
        Relaxation(name, units[name][0], by * units[name][1], units[name][1] * (1 + sign[name] * by), by) for name, by in found.relaxations.items()
    )
    return Solution(start(setting), Status.INFEASIBLE, np.zeros(0), np.nan, {}, {}, message=Status.INFEASIBLE.advice, relaxations=relaxations)


def first_blocks(setting: Setting, found: Certificate):
    """Windings where the linear programme put conductor, the box (N,4) each may move in, and the cluster (N,) of each."""
    spec = setting.spec
    cut = rectangles(clusters(found.fill, found.r, found.z), spec.blocks.most)
    edges = cut.edges.copy()
    if spec.symmetric:
        edges[edges[:, 2] < np.diff(found.z)[0], 2] = 0.0
    conductor = np.array([_first_conductor(setting, e) for e in edges])
    boxes = np.array([_box(setting, e, spec.conductors[c]) for e, c in zip(edges, conductor)])
    edges = np.clip(edges, boxes[:, [0, 0, 2, 2]], boxes[:, [1, 1, 3, 3]])
    zero = np.zeros(len(edges))
    windings = Windings(
        edges.T.ravel(), cut.sign * setting.densities[conductor], 0.0, conductor.astype(float), zero, zero,
        found.fill, found.r, found.z, found.volume, found.bound, found.error, mirrored=spec.symmetric, sense=float(setting.b0[2]),
    )  # fmt: skip
    return windings, boxes, cut.cluster


def _first_conductor(setting: Setting, edges) -> int:
    """The densest of the conductors that may lie in the middle of the block."""
    r, z = (edges[0] + edges[1]) / 2, (edges[2] + edges[3]) / 2
    may = [bool(_may_lie(setting.spec, c, setting.upwards, r, z)) for c in setting.spec.conductors]
    return int(np.argmax(np.where(may, setting.densities, -1.0)))


def _box(setting: Setting, edges, conductor) -> np.ndarray:
    """Inner, outer radius, z_low, z_high between which a block may move: its zone, cut at each keep_out on the side it is on."""
    box = np.array(setting.task.box)
    if conductor.zone:
        low, high = _turned(conductor.zone, setting.upwards)
        box = np.array([max(box[0], conductor.zone.inner_radius), min(box[1], conductor.zone.outer_radius), max(box[2], low), min(box[3], high)])
    for zone in setting.spec.envelope.keep_out:
        low, high = _turned(zone, setting.upwards)
        if zone.inner_radius < box[1] and zone.outer_radius > box[0] and low < box[3] and high > box[2]:
            clearance = np.array([zone.inner_radius - edges[1], edges[0] - zone.outer_radius, low - edges[3], edges[2] - high])
            side = int(np.argmax(clearance))
            box[[1, 0, 3, 2][side]] = (zone.inner_radius, zone.outer_radius, low, high)[side]
    return box


def _descended(setting: Setting, windings: Windings, boxes, cluster, say) -> Solution:
    """Downhill in volume with the edges free."""
    n = windings.density.size
    held = windings.central()
    low = np.stack([boxes[:, 0], boxes[:, 0], boxes[:, 2], boxes[:, 2]])
    high = np.stack([boxes[:, 1], boxes[:, 1], np.where(held, boxes[:, 2], boxes[:, 3]), boxes[:, 3]])
    edges = Free(lambda d: d.parts["windings"].edges, low.ravel(), high.ravel(), name="edges")
    level = Free(lambda d: d.parts["windings"].level, -50.0, 50.0, name="level")
    volume = Quantity("conductor volume", "1", lambda d: d.parts["windings"].conductor_volume() / windings.bound)
    limits = [*field_limits(setting, windings), *shape_limits(setting, windings, cluster), *load_limits(setting, windings)]
    problem = Problem(_design(setting, windings), [edges, level], [Term(volume, "value")], limits)
    say(f"moving the edges of {n} blocks")
    return descent.solve(problem, max_iter=STEPS, tolerance=STATIONARY, progress=say)


# --- limits -----------------------------------------------------------------------------------------


def field_limits(setting: Setting, windings: Windings) -> list[Limit]:
    """Strength at the centre, variation on the region, level on the ellipse."""
    task, places = setting.task, setting.task.places
    nodes = nodes_for(np.asarray(windings.sections()), places.r, places.z)
    part = lambda choice: (jnp.asarray(places.r[choice]), jnp.asarray(places.z[choice]))
    at = lambda w, choice: section_field(w.sections(), jnp.asarray(w.density), *part(choice), nodes, w.mirrored)

    def inside(design):
        """Deviation from the strength in units of the variation: the centre, then the surface less the level."""
        w = design.parts["windings"]
        deviation = (at(w, slice(0, places.surface.stop))[:, 0] / task.strength - 1) / task.variation
        return deviation - jnp.concatenate([jnp.zeros(1), jnp.full(deviation.size - 1, 1.0)]) * w.level

    def outside(design):
        return jnp.linalg.norm(at(design.parts["windings"], places.ellipse), axis=1) / task.level

    span = np.concatenate([[0.0], np.full(places.surface.stop - 1, MARGIN)])
    limits = [Limit(Quantity("field", "1", inside), lower=0.0, upper=span, scale=1e-2, label="field")]
    if places.ellipse.start < places.ellipse.stop:
        limits.append(Limit(Quantity("fringe", "1", outside), upper=0.999, scale=1e-3, label="fringe"))
    return limits


def shape_limits(setting: Setting, windings: Windings, cluster) -> list[Limit]:
    """No block thinner than allowed; no two that overlap, axial neighbours of different coils a gap apart."""
    rules, sections = setting.spec.blocks, np.asarray(windings.sections())
    pairs = np.array([_order(sections[i], sections[j], i, j, cluster, rules.gap) for i in range(len(sections)) for j in range(i)])
    sides = lambda d: d.parts["windings"].sections()
    thin = Quantity("sides", "m", lambda d: jnp.concatenate([sides(d)[:, 1] - sides(d)[:, 0], sides(d)[:, 3] - sides(d)[:, 2]]))
    limits = [Limit(thin, lower=rules.thinnest, scale=1e-4, label="blocks.thinnest")]
    if len(pairs):
        first, first_edge, second, second_edge = pairs[:, :4].astype(int).T
        apart = Quantity("gaps", "m", lambda d: sides(d)[first, first_edge] - sides(d)[second, second_edge])
        limits.append(Limit(apart, lower=pairs[:, 4], scale=1e-4, label="blocks.gap"))
    away = np.flatnonzero(~windings.central()) if windings.mirrored else np.zeros(0, int)
    if len(away) and rules.gap:
        limits.append(Limit(Quantity("gap to the twin", "m", lambda d: sides(d)[away, 2]), lower=rules.gap / 2, scale=1e-4, label="blocks.gap (twin)"))
    return limits


def _order(a, b, i: int, j: int, cluster, gap: float):
    """(upper block, its edge, lower block, its edge, least distance): along the direction in which the two are farther apart."""
    radial = max((a[0] - b[1], i, j), (b[0] - a[1], j, i))
    axial = max((a[2] - b[3], i, j), (b[2] - a[3], j, i))
    if radial[0] > axial[0]:
        return radial[1], 0, radial[2], 1, 0.0
    return axial[1], 2, axial[2], 3, 0.0 if cluster[i] == cluster[j] else gap


def load_limits(setting: Setting, windings: Windings) -> list[Limit]:
    """Hoop stress and peak field on points of every block's surface; the margin is a peak field, see `allowed_field`."""
    limits = setting.spec.limits
    most = allowed_field(setting)[np.asarray(windings.conductor, int)]
    found = []
    if np.isfinite(most).any():
        size = Quantity("field on the blocks", "T", lambda d: jnp.linalg.norm(_surface_field(d)[1], axis=-1))
        found.append(Limit(size, upper=np.minimum(most, 1e3)[:, None], scale=1e-3 * setting.task.strength, label="limits.peak_field"))
    if limits.hoop_stress:
        scale = limits.hoop_stress

        def stress(design):
            r, field = _surface_field(design)
            return design.parts["windings"].density[:, None] * field[..., 0] * r / scale

        found.append(Limit(Quantity("hoop stress", "1", stress), upper=1.0, scale=1e-3, label="limits.hoop_stress"))
    return found


def _surface_field(design: Design):
    """Radius (N,Q) and (B_z, B_r) (N,Q,2) T on points of the surface of each block."""
    windings = design.parts["windings"]
    r, z = surface_points(windings.sections())
    points = jnp.stack([r.ravel(), jnp.zeros(r.size), z.ravel()], axis=1)
    field = windings.blocks().field(points)
    return r, windings.sense * jnp.stack([field[:, 2], field[:, 0]], axis=-1).reshape(*r.shape, 2)


def surface_points(sections, count: int = LOAD_POINTS):
    """Radii and heights (N,Q) m on the four sides of each section, corners included."""
    t = np.linspace(0, 1, count)
    across = np.concatenate([0 * t, 0 * t + 1, t[1:-1], t[1:-1]])
    along = np.concatenate([t, t, 0 * t[1:-1], 0 * t[1:-1] + 1])
    inner, outer, low, high = (v[:, None] for v in jnp.asarray(sections).T)
    return inner + (outer - inner) * across, low + (high - low) * along


def allowed_field(setting: Setting) -> np.ndarray:
    """Largest |B| (T) on a winding of each conductor: limits.peak_field, and the load-line margin."""
    limits, spec = setting.spec.limits, setting.spec
    found = np.full(len(spec.conductors), limits.peak_field or np.inf)
    return found


# --- the later hops ---------------------------------------------------------------------------------


def wind(setting: Setting, solution: Solution) -> Product:
    """The blocks."""
    blocks = jax.tree_util.tree_map(np.asarray, solution.design.parts["windings"].blocks())
    return Product(source=blocks, stages={"blocks": blocks})


def relax(setting: Setting, solution: Solution) -> str:
    """What to relax, by how much."""
    spec = setting.spec
    words = {
        "strength": lambda r: f"lower field.strength from {format(spec.field.strength, 'T')} to {format(r.achievable, 'T')}",
        "variation": lambda r: f"raise field.homogeneity from {format(spec.field.homogeneity, '1')} to {format(r.achievable, '1')}",
        "level": lambda r: f"raise fringe.level from {format(spec.fringe.level, 'T')} to {format(r.achievable, 'T')}",
    }
    advice = [words.get(r.limit, lambda r: f"{r.limit} is missed by {format(r.by, r.unit)}: raise blocks.most or relax it")(r) for r in solution.relaxations]
    return "no coaxial magnet inside the envelope does what is asked: " + "; ".join(advice) + "; or raise the current density or enlarge the envelope"


RECIPE = Recipe(prepare, start, solve, wind, evidence, relax)
