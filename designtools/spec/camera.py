"""Spec of a field camera: probes on an allowed surface that tell the harmonics of the field in a region."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from designtools.spec.base import (
    Count,
    ExistingFile,
    Length,
    Model,
    NonNegativeLength,
    Point,
    PositiveFluxDensity,
    PositiveGradient,
    PositiveLength,
    Seed,
    Spec,
)
from designtools.spec.loop_array import misplaced
from designtools.spec.surfaces import KeepOut

# arrangement -> (keys it needs, keys it may have)
SURFACES = {
    "sphere": (("radius",), ("lowest", "highest")),
    "ellipsoid": (("semi_axes",), ("lowest", "highest")),
    "cylinder": (("radius", "length"), ()),
    "mesh": (("path",), ("unit",)),
    "points": (("path",), ()),
}
_EXAMPLES = {"radius": "100 mm", "semi_axes": "[110 mm, 130 mm, 120 mm]", "length": "200 mm", "path": "helmet.stl"}


class Allowed(Model):
    """Where probes may stand; `arrangement` says which of the other keys belong."""

    arrangement: Literal[tuple(SURFACES)] = "sphere"
    """A `sphere`, `ellipsoid` or `cylinder` about the origin, the vertices of a `mesh`, or `points` from a table."""
    radius: PositiveLength | None = None
    """Radius of the sphere or cylinder."""
    semi_axes: tuple[PositiveLength, PositiveLength, PositiveLength] | None = None
    """Half lengths of the ellipsoid along x, y, z."""
    length: PositiveLength | None = None
    """Length of the cylinder along the bore."""
    lowest: Length | None = None
    """Height along the bore axis, from the origin, below which no probe may stand (sphere, ellipsoid)."""
    highest: Length | None = None
    """Height above which no probe may stand (sphere, ellipsoid)."""
    path: ExistingFile | None = None
    """Triangles (.stl, .obj, .ply), or a table with the columns x_mm, y_mm, z_mm."""
    unit: Literal["m", "cm", "mm"] | None = None
    """Unit of the numbers in a mesh; mm when left out."""

    def inconsistencies(self):
        yield from misplaced(self, SURFACES, _EXAMPLES, ("arrangement",))
        if self.lowest is not None and self.highest is not None and self.highest <= self.lowest:
            yield "highest", f"must be above lowest = {1e3 * self.lowest:g} mm, got {1e3 * self.highest:g} mm"


class Ball(Model):
    """Where the fitted field is wanted."""

    radius: PositiveLength
    """Radius of the ball about `centre`."""
    centre: Point = (0.0, 0.0, 0.0)
    """Its centre."""


class Readings(Model):
    """Measured frames, to be fitted with the camera."""

    path: ExistingFile
    """Table without positions: a row per frame, a column per probe in the order of the camera, in `unit`."""
    unit: Literal["Hz", "T"] = "Hz"
    """Unit of the numbers: of the field along B0, or with `magnitude` of its magnitude."""
    magnitude: bool = False
    """true: the readings are magnitudes at low field, fitted with the field across B0; needs `main_field`."""


class Camera(Spec):
    """Field probes, placed so that they tell the harmonics to an order best."""

    kind: Literal["camera"] = "camera"
    """What is to be designed."""
    order: Annotated[int, Field(ge=0, le=8, strict=True)]
    """Highest order of the harmonics that are fitted."""
    probes: Count
    """Number of probes; at least (order + 1)^2."""
    surface: Allowed
    """Where they may stand."""
    keep_out: tuple[KeepOut, ...] = ()
    """Spaces without probes."""
    spacing: NonNegativeLength = 0.0
    """Smallest distance between two probes."""
    droplet_radius: PositiveLength = "3 mm"
    """Radius of a probe, for drawings."""
    region: Ball
    """The ball over which the noise of the fitted field counts."""
    reference_radius: PositiveLength | None = None
    """Radius at which the harmonics count alike; when left out, that of a sphere, else the mean distance of where probes
    may stand."""
    noise: PositiveFluxDensity = "1 nT"
    """Standard deviation of a reading."""
    position_error: NonNegativeLength = "0.2 mm"
    """Standard deviation of a probe's place along each axis."""
    gradient_strength: PositiveGradient = "10 mT/m"
    """Gradient that turns an error of place into one of the reading."""
    main_field: PositiveFluxDensity | None = None
    """Main field, for readings of the magnitude."""
    readings: Readings | None = None
    """Measured frames to fit."""
    candidates: Annotated[int, Field(ge=50, le=50_000, strict=True)] = 2000
    """Places among which the exchange chooses, before places move freely over a sphere, ellipsoid or cylinder."""
    starts: Annotated[int, Field(ge=1, le=200, strict=True)] = 10
    """Starts of the exchange."""
    seed: Seed = 1
    """Seed of the starts."""

    def inconsistencies(self):
        if self.probes < (self.order + 1) ** 2:
            yield "probes", f"must be at least (order + 1)^2 = {(self.order + 1) ** 2}, got {self.probes}"
        if self.readings is not None and self.readings.magnitude and self.main_field is None:
            yield "main_field", "must be given for readings of the magnitude, got nothing; try `main_field: 50 mT`"
