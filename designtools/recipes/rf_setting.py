"""What all RF recipes share: the body on its grid, the windings, the fields of each channel, and the limits of the model."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from designtools.materials import tissues
from designtools.problem import Design
from designtools.quantities.skin_effect import round_wire_ratio
from designtools.recipes.product import Product
from designtools.rf import coils, solution, wires
from designtools.rf.body import Body, Layer, ellipsoids
from designtools.rf.layered_sphere import rotating
from designtools.solve.solution import Solution, Status
from designtools.sources.assembly import Assembly
from designtools.sources.filaments import Filaments
from designtools.spec import Mistake, SpecError, fingerprint
from designtools.spec.gradient import MATERIALS

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
    coil = make_coil(spec)
    _refuse_meeting(body, coil, spec)
    size = solution.electrical_size(body, spec.frequency)
    method = spec.method if spec.method != "auto" else "quasi_static" if size <= SLOW else "full_wave"
    setting = Setting(spec, body, coil, method, tuple(_warnings(spec, body, size, method)))
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
    """A labelled volume, cut to its tissue."""
    import nibabel

    image = nibabel.as_closest_canonical(nibabel.load(spec.phantom.file))
    label, sizes = np.asarray(image.dataobj), np.array(image.header.get_zooms()[:3]) * 1e-3
    known = {t.label: i + 1 for i, t in enumerate(spec.phantom.tissues)}
    _check_labels(label, sizes, known)
    mapped = np.zeros(label.shape, np.int32)
    for value, index in known.items():
        mapped[label == value] = index
    box = np.argwhere(mapped)
    mapped = mapped[tuple(slice(a, b + 1) for a, b in zip(box.min(0), box.max(0)))]
    corner = np.asarray(spec.phantom.centre) - sizes[0] * (np.array(mapped.shape) - 1) / 2
    eps = [_permittivity(t, spec.frequency) for t in spec.phantom.tissues]
    return Body(corner, float(sizes[0]), mapped, np.array([1.0, *eps], complex), np.array([0.0, *(t.density for t in spec.phantom.tissues)]))


def _check_labels(label, sizes, known) -> None:
    if label.ndim != 3 or np.ptp(sizes) > 1e-3 * sizes[0]:
        words = f"must be one volume of cubic voxels, got shape {label.shape} and voxels of {' x '.join(f'{s * 1e3:g}' for s in sizes)} mm; resample it"
        raise SpecError([Mistake("", "phantom.file", words)])
    missing = sorted(set(np.unique(label).tolist()) - {0, *known})
    if missing:
        words = f"must name a tissue for every label of the file, got none for {', '.join(f'{m:g}' for m in missing[:8])}"
        raise SpecError([Mistake("", "phantom.tissues", words)])
    if not np.isin(label, list(known)).any():
        raise SpecError([Mistake("", "phantom.file", "must hold at least one labelled voxel, got none")])


# --- the windings -----------------------------------------------------------------------------------


def make_coil(spec) -> wires.Wires:
    """The windings in place, each channel with one ampere at its port."""
    c = spec.coil
    axis = np.asarray(c.axis or spec.frame.bore_axis, float)
    return coils.placed(_BUILD[c.type](c, spec.frequency), axis, np.asarray(c.centre))


_BUILD = {
    "loop": lambda c, f: coils.loop([0, 0, 0], [0, 0, 1], c.radius),
    "helmholtz": lambda c, f: coils.helmholtz_pair(c.radius),
    "spiral": lambda c, f: coils.spiral(c.inner_radius, c.radius, c.turns),
    "solenoid": lambda c, f: coils.solenoid(c.radius, c.length, c.turns),
    "saddle": lambda c, f: coils.saddle_pair(c.radius, c.length, c.opening),
    "birdcage": lambda c, f: coils.birdcage(c.radius, c.length, c.rungs),
    "loops": lambda c, f: coils.cylinder_array(c.radius, c.rows, c.per_row, c.row_spacing or 0.0, c.loop_width / 2, c.loop_length / 2),
    "helmet": lambda c, f: coils.helmet_array(c.radius, c.count, c.loop_radius),
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
    if longest > EVEN:
        yield f"sections between capacitors are {longest:.3f} wavelengths long, more than 1/15: the current along them is not even, figures are OUTSIDE MODEL; raise coil.capacitors or use shorter conductors"


def section_length(spec) -> float:
    """Longest conductor (m) between capacitors; a dipole carries its sinusoid and has none."""
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
        "dipoles": lambda: 0.0,
    }
    return float(lengths[c.type]())


def conductor_loss(setting: Setting) -> np.ndarray:
    """Power (C,C) W in conductors and lumped resistance, as a form of peak port currents."""
    wire = setting.spec.wire
    sigma = 1 / MATERIALS[wire.material].resistivity
    ratio = float(round_wire_ratio(wire.radius, setting.spec.frequency, sigma))
    return wires.loss(setting.coil, ratio / (sigma * np.pi * wire.radius**2)) + wire.lumped_resistance / 2 * np.eye(setting.channels)


# --- fields as the kept solution --------------------------------------------------------------------


def blank(setting: Setting) -> Design:
    """The structure of what `solved` keeps."""
    return Design({"fields": _parts(np.zeros(1), np.zeros(1), np.zeros(1), np.zeros(1))}, fingerprint(setting.spec))


def _parts(electric, flux, power, current) -> dict:
    return {"electric": electric, "flux": flux, "power": power, "current": current}


def channel_fields(setting: Setting, progress=None) -> solution.Fields:
    """Fields of every channel by the method chosen; where the model ends is said on the way."""
    for warning in setting.warnings if progress else ():
        progress(f"warning: {warning}")
    if setting.method == "quasi_static":
        return solution.quasi_static(setting.body, setting.coil, setting.spec.frequency, progress=progress)
    return solution.full_wave(setting.body, setting.coil, setting.spec.frequency, setting.spec.tolerance, progress)


def kept(setting: Setting, fields: solution.Fields, current, status=Status.OPTIMAL, gap=None, objective=0.0, terms=None, slacks=None) -> Solution:
    """The fields and the drive as a Solution, which the pipeline stores; the design holds arrays, not sources."""
    design = Design({"fields": _parts(fields.electric, fields.flux, fields.power, np.asarray(current, complex))}, fingerprint(setting.spec))
    residual = float(fields.notes.get("largest residual", 0.0))
    if residual > fields.notes.get("tolerance", np.inf):
        status = Status.NOT_CONVERGED
    x = np.concatenate([np.real(current), np.imag(current)])
    return Solution(design, status, x, float(objective), terms or {}, slacks or {}, gap=gap, history=(fields.notes,))


def unpacked(solved: Solution) -> tuple[solution.Fields, np.ndarray]:
    """Fields and drive of a solution."""
    parts = {name: np.asarray(value) for name, value in solved.design.parts["fields"].items()}
    notes = solved.history[0] if solved.history else {}
    return solution.Fields(parts["electric"], parts["flux"], parts["power"], notes), parts["current"]


def wind(setting: Setting, solved: Solution) -> Product:
    """The conductors, each channel with one ampere at its port."""
    coil = setting.coil
    parts = []
    for channel in range(setting.channels):
        used = np.abs(coil.current[:, channel]) > 0
        parts.append(Filaments(coil.start[used], coil.end[used], coil.current[used, channel].real))
    return Product(source=Assembly(parts))


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
    return current * setting.spec.transmit.b1_rms / mean
