"""Tables of points and segments, as spreadsheets, NumPy and the makers of Halbach scanners write them.

Names of columns may carry a unit (`x_mm`, `X (mm)`, `x [mm]`), and may stand in a comment, as `numpy.savetxt` has it.
Wires are separated by a column (`track`, `wire`, `loop`, `coil`, `id`, ...), by blank lines, or by `nan` rows;
a column `current` states amperes.  Six columns x1, y1, z1, x2, y2, z2 are segments.  Without names the columns are
x, y, z, after a whole number that tells the wire where there are four.
"""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

from designtools.foreign.reading import Reading, UnreadableWinding, unit_of, wires

TRACK_WORDS = ("track", "wire", "loop", "coil", "id", "index", "turn", "contour", "part", "segment", "line")
ENDS = ("x1", "y1", "z1", "x2", "y2", "z2")


def read_table(path: Path, current: float = 1.0, unit: str | None = None) -> Reading:
    """Our own tables, or polylines from columns x, y, z (m where nothing states the unit)."""
    text = path.read_text(encoding="utf-8-sig")
    head = dict(re.findall(r"^#\s*([\w ]+?)\s*:\s*(.*?)\s*$", text, re.MULTILINE))
    if head.get("designtools") in ("winding", "source"):
        from designtools.export.csv import read_source, read_winding

        own = read_winding(path).filaments() if head["designtools"] == "winding" else read_source(path)
        return Reading(own, f"a table of {head['designtools']}s written by this program, in m")
    groups = [[cells(line) for line in g.splitlines()] for g in re.split(r"\n\s*\n", _without_comments(text)) if g.strip()]
    if not groups:
        raise UnreadableWinding(f"'{path}': must hold rows of x, y, z, but it is empty")
    names = _column_names(path, groups, text)
    length = unit_of(path, unit, head.get("unit") or head.get("units") or _unit_in(names), "m")
    columns = _columns(path, names)
    pieces = [piece for group in groups for piece in _polylines(path, group, columns)]
    return wires(path, pieces, length, current)


def _without_comments(text: str) -> str:
    return "\n".join(line for line in text.splitlines() if not line.lstrip().startswith("#"))


def cells(line: str) -> list[str]:
    """Cells between semicolons, else commas, else tabs, else blanks: a decimal comma is never taken for a separator."""
    separator = next((mark for mark in ";,\t" if mark in line), None)
    return [cell.strip() for cell in line.split(separator)]


def _column_names(path: Path, groups, text: str) -> list[str]:
    """Takes the line of names off the first group; names in the last comment above count too."""
    first = groups[0][0]
    if not all(is_number(cell) for cell in first):
        return [name.lower().strip("\"' ") for name in groups[0].pop(0)]
    for line in text.splitlines():
        if not line.lstrip().startswith("#"):
            break
        named = [name.lower() for name in cells(line.lstrip("# \t"))]
        if set("xyz") <= set(_stems(named)):
            return named
    if len(first) == 4:
        return _names_of_four(path, groups)
    return ["x", "y", "z"]


def _names_of_four(path: Path, groups) -> list[str]:
    """Four columns without names: a whole number that only ever grows tells the wire; anything else could be a current."""
    labels = [row[0] for group in groups for row in group if row]
    if all(re.fullmatch(r"\d+(\.0*)?", label) for label in labels) and labels == sorted(labels, key=float):
        return ["track", "x", "y", "z"]
    raise UnreadableWinding(f"'{path}': four columns must have names, such as a first line x,y,z,current, got none")


def is_number(text: str) -> bool:
    """Whether a cell is one."""
    try:
        float(text)
    except ValueError:
        return False
    return True


def _unit_in(names: list[str]) -> str | None:
    units = [m[1] for name in names if (m := re.match(r"[xyz][12]?\s*[_\[(/]\s*(\w+)\s*[\])]?$", name))]
    return units[0] if units else None


def _stems(names: list[str]) -> list[str]:
    return [re.split(r"[\s_\[(/]", name)[0] for name in names]


def _columns(path: Path, names: list[str]) -> dict[str, int]:
    stems = _stems(names)
    wanted = ENDS if set(ENDS) <= set(stems) else "xyz"
    columns = {axis: stems.index(axis) for axis in wanted if axis in stems}
    if len(columns) < 3:
        raise UnreadableWinding(f"'{path}': must have columns x, y, z, got {', '.join(names)}")
    for role, words in (("track", TRACK_WORDS), ("current", ("current", "i"))):
        found = next((word for word in words if word in stems), None)
        columns |= {} if found is None else {role: stems.index(found)}
    return columns


def _polylines(path: Path, rows, columns) -> list[tuple[np.ndarray, float | None]]:
    """(points (n,3), amperes or None) for each run of rows with the same track."""
    axes = [axis for axis in columns if axis not in ("track", "current")]
    try:
        numbers = np.array([[float(row[columns[axis]]) for axis in axes] for row in rows])
        amperes = [float(row[columns["current"]]) for row in rows] if "current" in columns else None
    except (ValueError, IndexError):
        bad = next(row for row in rows if not all(columns[a] < len(row) and is_number(row[columns[a]]) for a in columns if a != "track"))
        raise UnreadableWinding(f"'{path}': every row must hold numbers, got {','.join(bad)[:80]!r}") from None
    if len(axes) == 6:
        return [(row.reshape(2, 3), amperes[i] if amperes else None) for i, row in enumerate(numbers)]
    return [(numbers[a:b], amperes[a] if amperes else None) for a, b in _runs(rows, numbers, columns)]


def _runs(rows, points: np.ndarray, columns) -> list[tuple[int, int]]:
    """First row and the one after the last of every wire."""
    gap = np.isnan(points).all(axis=1) if len(rows) > 1 else np.zeros(len(rows), bool)
    if gap.all() or len(rows) == 0:
        return [(0, len(rows))]
    labels = [row[columns["track"]] for row in rows] if "track" in columns else [""] * len(rows)
    cuts = [i for i in range(1, len(rows)) if labels[i] != labels[i - 1] or gap[i] != gap[i - 1]]
    return [(a, b) for a, b in zip([0, *cuts], [*cuts, len(rows)]) if not gap[a]]
