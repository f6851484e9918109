"""Spec of a matrix coil: an array of elements, each with an amplifier of its own, for fields asked one after the other."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from designtools.spec.base import Audit, Model, PositiveCurrent, PositiveTime, PositiveVoltage, Region, Spec, Weight, mm
from designtools.spec.gradient import BackgroundMagnet, Conductor, Target
from designtools.spec.loop_array import LoopArray
from designtools.spec.shim import FieldMap


class Wanted(Target):
    """One of the fields that the array shall make."""

    name: Annotated[str, Field(min_length=1, max_length=40)]
    """What it is called in figures and tables."""


class Channels(Model):
    """The amplifiers, one per element."""

    current: PositiveCurrent
    """Largest current of a channel."""
    voltage: PositiveVoltage
    """Largest voltage of a channel."""
    rise_time: PositiveTime = "1 ms"
    """Duration of the linear ramp from zero to the currents of a field, at whose end the voltage counts."""


class ShimDuty(Model):
    """A measured map that the array holds flat all the time, besides its fields."""

    field_map: FieldMap
    """The field to flatten."""
    origin: Literal["mask_centre", "scanner"] = "scanner"
    """Where in the map the origin of this spec lies: at the scanner's isocentre, or amid the mask."""
    weight: Weight = 10.0
    """What the share of the map's variance that is left costs, against the power of one field with all channels at their limit."""


class MatrixCoil(Spec):
    """An array of independently driven loops; every wanted field is a convex problem in their currents."""

    kind: Literal["gradient"] = "gradient"
    """What is to be designed."""
    region: Region
    """Where the fields are wanted."""
    targets: Annotated[tuple[Wanted, ...], Field(min_length=1, max_length=40)]
    """The fields wanted, each for itself."""
    elements: LoopArray
    """The loops."""
    conductor: Conductor
    """The conductor of a turn."""
    channels: Channels
    """The amplifiers."""
    magnet: BackgroundMagnet | None = None
    """The main magnet; without it, the torque on an element is not evaluated."""
    shim: ShimDuty | None = None
    """Shim duty: currents that flow all the time and share the amplifiers with every field."""
    audit: Audit = Audit()
    """The independent check."""

    def inconsistencies(self):
        names = [target.name for target in self.targets]
        for index, name in enumerate(names):
            if name in names[:index]:
                yield f"targets.{index}.name", f"must differ from the names before it, got {name!r} again"
            if name == "shim" and self.shim is not None:
                yield f"targets.{index}.name", "must not be 'shim', which is what the shim duty is called"
        elements = self.elements
        if elements.arrangement == "cylinder" and elements.radius <= max(self.region.half_widths):
            yield "elements.radius", f"must exceed the region, which reaches {mm(max(self.region.half_widths))}, got {mm(elements.radius)}"
