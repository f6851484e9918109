"""Arrays of circular loops: rows on a cylinder, a spiral on a helmet, spread over a mesh, or one by one."""

from __future__ import annotations

from typing import Literal

from designtools.spec.base import Axis, Count, ExistingFile, Length, Model, Point, PositiveLength, mm

# arrangement -> (keys it needs, keys it may have); a key of neither is refused
ARRANGEMENTS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "cylinder": (("rows", "per_row", "radius", "loop_radius"), ("row_spacing", "staggered")),
    "helmet": (("semi_axes", "count", "loop_radius"), ("lowest",)),
    "mesh": (("path", "count", "loop_radius"), ("unit",)),
    "list": (("loops",), ()),
}
EXAMPLES = {
    "rows": "4", "per_row": "8", "radius": "140 mm", "loop_radius": "50 mm", "semi_axes": "[115 mm, 135 mm, 120 mm]",
    "count": "32", "path": "helmet.stl", "loops": "[{centre: [140 mm, 0 mm, 0 mm], normal: x, radius: 50 mm}]",
}  # fmt: skip


class ShimLoop(Model):
    """One circular loop."""

    centre: Point
    """Centre, measured from `origin`."""
    normal: Axis
    """Direction of the loop's own field at its centre for positive current."""
    radius: PositiveLength
    """Radius."""


class LoopArray(Model):
    """Circular loops, each a channel; `arrangement` says which of the other keys belong."""

    arrangement: Literal[tuple(ARRANGEMENTS)] = "cylinder"
    """`cylinder`: rows around the bore axis; `helmet`: a spiral on an ellipsoid; `mesh`: spread over a surface from a
    file; `list`: one by one."""
    rows: Count | None = None
    """Number of rows along the bore axis (cylinder)."""
    per_row: Count | None = None
    """Loops around the bore axis in each row (cylinder)."""
    row_spacing: PositiveLength | None = None
    """Distance between neighbouring rows; the rows lie symmetrically about the origin (cylinder)."""
    staggered: bool | None = None
    """true, the default, turns every second row by half a step (cylinder)."""
    radius: PositiveLength | None = None
    """Radius of the cylinder on which the centres lie."""
    semi_axes: tuple[PositiveLength, PositiveLength, PositiveLength] | None = None
    """Half lengths along x, y, z of the ellipsoid on which the centres lie (helmet)."""
    lowest: Length | None = None
    """Height along the bore axis, from the ellipsoid's centre, below which there is no loop; half way down when left
    out (helmet)."""
    count: Count | None = None
    """Number of loops (helmet, mesh)."""
    path: ExistingFile | None = None
    """Triangles of a surface (.stl, .obj, .ply) on whose vertices the loops stand (mesh)."""
    unit: Literal["m", "cm", "mm"] | None = None
    """Unit of the numbers in `path`; mm when left out."""
    loop_radius: PositiveLength | None = None
    """Radius of each loop; its plane touches the surface at its centre."""
    loops: tuple[ShimLoop, ...] | None = None
    """The loops of the arrangement `list`."""
    turns: Count = 1
    """Turns of every loop."""

    @property
    def always(self) -> tuple[str, ...]:
        """Keys that belong to every arrangement."""
        return "arrangement", "turns"

    def inconsistencies(self):
        yield from misplaced(self, ARRANGEMENTS, EXAMPLES, self.always)
        if self.arrangement == "cylinder" and (self.rows or 1) > 1 and self.row_spacing is None:
            yield "row_spacing", "must be given for more than one row, got nothing; try `row_spacing: 90 mm`"
        if self.arrangement == "cylinder" and self.radius and self.loop_radius and self.loop_radius >= self.radius:
            yield "loop_radius", f"must be less than radius = {mm(self.radius)}, got {mm(self.loop_radius)}"
        if self.arrangement == "list" and self.loops is not None and not self.loops:
            yield "loops", "must list at least one loop, got none"


def misplaced(model: Model, table, examples, common):
    """(key, sentence) for every key that the model's `arrangement` needs and lacks, or has and must not."""
    needs, may = table[model.arrangement]
    for name in needs:
        if getattr(model, name) is None:
            yield name, f"must be given for arrangement {model.arrangement}, got nothing; try `{name}: {examples[name]}`"
    for name in type(model).model_fields:
        if name not in (*common, *needs, *may) and getattr(model, name) is not None:
            yield name, f"must be left out for arrangement {model.arrangement}, which is given by {', '.join((*needs, *may))}"
