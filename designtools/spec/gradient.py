"""Spec of a gradient coil on surfaces of any shape, with or without active shield."""

from __future__ import annotations

import math
from typing import Annotated, Literal

from pydantic import Field

from designtools.spec.base import (
    Audit,
    Axis,
    Count,
    CurrentDensity,
    ExistingFile,
    Length,
    Model,
    NonNegativeLength,
    Physical,
    PositiveCurrent,
    PositiveFluxDensity,
    PositiveForce,
    PositiveGradient,
    PositiveLength,
    PositiveRatio,
    PositiveResistivity,
    PositiveSheetCurrent,
    PositiveTorque,
    PositiveVoltage,
    Region,
    Seed,
    Spec,
    Temperature,
    Weight,
    mm,
    radial_extent,
    split,
)
from designtools.spec.surfaces import FurtherLayer, KeepOut, Shield, Surface
from designtools.spec.surroundings import Cooling, Cryostat, Patient, PositiveFrequency, Wall


Angle = Annotated[float, Physical("angle")]


class Harmonic(Model):
    """One solid harmonic of B·b0_axis about the centre of the region, polar axis z: r^n P_n^m(cos theta) cos(m phi)."""

    degree: Annotated[int, Field(ge=1, le=12, strict=True)]
    """n: 1 linear, 2 quadratic, ..."""
    order: Annotated[int, Field(ge=-12, le=12, strict=True)] = 0
    """m; negative for sin(m phi)."""

    def inconsistencies(self):
        if abs(self.order) > self.degree:
            yield "order", f"must lie between -degree and degree = {self.degree}, got {self.order}"


class TargetMap(Model):
    """A wanted field given at points."""

    path: ExistingFile
    """CSV with columns x, y, z (m) and b (any unit: it is scaled), relative to this file."""
    degree: Annotated[int, Field(ge=1, le=12, strict=True)] = 6
    """Highest degree of the solid harmonics fitted to it: a field in free space consists of these."""


class Target(Model):
    """The field wanted in the region: B·b0_axis = strength * u, u being the distance along gradient_axis, or the shape
    of a harmonic or map scaled so that its largest value is the largest half width of the region."""

    gradient_axis: Axis | None = None
    """Direction along which B·b0_axis grows: a linear target."""
    harmonic: Harmonic | None = None
    """A solid harmonic instead."""
    field_map: TargetMap | None = None
    """A map instead."""
    strength: PositiveGradient
    """Gradient at which the design is driven and its limits hold; for other targets the largest field over the largest half width."""
    error: PositiveRatio = "5 %"
    """Largest |B·b0 - strength * u| in the region, relative to strength times the largest |u|."""

    def inconsistencies(self):
        given = [name for name in ("gradient_axis", "harmonic", "field_map") if getattr(self, name) is not None]
        if len(given) != 1:
            got = " and ".join(given) or "none"
            yield "gradient_axis", f"must be given, or `harmonic`, or `field_map`, exactly one of them; got {got}; try `gradient_axis: x`"


class Stray(Model):
    """The limit of the field outside, on a cylinder such as the cryostat's bore."""

    radius: PositiveLength
    """Radius of the surface."""
    length: PositiveLength
    """Axial length of the surface."""
    limit: PositiveFluxDensity
    """Largest |B| on the surface at target.strength."""


class Material(Model):
    """Handbook values of a conductor."""

    resistivity: float
    """ohm·m at 20 degC."""
    temperature_coefficient: float
    """Relative rise of the resistivity per kelvin, at 20 degC."""
    density: float
    """kg/m^3."""


# IEC 60028 (annealed copper) and IEC 60889 (hard-drawn aluminium wire); densities at 20 degC from the same
DENSEST = math.pi / 12**0.5  # round strands side by side: the share of the section that they fill
MATERIALS = {
    "copper": Material(resistivity=1.7241e-8, temperature_coefficient=3.93e-3, density=8890.0),
    "aluminium": Material(resistivity=2.8264e-8, temperature_coefficient=4.03e-3, density=2703.0),
}
_TWENTY_CELSIUS = 293.15  # K
MOST_VERTICES = 100_000  # of a mesh: more do not fit the memory of a workstation


class Strands(Model):
    """Insulated strands of a litz wire, perfectly transposed."""

    count: Annotated[int, Field(gt=1, le=100_000, strict=True)]
    """How many."""
    diameter: PositiveLength
    """Diameter of the metal of one."""

    @property
    def area(self) -> float:
        """Section of the metal of all (m^2)."""
        return self.count * math.pi / 4 * self.diameter**2


class Conductor(Model):
    """A rectangular conductor, solid, hollow or of strands, and the gap it needs."""

    material: Literal["copper", "aluminium"] = "copper"
    """Metal of the conductor."""
    resistivity: PositiveResistivity | None = None
    """Resistivity at `temperature`; taken from the material when left out."""
    temperature: Temperature = "20 degC"
    """Temperature at which resistance is stated."""
    width: PositiveLength
    """Width in the surface of the former."""
    thickness: PositiveLength
    """Thickness across the surface of the former."""
    spacing: NonNegativeLength = "1 mm"
    """Smallest clear gap between neighbouring tracks."""
    bore: PositiveLength | None = None
    """Diameter of a channel for coolant through the middle: a hollow conductor; solid when left out."""
    strands: Strands | None = None
    """Strands of litz that fill width and thickness; solid when left out."""

    @property
    def area(self) -> float:
        """Section of the metal (m^2)."""
        if self.strands is not None:
            return self.strands.area
        return self.width * self.thickness - math.pi / 4 * (self.bore or 0.0) ** 2

    @property
    def mean_thickness(self) -> float:
        """Thickness (m) of a solid conductor of the same width and section."""
        return self.area / self.width

    @property
    def effective_resistivity(self) -> float:
        """Resistivity (ohm·m) at `temperature`."""
        if self.resistivity is not None:
            return self.resistivity
        metal = MATERIALS[self.material]
        return metal.resistivity * (1 + metal.temperature_coefficient * (self.temperature - _TWENTY_CELSIUS))

    @property
    def density(self) -> float:
        """kg/m^3."""
        return MATERIALS[self.material].density

    def inconsistencies(self):
        if self.effective_resistivity <= 0:
            yield "temperature", (
                f"must be warm enough for the linear law of {self.material} (above about 60 K); "
                "give `resistivity` at your temperature instead"
            )
        if self.bore is not None and self.strands is not None:
            yield "strands", "must be left out of a hollow conductor, or `bore` be; got both"
        if self.bore is not None and self.bore >= min(self.width, self.thickness):
            yield "bore", f"must be smaller than width = {mm(self.width)} and thickness = {mm(self.thickness)}, got {mm(self.bore)}"
        if self.strands is not None and self.strands.area > DENSEST * self.width * self.thickness:
            most = int(DENSEST * self.width * self.thickness / (math.pi / 4 * self.strands.diameter**2))
            yield "strands.count", f"must fit into {mm(self.width)} x {mm(self.thickness)}: at most {most} strands of {mm(self.strands.diameter)}, got {self.strands.count}"


class WindingRule(Model):
    """How the current distribution becomes tracks: by `turns` or by `current`, not both."""

    turns: Count | None = None
    """Turns per lobe of the primary."""
    current: PositiveCurrent | None = None
    """Current that makes target.strength; the number of turns follows."""
    bend_radius: PositiveLength | None = None
    """Least radius to which the conductor may be bent, at its centreline; any when left out."""
    joined: bool = True
    """true joins all turns in series with jogs, returns, links and leads; false leaves closed loops."""
    lead_length: NonNegativeLength = "50 mm"
    """Length of the leads beyond the end of the coil."""
    lead_angle: Angle = 0.0
    """Place of the leads round a tube, counted about the bore axis from the direction of the gradient (by arc on elliptic ones)."""
    return_clearance: NonNegativeLength = "1 mm"
    """Clear gap between the turns and the conductors that return over them."""

    def inconsistencies(self):
        if (self.turns is None) == (self.current is None):
            got = "neither" if self.turns is None else "both"
            yield "turns", f"must be given, or `current`, but not both; got {got}; try `turns: 16`"


class Amplifier(Model):
    """The amplifier that drives the coil."""

    current: PositiveCurrent
    """Largest current."""
    voltage: PositiveVoltage
    """Largest voltage."""
    frequency: PositiveFrequency = "1 kHz"
    """Frequency at which the resistance to alternating current is stated, or the highest the voltage allows."""


class Block(Model):
    """A solenoid of rectangular section about the bore axis."""

    inner_radius: PositiveLength
    """Inner radius."""
    outer_radius: PositiveLength
    """Outer radius."""
    z_low: Length
    """Lower end along the bore axis."""
    z_high: Length
    """Upper end along the bore axis."""
    current_density: CurrentDensity
    """Azimuthal current density, positive about the bore axis."""

    def inconsistencies(self):
        if self.outer_radius <= self.inner_radius:
            yield "outer_radius", f"must exceed inner_radius = {mm(self.inner_radius)}, got {mm(self.outer_radius)}"
        if self.z_high <= self.z_low:
            yield "z_high", f"must exceed z_low = {mm(self.z_low)}, got {mm(self.z_high)}"


class BackgroundMagnet(Model):
    """The main magnet, in whose field force and torque on the coil are taken."""

    flux_density: PositiveFluxDensity
    """Homogeneous field along b0_axis."""
    blocks: tuple[Block, ...] = ()
    """Windings of the magnet; when given, they replace the homogeneous field for force and torque."""


class Objective(Model):
    """What is made small; each term is normalised, so the weights are relative importance."""

    power: Weight = 1.0
    """Dissipated power."""
    stored_energy: Weight = 0.0
    """Magnetic energy, hence inductance."""
    peak_current_density: Weight = 0.0
    """Largest surface current density, hence crowding of tracks."""

    def inconsistencies(self):
        if not (self.power or self.stored_energy or self.peak_current_density):
            yield "power", "must be positive, or another weight of `objective`; got zero for all"


class Limits(Model):
    """Limits the optimiser holds beside the field error and the stray field."""

    peak_current_density: PositiveSheetCurrent | None = None
    """Largest surface current density."""
    torque: PositiveTorque | None = None
    """Largest torque in the magnet's field at target.strength."""
    net_force: PositiveForce | None = None
    """Largest net force in the magnet's field at target.strength."""


class GrooveFormer(Model):
    """The tube into which grooves for the conductor are cut."""

    thickness: PositiveLength
    """Wall thickness of the tube."""
    groove_depth: PositiveLength
    """Depth of the grooves."""

    def inconsistencies(self):
        if self.groove_depth >= self.thickness:
            yield "groove_depth", f"must be less than thickness = {mm(self.thickness)}, got {mm(self.groove_depth)}"


class LayerTolerances(Model):
    """Errors of winding and assembly, root mean square, normal and independent of each other."""

    shift: NonNegativeLength = "0.2 mm"
    """Place of a whole layer, along each of three axes."""
    rotation: Annotated[float, Field(ge=0, le=0.1)] = 0.0
    """Angle of a whole layer about the bore, rad."""
    expansion: NonNegativeLength = "0.1 mm"
    """Place of a whole layer along its normals: a former too thick."""
    turns: NonNegativeLength = "0.2 mm"
    """Place of each turn within its surface, sideways."""
    samples: Annotated[int, Field(ge=20, le=100_000, strict=True)] = 500
    """Coils drawn."""
    seed: Seed = 1
    """Seed of the draws."""


class Mesh(Model):
    """Fineness of the current-carrying surface."""

    resolution: PositiveLength | None = None
    """Edge length of the triangles; chosen from the sizes when left out."""


class Gradient(Spec):
    """A gradient coil."""

    kind: Literal["gradient"] = "gradient"
    """What is to be designed."""
    region: Region
    """Where the gradient is wanted."""
    target: Target
    """The field wanted."""
    primary: Surface
    """The surface of the primary coil."""
    further_layers: tuple[FurtherLayer, ...] = ()
    """Further surfaces in series with the primary, from the inside out."""
    shield: Shield | None = None
    """The surface of the active shield."""
    keep_out: tuple[KeepOut, ...] = ()
    """Spaces without conductor."""
    stray: Stray | None = None
    """The limit of the field outside."""
    conductor: Conductor
    """The conductor."""
    winding: WindingRule
    """How the current distribution becomes tracks."""
    amplifier: Amplifier | None = None
    """The amplifier; without it, figures that need it are not evaluated."""
    magnet: BackgroundMagnet | None = None
    """The main magnet; without it, force and torque are not evaluated."""
    patient: Patient | None = None
    """The person, in whom the induced electric field is found; without it, nothing is said of stimulation."""
    cryostat: Cryostat | None = None
    """Conducting shells around the coil; without it, eddy currents are not evaluated."""
    wall: Wall | None = None
    """The cylinder the coil is bonded to; without it, vibration is not evaluated."""
    cooling: Cooling | None = None
    """How heat leaves the conductor; without it, temperatures are not evaluated."""
    objective: Objective = Objective()
    """What is made small."""
    limits: Limits = Limits()
    """Further limits the optimiser holds."""
    former: GrooveFormer | None = None
    """Tube with grooves for the conductor, as a part to make."""
    tolerances: LayerTolerances | None = None
    """Errors with which coils are wound by the hundred; without them, nothing is said of yield."""
    mesh: Mesh = Mesh()
    """How finely the surfaces are divided for the computation."""
    audit: Audit = Audit()
    """The independent check."""

    @property
    def shielded(self) -> bool:
        return self.shield is not None and self.shield.enabled

    @property
    def layers(self) -> dict[str, Surface]:
        """The surfaces that carry conductor: the primary, further layers, the shield."""
        further = {layer.name: layer for layer in self.further_layers}
        return {"primary": self.primary} | further | ({"shield": self.shield} if self.shielded else {})

    def inconsistencies(self):
        yield from self._names_differ()
        if self.primary.tube:
            yield from self._region_fits()
        yield from self._layers_nest()
        yield from self._conductor_fits()
        yield from self._mesh_is_workable()
        yield from self._words_agree()

    def _names_differ(self):
        names = ["primary", "shield", *(layer.name for layer in self.further_layers)]
        for index, layer in enumerate(self.further_layers):
            if names.count(layer.name) > 1:
                yield f"further_layers.{index}.name", f"must differ from the other layers' names, got {layer.name!r} again"

    def _region_fits(self):
        axis = self.frame.bore_axis
        along, across = split(self.region.centre, axis)
        radial = across + radial_extent(self.region, axis)
        inner = self.primary.inner_radius - self.conductor.thickness / 2
        key = "region.radius" if self.region.shape == "ball" else "region.semi_axes"
        if radial >= inner:
            yield key, (
                f"must keep the region inside the primary coil, whose inner radius is {mm(inner)}, "
                f"but it reaches {mm(radial)} from the bore axis; "
                "make the region smaller or the primary wider"
            )
        reach, (low, high) = self.region.extent(axis), self.primary.ends
        if along - reach <= low or along + reach >= high:
            yield key, (
                f"must keep the region inside the length of the primary coil ({mm(low)} to {mm(high)}), "
                f"but it spans {mm(along - reach)} to {mm(along + reach)}; "
                "make the region smaller or the primary longer"
            )

    def _layers_nest(self):
        gap = self.conductor.thickness
        named = list(self.layers.items())
        for (below, inner), (name, outer) in zip(named, named[1:]):
            if inner.former == outer.former == "cylinder" and outer.radius <= inner.radius + gap:
                yield f"{self._key_of(name)}.radius", (
                    f"must exceed {below}.radius + conductor.thickness = {mm(inner.radius + gap)}, "
                    f"got {mm(outer.radius)}; make it larger"
                )
        tubes = {name: layer.outer_radius for name, layer in named if layer.tube}
        name = max(tubes, key=tubes.get, default=None)
        if self.stray and name and self.stray.radius <= tubes[name] + gap / 2:
            yield "stray.radius", (
                f"must lie outside the {name} at its radius + conductor.thickness / 2 = "
                f"{mm(tubes[name] + gap / 2)}, got {mm(self.stray.radius)}; make stray.radius larger"
            )

    def _key_of(self, name: str) -> str:
        index = next((k for k, layer in enumerate(self.further_layers) if layer.name == name), None)
        return name if index is None else f"further_layers.{index}"

    def _conductor_fits(self):
        pitch = self.conductor.width + self.conductor.spacing
        for name, layer in self.layers.items():
            room = _room(layer) / 2
            if pitch >= room:
                yield "conductor.width", (
                    f"must with conductor.spacing be less than {mm(room)}, the room one lobe has on the {name}, "
                    f"got {mm(pitch)} together; make the conductor narrower"
                )
        bend = self.winding.bend_radius
        for name, layer in self.layers.items() if bend else ():
            if 4 * bend >= _room(layer):
                yield "winding.bend_radius", (
                    f"must be less than {mm(_room(layer) / 4)}, a quarter of the room one lobe has on the {name}, got {mm(bend)}; "
                    "take a conductor that bends more easily or a larger surface"
                )
            if layer.tube and bend > layer.inner_radius:
                yield "winding.bend_radius", f"must not exceed the radius of the {name}, {mm(layer.inner_radius)}, round which every turn bends, got {mm(bend)}"
        if self.former and not all(layer.tube for layer in self.layers.values()):
            yield "former", "must be left out unless all surfaces are tubes; grooves are cut into tubes only"
        if self.cooling and self.cooling.pressure and not self.conductor.bore:
            yield "cooling.pressure", "must be left out unless conductor.bore gives the water a channel; try `bore: 2 mm` under conductor"
        if self.former and self.former.groove_depth < self.conductor.thickness:
            yield "former.groove_depth", (
                f"must be at least conductor.thickness = {mm(self.conductor.thickness)}, "
                f"got {mm(self.former.groove_depth)}"
            )

    def _mesh_is_workable(self):
        edge = self.mesh.resolution
        for name, layer in self.layers.items() if edge else ():
            if not layer.tube:
                continue
            low, high = layer.ends
            vertices = 4 * math.pi * layer.outer_radius * (high - low) / (math.sqrt(3) * edge**2)
            finest = edge * math.sqrt(vertices / MOST_VERTICES)
            if edge < finest:
                yield "mesh.resolution", (
                    f"must be at least {mm(finest)}, which gives the {name} {MOST_VERTICES} vertices, got {mm(edge)}"
                )
            if edge > layer.inner_radius / 2:
                yield "mesh.resolution", f"must be at most half the radius of the {name} = {mm(layer.inner_radius / 2)}, got {mm(edge)}"

    def _words_agree(self):
        if self.amplifier and self.winding.current and self.winding.current > self.amplifier.current:
            yield "winding.current", (
                f"must not exceed amplifier.current = {self.amplifier.current:g} A, got {self.winding.current:g} A"
            )
        for key in ("torque", "net_force"):
            if getattr(self.limits, key) is not None and self.magnet is None:
                yield f"limits.{key}", "must come with `magnet`, whose field makes it; try `magnet: {flux_density: 3 T}`"
        if self.winding.lead_angle and not all(layer.tube for layer in self.layers.values()):
            yield "winding.lead_angle", "must be left out unless all surfaces are tubes, whose leads can go anywhere round the bore"
        if self.wall and self.magnet is None:
            yield "wall", "must come with `magnet`, whose field shakes it; try `magnet: {flux_density: 3 T}`"
        for index, tube in enumerate(self.cryostat.shells if self.cryostat else ()):
            widest = max((layer.outer_radius for layer in self.layers.values() if layer.tube), default=0.0) + self.conductor.thickness / 2
            if tube.radius - tube.thickness / 2 <= widest:
                yield f"cryostat.shells.{index}.radius", f"must lie outside the coil, which reaches {mm(widest)}, got {mm(tube.radius)}"
        if self.limits.net_force is not None and self.magnet is not None and not self.magnet.blocks:
            yield "limits.net_force", (
                "must come with magnet.blocks, since a homogeneous field exerts no net force on a closed winding; "
                "leave it out or list the magnet's windings"
            )


def _room(layer: Surface) -> float:
    """Extent (m) of one lobe of a linear gradient, about; infinite where the shape comes from a file."""
    if layer.tube:
        low, high = layer.ends
        return min(math.pi * layer.inner_radius, high - low)
    sizes = [v for v in (layer.width, layer.height, layer.radius) if v is not None]
    return min(sizes, default=math.inf)
