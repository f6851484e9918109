"""Spec of a magnet of coaxial circular coils whose sizes, places and currents are free within bounds."""

from __future__ import annotations

import math
from typing import Literal

from pydantic import model_validator

from designtools import units
from designtools.spec.base import (
    Audit,
    Current,
    Length,
    Model,
    NonNegativeLength,
    Physical,
    PositiveFluxDensity,
    PositiveLength,
    Region,
    Spec,
    Weight,
    axis_text,
    mm,
)
from designtools.spec.siting import Siting


class _Bounded(Model):
    """A value that may change between bounds; a single value holds it fixed."""

    @model_validator(mode="before")
    @classmethod
    def _fixed(cls, data):
        return {"start": data, "min": data, "max": data} if isinstance(data, (str, int, float)) else data

    @property
    def fixed(self) -> bool:
        return self.min == self.max

    def inconsistencies(self):
        kind = next(m for m in type(self).model_fields["start"].metadata if isinstance(m, Physical))
        start, low, high = (units.format(value, kind.unit) for value in (self.start, self.min, self.max))
        if self.min > self.max:
            yield "min", f"must not exceed max = {high}, got {low}"
        elif not self.min <= self.start <= self.max:
            yield "start", f"must lie between min = {low} and max = {high}, got {start}"


class BoundedRadius(_Bounded):
    """A radius between bounds."""

    start: PositiveLength
    """Where the search starts."""
    min: PositiveLength
    """Smallest allowed."""
    max: PositiveLength
    """Largest allowed."""


class BoundedPosition(_Bounded):
    """An axial position between bounds."""

    start: Length
    """Where the search starts."""
    min: Length
    """Lowest allowed."""
    max: Length
    """Highest allowed."""


class BoundedCurrent(_Bounded):
    """A current between bounds."""

    start: Current
    """Where the search starts."""
    min: Current
    """Smallest allowed."""
    max: Current
    """Largest allowed."""


class Coil(Model):
    """One circular coil about the bore axis, a thin loop at the centre of its section."""

    radius: BoundedRadius
    """Radius of the loop."""
    position: BoundedPosition
    """Position along the bore axis."""
    current: BoundedCurrent
    """Ampere-turns, positive about b0_axis."""


class Field(Model):
    """The main field."""

    floor: PositiveFluxDensity
    """Smallest flux density allowed at the centre of the region."""


class Section(Model):
    """Cross-section of a coil's winding."""

    width: PositiveLength
    """Extent along the axis."""
    height: PositiveLength
    """Extent across the axis."""


class MagnetObjective(Model):
    """What is made small; each term is normalised, so the weights are relative importance."""

    homogeneity: Weight = 1.0
    """Mean square field variation over the region, relative."""
    power: Weight = 0.0
    """Dissipated power."""

    def inconsistencies(self):
        if not (self.homogeneity or self.power):
            yield "homogeneity", "must be positive, or `power`; got zero for both"


class Magnet(Spec):
    """A magnet of coaxial circular coils."""

    kind: Literal["magnet"] = "magnet"
    """What is to be designed."""
    region: Region
    """Where the field must be homogeneous."""
    field: Field
    """What the main field must reach."""
    coils: tuple[Coil, ...]
    """The coils; with `symmetric: true` those on the positive side, each of which has a mirror twin."""
    symmetric: bool = True
    """true mirrors every coil in the plane through the origin across the bore axis."""
    gap: NonNegativeLength = "5 mm"
    """Smallest axial gap between the sections of neighbouring coils."""
    section: Section
    """Cross-section of every coil, for gaps, mass and resistance."""
    objective: MagnetObjective = MagnetObjective()
    """What is made small."""
    siting: Siting = Siting()
    """Lines of equal fringe field."""
    audit: Audit = Audit()
    """The independent check."""

    def inconsistencies(self):
        if not self.coils:
            yield "coils", "must list at least one coil, got none"
            return
        if abs(sum(a * b for a, b in zip(self.frame.b0_axis, self.frame.bore_axis))) < 1 - 1e-9:
            yield "frame.b0_axis", (
                f"must be parallel to frame.bore_axis = {axis_text(self.frame.bore_axis)}, since coaxial coils make an "
                f"axial field, got {axis_text(self.frame.b0_axis)}"
            )
        if abs(self.frame.bore_axis[2]) < 1 - 1e-9:
            yield "frame.bore_axis", (
                "must be z or -z, since windings of rectangular section are coaxial about z, "
                f"got {axis_text(self.frame.bore_axis)}; turn the coordinates of the spec"
            )
        for index, coil in enumerate(self.coils):
            if coil.radius.min <= self.section.height / 2:
                yield f"coils.{index}.radius.min", f"must exceed section.height / 2 = {mm(self.section.height / 2)}, got {mm(coil.radius.min)}"
        yield from self._region_is_clear_of_coils()
        yield from self._coils_are_apart()

    def _region_is_clear_of_coils(self):
        if any(self.region.centre):
            yield "region.centre", (
                f"must be [0, 0, 0], since the coils are placed about the region, got {list(self.region.centre)}; "
                "move the coils instead"
            )
        reach = max(self.region.half_widths)
        for index, coil in enumerate(self.coils):
            nearest = math.hypot(coil.radius.min, max(0.0, coil.position.min, -coil.position.max))
            if nearest <= reach:
                yield f"coils.{index}.radius.min", (
                    f"must keep the coil outside the region, which reaches {mm(reach)} from the centre, "
                    f"but the coil may come as near as {mm(nearest)}"
                )

    def _coils_are_apart(self):
        pitch = self.section.width + self.gap
        if self.symmetric:
            for index, coil in enumerate(self.coils):
                if coil.position.min < pitch / 2:
                    yield f"coils.{index}.position.min", (
                        f"must be at least (section.width + gap) / 2 = {mm(pitch / 2)} to stay clear of the mirror "
                        f"twin, got {mm(coil.position.min)}; try `symmetric: false` for a coil in the middle"
                    )
        order = sorted(range(len(self.coils)), key=lambda i: self.coils[i].position.start)
        for low, high in zip(order, order[1:]):
            distance = self.coils[high].position.start - self.coils[low].position.start
            if distance < pitch:
                yield f"coils.{high}.position.start", (
                    f"must lie at least section.width + gap = {mm(pitch)} above coils.{low}, got {mm(distance)}"
                )
