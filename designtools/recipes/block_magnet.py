"""Superconducting magnets: the least conductor inside an envelope, first as a bound, then as blocks of whole turns.

1. A linear programme gives the least volume any coaxial magnet needs and where conductor pays (`magnet_bound`).
2. Its clusters become rectangles (`clusters`), whose edges go downhill in volume while field, homogeneity, fringe,
   gaps, stress and peak field are held (`solve.descent`).
3. With a wire, sections become whole layers, then whole turns; places and the current make up for the rounding.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from itertools import combinations, product

import jax
import jax.numpy as jnp
import numpy as np

from designtools._pytree import pytree
from designtools.problem import Design, Free, Limit, Problem, Quantity, Term
from designtools.materials.superconductors import surface_named
from designtools.quantities.coaxial import peak_field, perimeter, section_field
from designtools.quantities.sections import nodes_for, distant_field
from designtools.quantities.superconductor import Wire
from designtools.quantities.superconductor import allowed_field as allowed
from designtools.recipes.block_magnet_evidence import evidence
from designtools.recipes.clusters import clusters, rectangles, split
from designtools.recipes.magnet_bound import Certificate, Places, Task, certificate
from designtools.recipes.product import Product, Recipe
from designtools.solve import descent
from designtools.solve.solution import Relaxation, Solution, Status
from designtools.sources.blocks import Blocks
from designtools.spec import fingerprint
from designtools.units import format

CIRCLES, FAR_CIRCLES = 80, 60  # places per quarter of the region's surface, of the ellipse
LOAD_POINTS = 5  # along each side of a block, where stress and peak field are held
STEPS, STATIONARY = 160, 1e-5  # of the descent: the volume moves by less than that relative
ROUNDINGS = 6  # of the turns of a few blocks that are tried before those of others are rounded otherwise
ROUNDING_STEPS = 80  # of one of them
TRIES = 20  # searches with whole turns before the layers are chosen otherwise
CURRENT_PLAY = 0.01  # below the operating current, relative, that makes up for whole turns: the bound holds for any lower current
GRADINGS = 4  # rounds of choosing conductors by the field on the blocks
DROPS = 2  # times that blocks are left out
MORE_PLAY = 0.06  # the same where that is not enough: few blocks, thick layers
SLIGHT = 2e-3  # of all section, below which a block is left out
INWARDS = 1e-3  # of half a side: at a corner that two blocks share the field has no slope
HELD = 0.995  # of stress and field allowed, which the optimiser uses: its points on a surface miss a little of the peak
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
        return self.halves().field(points)

    def potential(self, points):
        """Vector potential (P,3) T·m at points (P,3) m."""
        return self.halves().potential(points)

    def conductor_volume(self):
        """Volume (m3) of all windings, twins included."""
        inner, outer, low, high = self.sections().T
        return (2 if self.mirrored else 1) * jnp.pi * jnp.sum((outer**2 - inner**2) * (high - low))

    def halves(self) -> Blocks:
        """The blocks as they are kept, and then their twins: for tracing, where nothing is known of what touches."""
        inner, outer, low, high = self.sections().T
        own = (inner, outer, low, high, self.sense * jnp.asarray(self.density))
        twin = (inner, outer, -high, -low, own[4])
        return Blocks(*(jnp.concatenate(pair) for pair in zip(own, twin))) if self.mirrored else Blocks(*own)

    def blocks(self) -> Blocks:
        """The windings as they are wound."""
        inner, outer, low, high = self.sections().T
        density = self.sense * jnp.asarray(self.density)
        if not self.mirrored:
            return Blocks(inner, outer, low, high, density)
        alone = self.central()
        low = jnp.where(alone, -high, low)
        twin = np.flatnonzero(~alone)
        full = lambda own, other: jnp.concatenate([other[twin][::-1], own])
        return Blocks(full(inner, inner), full(outer, outer), full(low, -high), full(high, -low), full(density, density))

    def of_blocks(self, name: str) -> np.ndarray:
        """A leaf (N,) in the order of `blocks`."""
        values, alone = np.asarray(getattr(self, name)), self.central()
        return np.concatenate([values[~alone][::-1], values]) if self.mirrored else values

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
    frame, solution = _searched(setting, graded(setting, first_blocks(setting, found)), say)
    again = graded(setting, _at(frame, solution)) if solution.status.ok else frame
    if np.any(again.windings.conductor != frame.windings.conductor):
        say("the blocks see other fields than at first: other conductors")
        frame, solution = _searched(setting, again, say)
    if solution.status.ok and setting.spec.operating_current:
        solution = _whole(setting, frame, solution, say)
    return replace(solution, gap=float(solution.design.parts["windings"].conductor_volume() / found.bound - 1))


def _searched(setting: Setting, frame: Frame, say) -> tuple[Frame, Solution]:
    """Downhill, then again without the blocks that shrank to nothing: these hold up a search that has not ended too."""
    for _ in range(DROPS):
        solution = _descended(setting, frame, say)
        slight = _slight(setting, solution)
        if not slight.any() or slight.all():
            break
        frame = _without(frame, solution, slight)
        say(f"without {slight.sum()} blocks that shrank to nothing")
    else:
        solution = _descended(setting, frame, say)
    return frame, solution


def _impossible(setting: Setting, found: Certificate) -> Solution:
    units = {"strength": ("T", setting.task.strength), "variation": ("1", setting.task.variation), "level": ("T", setting.task.level)}
    sign = {"strength": -1.0, "variation": 1.0, "level": 1.0}
    relaxations = tuple(
        Relaxation(name, units[name][0], by * units[name][1], units[name][1] * (1 + sign[name] * by), by) for name, by in found.relaxations.items()
    )
    return Solution(start(setting), Status.INFEASIBLE, np.zeros(0), np.nan, {}, {}, message=Status.INFEASIBLE.advice, relaxations=relaxations)


@dataclass(frozen=True)
class Frame:
    """Where the search starts, and what keeps its blocks in place: the box (N,4) of each (inner, outer radius, z_low, z_high), its cluster (N,)."""

    windings: Windings
    boxes: np.ndarray
    cluster: np.ndarray


def first_blocks(setting: Setting, found: Certificate) -> Frame:
    """Windings where the linear programme put conductor."""
    spec = setting.spec
    pieces, parent = split(clusters(found.fill, found.r, found.z), [r for c in spec.conductors if c.zone for r in (c.zone.inner_radius, c.zone.outer_radius)])
    cut = rectangles(pieces, spec.blocks.most)
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
    return Frame(windings, boxes, parent[cut.cluster])


def _first_conductor(setting: Setting, edges) -> int:
    """The densest of the conductors that may lie in the middle of the block."""
    return int(np.argmax(np.where(_candidates(setting, edges), setting.densities, -1.0)))


def _candidates(setting: Setting, edges) -> np.ndarray:
    """Which conductors (C,) may lie in the middle of a block."""
    r, z = (edges[0] + edges[1]) / 2, (edges[2] + edges[3]) / 2
    return np.array([bool(_may_lie(setting.spec, c, setting.upwards, r, z)) for c in setting.spec.conductors])


def graded(setting: Setting, frame: Frame) -> Frame:
    """Every block of the densest conductor that may lie there and stands the field on it.

    A block keeps its ampere-turns, so a less dense conductor makes it thicker; that moves the fields a little, hence
    the few rounds.  Where no conductor stands the field, the one that stands most is taken and the search must help.
    """
    if len(setting.spec.conductors) == 1:
        return frame
    most = allowed_field(setting)
    for _ in range(GRADINGS):
        windings = frame.windings
        peak = np.asarray(peak_field(windings.blocks()))[-windings.density.size :]
        chosen = np.array([_stands(setting, edges, b, most) for edges, b in zip(np.asarray(windings.sections()), peak)])
        if np.array_equal(chosen, windings.conductor):
            break
        frame = _rewound(setting, frame, chosen)
    return frame


def _stands(setting: Setting, edges, peak: float, most) -> int:
    """The densest conductor that stands `peak` (T), else the one of those allowed that stands most."""
    may = _candidates(setting, edges)
    strong = may & (most >= peak)
    return int(np.argmax(np.where(strong, setting.densities, -1.0) if strong.any() else np.where(may, most, -1.0)))


def _rewound(setting: Setting, frame: Frame, chosen) -> Frame:
    """Blocks of other conductors (N,) at their ampere-turns; those of one cluster are stacked anew from its inside."""
    windings, edges = frame.windings, np.array(frame.windings.sections())
    density = np.sign(windings.density) * setting.densities[chosen]
    thickness = (edges[:, 1] - edges[:, 0]) * np.abs(windings.density / density)
    for own in (np.flatnonzero(frame.cluster == c) for c in np.unique(frame.cluster)):
        own = own[np.argsort(edges[own, 0])]
        between = np.maximum(0.0, edges[own[1:], 0] - edges[own[:-1], 1])
        edges[own, 0] = edges[own[0], 0] + np.concatenate([[0.0], np.cumsum(thickness[own[:-1]] + between)])
        edges[own, 1] = edges[own, 0] + thickness[own]
    boxes = np.array([_box(setting, e, setting.spec.conductors[c]) for e, c in zip(edges, chosen)])
    edges = np.clip(edges, boxes[:, [0, 0, 2, 2]], boxes[:, [1, 1, 3, 3]])
    return Frame(replace(windings, edges=edges.T.ravel(), density=density, conductor=chosen.astype(float)), boxes, frame.cluster)


def _at(frame: Frame, solution: Solution) -> Frame:
    """The frame with its blocks where the search left them."""
    return replace(frame, windings=_numbers(solution.design.parts["windings"]))


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


def _descended(setting: Setting, frame: Frame, say) -> Solution:
    """Downhill in volume with all edges free."""
    windings, boxes = frame.windings, frame.boxes
    held = windings.central()
    low = np.stack([boxes[:, 0], boxes[:, 0], boxes[:, 2], boxes[:, 2]])
    high = np.stack([boxes[:, 1], boxes[:, 1], np.where(held, boxes[:, 2], boxes[:, 3]), boxes[:, 3]])
    edges = Free(lambda d: d.parts["windings"].edges, low.ravel(), high.ravel(), name="edges")
    say(f"moving the edges of {windings.density.size} blocks")
    return _feasible(descent.solve(_problem(setting, frame, windings, [edges], [volume(windings)]), max_iter=STEPS, tolerance=STATIONARY, progress=say))


def _feasible(solution: Solution) -> Solution:
    """A search that ran out of steps with every limit met is an answer: the certificate says how far it is from the best."""
    met = solution.status is Status.NOT_CONVERGED and solution.history[-1]["violation"] <= descent.FEASIBLE
    return replace(solution, status=Status.CONVERGED, message="all limits met; the gap to the bound says what is left") if met else solution


def _slight(setting: Setting, solution: Solution) -> np.ndarray:
    """Which blocks (N,) shrank to nothing worth winding."""
    inner, outer, low, high = np.asarray(solution.design.parts["windings"].sections()).T
    section = (outer - inner) * (high - low)
    return (section < SLIGHT * section.sum()) | (np.minimum(outer - inner, high - low) < 1.001 * setting.spec.blocks.thinnest)


def _without(frame: Frame, solution: Solution, gone: np.ndarray) -> Frame:
    windings, keep = _numbers(solution.design.parts["windings"]), ~gone
    per_block = {name: getattr(windings, name)[keep] for name in ("density", "conductor", "turns", "layers")}
    windings = replace(windings, edges=np.asarray(windings.sections())[keep].T.ravel(), **per_block)
    return Frame(windings, frame.boxes[keep], frame.cluster[keep])


def _problem(setting: Setting, frame: Frame, windings: Windings, free, minimise, more=()) -> Problem:
    """The level of the field is always free; field, fringe, shapes and loads are always held."""
    level = Free(lambda d: d.parts["windings"].level, -50.0, 50.0, name="level")
    held = windings.central()
    limits = [*field_limits(setting, windings), *shape_limits(setting, windings, frame.cluster, held), *load_limits(setting, windings)]
    return Problem(_design(setting, windings), [*free, level], minimise, [*limits, *more])


def volume(windings: Windings) -> Term:
    """Volume of conductor over its bound."""
    return Term(Quantity("conductor volume", "1", lambda d: d.parts["windings"].conductor_volume() / windings.bound), "value")


# --- whole layers, whole turns ------------------------------------------------------------------------


def _whole(setting: Setting, frame: Frame, solution: Solution, say) -> Solution:
    """Round the layers, then the turns of half the blocks left at a time, those nearest to whole numbers first.

    After each rounding the lengths of the others and all places move again; the current makes up for the rest.
    """
    used = [setting.spec.conductors[int(c)].wire for c in frame.windings.conductor]
    height, width = (np.array([getattr(w, name) for w in used]) for name in ("height", "width"))
    for solution, thickness, play in _layerings(setting, frame, _numbers(solution.design.parts["windings"]), height, say):
        if solution.status.ok:
            solution = _whole_turns(setting, frame, solution, Rounding(thickness, width, play), say)
        if solution.status.ok:
            break
    return solution


def _layerings(setting: Setting, frame: Frame, windings: Windings, height, say):
    """Searches with whole layers, their thicknesses, the play of the current: little play before more, the nearest layers first.

    More play is conductor that carries less than it may, so other layers are tried before it.
    """
    inner, outer, low, high = np.asarray(windings.sections()).T
    most = np.floor(np.ptp(frame.boxes[:, :2], axis=1) / height + 1e-9)
    for play, rounded in product((CURRENT_PLAY, MORE_PLAY), (np.round, np.ceil)):
        layers = np.maximum(1, np.minimum(rounded((outer - inner) / height), most))
        density = (1 - play / 2) * np.asarray(windings.density)
        whole = replace(_resized(windings, layers * height, high - low), layers=layers, density=density)
        say(f"whole layers, the current within {100 * play:g} %")
        yield _moved(setting, frame, whole, say, np.ones(layers.size, bool), play), layers * height, play


@dataclass(frozen=True)
class Rounding:
    """Thickness of the layers chosen, width of a turn (N,) m of each block; how far the current may fall, relative."""

    thickness: np.ndarray
    width: np.ndarray
    play: float


def _whole_turns(setting: Setting, frame: Frame, solution: Solution, rounding: Rounding, say) -> Solution:
    """The search through roundings, the newest first: where the last lengths cannot be made whole, the ones before are rounded otherwise."""
    paths = [_fewer_free(setting, frame, solution, rounding, np.ones(rounding.width.size, bool), say)]
    missed = replace(solution, status=Status.INFEASIBLE, message=Status.INFEASIBLE.advice)
    for _ in range(TRIES):
        found = next((found for found in map(_following, paths[::-1]) if found), None)
        if found is None:
            break
        tried, left = found
        if not tried.status.ok:
            missed = tried
        elif left.any():
            paths.append(_fewer_free(setting, frame, tried, rounding, left, say))
        else:
            return tried
    return missed


def _following(path):
    return next(path, None)


def _fewer_free(setting: Setting, frame: Frame, solution: Solution, rounding: Rounding, free, say):
    """Searches after half of the free lengths became whole turns, one for each way to round them, and which lengths stay free."""
    windings = _numbers(solution.design.parts["windings"])
    turns, left = _roundings(windings, rounding.width, free)
    for count, rounded in enumerate(turns):
        say(f"whole turns, rounding {count + 1} of {len(turns)}; {left.sum()} of {left.size} lengths still free")
        whole = np.where(windings.central(), 2.0, 1.0)
        sized = replace(_resized(windings, rounding.thickness, rounded * rounding.width / whole), turns=np.where(left, 0.0, rounded))
        yield _moved(setting, frame, sized, say, left, rounding.play), left


def _roundings(windings: Windings, width, free):
    """Turns (N,) to try, the nearest first, then each with one or two more blocks rounded the other way; which lengths stay free."""
    _, _, low, high = np.asarray(windings.sections()).T
    turns = np.where(windings.central(), 2.0, 1.0) * (high - low) / width  # of a central block the optimiser sees one half
    off = turns - np.round(turns)
    chosen = np.argsort(np.where(free, np.abs(off), np.inf))[: (free.sum() + 1) // 2]
    left = free.copy()
    left[chosen] = False
    nearest = np.where(left, turns, np.maximum(1, np.round(turns)))
    other = np.maximum(1, np.round(turns) + np.where(off >= 0, 1, -1))
    least = chosen[np.argsort(-np.abs(off[chosen]))]  # those that lose least by going the other way
    flips = [c for size in (0, 1, 2) for c in combinations(least, size)][:ROUNDINGS]
    return [np.where(np.isin(np.arange(turns.size), flip), other, nearest) for flip in flips], left


def _numbers(windings: Windings) -> Windings:
    return jax.tree_util.tree_map(np.asarray, windings)


def _resized(windings: Windings, thickness, length) -> Windings:
    """The same windings with other sizes about the middle of each block; what starts at the mirror plane stays there."""
    inner, outer, low, high = np.asarray(windings.sections()).T
    middle = np.where(windings.central(), length / 2, (low + high) / 2)
    radius = (inner + outer) / 2
    edges = np.stack([radius - thickness / 2, radius + thickness / 2, middle - length / 2, middle + length / 2])
    return replace(windings, edges=edges.ravel())


def _moved(setting: Setting, frame: Frame, windings: Windings, say, stretch, play: float = CURRENT_PLAY) -> Solution:
    """Thicknesses held; radii, heights and the lengths that `stretch` (N,) marks free: least volume.

    Once some lengths are held, or with more `play` (relative), the current is free a little, the upper half of its
    play for the end; with no length left the evenest field is sought.
    """
    n, held = windings.density.size, windings.central()
    directions = (np.array([1, 1, 0, 0]), np.array([0, 0, 1, 1]), np.array([0, 0, 0, 1]))  # inner, outer, low, high edge
    basis = np.hstack([np.kron(d[:, None], np.eye(n)) for d in directions])
    across, along = np.ptp(frame.boxes[:, :2], axis=1), np.ptp(frame.boxes[:, 2:], axis=1)
    reach = np.concatenate([across, np.where(held, 0.0, along), np.where(stretch, along, 0.0)])
    free = [Free(lambda d: d.parts["windings"].edges, -reach, reach, name="places", basis=basis)]
    if not stretch.all() or play > CURRENT_PLAY:
        most = np.sign(windings.density) * setting.densities[np.asarray(windings.conductor, int)]
        share = float(np.mean(np.abs(windings.density / most)))
        highest = 1 - play / 2 if stretch.any() else 1.0
        free.append(Free(lambda d: d.parts["windings"].density, 1 - play - share, highest - share, name="current", basis=most[:, None]))
    even = Term(rms_variation(setting, windings), "sum_squares", scale=10.0)
    minimise = [volume(windings) if stretch.any() else even]
    inside = Limit(Quantity("places", "m", lambda d: d.parts["windings"].edges), *_walls_of(frame), scale=1e-4, label="envelope")
    problem = _problem(setting, frame, windings, free, minimise, [inside])
    return _feasible(descent.solve(problem, max_iter=STEPS if stretch.all() else ROUNDING_STEPS, tolerance=STATIONARY if stretch.any() else 1e-3, progress=say))


def _walls_of(frame: Frame):
    boxes = frame.boxes
    return np.concatenate([boxes[:, 0], boxes[:, 0], boxes[:, 2], boxes[:, 2]]), np.concatenate([boxes[:, 1], boxes[:, 1], boxes[:, 3], boxes[:, 3]])


def rms_variation(setting: Setting, windings: Windings) -> Quantity:
    """Deviation on the region's surface from the middle of the range allowed, in units of the variation, over the root of its number."""
    deviation = _inside(setting, windings)
    count = setting.task.places.surface.stop - 1
    return Quantity("even field", "1", lambda d: (deviation(d)[1:] - MARGIN / 2) / np.sqrt(count))


# --- limits -----------------------------------------------------------------------------------------


def field_limits(setting: Setting, windings: Windings) -> list[Limit]:
    """Strength at the centre, variation on the region, level on the ellipse."""
    task, places = setting.task, setting.task.places
    span = np.concatenate([[0.0], np.full(places.surface.stop - 1, MARGIN)])
    limits = [Limit(Quantity("field", "1", _inside(setting, windings)), lower=0.0, upper=span, scale=1e-2, label="field")]
    if places.ellipse.start < places.ellipse.stop:
        at = _field_at(setting, windings, places.ellipse)
        outside = Quantity("fringe", "1", lambda d: jnp.linalg.norm(at(d), axis=1) / task.level)
        limits.append(Limit(outside, upper=0.999, scale=1e-3, label="fringe"))
    return limits


def _inside(setting: Setting, windings: Windings):
    """design -> deviation from the strength in units of the variation: at the centre, then on the surface less the level."""
    task, stop = setting.task, setting.task.places.surface.stop
    at, on_surface = _field_at(setting, windings, slice(0, stop)), np.arange(stop) > 0
    return lambda d: (at(d)[:, 0] / task.strength - 1) / task.variation - on_surface * d.parts["windings"].level


def _field_at(setting: Setting, windings: Windings, choice: slice):
    """design -> (B_z, B_r) (P,2) T at the places chosen."""
    places = setting.task.places
    r, z = jnp.asarray(places.r[choice]), jnp.asarray(places.z[choice])
    nodes = nodes_for(np.asarray(windings.sections()), places.r, places.z)

    def at(design):
        w = design.parts["windings"]
        return distant_field(w.sections(), jnp.asarray(w.density), r, z, nodes, w.mirrored)

    return at


def shape_limits(setting: Setting, windings: Windings, cluster, held) -> list[Limit]:
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
    away = np.flatnonzero(~held) if windings.mirrored else np.zeros(0, int)
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
    """Peak field and hoop stress on points of every block's surface, as shares of what is allowed; one look at the field for both."""
    most, stress = allowed_field(setting)[np.asarray(windings.conductor, int)], setting.spec.limits.hoop_stress
    if not np.isfinite(most).any() and not stress:
        return []

    def shares(design):
        r, field = _surface_field(design)
        parts = [jnp.linalg.norm(field, axis=-1) / np.minimum(most, 1e3)[:, None]]
        if stress:
            parts.append(design.parts["windings"].density[:, None] * field[..., 0] * r / stress)
        return jnp.stack(parts)

    return [Limit(Quantity("loads", "1", shares), upper=HELD, scale=1e-3, label="limits (hoop_stress, peak_field, load_line_margin)")]


def _surface_field(design: Design):
    """Radius (N,Q) and (B_z, B_r) (N,Q,2) T on points of the surface of each block."""
    windings = design.parts["windings"]
    r, z = (v[: windings.density.shape[0]] for v in perimeter(windings.halves(), LOAD_POINTS))
    inwards = lambda v: v + INWARDS * (jnp.mean(v, axis=1, keepdims=True) - v)
    r, z = inwards(r), inwards(z)
    return r, windings.sense * section_field(windings.halves(), r, z)[..., ::-1]


def allowed_field(setting: Setting) -> np.ndarray:
    """Largest |B| (T) on a winding of each conductor: limits.peak_field, and the load-line margin."""
    limits, spec = setting.spec.limits, setting.spec
    found = np.full(len(spec.conductors), limits.peak_field or np.inf)
    if limits.load_line_margin:
        for index, wire in enumerate(wires(spec)):
            density = setting.densities[index] / wire.superconductor
            found[index] = min(found[index], allowed(wire.surface, density, spec.temperature, limits.load_line_margin))
    return found


def wires(spec) -> tuple[Wire, ...]:
    """The wire of each conductor with its critical surface; empty where the spec knows none."""
    plain = [c.wire for c in spec.conductors if c.wire]
    return tuple(Wire(surface_named(w.material), w.width, w.height, w.metal_fraction, w.copper_ratio, w.rrr) for w in plain)


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
