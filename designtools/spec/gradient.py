"""Spec of a gradient coil on a cylinder, with or without active shield."""

from __future__ import annotations

import math
from typing import Literal

from designtools.spec.base import (
    Audit,
    Axis,
    Count,
    CurrentDensity,
    Length,
    Model,
    NonNegativeLength,
    NonNegativeRatio,
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
    Spec,
    Temperature,
    Weight,
    mm,
    radial_extent,
    split,
)


class Target(Model):
    """The field wanted in the region: B·b0_axis = strength * distance along gradient_axis."""

    gradient_axis: Axis
    """Direction along which B·b0_axis grows."""
    strength: PositiveGradient
    """Gradient at which the design is driven and its limits hold; reverse gradient_axis for the other sign."""
    error: PositiveRatio = "5 %"
    """Largest |B·b0 - G·u| in the region, relative to G times the largest |u|, u measured from its centre."""


class Cylinder(Model):
    """A cylindrical surface about the bore axis that carries conductor."""

    former: Literal["cylinder"] = "cylinder"
    """Shape of the surface."""
    radius: PositiveLength
    """Radius of the conductor's centreline."""
    length: PositiveLength
    """Axial length available to conductor."""
    centre: Length = 0.0
    """Axial position of the middle of the cylinder on the bore axis."""

    @property
    def ends(self) -> tuple[float, float]:
        """Axial positions (m) of the two rims."""
        return self.centre - self.length / 2, self.centre + self.length / 2


class Shield(Cylinder):
    """The active shield."""

    enabled: bool = True
    """false designs the coil without its shield."""


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
MATERIALS = {
    "copper": Material(resistivity=1.7241e-8, temperature_coefficient=3.93e-3, density=8890.0),
    "aluminium": Material(resistivity=2.8264e-8, temperature_coefficient=4.03e-3, density=2703.0),
}
_TWENTY_CELSIUS = 293.15  # K
MOST_VERTICES = 100_000  # of a mesh: more do not fit the memory of a workstation


class Conductor(Model):
    """A rectangular conductor and the gap it needs."""

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

    @property
    def area(self) -> float:
        """Cross-section (m^2)."""
        return self.width * self.thickness

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


class WindingRule(Model):
    """How the current distribution becomes tracks: by `turns` or by `current`, not both."""

    turns: Count | None = None
    """Turns per lobe of the primary."""
    current: PositiveCurrent | None = None
    """Current that makes target.strength; the number of turns follows."""
    joined: bool = True
    """true joins all turns in series with jogs, returns, links and leads; false leaves closed loops."""
    lead_length: NonNegativeLength = "50 mm"
    """Length of the leads beyond the end of the coil."""
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
    primary: Cylinder
    """The surface of the primary coil."""
    shield: Shield | None = None
    """The surface of the active shield."""
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
    objective: Objective = Objective()
    """What is made small."""
    limits: Limits = Limits()
    """Further limits the optimiser holds."""
    former: GrooveFormer | None = None
    """Tube with grooves for the conductor, as a part to make."""
    mesh: Mesh = Mesh()
    """How finely the surfaces are divided for the computation."""
    audit: Audit = Audit()
    """The independent check."""

    @property
    def shielded(self) -> bool:
        return self.shield is not None and self.shield.enabled

    @property
    def layers(self) -> dict[str, Cylinder]:
        """The surfaces that carry conductor, innermost first."""
        return {"primary": self.primary} | ({"shield": self.shield} if self.shielded else {})

    def inconsistencies(self):
        yield from self._region_fits()
        yield from self._layers_nest()
        yield from self._conductor_fits()
        yield from self._mesh_is_workable()
        yield from self._words_agree()

    def _region_fits(self):
        axis = self.frame.bore_axis
        along, across = split(self.region.centre, axis)
        radial = across + radial_extent(self.region, axis)
        inner = self.primary.radius - self.conductor.thickness / 2
        key = "region.radius" if self.region.shape == "ball" else "region.semi_axes"
        if radial >= inner:
            yield key, (
                f"must keep the region inside the primary coil, whose inner radius is {mm(inner)}, "
                f"but it reaches {mm(radial)} from the bore axis; "
                "make the region smaller or primary.radius larger"
            )
        reach, (low, high) = self.region.extent(axis), self.primary.ends
        if along - reach <= low or along + reach >= high:
            yield key, (
                f"must keep the region inside the length of the primary coil ({mm(low)} to {mm(high)}), "
                f"but it spans {mm(along - reach)} to {mm(along + reach)}; "
                "make the region smaller or primary.length larger"
            )

    def _layers_nest(self):
        gap = self.conductor.thickness
        if self.shielded and self.shield.radius <= self.primary.radius + gap:
            yield "shield.radius", (
                f"must exceed primary.radius + conductor.thickness = {mm(self.primary.radius + gap)}, "
                f"got {mm(self.shield.radius)}; make shield.radius larger"
            )
        name, outermost = max(self.layers.items(), key=lambda item: item[1].radius)
        if self.stray and self.stray.radius <= outermost.radius + gap / 2:
            yield "stray.radius", (
                f"must lie outside the {name} at {name}.radius + conductor.thickness / 2 = "
                f"{mm(outermost.radius + gap / 2)}, got {mm(self.stray.radius)}; make stray.radius larger"
            )

    def _conductor_fits(self):
        pitch = self.conductor.width + self.conductor.spacing
        for name, layer in self.layers.items():
            room = min(math.pi * layer.radius, layer.length) / 2
            if pitch >= room:
                yield "conductor.width", (
                    f"must with conductor.spacing be less than {mm(room)}, the room one lobe has on the {name}, "
                    f"got {mm(pitch)} together; make the conductor narrower"
                )
        if self.former and self.former.groove_depth < self.conductor.thickness:
            yield "former.groove_depth", (
                f"must be at least conductor.thickness = {mm(self.conductor.thickness)}, "
                f"got {mm(self.former.groove_depth)}"
            )

    def _mesh_is_workable(self):
        edge = self.mesh.resolution
        for name, layer in self.layers.items() if edge else ():
            vertices = 4 * math.pi * layer.radius * layer.length / (math.sqrt(3) * edge**2)
            finest = edge * math.sqrt(vertices / MOST_VERTICES)
            if edge < finest:
                yield "mesh.resolution", (
                    f"must be at least {mm(finest)}, which gives the {name} {MOST_VERTICES} vertices, got {mm(edge)}"
                )
            if edge > layer.radius / 2:
                yield "mesh.resolution", f"must be at most {name}.radius / 2 = {mm(layer.radius / 2)}, got {mm(edge)}"

    def _words_agree(self):
        if self.amplifier and self.winding.current and self.winding.current > self.amplifier.current:
            yield "winding.current", (
                f"must not exceed amplifier.current = {self.amplifier.current:g} A, got {self.winding.current:g} A"
            )
        for key in ("torque", "net_force"):
            if getattr(self.limits, key) is not None and self.magnet is None:
                yield f"limits.{key}", "must come with `magnet`, whose field makes it; try `magnet: {flux_density: 3 T}`"
        if self.limits.net_force is not None and self.magnet is not None and not self.magnet.blocks:
            yield "limits.net_force", (
                "must come with magnet.blocks, since a homogeneous field exerts no net force on a closed winding; "
                "leave it out or list the magnet's windings"
            )
