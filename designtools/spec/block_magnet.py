"""Spec of a superconducting magnet: where conductor may lie and what the field must do; the blocks are found."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from designtools.spec.base import (
    Audit,
    Count,
    Length,
    Model,
    NonNegativeLength,
    NonNegativeRatio,
    Physical,
    PointCount,
    PositiveCurrent,
    PositiveCurrentDensity,
    PositiveFluxDensity,
    PositiveLength,
    PositivePressure,
    PositiveRatio,
    PositiveTime,
    PositiveVoltage,
    Region,
    Seed,
    Spec,
    Temperature,
    axis_text,
    mm,
)
from designtools.spec.siting import Siting


PositiveVolume = Annotated[float, Physical("volume", 0.0, strict=True)]


class Zone(Model):
    """A ring of rectangular section about the bore axis."""

    inner_radius: NonNegativeLength
    """Smallest distance from the axis."""
    outer_radius: PositiveLength
    """Largest distance from the axis."""
    z_low: Length
    """Lower end along the bore axis."""
    z_high: Length
    """Upper end along the bore axis."""

    def inconsistencies(self):
        if self.inner_radius >= self.outer_radius:
            yield "outer_radius", f"must exceed inner_radius = {mm(self.inner_radius)}, got {mm(self.outer_radius)}"
        if self.z_low >= self.z_high:
            yield "z_high", f"must exceed z_low = {mm(self.z_low)}, got {mm(self.z_high)}"


class Envelope(Zone):
    """Where conductor may lie."""

    keep_out: tuple[Zone, ...] = ()
    """Rings inside the envelope that must stay free: gaps of an open magnet, supports, patient ends."""


class MainField(Model):
    """The main field."""

    strength: PositiveFluxDensity
    """Flux density at the centre of the region, along b0_axis."""
    homogeneity: PositiveRatio
    """Largest peak-to-peak variation over the region, relative to the strength."""


class Containment(Model):
    """An ellipse about the centre of the region, outside which the field must stay below a level."""

    level: PositiveFluxDensity = "0.5 mT"
    """Largest flux density on the ellipse and beyond."""
    radial: PositiveLength
    """Half axis across the bore."""
    axial: PositiveLength
    """Half axis along the bore."""


class Wire(Model):
    """The conductor as it is wound."""

    material: str = "NbTi"
    """Name of the critical surface, such as NbTi, Nb3Sn, REBCO."""
    width: PositiveLength
    """Insulated size along the axis: the pitch of the turns of a layer."""
    height: PositiveLength
    """Insulated size across the axis: the pitch of the layers."""
    metal_fraction: Annotated[PositiveRatio, Field(description="Share of the insulated section that is metal.")] = 0.85
    """Share of the insulated section that is metal (the rest is insulation and resin)."""
    copper_ratio: PositiveRatio = 4.0
    """Area of copper over that of superconductor."""
    rrr: PositiveRatio = 100.0
    """Residual resistivity ratio of the copper."""

    def inconsistencies(self):
        if self.metal_fraction > 1:
            yield "metal_fraction", f"must not exceed 1, got {self.metal_fraction:g}"


class Conductor(Model):
    """A winding material: how densely it carries current, and where it may be used."""

    name: Annotated[str, Field(min_length=1)] = "conductor"
    """How reports call it."""
    current_density: PositiveCurrentDensity | None = None
    """Current over the winding's section; leave it out where `wire` and `operating_current` give it."""
    zone: Zone | None = None
    """Where it may lie; everywhere in the envelope if left out."""
    wire: Wire | None = None
    """The conductor itself: then blocks have whole turns and layers, and margins are known."""


class BlockRules(Model):
    """What a winding may look like."""

    most: Annotated[int, Field(ge=1, le=60, strict=True)] = 12
    """Largest number of blocks; with `symmetric: true` on one side."""
    gap: NonNegativeLength = 0.0
    """Smallest axial gap between neighbouring coils."""
    thinnest: PositiveLength = "1 mm"
    """Smallest side of a block."""


class MagnetLimits(Model):
    """What makes a magnet real; each is held by the optimiser where given."""

    hoop_stress: PositivePressure | None = None
    """Largest hoop stress J B r of a turn that carries its own load."""
    load_line_margin: PositiveRatio | None = None
    """Smallest distance to the critical surface along the load line: 0.25 operates at 75 %."""
    peak_field: PositiveFluxDensity | None = None
    """Largest flux density on any winding."""


class Protection(Model):
    """What happens in a quench."""

    detection_time: PositiveTime = "0.5 s"
    """From the start of the normal zone to the opened switch."""
    dump_voltage: PositiveVoltage = "1 kV"
    """Voltage of the dump resistor at the operating current, which sets the time constant L I / V."""


class WindingTolerances(Model):
    """Errors of winding and assembly, root mean square, normal and independent from block to block."""

    axial: NonNegativeLength = "0.1 mm"
    """Place of a block along the axis."""
    radius: NonNegativeLength = "0.1 mm"
    """Radius of a block."""
    ampere_turns: NonNegativeRatio = 0.0
    """Relative error of the ampere-turns."""
    lateral: NonNegativeLength = "0.1 mm"
    """Offset across the axis, in each direction."""
    tilt: Annotated[float, Field(ge=0, le=0.1)] = 0.0
    """Tilt about each axis across the bore, rad."""
    samples: PointCount = 1000
    """Magnets drawn."""
    seed: Seed = 1
    """Seed of the draws."""


class ShimCoils(Model):
    """Superconducting shim coils on a cylinder, each of one harmonic (Z, Z2, X, Y, ZX, ...)."""

    radius: PositiveLength
    """Radius of the cylinder they are wound on."""
    half_length: PositiveLength
    """Half its length."""
    degree: Annotated[int, Field(ge=1, le=6, strict=True)] = 3
    """Highest degree of the harmonics; every one up to azimuthal order 1 has a coil."""


class IronTrays(Model):
    """Trays along the bore with pockets for pieces of saturated iron."""

    radius: PositiveLength
    """Radius of the cylinder they lie on."""
    trays: Count = 12
    """Number of trays around the bore."""
    pockets: Count = 11
    """Pockets of each tray, evenly along its length."""
    length: PositiveLength
    """Length of a tray."""
    piece: PositiveVolume = "1 cm^3"
    """Volume of one piece."""
    most: Count = 30
    """Pieces a pocket holds."""
    saturation: PositiveFluxDensity = "2 T"
    """Polarization of the saturated iron."""


class Correction(Model):
    """What corrects the magnet once it is wound, sized for the scatter of `tolerances`."""

    share: Annotated[PositiveRatio, Field(description="Share of the magnets that the coils must do for; the trays are filled for the magnet at this quantile.")] = 0.95
    """Share of the magnets that the coils must do for; the trays are filled for the magnet at this quantile."""
    coils: ShimCoils | None = None
    """Superconducting shim coils; none without it."""
    trays: IronTrays | None = None
    """Passive iron; none without it."""

    def inconsistencies(self):
        if self.coils is None and self.trays is None:
            yield "coils", "must be given, or `trays`, or both, got neither"
        if not 0.5 <= self.share < 1:
            yield "share", f"must lie between 0.5 and 1, got {self.share:g}"


class BlockMagnet(Spec):
    """A superconducting magnet of coaxial blocks, found inside an envelope."""

    kind: Literal["magnet"] = "magnet"
    """What is to be designed."""
    region: Region
    """Where the field must be homogeneous."""
    field: MainField
    """What the main field must do there."""
    fringe: Containment | None = None
    """Active shielding; left out for an unshielded magnet."""
    envelope: Envelope
    """The ring in which conductor may lie, less its keep_out zones."""
    conductors: Annotated[tuple[Conductor, ...], Field(min_length=1)]
    """The winding materials, best first where several may lie in one place."""
    operating_current: PositiveCurrent | None = None
    """Current of the wire, the same in all blocks."""
    temperature: Temperature = "4.2 K"
    """Of the windings."""
    symmetric: bool = True
    """true makes the magnet mirror-symmetric about the plane through the origin."""
    blocks: BlockRules = BlockRules()
    """How many blocks, how near to each other, how thin."""
    limits: MagnetLimits = MagnetLimits()
    """Limits that the optimiser holds beside field, homogeneity and fringe."""
    protection: Protection = Protection()
    """Quench protection, for the hot spot."""
    tolerances: WindingTolerances | None = WindingTolerances()
    """Errors for the Monte-Carlo of homogeneity; null leaves it out."""
    correction: Correction | None = None
    """Shim coils and iron trays against the scatter; none without it."""
    siting: Siting = Siting()
    """Lines of equal fringe field."""
    audit: Audit = Audit()
    """The independent check."""

    def inconsistencies(self):
        yield from self._axes()
        yield from self._symmetry()
        yield from self._densities()
        yield from self._shells()
        yield from self._corrections()

    def _corrections(self):
        """The correction needs the scatter, and lies between the region and the windings."""
        if self.correction is None:
            return
        if self.tolerances is None or self.region.shape != "ball" or any(self.region.centre):
            yield "correction", "must be left out without the scatter it is sized for: that needs `tolerances` and a ball about the origin"
        for name in ("coils", "trays"):
            part = getattr(self.correction, name)
            if part is not None and part.radius <= max(self.region.half_widths):
                yield f"correction.{name}.radius", f"must exceed the region, which reaches {mm(max(self.region.half_widths))}, got {mm(part.radius)}"

    def _axes(self):
        if abs(sum(a * b for a, b in zip(self.frame.b0_axis, self.frame.bore_axis))) < 1 - 1e-9:
            yield "frame.b0_axis", (
                f"must be parallel to frame.bore_axis = {axis_text(self.frame.bore_axis)}, since coaxial coils make an "
                f"axial field, got {axis_text(self.frame.b0_axis)}"
            )
        if abs(self.frame.bore_axis[2]) < 1 - 1e-9:
            yield "frame.bore_axis", (
                f"must be z or -z, since blocks are coaxial about z, got {axis_text(self.frame.bore_axis)}; "
                "turn the coordinates of the spec"
            )

    def _symmetry(self):
        x, y, z = self.region.centre
        if x or y:
            yield "region.centre", f"must lie on the z axis, about which the blocks are coaxial, got {list(self.region.centre)}"
        a, b, _ = self.region.half_widths
        if a != b:
            yield "region.semi_axes", f"must be equal along x and y, since the field is axisymmetric, got {mm(a)} and {mm(b)}"
        if self.symmetric and z:
            yield "region.centre", f"must be [0, 0, 0] for a symmetric magnet, got z = {mm(z)}; try `symmetric: false`"
        if self.symmetric and self.envelope.z_low != -self.envelope.z_high:
            yield "envelope.z_low", (
                f"must be -z_high = {mm(-self.envelope.z_high)} for a symmetric magnet, got {mm(self.envelope.z_low)}; "
                "try `symmetric: false`"
            )

    def _densities(self):
        for index, conductor in enumerate(self.conductors):
            if conductor.wire is None and conductor.current_density is None:
                yield f"conductors.{index}.current_density", "must be given where there is no `wire`, got nothing"
            if conductor.wire is not None and conductor.current_density is not None:
                yield f"conductors.{index}.current_density", (
                    "must be left out where `wire` is given, since operating_current over the wire's section is the density"
                )
        wired = [c.wire is not None for c in self.conductors]
        if any(wired) and self.operating_current is None:
            yield "operating_current", "must be given where a conductor has a `wire`, got nothing; try `operating_current: 400 A`"
        if any(wired) and not all(wired):
            yield "conductors", "must all have a `wire`, or none, got both"
        if not any(wired) and self.limits.load_line_margin is not None:
            yield "limits.load_line_margin", "must be left out without a `wire`, whose material it asks about"

    def _shells(self):
        where = self._in_region()
        if where is not None:
            yield "envelope.inner_radius", (
                f"must keep conductor outside the region, got the place r = {mm(where[0])}, z = {mm(where[1])} that is in both; "
                "raise it or add a keep_out zone"
            )
        if self.fringe is None:
            return
        z = max(abs(self.envelope.z_high - self.region.centre[2]), abs(self.envelope.z_low - self.region.centre[2]))
        if (self.envelope.outer_radius / self.fringe.radial) ** 2 + (z / self.fringe.axial) ** 2 >= 1:
            yield "fringe.radial", (
                f"must make an ellipse that holds the envelope, which reaches {mm(self.envelope.outer_radius)} across and "
                f"{mm(z)} along the bore, got {mm(self.fringe.radial)} and {mm(self.fringe.axial)}"
            )

    def _in_region(self, count: int = 60) -> tuple[float, float] | None:
        """A place (r, z) where conductor may lie inside the region, or None; looked for on a grid."""
        e, (across, _, along), centre = self.envelope, self.region.half_widths, self.region.centre[2]
        for i in range(count + 1):
            r = e.inner_radius + (e.outer_radius - e.inner_radius) * i / count
            for k in range(count + 1):
                z = e.z_low + (e.z_high - e.z_low) * k / count
                inside = (r / across) ** 2 + ((z - centre) / along) ** 2 < 1
                if inside and not any(_holds(zone, r, z) for zone in e.keep_out):
                    return r, z
        return None


def _holds(zone: Zone, r: float, z: float) -> bool:
    return zone.inner_radius <= r <= zone.outer_radius and zone.z_low <= z <= zone.z_high
