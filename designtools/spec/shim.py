"""Spec of a shim: measured field maps, coils whose currents flatten them, how often these may change, and their limits."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field

from designtools.spec.base import (
    Count,
    ExistingFile,
    ExistingFolder,
    Model,
    NonNegativeLength,
    PositiveCurrent,
    PositiveFluxDensity,
    PositiveLength,
    PositiveTime,
    Seed,
    Spec,
    mm,
)
from designtools.spec.loop_array import ARRANGEMENTS, EXAMPLES, LoopArray, misplaced
from designtools.spec.surfaces import KeepOut, Surface
from designtools.spec.surroundings import PositiveFrequency, PositivePower

# further arrangements of a coil set: channels that are no loops
SETS = ARRANGEMENTS | {
    "harmonics": (("order",), ("convention", "amplitudes", "calibration")),
    "profiles": (("path",), ()),
    "designs": (("folders",), ()),
    "patterns": (("surface", "count", "contours"), ()),
}
LOOPS = tuple(ARRANGEMENTS)


class FieldMap(Model):
    """A measured field: NIfTI volumes in scanner coordinates (mm by the NIfTI standard), or points in a table."""

    b0: ExistingFile | None = None
    """The map: NIfTI (.nii, .nii.gz), or points as .csv (columns x_mm, y_mm, z_mm and f_Hz or B_mT) or .npz (xyz_mm, B_mT)."""
    phase: tuple[ExistingFile, ExistingFile] | None = None
    """In place of b0: phase images of two echoes, in radians or scanner units; unwrapped here."""
    unit: Literal["Hz", "rad/s", "ppm", "rad", "T"] | None = None
    """Unit of b0: Hz when left out; ppm needs field_strength, rad needs echo_time and is unwrapped."""
    echo_time: PositiveTime | None = None
    """Time over which the phase of b0, or between the two of `phase`, has grown."""
    field_strength: PositiveFluxDensity | None = None
    """Main field, for a map in ppm."""
    mask: ExistingFile | None = None
    """Volume on the grid of the map; the field matters where it is not zero.  Left out: the bright, connected part of
    `magnitude`, or else where the map is not zero."""
    soft_mask: bool = False
    """true weights each voxel by the value of the mask instead of taking all alike."""
    magnitude: ExistingFile | None = None
    """Magnitude image on the grid of the map: for the default mask, and as weight where `weight_by` says so."""
    within: PositiveLength | None = None
    """For points: only those at most so far from the origin."""
    breathing: ExistingFile | None = None
    """Change of the field per unit of the breathing trace, a volume like b0 in the same unit."""

    def inconsistencies(self):
        if (self.b0 is None) == (self.phase is None):
            yield "b0", "must be given, or `phase` with two images, and not both; try `b0: map.nii.gz`"
        needs = {"rad": "echo_time", "ppm": "field_strength"}.get(self.unit) or ("echo_time" if self.phase else None)
        words = "phase images" if self.phase else f"unit {self.unit or 'Hz'}"
        for name in ("echo_time", "field_strength"):
            if name == needs and getattr(self, name) is None:
                yield name, f"must be given for {words}, got nothing"
            if name != needs and getattr(self, name) is not None:
                yield name, f"must be left out for {words}"
        if self.phase and self.unit:
            yield "unit", f"must be left out for phase images, got {self.unit}"
        if self.soft_mask and self.mask is None:
            yield "soft_mask", "must be false without a mask; give `mask`"
        yield from self._only_for_volumes()

    def _only_for_volumes(self):
        for name in ("mask", "magnitude", "breathing") if self.points else ("within",):
            if getattr(self, name) is not None:
                yield name, f"must be left out for a map {'of points' if self.points else 'on a grid'}"

    @property
    def points(self) -> bool:
        """Whether the map is a table of points."""
        return self.b0 is not None and self.b0.suffix.lower() in (".csv", ".npz")


class CoilSet(LoopArray):
    """Channels of one sort; `arrangement` says of which, and with it which of the other keys belong."""

    arrangement: Literal[tuple(SETS)] = "cylinder"
    """Loops on a `cylinder`, a `helmet`, a `mesh` or in a `list`; `harmonics` as ideal coils; measured `profiles` from a
    file; `patterns` on a surface, the windings that do most for the maps per watt; finished `designs` (their result folders), such as a gradient set used as shim."""
    name: Annotated[str, Field(min_length=1, pattern=r"^[\w-]+$")] = "coils"
    """How files and the report call it."""
    first: bool = False
    """true: set before the others, by itself and once for the whole mask, as scanners do with their own shims."""
    update: Literal["shots", "static"] = "shots"
    """Whether the currents follow the schedule, or stay the same throughout."""
    current: PositiveCurrent | None = None
    """Largest current of each channel; that of `limits` when left out (loops and designs)."""
    order: Annotated[int, Field(ge=1, le=12, strict=True)] | None = None
    """Highest order of the harmonics."""
    convention: Literal["siemens", "philips", "ge", "cartesian"] | None = None
    """Whose terms and units the amplitudes are told in, as far as it has terms; else T/m^n of r^n P_n^m."""
    amplitudes: dict[str, float] | None = None
    """Largest magnitude of a term, or of a channel of `calibration`, in its unit, by its name; those left out are unlimited."""
    calibration: ExistingFile | None = None
    """Table of what each real channel makes: a row per term (its name, or `offset` in Hz), a column per channel, in the terms'
    units per unit of the channel; the header names the channels.  Without it every term is a channel by itself."""
    folders: Annotated[tuple[ExistingFolder, ...], Field(min_length=1, max_length=40)] | None = None
    """Result folders of finished designs, relative to this file; each is a channel."""
    surface: Surface | None = None
    """Surface that carries the windings of `patterns`."""
    contours: Count | None = None
    """Contours of a pattern, from its lowest to its highest value: the turns of all its lobes together."""
    path: ExistingFile | None = None
    """Triangles of a surface (mesh); or the profiles: NIfTI of four dimensions in Hz per unit of each channel."""

    @property
    def always(self) -> tuple[str, ...]:
        return "arrangement", "turns", "name", "first", "update", "current"

    @property
    def looped(self) -> bool:
        """Whether its channels are loops."""
        return self.arrangement in LOOPS

    def inconsistencies(self):
        if self.looped:
            yield from super().inconsistencies()
            return
        yield from misplaced(self, SETS, EXAMPLES | {"order": "2", "path": "profiles.nii.gz", "folders": "[out/gradient_x]", "surface": "{former: cylinder, radius: 150 mm, length: 300 mm}", "contours": "12"}, self.always)
        if self.turns != 1:
            yield "turns", f"must be left out for arrangement {self.arrangement}, which has no loops"
        if self.arrangement == "harmonics" and self.current is not None:
            yield "current", "must be left out for harmonics; limit single terms by `amplitudes`"


class ShimLimits(Model):
    """What the amplifiers can give."""

    current: PositiveCurrent
    """Largest current of each channel."""
    total_current: PositiveCurrent | None = None
    """Largest sum of the magnitudes over all channels that are told in amperes."""
    power: PositivePower | None = None
    """Largest copper loss of all loops, averaged over the shots."""
    step: PositiveCurrent | None = None
    """Largest change of a channel's current from one shot to the next, in the order of the schedule."""

    def inconsistencies(self):
        if self.total_current is not None and self.total_current < self.current:
            yield "total_current", f"must be at least current = {self.current:g} A, got {self.total_current:g} A"


class Schedule(Model):
    """How often the currents change."""

    shots: Literal["global", "slices", "slabs"] = "global"
    """Once for the whole mask, for every slice of the image, or for every slab of `thickness` slices."""
    axis: Literal["i", "j", "k"] = "k"
    """Axis of the image along which the slices are stacked: the first, second or third."""
    thickness: Count | None = None
    """Slices in a slab."""
    trace: tuple[float, float] | None = None
    """Range of the breathing trace: currents then are linear in it, within their limits at both ends."""

    def inconsistencies(self):
        if (self.shots == "slabs") != (self.thickness is not None):
            yield "thickness", f"must be given for slabs and for nothing else, got {self.thickness} for {self.shots}"
        if self.trace and self.trace[1] <= self.trace[0]:
            yield "trace", f"must rise from its low to its high end, got {list(self.trace)}"


class Layout(Model):
    """Lets the loops move over their surface until they serve the maps best."""

    hold_out: Annotated[int, Field(ge=0, strict=True)] | None = None
    """Index of the map (0 is the first) that the layout shall never see, to judge it by."""
    spacing: PositiveLength | None = None
    """Smallest distance between the centres of two loops; nine tenths of the smallest at the start when left out."""
    radius_range: tuple[PositiveLength, PositiveLength] | None = None
    """Smallest and largest radius of a loop; fixed when left out."""
    avoid: tuple[KeepOut, ...] = ()
    """Spaces that no loop may enter, such as the eyes' view or a transmit coil."""
    rounds: Annotated[int, Field(ge=1, le=1000, strict=True)] = 40
    """Steps of the descent at most."""
    voxels: Annotated[int, Field(ge=100, le=1_000_000, strict=True)] = 6000
    """Voxels of all maps together that the layout is trained on, drawn with `seed`."""
    seed: Seed = 1
    """Seed of the voxels' choice."""

    def inconsistencies(self):
        if self.radius_range and self.radius_range[1] <= self.radius_range[0]:
            yield "radius_range", f"must rise, got {mm(self.radius_range[0])} to {mm(self.radius_range[1])}"


class Section(Model):
    """Cross-section of the conductor."""

    width: PositiveLength = "2 mm"
    """Width."""
    height: PositiveLength = "1 mm"
    """Height."""


def _in_a_list(value):
    """A lone section as a list of one."""
    return [value] if isinstance(value, dict | CoilSet) else value


class Shim(Spec):
    """Coils whose currents flatten measured field maps."""

    kind: Literal["shim"] = "shim"
    """What is to be designed."""
    field_map: FieldMap | None = None
    """The field to flatten."""
    subjects: Annotated[tuple[FieldMap, ...], Field(max_length=100)] = ()
    """In place of field_map: the maps of several subjects, each with its own currents."""
    coils: Annotated[tuple[CoilSet, ...], BeforeValidator(_in_a_list), Field(min_length=1, max_length=20)]
    """The coils: one set, or a list of sets that act together."""
    origin: Literal["mask_centre", "scanner"] = "mask_centre"
    """What the coils are placed about: the centre of the mask's bounding box, or the scanner's isocentre."""
    limits: ShimLimits | None = None
    """Currents the optimiser may use; needed as soon as a set has currents."""
    schedule: Schedule = Schedule()
    """When the currents change: never, slice by slice, slab by slab, with the breath."""
    include_offset: bool = True
    """true lets the centre frequency follow in every shot, so that the mean of the field costs no current."""
    criterion: Literal["least_squares", "l1", "huber", "cvar", "min_max"] = "least_squares"
    """Make small: the root mean square, the mean magnitude, Huber's mean (squares up to `knee`), the mean of the worst
    tenth, or the largest deviation."""
    knee: PositiveFrequency = "10 Hz"
    """Of the criterion huber: deviations beyond count linearly."""
    weight_by: Literal["nothing", "magnitude"] = "nothing"
    """magnitude: voxels count by their signal."""
    through_slice: NonNegativeLength = 0.0
    """Length by which the slope of the field across the slices counts beside the field itself, against signal loss;
    about half a slice is usual, 0 ignores it."""
    layout: Layout | None = None
    """Moves the loops of the last set of loops; they stay where they are when left out."""
    ultimate_limit: bool = False
    """true draws, beside the answer, what any current on the surface of the loops could do at each power."""
    section: Section = Section()
    """The conductor, for resistance and drawings."""

    @property
    def maps(self) -> tuple[FieldMap, ...]:
        return self.subjects or (self.field_map,)

    def inconsistencies(self):
        if (self.field_map is None) == (not self.subjects):
            yield "field_map", "must be given, or `subjects` with a list of maps, and not both"
            return
        yield from self._sets_fit()
        yield from self._schedule_fits()
        if self.weight_by == "magnitude" and any(m.magnitude is None for m in self.maps):
            yield "weight_by", "must be `nothing` unless every map has a `magnitude`"
        if self.layout is not None:
            yield from self._layout_fits()
        if self.ultimate_limit and not any(s.arrangement in ("cylinder", "helmet") and not s.first for s in self.coils):
            yield "ultimate_limit", "must be false without loops on a cylinder or a helmet"

    def _sets_fit(self):
        names = [s.name for s in self.coils]
        for k, name in enumerate(names):
            if name in names[:k]:
                yield "coils", f"must give each set a name of its own, got {name!r} twice"
        if self.limits is None and any(s.arrangement not in ("harmonics", "profiles") and s.current is None for s in self.coils):
            yield "limits", "must be given where a set has currents, got nothing; try `limits: {current: 2 A}`"
        if self.limits is not None and self.limits.power is not None and not any(s.looped or s.arrangement in ("designs", "patterns") for s in self.coils):
            yield "limits.power", "must be left out without loops, patterns or designs: only these have a resistance"

    def _schedule_fits(self):
        scheduled = self.schedule.shots != "global"
        if any(m.points for m in self.maps) and (scheduled or self.through_slice):
            yield "schedule.shots", "must be global and through_slice 0 for a map of points, which has no slices"
        if self.schedule.trace and any(m.breathing is None for m in self.maps):
            yield "schedule.trace", "must be left out unless every map has `breathing`"
        coupled = [n for n in ("step", "power") if self.limits is not None and getattr(self.limits, n) is not None]
        if self.limits is not None and self.limits.step is not None and not scheduled:
            yield "limits.step", "must be left out for a global shim, which has one shot"
        if self.criterion != "least_squares":
            if self.through_slice:
                yield "through_slice", f"must be left out for criterion {self.criterion}; try least_squares"
            for name in coupled:
                yield f"limits.{name}", f"must be left out for criterion {self.criterion}: only least squares joins the shots"
            if self.schedule.trace:
                yield "schedule.trace", f"must be left out for criterion {self.criterion}; try least_squares"
            if scheduled and any(s.update == "static" and not s.first for s in self.coils):
                yield "criterion", "must be least_squares where static sets and scheduled ones act together; try `first: true`"

    def _layout_fits(self):
        if not any(s.looped and not s.first for s in self.coils):
            yield "layout", "must be left out without loops that could move"
        if self.criterion != "least_squares" or self.schedule.trace:
            yield "layout", "must be left out unless the criterion is least_squares without a breathing trace"
        if self.limits is not None and any(v is not None for v in (self.limits.total_current, self.limits.power, self.limits.step)):
            yield "layout", "must be left out with limits other than `current`; choose the layout first, then limit it"
        if self.through_slice:
            yield "layout", "must be left out with through_slice: the layout is trained on the field alone"
        if self.schedule.shots != "global" and any(s.update == "static" and not s.first for s in self.coils):
            yield "layout", "must be left out where static sets and scheduled ones act together; try `first: true`"
        held = self.layout.hold_out
        if held is not None and (len(self.maps) < 2 or held >= len(self.maps)):
            yield "layout.hold_out", f"must be an index below the number of maps, {len(self.maps)}, which must be 2 or more, got {held}"
