"""Zones with a limit: the largest field in each, and where in each it exceeds the limit."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import numpy as np
import shapely

from designtools.siting.contours import field_contour
from designtools.siting.pull import Patch, Peak, peak
from designtools.siting.sampling import magnitude
from designtools.siting.site import VIEWS, Prism, Site, View


@dataclass(frozen=True)
class ZoneFinding:
    """A zone, the largest |B| (T) in it with its place (across, along, height) m, and per view the closed polygons
    (n,2) m in which |B| exceeds the limit; area (m2): of those in plan."""

    zone: Prism
    peak: Peak
    violations: dict[str, tuple[np.ndarray, ...]]
    area: float


def examine(source, site: Site, zone: Prism) -> ZoneFinding:
    """What the field does in one zone.

    The largest |B| is sought on the zone's surface, where a field without sources inside has it.  Polygons are those of
    |B| >= limit in slices at both ends of the zone, in its middle and where it comes nearest to the isocentre, put
    together.
    """
    found = peak(lambda p: magnitude(source, site.points(p)), prism_patches(zone))
    polygons = {view.name: _violation(source, site, zone, view) for view in VIEWS} if found.value > zone.limit else {}
    area = polygons["plan"].area if polygons else 0.0
    return ZoneFinding(zone, found, {name: rings(shape) for name, shape in polygons.items()}, float(area))


def _violation(source, site: Site, zone: Prism, view: View):
    pieces = []
    for depth in _slices(zone, view):
        room = section(zone, view, depth)
        lines = field_contour(source, zone.limit, site.plane(view, depth)).outermost()
        pieces += [room.intersection(shapely.make_valid(shapely.Polygon(line))) for line in lines]
    return shapely.union_all(pieces)


def _slices(zone: Prism, view: View) -> list[float]:
    low, high = extent(zone, view.depth)
    inset = 1e-6 * (high - low)  # a section exactly along a side has no area
    return sorted({low + inset, (low + high) / 2, high - inset, float(np.clip(0.0, low + inset, high - inset))})


def extent(prism: Prism, axis: int) -> tuple[float, float]:
    """From, to (m) across (0), along (1) or in height (2)."""
    values = (prism.bottom, prism.top) if axis == 2 else prism.outline[:, axis]
    return float(np.min(values)), float(np.max(values))


def section(prism: Prism, view: View, depth: float):
    """What a plane parallel to a view, `depth` m from the isocentre, cuts out of a prism: a shapely geometry."""
    outline = shapely.Polygon(prism.outline)
    if view.depth == 2:
        return outline
    low, high = extent(prism, 1 - view.depth)
    ends = [(low - 1, high + 1)[i] for i in range(2)]
    line = [(depth, e) if view.depth == 0 else (e, depth) for e in ends]
    cut = outline.intersection(shapely.LineString(line))
    spans = [part for part in getattr(cut, "geoms", [cut]) if part.length > 0]
    along = 1 - view.depth
    edges = [sorted(np.asarray(span.coords)[:, along]) for span in spans]
    return shapely.union_all([shapely.box(e[0], prism.bottom, e[-1], prism.top) for e in edges])


def projected(prism: Prism, view: View) -> np.ndarray:
    """The closed outline (n,2) m of a prism in a view."""
    if view.depth == 2:
        return np.concatenate([prism.outline, prism.outline[:1]])
    low, high = extent(prism, view.axes[0])
    return np.array([[low, prism.bottom], [high, prism.bottom], [high, prism.top], [low, prism.top], [low, prism.bottom]])


def rings(shape) -> tuple[np.ndarray, ...]:
    """The closed outer boundaries (n,2) of a shapely geometry's areas."""
    parts = shapely.get_parts(shape, return_index=False)
    areas = [p for part in parts for p in shapely.get_parts(part) if p.geom_type == "Polygon" and p.area > 1e-9]
    return tuple(np.asarray(area.exterior.coords)[:, :2] for area in areas)


# ---- the surface of a prism -------------------------------------------------------------------------


def prism_patches(prism: Prism) -> list[Patch]:
    """Its walls, one per side of the outline, its floor and its ceiling."""
    corners = prism.outline
    walls = [Patch(partial(_wall, a, b, prism.bottom, prism.top)) for a, b in zip(corners, np.roll(corners, -1, axis=0))]
    return walls + [Patch(partial(_level, shapely.Polygon(corners), height)) for height in (prism.bottom, prism.top)]


def _wall(start, end, bottom, top, u, v) -> np.ndarray:
    return np.column_stack([start + u[:, None] * (end - start), bottom + v * (top - bottom)])


def _level(polygon, height, u, v) -> np.ndarray:
    """Points of the polygon's bounding box; those outside the polygon go to its nearest side."""
    x0, y0, x1, y1 = polygon.bounds
    flat = np.column_stack([x0 + u * (x1 - x0), y0 + v * (y1 - y0)])
    places = shapely.points(flat)
    outside = ~shapely.contains(polygon, places)
    border = polygon.exterior
    nearest = shapely.line_interpolate_point(border, shapely.line_locate_point(border, places[outside]))
    flat[outside] = shapely.get_coordinates(nearest)
    return np.column_stack([flat, np.full(len(flat), height)])


def accessible_patches(source, site: Site) -> tuple[list[Patch], str]:
    """What people can touch, and in words: the scanner's covers and its bore; without a scanner a box 50 mm round the
    source."""
    if site.scanner is None:
        spans = [_span(source, direction) for direction in site.directions]
        return prism_patches(_box_round(spans, 0.05)), "on a box 50 mm round the windings"
    patches = prism_patches(site.scanner)
    if site.bore is None:
        return patches, "on the scanner's covers"
    axis = 2 if site.vertical else 1
    return [*patches, Patch(partial(_bore_wall, site.bore / 2, axis, extent(site.scanner, axis)))], "on the scanner's covers and in its bore"


def _bore_wall(radius, axis, ends, u, v) -> np.ndarray:
    a, b = radius * np.cos(2 * np.pi * u), radius * np.sin(2 * np.pi * u)
    length = ends[0] + v * (ends[1] - ends[0])
    return np.column_stack([a, length, b] if axis == 1 else [a, b, length])


def _box_round(spans, margin: float) -> Prism:
    (x0, x1), (y0, y1), (z0, z1) = [(low - margin, high + margin) for low, high in spans]
    return Prism("box", np.array([[x0, y0], [x1, y0], [x1, y1], [x0, y1]]), z0, z1)


def silhouette(source, site: Site, view: View) -> np.ndarray:
    """The box (5,2) m round a source in a view."""
    (x0, x1), (y0, y1) = (_span(source, site.directions[k]) for k in view.axes)
    return np.array([[x0, y0], [x1, y0], [x1, y1], [x0, y1], [x0, y0]])


def _span(source, direction) -> tuple[float, float]:
    """From, to (m) along a direction: seen from 100 km away, distance is position along the line of sight."""
    away = 1e5
    return float(source.extent(-away * direction)[0] - away), float(away - source.extent(away * direction)[0])
