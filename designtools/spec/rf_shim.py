"""Spec of a radio-frequency shim: amplitudes and phases of the channels of an array under limits on SAR and power."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from designtools.spec.base import Count, Model, Physical, Point, Seed
from designtools.spec.rf_coil import RFBase

PositiveSAR = Annotated[float, Physical("specific_power", 0.0, strict=True)]
PositivePower = Annotated[float, Physical("power", 0.0, strict=True)]


BOUNDED = ("sar_10g", "sar_head", "sar_whole_body", "channel_power", "total_power")


class PortCurrent(Model):
    """What drives one channel."""

    magnitude: Annotated[float, Physical("current", 0.0)]
    """Peak current at the port."""
    phase: Annotated[float, Physical("angle")] = 0.0
    """Phase of the current."""


class ShimTarget(Model):
    """What the drive is to do."""

    aim: Literal["focus", "uniform", "given"] = "uniform"
    """`focus`: the largest transmit field at `point`; `uniform`: magnitude transmit.b1_rms, even over the region; `given`: `currents` as they are."""
    currents: tuple[PortCurrent, ...] | None = None
    """The drive itself, one entry per channel: it is assessed, not sought, and limits that it exceeds are requirements missed."""
    drive: Literal["magnitude_and_phase", "phase"] = "magnitude_and_phase"
    """`phase`: all channels carry the same magnitude, only phases differ; not convex, several starts are tried."""
    point: Point | None = None
    """Where to focus."""
    starts: Annotated[int, Field(ge=1, le=100, strict=True)] = 8
    """Starts of a problem that is not convex (`uniform`, or `drive: phase`); the spread of what they reach is reported."""
    seed: Seed = 1
    """Seed of the starting phases."""
    points: Count = 400
    """Points of the region at which the field is made even."""

    def inconsistencies(self):
        if (self.aim == "focus") != (self.point is not None):
            yield "point", "must be given for aim focus and for no other"
        if (self.aim == "given") != (self.currents is not None):
            yield "currents", "must be given for aim given and for no other"
        if self.currents and not any(c.magnitude for c in self.currents):
            yield "currents", "must have at least one magnitude above 0, got none"


class ShimSafety(Model):
    """Limits, averaged over time; those left out are no limits, but at least one must be given."""

    profile: Literal["IEC 60601-2-33, normal mode", "IEC 60601-2-33, first level controlled mode", "FDA 2014, significant risk"] | None = None
    """Standard and mode whose limits hold where no other is given here: the smaller of both is kept; not all numbers are confirmed, see the report."""
    site: Literal["head_trunk", "extremities"] = "head_trunk"
    """Which local limits of the profile hold."""
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
        if all(getattr(self, name) is None for name in ("profile", *BOUNDED)):
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
