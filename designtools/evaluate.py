"""Field figures of somebody else's winding: readers for foreign files, and what can be said of the field alone.

Readable are our own tables of tracks and sources; CSV with columns x, y, z (m unless stated); STL of one swept
conductor (mm unless stated); and magpylib objects written as JSON (`read_magpylib`).
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from designtools import regions
from designtools.result import Figure, Result, evaluate_requirements
from designtools.sources import Assembly, Filaments
from designtools.units import UnitError, parse

_TOO_LARGE = 50.0  # m; no winding of a scanner reaches as far, millimetres taken for metres do


class UnreadableWinding(ValueError):
    """A file from which no winding can be read; the message is one sentence."""


@dataclass(frozen=True)
class Ball:
    """Where to look when no spec says it: about the origin, B0 along the field or along z."""

    radius: float
    method: str


def evaluate(files: Sequence[Path], spec=None, *, current: float = 1.0, radius: float | None = None, unit=None) -> Result:
    """Figures of the field that the windings in `files` make together.

    `spec` is a gradient or magnet spec, whose region, target and requirements are used; `current` A flows in
    windings whose file states none; `radius` m of the ball to look at without a spec (default: half the distance
    from the origin to the nearest conductor); `unit` of lengths where a file states none.
    Raises UnreadableWinding.
    """
    if spec is not None and spec.kind not in ("gradient", "magnet"):
        raise UnreadableWinding(f"--spec must be of kind gradient or magnet, got {spec.kind}")
    parts = [read(Path(file), current, unit) for file in files]
    source = Assembly(parts) if len(parts) > 1 else parts[0]
    figures = _length_figures(parts) | _field_figures(source, parts, spec, radius)
    wanted = [] if spec is None else [{"quantity": r.quantity, "op": r.op, "limit": r.limit} for r in spec.requirements]
    rows = evaluate_requirements(wanted, figures)
    met = all(row["status"] == "MET" for row in rows)
    return Result(
        kind="evaluation" if spec is None else spec.kind,
        name=", ".join(Path(file).name for file in files),
        status="done" if met else "requirement missed",
        message="" if met else "some requirements are missed or could not be evaluated from the field alone",
        figures=figures,
        requirements=rows,
        source=source,
    )


# --- figures ---------------------------------------------------------------------------------------------


def _length_figures(parts) -> dict[str, Figure]:
    wires = [part for part in parts if isinstance(part, Filaments)]
    if not wires:
        return {}
    length = sum(float(np.linalg.norm(np.asarray(w.end) - np.asarray(w.start), axis=1).sum()) for w in wires)
    return {"wire_length": Figure(length, "m", "sum over the segments read")}


def _field_figures(source, parts, spec, radius) -> dict[str, Figure]:
    region, surface, where = _where(spec, parts, radius)
    centre = np.zeros(3) if spec is None else np.asarray(spec.region.centre, float)
    b_centre = np.asarray(source.field(centre[None]))[0]
    inside, outside = (np.asarray(source.field(r.points)) for r in (region, surface))
    if not np.isfinite(inside).all() or not np.abs(inside).max() > 0:
        raise UnreadableWinding(f"the windings must make a field in {where}, got none; give the current, such as --current '1 A'")
    axis = np.array([0.0, 0.0, 1.0]) if spec is None else np.asarray(spec.frame.b0_axis)
    figures = {"central_field": Figure(float(np.linalg.norm(b_centre)), "T", f"|B| at the centre of {where}")}
    slope = np.linalg.lstsq(region.points - centre, (inside - b_centre) @ axis, rcond=None)[0]
    reach = np.linalg.norm(surface.points - centre, axis=1).max()
    gradient_like = spec.kind == "gradient" if spec is not None else np.linalg.norm(slope) * reach > np.linalg.norm(b_centre)
    if not gradient_like:
        return figures | _homogeneity(np.linalg.norm(outside, axis=1), np.linalg.norm(inside, axis=1), region.weights, where)
    direction = slope / np.linalg.norm(slope) if spec is None else np.asarray(spec.target.gradient_axis)
    figures |= _gradient(inside @ axis, outside @ axis, region, surface, centre, direction, parts, where)
    return figures | (_stray(source, spec, figures) if spec is not None and spec.stray else {})


def _where(spec, parts, radius):
    """Region (volume), its surface, and words for both."""
    if spec is None:
        ball = _default_ball(parts) if radius is None else Ball(radius, f"a ball of {radius:g} m about the origin")
        return regions.ball(ball.radius), regions.shell(ball.radius, order=24), ball.method
    axes, centre = spec.region.half_widths, spec.region.centre
    volume = regions.ball(1.0)
    stretched = regions.Region(np.asarray(centre) + volume.points * np.asarray(axes), volume.weights, "region")
    return stretched, regions.ellipsoid(axes, centre, order=24), "the region of the spec"


def _default_ball(parts) -> Ball:
    wires = [part for part in parts if isinstance(part, Filaments)]
    if not wires:
        raise UnreadableWinding("--radius or --spec must say where to look when no file holds a wire; try --radius '50 mm'")
    nearest = min(_distance_from_origin(np.asarray(w.start), np.asarray(w.end)) for w in wires)
    if nearest == 0:
        raise UnreadableWinding("--radius or --spec must say where to look: a wire passes through the origin")
    return Ball(nearest / 2, f"a ball of {nearest / 2:.4g} m about the origin, half way to the nearest wire")


def _distance_from_origin(start, end) -> float:
    along = end - start
    square = np.maximum((along**2).sum(1), np.finfo(float).tiny)
    t = np.clip(-(start * along).sum(1) / square, 0, 1)
    return float(np.linalg.norm(start + t[:, None] * along, axis=1).min())


def _homogeneity(outside, inside, weights, where) -> dict[str, Figure]:
    mean = float(weights @ inside)  # of magnitudes that are not all zero
    rms = float(np.sqrt(weights @ (inside - mean) ** 2)) / mean
    spread = float(np.ptp(outside)) / mean
    return {
        "homogeneity_pp": Figure(spread, "1", f"peak to peak of |B| on the surface of {where}, relative to the mean"),
        "homogeneity_rms": Figure(rms, "1", f"root mean square of |B| over {where}, relative to the mean"),
    }


def _gradient(inside, outside, region, surface, centre, direction, parts, where) -> dict[str, Figure]:
    u, u_surface = (region.points - centre) @ direction, (surface.points - centre) @ direction
    slope = float((region.weights * u) @ inside / (region.weights @ u**2))
    peak = max(abs(slope) * np.abs(u_surface).max(), np.finfo(float).tiny)
    fit = f"least-squares slope of B·b0 over {where}"
    figures = {
        "gradient_strength": Figure(abs(slope), "T/m", fit + (", against the wanted direction" if slope < 0 else "")),
        "linearity_error_max": Figure(
            float(np.abs(outside - slope * u_surface).max() / peak), "1", f"deviation from the slope on the surface of {where}"
        ),
        "linearity_error_rms": Figure(
            float(np.sqrt(region.weights @ (inside - slope * u) ** 2) / peak), "1", f"deviation from the slope over {where}"
        ),
    }
    amperes = _common_current(parts)
    if amperes is not None:
        figures["efficiency"] = Figure(abs(slope) / amperes, "T/m/A", f"{fit}, per ampere of the common current")
    return figures


def _common_current(parts) -> float | None:
    """The magnitude of the current when all wires carry the same one, else None."""
    if not all(isinstance(part, Filaments) for part in parts):
        return None
    amperes = np.abs(np.concatenate([np.asarray(part.current) for part in parts]))
    return float(amperes[0]) if amperes[0] > 0 and np.allclose(amperes, amperes[0]) else None


def _stray(source, spec, figures) -> dict[str, Figure]:
    axis = np.asarray(spec.frame.bore_axis)
    side = np.linalg.svd(axis[None])[2][1]
    frame = np.stack([side, np.cross(axis, side), axis])
    wall = regions.cylinder(spec.stray.radius, spec.stray.length, 96, 96, frame)
    field = np.linalg.norm(np.asarray(source.field(wall.points)), axis=1).max()
    strength = figures["gradient_strength"].value
    scale = spec.target.strength / strength if strength else np.inf
    return {"stray_field_max": Figure(float(field * scale), "T", "largest |B| on the stray cylinder at target.strength")}


# --- files -----------------------------------------------------------------------------------------------


def read(path: Path, current: float = 1.0, unit: str | None = None):
    """The source in a file; raises UnreadableWinding."""
    if not path.is_file():
        raise UnreadableWinding(f"FILE must be an existing file, got '{path}'")
    readers = {".csv": read_csv, ".txt": read_csv, ".stl": read_stl, ".json": read_magpylib}
    reader = readers.get(path.suffix.lower())
    if reader is None:
        raise UnreadableWinding(f"'{path}': must be one of {', '.join(readers)}, got '{path.suffix}'")
    try:
        return reader(path, current, unit)
    except UnreadableWinding:
        raise
    except UnicodeDecodeError as error:
        raise UnreadableWinding(f"'{path}': must be text in UTF-8, got the byte 0x{error.object[error.start]:02x}") from None
    except Exception as error:  # parsers of foreign files raise whatever they stumble over
        reason = " ".join(str(error).split()).removeprefix(f"'{path}': ").removeprefix("from_magpylib: ")[:300]
        raise UnreadableWinding(f"'{path}': must be a sound {path.suffix} file, got: {type(error).__name__}: {reason}") from None


def read_csv(path: Path, current: float = 1.0, unit: str | None = None):
    """Our own tables, or polylines from columns x, y, z.

    Column names may carry a unit (`x_mm`, `x [mm]`); a column `track` (or wire, loop, coil, id) separates
    polylines, and so do blank lines; a column `current` states amperes.  Without names the first three columns
    are x, y, z.
    """
    text = path.read_text(encoding="utf-8-sig")
    head = dict(re.findall(r"^#\s*([\w ]+?)\s*:\s*(.*?)\s*$", text, re.MULTILINE))
    if head.get("designtools") in ("winding", "source"):
        from designtools.export.csv import read_source, read_winding

        return read_winding(path).filaments() if head["designtools"] == "winding" else read_source(path)
    groups = [[_cells(line) for line in g.splitlines()] for g in re.split(r"\n\s*\n", _without_comments(text)) if g.strip()]
    if not groups:
        raise UnreadableWinding(f"'{path}': must hold rows of x, y, z, but it is empty")
    names = _column_names(groups)
    metre = _metres(path, unit or head.get("unit") or head.get("units") or _unit_in(names) or "m")
    columns = _columns(path, names)
    pieces = [piece for group in groups for piece in _polylines(path, group, columns)]
    return _wires(path, pieces, metre, current)


def _without_comments(text: str) -> str:
    return "\n".join(line for line in text.splitlines() if not line.lstrip().startswith("#"))


def _cells(line: str) -> list[str]:
    """Cells between semicolons, else commas, else tabs, else blanks: a decimal comma is never taken for a separator."""
    separator = next((mark for mark in ";,\t" if mark in line), None)
    return [cell.strip() for cell in line.split(separator)]


def _column_names(groups) -> list[str]:
    """Takes the line of names off the first group; x, y, z when there is none."""
    if all(_is_number(cell) for cell in groups[0][0]):
        return ["x", "y", "z"]
    return [name.lower().strip("\"'") for name in groups[0].pop(0)]


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _unit_in(names: list[str]) -> str | None:
    units = [m[1] for name in names if (m := re.match(r"[xyz]\s*[_\[(/]\s*(\w+)[\])]?$", name))]
    return units[0] if units else None


def _metres(path: Path, unit: str) -> float:
    try:
        return parse(f"1 {unit.split(',')[0].strip()}", "length")
    except UnitError as error:
        raise UnreadableWinding(f"'{path}': unit of lengths {error}") from None


def _columns(path: Path, names: list[str]) -> dict[str, int]:
    stems = [re.split(r"[\s_\[(/]", name)[0] for name in names]
    columns = {axis: stems.index(axis) for axis in "xyz" if axis in stems}
    if len(columns) < 3:
        raise UnreadableWinding(f"'{path}': must have columns x, y, z, got {', '.join(names)}")
    for role, words in (("track", ("track", "wire", "loop", "coil", "id")), ("current", ("current", "i"))):
        columns |= {role: stems.index(word) for word in words[::-1] if word in stems}
    return columns


def _polylines(path: Path, rows, columns) -> list[tuple[np.ndarray, float | None]]:
    """(points (n,3), amperes or None) for each run of rows with the same track."""
    try:
        points = np.array([[float(row[columns[axis]]) for axis in "xyz"] for row in rows])
        amperes = [float(row[columns["current"]]) for row in rows] if "current" in columns else None
    except (ValueError, IndexError):
        bad = next(row for row in rows if not all(columns[a] < len(row) and _is_number(row[columns[a]]) for a in columns if a != "track"))
        raise UnreadableWinding(f"'{path}': every row must hold numbers, got {','.join(bad)!r}") from None
    labels = [row[columns["track"]] for row in rows] if "track" in columns else ["" for _ in rows]
    cuts = [i for i in range(1, len(rows)) if labels[i] != labels[i - 1]]
    spans = zip([0, *cuts], [*cuts, len(rows)])
    return [(points[a:b], amperes[a] if amperes else None) for a, b in spans]


def _wires(path: Path, pieces, metre: float, current: float) -> Filaments:
    for points, amperes in pieces:
        if amperes is not None and not np.isfinite(amperes):
            raise UnreadableWinding(f"'{path}': every current must be a finite number of amperes, got {amperes}")
        if len(points) < 2 or not np.isfinite(points).all():
            raise UnreadableWinding(f"'{path}': every wire must have at least two finite points, got {len(points)}")
        if np.abs(points).max() * metre > _TOO_LARGE:
            raise UnreadableWinding(
                f"'{path}': lengths must be those of a coil, got coordinates up to {np.abs(points).max() * metre:g} m; "
                "say in which unit they are, such as --unit mm"
            )
    amperes = np.concatenate([np.full(len(p) - 1, current if i is None else i) for p, i in pieces])
    start, end = (np.concatenate([p[cut] for p, _ in pieces]) * metre for cut in (slice(None, -1), slice(1, None)))
    return Filaments(start=start, end=end, current=amperes)


def read_stl(path: Path, current: float = 1.0, unit: str | None = None) -> Filaments:
    """The centreline of one conductor given as the surface of a swept section; mm unless `unit` says otherwise.

    The sense of the current is not in such a file: only figures that do not depend on it are meant.
    """
    from designtools.centreline import centreline

    try:
        points = centreline(path)
    except ValueError as error:
        raise UnreadableWinding(f"'{path}': {error}") from None
    return _wires(path, [(points, None)], _metres(path, unit or "mm"), current)


def read_magpylib(path: Path, current: float = 1.0, unit: str | None = None):
    """magpylib objects as JSON: a list of objects, or {"sources": [...]} or {"children": [...]}, nested at will.

    Each object is {"type": "Circle", ...} with the arguments of the magpylib class of that name (`diameter`,
    `vertices`, `dimension`, `polarization`, `current`, `position` in SI), and `orientation` as a quaternion
    [x, y, z, w] or a rotation vector [rad].
    """
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except json.JSONDecodeError as error:
        raise UnreadableWinding(f"'{path}': must be valid JSON, got {error}") from None
    objects = [_magpylib_object(path, record, current) for record in _records(path, data)]
    if not objects:
        raise UnreadableWinding(f"'{path}': must list at least one object, got none")
    import magpylib

    from designtools.interop import from_magpylib

    return from_magpylib(magpylib.Collection(objects))


def _records(path: Path, data) -> list[dict]:
    if isinstance(data, list):
        return [record for item in data for record in _records(path, item)]
    if not isinstance(data, dict):
        raise UnreadableWinding(f"'{path}': must be a list of objects with 'type', got {type(data).__name__}")
    nested = next((data[key] for key in ("sources", "children") if key in data), None)
    return [data] if nested is None else _records(path, nested)


def _magpylib_object(path: Path, record: dict, current: float):
    import magpylib
    from scipy.spatial.transform import Rotation

    arguments = dict(record)
    name = str(arguments.pop("type", "")).split(".")[-1]
    public = name[:1].isupper()
    module = next((m for m in (magpylib.current, magpylib.magnet, magpylib.misc) if public and hasattr(m, name)), None)
    if module is None:
        raise UnreadableWinding(f"'{path}': 'type' must name a magpylib source such as Circle or Polyline, got {name!r}")
    turn = arguments.pop("orientation", None)
    if module is magpylib.current:
        arguments.setdefault("current", current)
    try:
        if turn is not None:
            arguments["orientation"] = Rotation.from_quat(turn) if len(turn) == 4 else Rotation.from_rotvec(turn)
        return getattr(module, name)(**arguments)
    except Exception as error:  # magpylib raises its own kinds
        reason = (str(error).strip().splitlines() or [""])[0]
        raise UnreadableWinding(f"'{path}': {name} must have sound arguments, got: {reason}") from None
