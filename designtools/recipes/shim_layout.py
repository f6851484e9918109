"""Loops that move over their surface until they serve the maps best: descent through the optimum of the currents.

The currents are optimal for every layout, so by the envelope theorem the slope of the optimum with the layout is that
of the objective at fixed currents: one sweep of derivatives through the closed form of the loops per step, however
many shots there are.  Distances between loops and spaces to avoid enter as penalties that grow until they hold.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import jax
import jax.numpy as jnp
import numpy as np
from scipy.optimize import minimize

from designtools.problem import Design
from designtools.quantities import shim
from designtools.recipes.shim_sets import across
from designtools.recipes.shim_shots import solved
from designtools.recipes.surfaces import depth
from designtools.solve import box
from designtools.sources.loops import Loops
from designtools.sources.pose import across as two_across
from designtools.spec import Mistake, SpecError
from designtools.units import GAMMA_BAR

START_SHARE = 0.9  # of the smallest distance at the start, which is the default of `spacing`
MARGIN = 1.002  # on spacing, so that a penalty's last thousandth does not break it
PRICES = (30.0, 1000.0)  # of a breach, in units of the objective, stage by stage
ENOUGH = 3  # voxels per channel in a shot at least, where it has so many: with fewer the currents are not unique
SMOOTH = 1e-4  # of the mean square of a channel's field, as a price on currents: without one, layouts at which two sets of
# currents do equally well are kinks, at which a descent stalls
ROUND = 16  # points of a loop that look out for spaces to avoid


@dataclass(frozen=True)
class Surface:
    """Where loops may go: an ellipsoid, or a cylinder (half axis along the bore infinite), about the origin."""

    frame: np.ndarray  # (3,3): two directions across the bore, and the bore
    half: np.ndarray  # (3,) m along those
    low: float
    high: float  # m along the bore

    def place(self, angle, height):
        """Centres and unit normals (N,3) at angles about the bore and heights along it."""
        share = jnp.where(np.isfinite(self.half[2]), height / self.half[2], 0.0)
        ring = jnp.sqrt(jnp.maximum(1 - share**2, 1e-6))
        local = jnp.stack([self.half[0] * ring * jnp.cos(angle), self.half[1] * ring * jnp.sin(angle), height], axis=1)
        slope = local / np.where(np.isfinite(self.half), self.half, np.inf) ** 2
        return local @ self.frame, (slope / jnp.linalg.norm(slope, axis=1, keepdims=True)) @ self.frame

    def find(self, centre):
        """Angles and heights (N,) of centres on the surface."""
        local = np.asarray(centre) @ self.frame.T
        return np.arctan2(local[:, 1] / self.half[1], local[:, 0] / self.half[0]), np.clip(local[:, 2], self.low, self.high)


def improved(setting, design: Design, progress):
    """The design with the loops of the last movable set where they serve best, and a record of the way."""
    chosen = [c for c in setting.channels if c.loops is not None and not c.set.first][-1]
    layout = setting.spec.layout
    surface = _surface(setting, chosen)
    spacing = layout.spacing or START_SHARE * _nearest(np.asarray(chosen.loops.centre))
    train = training(setting, chosen, layout.voxels, layout.seed, layout.hold_out)
    score = _score(setting, chosen, surface, train, spacing)
    x, bounds = _variables(setting, chosen, surface)
    before = score(x, 0.0)[0]
    counted = 0
    for price in PRICES:
        progress(f"moving {len(chosen)} loops over their surface (objective {score(x, 0.0)[0]:.6g})")
        budget = -(-layout.rounds // len(PRICES))  # where kinks make the line search long, its trials count too
        found = minimize(lambda v: score(v, price), x, jac=True, method="L-BFGS-B", bounds=bounds, options={"maxiter": budget, "maxfun": 2 * budget})
        x, counted = found.x, counted + found.nit
    x = _kept_apart(score, x, bounds)
    loops = _loops_at(chosen, surface, x)
    moved = Design(design.parts | {chosen.set.name: loops}, design.fingerprint)
    return moved, ({"layout steps": counted, "training objective before": before, "training objective after": score(x, 0.0)[0],
                    "smallest distance (m)": _nearest(np.asarray(loops.centre)), **_held_out(setting)},)  # fmt: skip


def _surface(setting, channels) -> Surface:
    s, axis = channels.set, np.asarray(setting.spec.frame.bore_axis, float)
    first = across(axis)
    frame = np.stack([first, np.cross(axis, first), axis])
    height = np.asarray(channels.loops.centre) @ axis
    if s.arrangement == "cylinder":
        margin = s.loop_radius if height.min() == height.max() else 0.0
        return Surface(frame, np.array([s.radius, s.radius, np.inf]), height.min() - margin, height.max() + margin)
    if s.arrangement == "helmet":
        half = np.abs(frame) @ np.asarray(s.semi_axes, float)
        return Surface(frame, half, height.min(), float(half[2]) * 0.999)
    raise SpecError([Mistake("", "layout", f"must be left out for arrangement {s.arrangement}: loops move over a cylinder or a helmet")])


def _nearest(centre) -> float:
    """Smallest distance (m) between two centres."""
    away = np.linalg.norm(centre[:, None] - centre[None], axis=2) + np.diag(np.full(len(centre), np.inf))
    return float(away.min())


# --- what is free ---------------------------------------------------------------------------------


def _variables(setting, channels, surface: Surface):
    """Start and bounds of (arc, height, radius) of every loop, in units of the loops' mean radius."""
    size = float(np.mean(channels.loops.radius))
    angle, height = surface.find(channels.loops.centre)
    radius = np.asarray(channels.loops.radius)
    low, high = setting.spec.layout.radius_range or (radius.min(), radius.max())
    wide = max(surface.half[:2]) / size
    x = np.concatenate([angle * wide, height / size, np.clip(radius, low, high) / size])
    free = [(None, None)] * len(radius) + [(surface.low / size, surface.high / size)] * len(radius)
    fixed = setting.spec.layout.radius_range is None
    return x, free + [((r, r) if fixed else (low / size, high / size)) for r in radius / size]


def _geometry(channels, surface: Surface, x):
    """Centre, normal (N,3) and radius (N,) of the loops."""
    size = float(np.mean(channels.loops.radius))
    arc, height, radius = jnp.split(x, 3)
    return *surface.place(arc * size / max(surface.half[:2]), height * size), radius * size


def _loops_at(channels, surface: Surface, x) -> Loops:
    centre, normal, radius = (np.asarray(v) for v in _geometry(channels, surface, jnp.asarray(x)))
    return Loops(centre, normal, radius, np.zeros(len(radius)))


# --- what is wanted -------------------------------------------------------------------------------


@dataclass(frozen=True)
class Training:
    """Chosen voxels: points (P,3), frequency (P,) with what is set first, weights, other channels' columns, their shots."""

    points: np.ndarray
    frequency: np.ndarray
    root: np.ndarray
    others: np.ndarray
    shots: tuple[np.ndarray, ...]


def training(setting, channels, voxels: int, seed: int, hold_out: int | None = None) -> Training:
    """About so many voxels of all maps but the one held out, drawn evenly from every shot."""
    rng = np.random.default_rng(seed)
    used = [s for s in setting.shots if s.volume != hold_out]
    share = min(1.0, voxels / sum(s.index.size for s in used))
    fields = {k: _frequency_first(setting, k) for k in {s.volume for s in used}}
    own = np.concatenate([np.full(len(c), c is channels) for c in setting.channels])
    others = ~own & ~setting.over(lambda c: c.set.first)
    parts, shots, at = [], [], 0
    for shot in used:
        index = rng.permutation(shot.index)[: max(ENOUGH * others.size, round(share * shot.index.size))]
        volume = setting.volumes[shot.volume]
        parts.append((volume.points[index], fields[shot.volume][index], np.sqrt(volume.weights[index]), setting.profiles[shot.volume][index][:, others]))
        shots.append(np.arange(at, at + index.size))
        at += index.size
    return Training(*(np.concatenate(p) for p in zip(*parts)), tuple(shots))


def _frequency_first(setting, k: int) -> np.ndarray:
    """The map with what is set before the others."""
    from designtools.recipes.shim_shots import _set_first

    first = setting.over(lambda c: c.set.first)
    if not first.any():
        return setting.volumes[k].values
    values = _set_first(setting, setting.volumes[k], setting.profiles[k], first)[0]
    return setting.volumes[k].values + setting.profiles[k][:, first] @ values


def _score(setting, channels, surface: Surface, train: Training, spacing: float):
    """(variables, price) -> mean square left, plus price times breaches; and its slope."""
    b0 = setting.b0
    per_unit = GAMMA_BAR * channels.set.turns
    most = setting.over(lambda c: c.most)[~setting.over(lambda c: c.set.first)]
    own = np.concatenate([np.full(len(c), c is channels) for c in setting.channels if not c.set.first])
    weight = float(np.sum(train.root**2))
    unit = float(np.sum((train.root * train.frequency) ** 2)) / weight
    strength = np.asarray(channels.loops.per_ampere(train.points, b0)) * per_unit
    ridge = SMOOTH * float(np.mean((train.root[:, None] * strength) ** 2)) * len(train.root) / len(train.shots)

    @jax.jit
    def columns(x):
        centre, normal, radius = _geometry(channels, surface, x)
        return per_unit * Loops(centre, normal, radius, jnp.ones_like(radius)).per_ampere(jnp.asarray(train.points), jnp.asarray(b0))

    @jax.jit
    def pulled(x, cotangent):
        return jax.vjp(columns, x)[1](cotangent)[0]

    breach = jax.jit(jax.value_and_grad(lambda x: _breach(setting, channels, surface, spacing, x)))

    def score(x, price):
        matrix = np.zeros((len(train.points), own.size))
        matrix[:, own], matrix[:, ~own] = np.asarray(columns(x)), train.others
        value, cotangent = _best(setting, train, matrix, most, own, ridge)
        slope = np.asarray(pulled(x, jnp.asarray(cotangent))) / weight / unit
        broken, away = breach(x)
        return float(value / weight / unit + price * broken), np.asarray(slope + price * np.asarray(away))

    return score


def _best(setting, train: Training, matrix, most, own, ridge):
    """Least weighted sum of squares over the currents, and its slope with every entry of the moved columns."""
    bounded = np.isfinite(most)
    rows = [train.root[s, None] * matrix[s] for s in train.shots]
    offset = [train.root[s, None] * np.ones((1, int(setting.spec.include_offset))) for s in train.shots]
    target = [train.root[s] * train.frequency[s] for s in train.shots]
    free = [np.concatenate([r[:, ~bounded], o], axis=1) for r, o in zip(rows, offset)]
    reduced = [shim.reduced(r[:, bounded], f, t) for r, f, t in zip(rows, free, target)]
    bounds = np.tile(most[bounded], (len(rows), 1))
    H = np.stack([r.H for r in reduced])
    H += ridge * np.eye(bounds.shape[1])
    found = box.solve(H, np.stack([r.g for r in reduced]), -bounds, bounds, [r.constant for r in reduced])
    value = 2 * float(found.value.sum() + sum(r.constant for r in reduced))
    cotangent = np.zeros((len(matrix), int(own.sum())))
    for s, r, f, t, red, x in zip(train.shots, rows, free, target, reduced, found.x):
        rest = red.rest + red.pull @ x
        left = t + r[:, bounded] @ x + f @ rest
        currents = np.zeros(own.size)
        currents[bounded], currents[~bounded] = x, rest[: (~bounded).sum()]
        cotangent[s] = 2 * (train.root[s] * left)[:, None] * currents[own]
    return value, cotangent


def _breach(setting, channels, surface: Surface, spacing: float, x):
    """Squares of what distances fall short of `spacing`, and of how deep loops reach into spaces to avoid, relative to it."""
    centre, normal, radius = _geometry(channels, surface, x)
    first, second = jnp.triu_indices(len(radius), 1)
    apart = jnp.sqrt(jnp.sum((centre[first] - centre[second]) ** 2, axis=1) + 1e-12)
    short = jnp.maximum(0.0, MARGIN * spacing - apart) / spacing
    total = jnp.sum(short**2)
    if setting.spec.layout.avoid:
        u, v = two_across(normal)
        turn = 2 * np.pi * np.arange(ROUND) / ROUND
        rim = centre[:, None] + radius[:, None, None] * (jnp.cos(turn)[:, None] * u[:, None] + jnp.sin(turn)[:, None] * v[:, None])
        for space in setting.spec.layout.avoid:
            total = total + jnp.sum((jnp.maximum(0.0, depth(space, rim.reshape(-1, 3)) + (MARGIN - 1) * spacing) / spacing) ** 2)
    return total


def _kept_apart(score, x, bounds):
    """The last thousandths of a breach taken out; raises where that is impossible."""
    price = 1e6
    for _ in range(3):
        broken = (score(x, 1.0)[0] - score(x, 0.0)[0]) ** 0.5 if score(x, 1.0)[0] > score(x, 0.0)[0] else 0.0
        if broken < MARGIN - 1:
            return x
        x = minimize(lambda v: score(v, price), x, jac=True, method="L-BFGS-B", bounds=bounds, options={"maxiter": 15}).x
        price *= 100
    raise SpecError([Mistake("", "layout.spacing", "must leave room on the surface for all loops, clear of the spaces to avoid; reduce it, or their number")])


# --- the map that was held out ----------------------------------------------------------------------


def _held_out(setting) -> dict:
    """What the start layout leaves of the map that is held out."""
    from designtools.recipes.shim_evidence import after_shim

    held = setting.spec.layout.hold_out
    if held is None:
        return {}
    own = replace(setting, shots=tuple(s for s in setting.shots if s.volume == held))
    alone = replace(own, volumes=(setting.volumes[held],), profiles=(setting.profiles[held],), shots=tuple(s._replace(volume=0) for s in own.shots))
    left = after_shim(alone, solved(alone).currents)[0].left
    return {"held-out std before (Hz)": float(np.sqrt(np.mean(left**2)))}
