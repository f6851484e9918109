"""What the fringe field of any magnet means for its site: figures, requirements of zones, drawings and tables."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from designtools.fields import force, torque
from designtools.fringe import far_sighted, fringe_extent
from designtools.result import Figure, PlaneMap, Table
from designtools.siting.drawing import Drawing, draw, slug
from designtools.siting.pull import force_product, peak, pull, spatial_gradient
from designtools.siting.sampling import magnitude
from designtools.siting.site import AXIS_NAMES, VIEWS, Site, site_of
from designtools.siting.zones import accessible_patches, silhouette
from designtools.sources.assembly import leaves
from designtools.units import format

ELEMENTS = ("current_elements", "charge_elements", "dipole_elements")  # one of which a source has whose load can be taken
FINE, WIDE = 161, 81  # points along a side of the maps of |B| and of its slopes


class SitingPieces(NamedTuple):
    """What a recipe adds to its evidence; all empty where the spec sets siting.enabled to false."""

    figures: dict[str, Figure]
    implied: tuple[Mapping[str, Any], ...]
    plots: dict[str, Any]
    audit: dict[str, Any]


def siting_pieces(source, siting, bore_axis=(0.0, 0.0, 1.0), progress: Callable | None = None, angles: int = 240) -> SitingPieces:
    """Everything about the fringe field of `source` (isocentre at the origin) on the site of a spec's `siting` section.

    angles: rays over half a turn, for the extents.
    """
    if not siting.enabled:
        return SitingPieces({}, (), {}, {})
    say = progress or (lambda sentence: None)
    site = site_of(siting.model_dump(), bore_axis)
    standing, plates, loads, audit = _with_plates(source, site, say)
    say("fringe field: extents and the siting drawing")
    axis = "xyz"[int(np.argmax(np.abs(bore_axis)))]
    fringe = {name: fringe_extent(source, level, axis, angles=angles) for name, level in site.levels.items() if not _doubt(source, level)}
    drawing = draw(standing, site)
    seen = far_sighted(standing, min(site.levels.values()))
    peaks = _peaks(seen, site)
    figures = loads | _fringe_figures(source, site, fringe) | _peak_figures(peaks) | _zone_figures(source, drawing)
    plots = _maps(seen, site, fringe) | {"siting": drawing} | _tables(source, site, fringe, drawing, peaks)
    plots |= plates | _attenuation(source, standing, site, drawing)
    return SitingPieces(figures, tuple(_zone_limits(drawing)), plots, audit)


def _with_plates(source, site: Site, say):
    """The source with its plates of steel, their table, the loads between both, their audit record."""
    if not site.plates:
        return source, {}, {}, {}
    from designtools.siting.iron import plates_in_field

    say("plates of steel: nonlinear finite elements")
    found = plates_in_field(source, site)
    pulls, loads = _plate_loads(source, found)
    columns = ("plate", "largest |B|", "mean |B|", "pull on the magnet", "state")
    state = lambda p: f"SATURATED: {format(p.saturated_share, '1')} of it beyond {format(p.knee, 'T')}" if p.saturated else "below saturation"
    rows = tuple((p.name, format(p.peak, "T"), format(p.mean, "T"), format(f, "N") if np.isfinite(f) else "not known", state(p)) for p, f in zip(found.plates, pulls))
    table = Table("Plates of steel", columns, rows, found.method)
    record = {p.name: {"peak_field": p.peak, "mean_field": p.mean, "saturated": p.saturated} for p in found.plates}
    return found.source, {"plates": table}, loads, {"plates": record | {"solver": found.record}}


def _plate_loads(source, found) -> tuple[list[float], dict[str, Figure]]:
    """Pull (N) of each plate on the magnet, and the sums; nothing is known of magnets that are known by their field alone."""
    parts = leaves(source)
    if not all(any(hasattr(part, name) for name in ELEMENTS) for part in parts):
        return [np.nan] * len(found.plates), {}
    pulls = [np.asarray(force(source, leaf)) for leaf in leaves(found.iron)]
    words = f"currents and magnets of the magnet in the field of the magnetised bricks; {found.method}"
    return [float(np.linalg.norm(f)) for f in pulls], {
        "plates_force": Figure(float(np.linalg.norm(np.sum(pulls, axis=0))), "N", f"net force between the magnet and all plates of steel: {words}"),
        "plates_torque": Figure(float(np.linalg.norm(torque(source, found.iron))), "N·m", f"net torque between them about the isocentre: {words}"),
    }


def _attenuation(source, standing, site: Site, drawing: Drawing) -> dict[str, Table]:
    """What the plates take from the field at the worst place of every zone."""
    if not (site.plates and drawing.zones):
        return {}
    places = site.points([found.peak.place for found in drawing.zones])
    bare, kept = magnitude(source, places), magnitude(standing, places)
    rows = tuple((f.zone.name, format(a, "T"), format(b, "T"), f"{a / b:.2f}") for f, a, b in zip(drawing.zones, bare, kept))
    columns = ("zone", "without the plates", "with them", "attenuation")
    return {"attenuation": Table("Attenuation by the plates", columns, rows, "At the place where the zone's field is largest with the plates.")}


def _doubt(source, level: float) -> str:
    """Why a source cannot be asked for a level (a vendor's table has an end), or ""."""
    return source.warning(level) if hasattr(source, "warning") else ""


# --- figures ------------------------------------------------------------------------------------


def _fringe_figures(source, site: Site, fringe) -> dict[str, Figure]:
    figures = {}
    with_steel = ", of the magnet without its plates (the drawing has the lines with them)" if site.plates else ""
    for name, level in site.levels.items():
        found, doubt = fringe.get(name), _doubt(source, level)
        words = f"outermost |B| = {format(level, 'T')}, from the isocentre{with_steel}"
        figure = lambda key, unit, what: Figure(getattr(found, key) if found else np.nan, unit, doubt or f"{words}, {what}")
        figures |= {
            f"fringe_axial_{name}": figure("axial", "m", "on the axis of the bore"),
            f"fringe_radial_{name}": figure("radial", "m", "across the bore in the midplane"),
            f"fringe_axial_max_{name}": figure("axial_max", "m", "largest along the bore of any point of the surface"),
            f"fringe_radial_max_{name}": figure("radial_max", "m", "largest across the bore of any point of the surface"),
            f"fringe_area_{name}": figure("area", "m^2", "enclosed in the plane through the axis"),
            f"fringe_volume_{name}": figure("volume", "m^3", "enclosed"),
        }
    return figures


def _peaks(source, site: Site) -> dict:
    """Name -> (label, unit, largest value with its place, where it was sought)."""
    patches, where = accessible_patches(source, site)
    of = {
        "spatial_gradient_max": ("largest |grad |B||", "T/m", spatial_gradient),
        "force_product_max": ("largest |B| |grad |B||", "T^2/m", force_product),
        "steel_pull_max": ("largest pull on a steel ball, over its weight", "1", pull),
    }
    return {
        name: (label, unit, peak(lambda p, f=function: f(source, site.points(p)), patches), where)
        for name, (label, unit, function) in of.items()
    }


def _peak_figures(peaks) -> dict[str, Figure]:
    return {
        name: Figure(found.value, unit, f"{label} {where}, at {_place(found.place)}")
        for name, (label, unit, found, where) in peaks.items()
    }


def _place(local) -> str:
    across, along, up = np.round(local, 2) + 0.0  # no -0.00
    return f"{across:.2f} m across, {along:.2f} m along, {up:.2f} m up from the isocentre"


def zone_figure(name: str) -> str:
    """The name of the figure that a zone's limit is held to."""
    return f"zone_{slug(name).replace('-', '_')}_field_max"


def _zone_figures(source, drawing: Drawing) -> dict[str, Figure]:
    figures = {}
    for found in drawing.zones:
        doubt = _doubt(source, found.zone.limit)
        words = f"largest |B| in the zone '{found.zone.name}', on its surface, at {_place(found.peak.place)}"
        figures[zone_figure(found.zone.name)] = Figure(np.nan if doubt else found.peak.value, "T", doubt or words)
    return figures


def _zone_limits(drawing: Drawing):
    for found in drawing.zones:
        yield {"quantity": zone_figure(found.zone.name), "op": "<=", "limit": found.zone.limit}


# --- drawings -----------------------------------------------------------------------------------


def _maps(source, site: Site, fringe) -> dict[str, PlaneMap]:
    plan = VIEWS[0]
    far = 1.15 * max([max(f.axial_max, f.radial_max) for f in fringe.values()] + [1.0])
    magnet = silhouette(source, site, plan)
    near = 2.5 * float(np.abs(magnet).max())
    size = partial(_map, source, site, magnet)
    product = "Pull on steel: |B| |grad |B||"
    return {
        "fringe": size(far, FINE, magnitude, "T", "Fringe field in plan", "|B|", tuple(site.levels.values()), (1e-4, 1.0)),
        "spatial_gradient": size(near, WIDE, spatial_gradient, "T/m", "Spatial gradient |grad |B|| in plan", "|grad |B||", (1.0, 3.0, 5.0), (1e-2, 20.0)),
        "force_product": size(near, WIDE, force_product, "T^2/m", product, "|B| |grad |B||", (0.0322462,), (1e-4, 20.0)),
    }


def _map(source, site, magnet, half, count, of, unit, title, label, levels, span) -> PlaneMap:
    axis = np.linspace(-half, half, count)
    plane = site.plane(VIEWS[0])
    flat = np.stack(np.meshgrid(axis, axis, indexing="ij"), axis=-1).reshape(-1, 2)
    values = of(source, plane.points(flat)).reshape(count, count)
    caption = "In the horizontal plane through the isocentre, by decades; outlines: the box round the windings"
    caption += ", walls, zones and plates." if site.room or site.zones or site.plates else "."
    caption += " The line is that of 1 g for a steel ball below saturation." if len(levels) == 1 else ""
    return PlaneMap(
        title, axis, axis, values, unit, label=label, x_label=AXIS_NAMES[0], y_label=AXIS_NAMES[1], levels=levels,
        outlines=tuple(_clipped([magnet, *_plan_outlines(site)], half)), log=True, span=span, caption=caption,
    )  # fmt: skip


def _plan_outlines(site: Site):
    prisms = [p for p in (site.scanner, site.room) if p] + list(site.zones) + list(site.plates)
    return [np.concatenate([p.outline, p.outline[:1]]) for p in prisms]


def _clipped(outlines, half: float):
    return (np.clip(outline, -half, half) for outline in outlines)


# --- tables -------------------------------------------------------------------------------------


def _tables(source, site: Site, fringe, drawing: Drawing, peaks) -> dict[str, Table]:
    tables = {"fringe_table": _fringe_table(source, site, fringe), "peaks": _peak_table(peaks)}
    if drawing.zones:
        tables["zones"] = _zone_table(drawing)
    if site.faults:
        tables["faults"] = _fault_table(site, drawing)
    return tables


def _fringe_table(source, site: Site, fringe) -> Table:
    columns = ("level", "on the axis", "in the midplane", "largest along", "largest across", "area", "volume")
    rows = []
    for name, level in site.levels.items():
        if name not in fringe:
            rows.append((format(level, "T"), _doubt(source, level), *[""] * 5))
            continue
        f = fringe[name]
        metres = [f"{v:.3f} m" for v in (f.axial, f.radial, f.axial_max, f.radial_max)]
        rows.append((format(level, "T"), *metres, f"{f.area:.1f} m²", f"{f.volume:.1f} m³"))
    caption = "Distances from the isocentre. The line may bulge beside the axis and the midplane: safety limits belong to the largest distances."
    return Table("Fringe field", columns, tuple(rows), caption)


def _peak_table(peaks) -> Table:
    rows = [(label, format(found.value, unit), where, _place(found.place)) for label, unit, found, where in peaks.values()]
    return Table(
        "Forces on steel", ("quantity", "value", "sought", "place"), tuple(rows),
        "Steel ball: infinite permeability up to 0.7 T, 2.1 T saturation, 7850 kg/m³.",
    )  # fmt: skip


def _zone_table(drawing: Drawing) -> Table:
    rows = tuple(
        (f.zone.name, format(f.zone.limit, "T"), format(f.peak.value, "T"), _place(f.peak.place),
         f"exceeded on {f.area:.2f} m² in plan" if f.violations else "kept everywhere")
        for f in drawing.zones
    )  # fmt: skip
    return Table("Zones", ("zone", "limit", "largest |B|", "place", "limit is"), rows, "Normal operation.")


def _fault_table(site: Site, drawing: Drawing) -> Table:
    rows = []
    for fault in site.faults:
        for name, level in site.levels.items():
            normal, lost = drawing.reach(name), drawing.reach(f"{slug(fault.name)}-{name}")
            rows.append((fault.name, format(level, "T"), *(f"{v:.2f} m" for v in (*normal[::-1], *lost[::-1]))))
    columns = ("fault", "level", "along, normal", "across, normal", "along, in the fault", "across, in the fault")
    return Table("Faults", columns, tuple(rows), "Largest distances in plan; the coils that are not lost keep their currents.")
