"""Where the fringe field reaches: the 0.5 mT (5 gauss) and 0.9 mT lines in the plane through the bore axis.

CSV in metres, DXF and SVG in millimetres; the lines of a coaxial magnet are the same in every such plane.
"""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from pathlib import Path

import contourpy
import numpy as np

from designtools.export import bodies
from designtools.export.csv import leaves

LEVELS = {"0p5mT": 0.5e-3, "0p9mT": 0.9e-3}  # T; IEC 60601-2-33 requires both to be stated
KINDS = ("magnet", "system")
MILLIMETRES, GRID, WIDEST = 1e3, 161, 200.0
COLOURS = {"0p5mT": "#0072b2", "0p9mT": "#d55e00"}


def refuses(result) -> str:
    """Why there is nothing to write, or ""."""
    if result.kind not in KINDS or not _corners(result.source).size:
        return f"siting lines are for designs of kind {' or '.join(KINDS)} with a source"
    siting = result.spec.get("siting") or {}
    return "the spec sets siting.enabled to false" if siting.get("enabled") is False else ""


def write(result, path: Path) -> tuple[Path, ...]:
    """`stem-0p5mT.csv`, `stem-0p9mT.csv`, `stem.dxf` and `stem.svg`; `path` gives the stem."""
    across, along = plane_of(result.frame)
    lines = {name: fringe_lines(result.source, level, across, along) for name, level in LEVELS.items()}
    tables = [path.with_name(f"{path.stem}-{name}.csv") for name in LEVELS]
    for table, (name, polylines) in zip(tables, lines.items()):
        _write_csv(table, name, polylines, across, along)
    drawing, picture = path.with_suffix(".dxf"), path.with_suffix(".svg")
    outline = _outline(result.source, across, along)
    _write_dxf(drawing, lines, outline)
    picture.write_text(_svg(result.name, lines, outline), encoding="utf-8")
    return (*tables, drawing, picture)


def plane_of(frame) -> tuple[np.ndarray, np.ndarray]:
    """Unit vectors across and along the bore."""
    axis = frame.get("bore_axis", "z")
    along = np.eye(3)["xyz".index(axis)] if isinstance(axis, str) else np.asarray(axis, float)
    first = np.eye(3)[np.argmin(np.abs(along))]
    across = first - along * (first @ along)
    return across / np.linalg.norm(across), along / np.linalg.norm(along)


def fringe_lines(source, level: float, across, along) -> list[np.ndarray]:
    """Closed polylines (n,2) m, across and along the bore, where |B| = `level` T, in the plane through the origin.

    Outermost lines only.  The window grows until |B| stays below the level on its border, then shrinks onto the lines for a second,
    finer look.  Raises ValueError where the field does not fall below the level within 200 m.
    """
    reach = 2 * float(np.abs(_corners(source)).max())
    while True:
        x = np.linspace(-reach, reach, 65)
        size = _magnitude(source, x, x, across, along)
        border = max(edge.max() for edge in (size[0], size[-1], size[:, 0], size[:, -1]))
        if border < level:
            break
        reach *= 1.5
        if reach > WIDEST:
            raise ValueError(
                f"the field must fall below {level} T within {WIDEST:.0f} m, but a homogeneous part keeps it above"
            )
    x, y = (_window(size, level, x, axis) for axis in (0, 1))
    size = _magnitude(source, x, y, across, along)
    return _outermost(contourpy.contour_generator(x, y, size.T).lines(level))


def _outermost(polylines) -> list[np.ndarray]:
    """Without those inside another: a null of the field near the coils is no place to stand."""
    from shapely import Polygon

    areas = [Polygon(line) for line in polylines]
    inside = [any(b is not a and b.contains(a) for b in areas) for a in areas]
    return [np.asarray(line) for line, hidden in zip(polylines, inside) if not hidden]


def _window(size, level: float, x, axis: int) -> np.ndarray:
    inside = np.flatnonzero((size >= level).any(axis=1 - axis))
    if not inside.size:
        return x
    step = x[1] - x[0]
    return np.linspace(x[inside[0]] - 1.5 * step, x[inside[-1]] + 1.5 * step, GRID)


def _magnitude(source, x, y, across, along) -> np.ndarray:
    points = x[:, None, None] * across + y[None, :, None] * along
    return np.linalg.norm(np.asarray(source.field(points.reshape(-1, 3))), axis=1).reshape(len(x), len(y))


# ---- what is there ----------------------------------------------------------------------------------


def _corners(source) -> np.ndarray:
    """Points (n,3) m that bound the sources; homogeneous fields have none."""
    found = [
        _CORNERS[type(leaf).__name__](leaf) for leaf in leaves(source) if type(leaf).__name__ in _CORNERS
    ]
    return np.concatenate(found) if found else np.zeros((0, 3))


def _loop_corners(loops) -> np.ndarray:
    normal = np.asarray(loops.normal, float)
    normal = normal / np.linalg.norm(normal, axis=1, keepdims=True)
    reach = np.asarray(loops.radius, float)[:, None] * np.sqrt(np.clip(1 - normal**2, 0, 1))
    return np.concatenate([np.asarray(loops.centre) + reach, np.asarray(loops.centre) - reach])


def _block_corners(blocks) -> np.ndarray:
    rings = bodies.block_rings(blocks)
    return np.concatenate([np.column_stack([rings[:, 1], rings[:, 1], rings[:, k]]) for k in (2, 3)])


_CORNERS = {
    "Filaments": lambda wire: np.concatenate([np.asarray(wire.start), np.asarray(wire.end)]),
    "Loops": _loop_corners,
    "Blocks": _block_corners,
    "Magnets": lambda magnets: bodies.magnet_corners(magnets).reshape(-1, 3),
    "Sheet": lambda sheet: np.asarray(sheet.vertices),
}


def _outline(source, across, along) -> np.ndarray:
    """The box (5,2) m round all sources in the plane."""
    flat = _corners(source) @ np.stack([across, along], axis=1)
    (x0, y0), (x1, y1) = flat.min(0), flat.max(0)
    x0, x1 = min(x0, -x1), max(x1, -x0)
    return np.array([[x0, y0], [x1, y0], [x1, y1], [x0, y1], [x0, y0]])


# ---- files ------------------------------------------------------------------------------------------


def _write_csv(path: Path, name: str, polylines: Sequence[np.ndarray], across, along) -> None:
    head = ["# designtools: fringe line", f"# level: {LEVELS[name]!r} T", "# units: m"]
    head += [f"# across: {across.tolist()}", f"# along: {along.tolist()}", "line,across,along"]
    rows = [f"{i},{a!r},{b!r}" for i, line in enumerate(polylines) for a, b in line.tolist()]
    path.write_text("\n".join([*head, *rows]) + "\n", encoding="utf-8")


def _write_dxf(path: Path, lines: dict, outline) -> None:
    import ezdxf

    document = ezdxf.new("R2010", units=ezdxf.units.MM)
    space = document.modelspace()
    for colour, (name, polylines) in enumerate({**lines, "magnet": [outline]}.items(), start=1):
        document.layers.add(name, color=colour)
        for points in polylines:
            space.add_lwpolyline(points * MILLIMETRES, dxfattribs={"layer": name})
    document.saveas(path)


def _svg(title: str, lines: dict, outline) -> str:
    """True to scale: one user unit is one millimetre; horizontal is along the bore."""
    everything = np.concatenate([outline, *(points for polylines in lines.values() for points in polylines)])
    half = np.abs(everything).max(0)[::-1] * MILLIMETRES * 1.12
    stroke, text = half.max() / 300, half.max() / 28
    shapes = [_path(outline, "#52606d", stroke)]
    shapes += [
        _path(points, COLOURS[name], stroke) for name, polylines in lines.items() for points in polylines
    ]
    shapes += [
        f'<text x="0" y="{-_reach(polylines, 0) - text / 3:.1f}" fill="{COLOURS[name]}">{_extent(name, polylines)}</text>'
        for name, polylines in lines.items()
    ]
    (w, h), tick = half, half.max() / 60
    axes = f'<path d="M{-w:.1f} 0H{w:.1f}M0 {-h:.1f}V{h:.1f}" stroke="#9aa5b1" stroke-width="{stroke / 2:.2f}" stroke-dasharray="{tick:.1f}"/>'
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="{-w:.1f} {-h:.1f} {2 * w:.1f} {2 * h:.1f}" '
        f'width="{2 * w:.1f}mm" height="{2 * h:.1f}mm" font-family="sans-serif" font-size="{text:.1f}" text-anchor="middle">'
        f"<title>{escape(str(title))}: fringe field, millimetres, horizontal along the bore</title>"
        f'<rect x="{-w:.1f}" y="{-h:.1f}" width="100%" height="100%" fill="#fff"/>{axes}{"".join(shapes)}</svg>\n'
    )


def _path(points, colour: str, stroke: float) -> str:
    words = "L".join(f"{along:.1f} {-across:.1f}" for across, along in points * MILLIMETRES)
    return f'<path d="M{words}" fill="none" stroke="{colour}" stroke-width="{stroke:.2f}"/>'


def _reach(polylines, axis: int) -> float:
    """Largest distance in mm across (0) or along (1) the bore."""
    return max((np.abs(points[:, axis]).max() for points in polylines), default=0.0) * MILLIMETRES


def _extent(name: str, polylines) -> str:
    level = f"{LEVELS[name] * 1e3:g} mT"
    return f"{level}: ±{_reach(polylines, 1) / 1e3:.2f} m along, ±{_reach(polylines, 0) / 1e3:.2f} m across"
