"""Where the fringe field reaches: the 0.5 mT (5 gauss) and 0.9 mT lines, the room, its zones and what violates them.

CSV in metres (lines in the plane through the bore axis); one DXF per view, SVG and PNG in millimetres.
"""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from pathlib import Path

import numpy as np

from designtools.export.csv import leaves
from designtools.fringe import far_sighted
from designtools.quantities.permanent import as_dipoles
from designtools.result import load
from designtools.siting.contours import Plane, field_contour
from designtools.siting.distant import distant
from designtools.siting.drawing import Drawing, DrawnView, Shape, draw
from designtools.siting.site import LEVELS, axis_of, site_of
from designtools.sources import Assembly, Magnets

KINDS = ("magnet", "halbach", "system")
MILLIMETRES = 1e3
BACKGROUND = ("Uniform",)  # what has no place of its own
# kind of shape -> colour, AutoCAD colour index, width of the line in parts of the sheet's height, fill
STYLES = {
    "wall": ("#9aa5b1", 8, 0.0016, "#e4e7eb"),
    "room": ("#616e7c", 8, 0.0016, "#ffffff"),
    "door": ("#7f5539", 34, 0.0016, "#f0e6dc"),
    "zone": ("#009e73", 3, 0.0022, "none"),
    "violation": ("#c0143c", 1, 0.0012, "#f4b6c2"),
    "plate": ("#323f4b", 250, 0.0022, "#52606d"),
    "scanner": ("#3e4c59", 9, 0.0022, "none"),
    "magnet": ("#52606d", 7, 0.0022, "none"),
    "level": ("#0072b2", 5, 0.0033, "none"),
    "fault": ("#cc79a7", 6, 0.0018, "none"),
    "pull": ("#e69f00", 40, 0.0018, "none"),
}
DASHED = ("fault", "pull")
SECOND = ("#d55e00", 30)  # of the 0.9 mT line
VIEW_TITLES = {"plan": "Plan", "side": "Elevation from the side", "end": "Elevation from the end"}


def refuses(result) -> str:
    """Why there is nothing to write, or ""."""
    kinds = {type(leaf).__name__ for leaf in leaves(result.source)}
    if result.kind not in KINDS or not kinds:
        return f"siting lines are for designs of kind {' or '.join(KINDS)} with a source"
    if kinds & set(BACKGROUND):
        return "a homogeneous part keeps the field above every level; leave it out of the source"
    siting = result.spec.get("siting") or {}
    return "the spec sets siting.enabled to false" if siting.get("enabled") is False else ""


def write(result, path: Path) -> tuple[Path, ...]:
    """`stem-0p5mT.csv`, `stem-0p9mT.csv`, `stem.dxf` (the plan), `stem.svg`, `stem-side.dxf`, `stem-end.dxf`, `stem.png`."""
    across, along = plane_of(result.frame)
    tables = [path.with_name(f"{path.stem}-{name}.csv") for name in LEVELS]
    source = far_sighted(_standing(result), min(LEVELS.values()))
    for table, (name, level) in zip(tables, LEVELS.items()):
        lines = field_contour(source, level, Plane((0, 0, 0), tuple(across), tuple(along))).outermost()
        _write_csv(table, name, lines, across, along)
    drawing = _drawing(result)
    drawings = [path.with_suffix(".dxf"), *(path.with_name(f"{path.stem}-{v.name}.dxf") for v in drawing.views[1:])]
    for file, view in zip(drawings, drawing.views):
        _write_dxf(file, view)
    picture, image = path.with_suffix(".svg"), path.with_suffix(".png")
    picture.write_text(_svg(result.name, drawing), encoding="utf-8")
    _write_png(image, result.name, drawing)
    return (*tables, drawings[0], picture, *drawings[1:], image)


def _drawing(result) -> Drawing:
    """What the recipe drew, or for a folder read back the same drawn anew."""
    kept = next((record for record in result.plots.values() if isinstance(record, Drawing)), None)
    return kept or draw(_standing(result), site_of(result.spec.get("siting") or {}, result.frame.get("bore_axis", "z")))


def _standing(result):
    """The magnet; of a system the parts that are magnets, since the others switch their currents."""
    if not result.parts:
        return _from_afar(result.source)
    sources = [part.source for folder in result.parts.values() if (part := load(folder)).kind in KINDS]
    found = [_from_afar(leaf) for leaf in leaves(Assembly(sources))] if sources else leaves(result.source)
    pieces = sum(len(np.asarray(leaf.centre)) if hasattr(leaf, "dipole_moment") else 1 for leaf in found)
    return distant(found[0] if len(found) == 1 else Assembly(found), pieces)


def _from_afar(source):
    """Permanent magnets as dipoles: beyond a few edges the field of a cube is that to a fraction of a per cent."""
    return as_dipoles(source) if isinstance(source, Magnets) else source


def plane_of(frame) -> tuple[np.ndarray, np.ndarray]:
    """Unit vectors across and along the bore."""
    along = axis_of(frame.get("bore_axis", "z"))
    first = np.eye(3)[np.argmin(np.abs(along))]
    across = first - along * (first @ along)
    return across / np.linalg.norm(across), along


# ---- files ------------------------------------------------------------------------------------------


def _write_csv(path: Path, name: str, polylines: Sequence[np.ndarray], across, along) -> None:
    head = ["# designtools: fringe line", f"# level: {LEVELS[name]!r} T", "# units: m"]
    head += [f"# across: {across.tolist()}", f"# along: {along.tolist()}", "line,across,along"]
    rows = [f"{i},{a!r},{b!r}" for i, line in enumerate(polylines) for a, b in line.tolist()]
    path.write_text("\n".join([*head, *rows]) + "\n", encoding="utf-8")


def colour(shape: Shape) -> tuple[str, int]:
    """Colour of a shape, as text and as AutoCAD index."""
    second = shape.layer == "0p9mT" or shape.layer.endswith("-0p9mT")
    return SECOND if shape.kind == "level" and second else STYLES[shape.kind][:2]


def _write_dxf(path: Path, view: DrawnView) -> None:
    """Closed polylines on named layers, true to size, the isocentre at the origin."""
    import ezdxf

    document = ezdxf.new("R2010", units=ezdxf.units.MM)
    space = document.modelspace()
    for shape in view.shapes:
        if shape.layer not in document.layers:
            document.layers.add(shape.layer, color=colour(shape)[1])
        points = shape.outline[:-1] * MILLIMETRES
        space.add_lwpolyline(points, close=True, dxfattribs={"layer": shape.layer})
    for shape, place in labelled(view):
        text = space.add_text(shape.label, height=100, dxfattribs={"layer": shape.layer})
        text.set_placement(tuple(place * MILLIMETRES))
    document.saveas(path)


def labelled(view: DrawnView):
    """One shape per label and where its text stands: at its highest point on the sheet, zones at their middle."""
    seen, upwards = set(), 0 if view.name == "side" else 1
    for shape in view.shapes:
        if shape.label and shape.label not in seen:
            seen.add(shape.label)
            top = shape.outline[np.argmax(shape.outline[:, upwards])]
            yield shape, shape.outline[:-1].mean(axis=0) if shape.kind in ("zone", "plate", "scanner") else top


def frames(drawing: Drawing) -> tuple[dict, np.ndarray]:
    """Per view the corner (2,) m at which its isocentre stands on one sheet, and the size (2,) m of the sheet.

    The plan stands at the left with the end elevation above it, the side elevation at its right: axes that two views
    share run on from one to the other.
    """
    boxes = {v.name: _bounds(v) for v in drawing.views}
    plan, end, side = boxes["plan"], boxes["end"], boxes["side"]
    low_x, high_x = min(plan[0, 0], end[0, 0]), max(plan[1, 0], end[1, 0])
    low_y, high_y = min(plan[0, 1], side[0, 0]), max(plan[1, 1], side[1, 0])
    gap = 0.06 * max(high_x - low_x, high_y - low_y)
    at = {
        "plan": np.array([gap - low_x, 2 * gap - low_y]),
        "end": np.array([gap - low_x, 3 * gap + high_y - low_y - end[0, 1]]),
        "side": np.array([2 * gap + high_x - low_x - side[0, 1], 2 * gap - low_y]),
    }
    size = np.array([at["side"][0] + side[1, 1] + gap, at["end"][1] + end[1, 1] + 2 * gap])
    return at, size


def _bounds(view: DrawnView) -> np.ndarray:
    points = np.concatenate([shape.outline for shape in view.shapes])
    return np.array([points.min(axis=0), points.max(axis=0)])


def placed(view: DrawnView, at, points) -> np.ndarray:
    """Points (n,2) m on the sheet, m; the side elevation lies on its side, so that its length runs as in the plan."""
    return at[view.name] + (points[:, ::-1] if view.name == "side" else points)


def _svg(title: str, drawing: Drawing) -> str:
    """True to scale: one user unit is one millimetre."""
    at, size = frames(drawing)
    width, height = size * MILLIMETRES
    sheet = lambda points: np.array([0.0, height]) + points * MILLIMETRES * [1, -1]
    text = height / 60
    parts = []
    for view in drawing.views:
        parts += [f'<g id="{view.name}">', *(_path(s, sheet(placed(view, at, s.outline)), height) for s in view.shapes)]
        labels = [(s, sheet(placed(view, at, place[None]))[0]) for s, place in labelled(view)]
        parts += [f'<text x="{x:.0f}" y="{y - text / 4:.0f}" fill="{colour(s)[0]}">{escape(s.label)}</text>' for s, (x, y) in labels]
        corner = placed(view, at, _bounds(view))
        x, y = sheet(np.array([[corner[:, 0].mean(), corner[:, 1].min()]]))[0]
        parts += [f'<text x="{x:.0f}" y="{y + 1.6 * text:.0f}" font-weight="bold">{VIEW_TITLES[view.name]}</text>', "</g>"]
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.1f} {height:.1f}" width="{width:.1f}mm" '
        f'height="{height:.1f}mm" font-family="sans-serif" font-size="{text:.1f}" text-anchor="middle">'
        f"<title>{escape(str(title))}: siting drawing, millimetres</title>"
        f'<rect width="100%" height="100%" fill="#fff"/>{"".join(parts)}</svg>\n'
    )


def _path(shape: Shape, points, height: float) -> str:
    stroke, width, fill = colour(shape)[0], STYLES[shape.kind][2] * height, STYLES[shape.kind][3]
    words = "L".join(f"{x:.1f} {y:.1f}" for x, y in points[:-1])
    dashes = f' stroke-dasharray="{6 * width:.1f}"' if shape.kind in DASHED else ""
    return f'<path class="{shape.layer}" d="M{words}Z" fill="{fill}" stroke="{stroke}" stroke-width="{width:.2f}"{dashes}/>'


def _write_png(path: Path, title: str, drawing: Drawing) -> None:
    """The same sheet as pixels, with a scale in metres."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.patches import Polygon

    at, size = frames(drawing)
    figure = Figure(figsize=tuple(14 * size / size.max()), dpi=130)
    axes = figure.add_axes((0, 0, 1, 1), xlim=(0, size[0]), ylim=(0, size[1]), aspect="equal")
    axes.set_axis_off()
    for view in drawing.views:
        for s in view.shapes:
            look = {"edgecolor": colour(s)[0], "facecolor": STYLES[s.kind][3], "linewidth": STYLES[s.kind][2] * 560}
            look |= {"linestyle": "--"} if s.kind in DASHED else {}
            axes.add_patch(Polygon(placed(view, at, s.outline), closed=True, **look))
        for s, place in labelled(view):
            x, y = placed(view, at, place[None])[0]
            axes.text(x, y, _plain(s.label), color=colour(s)[0], fontsize=7, ha="center", va="bottom")
        corner = placed(view, at, _bounds(view))
        axes.text(corner[:, 0].mean(), corner[:, 1].min(), VIEW_TITLES[view.name], fontsize=9, weight="bold", ha="center", va="top")
    axes.plot([size[0] - 1.5, size[0] - 0.5], [size[1] - 0.5] * 2, color="#1f2933", linewidth=3)
    axes.text(size[0] - 1, size[1] - 0.45, "1 m", fontsize=8, ha="center", va="bottom")
    axes.text(0.02, 0.985, _plain(title), fontsize=11, ha="left", va="top", transform=axes.transAxes)
    FigureCanvasAgg(figure).print_png(path)


def _plain(text) -> str:
    """matplotlib reads dollar signs as mathematics; nothing of ours is meant as such."""
    return "".join(c for c in str(text) if c.isprintable()).replace("$", r"\$")
