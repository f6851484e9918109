"""What a wound gradient coil does to its surroundings: electric field in a person, eddy currents, vibration, heat, drive.

All of the wires themselves, on finer meshes than the optimiser's where it had one.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from designtools.quantities import acoustics, concomitant, cooling, driving, eddy, electric_surface, skin_effect, stimulation
from designtools.recipes.gradient_setting import background, volume
from designtools.recipes.gradient_surroundings import ROUND, eddy_field, skin
from designtools.recipes.gradient_turns import wire_rise
from designtools.regions import Region
from designtools.result import Figure, Lines, SurfaceMap, Table

FACES = 4000  # of a person's surface, up to which it is divided for the audit
SEEN = 400  # points at which the eddy currents' field is looked at
SWINGS = np.linspace(0.02, 2.0, 100)  # of the gradient, in target.strength, in the plot of slew rates
AXES = 41  # gradient strengths of the amplifier's curve


class Effects(NamedTuple):
    """Pieces for the evidence: figures, plots, requirements that the spec implies."""

    figures: dict
    plots: dict
    implied: tuple[dict, ...]


def effects(setting, product, gradient: float, points: Region, electrical: dict) -> Effects:
    """Everything the spec's patient, cryostat, wall, cooling, amplifier and magnet ask about the wires.

    gradient: fitted (T/m) at the operating current; points: unseen ones in the region; electrical: the figures of the coil.
    """
    found = [
        _patient(setting, product, gradient),
        _cryostat(setting, product, gradient, points),
        _wall(setting, product),
        _cooling(setting, product),
        _concomitant(setting, product, gradient, points),
        _drive(setting, product, electrical),
    ]
    merged = lambda name: {k: v for piece in found for k, v in getattr(piece, name).items()}
    return Effects(merged("figures"), merged("plots"), tuple(row for piece in found for row in piece.implied))


NOTHING = Effects({}, {}, ())


def _limit(quantity: str, limit) -> tuple[dict, ...]:
    return () if limit is None else ({"quantity": quantity, "op": "<=", "limit": limit},)


# --- a person -------------------------------------------------------------------------------------


def _patient(setting, product, gradient: float) -> Effects:
    patient = setting.spec.patient
    if patient is None:
        return NOTHING
    vertices, faces = _finer(*skin(patient, ROUND + 1))
    middles = vertices[faces].mean(axis=1)
    per_slew = electric_surface.on_surface(vertices, faces, np.asarray(product.source.potential(middles)) / gradient)
    size = np.linalg.norm(per_slew, axis=1) * patient.slew_rate
    largest, at = _largest(patient, vertices, faces, size), middles[np.argmax(size)]
    method = f"charges on a surface of {len(faces)} triangles, vector potential of the wires; at {at[0]:.3f}, {at[1]:.3f}, {at[2]:.3f} m"
    if patient.surface is not None:
        method = "99th percentile of the area of the surface; " + method
    threshold = stimulation.coil_threshold(largest / patient.slew_rate, patient.rheobase, patient.chronaxie)
    law = "hyperbolic law (Weiss) with patient.rheobase and patient.chronaxie; a design estimate, not conformity evidence"
    figures = {
        "electric_field_max": Figure(largest, "V/m", method),
        "stimulation_slew_min": Figure(threshold.slew, "T/m/s", f"smallest slew rate that stimulates however long it lasts; {law}"),
        "stimulation_swing_min": Figure(threshold.step, "T/m", f"smallest swing of the gradient that stimulates however fast; {law}"),
    }
    skin_map = SurfaceMap("Electric field on the person", vertices, faces, size, "V/m", label="|E|", caption=f"At {patient.slew_rate:g} T/m/s.")
    return Effects(figures, {"patient": skin_map, "stimulation": _slew_plot(setting, threshold)}, _limit("electric_field_max", patient.limit))


def _finer(vertices, faces):
    """The surface with each triangle in four, unless it is fine already."""
    import trimesh

    return (vertices, faces) if 4 * len(faces) > FACES else trimesh.remesh.subdivide(vertices, faces)


def _largest(patient, vertices, faces, size) -> float:
    """|E| on a smooth surface: its largest; on one from a file, whose edges make it peak, the 99th percentile of the area."""
    if patient.surface is None:
        return float(size.max())
    corners, order = vertices[faces], np.argsort(size)
    area = np.linalg.norm(np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]), axis=1)[order]
    share = np.cumsum(area) / area.sum()
    return float(size[order][np.searchsorted(share, 0.99)])


def _slew_plot(setting, threshold) -> Lines:
    swing = SWINGS * setting.spec.target.strength
    slew = np.where(swing > 1.02 * threshold.step, threshold.allowed_slew(swing), np.nan)
    return Lines(
        "Slew rate without stimulation", swing, {"threshold": slew}, "T/m/s", x_unit="T/m", x_label="swing of the gradient", y_label="slew rate",
        marks={"patient.slew_rate": setting.spec.patient.slew_rate}, caption="Swings to the left of the curve do not stimulate at any slew rate.",
    )  # fmt: skip


# --- a cryostat -----------------------------------------------------------------------------------


def _cryostat(setting, product, gradient: float, points: Region) -> Effects:
    cryostat = setting.spec.cryostat
    if cryostat is None:
        return NOTHING
    modes = setting.surroundings.eddies
    linked = eddy.linked_flux(modes, product.source)
    seen = points.points[:: max(1, len(points) // SEEN)]
    omega = 2 * np.pi * cryostat.frequency
    power = float(np.sum((omega * linked) ** 2 / (2 * (1 + (omega * modes.time_constants) ** 2))))
    method = f"{len(linked)} modes of {len(modes.shells)} thin shells, flux of the wires"
    figures = {
        "eddy_field_max": Figure(
            eddy_field(setting, linked, seen) / (gradient * setting.reach), "1",
            f"largest field of the eddy currents {cryostat.wait * 1e3:g} ms after a ramp of {cryostat.ramp * 1e3:g} ms, over gradient times reach; {method}",
        ),
        "eddy_power": Figure(power, "W", f"mean power in the shells at {cryostat.frequency:g} Hz and amplitude target.strength; {method}"),
    }  # fmt: skip
    implied = _limit("eddy_field_max", cryostat.residual_limit) + _limit("eddy_power", cryostat.power_limit)
    return Effects(figures, {"preemphasis": _preemphasis(setting, product, modes)}, implied)


def _preemphasis(setting, product, modes) -> Table:
    rule = volume(setting.spec)
    distance = setting.distance(rule.points)
    weights = rule.weights * distance / (rule.weights @ distance**2)
    amplitude, tau = eddy.step_response(modes, product.source, rule, setting.b0, weights, smallest=1e-5)
    size, time = eddy.preemphasis(amplitude, tau) if len(tau) else ((), ())
    rows = [tuple(Figure(float(v), unit, "") for v, unit in zip(row, ("1", "s", "1", "s"))) for row in zip(amplitude, tau, size, time)]
    return Table(
        "Eddy currents and pre-emphasis", ("amplitude", "time constant", "overshoot", "its time constant"), tuple(rows),
        "What a step of the gradient loses to each time constant, and the overshoot that makes up for all of them together.",
    )  # fmt: skip


# --- the wall -------------------------------------------------------------------------------------


def _wall(setting, product) -> Effects:
    wall = setting.spec.wall
    if wall is None:
        return NOTHING
    former, body, modes = setting.surroundings.wall
    force = sum(acoustics.wire_modal_force(w.filaments(), background(setting.spec), former, modes) for w in product.windings)
    velocity = acoustics.surface_velocity_weights(body, modes, wall.frequencies, wall.damping) * force
    total = float(np.linalg.norm(velocity))
    order = np.argsort(-np.abs(velocity))[:8]
    rows = [
        (f"{modes[k].order}, {modes[k].waves}, {modes[k].kind}", Figure(body.frequency(modes[k].order, modes[k].waves), "Hz", ""), Figure(float(force[k]), "N", ""), Figure(float(velocity[k]), "m/s", ""))
        for k in order
    ]
    table = Table("Loudest modes of the wall", ("order, half waves, kind", "natural frequency", "force", "rms velocity"), tuple(rows), "At target.strength, all frequencies of wall.frequencies together.")
    figure = Figure(total, "m/s", f"rms over time and surface of {len(modes)} modes of a thin shell (Donnell), forces of the wires; to compare designs with")
    return Effects({"wall_velocity_rms": figure}, {"modes": table}, _limit("wall_velocity_rms", wall.velocity_limit))


# --- heat -----------------------------------------------------------------------------------------


def _cooling(setting, product) -> Effects:
    spec = setting.spec
    if spec.cooling is None:
        return NOTHING
    rise, plots = 0.0, {}
    for layer in setting.layers:
        tracks = [t for w in product.windings if w.name in {p.name for p in layer.patches} for t in w.tracks]
        if not tracks:
            continue
        theta = wire_rise(spec, layer, tracks, product.windings[0].current)
        rise = max(rise, float(theta.max()))
        plots[f"temperature_{layer.name}"] = SurfaceMap(
            f"Temperature of the {layer.name}", layer.mesh.vertices, layer.mesh.faces, theta, "K", label="above the coolant", caption="Heat of the turns as wound, carried along the surface and into the coolant.",
        )  # fmt: skip
    figure = Figure(rise, "K", "heat of the wires on the surface with lateral spreading, at conductor.temperature and cooling.duty")
    return Effects({"temperature_rise_max": figure} | _water(spec, product), plots, _limit("temperature_rise_max", spec.cooling.limit))


def _water(spec, product) -> dict[str, Figure]:
    """What the pressure drives through the hollow conductor, and how warm that gets."""
    if spec.cooling.pressure is None:
        return {}
    bore, length, circuits = spec.conductor.bore, sum(w.length for w in product.windings), spec.cooling.circuits
    each = cooling.flow_at_pressure(spec.cooling.pressure, np.pi / 4 * bore**2, np.pi * bore, length / circuits)
    power = spec.cooling.duty * product.windings[0].current ** 2 * spec.conductor.effective_resistivity * length / spec.conductor.area
    return {
        "coolant_flow": Figure(circuits * each, "m^3/s", f"water at 25 C through {circuits} straight channel(s) of the winding's length, Haaland's friction (about 2 % when turbulent), bends not counted"),
        "coolant_rise": Figure(cooling.coolant_rise(power, circuits * each), "K", "dissipated power at cooling.duty over heat capacity and flow"),
    }


# --- concomitant field ----------------------------------------------------------------------------


def _concomitant(setting, product, gradient: float, points: Region) -> Effects:
    if setting.spec.magnet is None:
        return NOTHING
    field = np.asarray(concomitant.concomitant_field(product.source, background(setting.spec), points.points))
    method = "exact difference of |B| beyond the encoded component, of the wires in the magnet's field at operating current"
    figures = {
        "concomitant_field_max": Figure(float(field.max()), "T", method),
        "concomitant_shift_max": Figure(float(field.max() / gradient), "m", f"{method}, over the gradient: the largest shift in the image"),
    }
    return Effects(figures, {}, ())


# --- drive ----------------------------------------------------------------------------------------


def _drive(setting, product, electrical: dict) -> Effects:
    spec = setting.spec
    if spec.amplifier is None:
        return NOTHING
    l, r, efficiency, current = (electrical[k].value for k in ("inductance", "resistance", "efficiency", "operating_current"))
    frequency = driving.sine_frequency(l, r, spec.amplifier.voltage, current)
    figures = {"sine_frequency_max": Figure(frequency, "Hz", "V = I |R + i w L| at operating current and the amplifier's voltage")}
    if frequency > 0:
        figures["resistance_ac"] = _alternating(spec, product, r, min(frequency, spec.amplifier.frequency))
    strengths = np.linspace(0, 1, AXES) * efficiency * spec.amplifier.current
    curve = driving.gradient_slew_curve(l, r, spec.amplifier.voltage, spec.amplifier.current, efficiency, strengths)
    plot = Lines(
        "What the amplifier makes of the coil", strengths, {"slew rate held up to it": curve}, "T/m/s", x_unit="T/m", x_label="gradient", y_label="slew rate",
        caption="Linear ramps from zero: efficiency x (V - R I) / L.",
    )  # fmt: skip
    return Effects(figures, {"drive": plot}, ())


def _alternating(spec, product, resistance: float, frequency: float) -> Figure:
    """Resistance with skin effect of the section alone and the loss of each track in the field of all others."""
    conductor, sigma = spec.conductor, 1 / spec.conductor.effective_resistivity
    alone, section = _alone(conductor, frequency, sigma)
    tracks = [t for w in product.windings for t in w.tracks]
    start, end, normals = (np.concatenate(parts) for parts in zip(*((t.points[:-1], t.points[1:], t.normals[:-1]) for t in tracks)))
    real = np.linalg.norm(end - start, axis=1) > 0  # a track may state a point twice
    start, end, normals, current = start[real], end[real], normals[real], product.windings[0].current
    total = resistance * alone + 2 * _proximity(conductor, start, end, normals, product.source, frequency, sigma) / current**2
    return Figure(float(total), "ohm", f"at {frequency:.0f} Hz: {section}, and eddy currents in the field of all other tracks")


def _alone(conductor, frequency: float, sigma: float) -> tuple[float, str]:
    """Resistance over that to direct current of the section by itself, and how that was found."""
    if conductor.strands is not None:
        bundle = (conductor.width * conductor.thickness / np.pi) ** 0.5
        ratio = skin_effect.litz_ratio(conductor.strands.diameter / 2, conductor.strands.count, bundle, frequency, sigma)
        return ratio, "transposed strands in a round bundle of the same section"
    if conductor.bore is not None:
        side = np.pi**0.5 / 2 * conductor.bore
        bars = skin_effect.hollow_rectangle(conductor.width, conductor.thickness, side, side)
        return skin_effect.resistance_ratios(bars, [1.0], frequency, sigma)[0], "skin effect of the section alone by bars, its bore square"
    bars = skin_effect.rectangle(conductor.width, conductor.thickness)
    return skin_effect.resistance_ratios(bars, [1.0], frequency, sigma)[0], "skin effect of the section alone by bars"


def _proximity(conductor, start, end, normals, source, frequency: float, sigma: float) -> float:
    """Loss (W, mean over a period) in the field of all other tracks; a hollow conductor counts as solid, which is the upper end."""
    if conductor.strands is None:
        return skin_effect.strip_proximity_loss(start, end, normals, source, conductor.width, conductor.thickness, frequency, sigma)
    return skin_effect.strand_proximity_loss(start, end, source, conductor.strands.diameter / 2, conductor.strands.count, frequency, sigma)
