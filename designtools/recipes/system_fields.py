"""Fields of a system where they matter: encoding and concomitant fields, devices in the stray field, the site, the covers."""

from __future__ import annotations

import numpy as np

from designtools.audit import unseen_points
from designtools.quantities import concomitant
from designtools.quantities.permanent import as_dipoles
from designtools.recipes.siting_evidence import siting_pieces
from designtools.recipes.system_eddies import gradient_of
from designtools.recipes.system_found import Found, implied
from designtools.result import Figure, PlaneMap, Table
from designtools.siting.distant import distant
from designtools.siting.drawing import slug
from designtools.siting.sampling import magnitude
from designtools.siting.site import site_of
from designtools.sources import Assembly, Magnets
from designtools.sources.assembly import leaves
from designtools.units import format

SEEN, SEED = 2000, 1  # points of the region: those of a part's own audit, where its region is the same
SIDE = 41  # points along a side of a map
ANGLES = 48  # rays over half a turn of the fringe
FACE = 41  # points along each edge of the covers
LEVEL = 0.5e-3  # T, of the line that people with implants must not cross
FARTHEST = 20.0  # m


# --- encoding -----------------------------------------------------------------------------------------


def encoding(setting, say) -> Found:
    """Concomitant field and non-linearity of every gradient in the true field of the magnet."""
    magnet, coils = setting.magnet(), [p for p in setting.of("gradient") if "gradient_axis" in p.result.spec.get("target", {})]
    if not coils:
        return Found()
    say("concomitant fields and non-linearity")
    figures, plots, rows = {}, {}, []
    for piece in coils:
        gradient, along = gradient_of(setting, piece)
        figures |= _linearity(setting, piece, gradient, along)
        if magnet is not None:
            figures |= _concomitant(setting, piece, magnet, gradient)
        plots |= _maps(setting, piece, magnet, gradient, along)
        names = ("linearity_error_max", "concomitant_field_max", "concomitant_shift_max")
        rows.append((piece.name, format(gradient, "T/m"), *(format(figures[k].value, figures[k].unit) if (k := f"{piece.name}.{n}") in figures else "no magnet" for n in names)))
    for name in ("concomitant_field_max", "concomitant_shift_max"):
        own = [f for key, f in figures.items() if key.endswith(f".{name}")]
        if own:
            figures[name] = Figure(max(f.value for f in own), own[0].unit, f"largest of any gradient by itself; {own[0].method}")
    columns = ("gradient", "strength", "largest non-linearity", "largest concomitant field", "largest shift")
    return Found(figures, plots | {"encoding": Table("Encoding fields", columns, tuple(rows), "Over the region of the system, at operating currents, in the true field of the magnet.")})


def _points(setting) -> np.ndarray:
    return unseen_points(setting.spec.region.half_widths, setting.spec.region.centre, SEEN, SEED).points


def _linearity(setting, piece, gradient: float, along) -> dict[str, Figure]:
    points = _points(setting)
    distance = (points - np.asarray(setting.spec.region.centre)) @ along
    component = np.asarray(piece.source.field(points)) @ setting.b0
    sign = np.sign(component @ distance)
    error = np.abs(component - sign * gradient * distance).max() / (gradient * np.abs(distance).max())
    return {f"{piece.name}.linearity_error_max": Figure(float(error), "1", f"largest deviation of B·b0 from the fitted gradient over the region of the system, {SEEN} points")}


def _concomitant(setting, piece, magnet, gradient: float) -> dict[str, Figure]:
    field = np.asarray(concomitant.concomitant_field(piece.source, magnet, _points(setting)))
    words = "exact difference of |B| beyond the encoded component, wires in the true field of the magnet, at operating current"
    return {
        f"{piece.name}.concomitant_field_max": Figure(float(field.max()), "T", words),
        f"{piece.name}.concomitant_shift_max": Figure(float(field.max() / gradient), "m", f"{words}, over the gradient"),
    }


def _maps(setting, piece, magnet, gradient: float, along) -> dict[str, PlaneMap]:
    """Both in the plane of the gradient and B0, in which the concomitant field grows (or the bore, where these are one)."""
    second = next(axis for axis in (setting.b0, setting.bore, np.eye(3)[np.argmin(np.abs(along))]) if abs(along @ axis) < 0.9)
    second = second - along * (along @ second)
    second /= np.linalg.norm(second)
    spec, centre = setting.spec, np.asarray(setting.spec.region.centre)
    radius = max(spec.region.half_widths)
    x = np.linspace(-1.05 * radius, 1.05 * radius, SIDE)
    points = (centre + x[:, None, None] * along + x[None, :, None] * second).reshape(-1, 3)
    component = np.asarray(piece.source.field(points)) @ setting.b0
    distance = (points - centre) @ along
    error = (component - np.sign(component @ distance) * gradient * distance) / (gradient * radius)
    look = {"x_label": "along the gradient", "y_label": "across", "circle": (0.0, 0.0, radius)}
    drawn = {f"linearity_{piece.name}": PlaneMap(f"Non-linearity: {piece.name}", x, x, error.reshape(SIDE, SIDE), "1", label="deviation over gradient x reach", diverging=True, **look)}
    if magnet is not None:
        field = np.asarray(concomitant.concomitant_field(piece.source, magnet, points)).reshape(SIDE, SIDE)
        drawn[f"concomitant_{piece.name}"] = PlaneMap(f"Concomitant field: {piece.name}", x, x, field, "T", label="beyond the encoded component", **look)
    return drawn


# --- the site -----------------------------------------------------------------------------------------


def around(setting, say) -> Found:
    """Fringe lines, zones, faults and plates of the site; how far the line reaches beyond the covers; devices."""
    magnet = _seen_from_afar(setting)
    if magnet is None:
        return Found()
    site = siting_pieces(magnet, setting.spec.siting, setting.spec.frame.bore_axis, say, ANGLES)
    rows = tuple({**row, "source": "siting of this spec", "edition": ""} for row in site.implied)
    covers, devices = _covers(setting, magnet), _devices(setting)
    figures = dict(site.figures) | dict(covers.figures) | dict(devices.figures)
    return Found(figures, dict(site.plots) | dict(devices.plots), rows + devices.implied, dict(site.audit))


def _seen_from_afar(setting):
    """The magnets, cuboids as dipoles: outside their bore the difference is below their scatter."""
    if setting.magnet() is None:
        return None
    parts = leaves(setting.magnet())
    drawn = [as_dipoles(leaf) if isinstance(leaf, Magnets) else leaf for leaf in parts]
    pieces = sum(len(np.asarray(leaf.centre)) if isinstance(leaf, Magnets) else 1 for leaf in parts)
    return distant(drawn[0] if len(drawn) == 1 else Assembly(drawn), pieces)


def _covers(setting, magnet) -> Found:
    """The least distance at which |B| is below the level everywhere on the covers grown by it: beyond it falls further."""
    siting = setting.spec.siting
    if siting.scanner is None:
        return Found()
    site = site_of(siting.model_dump(), setting.spec.frame.bore_axis)
    largest = lambda grown: float(magnitude(magnet, site.points(_box(site.scanner, grown))).max())
    low, high = 0.0, 0.1
    if largest(0.0) <= LEVEL:
        high = 0.0
    while high and largest(high) > LEVEL and high < FARTHEST:
        low, high = high, 2 * high
    if high >= FARTHEST and largest(high) > LEVEL:
        return Found({"cover_distance_0p5mT": Figure(np.nan, "m", f"not within {FARTHEST:g} m")})
    while high - low > 1e-3:
        middle = (low + high) / 2
        low, high = (middle, high) if largest(middle) > LEVEL else (low, middle)
    bare = "; of the magnets alone, without the plates" if siting.plates else ""
    words = f"largest |B| on the box of the covers, grown by this distance on all sides, is {format(LEVEL, 'T')}; beyond it falls further; {FACE} x {FACE} points on each face{bare}"
    return Found({"cover_distance_0p5mT": Figure(high, "m", words, 1e-3)})


def _box(prism, grown: float) -> np.ndarray:
    """Points (n,3) across, along, up on the faces of a box grown by a length."""
    low = np.array([*np.min(prism.outline, axis=0), prism.bottom]) - grown
    high = np.array([*np.max(prism.outline, axis=0), prism.top]) + grown
    t = np.linspace(0, 1, FACE)
    u, v = (grid.ravel() for grid in np.meshgrid(t, t))
    faces = []
    for axis in range(3):
        for end in (0.0, 1.0):
            share = np.insert(np.stack([u, v], axis=1), axis, end, axis=1)
            faces.append(low + share * (high - low))
    return np.concatenate(faces)


def _devices(setting) -> Found:
    """|B| of everything at the places of devices: the magnet's, and what the gradients add at most."""
    devices = setting.spec.electronics
    if not devices:
        return Found()
    places = np.array([d.position for d in devices])
    still = _size(setting.magnet(), places)
    moving = sum((_size(p.source, places) for p in setting.of("gradient", "shim") if p.source is not None), np.zeros(len(places)))
    total = still + moving
    figures, rows, table = {}, [], []
    for device, own, switched, value in zip(devices, still, moving, total):
        name = f"electronics.{slug(device.name).replace('-', '_')}"
        figures[name] = Figure(float(value), "T", "|B| of the magnet and of every gradient and shim at operating current, added as if all were parallel")
        rows.append(implied(name, "<=", device.limit, "electronics of this spec"))
        table.append((device.name, format(float(own), "T"), format(float(switched), "T"), format(device.limit, "T"), f"{value / device.limit:.1%}"))
    share = max(float(v / d.limit) for v, d in zip(total, devices))
    figures["electronics_field_share_max"] = Figure(share, "1", "largest |B| at a device over what it bears")
    columns = ("device", "of the magnet", "of gradients and shims", "bears", "share")
    return Found(figures, {"electronics": Table("Devices in the stray field", columns, tuple(table))}, tuple(rows))


def _size(source, places) -> np.ndarray:
    return np.zeros(len(places)) if source is None else np.linalg.norm(np.asarray(source.field(places)), axis=1)
