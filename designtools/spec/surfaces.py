"""Surfaces that carry current, and the spaces that current keeps out of."""

from __future__ import annotations

import math
from typing import Annotated, Literal

from pydantic import Field

from designtools.spec.base import (
    Axis,
    ExistingFile,
    Length,
    Model,
    Physical,
    Point,
    PositiveLength,
    axis_text,
)

PositiveAngle = Annotated[float, Physical("angle", 0.0, strict=True)]
Profile = Annotated[tuple[tuple[Length, PositiveLength], ...], Field(min_length=2, max_length=100)]

# former -> (keys it needs, keys it may have); a key of neither is refused
KEYS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "cylinder": (("radius", "length"), ("centre",)),
    "elliptic_cylinder": (("half_axes", "length"), ("wide_axis", "centre")),
    "cone": (("radius_low", "radius_high", "length"), ("centre",)),
    "revolved": (("profile",), ("centre",)),
    "plane": (("normal", "width", "height"), ("wide_axis", "place")),
    "disc": (("normal", "radius"), ("wide_axis", "place")),
    "biplanar": (("normal", "width", "height", "gap"), ("wide_axis", "place")),
    "two_discs": (("normal", "radius", "gap"), ("wide_axis", "place")),
    "helmet": (("normal", "radius", "angle"), ("wide_axis", "place")),
    "mesh": (("path",), ("unit",)),
}
TUBES = ("cylinder", "elliptic_cylinder", "cone", "revolved")
_EXAMPLES = {
    "radius": "200 mm", "length": "600 mm", "half_axes": "[200 mm, 240 mm]", "radius_low": "180 mm", "radius_high": "240 mm",
    "profile": "[[-300 mm, 180 mm], [300 mm, 240 mm]]", "normal": "z", "width": "400 mm", "height": "400 mm", "gap": "300 mm",
    "angle": "80 deg", "path": "former.stl",
}  # fmt: skip


class Surface(Model):
    """A surface that carries conductor; `former` says of which shape, and with it which of the other keys belong."""

    former: Literal[tuple(KEYS)] = "cylinder"
    """Shape: a tube about the bore axis (cylinder, elliptic_cylinder, cone, revolved), one or two planes or discs,
    a helmet (cap of a sphere), or a mesh from a file."""
    radius: PositiveLength | None = None
    """Radius of the conductor's centreline (cylinder), of the disc, of the helmet's sphere."""
    length: PositiveLength | None = None
    """Axial length available to conductor (tubes)."""
    centre: Length | None = None
    """Axial position of the middle of a tube on the bore axis, of z = 0 of a profile; 0 when left out."""
    half_axes: tuple[PositiveLength, PositiveLength] | None = None
    """Half axes of the ellipse: along wide_axis, and across it."""
    radius_low: PositiveLength | None = None
    """Radius of a cone at the lower end along the bore axis."""
    radius_high: PositiveLength | None = None
    """Radius of a cone at the upper end."""
    profile: Profile | None = None
    """Points [axial position, radius] through which a revolved wall passes smoothly."""
    normal: Axis | None = None
    """Direction square to planes and discs; from the sphere's centre to the helmet's pole."""
    wide_axis: Axis | None = None
    """Direction of width, or of the first half axis; when left out, the gradient axis or another that fits."""
    width: PositiveLength | None = None
    """Extent of a plane along wide_axis."""
    height: PositiveLength | None = None
    """Extent of a plane across wide_axis."""
    gap: PositiveLength | None = None
    """Distance between the two planes or discs."""
    place: Point | None = None
    """Centre of a plane or disc, middle between two of them, pole of a helmet; the origin when left out."""
    angle: PositiveAngle | None = None
    """Half opening angle of a helmet, seen from the sphere's centre; up to 150 deg."""
    path: ExistingFile | None = None
    """Triangles of any surface (.stl, .obj, .ply), relative to this file; every connected part carries current."""
    unit: Literal["m", "cm", "mm"] | None = None
    """Unit of the numbers in `path`; mm when left out."""

    def inconsistencies(self):
        needs, may = KEYS[self.former]
        for name in needs:
            if getattr(self, name) is None:
                yield name, f"must be given for former {self.former}, got nothing; try `{name}: {_EXAMPLES[name]}`"
        for name in type(self).model_fields:
            if name not in ("former", "enabled", "name", *needs, *may) and getattr(self, name) is not None:
                yield name, f"must be left out for former {self.former}, which is given by {', '.join((*needs, *may))}"
        yield from self._shape_is_sound()

    def _shape_is_sound(self):
        if self.normal and self.wide_axis and abs(sum(a * b for a, b in zip(self.normal, self.wide_axis))) > 1e-9:
            yield "wide_axis", f"must be at right angles to normal = {axis_text(self.normal)}, got {axis_text(self.wide_axis)}"
        if self.angle is not None and self.angle > math.radians(150) + 1e-12:
            yield "angle", f"must be at most 150 deg, got {math.degrees(self.angle):g} deg"
        if self.profile and any(b[0] <= a[0] for a, b in zip(self.profile, self.profile[1:])):
            yield "profile", "must rise along the bore axis from point to point; sort the points"

    @property
    def tube(self) -> bool:
        """Whether it surrounds the bore axis."""
        return self.former in TUBES

    @property
    def inner_radius(self) -> float:
        """Smallest radius (m) of a tube."""
        return min(self._radii)

    @property
    def outer_radius(self) -> float:
        """Largest radius (m) of a tube."""
        return max(self._radii)

    @property
    def _radii(self) -> tuple[float, ...]:
        if self.former == "revolved":
            return tuple(r for _, r in self.profile)
        found = {"cylinder": (self.radius,), "elliptic_cylinder": self.half_axes, "cone": (self.radius_low, self.radius_high)}
        return found[self.former]

    @property
    def ends(self) -> tuple[float, float]:
        """Axial positions (m) of the two rims of a tube."""
        middle = self.centre or 0.0
        if self.former == "revolved":
            return middle + self.profile[0][0], middle + self.profile[-1][0]
        return middle - self.length / 2, middle + self.length / 2


class Shield(Surface):
    """The active shield."""

    enabled: bool = True
    """false designs the coil without its shield."""


class FurtherLayer(Surface):
    """A further surface in series with the primary."""

    name: Annotated[str, Field(min_length=1, pattern=r"^[\w-]+$")]
    """How files and the report call it."""


class KeepOut(Model):
    """A space without conductor: a patient slot, a ring of detectors, a window for cables."""

    shape: Literal["box", "ball", "cylinder"]
    """`box` with `size`, `ball` with `radius`, `cylinder` with `radius`, `length` and `axis`."""
    place: Point = (0.0, 0.0, 0.0)
    """Its centre."""
    size: tuple[PositiveLength, PositiveLength, PositiveLength] | None = None
    """Extent of a box along x, y, z."""
    radius: PositiveLength | None = None
    """Radius of a ball or cylinder."""
    length: PositiveLength | None = None
    """Length of a cylinder."""
    axis: Axis | None = None
    """Axis of a cylinder."""

    def inconsistencies(self):
        needs = {"box": ("size",), "ball": ("radius",), "cylinder": ("radius", "length", "axis")}[self.shape]
        examples = {"size": "[100 mm, 50 mm, 80 mm]", "radius": "50 mm", "length": "100 mm", "axis": "x"}
        for name in ("size", "radius", "length", "axis"):
            given = getattr(self, name) is not None
            if name in needs and not given:
                yield name, f"must be given for shape {self.shape}, got nothing; try `{name}: {examples[name]}`"
            if given and name not in needs:
                yield name, f"must be left out for shape {self.shape}, which is given by {', '.join(needs)}"
