"""Spec of a permanent magnet of stock cuboids: Halbach rings about a bore, or an array below a surface."""

from __future__ import annotations

import math
from typing import Annotated, Literal, NamedTuple

from pydantic import Field

from designtools.spec.base import (
    Audit,
    Count,
    ExistingFile,
    Model,
    NonNegativeLength,
    NonNegativeRatio,
    Physical,
    PositiveFluxDensity,
    PositiveLength,
    Region,
    Seed,
    Spec,
    Temperature,
    axis_text,
    mm,
)
from designtools.spec.siting import Siting


class Grade(NamedTuple):
    """Sintered NdFeB at 20 degC: least and largest remanence (T), recoil permeability, its slope (1/K), coercivity (A/m), density (kg/m3)."""

    low: float
    high: float
    recoil: float = 1.05
    slope: float = -1.2e-3
    coercivity: float = 955e3
    density: float = 7500.0


# remanence and least intrinsic coercivity of the common series without heavy rare earths, as makers list them
GRADES = {
    "N35": Grade(1.17, 1.22),
    "N38": Grade(1.22, 1.25),
    "N40": Grade(1.25, 1.28),
    "N42": Grade(1.28, 1.32),
    "N45": Grade(1.32, 1.37),
    "N48": Grade(1.37, 1.42),
    "N50": Grade(1.39, 1.44),
    "N52": Grade(1.42, 1.46, coercivity=876e3),
}
CUBES = tuple(edge * 1e-3 for edge in (5, 6, 7, 8, 10, 12, 12.7, 15, 16, 19.05, 20, 25, 25.4, 30))  # m, edges kept in stock
COLD, HOT = 250.0, 353.0  # K, where the linear slope of the remanence holds

GradeName = Literal["N35", "N38", "N40", "N42", "N45", "N48", "N50", "N52"]
Permeability = Annotated[float, Physical("ratio", 1.0)]
Slope = Annotated[float, Physical("temperature_coefficient")]
Density = Annotated[float, Physical("density", 0.0, strict=True)]
NonNegativeAngle = Annotated[float, Physical("angle", 0.0)]
Rounds = Annotated[int, Field(gt=0, le=100_000, strict=True)]
Nodes = Annotated[int, Field(ge=0, le=10_000, strict=True)]
Samples = Annotated[int, Field(ge=0, le=100_000, strict=True)]


class Material(Model):
    """The magnets that may be used; what is not given comes from the table of grades."""

    grades: tuple[GradeName, ...] = ("N42",)
    """Grades to choose from."""
    edges: tuple[PositiveLength, ...] = ("12 mm",)
    """Edges of the cubes to choose from, or of the square section of bars."""
    length: PositiveLength | None = None
    """Length of bars along the bore; none: cubes."""
    custom: bool = False
    """true allows edges that are not kept in stock."""
    remanence: PositiveFluxDensity | None = None
    """Remanence at 20 degC of every grade; none: the middle of the grade's range."""
    recoil_permeability: Permeability | None = None
    """Relative recoil permeability; 1 is an ideally hard magnet, none that of the grade."""
    temperature_coefficient: Slope | None = None
    """Relative change of the remanence per kelvin; none: that of the grade."""
    density: Density | None = None
    """Density; none: that of the grade."""
    temperature: Temperature = "20 degC"
    """Temperature of the magnets."""

    def inconsistencies(self):
        for name in ("grades", "edges"):
            if not getattr(self, name):
                yield name, "must list at least one, got none"
        for index, edge in enumerate(self.edges):
            near = min(CUBES, key=lambda known: abs(known - edge))
            if not self.custom and abs(near - edge) > 1e-6:
                yield f"edges.{index}", f"must be an edge kept in stock, got {mm(edge)}; the nearest is {mm(near)}, or set `custom: true`"
        if not COLD <= self.temperature <= HOT:
            yield "temperature", f"must lie between {COLD:g} K and {HOT:g} K, where the remanence falls linearly, got {self.temperature:g} K"


class Rings(Model):
    """Rings about the bore, equally spaced and symmetric about the centre; each place takes one of `radii`."""

    count: Count
    """Number of places along the bore; an odd number has one in the middle."""
    spacing: PositiveLength
    """Distance between neighbouring places."""
    radii: tuple[PositiveLength, ...]
    """Radii of the innermost layer to choose from, at the centres of the magnets."""
    layers: tuple[NonNegativeLength, ...] = ("0 mm",)
    """What is added to the radius for each layer of magnets at one place."""
    pitch: PositiveLength | None = None
    """Least distance of neighbouring magnets along the circle; none: the diagonal of the section and `gap`."""
    gap: NonNegativeLength = "1 mm"
    """Least wall between magnets."""


class Array(Model):
    """Magnets on a grid below a plane surface, symmetric about both mid planes; each takes one of `depths` or is left out."""

    columns: Count
    """Number along b0_axis."""
    rows: Count
    """Number across it, in the plane."""
    pitch: PositiveLength
    """Distance between neighbouring magnets."""
    standoff: PositiveLength
    """Distance of the surface from the centre of the region."""
    depths: tuple[NonNegativeLength, ...]
    """Distances of the top faces below the surface to choose from."""


class Refinement(Model):
    """What may move beside the choice from stock, by gradients through the exact field, and the grid of the machine."""

    radius: NonNegativeLength = "4 mm"
    """How far each ring may leave its radius."""
    position: NonNegativeLength = "3 mm"
    """How far each ring may leave its place along the bore."""
    step: PositiveLength = "0.1 mm"
    """Grid to which radii and positions are rounded: what the printer or the mill can make."""


class SearchEffort(Model):
    """How long the search goes on; the same numbers give the same magnet."""

    rounds: Rounds = 1800
    """Exchanges of several rings at once."""
    nodes: Nodes = 40
    """Linear programmes spent on raising the certified bound."""
    seed: Seed = 0
    """Seed of the search."""


class Scatter(Model):
    """How the magnets differ from one another, one standard deviation each."""

    remanence: NonNegativeRatio = "1 %"
    """Of the remanence, relative."""
    angle: NonNegativeAngle = "1 deg"
    """Of the direction, in each of the two planes."""
    samples: Samples = 1000
    """Magnets drawn; 0 leaves it out."""
    seed: Seed = 1
    """Seed of the draws."""


class RingFormer(Model):
    """Printed ring formers with a pocket for every magnet."""

    clearance: NonNegativeLength = "0.2 mm"
    """What a pocket is wider than its magnet."""
    floor: PositiveLength = "2 mm"
    """Thickness below the pockets."""
    wall: PositiveLength = "4 mm"
    """Least material between the pockets and both rims."""


class Trays(Model):
    """Small cubes on a cylinder within the bore that take out what the scatter of the magnets leaves."""

    radius: PositiveLength
    """Radius of the cylinder."""
    rows: Count
    """Rows along the bore."""
    per_row: Count
    """Places around the bore in each row."""
    length: PositiveLength
    """Distance between the first and the last row."""
    edge: PositiveLength = "3 mm"
    """Edge of the cubes; each is turned to point along or against the main field, or left out."""


class MeasuredMap(Model):
    """The field of the magnet as it stands, measured about the centre in the coordinates of the spec."""

    file: ExistingFile
    """CSV with columns x_mm, y_mm, z_mm, B_mT (or in m and T), or npz with xyz_mm (P,3) and B_mT (P,) or (P,3); relative to this file."""


class MainField(Model):
    """The main field."""

    floor: PositiveFluxDensity
    """Smallest flux density allowed at the centre of the region."""


class Halbach(Spec):
    """A permanent magnet of stock cuboids: rings about a bore with transverse field, or an array below a surface."""

    kind: Literal["halbach"] = "halbach"
    """What is to be designed."""
    region: Region
    """Where the field must be homogeneous."""
    field: MainField
    """What the main field must reach."""
    magnets: Material = Material()
    """The magnets."""
    rings: Rings | None = None
    """Halbach rings about the bore; b0_axis is across bore_axis."""
    array: Array | None = None
    """Instead of rings: magnets below a surface whose normal is bore_axis."""
    refine: Refinement | None = None
    """Moves rings off their stock places; none keeps the choice from stock."""
    search: SearchEffort = SearchEffort()
    """Effort of the search."""
    scatter: Scatter = Scatter()
    """How the magnets differ."""
    trays: Trays | None = None
    """Passive shims against the scatter."""
    measured: MeasuredMap | None = None
    """A measured map for which the trays are filled."""
    former: RingFormer | None = RingFormer()
    """Printed ring formers."""
    siting: Siting = Siting()
    """Lines of equal fringe field."""
    audit: Audit = Audit()
    """The independent check."""

    def inconsistencies(self):
        if (self.rings is None) == (self.array is None):
            yield "rings", "must be given, or `array`, and not both; try `rings: {count, spacing, radii}`"
            return
        if any(self.region.centre):
            yield "region.centre", f"must be [0, 0, 0], since the magnets are placed about the region, got {list(self.region.centre)}"
        yield from self._axes_fit()
        yield from self._rings_fit() if self.rings else self._array_fits()

        if self.measured is not None and self.trays is None:
            yield "trays", "must be given with `measured`, for whose map they are filled; try `trays: {radius, rows, per_row, length}`"

    def _axes_fit(self):
        along = abs(sum(a * b for a, b in zip(self.frame.b0_axis, self.frame.bore_axis)))
        if along > 1e-9:
            yield "frame.b0_axis", (
                f"must be across frame.bore_axis = {axis_text(self.frame.bore_axis)}, got {axis_text(self.frame.b0_axis)}; try `b0_axis: x`"
            )

    def _rings_fit(self):
        rings, edge = self.rings, max(self.magnets.edges)
        thick = self.magnets.length or edge
        for name in ("radii", "layers"):
            if not getattr(rings, name):
                yield f"rings.{name}", "must list at least one, got none"
                return
        if rings.spacing < thick + (self.former.floor if self.former else 0.0):
            yield "rings.spacing", f"must hold a magnet of {mm(thick)} along the bore and the floor of its former, got {mm(rings.spacing)}"
        inner, reach = min(rings.radii) - edge / math.sqrt(2), max(self.region.half_widths)
        if inner <= reach:
            yield "rings.radii", f"must keep the magnets outside the region, which reaches {mm(reach)}, but they begin at {mm(inner)}"
        layers = sorted(rings.layers)
        for low, high in zip(layers, layers[1:]):
            if high - low < edge * math.sqrt(2) + rings.gap:
                yield "rings.layers", f"must lie at least a diagonal and rings.gap = {mm(edge * math.sqrt(2) + rings.gap)} apart, got {mm(high - low)}"
        if self.trays and self.trays.radius + self.trays.edge >= inner:
            yield "trays.radius", f"must fit within the magnets, which begin at {mm(inner)}, got {mm(self.trays.radius)}"

    def _array_fits(self):
        array, edge = self.array, max(self.magnets.edges)
        if not array.depths:
            yield "array.depths", "must list at least one, got none"
        if array.pitch < edge:
            yield "array.pitch", f"must be at least the largest edge {mm(edge)}, got {mm(array.pitch)}"
        if array.standoff <= self.region.extent(self.frame.bore_axis):
            yield "array.standoff", f"must exceed the region, which reaches {mm(self.region.extent(self.frame.bore_axis))}, got {mm(array.standoff)}"
        for name in ("refine", "trays"):
            if getattr(self, name) is not None:
                yield name, "must be left out for an array; it is for rings"
