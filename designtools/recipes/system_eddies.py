"""What switched currents do in the conducting layers of a system, and what the RF shield does to the RF coils."""

from __future__ import annotations

import numpy as np

from designtools.audit import fitted_gradient, unseen_points, volume_rule
from designtools.formers.cylinder import Cylinder
from designtools.quantities import eddy
from designtools.quantities.coupling import image_response
from designtools.recipes.system_found import Found
from designtools.result import OUTSIDE_MODEL, Figure, Table
from designtools.units import MU_0, format

AROUND = 40  # vertices around a layer
VERTICES = 1800  # of all layers together, about: their matrices are full
SEEN = 300  # points of the region
GROUPED = 10.0  # ratio of temperatures that counts as one stage


def eddies(setting, say) -> Found:
    """Residual fields over the region and heat in the layers, and the RF coils in their shield."""
    if not setting.spec.conductors:
        return Found()
    say("eddy currents in the conducting layers")
    modes = _modes(setting, setting.spec.conductors)
    spec = setting.spec
    points = unseen_points(spec.region.half_widths, spec.region.centre, SEEN, 3).points
    seen = eddy.mode_fields(modes, points, setting.b0)
    found = [_of_part(setting, piece, modes, seen) for piece in setting.of("gradient", "shim") if piece.circuits is not None]
    return _summed(setting, modes, found, _in_shield(setting, say))


def _modes(setting, layers):
    frame = _frame(setting)
    shells = []
    for layer in layers:
        former = Cylinder(layer.radius, layer.length, frame, layer.centre * frame[2])
        coarse = np.sqrt(2 * np.pi * layer.radius * layer.length * len(layers) / (0.87 * VERTICES))
        shells.append(eddy.shell(layer.name, former.mesh(min(max(2 * np.pi * layer.radius / AROUND, coarse), layer.radius)), layer.thickness, 1 / layer.resistivity))
    return eddy.eddy_modes(shells, [])


def _frame(setting) -> np.ndarray:
    """Rows: two directions across the bore, and the bore."""
    bore = setting.bore
    first = np.eye(3)[np.argmin(np.abs(bore))]
    first = first - bore * (first @ bore)
    first /= np.linalg.norm(first)
    return np.stack([first, np.cross(bore, first), bore])


def _of_part(setting, piece, modes, seen) -> dict:
    """Residual field (T) and heat (M,) W of each mode, the part at its operating current."""
    switching, tau = setting.spec.switching, modes.time_constants
    omega = 2 * np.pi * switching.frequency
    linked = eddy.linked_flux(modes, piece.source)
    field = seen @ (linked * eddy.after_ramp(tau, switching.wait, switching.ramp))
    heat = (omega * linked) ** 2 / (2 * (1 + (omega * tau) ** 2))
    return {"piece": piece, "field": float(np.abs(field).max()), "heat": heat, "scale": _scale(setting, piece)}


def _scale(setting, piece) -> float:
    """Gradient times reach (T) of a gradient coil at its operating current, else not a number."""
    axis = piece.result.spec.get("target", {}).get("gradient_axis")
    if piece.role != "gradient" or axis is None:
        return np.nan
    return gradient_of(setting, piece)[0] * max(setting.spec.region.half_widths)


def direction_of(piece) -> np.ndarray:
    """Unit vector along the gradient of a coil."""
    axis = piece.result.spec["target"]["gradient_axis"]
    if isinstance(axis, str):
        return (-1.0 if axis.startswith("-") else 1.0) * np.eye(3)["xyz".index(axis[-1])]
    return np.asarray(axis, float) / np.linalg.norm(axis)


def gradient_of(setting, piece) -> tuple[float, np.ndarray]:
    """Least-squares gradient (T/m) of B·b0 over the region at the operating current, and its direction (3,)."""
    spec = setting.spec
    rule = volume_rule(spec.region.half_widths, np.asarray(spec.region.centre))
    along = direction_of(piece)
    component = np.asarray(piece.source.field(rule.points)) @ setting.b0
    return float(abs(fitted_gradient(component, (rule.points - np.asarray(spec.region.centre)) @ along, rule.weights))), along


def _summed(setting, modes, found, shield: Found) -> Found:
    switching = setting.spec.switching
    when = f"{format(switching.wait, 's')} after a ramp of {format(switching.ramp, 's')}"
    words = f"{len(modes.time_constants)} modes of {len(modes.shells)} thin layers that shield each other, flux of the wires"
    figures, rows, shares, slow = {}, [], _shares(setting, modes), _slow(setting)
    for item in found:
        name, watts = item["piece"].name, float((shares @ item["heat"]).sum())
        share = item["field"] / item["scale"]
        figures[f"{name}.eddy_field_max"] = Figure(share, "1", f"largest residual field over the region {when}, over gradient times reach; {words}{slow}")
        figures[f"{name}.eddy_power"] = Figure(watts, "W", f"mean power in the layers, a sinusoid at {format(switching.frequency, 'Hz')} with the operating current as amplitude; {words}")
        rows.append((name, format(item["field"], "T"), format(share, "1") if np.isfinite(share) else "no gradient", format(watts, "W")))
    residuals = [f.value for n, f in figures.items() if n.endswith("eddy_field_max") and np.isfinite(f.value)]
    powers = [f.value for n, f in figures.items() if n.endswith("eddy_power")]
    if residuals:
        figures["eddy_field_max"] = Figure(max(residuals), "1", f"largest of any gradient, {when}; {words}{slow}")
    if powers:
        figures["eddy_power"] = Figure(sum(powers), "W", f"all gradients and shims together; {words}")
    table = Table("Eddy currents in the layers", ("part", "largest residual field", "over gradient times reach", "heat in the layers"), tuple(rows), f"Residual {when}; heat at {format(switching.frequency, 'Hz')}. {words[0].upper()}{words[1:]}.")
    layers = tuple((l.name, format(l.radius, "m"), format(l.thickness, "m"), format(l.resistivity, "ohm·m"), format(l.temperature, "K")) for l in setting.spec.conductors)
    tables = {"eddies": table, "layers": Table("Conducting layers", ("layer", "radius", "thickness", "resistivity", "temperature"), layers)}
    tau = modes.time_constants[:5].tolist()
    record = {"layers": {"longest time constants (s)": tau}}
    return Found(figures | dict(shield.figures), tables | dict(shield.plots), (), record, _heat_of_layers(setting, found, shares))


def _shares(setting, modes) -> np.ndarray:
    """Heat (L,M) that each layer makes of the heat of each mode taken as a thin sheet: a layer thicker than its skin depth makes
    more than its share, since the current keeps to one side of it."""
    loss = np.stack([np.einsum("vm,vm->m", modes.streams[s.model.part], _drag(s) @ modes.streams[s.model.part]) for s in modes.shells])
    thick = [crowding(layer, setting.spec.switching.frequency) for layer in setting.spec.conductors]
    return np.array(thick)[:, None] * loss / np.maximum(loss.sum(axis=0), 1e-300)


def crowding(layer, frequency: float) -> float:
    """Re of x coth x, x = (1 + i) thickness / skin depth: surface resistance of a plate over that of a thin sheet."""
    x = (1 + 1j) * layer.thickness * np.sqrt(np.pi * frequency * MU_0 / layer.resistivity)
    return float((x / np.tanh(x)).real)


def _heat_of_layers(setting, found, shares) -> dict[str, float]:
    """Heat (W) in each layer at the duty of the parts: their mean square current over that of the operating one, a sinusoid's being a half."""
    total = sum(2 * item["heat"] * item["piece"].part.duty for item in found) if found else np.zeros(shares.shape[1])
    return dict(zip([layer.name for layer in setting.spec.conductors], (shares @ total).tolist()))


def _slow(setting) -> str:
    """What is said of layers through which the field spreads more slowly than one looks at it."""
    spec = setting.spec
    slow = [l.name for l in spec.conductors if MU_0 * l.thickness**2 / (np.pi**2 * l.resistivity) > spec.switching.wait]
    return f"; {OUTSIDE_MODEL}: the field takes longer than switching.wait to spread through {', '.join(slow)}" if slow else ""


def _drag(shell):
    """R (V,V) ohm of a layer between its vertices."""
    from scipy import sparse

    from designtools.sources.sheet import current_operator, face_areas

    model = shell.model
    flow = sparse.csr_array(current_operator(model.vertices, model.triangles))
    area = np.asarray(face_areas(model.vertices[model.triangles]))
    return flow.T @ sparse.diags_array(shell.sheet_resistance * np.repeat(area, 3)) @ flow


# --- the RF shield --------------------------------------------------------------------------------------


def _in_shield(setting, say) -> Found:
    """Field per ampere and inductance of every RF coil with the shield as a perfect conductor, and its loading by the body."""
    coils = [piece for piece in setting.of("rf") if piece.circuits is not None]
    loaded = {f"{p.name}.rf_loading": _loading(p) for p in coils if "losses_W" in p.result.audit}
    if not coils or setting.spec.rf_shield is None:
        return Found(loaded)
    say("RF coils in their shield")
    layer = next(l for l in setting.spec.conductors if l.name == setting.spec.rf_shield)
    modes = _modes(setting, [layer])
    centre = np.asarray(setting.spec.region.centre, float)[None]
    seen = np.stack([eddy.mode_fields(modes, centre, axis)[0] for axis in np.eye(3)])
    figures, rows = dict(loaded), []
    for piece in coils:
        kept, left = _shielded(piece, modes, seen, centre)
        words = f"channel where most is lost; shield '{layer.name}' without resistance, quasi-static: its radius far below a wavelength"
        figures[f"{piece.name}.b1_in_shield"] = Figure(kept, "1", f"transmit field at the centre of the region per ampere, with the shield over without; {words}")
        figures[f"{piece.name}.inductance_in_shield"] = Figure(left, "1", f"inductance with the shield over without; {words}")
        rows.append((piece.name, format(kept, "1"), format(left, "1") if np.isfinite(left) else "not known", f"{figures[f'{piece.name}.rf_loading'].value:.1%}" if f"{piece.name}.rf_loading" in figures else "not known"))
    table = Table("RF coils in their shield", ("coil", "field per ampere", "inductance", "share of the body in the losses"), tuple(rows), "Over what it is without the shield; the shield as a perfect conductor.")
    return Found(figures, {"rf_shield": table})


def _shielded(piece, modes, seen, centre) -> tuple[float, float]:
    """Least field left (ratio) and least inductance left (ratio) of any channel."""
    fields, inductances = [], []
    for source in piece.circuits.sources[:64]:
        linked = eddy.linked_flux(modes, source)
        amperes, lost = image_response(modes, linked)
        own = np.asarray(source.field(centre))[0]
        fields.append(float(np.linalg.norm(own + seen @ amperes) / np.linalg.norm(own)))
        known = piece.figure("inductance")  # of a coil designed in its shield what is left
        inductances.append(known / (known + lost) if piece.result.spec.get("shield") else 1 - lost / known)
    return min(fields), min(inductances)


def _loading(piece) -> Figure:
    losses = piece.result.audit["losses_W"]
    return Figure(losses["body"] / sum(losses.values()), "1", "loss in the body over all losses at the drive, of the part's own model")
