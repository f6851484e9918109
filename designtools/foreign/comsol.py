"""Curves in the text formats of COMSOL: Spreadsheet (a row per point) and Sectionwise (%Coordinates, %Elements).

Lines that open with % are headers; `% Length unit: mm` states the unit, which is m otherwise (the default of that
program).  Layout as in the COMSOL Reference Manual, "Data Formats" and "Interpolation Curve".
"""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

from designtools.foreign.reading import Reading, UnreadableWinding, unit_of, wires
from designtools.foreign.tables import cells, is_number


def is_comsol(path: Path) -> bool:
    """Whether the first line that says something opens with %."""
    with path.open(encoding="utf-8-sig", errors="replace") as text:
        return next((line.lstrip().startswith("%") for line in text if line.strip()), False)


def read_comsol(path: Path, current: float = 1.0, unit: str | None = None) -> Reading:
    """The curves of a file, in the order of its points."""
    text = path.read_text(encoding="utf-8-sig")
    stated = re.search(r"^%\s*Length unit:\s*(\S+)", text, re.MULTILINE | re.IGNORECASE)
    length = unit_of(path, unit, stated[1] if stated else None, "m")
    sections = _sections(path, text)
    if "coordinates" in sections:
        pieces = _chains(path, _three(path, sections["coordinates"]), sections.get("elements"))
    else:
        pieces = [_three(path, block) for block in _blocks(path, text)]
    return wires(path, [(points, None) for points in pieces], length, current)


def _sections(path: Path, text: str) -> dict[str, np.ndarray]:
    found = re.findall(r"^%\s*(coordinates|elements)\b[^\n]*\n((?:(?!\s*%)[^\n]*\n?)*)", text, re.MULTILINE | re.IGNORECASE)
    return {name.lower(): _numbers(path, body) for name, body in found}


def _blocks(path: Path, text: str) -> list[np.ndarray]:
    """Rows of numbers between headers and blank lines."""
    bodies = re.split(r"(?:^\s*(?:%.*)?$\n?)+", text, flags=re.MULTILINE)
    blocks = [_numbers(path, body) for body in bodies if body.strip()]
    if not blocks:
        raise UnreadableWinding(f"'{path}': must hold rows of x, y, z, but it has headers only")
    return blocks


def _numbers(path: Path, body: str) -> np.ndarray:
    rows = [cells(line.strip()) for line in body.splitlines() if line.strip()]
    bad = next((row for row in rows if len(row) != len(rows[0]) or not all(map(is_number, row))), None)
    if bad is not None:
        raise UnreadableWinding(f"'{path}': every row must hold the same number of numbers, got {' '.join(bad)[:80]!r}")
    return np.array(rows, float)


def _three(path: Path, table: np.ndarray) -> np.ndarray:
    if table.ndim != 2 or table.shape[1] < 3:
        raise UnreadableWinding(f"'{path}': every point must have three coordinates, got {table.shape[-1] if table.ndim == 2 else 0}")
    return table[:, :3]


def _chains(path: Path, points: np.ndarray, elements: np.ndarray | None) -> list[np.ndarray]:
    """Points along each curve; elements are pairs of point numbers from 1, or there are none and the points are one curve."""
    if elements is None or len(elements) == 0:
        return [points]
    if elements.ndim != 2 or elements.shape[1] != 2:
        raise UnreadableWinding(f"'{path}': %Elements of a curve must be pairs of points, got {elements.shape[-1]} in a row; export edges alone")
    pairs = elements.astype(int) - 1
    if (pairs != elements - 1).any() or pairs.min() < 0 or pairs.max() >= len(points):
        raise UnreadableWinding(f"'{path}': %Elements must number the points from 1 to {len(points)}, got {elements.min():g} to {elements.max():g}")
    cuts = 1 + np.flatnonzero(pairs[1:, 0] != pairs[:-1, 1])
    runs = np.split(pairs, cuts)
    return [points[np.append(run[:, 0], run[-1, 1])] for run in runs]
