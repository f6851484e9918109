"""What all RF recipes share: the body on its grid, the windings, the fields of each channel, and the limits of the model."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from designtools.materials import tissues
from designtools.problem import Design
from designtools.quantities.skin_effect import round_wire_ratio
from designtools.recipes.product import Product
from designtools.recipes.rf_windings import windings
from designtools.rf import antennas, coils, coupled, labels, moments, pulses, shields, solution, wires
from designtools.rf.body import Body, Layer, ellipsoids
from designtools.rf.layered_sphere import LayeredSphere, rotating
from designtools.solve.solution import Solution, Status
from designtools.sources.assembly import Assembly
from designtools.sources.filaments import Filaments
from designtools.spec import Mistake, SpecError, fingerprint
from designtools.spec.gradient import MATERIALS
from designtools.spec.rf_coil import GAMMA_BARS, MOMENTS
from designtools.units import MU_0

LIGHT = 299792458.0  # m/s
SLOW = 0.4  # |k| a up to which quasi-statics errs by about 1 %
COARSE = 0.6  # |k| h from which E errs by more than a tenth
EVEN = 1 / 15  # of a wavelength: longer sections between capacitors do not carry an even current


@dataclass(frozen=True)
class Setting:
    """The body, the windings and the method; the fields come with the solution."""

    spec: object
    body: Body
    coil: wires.Wires
    method: str
    warnings: tuple[str, ...]
    strands: moments.Strands | None = None  # where the currents are found with the fields
    shield_pieces: int = 0  # the last of the coil's, which carry what the coil induces

    @property
    def b1_rms(self) -> float:
        """Root mean square of the transmit field over time (T) at which SAR is stated."""
        asked = self.spec.transmit
        pulse = asked.reference_pulse
        return asked.b1_rms if pulse is None else pulses.rms(pulse.flip_angle, pulse.duration, pulse.repetition, pulse.shape, GAMMA_BARS[self.spec.nucleus])

    @property
    def channels(self) -> int:
        return self.coil.current.shape[1]

    @property
    def transmit(self) -> np.ndarray:
        """Weights (3,) of the transmit component."""
        return rotating(self.spec.frame.b0_axis)


def prepare(spec) -> Setting:
    """Voxels and windings; SpecError where they meet or nothing of the region is tissue."""
    body = make_body(spec)
    strands = make_strands(spec) if spec.coil.by_moments else None
    coil, shield = (antennas.outlines(strands), 0) if strands is not None else shielded(spec, make_coil(spec))
    _refuse_meeting(body, coil, spec)
    size = solution.electrical_size(body, spec.frequency)
    slow = size <= SLOW and strands is None
    method = spec.method if spec.method != "auto" else "quasi_static" if slow else "full_wave"
    setting = Setting(spec, body, coil, method, tuple(_warnings(spec, body, size, method)), strands, shield)
    if not in_region(setting).any():
        raise SpecError([Mistake("", "region", "must hold tissue of the phantom, got none; move it or leave it out")])
    _refuse_along_b0(setting)
    return setting


def _refuse_along_b0(setting: Setting) -> None:
    """SpecError where a tenth or less of the field lies across B0, on average over the region: nothing would turn the spins together."""
    places = setting.body.centres[in_region(setting)]
    flux = np.asarray(wires.flux_density(setting.coil, places[:: max(1, len(places) // 200)], 0.0))
    useful = np.abs(np.einsum("vac,a->vc", flux, setting.transmit).mean(axis=0))
    if np.linalg.norm(useful) < 0.05 * np.linalg.norm(np.linalg.norm(flux, axis=1).mean(axis=0)):
        words = "must have its field across frame.b0_axis, got one along it, which turns no spins; turn the coil, or B0"
        raise SpecError([Mistake("", "coil.axis", words)])


# --- the body ---------------------------------------------------------------------------------------


def make_body(spec) -> Body:
    """The phantom at the frequency of the spec."""
    phantom = spec.phantom
    if phantom.shape == "labels":
        return _labelled(spec)
    layers = [Layer(l.semi_axes, _permittivity(l, spec.frequency), l.density) for l in phantom.layers]
    return ellipsoids(layers, phantom.voxel, phantom.centre, phantom.shape == "cylinder")


def _permittivity(material, frequency) -> complex:
    if material.tissue is not None:
        return complex(tissues.permittivity(material.tissue, frequency))
    return complex(tissues.complex_permittivity(material.permittivity, material.conductivity, frequency))


def _labelled(spec) -> Body:
    """A labelled volume, resampled to the voxel asked and cut to its tissue."""
    phantom = spec.phantom
    known = {t.label: i + 1 for i, t in enumerate(phantom.tissues)}
    try:
        mapped = labels.resampled(phantom.file, known, phantom.voxel)
    except labels.LabelError as error:
        raise SpecError([Mistake("", f"phantom.{error.key}", str(error))]) from None
    corner = np.asarray(phantom.centre) - phantom.voxel * (np.array(mapped.shape) - 1) / 2
    eps = [_permittivity(t, spec.frequency) for t in phantom.tissues]
    return Body(corner, phantom.voxel, mapped, np.array([1.0, *eps], complex), np.array([0.0, *(t.density for t in phantom.tissues)]))


def as_sphere(setting: Setting) -> LayeredSphere | None:
    """The phantom as concentric spheres, where it is that."""
    phantom = setting.spec.phantom
    if phantom.shape != "ellipsoid" or any(max(l.semi_axes) - min(l.semi_axes) > 1e-9 for l in phantom.layers):
        return None
    radii = np.array([l.semi_axes[0] for l in phantom.layers])[::-1]
    if np.any(np.diff(radii) <= 0):
        return None
    return LayeredSphere(radii, setting.body.permittivity[1:][::-1], setting.spec.frequency)


# --- the windings -----------------------------------------------------------------------------------


def make_coil(spec) -> wires.Wires:
    """The windings in place, each channel with one ampere at its port."""
    c = spec.coil
    if c.type == "surface":
        return _on_surface(c, _axis(spec))
    built = _inside(spec) if c.type == "solenoid" and spec.shield else _BUILD[c.type](c, spec.frequency)
    return coils.placed(built, _axis(spec), np.asarray(c.centre))


def _inside(spec) -> wires.Wires:
    """A solenoid whose return runs halfway between it and its shield, where it usually runs farther out."""
    c = spec.coil
    return coils.solenoid(c.radius, c.length, c.turns, min(1.15 * c.radius, (c.radius + spec.shield.radius) / 2))


def _axis(spec) -> np.ndarray:
    return np.asarray(spec.coil.axis or spec.frame.bore_axis, float)


def _on_surface(c, axis) -> wires.Wires:
    """Loops on the largest surface of a file, which keeps its own coordinates but for `centre`."""
    from designtools.formers.triangulated import MeshError, parts_of

    scale = {"mm": 1e-3, "cm": 1e-2, "m": 1.0, "inch": 25.4e-3}[c.unit or "mm"]
    try:
        mesh = parts_of(c.path, scale)[0]
        return antennas.surface_array(mesh.vertices + np.asarray(c.centre), mesh.faces, c.count, c.loop_radius, -0.35 if c.lowest is None else c.lowest, axis)
    except (MeshError, ValueError) as error:
        raise SpecError([Mistake("", "coil.path", str(error))]) from None


def make_strands(spec) -> moments.Strands:
    """The wires whose currents the method of moments finds."""
    c = spec.coil
    if c.type in ("dipoles", "strips"):
        sizes = (c.radius, c.count, c.length) if c.type == "dipoles" else (c.radius, c.count, c.length, c.ground_distance)
        built = (antennas.dipoles if c.type == "dipoles" else antennas.strips)(*sizes, spec.wire.radius, spec.frequency)
        return antennas.placed(built, _axis(spec), np.asarray(c.centre))
    return antennas.loops(make_coil(spec), c.capacitors, spec.wire.radius, spec.frequency)


def shielded(spec, coil: wires.Wires) -> tuple[wires.Wires, int]:
    """The windings with the currents that they induce in the shield; and how many pieces the shield has."""
    s = spec.shield
    if s is None:
        return coil, 0
    tube = coils.placed(shields.tube(s.radius, s.length, s.around, s.along), _axis(spec), np.asarray(spec.coil.centre))
    away = (coil.elements()[0] - np.asarray(spec.coil.centre)) @ coils.frame_of(_axis(spec))
    if np.hypot(away[:, 0], away[:, 1]).max() > s.radius - 2 * spec.wire.radius:
        words = f"must exceed {np.hypot(away[:, 0], away[:, 1]).max() * 1e3:.4g} mm, how far the windings reach from the axis, got {s.radius * 1e3:.4g} mm"
        raise SpecError([Mistake("", "shield.radius", words)])
    strip = shields.spacing(s.radius, s.length, s.around, s.along)
    return shields.shielded(coil, tube, spec.wire.radius, strip / (2 * np.pi)), len(tube.start)


_BUILD = {
    "loop": lambda c, f: coils.loop([0, 0, 0], [0, 0, 1], c.radius),
    "helmholtz": lambda c, f: coils.helmholtz_pair(c.radius),
    "spiral": lambda c, f: coils.spiral(c.inner_radius, c.radius, c.turns),
    "solenoid": lambda c, f: coils.solenoid(c.radius, c.length, c.turns),
    "saddle": lambda c, f: coils.saddle_pair(c.radius, c.length, c.opening),
    "birdcage": lambda c, f: coils.birdcage(c.radius, c.length, c.rungs),
    "loops": lambda c, f: coils.cylinder_array(c.radius, c.rows, c.per_row, c.row_spacing or 0.0, c.loop_width / 2, c.loop_length / 2),
    "helmet": lambda c, f: coils.helmet_array(c.radius, c.count, c.loop_radius, -0.35 if c.lowest is None else c.lowest),
    "dipoles": lambda c, f: coils.dipole_array(c.radius, c.count, c.length, 2 * np.pi * f / LIGHT),
}


def _refuse_meeting(body, coil, spec) -> None:
    """SpecError where a conductor comes nearer to a voxel of tissue than one voxel."""
    from scipy.spatial import cKDTree

    nearest = float(cKDTree(body.centres).query(coil.elements()[0])[0].min())
    if nearest < 1.5 * body.spacing:
        words = f"must keep its conductors {1.5e3 * body.spacing:.3g} mm from the middle of any voxel of tissue, got {1e3 * nearest:.3g} mm; make it wider or move it"
        raise SpecError([Mistake("", "coil", words)])


def _warnings(spec, body: Body, size: float, method: str):
    phase = size / (np.ptp(body.centres, axis=0).max() / 2) * body.spacing
    if method == "full_wave" and phase > COARSE:
        yield f"voxels of {body.spacing * 1e3:g} mm are {phase / (2 * np.pi):.2f} wavelengths in the body wide, more than {COARSE / (2 * np.pi):.2f}: fields err by more than 10 %, figures are OUTSIDE MODEL; use smaller voxels"
    if method == "quasi_static" and size > 1:
        yield f"|k| a is {size:.2f}: quasi-statics is OUTSIDE MODEL above 1; use `method: full_wave`"
    longest = section_length(spec) / (LIGHT / spec.frequency)
    other = "or `coil.currents: moments`" if spec.coil.type in MOMENTS else "or use shorter conductors"
    if longest > EVEN and not spec.coil.by_moments:
        yield f"sections between capacitors are {longest:.3f} wavelengths long, more than 1/15: the current along them is not even, figures are OUTSIDE MODEL; raise coil.capacitors {other}"
    if spec.coil.type == "dipoles" and not spec.coil.by_moments:
        yield "the current along dipoles is prescribed, and what the body does to it is left out: figures are OUTSIDE MODEL; leave `coil.currents` out"
    if spec.shield is not None and 2 * np.pi * spec.shield.radius > LIGHT / spec.frequency:
        yield "the shield is more than a wavelength around: its currents are those of slow fields, figures are OUTSIDE MODEL"


def section_length(spec) -> float:
    """Longest conductor (m) between capacitors; dipoles and strips have none."""
    c = spec.coil
    lengths = {
        "loop": lambda: 2 * np.pi * c.radius / c.capacitors,
        "helmholtz": lambda: 4 * np.pi * c.radius / c.capacitors,
        "spiral": lambda: np.pi * (c.radius + c.inner_radius) * c.turns / c.capacitors,
        "solenoid": lambda: 2 * np.pi * c.radius * c.turns / c.capacitors,
        "saddle": lambda: 2 * (2 * c.length + 2 * c.radius * c.opening) / c.capacitors,
        "birdcage": lambda: max(c.length / (2 if c.passes in ("low", "band") else 1), 2 * np.pi * c.radius / c.rungs),
        "loops": lambda: np.pi * (c.loop_width + c.loop_length) / 2 / c.capacitors,
        "helmet": lambda: 2 * np.pi * c.loop_radius / c.capacitors,
        "surface": lambda: 2 * np.pi * c.loop_radius / c.capacitors,
        "dipoles": lambda: 0.0,
        "strips": lambda: 0.0,
    }
    return float(lengths[c.type]())


def conductor_loss(setting: Setting, fields: solution.Fields) -> np.ndarray:
    """Power (C,C) W in conductors, shield and lumped resistance, and radiated by wires found by moments, as a form of peak port currents."""
    lumped = setting.spec.wire.lumped_resistance / 2 * np.eye(setting.channels)
    if setting.strands is not None:
        return coupled.port_power(fields.impedance) - fields.power + lumped
    coil, n = setting.coil, len(setting.coil.start) - setting.shield_pieces
    own = wires.loss(wires.Wires(*(part[:n] for part in coil)), wire_resistance(setting.spec)) + lumped
    if not setting.shield_pieces:
        return own
    s = setting.spec.shield
    strip = shields.spacing(s.radius, s.length, s.around, s.along)
    return own + wires.loss(wires.Wires(*(part[n:] for part in coil)), sheet_resistance(setting.spec) / strip)


def wire_resistance(spec) -> float:
    """Resistance (ohm/m) of the wire at the frequency of the spec."""
    sigma = 1 / MATERIALS[spec.wire.material].resistivity
    return float(round_wire_ratio(spec.wire.radius, spec.frequency, sigma)) / (sigma * np.pi * spec.wire.radius**2)


def sheet_resistance(spec) -> float:
    """Resistance (ohm per square) of a thick sheet of the wire's metal: sqrt(w mu0 rho/2)."""
    return float(np.sqrt(np.pi * spec.frequency * MU_0 * MATERIALS[spec.wire.material].resistivity))


# --- fields as the kept solution --------------------------------------------------------------------


def blank(setting: Setting) -> Design:
    """The structure of what `solved` keeps."""
    return Design({"fields": _parts(solution.Fields(*[np.zeros(1)] * 3, {}), np.zeros(1))}, fingerprint(setting.spec))


def _parts(fields: solution.Fields, current) -> dict:
    arrays = {name: getattr(fields, name) for name in ("electric", "flux", "power", "impedance", "flow")}
    return arrays | {"current": np.asarray(current, complex)}


def channel_fields(setting: Setting, progress=None) -> solution.Fields:
    """Fields of every channel by the method chosen; where the model ends is said on the way."""
    for warning in setting.warnings if progress else ():
        progress(f"warning: {warning}")
    if setting.strands is not None:
        return _coupled(setting, progress)
    if setting.method == "quasi_static":
        return solution.quasi_static(setting.body, setting.coil, setting.spec.frequency, progress=progress)
    return solution.full_wave(setting.body, setting.coil, setting.spec.frequency, setting.spec.tolerance, progress)


def _coupled(setting: Setting, progress) -> solution.Fields:
    try:
        return coupled.full_wave(setting.body, setting.strands, setting.spec.frequency, wire_resistance(setting.spec), setting.spec.tolerance, progress)
    except ValueError as error:
        raise SpecError([Mistake("", "phantom.voxel", str(error))]) from None


def kept(setting: Setting, fields: solution.Fields, current, status=Status.OPTIMAL, gap=None, objective=0.0, terms=None, slacks=None, extra=None) -> Solution:
    """The fields and the drive as a Solution, which the pipeline stores; the design holds arrays, not sources."""
    design = Design({"fields": _parts(fields, current)}, fingerprint(setting.spec))
    residual = float(fields.notes.get("largest residual", 0.0))
    if residual > fields.notes.get("tolerance", np.inf):
        status = Status.NOT_CONVERGED
    x = np.concatenate([np.real(current), np.imag(current)])
    return Solution(design, status, x, float(objective), terms or {}, slacks or {}, gap=gap, history=(fields.notes,), extra=extra or {})


def unpacked(solved: Solution) -> tuple[solution.Fields, np.ndarray]:
    """Fields and drive of a solution."""
    parts = {name: np.asarray(value) for name, value in solved.design.parts["fields"].items()}
    notes = solved.history[0] if solved.history else {}
    current = parts.pop("current")
    return solution.Fields(**parts, notes=notes), current


def wind(setting: Setting, solved: Solution) -> Product:
    """The conductors, each channel with one ampere at its port; after those of each what they induce in a shield."""
    coil = setting.coil if setting.strands is None else antennas.carried(setting.strands, unpacked(solved)[0].flow)
    split, parts = len(coil.start) - setting.shield_pieces, []
    for channel in range(setting.channels):
        for piece in (slice(0, split), slice(split, None))[: 2 if setting.shield_pieces else 1]:
            used = np.arange(len(coil.start))[piece]
            used = used[np.abs(coil.current[used, channel]) > 0]
            parts.append(Filaments(coil.start[used], coil.end[used], coil.current[used, channel].real))
    wound = wires.Wires(*(part[: len(part) - setting.shield_pieces] for part in setting.coil))
    return Product(source=Assembly(parts), windings=windings(wound, setting.spec.wire.radius, setting.spec.coil.centre))


# --- where things are asked -------------------------------------------------------------------------


def in_region(setting: Setting) -> np.ndarray:
    """Which voxels with tissue (V,) lie in the region."""
    region, places = setting.spec.region, setting.body.centres
    if region is None:
        return np.ones(len(places), bool)
    return np.sum(((places - np.asarray(region.centre)) / np.asarray(region.half_widths)) ** 2, axis=1) <= 1


def middle(setting: Setting) -> int:
    """The voxel of the region nearest to its centre."""
    inside = np.flatnonzero(in_region(setting))
    places = setting.body.centres[inside]
    centre = places.mean(axis=0) if setting.spec.region is None else np.asarray(setting.spec.region.centre)
    return int(inside[np.argmin(np.sum((places - centre) ** 2, axis=1))])


def focused_phases(setting: Setting, fields) -> np.ndarray:
    """Currents (C,) of one ampere whose transmit fields add at the middle of the region; a birdcage's are its quadrature."""
    there = np.einsum("ac,a->c", fields.flux[middle(setting)], setting.transmit)
    return np.exp(-1j * np.angle(there))


def to_b1_rms(setting: Setting, transmit, current) -> np.ndarray:
    """The current scaled to transmit.b1_rms, the mean magnitude over the region."""
    mean = np.abs(transmit[in_region(setting)] @ current).mean()
    return current * setting.b1_rms / mean
