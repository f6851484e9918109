"""What stands in space: windings, formers, magnets, planes of the field, the surface of 0.5 mT and a person, as plotly traces."""

from __future__ import annotations

import numpy as np

from designtools.report import figures as draw
from designtools.result import Ball, PlaneMap, Result
from designtools.units import parse

FIVE_GAUSS = 5e-4  # T
RAYS = (13, 24)  # polar and azimuthal directions of a surface of equal field
MARCH = 1.12  # ratio of successive distances along a ray
PLANE = 61  # points along each side of a plane
HEAD, NECK = (0.078, 0.098, 0.115), 0.26  # m: semi-axes of a head; from its middle to the middle of the chest
CHEST = (0.17, 0.11, 0.19)
LINE = 4  # px


def design_traces(result: Result) -> list[dict]:
    """Everything of a finished design, each trace tagged with the layer it is switched by."""
    found = draw.scene(result)
    ball = region(result.spec)
    traces = [] if found is None else found["data"]
    traces = traces + ([draw._ball_trace(ball)] if ball else [])
    return [tagged(trace, _layer(trace)) for trace in traces]


def tagged(trace: dict, layer: str) -> dict:
    """The trace with the layer that switches it."""
    return trace | {"meta": {"layer": layer}}


def _layer(trace: dict) -> str:
    name = str(trace.get("name", ""))
    known = (("former ", "formers"), ("stream function ", "stream function"), ("current direction", "current direction"), ("region", "region"))
    return next((layer for start, layer in known if name.startswith(start)), "windings and magnets")


def region(spec) -> Ball | None:
    """The region that a resolved spec asks for, where it has one of the usual form."""
    try:
        place = spec["region"]
        centre = tuple(parse(v, "length") for v in place.get("centre", (0, 0, 0)))
        size = place.get("semi_axes") or place.get("radius")
        radius = tuple(parse(v, "length") for v in size) if isinstance(size, (list, tuple)) else parse(size, "length")
        return Ball("region", radius, centre)
    except (KeyError, TypeError, ValueError, AttributeError):
        return None


def product_traces(product) -> list[dict]:
    """Windings and sources of what is built at one state, if anything is."""
    if product is None or product.source is None:
        return []
    built = Result("", "", "done", source=product.source, windings=product.windings)
    return [tagged(trace, "windings and magnets") for trace in [*draw._winding_traces(built)[: len(built.windings)], *draw._source_traces(built)]]


def curve_trace(curve, index: int) -> dict:
    """Live turns."""
    colour = draw.bodies.colour_of(index)
    points = curve.points if len(curve.points) else np.full((1, 3), np.nan)
    return tagged(draw._line3d(points, curve.name, {"color": colour, "width": LINE}), "windings and magnets")


def plane_trace(record: PlaneMap) -> dict:
    """A plane of the field in its place, seen."""
    return tagged(draw._plane_trace(record) | {"visible": True, "hoverinfo": "skip"}, "field plane")


# --- the field of a finished design ---------------------------------------------------------------


def field_planes(result: Result) -> list[dict]:
    """|B| (T) of the design as it was built in the planes x = 0, y = 0 and z = 0, colours by decades."""
    if result.source is None:
        return []
    half = _size(result) * 1.1
    x = np.linspace(-half, half, PLANE)
    places = [(x[:, None, None] * np.eye(3)[a] + x[None, :, None] * np.eye(3)[b], a, b) for a, b in ((1, 2), (0, 2), (0, 1))]
    size = np.linalg.norm(np.asarray(result.source.field(np.concatenate([p.reshape(-1, 3) for p, _, _ in places]))), axis=1)
    size = np.where(np.isfinite(size) & (size > 0), size, np.nan).reshape(3, PLANE, PLANE)
    span = tuple(np.nanpercentile(size, (2, 98)))
    record = lambda values, a, b: PlaneMap(
        f"field plane {'xyz'[a]}{'xyz'[b]}, |B|", x, x, values, "T", log=True, span=span, origin=np.zeros(3), x_direction=np.eye(3)[a], y_direction=np.eye(3)[b]
    )
    return [plane_trace(record(values, a, b)) for values, (_, a, b) in zip(size, places)]


def five_gauss(result: Result) -> list[dict]:
    """The outermost surface where |B| falls to 0.5 mT, seen from the middle of the design; nothing where the field never reaches it."""
    if result.source is None:
        return []
    polar, azimuth = (np.linspace(0, top, n) for top, n in zip((np.pi, 2 * np.pi), RAYS))
    way = np.stack([np.outer(np.sin(polar), np.cos(azimuth)), np.outer(np.sin(polar), np.sin(azimuth)), np.outer(np.cos(polar), np.ones_like(azimuth))], axis=-1)
    reach = outermost(result.source, way.reshape(-1, 3), _size(result)).reshape(RAYS)
    if not np.isfinite(reach).any():
        return []
    shape = np.moveaxis(way * reach[..., None], -1, 0)
    look = {"colorscale": [[0, "#e69f00"], [1, "#e69f00"]], "showscale": False, "opacity": 0.25, "hoverinfo": "skip"}
    return [tagged(draw._surface(shape) | look | {"name": "5-gauss surface (0.5 mT)"}, "5-gauss surface")]


def outermost(source, way, size: float, level: float = FIVE_GAUSS) -> np.ndarray:
    """Distance (N,) m along unit vectors `way` (N,3) at which |B| last reaches `level`; NaN where it never does.

    Marched inwards from where a dipole as strong as the far field would have fallen below it; error 0.2 % of the distance.
    """
    strength = lambda r, chosen=slice(None): np.linalg.norm(np.asarray(source.field(way[chosen] * r[:, None])), axis=1)
    far = 4 * size
    distant = strength(np.full(len(way), far))
    first = far * max(1.0, 1.3 * (np.nanmax(distant) / level) ** (1 / 3))
    steps = first / MARCH ** np.arange(int(np.log(first / (0.3 * size)) / np.log(MARCH)) + 1)
    known = np.stack([strength(np.full(len(way), r)) for r in steps])
    reached = np.where(np.isnan(known), False, known >= level)
    index = np.argmax(reached, axis=0)
    found = reached.any(axis=0) & (index > 0)
    low, high = steps[index[found]], steps[index[found] - 1]
    chosen = np.flatnonzero(found)
    for _ in range(6):
        middle = (low + high) / 2
        inside = strength(middle, chosen) >= level
        low, high = np.where(inside, middle, low), np.where(inside, high, middle)
    reach = np.full(len(way), np.nan)
    reach[chosen] = (low + high) / 2
    return reach


def _size(result: Result) -> float:
    """Half the largest extent (m) of what is drawn."""
    from designtools.export.csv import leaves

    nearest = [float(np.asarray(leaf.extent(np.zeros(3))[1])) for leaf in leaves(result.source)]
    return max([d for d in nearest if np.isfinite(d)], default=0.5)


# --- a person -------------------------------------------------------------------------------------


def person(result: Result) -> list[dict]:
    """A head and a chest of usual size, along the bore, the head at the centre of the region: for scale only."""
    ball = region(result.spec)
    centre = np.asarray(ball.centre if ball else (0.0, 0.0, 0.0))
    bore = axis(result.frame.get("bore_axis", "z"))
    across = np.cross(bore, np.eye(3)[np.argmin(np.abs(bore))])
    frame = np.stack([across, np.cross(bore, across), bore])
    parts = [("head for scale", HEAD, 0.0), ("chest for scale", CHEST, -NECK)]
    return [tagged(_ellipsoid(name, half, centre + bore * along, frame), "body") for name, half, along in parts]


def axis(value) -> np.ndarray:
    """A unit vector (3,) from "x", "-z" or three numbers."""
    if isinstance(value, str):
        sign = -1.0 if value.startswith("-") else 1.0
        return sign * np.eye(3)["xyz".index(value[-1:]) if value[-1:] in ("x", "y", "z") else 2]
    value = np.asarray(value, float)
    return value / np.linalg.norm(value)


def _ellipsoid(name: str, half, centre, frame) -> dict:
    u, v = np.meshgrid(np.linspace(0, 2 * np.pi, 25), np.linspace(0, np.pi, 13), indexing="ij")
    unit = np.stack([np.cos(u) * np.sin(v), np.sin(u) * np.sin(v), np.cos(v)], axis=-1) * np.asarray(half)
    points = np.moveaxis(unit @ frame + centre, -1, 0)
    shade = [[0, "#c9a58b"], [1, "#c9a58b"]]
    return draw._surface(points) | {"colorscale": shade, "showscale": False, "opacity": 0.35, "name": name, "hoverinfo": "name"}
