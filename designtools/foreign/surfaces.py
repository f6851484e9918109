"""Conductors as drawn by CAD: the surface of one swept section, or lines in space."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

from designtools.foreign.reading import Reading, UnreadableWinding, unit_of, wires


def read_stl(path: Path, current: float = 1.0, unit: str | None = None) -> Reading:
    """The centreline of one conductor given as the surface of a swept section; mm unless `unit` says otherwise.

    The sense of the current is not in such a file: only figures that do not depend on it are meant.
    """
    _refuse_cut(path)
    return _centred(path, current, unit_of(path, unit, None, "mm"))


def _refuse_cut(path: Path) -> None:
    """A binary file shorter than its own count of triangles says; readers differ in what they make of it."""
    data = path.read_bytes()
    if not data or data.lstrip()[:5].lower() == b"solid":
        return
    wanted = 84 + 50 * int.from_bytes(data[80:84], "little")
    if len(data) < max(84, wanted):
        raise UnreadableWinding(f"'{path}': must be a sound .stl file, got {len(data)} bytes where its head says {wanted}")


def _centred(path: Path, current: float, length) -> Reading:
    from designtools.centreline import centreline

    try:
        points = centreline(path)
    except ValueError as error:
        raise UnreadableWinding(f"'{path}': {error}") from None
    reading = wires(path, [(points, None)], length, current)
    return Reading(reading.source, reading.note + ", of unknown sense; the centreline of a surface")


def read_obj(path: Path, current: float = 1.0, unit: str | None = None) -> Reading:
    """The lines (`l`) of a Wavefront OBJ file, else the centreline of its surface; it must be told the unit."""
    text = path.read_text(encoding="utf-8-sig")
    stated = re.search(r"^#\s*units?\s*[:=]\s*(\w+)", text, re.MULTILINE | re.IGNORECASE)
    length = unit_of(path, unit, stated[1] if stated else None, None)
    lines = [line.split()[1:] for line in text.splitlines() if re.match(r"l\s", line)]
    if not lines:
        return _centred(path, current, length)
    points = np.array([[float(word) for word in line.split()[1:4]] for line in text.splitlines() if re.match(r"v\s", line)])
    return wires(path, [(points[_numbers(path, line, len(points))], None) for line in lines], length, current)


def _numbers(path: Path, words: list[str], count: int) -> np.ndarray:
    """Indices from 0 of the vertices of a line; OBJ counts from 1, or backwards from -1."""
    index = np.array([int(word.split("/")[0]) for word in words])
    index = np.where(index < 0, index + count, index - 1)
    if len(index) < 2 or index.min() < 0 or index.max() >= count:
        raise UnreadableWinding(f"'{path}': every line must join vertices 1 to {count}, got l {' '.join(words)[:60]}")
    return index
