"""What stands around a gradient coil, and what the coil may do to it: a person, a cryostat, the wall it is bonded to, its coolant."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from designtools.spec.base import (
    Count,
    ExistingFile,
    Length,
    Model,
    Physical,
    Point,
    PositiveLength,
    PositivePressure,
    PositiveRatio,
    PositiveResistivity,
    PositiveTime,
)

PositiveElectricField = Annotated[float, Physical("electric_field", 0.0, strict=True)]
PositiveSlewRate = Annotated[float, Physical("slew_rate", 0.0, strict=True)]
PositiveFrequency = Annotated[float, Physical("frequency", 0.0, strict=True)]
PositivePower = Annotated[float, Physical("power", 0.0, strict=True)]
PositiveVelocity = Annotated[float, Physical("velocity", 0.0, strict=True)]
PositiveDensity = Annotated[float, Physical("density", 0.0, strict=True)]
PositiveHeatTransfer = Annotated[float, Physical("heat_transfer", 0.0, strict=True)]
HeatConductance = Annotated[float, Physical("heat_conductance", 0.0)]
TemperatureRise = Annotated[float, Physical("temperature_difference", 0.0, strict=True)]


class Patient(Model):
    """A homogeneous body, in which the electric field that the switched gradient induces is found."""

    semi_axes: tuple[PositiveLength, PositiveLength, PositiveLength] | None = None
    """Half axes of an ellipsoid along x, y, z."""
    centre: Point = (0.0, 0.0, 0.0)
    """Its centre."""
    surface: ExistingFile | None = None
    """A closed surface from a file (.stl, .obj, .ply) instead, where it lies in the coil."""
    unit: Literal["m", "cm", "mm"] = "mm"
    """Unit of the numbers in `surface`."""
    slew_rate: PositiveSlewRate
    """Slew rate at which the electric field is stated and limited."""
    limit: PositiveElectricField | None = None
    """Largest electric field at that slew rate that the optimiser allows; without it, it is only stated."""
    rheobase: PositiveElectricField = "2.2 V/m"
    """Electric field that stimulates when it lasts, for the threshold (IEC 60601-2-33 takes 2.2 V/m)."""
    chronaxie: PositiveTime = "0.36 ms"
    """Chronaxie of the nerves (IEC 60601-2-33 takes 0.36 ms)."""

    def inconsistencies(self):
        if (self.semi_axes is None) == (self.surface is None):
            got = "neither" if self.semi_axes is None else "both"
            yield "semi_axes", f"must be given, or `surface`, but not both; got {got}; try `semi_axes: [200 mm, 120 mm, 300 mm]`"


class ConductingTube(Model):
    """A thin conducting tube about the bore axis: cryostat bore, thermal shield, RF screen."""

    radius: PositiveLength
    """Mean radius."""
    length: PositiveLength
    """Axial length."""
    thickness: PositiveLength
    """Wall thickness, less than the skin depth of its metal."""
    resistivity: PositiveResistivity
    """Resistivity at its temperature."""
    centre: Length = 0.0
    """Axial position of its middle."""


class Cryostat(Model):
    """Conducting shells in which the switched gradient induces currents."""

    shells: Annotated[tuple[ConductingTube, ...], Field(min_length=1, max_length=8)]
    """The shells; they shield each other."""
    ramp: PositiveTime = "0.5 ms"
    """Duration of the ramp to target.strength after which the field of the eddy currents is looked at."""
    wait: PositiveTime = "1 ms"
    """How long after it."""
    residual_limit: PositiveRatio | None = None
    """Largest field of the eddy currents in the region then, relative to target.strength times reach."""
    frequency: PositiveFrequency = "1 kHz"
    """Frequency of a sinusoid of amplitude target.strength, at which the power in the shells is stated."""
    power_limit: PositivePower | None = None
    """Largest mean power in the shells then."""


class Wall(Model):
    """The cylinder that the coil is bonded to, as a shell that vibrates; needs `magnet`."""

    radius: PositiveLength
    """Mean radius."""
    length: PositiveLength
    """Axial length."""
    thickness: PositiveLength
    """Wall thickness."""
    modulus: PositivePressure = "15 GPa"
    """Young's modulus; filled epoxy has about 15 GPa."""
    density: PositiveDensity = "2200 kg/m^3"
    """Mass per volume, conductor included."""
    damping: PositiveRatio = 0.02
    """Share of critical damping of every mode."""
    frequencies: Annotated[tuple[PositiveFrequency, ...], Field(min_length=1, max_length=50)] = ("1 kHz",)
    """Frequencies of the sinusoids of amplitude target.strength that shake it together."""
    orders: Annotated[int, Field(ge=0, le=12, strict=True)] = 4
    """Highest azimuthal order of its modes."""
    waves: Annotated[int, Field(ge=1, le=20, strict=True)] = 8
    """Largest number of half waves along it."""
    velocity_limit: PositiveVelocity | None = None
    """Largest rms velocity of its surface that the optimiser allows; without it, it is only stated."""


class Cooling(Model):
    """How heat leaves the conductor."""

    heat_transfer: PositiveHeatTransfer
    """Into the coolant, per area of the surface and kelvin, both faces together."""
    spreading: HeatConductance = 0.0
    """Conductivity times thickness of what carries heat along the surface."""
    duty: PositiveRatio = 1.0
    """Mean over time of the square of the current, relative to that at target.strength."""
    limit: TemperatureRise | None = None
    """Largest temperature above the coolant that the optimiser allows; without it, it is only stated."""
    pressure: PositivePressure | None = None
    """Pressure that drives water through conductor.bore, over each circuit; states the flow and how warm it gets."""
    circuits: Count = 1
    """Circuits of equal length side by side, into which the winding is divided for the water."""
