"""Passive shims against the measured field of a magnet that stands: small cubes in trays."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from designtools.recipes.point_map import read_map, refused
from designtools.recipes.halbach_scatter import shim_sites, sites_effect
from designtools.result import Figure, Table
from designtools.solve import levels

KICKS = 12  # of the search for shims
LEAST = 20  # points within the region
OUTLIER = 12.0  # median deviations, beyond which a point is left out


class MapShims(NamedTuple):
    """Field (P,) T along b0 before and after at points (P,3) m; sites (K,3) m, their place (K,) m along the bore, level -1, 0, 1 of each; certified gap of the rms."""

    points: np.ndarray
    before: np.ndarray
    after: np.ndarray
    sites: np.ndarray
    rows: np.ndarray
    levels: np.ndarray
    gap: float


def shimmed_map(setting, progress) -> MapShims | None:
    """Cubes in the trays of the spec that even out its measured map within the region; None without a map."""
    spec = setting.spec
    if spec.measured is None:
        return None
    points, field = read_map(spec.measured.file, setting.b0)
    inside = np.sum((points / np.asarray(spec.region.half_widths)) ** 2, axis=1) <= 1 + 1e-9
    if inside.sum() < LEAST:
        raise refused(f"must have at least {LEAST} points within the region, got {inside.sum()}; check its units and its origin")
    points, field = sound(points[inside], field[inside])
    if field.mean() <= 0:
        raise refused(f"must have its mean field along frame.b0_axis, got {1e3 * field.mean():.4g} mT; turn frame.b0_axis or the map's sign")
    progress(f"placing shims against {len(field)} measured points")
    sites = shim_sites(setting)
    effect = np.asarray(sites_effect(setting, sites, points))
    placed = levels.place(effect - effect.mean(axis=0), field - field.mean(), kicks=KICKS)
    rows = np.asarray(sites.centre) @ setting.turn[:, 2]
    return MapShims(points, field, field + effect @ placed.levels, np.asarray(sites.centre), rows, placed.levels, placed.gap)


def sound(points, field):
    """Points and field without what a probe got wrong: off the median by more than OUTLIER median deviations."""
    off = np.abs(field - np.median(field))
    good = off <= OUTLIER * np.median(off)
    return points[good], field[good]


# --- what the reader sees ---------------------------------------------------------------------------


def figures(found: MapShims | None) -> dict[str, Figure]:
    """Variation of the map before and after."""
    if found is None:
        return {}
    words = f"on {len(found.before)} measured points within the region (outliers left out), relative to their mean"
    spread = lambda field: float(np.ptp(field) / field.mean())
    rms = lambda field: float(field.std() / field.mean())
    return {
        "homogeneity_pp_map": Figure(spread(found.before), "1", f"peak to peak {words}"),
        "homogeneity_pp_map_shimmed": Figure(spread(found.after), "1", f"peak to peak {words}, with the field of {int(np.abs(found.levels).sum())} shims added"),
        "homogeneity_rms_map": Figure(rms(found.before), "1", f"root mean square {words}"),
        "homogeneity_rms_map_shimmed": Figure(rms(found.after), "1", f"root mean square {words}, shims added; {_bound_words(found.gap)}"),
    }


def _bound_words(gap: float) -> str:
    return f"no choice of cubes is more than {100 * gap:.1f} % better" if gap < 0.99 else "with fewer points than places there is no bound: measure more"


def tables(found: MapShims | None) -> dict[str, Table]:
    """Row by row how many cubes point along the field and against it."""
    if found is None:
        return {}
    places = np.round(found.rows, 6)
    rows = tuple((f"{1e3 * z:+.1f}", int(np.sum(found.levels[places == z] > 0)), int(np.sum(found.levels[places == z] < 0))) for z in np.unique(places))
    words = "Cubes along and against the main field in each row of the trays; every place stands in geometry/*-shims.csv."
    return {"map_shims": Table("Shims against the measured map", ("row (mm)", "along", "against"), rows, words)}


def record(found: MapShims | None) -> dict:
    """For the audit, and for the file of the shims."""
    if found is None:
        return {}
    pockets = [[*map(float, site), int(level)] for site, level in zip(found.sites, found.levels)]
    return {"shim magnets": {"certified gap of the rms": found.gap, "columns": ["x (m)", "y (m)", "z (m)", "along b0 (1), against (-1) or none (0)"], "pockets": pockets}}
