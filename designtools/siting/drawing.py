"""The siting drawing: plan and two elevations as closed outlines on named layers, in metres from the isocentre."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

import numpy as np
import shapely

from designtools.fringe import far_sighted
from designtools.siting.contours import field_contour
from designtools.siting.faults import without
from designtools.siting.pull import one_g_contour
from designtools.siting.site import AXIS_NAMES, VIEWS, Site, View
from designtools.siting.zones import ZoneFinding, examine, extent, projected, rings, silhouette


@dataclass(frozen=True)
class Shape:
    """A closed outline (n,2) m, first point again at the end, on a layer; `kind` says how it is drawn, `label` names it."""

    layer: str
    kind: str
    outline: np.ndarray
    label: str = ""


@dataclass(frozen=True)
class DrawnView:
    """One view: shapes over two axes, `labels` in words."""

    name: str
    labels: tuple[str, str]
    shapes: tuple[Shape, ...]


@dataclass(frozen=True)
class Drawing:
    """Plan and two elevations, and what was found in every zone."""

    views: tuple[DrawnView, ...]
    zones: tuple[ZoneFinding, ...] = ()
    title: str = "Siting drawing"
    caption: str = field(default="Plan and elevations to scale, metres from the isocentre; violated parts of zones are filled.")

    def reach(self, layer: str) -> tuple[float, float]:
        """Largest distance (m) from the isocentre of a layer's outlines in plan: across and along the bore."""
        found = [s.outline for s in self.views[0].shapes if s.layer == layer]
        return tuple(np.abs(np.concatenate(found)).max(axis=0).tolist()) if found else (0.0, 0.0)


def draw(source, site: Site) -> Drawing:
    """The drawing of a source at the isocentre of a site."""
    seen = lambda magnet: far_sighted(magnet, min(site.levels.values()))
    broken = {fault.name: seen(without(source, _lost(fault.lost))) for fault in site.faults}
    source = seen(source)
    findings = tuple(examine(source, site, zone) for zone in site.zones)
    return Drawing(tuple(_view(source, broken, site, view, findings) for view in VIEWS), findings)


def _lost(lost):
    return lost if isinstance(lost, str) else np.asarray(lost)


def _view(source, broken, site: Site, view: View, findings) -> DrawnView:
    plane = site.plane(view)
    shapes = _building(site, view, findings) + [Shape("magnet", "magnet", silhouette(source, site, view))]
    for name, level in site.levels.items():
        lines = field_contour(source, level, plane).outermost()
        shapes += [Shape(name, "level", line, f"{level * 1e3:g} mT") for line in lines]
    for fault, weakened in broken.items():
        for name, level in site.levels.items():
            lines = field_contour(weakened, level, plane).outermost()
            shapes += [Shape(f"{slug(fault)}-{name}", "fault", line, f"{level * 1e3:g} mT, {fault}") for line in lines]
    pulls = one_g_contour(source, plane).outermost()
    shapes += [Shape("steel-1g", "pull", line, "steel ball, 1 g") for line in pulls]
    return DrawnView(view.name, tuple(AXIS_NAMES[k] for k in view.axes), tuple(shapes))


def _building(site: Site, view: View, findings) -> list[Shape]:
    shapes = []
    if site.room:
        shapes += [Shape("walls", "wall", ring) for ring in _walls(site, view)]
        shapes += [Shape("room", "room", projected(site.room, view), "room")]
        shapes += [Shape("doors", "door", ring, name) for name, ring in _doors(site, view)]
    for found in findings:
        zone, layer = found.zone, slug(found.zone.name)
        shapes += [Shape(f"zone-{layer}", "zone", projected(zone, view), f"{zone.name}: {zone.limit * 1e3:g} mT")]
        shapes += [Shape(f"violation-{layer}", "violation", ring) for ring in found.violations.get(view.name, ())]
    shapes += [Shape("plates", "plate", projected(plate, view), plate.name) for plate in site.plates]
    if site.scanner:
        shapes += [Shape("scanner", "scanner", projected(site.scanner, view), "scanner")]
        shapes += [Shape("bore", "scanner", ring) for ring in _bore(site, view)]
    return shapes


def _walls(site: Site, view: View) -> tuple[np.ndarray, ...]:
    """Outer faces of the walls; in elevation also of floor and ceiling."""
    inner = shapely.Polygon(projected(site.room, view))
    return rings(inner.buffer(site.wall, join_style="mitre", mitre_limit=10.0))


def _doors(site: Site, view: View):
    """In plan the opening through the wall; doors are not drawn in elevation."""
    if view.name != "plan":
        return
    room = shapely.Polygon(site.room.outline)
    for name, ends in site.doors:
        opening = shapely.LineString(ends).buffer(site.wall, cap_style="flat").difference(room)
        for ring in rings(opening):
            yield name, ring


def _bore(site: Site, view: View):
    """The bore about the isocentre: a circle seen from its end, a rectangle from the side."""
    if site.bore is None:
        return
    radius, axis = site.bore / 2, 2 if site.vertical else 1
    if axis == view.depth:
        turn = np.linspace(0, 2 * np.pi, 73)
        yield radius * np.column_stack([np.cos(turn), np.sin(turn)])
        return
    (x0, x1), (y0, y1) = (extent(site.scanner, k) if k == axis else (-radius, radius) for k in view.axes)
    yield np.array([[x0, y0], [x1, y0], [x1, y1], [x0, y1], [x0, y0]])


def slug(name: str) -> str:
    """A layer name of a text."""
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[:40] or "unnamed"
