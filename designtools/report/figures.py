"""Plots as plain plotly.js figures (dicts), with readable units and colour-blind-safe colours.

Arrays travel as base64 float32, which plotly.js reads directly: a quarter of the size of decimal text.
"""

from __future__ import annotations

import base64
from html import escape
from typing import Any

import contourpy
import numpy as np

from designtools.export import bodies, siting
from designtools.export.flat import flatten, former_of
from designtools.export.glb import former_resolution
from designtools.result import Ball, Histogram, Lines, Matrix, PlaneMap, Scene, Sections, SurfaceMap
from designtools.siting.drawing import Drawing
from designtools.units import format as readable
from designtools.units import read_unit

INK, GRID, SEQUENTIAL = "#1f2933", "#dfe3e8", "Cividis"
_RDBU = [
    "#053061",
    "#2166ac",
    "#4393c3",
    "#92c5de",
    "#d1e5f0",
    "#f7f7f7",
    "#fddbc7",
    "#f4a582",
    "#d6604d",
    "#b2182b",
    "#67001f",
]
_SIGNED = [[0, "#08519c"], [0.5, "#9aa5b1"], [1, "#a50f15"]]  # for lines, which must not fade into the paper
DIVERGING = [[i / 10, colour] for i, colour in enumerate(_RDBU)]  # ColorBrewer's RdBu: blue is negative
REVERSE = "#882255"  # blocks that carry current the other way
LINE_POINTS = 60_000  # most points that the three-dimensional view draws per kind of line
RASTER = 400  # most cells along one side of a map
DASHES = ("solid", "dash", "dot", "dashdot")
ROLE_COLOURS = {"jog": "#e69f00", "return": "#cc79a7", "link": "#d55e00", "lead": "#009e73"}


# ---- readable numbers -------------------------------------------------------------------------------


def scale_for(values, unit: str) -> tuple[float, str]:
    """(factor, unit text): values * factor read well in that unit, judged by their largest magnitude."""
    finite = np.abs(np.asarray(values, float))
    finite = finite[np.isfinite(finite)]
    peak = float(finite.max()) if finite.size else 0.0
    if not peak:
        return 1.0, "" if unit == "1" else unit
    chosen = readable(peak, unit).partition(" ")[2]
    if chosen == "m" and peak < 2.5:
        chosen = "mm"  # workshop drawings count in mm, rooms in m
    if not chosen or chosen == unit:
        return 1.0, chosen
    return 1.0 / float(read_unit(chosen)[0]), chosen


def _label(text: str, unit: str) -> str:
    words = _safe(text)
    return f"{words} ({_safe(unit)})" if unit else words


def _safe(text) -> str:
    """plotly.js reads a little HTML in labels; nothing of ours is meant as such."""
    return escape(str(text), quote=False)


def packed(values) -> dict[str, Any]:
    """An array as plotly.js typed array (float32; integers as int32)."""
    values = np.asarray(values)
    kind = np.int32 if np.issubdtype(values.dtype, np.integer) else np.float32
    values = np.ascontiguousarray(values, kind)
    record = {
        "dtype": "i4" if kind is np.int32 else "f4",
        "bdata": base64.b64encode(values.tobytes()).decode(),
    }
    return record if values.ndim == 1 else record | {"shape": ",".join(map(str, values.shape))}


# ---- records ----------------------------------------------------------------------------------------


def plane_map(record: PlaneMap) -> dict:
    """Heat map with contour lines, the circle of the region and outlines."""
    step = [max(1, -(-n // RASTER)) for n in np.shape(record.values)]
    x, y = np.asarray(record.x)[:: step[0]], np.asarray(record.y)[:: step[1]]
    values = np.asarray(record.values, float)[:: step[0], :: step[1]]
    length, length_unit = scale_for(np.concatenate([x, y]), record.axis_unit)
    colour, ticks, factor, unit = _colouring(record, values)
    heat = {
        "type": "heatmap", "x": packed(x * length), "y": packed(y * length), "z": packed(colour["z"].T),
        "customdata": packed((values * factor).T), "zsmooth": "best", "hoverongaps": False,
        "hovertemplate": f"%{{x:.4g}}, %{{y:.4g}} {length_unit}<br>%{{customdata:.4g}} {_safe(unit)}<extra></extra>",
        "colorscale": colour["scale"], "zmin": colour["low"], "zmax": colour["high"],
        "colorbar": {"title": {"text": _label(record.label, "" if ticks else unit), "side": "right"}, "thickness": 14, **ticks},
    }  # fmt: skip
    lines = [
        trace
        for i, level in enumerate(record.levels)
        for trace in _contour(record, level, x, y, values, length, i)
    ]
    outlines = [_outline(points, length) for points in record.outlines]
    layout = _layout(_label(record.x_label, length_unit), _label(record.y_label, length_unit))
    layout["yaxis"] |= {"scaleanchor": "x", "constrain": "domain"}
    layout["xaxis"] |= {"constrain": "domain"}
    if record.circle:
        cx, cy, radius = (length * v for v in record.circle)
        corners = {"x0": cx - radius, "x1": cx + radius, "y0": cy - radius, "y1": cy + radius}
        layout["shapes"] = [{"type": "circle", "line": {"color": INK, "width": 2, "dash": "dash"}, **corners}]
    return {"data": [heat, *lines, *outlines], "layout": layout}


def _colouring(record, values) -> tuple[dict, dict, float, str]:
    """How a map is coloured: (z and colour scale, colour-bar ticks, factor, unit)."""
    low, high = record.span if record.span else (np.nanmin(values), np.nanmax(values))
    if record.log:
        positive = values[values > 0]
        bottom = max(low, positive.min()) if positive.size else 1e-30
        exponents = np.arange(np.floor(np.log10(bottom)), np.ceil(np.log10(high)) + 1)
        names = [readable(float(10**e), record.unit, 3) for e in exponents]
        z = np.log10(np.where(values > 0, values, np.nan))
        colour = {"z": z, "scale": SEQUENTIAL, "low": np.log10(bottom), "high": np.log10(high)}
        factor, unit = scale_for([np.sqrt(bottom * high)], record.unit)
        return colour, {"tickvals": exponents.tolist(), "ticktext": names}, factor, unit
    factor, unit = scale_for([low, high], record.unit)
    if record.diverging:
        high = max(abs(low), abs(high))
        low = -high
    colour = {"z": values * factor, "scale": DIVERGING if record.diverging else SEQUENTIAL}
    return colour | {"low": low * factor, "high": high * factor}, {}, factor, unit


def _contour(record, level, x, y, values, length, index) -> list[dict]:
    """The level line in black on a white casing, legible on every colour; empty where the level is not reached."""
    lines = contourpy.contour_generator(x * length, y * length, values.T).lines(float(level))
    if not lines:
        return []
    points, name = _joined(lines), _safe(readable(float(level), record.unit))
    casing = _trace(points, name, {"color": "#ffffff", "width": 4}) | {
        "hoverinfo": "skip",
        "showlegend": False,
    }
    line = _trace(points, name, {"color": "#000000", "width": 1.8, "dash": DASHES[index % 4]})
    return [casing, line | {"hoverinfo": "name", "showlegend": True}]


def _outline(points, length: float) -> dict:
    return _trace(np.asarray(points, float) * length, "", {"color": INK, "width": 1.5}) | {
        "showlegend": False, "hoverinfo": "skip",
    }  # fmt: skip


def lines(record: Lines) -> dict:
    """Curves over one axis."""
    along, x_unit = scale_for(record.x, record.x_unit)
    values = np.concatenate([np.ravel(curve) for curve in record.curves.values()])
    factor, unit = (1.0, record.unit.removesuffix("1")) if record.log_y else scale_for(values, record.unit)
    x = np.asarray(record.x, float) * along
    data = [
        _trace(np.column_stack([x, np.asarray(curve, float) * factor]), _safe(name), _style(i))
        for i, (name, curve) in enumerate(record.curves.items())
    ]
    layout = _layout(_label(record.x_label, x_unit), _label(record.y_label, unit))
    if record.log_y:
        layout["yaxis"] |= {"type": "log", "exponentformat": "power", "dtick": 1}
    for name, level in record.marks.items():
        data.append(_mark(name, level * factor, x))
    return {"data": data, "layout": layout}


def _mark(name: str, level: float, x) -> dict:
    ends = np.array([[np.nanmin(x), level], [np.nanmax(x), level]])
    return _trace(ends, _safe(name), {"color": "#b42318", "width": 1.5, "dash": "dash"})


def _style(index: int) -> dict:
    return {"color": bodies.colour_of(index), "width": 2.2, "dash": DASHES[index // len(bodies.PALETTE) % 4]}


def _trace(points, name: str, line: dict) -> dict:
    points = np.asarray(points, float)
    return {
        "type": "scatter", "mode": "lines", "name": name, "line": line,
        "x": packed(points[:, 0]), "y": packed(points[:, 1]),
    }  # fmt: skip


def histogram(record: Histogram) -> dict:
    """Steps, one set or several over one another."""
    factor, unit = scale_for(record.edges, record.unit)
    edges = np.asarray(record.edges, float) * factor
    data = []
    for i, (name, counts) in enumerate(record.counts.items()):
        points = np.column_stack([np.repeat(edges, 2), np.concatenate([[0], np.repeat(counts, 2), [0]])])
        data.append(
            _trace(points, _safe(name), _style(i))
            | {"fill": "tozeroy", "fillcolor": _faint(bodies.colour_of(i))}
        )
    return {"data": data, "layout": _layout(_label(record.label, unit), "count")}


def _faint(colour: str, alpha: float = 0.2) -> str:
    r, g, b = (int(colour[i : i + 2], 16) for i in (1, 3, 5))
    return f"rgba({r},{g},{b},{alpha})"


def surface_map(record: SurfaceMap) -> dict:
    """A coloured mesh in space, or the unrolled surface as a flat map."""
    if np.shape(record.vertices)[1] == 2:
        return plane_map(_rasterised(record))
    length, length_unit = scale_for(record.vertices, "m")
    intensity = np.asarray(record.intensity, float)
    factor, unit = scale_for(intensity, record.unit)
    high = np.nanmax(np.abs(intensity)) * factor
    mesh = _mesh(np.asarray(record.vertices) * length, record.faces) | {
        "intensity": packed(intensity * factor),
        "intensitymode": "cell" if len(intensity) == len(record.faces) else "vertex",
        "colorscale": DIVERGING if record.diverging else SEQUENTIAL,
        "lighting": {"ambient": 0.9, "diffuse": 0.2, "specular": 0.05},
        "flatshading": False,
        "colorbar": {"title": {"text": _label(record.label, unit), "side": "right"}, "thickness": 14},
    }
    mesh |= {"cmin": -high, "cmax": high} if record.diverging else {}
    return {"data": [mesh], "layout": _space(length_unit)}


def _rasterised(record: SurfaceMap) -> PlaneMap:
    """The unrolled surface on a grid; triangles over the seam appear at both ends."""
    from matplotlib.tri import LinearTriInterpolator, Triangulation

    faces, intensity = np.asarray(record.faces), np.asarray(record.intensity, float)
    corners, origin = _across_the_seam(np.asarray(record.vertices, float)[faces], record.period)
    points, first, index = np.unique(
        corners.reshape(-1, 2).round(9), axis=0, return_index=True, return_inverse=True
    )  # the finder wants shared vertices
    low, high = points.min(0), points.max(0)
    if record.period:
        low[0], high[0] = 0.0, record.period
    count = np.maximum(2, np.round(RASTER / 1.6 * (high - low) / (high - low).max())).astype(int)
    x, y = (low[i] + (high - low)[i] * (np.arange(count[i]) + 0.5) / count[i] for i in (0, 1))
    grid = np.meshgrid(x, y, indexing="ij")
    triangles = Triangulation(*points.T, index.reshape(-1, 3))
    if len(intensity) == len(faces):
        found = triangles.get_trifinder()(*grid)
        values = np.where(found >= 0, intensity[origin][found], np.nan)
    else:
        values = LinearTriInterpolator(triangles, intensity[faces[origin]].ravel()[first])(*grid).filled(
            np.nan
        )
    return PlaneMap(
        record.title, x, y, values, record.unit, record.x_label, record.y_label,
        label=record.label, diverging=record.diverging, caption=record.caption,
    )  # fmt: skip


def _across_the_seam(corners, period: float | None):
    """Triangles (F,3,2), those that join both ends of the arc drawn at both; and the face each one is."""
    every = np.arange(len(corners))
    if not period:
        return corners, every
    straddles = np.ptp(corners[..., 0], axis=1) > period / 2
    right = corners.copy()
    right[..., 0] += np.where(straddles[:, None] & (right[..., 0] < period / 2), period, 0.0)
    left = right[straddles] - (period, 0.0)
    return np.concatenate([right, left]), np.concatenate([every, every[straddles]])


def siting_drawing(record: Drawing) -> dict:
    """Plan and elevations on one sheet, to scale, as in the files of the siting folder."""
    at, size = siting.frames(record)
    data, named = [], set()
    for view in record.views:
        for shape in view.shapes:
            _, _, width, fill = siting.STYLES[shape.kind]
            look = {"color": siting.colour(shape)[0], "width": 700 * width, "dash": "dash" if shape.kind in siting.DASHED else "solid"}
            name = _safe(shape.label or shape.layer)
            trace = _trace(siting.placed(view, at, shape.outline), name, look) | {"hoverinfo": "name", "legendgroup": name}
            trace |= {"fill": "toself", "fillcolor": fill} if fill != "none" else {}
            data.append(trace | {"showlegend": name not in named})
            named.add(name)
    layout = _layout("m", "m")
    layout["xaxis"] |= {"range": [0, float(size[0])], "constrain": "domain"}
    layout["yaxis"] |= {"range": [0, float(size[1])], "scaleanchor": "x", "constrain": "domain"}
    return {"data": data, "layout": layout}


def matrix(record: Matrix) -> dict:
    """A square of cells, coloured by decades, each with its value in words."""
    values = np.abs(np.asarray(record.values, float))
    names = [_safe(name) for name in record.names]
    positive = values[np.isfinite(values) & (values > 0)]
    low = np.log10(positive.max() * 1e-6) if positive.size else 0.0
    known = np.log10(np.maximum(values, 10**low))
    words = [[readable(float(v), record.unit, 3) if np.isfinite(v) else "" for v in row] for row in values]
    heat = {
        "type": "heatmap", "x": names, "y": names, "z": known.tolist(), "text": words, "texttemplate": "%{text}", "showscale": False, "xgap": 2, "ygap": 2,
        "colorscale": [[0, "#f7f9fb"], [1, "#f4a582"]], "hovertemplate": "%{y} by %{x}: %{text}<extra></extra>", "hoverongaps": False,
    }  # fmt: skip
    layout = _layout("of", "on")
    layout["xaxis"] |= {"side": "top", "type": "category", "showgrid": False}
    layout["yaxis"] |= {"autorange": "reversed", "type": "category", "showgrid": False}
    return {"data": [heat], "layout": layout | {"margin": {"l": 110, "r": 20, "t": 70, "b": 20}}}


def sections(record: Sections) -> dict:
    """Half a section through the axis: layers as filled rectangles, marks dashed; thin layers far out want their own scale."""
    groups = list(dict.fromkeys(s.group for s in record.sections))
    data = []
    for section in record.sections:
        (a, b), (c, d) = section.z, section.r
        colour = bodies.colour_of(groups.index(section.group))
        corners = np.array([[a, c], [b, c], [b, d], [a, d], [a, c]]) * 1e3
        words = _safe(f"{section.name}: {readable(c, 'm')} to {readable(d, 'm')}")
        data.append(_trace(corners, words, {"color": colour, "width": 1}) | {"fill": "toself", "fillcolor": _faint(colour, 0.45), "hoverinfo": "name", "hoveron": "fills"})
    for name, half, radius in record.marks:
        ends = np.array([[-half, radius], [half, radius]]) * 1e3
        data.append(_trace(ends, _safe(name), {"color": INK, "width": 1.5, "dash": "dash"}) | {"hoverinfo": "name"})
    layout = _layout("along the bore (mm)", "distance from the axis (mm)")
    layout["legend"] = {"x": 1.02, "y": 1, "font": {"size": 11}}
    return {"data": data, "layout": layout}


DRAWN = {
    PlaneMap: plane_map, Lines: lines, Histogram: histogram, SurfaceMap: surface_map, Drawing: siting_drawing, Matrix: matrix, Sections: sections,
}  # fmt: skip


def drawn(record) -> dict | None:
    """The figure of a record, or None for one that is no plot of its own (Ball, Table)."""
    return next((draw(record) for kind, draw in DRAWN.items() if isinstance(record, kind)), None)


# ---- the flat pattern -------------------------------------------------------------------------------


def pattern(winding, formers, colour: str) -> dict | None:
    """The unrolled turns of one winding, pieces coloured by role; None where it has no former."""
    former = former_of(winding, formers)
    if former is None:
        return None
    flat = flatten(winding, former)
    data = []
    for role in dict.fromkeys(role for role, _ in flat.pieces):
        points = _joined([points for name, points in flat.pieces if name == role], LINE_POINTS // 2) * 1e3
        data.append(_trace(points, _safe(role), {"color": ROLE_COLOURS.get(role, colour), "width": 1.3}))
    layout = _layout("arc length from the cut (mm)", "axial (mm)")
    layout["yaxis"] |= {"scaleanchor": "x", "constrain": "domain"}
    layout["xaxis"] |= {"constrain": "domain"}
    box = {"x0": 0, "x1": flat.width * 1e3, "y0": flat.low * 1e3, "y1": flat.high * 1e3}
    layout["shapes"] = [{"type": "rect", "line": {"color": INK, "width": 1}, "layer": "below", **box}]
    return {"data": data, "layout": layout}


# ---- three dimensions -------------------------------------------------------------------------------


def scene(result) -> dict | None:
    """Windings and sources, formers, regions and field planes in one interactive view; None if there is nothing."""
    whole = next((r for r in result.plots.values() if isinstance(r, Scene)), None)
    traces = _design_traces(result) if whole is None else _switched(whole)
    traces += [_ball_trace(record) for record in result.plots.values() if isinstance(record, Ball)]
    traces += [
        _plane_trace(r) for r in result.plots.values() if isinstance(r, PlaneMap) and r.origin is not None
    ]
    if not traces:
        return None
    layout = _space("mm") | {
        "legend": {"itemsizing": "constant", "x": 0.01, "y": 0.99, "bgcolor": "rgba(255,255,255,.85)"}
    }
    return {"data": traces, "layout": layout}


def _design_traces(result) -> list[dict]:
    traces = [*_winding_traces(result), *_source_traces(result)]
    traces += [_former_trace(name, former) for name, former in result.formers.items()]
    return traces + [_sheet_trace(name, sheet) for name, sheet in result.sheets.items()]


def _switched(scene: Scene) -> list[dict]:
    """Every design in one colour under one entry of the legend."""
    traces = []
    for index, (name, design) in enumerate(scene.designs.items()):
        own = [*_winding_traces(design), *_source_traces(design)]
        own = [t for t in own if t["type"] != "cone"]
        for k, trace in enumerate(own):
            line = {"line": {"color": bodies.colour_of(index), "width": 2}} if trace["type"] == "scatter3d" else {"color": bodies.colour_of(index)}
            solid = {"opacity": 0.25} if trace["type"] == "mesh3d" else {}  # what lies within shines through
            traces.append(trace | line | solid | {"name": _safe(name), "legendgroup": _safe(name), "showlegend": k == 0})
    return traces


def _winding_traces(result) -> list[dict]:
    traces = []
    for index, winding in enumerate(result.windings):
        points = _joined([track.points for track in winding.tracks], LINE_POINTS)
        name = f"{winding.name} ({readable(winding.current, 'A')})"
        traces.append(_line3d(points, name, {"color": bodies.colour_of(index), "width": 3}))
    if result.windings:
        traces.append(_arrows(result.windings))
    return traces


def _arrows(windings) -> dict:
    """One cone per track, pointing where the current runs; switched on in the legend."""
    places, ways = [], []
    for winding in windings:
        for track in winding.tracks:
            middle = len(track.points) // 2
            way = track.points[middle] - track.points[middle - 1]
            places.append(track.points[middle])
            ways.append(way / np.linalg.norm(way) * np.sign(winding.current or 1.0))
    size = np.ptp(np.array(places), axis=0).max() * 1e3 / 25 or 5.0
    x, y, z = (packed(column) for column in (np.array(places) * 1e3).T)
    u, v, w = (packed(column) for column in np.array(ways).T)
    return {
        "type": "cone", "x": x, "y": y, "z": z, "u": u, "v": v, "w": w, "sizemode": "absolute", "sizeref": float(size),
        "colorscale": [[0, INK], [1, INK]], "showscale": False, "name": "current direction", "showlegend": True,
        "visible": "legendonly", "hoverinfo": "skip", "anchor": "center",
    }  # fmt: skip


def _source_traces(result) -> list[dict]:
    traces = []
    for index, leaf in enumerate(bodies.bare_sources(result)):
        draw = _SOURCES.get(type(leaf).__name__)
        traces += draw(leaf, bodies.colour_of(len(result.windings) + index)) if draw else []
    return traces


def _filament_traces(filaments, colour: str) -> list[dict]:
    return [
        _line3d(_joined(bodies.chains(filaments), LINE_POINTS), "filaments", {"color": colour, "width": 3})
    ]


def _loop_traces(loops, colour: str) -> list[dict]:
    """Circles coloured by their current."""
    angle = np.linspace(0, 2 * np.pi, 49)
    rings, currents = [], []
    for centre, normal, radius, current in zip(
        *map(np.asarray, (loops.centre, loops.normal, loops.radius, loops.current))
    ):
        across = np.cross(normal, np.eye(3)[np.argmin(np.abs(normal))])
        across /= np.linalg.norm(across)
        up = np.cross(normal / np.linalg.norm(normal), across)
        rings.append(centre + radius * (np.cos(angle)[:, None] * across + np.sin(angle)[:, None] * up))
        currents += [current] * (len(angle) + 1)
    factor, unit = scale_for(currents, "A")
    values = np.array(currents[:-1]) * factor
    high = float(np.abs(values).max()) or 1.0
    line = {
        "color": packed(values), "colorscale": _SIGNED, "cmin": -high, "cmax": high, "width": 6,
        "colorbar": {"title": {"text": f"current ({unit})", "side": "right"}, "thickness": 14, "len": 0.7},
    }  # fmt: skip
    return [
        _line3d(_joined(rings), f"loops ({len(rings)})", line) | {"text": [f"{v:.4g} {unit}" for v in values]}
    ]


def _block_traces(blocks, colour: str) -> list[dict]:
    """Rings, forward and reverse current apart."""
    density = np.atleast_1d(np.asarray(blocks.current_density, float))
    traces = []
    for sign, name, shade in ((1, "blocks, forward", colour), (-1, "blocks, reverse", REVERSE)):
        meshes = [_revolved(row) for row, j in zip(bodies.block_rings(blocks), density) if np.sign(j) == sign]
        if meshes:
            traces.append(_merged(meshes, name, shade, 0.5))
    return traces


def _revolved(row) -> tuple[np.ndarray, np.ndarray]:
    inner, outer, low, high = row
    section = np.array([[inner, low], [outer, low], [outer, high], [inner, high]])
    count = 64
    angle = 2 * np.pi * np.arange(count) / count
    points = [[r * np.cos(a), r * np.sin(a), z] for a in angle for r, z in section]
    faces = []
    for i in range(count):
        for k in range(4):
            a, b = 4 * i + k, 4 * i + (k + 1) % 4
            c, d = (4 * ((i + 1) % count) + k, 4 * ((i + 1) % count) + (k + 1) % 4)
            faces += [[a, b, d], [a, d, c]]
    return np.array(points), np.array(faces)


def _magnet_traces(magnets, colour: str) -> list[dict]:
    faces = np.array([t for a, b, c, d in bodies.BOX_QUADS for t in ((a, b, c), (a, c, d))])
    corners = bodies.magnet_corners(magnets)
    return [_merged([(box, faces) for box in corners], f"magnets ({len(corners)})", colour, 0.85)]


def _sphere_traces(spheres, colour: str) -> list[dict]:
    ball = bodies.sphere_mesh()
    places = zip(np.asarray(spheres.centre), np.asarray(spheres.radius))
    meshes = [(centre + radius * ball[0], ball[1]) for centre, radius in places]
    return [_merged(meshes, f"spheres ({len(meshes)})", colour, 1.0)] if meshes else []


_SOURCES = {
    "Spheres": _sphere_traces,
    "Filaments": _filament_traces,
    "Loops": _loop_traces,
    "Blocks": _block_traces,
    "Magnets": _magnet_traces,
}


def _merged(meshes, name: str, colour: str, opacity: float) -> dict:
    starts = np.cumsum([0, *(len(points) for points, _ in meshes)])
    points = np.concatenate([points for points, _ in meshes]) * 1e3
    faces = np.concatenate([faces + start for (_, faces), start in zip(meshes, starts)])
    return _mesh(points, faces) | {
        "color": colour,
        "opacity": opacity,
        "name": _safe(name),
        "showlegend": True,
    }


def _former_trace(name: str, former) -> dict:
    mesh = former.mesh(former_resolution(former))
    style = {"color": "#8f9bab", "opacity": 0.13, "name": _safe(f"former {name}"), "showlegend": True}
    return _mesh(mesh.vertices * 1e3, mesh.faces) | style | {"hoverinfo": "skip"}


def _sheet_trace(name: str, sheet) -> dict:
    """The stream function before winding; switched on in the legend."""
    stream = np.asarray(sheet.stream, float)
    high = float(np.abs(stream).max()) or 1.0
    style = {
        "intensity": packed(stream),
        "colorscale": DIVERGING,
        "cmin": -high,
        "cmax": high,
        "showscale": False,
    }
    style |= {
        "name": _safe(f"stream function {name}"),
        "showlegend": True,
        "visible": "legendonly",
        "hoverinfo": "name",
    }
    return _mesh(np.asarray(sheet.vertices) * 1e3, sheet.faces) | style | {"flatshading": False}


def _ball_trace(ball: Ball) -> dict:
    u, v = np.meshgrid(np.linspace(0, 2 * np.pi, 37), np.linspace(0, np.pi, 19), indexing="ij")
    unit = np.stack([np.cos(u) * np.sin(v), np.sin(u) * np.sin(v), np.cos(v)])
    points = np.asarray(ball.centre)[:, None, None] + np.reshape(ball.radius, (-1, 1, 1)) * unit
    shade = [[0, "#56b4e9"], [1, "#56b4e9"]]
    return _surface(points) | {
        "colorscale": shade,
        "showscale": False,
        "opacity": 0.35,
        "name": _safe(ball.title),
    }


def _plane_trace(record: PlaneMap) -> dict:
    step = [max(1, -(-n // 120)) for n in np.shape(record.values)]
    x, y = np.asarray(record.x)[:: step[0]], np.asarray(record.y)[:: step[1]]
    values = np.asarray(record.values, float)[:: step[0], :: step[1]]
    across, up = (np.asarray(d, float)[:, None, None] for d in (record.x_direction, record.y_direction))
    points = (
        np.asarray(record.origin, float)[:, None, None] + across * x[None, :, None] + up * y[None, None, :]
    )
    colour, *_ = _colouring(record, values)
    style = {"surfacecolor": packed(colour["z"]), "colorscale": colour["scale"]}
    style |= {
        "cmin": colour["low"],
        "cmax": colour["high"],
        "showscale": False,
        "visible": "legendonly",
        "opacity": 0.9,
    }
    return _surface(points) | style | {"name": _safe(record.title)}


def _surface(points) -> dict:
    x, y, z = (packed(part * 1e3) for part in points)
    lighting = {"ambient": 0.8, "diffuse": 0.4, "specular": 0.05}
    return {
        "type": "surface",
        "x": x,
        "y": y,
        "z": z,
        "showlegend": True,
        "hoverinfo": "name",
        "lighting": lighting,
    }


def _mesh(points, faces) -> dict:
    x, y, z = (packed(column) for column in np.asarray(points, float).T)
    i, j, k = (packed(column) for column in np.asarray(faces, np.int64).T)
    return {"type": "mesh3d", "x": x, "y": y, "z": z, "i": i, "j": j, "k": k, "flatshading": True}


def _line3d(points, name: str, line: dict) -> dict:
    x, y, z = (packed(column) for column in (points * 1e3).T)
    return {"type": "scatter3d", "mode": "lines", "x": x, "y": y, "z": z, "name": _safe(name), "line": line}


def _joined(polylines, limit: int | None = None) -> np.ndarray:
    """Polylines with a row of NaN between them, thinned evenly to about `limit` points in all."""
    total = sum(len(points) for points in polylines)
    stride = max(1, -(-total // limit)) if limit else 1
    rows = []
    for points in polylines:
        points = np.asarray(points, float)
        keep = np.unique(np.append(np.arange(0, len(points), stride), len(points) - 1))
        rows += [points[keep], np.full((1, points.shape[1]), np.nan)]
    return np.concatenate(rows[:-1])


# ---- layout -----------------------------------------------------------------------------------------


def _layout(x_title: str, y_title: str) -> dict:
    axis = {
        "gridcolor": GRID,
        "zerolinecolor": "#b8c1cc",
        "linecolor": "#9aa5b1",
        "ticks": "outside",
        "automargin": True,
    }
    axis |= {"tickcolor": "#9aa5b1", "title": {"standoff": 10}}
    return {
        "xaxis": axis | {"title": {"text": x_title, "standoff": 10}},
        "yaxis": axis | {"title": {"text": y_title, "standoff": 10}},
        **_paper(),
    }


def _paper() -> dict:
    return {
        "font": {"family": "system-ui, Segoe UI, Helvetica, Arial, sans-serif", "size": 13, "color": INK},
        "paper_bgcolor": "#ffffff", "plot_bgcolor": "#ffffff", "margin": {"l": 60, "r": 20, "t": 16, "b": 50},
        "legend": {"orientation": "h", "y": 1.02, "yanchor": "bottom", "x": 0},
        "hoverlabel": {"font": {"size": 12}},
    }  # fmt: skip


def _space(unit: str) -> dict:
    axis = {"backgroundcolor": "#ffffff", "gridcolor": GRID, "zerolinecolor": "#b8c1cc", "showspikes": False}
    axes = {f"{c}axis": axis | {"title": {"text": f"{c} ({unit})"}} for c in "xyz"}
    eye = {"eye": {"x": 1.6, "y": -1.5, "z": 0.8}}
    return _paper() | {
        "scene": {**axes, "aspectmode": "data", "camera": eye},
        "margin": {"l": 0, "r": 0, "t": 0, "b": 0},
    }
