"""Spec of an RF coil: nucleus and field, windings, what is imaged, and what is asked of transmission and reception."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from designtools.spec.base import (
    Axis,
    Count,
    ExistingFile,
    Model,
    Physical,
    Point,
    PositiveFluxDensity,
    PositiveLength,
    PositiveRatio,
    Region,
    Spec,
    mm,
)

PositiveAngle = Annotated[float, Physical("angle", 0.0, strict=True)]
PositiveDensity = Annotated[float, Physical("density", 0.0, strict=True)]
PositiveCapacitance = Annotated[float, Physical("capacitance", 0.0, strict=True)]
NonNegativeConductivity = Annotated[float, Physical("conductivity", 0.0)]
PositiveInductance = Annotated[float, Physical("inductance", 0.0, strict=True)]
PositiveTime = Annotated[float, Physical("time", 0.0, strict=True)]
PositiveMass = Annotated[float, Physical("mass", 0.0, strict=True)]
NonNegativeResistance = Annotated[float, Physical("resistance", 0.0)]
PositiveResistance = Annotated[float, Physical("resistance", 0.0, strict=True)]
Capacitors = Annotated[int, Field(ge=1, le=64, strict=True)]
Reduction = Annotated[int, Field(ge=1, le=8, strict=True)]

# gamma/2 pi in Hz/T: proton from CODATA 2018; others from the ratios of Larmor frequencies of IUPAC (R. K. Harris et al., Pure
# Appl. Chem. 73 (2001) 1795), referred to the proton in water
GAMMA_BARS = {"1H": 42.577478518e6, "13C": 10.7084e6, "19F": 40.078e6, "23Na": 11.262e6, "31P": 17.235e6, "129Xe": 11.777e6}

_NEEDED = {  # type of coil -> keys it needs; all other sizes must be left out
    "loop": ("radius",),
    "helmholtz": ("radius",),
    "spiral": ("radius", "inner_radius", "turns"),
    "solenoid": ("radius", "length", "turns"),
    "saddle": ("radius", "length", "opening"),
    "birdcage": ("radius", "length", "rungs"),
    "loops": ("radius", "rows", "per_row", "loop_width", "loop_length"),
    "helmet": ("radius", "count", "loop_radius"),
    "dipoles": ("radius", "count", "length"),
    "strips": ("radius", "count", "length", "ground_distance"),
    "surface": ("path", "count", "loop_radius"),
}
_OPTIONAL = {"birdcage": ("passes", "ring_capacitance"), "loops": ("row_spacing",), "surface": ("unit", "lowest"), "helmet": ("lowest",)}
MOMENTS = ("loop", "loops", "dipoles", "strips")  # types whose currents can be found by the method of moments
_SIZES = sorted({key for keys in (*_NEEDED.values(), *_OPTIONAL.values()) for key in keys})


class Coil(Model):
    """The windings, about `axis` through `centre`; which sizes must be given depends on `type`."""

    type: Literal["loop", "helmholtz", "spiral", "solenoid", "saddle", "birdcage", "loops", "helmet", "dipoles", "strips", "surface"]
    """`loop` (one circle), `helmholtz` (two), `spiral` (flat), `solenoid`, `saddle` (a pair), `birdcage`, `loops` (on a cylinder), `helmet`,
    `dipoles` (around), `strips` (lines over a ground conductor, around), `surface` (loops on a mesh from a file)."""
    axis: Axis | None = None
    """Axis of the coil; left out, the bore axis. A loop's own field and the crown of a helmet point along it."""
    centre: Point = (0.0, 0.0, 0.0)
    """Centre of the coil; of a helmet, that of its sphere."""
    radius: PositiveLength | None = None
    """Radius of the loop, the cylinder or the sphere on which the conductors lie."""
    length: PositiveLength | None = None
    """Length along the axis of a solenoid, saddle, birdcage or dipole."""
    inner_radius: PositiveLength | None = None
    """Radius at which a spiral begins."""
    turns: Count | None = None
    """Turns of a solenoid or a spiral."""
    opening: PositiveAngle | None = None
    """Angle that each saddle spans around the axis; 120 deg is most even."""
    rungs: Annotated[int, Field(ge=4, le=64, strict=True)] | None = None
    """Rungs of a birdcage, an even number."""
    passes: Literal["high", "low", "band"] | None = None
    """Where a birdcage has its capacitors: `high` in the rings (the default), `low` in the rungs, `band` in both."""
    ring_capacitance: PositiveCapacitance | None = None
    """Capacitance of each ring segment of a band-pass birdcage."""
    rows: Count | None = None
    """Rows of loops along the axis."""
    per_row: Count | None = None
    """Loops around the axis in each row; every second row is turned by half a step."""
    row_spacing: PositiveLength | None = None
    """Distance between the centres of neighbouring rows."""
    loop_width: PositiveLength | None = None
    """Width of each loop along the arc."""
    loop_length: PositiveLength | None = None
    """Length of each loop along the axis."""
    count: Count | None = None
    """Elements of a helmet or of a ring of dipoles."""
    loop_radius: PositiveLength | None = None
    """Radius of the loops of a helmet or a surface."""
    lowest: Annotated[float, Field(ge=-1, lt=1, allow_inf_nan=False)] | None = None
    """Where the lowest loops of a helmet or a surface begin, along the axis: -1 at its lower end, 1 at the crown; -0.35 when left out."""
    ground_distance: PositiveLength | None = None
    """How far outside the strips their ground conductor lies."""
    path: ExistingFile | None = None
    """Triangle mesh (.stl, .obj, .ply) on which the loops lie."""
    unit: Literal["mm", "cm", "m", "inch"] | None = None
    """Unit of the mesh; mm when left out."""
    currents: Literal["auto", "prescribed", "moments"] = "auto"
    """`prescribed`: even between capacitors, sinusoidal along dipoles; `moments`: found by the method of moments together with the body;
    `auto` takes moments for dipoles and strips."""
    capacitors: Capacitors = 8
    """Capacitors that divide each loop, so that the current is even along it."""

    @property
    def needed(self) -> tuple[str, ...]:
        return _NEEDED[self.type]

    @property
    def by_moments(self) -> bool:
        """Whether the currents are found with the fields."""
        return self.currents == "moments" or (self.currents == "auto" and self.type in ("dipoles", "strips"))

    def inconsistencies(self):
        allowed = (*self.needed, *_OPTIONAL.get(self.type, ()))
        for key in self.needed:
            if getattr(self, key) is None:
                yield key, f"must be given for a coil of type {self.type}, got nothing"
        for key in _SIZES:
            if getattr(self, key) is not None and key not in allowed:
                yield key, f"must be left out for a coil of type {self.type}; its sizes are {', '.join(allowed)}"
        if self.currents == "moments" and self.type not in MOMENTS:
            yield "currents", f"must be prescribed for a coil of type {self.type}; moments are for {', '.join(MOMENTS)}"
        if self.currents == "prescribed" and self.type == "strips":
            yield "currents", "must be moments for strips, whose current is not known beforehand"
        if self.type == "spiral" and self.radius and self.inner_radius and self.inner_radius >= self.radius:
            yield "inner_radius", f"must be less than radius = {mm(self.radius)}, got {mm(self.inner_radius)}"
        if self.type == "birdcage" and self.rungs and self.rungs % 2:
            yield "rungs", f"must be even, got {self.rungs}"
        if self.type == "loops" and (self.rows or 1) > 1 and self.row_spacing is None:
            yield "row_spacing", "must be given for more than one row, got nothing"
        if (self.passes == "band") != (self.ring_capacitance is not None):
            yield "ring_capacitance", "must be given for a band-pass birdcage and for no other"


class Wire(Model):
    """The conductor: round wire or tube."""

    radius: PositiveLength = "2 mm"
    """Radius; strips count as round wire of a quarter of their width."""
    material: Literal["copper", "aluminium"] = "copper"
    """Metal, at 20 degC."""
    lumped_resistance: NonNegativeResistance = "0 ohm"
    """Resistance of capacitors and joints of each channel, in series with the port."""


class Shield(Model):
    """A conducting tube about the coil's axis and centre; the currents that it carries keep flux out, slowly varying."""

    radius: PositiveLength
    """Radius; it must exceed that of the coil."""
    length: PositiveLength
    """Length along the coil's axis."""
    around: Annotated[int, Field(ge=8, le=96, strict=True)] = 32
    """Windows around the axis into which its current is divided."""
    along: Annotated[int, Field(ge=2, le=64, strict=True)] = 12
    """Windows along the axis."""


class Tissue(Model):
    """One material, by name from the table of tissues, or by its constants."""

    tissue: str | None = None
    """Name in the table, such as `Muscle` or `Brain (Grey Matter)`: four Cole-Cole terms at any frequency."""
    permittivity: Annotated[float, Field(ge=1, allow_inf_nan=False)] | None = None
    """Relative permittivity, where no tissue is named."""
    conductivity: NonNegativeConductivity | None = None
    """Conductivity, where no tissue is named."""
    density: PositiveDensity = "1050 kg/m^3"
    """Mass density."""

    def inconsistencies(self):
        constants = (self.permittivity, self.conductivity)
        if self.tissue is None and None in constants:
            yield "tissue", "must be given, or permittivity and conductivity together; got neither"
        if self.tissue is not None and constants != (None, None):
            yield "permittivity", "must be left out, with conductivity, where a tissue is named"
        if self.tissue is not None:
            from designtools.spec.tissue_names import unknown

            if words := unknown(self.tissue):
                yield "tissue", words


class PhantomLayer(Tissue):
    """One material of a phantom and how far it reaches."""

    semi_axes: tuple[PositiveLength, PositiveLength, PositiveLength]
    """Half lengths along x, y, z; each layer must lie within the one before it."""


class LabelledTissue(Tissue):
    """One material of a labelled volume."""

    label: Annotated[int, Field(ge=1, le=65535, strict=True)]
    """Value of its voxels; voxels of value 0 are air."""


class Phantom(Model):
    """What is imaged: nested shapes, or a labelled volume."""

    shape: Literal["ellipsoid", "cylinder", "labels"] = "ellipsoid"
    """`ellipsoid` or `cylinder` (elliptic, along z) with `layers`, or `labels` with `file` and `tissues`."""
    layers: tuple[PhantomLayer, ...] = ()
    """Materials from the outermost inwards."""
    file: ExistingFile | None = None
    """Labelled volume (.nii, .nii.gz), any voxels and any orientation; it is centred on `centre` and kept parallel to its scanner's axes."""
    tissues: tuple[LabelledTissue, ...] = ()
    """Material of each label."""
    voxel: PositiveLength = "5 mm"
    """Edge of the voxels; a labelled volume is resampled, each voxel takes the label that fills most of it."""
    centre: Point = (0.0, 0.0, 0.0)
    """Centre in the coordinates of this spec."""
    part: Literal["head", "body", "other"] = "other"
    """What it stands for: which average of SAR its mass gives."""

    def inconsistencies(self):
        if self.shape == "labels":
            if self.file is None or not self.tissues:
                yield "file", "must be given with tissues for shape labels"
            if self.layers:
                yield "layers", "must be left out for shape labels, which is given by `file` and `tissues`"
            return
        if not self.layers:
            yield "layers", f"must list at least one material for shape {self.shape}, got none"
        if self.file is not None or self.tissues:
            yield "file", f"must be left out, with tissues, for shape {self.shape}"
        for index, (outer, inner) in enumerate(zip(self.layers, self.layers[1:]), 1):
            if any(a > b for a, b in zip(inner.semi_axes, outer.semi_axes)):
                yield f"layers.{index}.semi_axes", "must be at most those of the layer before it"
        if self.layers and min(self.layers[0].semi_axes) < 2 * self.voxel:
            yield "voxel", f"must be at most half the smallest semi-axis, got {mm(self.voxel)}"
        if self.layers and _voxels(self) > 4_000_000:
            yield "voxel", f"must be larger: {_voxels(self):.3g} voxels do not fit the memory of a workstation"


def _voxels(phantom) -> float:
    a, b, c = phantom.layers[0].semi_axes
    return 8 * a * b * c / phantom.voxel**3


class ReferencePulse(Model):
    """A train of equal pulses, which gives the root mean square of the transmit field over time."""

    flip_angle: PositiveAngle = "180 deg"
    """Flip angle at the mean transmit field of the region."""
    duration: PositiveTime = "1 ms"
    """Length of each pulse."""
    shape: Literal["rectangular", "sinc", "gaussian"] = "rectangular"
    """`sinc` has three zeros to each side and a Hann window, `gaussian` ends at two standard deviations."""
    repetition: PositiveTime
    """Time from pulse to pulse; with the duration it gives the duty cycle."""

    def inconsistencies(self):
        if self.repetition < self.duration:
            yield "repetition", f"must be at least duration = {self.duration * 1e3:g} ms, got {self.repetition * 1e3:g} ms"


class Transmit(Model):
    """At which level SAR is stated."""

    b1_rms: PositiveFluxDensity = "1 uT"
    """Root mean square over time of the transmit field, averaged in magnitude over the region."""
    reference_pulse: ReferencePulse | None = None
    """Pulses that give b1_rms instead."""
    patient_mass: PositiveMass = "70 kg"
    """Mass over which the power is averaged for the whole body where the phantom is a head."""
    vop_overestimate: PositiveRatio | None = None
    """Largest overestimate, of the largest SAR, of virtual observation points; given, they are made and written to a file."""

    def inconsistencies(self):
        if self.vop_overestimate is not None and not 1e-3 <= self.vop_overestimate <= 1:
            yield "vop_overestimate", f"must be from 0.1 % to 100 %, got {self.vop_overestimate:g}"


class Receive(Model):
    """What is asked of reception."""

    counts: tuple[Count, ...] = ()
    """Numbers of loops of a helmet around a sphere at which the signal-to-noise ratio is compared with the ultimate; the loops shrink as they grow in number."""
    preamplifier: PositiveResistance | None = None
    """Resistance that preamplifiers put in series with each channel; left out, none decouple."""

    reduction: tuple[Reduction, Reduction, Reduction] = (1, 1, 1)
    """Whole reduction factors of parallel imaging along x, y, z; the field of view is the phantom's box."""


class Line(Model):
    """The line to which each channel is matched."""

    impedance: PositiveResistance = "50 ohm"
    """Wave impedance."""


Nucleus = Literal["1H", "13C", "19F", "23Na", "31P", "129Xe"]


class AlsoNucleus(Model):
    """Another nucleus of the same windings."""

    nucleus: Nucleus
    """Which."""
    b1_rms: PositiveFluxDensity | None = None
    """Level at which its SAR is stated; left out, that of the first nucleus."""


class Tuning(Model):
    """How one circuit serves two nuclei at once."""

    circuit: Literal["trap", "two_mode"]
    """`trap`: a parallel circuit in series with each channel; `two_mode`: a second circuit coupled to each."""
    trap_inductance: PositiveInductance | None = None
    """Inductance of the trap; left out, half of the largest with which both nuclei can be tuned."""
    quality: Annotated[float, Field(gt=1, allow_inf_nan=False)] = 200.0
    """Quality factor of the trap or of the second circuit."""
    coupling: Annotated[float, Field(gt=0, lt=1, allow_inf_nan=False)] = 0.3
    """Coupling of the second circuit, whose inductance is that of the channel, with each channel; more than the ratio of frequencies allows is refused."""


class RFBase(Spec):
    """What both kinds of RF design share."""

    nucleus: Nucleus = "1H"
    """Nucleus; with the field it gives the frequency."""
    field: PositiveFluxDensity
    """Main field."""
    coil: Coil
    """The windings."""
    wire: Wire = Wire()
    """Their conductor."""
    shield: Shield | None = None
    """A conducting tube around the coil."""
    phantom: Phantom
    """What is imaged."""
    region: Region | None = None
    """Where efficiency, uniformity and SNR are judged; left out, the whole phantom."""
    method: Literal["auto", "quasi_static", "full_wave"] = "auto"
    """`auto` takes quasi-statics where |k| a is at most 0.4 and the full wave above."""
    tolerance: PositiveRatio = "100 ppm"
    """Relative residual of the full-wave equations."""
    transmit: Transmit = Transmit()
    """Level of transmission."""
    line: Line = Line()
    """Where the channels are matched to."""

    @property
    def frequency(self) -> float:
        """Larmor frequency (Hz)."""
        return GAMMA_BARS[self.nucleus] * self.field

    def inconsistencies(self):
        if not 1e-12 <= self.tolerance <= 1e-2:
            yield "tolerance", f"must be from 1e-12 to 1 %, got {self.tolerance:g}"
        if self.frequency > 600e6 or self.frequency < 1e5:
            yield "field", f"must give a frequency from 0.1 MHz to 600 MHz, got {self.frequency / 1e6:.4g} MHz"
        if self.transmit.reference_pulse is not None and "b1_rms" in self.transmit.model_fields_set:
            yield "transmit.b1_rms", "must be left out where reference_pulse gives it"
        if self.coil.by_moments and self.method == "quasi_static":
            yield "method", "must be full_wave or auto where currents are found by moments, got quasi_static"
        if self.shield is not None and self.coil.by_moments:
            yield "shield", f"must be left out where currents are found by moments, as for {self.coil.type}"
        if self.shield is not None and self.coil.radius is not None and self.shield.radius <= self.coil.radius:
            yield "shield.radius", f"must exceed the coil's radius of {mm(self.coil.radius)}, got {mm(self.shield.radius)}"
        if self.phantom.layers and self.coil.type not in ("loop", "helmholtz", "spiral", "helmet") and self.coil.radius is not None:
            yield from self._too_narrow()

        materials = (*self.phantom.layers, *self.phantom.tissues)
        if materials and all(m.tissue is None and not m.conductivity for m in materials):
            yield "phantom", "must hold at least one material with conductivity, got none: SAR and noise would be zero"

    def _too_narrow(self):
        """Coils around the axis through a phantom on the same axis must clear it; others are checked in space."""
        axis = self.coil.axis or self.frame.bore_axis
        if max(abs(a) for a in axis) < 1 - 1e-9 or any(abs(a - b) > 1e-9 for a, b in zip(self.coil.centre, self.phantom.centre)):
            return
        reach = max(s for s, a in zip(self.phantom.layers[0].semi_axes, axis) if abs(a) < 0.5)
        if self.coil.radius < reach + self.phantom.voxel and self.coil.type != "saddle":
            yield "coil.radius", f"must exceed the phantom's half width of {mm(reach)} by a voxel, got {mm(self.coil.radius)}"


class RFCoil(RFBase):
    """An RF coil with a body in it: fields, SAR, SNR and circuits."""

    kind: Literal["rf_coil"] = "rf_coil"
    """What is to be designed."""
    also: Annotated[tuple[AlsoNucleus, ...], Field(max_length=5)] = ()
    """Other nuclei of the same windings, each with capacitors of its own; figures are then the worst of all nuclei."""
    tuning: Tuning | None = None
    """One circuit for the nucleus and one other; left out, capacitors are exchanged."""
    receive: Receive = Receive()
    """Parallel imaging."""

    def inconsistencies(self):
        yield from super().inconsistencies()
        names = [self.nucleus, *(a.nucleus for a in self.also)]
        if len(set(names)) < len(names):
            yield "also", f"must name every nucleus once, got {', '.join(names)}"
        for other in self.also:
            if not 1e5 <= GAMMA_BARS[other.nucleus] * self.field <= 600e6:
                yield "also", f"must give frequencies from 0.1 MHz to 600 MHz, got {GAMMA_BARS[other.nucleus] * self.field / 1e6:.4g} MHz for {other.nucleus}"
        if self.tuning is not None and len(self.also) != 1:
            yield "tuning", f"must come with exactly one nucleus in `also`, got {len(self.also)}"
        if self.tuning is not None and (self.coil.by_moments or self.coil.type == "birdcage"):
            yield "tuning", f"must be left out for {self.coil.type}: two frequencies are tuned in circuits of loops"
        yield from self._study()

    def _study(self):
        """A study of numbers needs a helmet around a sphere, whose fields are closed."""
        layers = self.phantom.layers
        round_ = self.phantom.shape == "ellipsoid" and all(max(l.semi_axes) - min(l.semi_axes) < 1e-9 for l in layers)
        if self.receive.counts and (self.coil.type != "helmet" or not round_ or self.coil.centre != self.phantom.centre):
            yield "receive.counts", "must be left out unless a helmet stands around concentric spheres about its own centre"
        if any(not 2 <= n <= 256 for n in self.receive.counts):
            yield "receive.counts", "must be from 2 to 256 each"
