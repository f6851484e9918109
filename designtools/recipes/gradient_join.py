"""Loose turns joined into conductors, and what that adds to the field: jogs, returns, links and leads."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from designtools import audit, regions
from designtools.recipes.gradient_problem import reserves
from designtools.recipes.gradient_setting import Setting
from designtools.recipes.gradient_turns import Wound, bettered, pitch
from designtools.solve.solution import Solution
from designtools.sources import Assembly
from designtools.windings import join
from designtools.windings.winding import Winding

JOG = 1.0  # length of a jog over what it steps aside: long jogs tilt the few turns of a shield
ROUNDS, STEPS = 3, 3  # looks at the joined conductor, with room made for joints between them in so many steps
AIM = 0.995  # of the limits, for what the field does between the points looked at
ENOUGH = 1e-3  # excess over these aims that counts as none
GAIN = 0.9  # of the excess: a round that leaves more has not helped
GRID, ORDER = (71, 59), 26  # azimuths and axial positions of the stray surface, order of the region's surface


def joined(setting: Setting, loose) -> tuple[Winding, ...]:
    """Each patch joined; layers of one patch each in series, several patches with terminals of their own."""
    rule, conductor = setting.spec.winding, setting.spec.conductor
    of = {patch.name: (layer, patch) for layer in setting.layers for patch in layer.patches}
    each = tuple(
        join.join(
            of[w.name][1].former, w.tracks, w.current, conductor.width, conductor.thickness,
            name=w.name, azimuth=rule.lead_angle, lead_length=rule.lead_length, return_clearance=rule.return_clearance,
            inward=of[w.name][0].name == "shield", jog=JOG, spacing=pitch(setting),
        )
        for w in loose
    )  # fmt: skip
    single = all(len(layer.patches) == 1 for layer in setting.layers)
    return join.series(each) if single and len(each) > 1 else each


def wires(setting: Setting, loose) -> Assembly:
    """The turns as they are in the end, joined where the spec asks for it; JoinError where they cannot be."""
    return Assembly([w.filaments() for w in (joined(setting, loose) if setting.spec.winding.joined else loose)])


def bettered_joined(setting: Setting, solution: Solution, matrices: dict, progress=None) -> tuple[Solution, Wound]:
    """Turns moved until the joined conductor keeps the limits on the field, as far as turns can make up for joints.

    What joints add goes with the turns that they join and changes little while these move: the turns get the room that is
    left.
    """
    best = trial = bettered(setting, solution, matrices, progress)
    least = np.inf
    for attempt in range(ROUNDS if setting.spec.winding.joined else 0):
        excess = over(setting, trial[1].windings)
        found = np.inf if excess is None else sum(np.maximum(excess, 0))
        if found >= GAIN * least or (attempt and trial[1].excess["conductor.spacing"] > ENOUGH):
            break
        best, least = trial, found
        if least <= ENOUGH or attempt == ROUNDS - 1:
            break
        if progress:
            progress(f"joints take the error {max(excess[0], 0):.1%} and the stray field {max(excess[1], 0):.1%} beyond their limits; leaving them room")
        setting = replace(setting, taken=_more(setting, excess))
        trial = bettered(setting, solution, matrices, progress, trial[1], STEPS)
    return best


def _more(setting: Setting, excess) -> tuple[float, float]:
    """Shares that joints take of the limits, with those that their excess was now seen to take of what was left."""
    return tuple(taken + (1 - left) * max(e, 0) / (1 + max(e, 0)) for taken, left, e in zip(setting.taken, reserves(setting), excess))


def over(setting: Setting, windings) -> tuple[float, float] | None:
    """Excess (relative, negative where there is room) of the field error and the stray field of the joined turns over what is aimed at; None where they cannot be joined."""
    try:
        source = wires(setting, windings)
    except join.JoinError:
        return None
    spec, rule = setting.spec, audit.volume_rule(setting.spec.region.half_widths, setting.centre)
    surface = regions.ellipsoid(spec.region.half_widths, spec.region.centre, ORDER, "joined").points
    inside = np.asarray(source.field(np.concatenate([rule.points, surface]))) @ setting.b0
    count = len(rule.points)
    gradient = audit.fitted_gradient(inside[:count], setting.distance(rule.points), rule.weights)
    error = audit.linearity(inside[count:], setting.distance(surface), gradient, setting.reach)["linearity_error_max"]
    return error / (AIM * _asked(spec, "linearity_error_max", spec.target.error)) - 1, _stray(setting, source)


def _asked(spec, quantity: str, limit: float) -> float:
    """What the finished coil shall keep: as `requirements` say, else the limit that the sheets keep."""
    return min((r.limit for r in spec.requirements if r.quantity == quantity and r.op == "<="), default=limit)


def _stray(setting: Setting, source) -> float:
    stray = setting.spec.stray
    if stray is None:
        return -1.0
    points = regions.cylinder(stray.radius, stray.length, *GRID, setting.frame).points
    return float(np.linalg.norm(np.asarray(source.field(points)), axis=1).max() / (AIM * _asked(setting.spec, "stray_field_max", stray.limit)) - 1)
