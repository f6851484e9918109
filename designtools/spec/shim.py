"""Spec of a multi-coil shim: a measured field map and loops whose currents flatten it."""

from __future__ import annotations

from typing import Literal

from designtools.spec.base import (
    Axis,
    Count,
    ExistingFile,
    Model,
    Point,
    PositiveCurrent,
    PositiveLength,
    Spec,
    mm,
)


class FieldMap(Model):
    """The measured field, as NIfTI volumes in scanner coordinates (mm by the NIfTI standard)."""

    b0: ExistingFile
    """Off-resonance map (.nii or .nii.gz), relative to this file."""
    mask: ExistingFile
    """Volume on the same grid; the field matters where it is not zero."""
    unit: Literal["Hz"] = "Hz"
    """Unit of the map."""


class ShimLoop(Model):
    """One circular loop."""

    centre: Point
    """Centre, measured from `origin`."""
    normal: Axis
    """Direction of the loop's own field at its centre for positive current."""
    radius: PositiveLength
    """Radius."""


class ShimCoils(Model):
    """The loops, on a cylinder in rows or listed one by one."""

    arrangement: Literal["cylinder", "list"] = "cylinder"
    """`cylinder` with `rows`, `per_row`, `row_spacing`, `radius`, `loop_radius`, or `list` with `loops`."""
    rows: Count | None = None
    """Number of rows along the bore axis."""
    per_row: Count | None = None
    """Loops around the bore axis in each row."""
    row_spacing: PositiveLength | None = None
    """Distance between neighbouring rows; the rows lie symmetrically about the origin."""
    radius: PositiveLength | None = None
    """Radius of the cylinder on which the centres lie."""
    loop_radius: PositiveLength | None = None
    """Radius of each loop; its plane touches the cylinder."""
    staggered: bool = True
    """true turns every second row by half a step."""
    loops: tuple[ShimLoop, ...] = ()
    """The loops of the arrangement `list`."""
    turns: Count = 1
    """Turns of every loop."""

    @property
    def count(self) -> int:
        """Number of loops, which is the number of channels."""
        return self.rows * self.per_row if self.arrangement == "cylinder" else len(self.loops)

    def inconsistencies(self):
        words = ("rows", "per_row", "radius", "loop_radius") + (("row_spacing",) if (self.rows or 1) > 1 else ())
        if self.arrangement == "list":
            if not self.loops:
                yield "loops", "must list at least one loop for arrangement list, got none"
            for word in (*words, "row_spacing"):
                if getattr(self, word) is not None:
                    yield word, "must be left out for arrangement list, which is given by `loops`"
            return
        for word in words:
            if getattr(self, word) is None:
                yield word, "must be given for arrangement cylinder, got nothing"
        if self.loops:
            yield "loops", "must be left out for arrangement cylinder; try `arrangement: list`"


class ShimLimits(Model):
    """What the amplifiers can give."""

    current: PositiveCurrent
    """Largest current of each channel."""
    total_current: PositiveCurrent | None = None
    """Largest sum of the magnitudes over all channels."""

    def inconsistencies(self):
        if self.total_current is not None and self.total_current < self.current:
            yield "total_current", f"must be at least current = {self.current:g} A, got {self.total_current:g} A"


class Section(Model):
    """Cross-section of the conductor."""

    width: PositiveLength = "2 mm"
    """Width."""
    height: PositiveLength = "1 mm"
    """Height."""


class Shim(Spec):
    """A multi-coil shim for a measured field map."""

    kind: Literal["shim"] = "shim"
    """What is to be designed."""
    field_map: FieldMap
    """The field to flatten."""
    coils: ShimCoils
    """The loops."""
    origin: Literal["mask_centre", "scanner"] = "mask_centre"
    """What the loops are placed about: the centre of the mask's bounding box, or the scanner's isocentre."""
    limits: ShimLimits
    """Currents the optimiser may use."""
    include_offset: bool = True
    """true lets the centre frequency follow, so that the mean of the field costs no current."""
    criterion: Literal["least_squares", "min_max"] = "least_squares"
    """Make the root mean square or the largest deviation small."""
    section: Section = Section()
    """The conductor, for resistance and drawings."""

    def inconsistencies(self):
        coils = self.coils
        if coils.arrangement == "cylinder" and coils.loop_radius >= coils.radius:
            yield "coils.loop_radius", (
                f"must be less than coils.radius = {mm(coils.radius)}, got {mm(coils.loop_radius)}"
            )
