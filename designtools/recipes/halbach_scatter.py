"""Magnets are not alike: what their scatter costs, what sorting them and small shims bring back."""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

import numpy as np

from designtools.quantities import permanent
from designtools.solve import exchange, levels
from designtools.sources.magnets import Magnets

SHELL = 200  # points on the surface of the region
TOGETHER = 100  # samples evaluated at a time
KICKS = 4  # of the search for shims


class Scattered(NamedTuple):
    """Peak to peak (S,) of magnets drawn, and of the first one as drawn, after sorting, with shims; mass of the shims (kg)."""

    as_drawn: np.ndarray
    centre: np.ndarray
    steps: dict
    shims: Magnets | None
    shim_gap: float | None


def surface(half_widths, count: int = SHELL) -> np.ndarray:
    """(P,3) m evenly spread over the surface of the region."""
    i = np.arange(count) + 0.5
    height, turn = 1 - 2 * i / count, np.pi * (1 + 5**0.5) * i
    across = np.sqrt(1 - height**2)
    return np.stack([across * np.cos(turn), across * np.sin(turn), height], axis=1) * np.asarray(half_widths)


def scattered(setting, magnets: Magnets, progress) -> Scattered | None:
    """Draws, sorting and shims, linear in the errors of the magnets (their response to each other's errors left out)."""
    asked = setting.spec.scatter
    if not asked.samples or not (asked.remanence or asked.angle):
        return None
    points = np.concatenate([surface(setting.spec.region.half_widths), np.zeros((1, 3))])
    base = np.asarray(magnets.field(points)) @ setting.b0
    effect = _effect(magnets, points, setting.b0)
    scale = np.array([asked.remanence, asked.angle, asked.angle])
    rng = np.random.default_rng(asked.seed)
    pp, centre, first = [], [], None
    for size in _batches(asked.samples):
        errors = rng.normal(size=(size, effect.shape[1], 3)) * scale
        first = errors[0] if first is None else first
        field = base + errors.reshape(size, -1) @ effect.reshape(len(points), -1).T
        pp.append(_peak_to_peak(field))
        centre.append(field[:, -1])
    steps = {"as drawn": base + np.einsum("pnc,nc->p", effect, first)}
    progress("sorting the magnets")
    steps["sorted"] = base + np.einsum("pnc,nc->p", effect, first[_sorted(magnets, effect, first)])
    shims, gap = _shimmed(setting, points, steps, progress) if setting.spec.trays else (None, None)
    return Scattered(np.concatenate(pp), np.concatenate(centre), {n: float(_peak_to_peak(f)) for n, f in steps.items()}, shims, gap)


def _peak_to_peak(field):
    """Over the mean; the last entry, the centre, is left out."""
    return np.ptp(field[..., :-1], axis=-1) / field[..., :-1].mean(axis=-1)


def _batches(samples: int):
    return [min(TOGETHER, samples - done) for done in range(0, samples, TOGETHER)]


def _effect(magnets: Magnets, points, b0) -> np.ndarray:
    """(P,N,3) T: field per relative error of the remanence and per radian of the two angles of each magnet."""
    vector = np.asarray(magnets.polarization_in_space())
    size = np.linalg.norm(vector, axis=1, keepdims=True)
    along = vector / size
    aside = np.cross(along, np.eye(3)[np.abs(along).argmin(axis=1)])
    aside /= np.linalg.norm(aside, axis=1, keepdims=True)
    ways = size[:, None] * np.stack([along, aside, np.cross(along, aside)], axis=1)
    return np.einsum("pni,nci->pnc", permanent.sensitivity(magnets, points, b0), ways)


def _sorted(magnets: Magnets, effect, errors) -> np.ndarray:
    """Part for each place; magnets of one size change places among each other."""
    part, level = np.arange(len(errors)), effect[:-1] - effect[:-1].mean(axis=0)
    sizes = np.round(np.asarray(magnets.size), 9)
    for size in np.unique(sizes, axis=0):
        own = np.flatnonzero((sizes == size).all(axis=1))
        part[own] = own[exchange.sorted_parts(level[:, own], errors[own])]
    return part


def _shimmed(setting, points, steps, progress):
    """Shims against the magnet as drawn; adds the field with shims to `steps`."""
    progress("placing shims")
    sites = shim_sites(setting)
    effect = np.asarray(sites_effect(setting, sites, points))
    field = steps["as drawn"]
    level, base = effect[:-1] - effect[:-1].mean(axis=0), field[:-1] - field[:-1].mean()
    placed = levels.place(level, base, kicks=KICKS)
    steps["shimmed"] = field + effect @ placed.levels
    used = np.flatnonzero(placed.levels)
    shims = Magnets(*(np.asarray(getattr(sites, n))[used] for n in ("centre", "size", "rotation", "polarization")))
    return replace(shims, polarization=shims.polarization * placed.levels[used, None]), placed.gap


def shim_sites(setting) -> Magnets:
    """A cube at every place of the trays, pointing along b0."""
    from designtools.recipes.halbach_stock import slots

    trays, turn = setting.spec.trays, setting.turn
    angle = 2 * np.pi * np.arange(trays.per_row) / trays.per_row
    z = np.linspace(-0.5, 0.5, trays.rows) * trays.length if trays.rows > 1 else np.zeros(1)
    phi, height = (grid.ravel() for grid in np.meshgrid(angle, z))
    centre = np.stack([trays.radius * np.cos(phi), trays.radius * np.sin(phi), height], axis=1) @ turn.T
    remanence = slots(setting.spec)[0].remanence
    count = len(centre)
    return Magnets(centre, np.full((count, 3), trays.edge), np.zeros((count, 3)), np.tile(remanence * setting.b0, (count, 1)))


def sites_effect(setting, sites: Magnets, points) -> np.ndarray:
    """(P,K) T: field along b0 of each shim."""
    return np.einsum("pni,ni->pn", permanent.sensitivity(sites, points, setting.b0), np.asarray(sites.polarization))
