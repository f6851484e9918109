"""Passive shims against the measured field of a magnet that stands: small cubes in trays."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import NamedTuple

import numpy as np

from designtools.recipes.halbach_scatter import shim_sites, sites_effect
from designtools.result import Figure, Table
from designtools.solve import levels
from designtools.spec import Mistake, SpecError
from designtools.units import GAMMA_BAR

KICKS = 12  # of the search for shims
LEAST = 20  # points within the region
OUTLIER = 12.0  # median deviations, beyond which a point is left out
LENGTHS, FIELDS = {"mm": 1e-3, "m": 1.0}, {"mT": 1e-3, "T": 1.0, "uT": 1e-6}
WANTED = "columns x_mm, y_mm, z_mm, B_mT (or in m and T) in a CSV file, or arrays xyz_mm (P,3) and B_mT (P,) or (P,3) in an npz file"


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
        raise _refused(f"must have at least {LEAST} points within the region, got {inside.sum()}; check its units and its origin")
    points, field = sound(points[inside], field[inside])
    if field.mean() <= 0:
        raise _refused(f"must have its mean field along frame.b0_axis, got {1e3 * field.mean():.4g} mT; turn frame.b0_axis or the map's sign")
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


def read_map(path, b0, key: str = "measured.file") -> tuple[np.ndarray, np.ndarray]:
    """Points (P,3) m and the field along b0 (P,) T of a CSV or npz file; points without a number are left out.

    key: of the spec, which names the file.  Raises SpecError, in a sentence, for a file that holds something else.
    """
    read = _from_npz if Path(path).suffix == ".npz" else _from_csv
    try:
        points, field = read(path)
    except (KeyError, ValueError, OSError, StopIteration) as error:
        raise _refused(f"must hold {WANTED}, got '{path}': {error}", key) from None
    field = field @ np.asarray(b0) if field.ndim == 2 else field
    good = np.isfinite(points).all(axis=1) & np.isfinite(field)
    return points[good], field[good]


def _from_npz(path):
    with np.load(path) as data:
        return _scaled(data, "xyz", LENGTHS), _flux(data)


def _from_csv(path):
    lines = (line for line in Path(path).read_text(encoding="utf-8-sig").splitlines() if line.strip() and not line.startswith("#"))
    rows = csv.reader(lines)
    names = [name.strip() for name in next(rows)]
    values = np.array([[float(v) for v in row] for row in rows]).reshape(-1, len(names))
    table = dict(zip(names, values.T))
    return np.stack([_scaled(table, axis, LENGTHS) for axis in "xyz"], axis=1), _flux(table)


def _flux(table) -> np.ndarray:
    """The field (T) of a Hall probe, or from the frequency of an NMR probe."""
    return np.asarray(table["f_Hz"], float) / GAMMA_BAR if "f_Hz" in table else _scaled(table, "B", FIELDS)


def _scaled(table, name: str, units) -> np.ndarray:
    """The column `name_unit` in SI."""
    for unit, factor in units.items():
        if f"{name}_{unit}" in table:
            return factor * np.asarray(table[f"{name}_{unit}"], float)
    raise KeyError(f"no {' or '.join(f'{name}_{unit}' for unit in units)}")


def _refused(sentence: str, key: str = "measured.file") -> SpecError:
    return SpecError([Mistake("", key, sentence)])


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
