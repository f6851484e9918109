"""Spec of a radio-frequency shim: amplitudes and phases of the channels of an array under limits on SAR and power."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from designtools.spec.base import Count, Model, Physical, Point, Seed
from designtools.spec.rf_coil import RFBase

PositiveSAR = Annotated[float, Physical("specific_power", 0.0, strict=True)]
PositivePower = Annotated[float, Physical("power", 0.0, strict=True)]


class ShimTarget(Model):
    """What the drive is to do."""

    aim: Literal["focus", "uniform"] = "uniform"
    """`focus`: the largest transmit field at `point`; `uniform`: magnitude transmit.b1_rms, even over the region."""
    point: Point | None = None
    """Where to focus."""
    starts: Annotated[int, Field(ge=1, le=100, strict=True)] = 8
    """Starts of the non-convex problem `uniform`; the spread of what they reach is reported."""
    seed: Seed = 1
    """Seed of the starting phases."""
    points: Count = 400
    """Points of the region at which the field is made even."""

    def inconsistencies(self):
        if (self.aim == "focus") != (self.point is not None):
            yield "point", "must be given for aim focus and for no other"


class ShimSafety(Model):
    """Limits, averaged over time; those left out are no limits, but at least one must be given."""

    sar_10g: PositiveSAR | None = None
    """Largest SAR over 10 g."""
    sar_head: PositiveSAR | None = None
    """Largest SAR averaged over the head; the phantom must stand for a head."""
    sar_whole_body: PositiveSAR | None = None
    """Largest SAR averaged over the body: over the phantom's mass, or over transmit.patient_mass for a head."""
    channel_power: PositivePower | None = None
    """Largest power into each channel, its own losses and the body's, without what others couple into it."""
    total_power: PositivePower | None = None
    """Largest power in body and conductors together."""

    def inconsistencies(self):
        if all(getattr(self, name) is None for name in type(self).model_fields):
            yield "sar_10g", "must be given, or another limit; without any the drive grows without end"


class RFShim(RFBase):
    """Drive of a transmit array: even or focused field under limits on SAR."""

    kind: Literal["rf_shim"] = "rf_shim"
    """What is to be designed."""
    target: ShimTarget = ShimTarget()
    """An even field or a focus."""
    limits: ShimSafety
    """What it must keep."""

    def inconsistencies(self):
        yield from super().inconsistencies()
        if self.limits.sar_head is not None and self.phantom.part != "head":
            yield "limits.sar_head", f"must be left out where phantom.part is {self.phantom.part}; set `part: head`"
        if self.limits.sar_whole_body is not None and self.phantom.part == "other":
            yield "limits.sar_whole_body", "must be left out where phantom.part is other; set `part: head` or `part: body`"
        if self.coil.type in ("loop", "helmholtz", "spiral", "solenoid", "saddle"):
            yield "coil.type", f"must have several channels to be shimmed, got {self.coil.type}; try `type: loops`"
