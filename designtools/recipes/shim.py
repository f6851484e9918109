"""Shims: currents of given coils that flatten measured fields, shot by shot, each answer with its certified gap."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from designtools.problem import Design
from designtools.quantities.shim import Currents
from designtools.recipes.field_map import Volume, read_volumes
from designtools.recipes.product import Product, Recipe
from designtools.recipes.shim_sets import Channels, at_current, channels_of, profile
from designtools.recipes.shim_shots import Shot, shots_of, solved
from designtools.solve.solution import Solution, Status
from designtools.sources.assembly import Assembly
from designtools.spec import fingerprint
from designtools.units import format

GAP = 1e-6  # relative, above which an answer is not called the optimum


@dataclass(frozen=True)
class Setting:
    """The maps, the channels, what each does in each map (P,C) Hz per unit, and the shots."""

    spec: object
    volumes: tuple[Volume, ...]
    channels: tuple[Channels, ...]
    profiles: tuple[np.ndarray, ...]
    shots: tuple[Shot, ...]

    @property
    def b0(self) -> np.ndarray:
        return np.asarray(self.spec.frame.b0_axis, float)

    def over(self, what) -> np.ndarray:
        """what(set of channels) -> number or (n,), for every channel (C,)."""
        return np.concatenate([np.broadcast_to(what(c), len(c)) for c in self.channels])


# --- from the spec to the currents --------------------------------------------------------------


def prepare(spec) -> Setting:
    """Read the maps, place the coils, and find what they do."""
    volumes = read_volumes(spec)
    channels = channels_of(spec, volumes)
    return Setting(spec, volumes, channels, _profiles(spec, channels, volumes), shots_of(spec, volumes))


def _profiles(spec, channels, volumes) -> tuple[np.ndarray, ...]:
    return tuple(np.concatenate([profile(spec, c, v) for c in channels], axis=1) for v in volumes)


def start(setting: Setting) -> Design:
    """The loops where the spec has them, and no current anywhere."""
    count, ends = int(setting.over(lambda c: 1).sum()), 2 if setting.spec.schedule.trace else 1
    still = Currents(np.zeros((len(setting.shots), ends, count)), np.zeros((len(setting.shots), ends)))
    return Design({"currents": still} | {c.set.name: c.loops for c in setting.channels if c.loops is not None}, fingerprint(setting.spec))


def settled(setting: Setting, design: Design) -> Setting:
    """The setting with the loops of a design, which may have moved."""
    channels = tuple(c if c.loops is None else replace(c, loops=design.parts[c.set.name]) for c in setting.channels)
    moved = any(not np.array_equal(a.loops.centre, b.loops.centre) or not np.array_equal(a.loops.radius, b.loops.radius)
                for a, b in zip(channels, setting.channels) if a.loops is not None)  # fmt: skip
    return replace(setting, channels=channels, profiles=_profiles(setting.spec, channels, setting.volumes)) if moved else setting


def solve(setting: Setting, progress=None) -> Solution:
    """The best currents of every shot, after the loops have moved where the spec lets them."""
    say = progress or (lambda sentence: None)
    design, history = start(setting), ()
    if setting.spec.layout is not None:
        from designtools.recipes.shim_layout import improved  # as the evidence below: not loaded before it is asked for

        design, history = improved(setting, design, say)
        setting = settled(setting, design)
    say(f"currents of {len(setting.shots)} shot{'s' if len(setting.shots) > 1 else ''}")
    found = solved(setting)
    status = Status.OPTIMAL if found.gap <= GAP else Status.NOT_CONVERGED
    return Solution(
        design=Design(design.parts | {"currents": found.currents}, design.fingerprint),
        status=status,
        x=np.asarray(found.currents.values).ravel(),
        objective=found.objective,
        terms={setting.spec.criterion: found.objective},
        slacks={"shared limits": -found.violation},
        gap=found.gap,
        message=status.advice,
        history=({"shots": len(setting.shots), "largest gap of a shot": found.worst_gap}, *history),
    )


# --- the later hops -----------------------------------------------------------------------------


def wind(setting: Setting, solution: Solution) -> Product:
    """The loops, and finished designs, with the currents of the shot that heats most."""
    setting = settled(setting, solution.design)
    shot, end = hottest(setting, solution)
    values, parts, windings, at = np.asarray(solution.design.parts["currents"].values)[shot, end], [], [], 0
    for c in setting.channels:
        own = values[at : at + len(c)]
        at += len(c)
        windings += [replace(w, current=float(i)) for w, i in zip(c.windings, own)]
        if c.loops is not None:
            parts.append(at_current(c, own))
    parts += [w.filaments() for w in windings]
    return Product(source=Assembly(parts) if parts else None, windings=tuple(windings))  # ideal coils are nothing to build


def hottest(setting: Setting, solution: Solution) -> tuple[int, int]:
    """Shot and end of the trace with the largest copper loss."""
    loss = np.asarray(solution.design.parts["currents"].values) ** 2 @ setting.over(lambda c: c.resistance)
    return tuple(int(k) for k in np.unravel_index(np.argmax(loss), loss.shape))


def relax(setting: Setting, solution: Solution) -> str:
    """Zero current meets every limit, so only a broken spec arrives here."""
    found = "; ".join(f"raise {r.limit} to {format(r.achievable, r.unit)}" for r in solution.relaxations)
    return f"no currents meet all limits: {found}"


def evidence(setting: Setting, solution: Solution, product: Product, progress=None):
    """Figures, maps and plots (`shim_evidence.evidence`)."""
    from designtools.recipes.shim_evidence import evidence

    return evidence(setting, solution, product, progress)


RECIPE = Recipe(prepare, start, solve, wind, evidence, relax)
