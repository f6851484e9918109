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
}
_OPTIONAL = {"birdcage": ("passes", "ring_capacitance"), "loops": ("row_spacing",)}
_SIZES = sorted({key for keys in (*_NEEDED.values(), *_OPTIONAL.values()) for key in keys})


class Coil(Model):
    """The windings, about `axis` through `centre`; which sizes must be given depends on `type`."""

    type: Literal["loop", "helmholtz", "spiral", "solenoid", "saddle", "birdcage", "loops", "helmet", "dipoles"]
    """`loop` (one circle), `helmholtz` (two), `spiral` (flat), `solenoid`, `saddle` (a pair), `birdcage`, `loops` (on a cylinder), `helmet`, `dipoles` (around)."""
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
    """Radius of the loops of a helmet."""
    capacitors: Capacitors = 8
    """Capacitors that divide each loop, so that the current is even along it."""

    @property
    def needed(self) -> tuple[str, ...]:
        return _NEEDED[self.type]

    def inconsistencies(self):
        allowed = (*self.needed, *_OPTIONAL.get(self.type, ()))
        for key in self.needed:
            if getattr(self, key) is None:
                yield key, f"must be given for a coil of type {self.type}, got nothing"
        for key in _SIZES:
            if getattr(self, key) is not None and key not in allowed:
                yield key, f"must be left out for a coil of type {self.type}; its sizes are {', '.join(allowed)}"
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
    """Labelled volume (.nii, .nii.gz) of cubic voxels along the axes; it is centred on `centre`."""
    tissues: tuple[LabelledTissue, ...] = ()
    """Material of each label."""
    voxel: PositiveLength = "5 mm"
    """Edge of the voxels; for a labelled volume that of the file."""
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


class Transmit(Model):
    """At which level SAR is stated."""

    b1_rms: PositiveFluxDensity = "1 uT"
    """Root mean square over time of the transmit field, averaged in magnitude over the region."""
    patient_mass: PositiveMass = "70 kg"
    """Mass over which the power is averaged for the whole body where the phantom is a head."""


class Receive(Model):
    """What is asked of reception."""

    reduction: tuple[Reduction, Reduction, Reduction] = (1, 1, 1)
    """Whole reduction factors of parallel imaging along x, y, z; the field of view is the phantom's box."""


class Line(Model):
    """The line to which each channel is matched."""

    impedance: PositiveResistance = "50 ohm"
    """Wave impedance."""


class RFBase(Spec):
    """What both kinds of RF design share."""

    nucleus: Literal["1H", "13C", "19F", "23Na", "31P", "129Xe"] = "1H"
    """Nucleus; with the field it gives the frequency."""
    field: PositiveFluxDensity
    """Main field."""
    coil: Coil
    """The windings."""
    wire: Wire = Wire()
    """Their conductor."""
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

    @property
    def frequency(self) -> float:
        """Larmor frequency (Hz)."""
        return GAMMA_BARS[self.nucleus] * self.field

    def inconsistencies(self):
        if not 1e-12 <= self.tolerance <= 1e-2:
            yield "tolerance", f"must be from 1e-12 to 1 %, got {self.tolerance:g}"
        if self.frequency > 600e6 or self.frequency < 1e5:
            yield "field", f"must give a frequency from 0.1 MHz to 600 MHz, got {self.frequency / 1e6:.4g} MHz"
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
    receive: Receive = Receive()
    """Parallel imaging."""
    line: Line = Line()
    """Where the channels are matched to."""
