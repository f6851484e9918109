"""Where a magnet stands: the scanner's outline, its room, zones with limits, faults to foresee, shields of iron."""

from __future__ import annotations

import math
from typing import Annotated, Literal

from pydantic import Field

from designtools.spec.base import (
    Axis,
    Length,
    Model,
    NonNegativeLength,
    PositiveFluxDensity,
    PositiveLength,
    mm,
)

Corner = tuple[Length, Length]
Outline = Annotated[tuple[Corner, ...], Field(min_length=3)]
Name = Annotated[str, Field(min_length=1)]
Number = Annotated[int, Field(gt=0, strict=True)]


class Scanner(Model):
    """The covers of the scanner, a box about the isocentre."""

    length: PositiveLength
    """Along the horizontal direction of the bore."""
    width: PositiveLength
    """Across it."""
    height: PositiveLength
    """From the floor to the top of the covers."""
    bore: PositiveLength | None = None
    """Diameter of the patient bore."""

    def inconsistencies(self):
        if self.bore is not None and self.bore >= min(self.width, self.height):
            yield "bore", f"must be smaller than width and height, got {mm(self.bore)}"


class Door(Model):
    """A door: the two ends of its opening in plan."""

    name: Name = "door"
    """How the drawing calls it."""
    start: Corner
    """One end: across, along, from the isocentre."""
    end: Corner
    """The other end."""


class Room(Model):
    """The examination room."""

    outline: Outline
    """Inner faces of the walls in plan: corners (across, along) from the isocentre."""
    height: PositiveLength = "2.8 m"
    """Clear height above the floor."""
    wall: PositiveLength = "200 mm"
    """Thickness of the walls."""
    doors: tuple[Door, ...] = ()
    """Openings in the walls."""

    def inconsistencies(self):
        yield from _is_simple("outline", self.outline)


class Zone(Model):
    """A space in which the flux density must stay below a limit."""

    name: Name
    """How the drawing and the report call it."""
    outline: Outline
    """Corners (across, along) in plan from the isocentre."""
    limit: PositiveFluxDensity
    """Largest flux density allowed."""
    bottom: Length = "0 m"
    """Lower end above the floor; negative for a storey below."""
    top: Length = "2 m"
    """Upper end above the floor."""

    def inconsistencies(self):
        yield from _is_simple("outline", self.outline)
        if self.top <= self.bottom:
            yield "top", f"must lie above bottom = {mm(self.bottom)}, got {mm(self.top)}"


class Fault(Model):
    """Coils that lose their current while the others keep it."""

    name: Name
    """How the drawing calls it, such as `shield quench`."""
    lost: Literal["shield"] | tuple[Number, ...] = "shield"
    """`shield` for all coils that oppose the others, or numbers of coils as the report's tables count them."""

    def inconsistencies(self):
        if not self.lost:
            yield "lost", "must name at least one coil, got none"


class Plate(Model):
    """A plate of steel, a box whose faces are parallel to the drawing."""

    name: Name
    """How the drawing and the report call it."""
    across: tuple[Length, Length]
    """From, to; across the bore, from the isocentre."""
    along: tuple[Length, Length]
    """From, to; along the bore, from the isocentre."""
    height: tuple[Length, Length]
    """From, to; above the floor."""

    def inconsistencies(self):
        for key in ("across", "along", "height"):
            low, high = getattr(self, key)
            if high <= low:
                yield key, f"must be two rising lengths, got {mm(low)}, {mm(high)}"


class Siting(Model):
    """The fringe field and the room around the magnet."""

    enabled: bool = True
    """false leaves the lines and the fringe figures out."""
    levels: tuple[PositiveFluxDensity, ...] = ()
    """Lines beside those of 0.5 mT and 0.9 mT, which are always drawn."""
    up: Axis = "y"
    """Away from the floor, in the coordinates of this spec."""
    isocentre_height: NonNegativeLength = "1 m"
    """Height of the isocentre above the floor."""
    scanner: Scanner | None = None
    """The scanner's covers; what people can reach lies outside them and in the bore."""
    room: Room | None = None
    """The examination room."""
    zones: tuple[Zone, ...] = ()
    """Spaces with a limit of their own; each implies a requirement."""
    faults: tuple[Fault, ...] = ()
    """Coil sets whose loss the drawing must show."""
    plates: tuple[Plate, ...] = ()
    """Passive shields of low-carbon steel."""

    def inconsistencies(self):
        for key in ("zones", "faults", "plates"):
            names = [item.name for item in getattr(self, key)]
            for index, name in enumerate(names):
                if name in names[:index]:
                    yield f"{key}.{index}.name", f"must be a name of its own, got {name!r} again"


def _is_simple(key: str, outline):
    """A sentence where the outline crosses itself or encloses nothing."""
    n = len(outline)
    area = sum(a[0] * b[1] - b[0] * a[1] for a, b in zip(outline, outline[1:] + outline[:1])) / 2
    if abs(area) < 1e-9:
        yield key, "must enclose an area, got corners on one line"
    for i in range(n):
        for j in range(i + 2, n - (i == 0)):
            if _cross(outline[i], outline[i + 1], outline[j], outline[(j + 1) % n]):
                yield key, f"must not cross itself, but the sides after corners {i + 1} and {j + 1} do"
                return


def _cross(a, b, c, d) -> bool:
    side = lambda p, q, r: math.copysign(1, (q[0] - p[0]) * (r[1] - p[1]) - (q[1] - p[1]) * (r[0] - p[0]))
    return side(a, b, c) != side(a, b, d) and side(c, d, a) != side(c, d, b)
