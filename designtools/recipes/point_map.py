"""Measured points of a probe, from a table."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np

from designtools.spec import Mistake, SpecError
from designtools.units import GAMMA_BAR

LENGTHS, FIELDS = {"mm": 1e-3, "m": 1.0}, {"mT": 1e-3, "T": 1.0, "uT": 1e-6}
WANTED = "columns x_mm, y_mm, z_mm, B_mT (or in m and T) in a CSV file, or arrays xyz_mm (P,3) and B_mT (P,) or (P,3) in an npz file"


def read_map(path, b0, key: str = "measured.file") -> tuple[np.ndarray, np.ndarray]:
    """Points (P,3) m and the field along b0 (P,) T of a CSV or npz file; points without a number are left out.

    key: of the spec, which names the file.  Raises SpecError, in a sentence, for a file that holds something else.
    """
    read = _from_npz if Path(path).suffix == ".npz" else _from_csv
    try:
        points, field = read(path)
    except (KeyError, ValueError, OSError, StopIteration) as error:
        raise refused(f"must hold {WANTED}, got '{path}': {error}", key) from None
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


def refused(sentence: str, key: str = "measured.file") -> SpecError:
    """A mistake in the table that `key` of a spec names."""
    return SpecError([Mistake("", key, sentence)])
