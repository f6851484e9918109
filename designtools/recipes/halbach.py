"""Permanent magnets of stock cuboids: the choice from stock with its certificate, then gradients, then the machine's grid.

Everything is computed in the frame of the rings (B0 along x, bore along z) and turned into the frame of the spec at
the end.  Three stages: one option per place (`solve.integer`, certified), rings moved off their places by the exact
derivative of the exact field (`solve.minimax`), radii and places rounded to what a machine makes, again as a choice.
What the magnets do to each other (`quantities.demagnetisation`) enters each stage as a field added to all options.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass, replace

import numpy as np
from scipy.spatial.transform import Rotation

from designtools.problem import Design
from designtools.quantities import demagnetisation, permanent
from designtools.recipes.halbach_evidence import evidence
from designtools.recipes.halbach_stock import Option, Ring, options, slots
from designtools.recipes.product import Product, Recipe
from designtools.solve import integer, minimax
from designtools.solve.solution import Relaxation, Solution, Status
from designtools.sources.magnets import Magnets
from designtools.spec import fingerprint
from designtools.units import format

MERIDIAN = 61  # target points on a quarter of a circle
ALONG_B0 = np.array([1.0, 0.0, 0.0])
ROUNDING = 300  # exchanges that settle the rounding to the machine's grid
PASSES = 3  # of the choice, when the magnets demagnetise each other


@dataclass(frozen=True)
class Setting:
    """The task in the frame of the magnets: options per group, target points (P,3) m whose last is the centre.

    `turn` (3,3) takes that frame into the frame of the spec.
    """

    spec: object
    options: tuple[tuple[Option, ...], ...]
    target: np.ndarray
    turn: np.ndarray

    @property
    def b0(self) -> np.ndarray:
        return np.asarray(self.spec.frame.b0_axis, float)


# --- from the spec to a problem -----------------------------------------------------------------


def prepare(spec) -> Setting:
    """The options of every place, and the points at which the field is held."""
    b0, bore = (np.asarray(axis, float) for axis in (spec.frame.b0_axis, spec.frame.bore_axis))
    turn = np.stack([b0, np.cross(bore, b0), bore], axis=1)
    return Setting(spec, options(spec), target_points(spec, turn), turn)


def target_points(spec, turn) -> np.ndarray:
    """(P,3) m on the surface of the region, one octant or quarter by symmetry, then the centre.

    The field of many magnets about a bore is f0 + f2 cos(2 azimuth), so a body of revolution has its extremes on two
    meridians; an array has neither property and gets a patch, upper and lower half.
    """
    half = np.abs(turn.T) @ np.asarray(spec.region.half_widths)
    round_about = spec.rings is not None and abs(half[0] / half[1] - 1) < 1e-9
    azimuth = np.array([0.0, np.pi / 2]) if round_about else np.linspace(0, np.pi / 2, 9)
    polar = np.linspace(0, np.pi / 2 if spec.rings else np.pi, MERIDIAN)
    theta, phi = (grid.ravel() for grid in np.meshgrid(polar, azimuth, indexing="ij"))
    unit = np.stack([np.sin(theta) * np.cos(phi), np.sin(theta) * np.sin(phi), np.cos(theta)], axis=1)
    return np.concatenate([unit * half, np.zeros((1, 3))])


def problem(setting: Setting) -> integer.Choices:
    """One option per group: least peak to peak of B·b0 on the target relative to the centre, the centre above the floor."""
    return choices_of(setting.options, setting.target, setting.spec.field.floor)


def choices_of(groups, target, floor: float) -> integer.Choices:
    """The columns of all options by the exact field; groups with fewer options are filled up and marked."""
    most = max(map(len, groups))
    columns = np.zeros((len(groups), most, len(target)))
    for (g, s), column in zip(*_columns(groups, target)):
        columns[g, s] = column
    allowed = np.arange(most) < np.array([len(group) for group in groups])[:, None]
    return integer.Choices(columns[..., :-1], columns[..., -1], floor, allowed=allowed)


def _columns(groups, target):
    """((group, option), ...) and the component along B0 (.., P) T of each option at target points.

    Rings of one shape are evaluated once, at the origin, at points moved the other way.
    """
    keys = [(g, s) for g, group in enumerate(groups) for s in range(len(group))]
    rings = [(index, ring) for index, (g, s) in enumerate(keys) for ring in groups[g][s].rings]
    total = np.zeros((len(keys), len(target)))
    if rings:
        shapes = sorted({ring.shape for _, ring in rings})
        places = sorted({ring.position for _, ring in rings})
        fields = _ring_fields(shapes, places, target)
        row, place = {s: i for i, s in enumerate(shapes)}, {z: i for i, z in enumerate(places)}
        for index, ring in rings:
            total[index] += ring.remanence * fields[row[ring.shape], place[ring.position]]
    cubes = [(index, m) for index, (g, s) in enumerate(keys) for m in groups[g][s].cuboids]
    if cubes:
        group = np.repeat([i for i, _ in cubes], [len(m.centre) for _, m in cubes])
        total += np.asarray(permanent.grouped_field(joined([m for _, m in cubes]), group, len(keys), target, ALONG_B0))
    return keys, total


def _ring_fields(shapes, places, target) -> np.ndarray:
    """(shapes, places, P) for 1 T of remanence."""
    radius, count, size = (np.array(values) for values in zip(*shapes))
    magnets, group = permanent.rings(radius, np.zeros(len(radius)), count, size, np.ones(len(radius)))
    moved = np.concatenate([target - [0, 0, z] for z in places])
    fields = np.asarray(permanent.grouped_field(magnets, group, len(shapes), moved, ALONG_B0))
    return fields.reshape(len(shapes), len(places), len(target))


def joined(parts) -> Magnets:
    """Several batches of magnets as one."""
    return Magnets(*(np.concatenate([np.asarray(getattr(p, n)) for p in parts]) for n in ("centre", "size", "rotation", "polarization")))


def start(setting: Setting) -> Design:
    """One magnet, to be replaced: a resumed run takes the magnets from the solution kept on disk."""
    return Design({"magnets": _built([Ring(1.0, 0.0, 1, (1e-2,) * 3, 1.0)], [])}, fingerprint(setting.spec))


def _built(rings, cuboids) -> Magnets:
    """Magnets, at their remanence, of rings and of single cuboids."""
    parts = list(cuboids)
    if rings:
        radius, position, count, size, remanence = (np.array(values) for values in zip(*rings))
        magnets, _ = permanent.rings(radius, position, count, size, remanence)
        parts.insert(0, magnets)
    return joined(parts)


# --- the solve ----------------------------------------------------------------------------------


def solve(setting: Setting, progress=None) -> Solution:
    """The choice from stock with its certificate, then refined and rounded where the spec asks for it."""
    say = progress or (lambda sentence: None)
    say("field of every option")
    task = problem(setting)
    chosen, task, extra = _chosen_in_own_field(setting, task, say)
    if chosen is None:
        return _infeasible(setting, task)
    picked = [setting.options[g][s] for g, s in enumerate(chosen.choice)]
    stages = [_record("stock", chosen.value, chosen.bound, picked)]
    if setting.spec.refine is not None:
        say("moving rings by gradients")
        picked, records = _refined(setting, picked, extra, say)
        stages += records
    magnets = _built([r for o in picked for r in o.rings], [m for o in picked for m in o.cuboids])
    return Solution(
        design=Design({"magnets": magnets}, fingerprint(setting.spec)),
        status=Status.CONVERGED,
        x=np.asarray(chosen.choice, float),
        objective=stages[-1]["value"],
        terms={"peak to peak over the centre's field": stages[-1]["value"]},
        slacks={"field.floor": float(task.size_of(chosen.choice) - setting.spec.field.floor)},
        gap=chosen.gap,
        message=Status.CONVERGED.advice,
        history=tuple(stages),
    )


def _record(stage: str, value: float, bound: float, picked) -> dict:
    rings = [[r.radius, r.position, r.count, r.size[0], r.size[2], r.remanence] for o in picked for r in o.rings]
    return {"stage": stage, "value": float(value), "bound": float(bound), "rings": rings}


def _chosen_in_own_field(setting: Setting, task, say):
    """The choice, the problem it answers, and the field (P,) that the magnets' own response adds at the target.

    The response of one magnet is scaled to the next: its mean part lowers every option alike, the rest is added.
    """
    effort, plain, extra, chosen = setting.spec.search, task, np.zeros(len(setting.target)), None
    for count in range(PASSES if response_matters(setting.spec) else 1):
        first = None if chosen is None or not np.isfinite(task.value(chosen.choice)) else chosen.choice
        again = integer.choose(task, seed=effort.seed, rounds=effort.rounds if count == 0 else effort.rounds // 2, nodes=effort.nodes, start=first, progress=say)
        if again is None or not response_matters(setting.spec):
            return again, task, extra
        same = chosen is not None and np.array_equal(again.choice, chosen.choice)
        chosen = again
        if same:
            break
        say("field of the magnets on each other")
        picked = [setting.options[g][s] for g, s in enumerate(chosen.choice)]
        extra = response(setting, picked)
        ratio = 1 + extra[-1] / float(plain.size_of(chosen.choice))
        rest = extra - (ratio - 1) * np.append(plain.field(chosen.choice), plain.size_of(chosen.choice))
        task = replace(plain, columns=ratio * plain.columns, size=ratio * plain.size, base=rest[:-1], base_size=rest[-1])
    return chosen, task, extra


def response_matters(spec) -> bool:
    """Whether the magnets are anything but ideally hard."""
    return slots(spec)[0].recoil > 1


def response(setting: Setting, picked) -> np.ndarray:
    """Field (P,) T along B0 at the target that the magnets add by acting on each other."""
    hard = _built([r for o in picked for r in o.rings], [m for o in picked for m in o.cuboids])
    real = demagnetisation.self_consistent(hard, slots(setting.spec)[0].recoil, tolerance=1e-7).magnets
    change = replace(hard, polarization=np.asarray(real.polarization) - np.asarray(hard.polarization))
    return np.asarray(change.field(setting.target)) @ ALONG_B0


def _infeasible(setting: Setting, task) -> Solution:
    best = float(np.where(task.allowed, task.size, -np.inf).max(axis=1).sum() + task.base_size)
    lack = Relaxation("field.floor", "T", task.floor - best, best)
    return Solution(start(setting), Status.INFEASIBLE, np.zeros(0), np.inf, {}, {"field.floor": best - task.floor}, relaxations=(lack,))


# --- off the stock places -----------------------------------------------------------------------


def _refined(setting: Setting, picked, extra, say):
    """Options with rings moved by gradients and rounded to the grid, and the records of both stages."""
    spec, records = setting.spec, []
    movable = Movable(picked, spec)
    x = movable.start
    for _ in range(2 if response_matters(spec) else 1):
        evened = minimax.least_spread(lambda x: movable.evaluate(x, setting.target, extra), x, *movable.bounds, *movable.gaps, floor=spec.field.floor, progress=say)
        x = evened.x
        extra = response(setting, movable.options(x)) if response_matters(spec) else extra
    free = evened.value
    records.append(_record("gradients", free, 0.0, movable.options(x)))
    say("rounding to the machine's grid")
    groups = movable.roundings(x, spec.refine.step)
    task = replace(choices_of(groups, setting.target, spec.field.floor * (1 - 1e-4)), base=extra[:-1], base_size=float(extra[-1]))
    best = integer.choose(task, seed=spec.search.seed, rounds=ROUNDING, nodes=0, progress=say)
    picked = [groups[g][s] for g, s in enumerate(best.choice)]
    records.append(_record("built", best.value, best.bound, picked))
    return picked, records


class Movable:
    """The rings of some options as unknowns: the radius of each layer and the place of each pair of mirror twins."""

    def __init__(self, picked, spec):
        self.picked, self.spec = picked, spec
        self.rings = [ring for option in picked for ring in option.rings]
        names, radius_of, place_of, sign = [], [], [], []
        for g, option in enumerate(picked):
            for ring in option.rings:
                radius_of.append(_index(names, ("radius", g, ring.radius)))
                place_of.append(_index(names, ("place", g, abs(ring.position))))
                sign.append(np.sign(ring.position))
        self.names, self.radius_of, self.place_of, self.sign = names, np.array(radius_of), np.array(place_of), np.array(sign)
        self.start = np.array([value for _, _, value in names])

    @property
    def bounds(self):
        """Lower and upper (n,) m: what the spec lets move, the bore kept clear, the magnets of a ring apart."""
        move, least = self.spec.refine, min(self.spec.rings.radii)
        reach = np.array([move.radius if kind == "radius" else move.position if value else 0.0 for kind, _, value in self.names])
        lower = self.start - reach
        for ring, index in zip(self.rings, self.radius_of):
            pitch = np.hypot(*ring.size[:2]) + self.spec.rings.gap
            lower[index] = max(lower[index], least, min(ring.radius, ring.count * pitch / (2 * np.pi)))
        return lower, self.start + reach

    @property
    def gaps(self):
        """rows @ x >= sides: rings of neighbouring places and layers do not touch."""
        places = [i for i, (kind, _, _) in enumerate(self.names) if kind == "place"]
        thick = max(r.size[2] for r in self.rings) + (self.spec.former.floor if self.spec.former else 0.0)
        rows, sides = [], []
        for low, high in zip(places, places[1:]):
            rows.append(_difference(len(self.names), high, low))
            sides.append(thick)
        across = max(np.hypot(*r.size[:2]) for r in self.rings) + self.spec.rings.gap
        for g in range(len(self.picked)):
            radii = sorted((value, i) for i, (kind, own, value) in enumerate(self.names) if kind == "radius" and own == g)
            for (_, low), (_, high) in zip(radii, radii[1:]):
                rows.append(_difference(len(self.names), high, low))
                sides.append(across)
        return (np.array(rows), np.array(sides)) if rows else (None, None)

    def evaluate(self, x, target, extra):
        """Field (P,) on the target and its Jacobian (P,n), the centre's and its gradient."""
        value, by_radius, by_place = _moved(self.rings, x[self.radius_of], self.sign * x[self.place_of], target)
        jacobian = np.zeros((len(target), len(x)))
        np.add.at(jacobian.T, self.radius_of, by_radius)
        np.add.at(jacobian.T, self.place_of, self.sign[:, None] * by_place)
        field = value.sum(axis=0) + extra
        return field[:-1], jacobian[:-1], float(field[-1]), jacobian[-1]

    def options(self, x) -> list[Option]:
        """The options with their rings at x (n,)."""
        moved = iter(zip(self.rings, x[self.radius_of], self.sign * x[self.place_of]))
        return [replace(o, rings=tuple(r._replace(radius=float(a), position=float(z)) for r, a, z in itertools.islice(moved, len(o.rings)))) for o in self.picked]

    def roundings(self, x, step: float):
        """Per group, the options with every radius and place rounded up or down to the grid."""
        lower, upper = self.bounds
        groups = []
        for g in range(len(self.picked)):
            own = [i for i, (_, group, _) in enumerate(self.names) if group == g]
            sides = [_grid_values(x[i], step, lower[i], upper[i]) for i in own]
            trials = []
            for values in itertools.product(*sides):
                y = x.copy()
                y[own] = values
                trials.append(self.options(y)[g])
            groups.append(tuple(trials))
        return groups


def _grid_values(value: float, step: float, lower: float, upper: float) -> list[float]:
    """The grid values next to a value, within its bounds; a value that may not move stays."""
    if upper == lower:
        return [value]
    low = np.floor(value / step + 1e-9)
    found = [round(k * step, 12) for k in (low, low + 1) if lower - 1e-12 <= k * step <= upper + 1e-12]
    return found or [value]


def _index(names: list, name) -> int:
    if name not in names:
        names.append(name)
    return names.index(name)


def _difference(n: int, plus: int, minus: int) -> np.ndarray:
    row = np.zeros(n)
    row[plus], row[minus] = 1.0, -1.0
    return row


def _moved(rings, radius, position, target):
    """Field (K,P) of each ring and its derivatives by its radius and by its position."""
    import jax
    import jax.numpy as jnp

    count, size, remanence = (np.array([getattr(r, n) for r in rings]) for n in ("count", "size", "remanence"))
    group = np.repeat(np.arange(len(rings)), count)

    def field(radius, position):
        magnets, _ = permanent.rings(radius, position, count, size, remanence)
        return permanent.grouped_field(magnets, group, len(rings), target, ALONG_B0)

    here, one, none = (jnp.asarray(radius), jnp.asarray(position)), jnp.ones(len(rings)), jnp.zeros(len(rings))
    value, by_radius = jax.jvp(field, here, (one, none))
    _, by_position = jax.jvp(field, here, (none, one))
    return np.asarray(value), np.asarray(by_radius), np.asarray(by_position)


# --- the later hops -----------------------------------------------------------------------------


def wind(setting: Setting, solution: Solution) -> Product:
    """The magnets in the frame of the spec, in their own field and at their temperature."""
    hard = solution.design.parts["magnets"]
    recoil = slots(setting.spec)[0].recoil
    real = demagnetisation.self_consistent(hard, recoil).magnets if recoil > 1 else hard
    stages = {"real magnets": real, "ideally hard magnets": hard}
    turned = {name: turned_into(stage, setting.turn) for name, stage in stages.items()}
    return Product(source=turned["real magnets"], stages=turned)


def turned_into(magnets: Magnets, turn) -> Magnets:
    """Magnets turned as a whole by a rotation matrix (3,3)."""
    whole = Rotation.from_matrix(turn)
    rotation = (whole * Rotation.from_rotvec(np.asarray(magnets.rotation))).as_rotvec()
    return Magnets(np.asarray(magnets.centre) @ turn.T, np.asarray(magnets.size), rotation, np.asarray(magnets.polarization))


def relax(setting: Setting, solution: Solution) -> str:
    """What to relax: the floor of the field."""
    (found,) = solution.relaxations
    wanted, best = format(setting.spec.field.floor, "T"), format(found.achievable, "T")
    where = "rings.radii smaller or more rings.layers" if setting.spec.rings else "array.depths smaller or more columns"
    return f"no choice from stock reaches the field: lower field.floor from {wanted} to {best}, or make {where}"


RECIPE = Recipe(prepare, start, solve, wind, evidence, relax)
