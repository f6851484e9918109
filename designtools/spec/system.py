"""Spec of a whole scanner: its parts, how they are stacked, what stands around them, what all of it must keep."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, PlainSerializer, ValidationInfo, WithJsonSchema, field_serializer, model_validator

from designtools import units
from designtools.spec.base import (
    ExistingFolder,
    Model,
    NonNegativeRatio,
    Physical,
    Point,
    PositiveCurrent,
    PositiveFluxDensity,
    PositiveLength,
    PositiveRatio,
    PositiveTime,
    PositiveVoltage,
    Region,
    Spec,
    Temperature,
    did_you_mean,
    inconsistent,
    mm,
)
from designtools.spec.figures import FIGURES
from designtools.spec.siting import Siting
from designtools.spec.surroundings import ConductingTube, PositiveFrequency, PositivePower
from designtools.spec.system_parts import gathered, needed
from designtools.spec.system_stack import StackLayer, left_over

Name = Annotated[str, Field(min_length=1, pattern=r"^[\w][\w -]*$")]
NonNegativePower = Annotated[float, Physical("power", 0.0)]
NonNegativeMass = Annotated[float, Physical("mass", 0.0)]
Price = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Plain = Annotated[dict[str, Any], WithJsonSchema({"type": "object"}), PlainSerializer(lambda data: data)]
ROUNDING = 1e-9  # m, of sums of lengths
ROLES = {"magnet": "magnet", "halbach": "magnet", "gradient": "gradient", "shim": "shim", "rf_coil": "rf", "rf_shim": "rf", "camera": "camera"}


class Part(Model):
    """One part: a spec (a section with its `kind`, or the path of a file), or the folder of a finished design.

    In place of the section a path may stand alone, or a spec itself.
    """

    spec: Plain | None = None
    """The spec: a section that begins with `kind`, or the path of a file.  Its values may refer to others: `= shared.bore - 6 mm`."""
    result: ExistingFolder | None = None
    """Result folder of a finished design instead."""
    folder: ExistingFolder | None = None
    """Where relative paths in `spec` start; the folder of the file that it came from when left out."""
    set: Plain | None = None
    """Dotted keys and the values that replace those of the spec."""
    role: Literal["magnet", "gradient", "shim", "rf", "camera"] | None = None
    """What it is to the scanner; follows from its kind when left out."""
    duty: NonNegativeRatio = 1.0
    """Mean over time of the square of its current, relative to that at its operating current."""

    @property
    def waits_for(self) -> tuple[str, ...]:
        """Parts that must be finished first."""
        return needed(self.spec or {})


class Conductor(ConductingTube):
    """A thin conducting layer in which switched currents induce others: cryostat bore, thermal shield, RF screen."""

    name: Name
    """How the report calls it."""
    temperature: Temperature = "20 degC"
    """Its temperature: where its heat must be taken away."""


class Switching(Model):
    """How the gradients are switched where eddy currents are looked at."""

    ramp: PositiveTime = "0.5 ms"
    """Duration of the ramp to the operating current."""
    wait: PositiveTime = "1 ms"
    """How long after it the field of the eddy currents is looked at."""
    frequency: PositiveFrequency = "1 kHz"
    """Frequency of a sinusoid of the operating current, at which the heat in the layers is stated."""


class Amplifier(Model):
    """What drives one part."""

    name: Name
    """How the report calls it."""
    drives: str
    """The part."""
    current: PositiveCurrent | None = None
    """Largest current of each channel."""
    voltage: PositiveVoltage | None = None
    """Largest voltage of each channel."""
    efficiency: PositiveRatio = 1.0
    """Power into the part over power taken."""
    standby: NonNegativePower = 0.0
    """Power taken beside that."""
    mass: NonNegativeMass = 0.0
    """Its mass."""
    price: Price = 0.0
    """Its price, in `currency`."""

    def inconsistencies(self):
        if self.efficiency > 1:
            yield "efficiency", f"must be at most 1, got {self.efficiency:g}"


class Item(Model):
    """Something that is bought: frame, console, table, battery."""

    name: Name
    """How the report calls it."""
    count: Annotated[int, Field(gt=0, le=100_000, strict=True)] = 1
    """How many."""
    mass: NonNegativeMass = 0.0
    """Mass of one."""
    power: NonNegativePower = 0.0
    """Power that one takes."""
    price: Price = 0.0
    """Price of one, in `currency`."""


class UnitPrice(Model):
    """What a figure of a part costs per unit."""

    part: str
    """The part."""
    figure: Annotated[str, Field(json_schema_extra={"enum": list(FIGURES)})]
    """Which of its figures is paid for, such as `magnet_mass`."""
    price: Price
    """Price of one unit, in `currency`."""
    per: str
    """The unit, such as `kg`, `m` or `A·m`."""

    def inconsistencies(self):
        if self.figure not in FIGURES:
            yield "figure", f"must be a known figure, got {self.figure!r}{did_you_mean(self.figure, FIGURES)}"
            return
        try:
            units.parse(f"1 {self.per}", FIGURES[self.figure][0])
        except units.UnitError as error:
            yield "per", str(error)


class Cooling(Model):
    """A coolant and what it takes the heat from."""

    name: Name
    """How the report calls it."""
    takes: Annotated[tuple[str, ...], Field(min_length=1)]
    """Parts, conductors and amplifiers whose heat it takes."""
    capacity: PositivePower
    """Heat it can take."""


class Electronics(Model):
    """A place where a device stands that bears only so much flux density."""

    name: Name
    """How the report calls it."""
    position: Point
    """Where, in the coordinates of this spec."""
    limit: PositiveFluxDensity
    """Flux density that it bears; implies a requirement."""


class Body(Model):
    """The person or animal, an ellipsoid that must pass through the bore."""

    semi_axes: tuple[PositiveLength, PositiveLength, PositiveLength]
    """Half axes along x, y, z."""
    centre: Point = (0.0, 0.0, 0.0)
    """Its centre."""


class Rule(Model):
    """A figure of the system or of a part, the limit it must keep, and where that limit comes from."""

    quantity: str
    """Name of a figure of the system, or of a part: `gradient_x.torque`."""
    op: Literal["<=", "<", ">=", ">"]
    """How the figure must compare with the limit."""
    limit: Annotated[float, WithJsonSchema({"anyOf": [{"type": "number"}, {"type": "string"}]})]
    """The limit, in a unit of the figure."""
    unit: str | None = None
    """Unit of the limit where it is a bare number; SI when left out."""
    source: str = ""
    """Where the limit comes from: a standard, a decision."""
    edition: str = ""
    """Edition or date of the source."""

    @model_validator(mode="before")
    @classmethod
    def _read_limit_in_the_unit_of_its_figure(cls, data):
        if not isinstance(data, dict) or not isinstance(data.get("quantity"), str) or "limit" not in data:
            return data
        name = data["quantity"].rpartition(".")[2]
        if name not in FIGURES:
            hint = did_you_mean(name, FIGURES) or "; docs/results.md lists them"
            raise inconsistent(("quantity", f"must be a known figure, alone or behind the name of a part, got {data['quantity']!r}{hint}"))
        limit = data["limit"]
        if data.get("unit") and isinstance(limit, (int, float)) and not isinstance(limit, bool):
            limit = f"{limit!r} {data['unit']}"
        try:
            return {k: v for k, v in data.items() if k != "unit"} | {"limit": units.parse(limit, FIGURES[name][0])}
        except units.UnitError as error:
            raise inconsistent(("limit", f"{error}; it is the limit of {data['quantity']}")) from None

    @field_serializer("limit")
    def _write_limit(self, limit: float):
        dimension = FIGURES[self.quantity.rpartition(".")[2]][0]
        return limit if dimension == "any" else units.exact(limit, dimension)

    @property
    def asked(self) -> dict[str, Any]:
        """As `result.evaluate_requirements` takes it."""
        return {"quantity": self.quantity, "op": self.op, "limit": self.limit, "source": self.source, "edition": self.edition}


class Bounds(Model):
    """Between which a shared value is free."""

    min: str | float
    """Smallest allowed."""
    max: str | float
    """Largest allowed."""


class Aim(Model):
    """One term of what is made small."""

    quantity: str
    """Figure of a part, such as `magnet.conductor_volume`."""
    scale: str | float
    """What of it counts as one, in a unit of the figure."""


class Joint(Model):
    """Shared values that are free across parts, and what they shall make small together; every part is designed anew for each trial."""

    free: Annotated[dict[str, Bounds], Field(min_length=1, max_length=3)]
    """Names under `shared`, and their bounds; the search starts from their values."""
    minimise: Annotated[tuple[Aim, ...], Field(min_length=1)]
    """Terms that are added up."""
    trials: Annotated[int, Field(ge=3, le=200, strict=True)] = 12
    """Designs of the whole that are tried at most."""
    tolerance: PositiveRatio = "1 %"
    """Share of the range of a value below which its search ends."""


class System(Spec):
    """A scanner: parts brought together, their couplings, and the requirements of the whole."""

    kind: Literal["system"] = "system"
    """What is to be designed."""
    region: Region
    """Where images are made."""
    shared: dict[str, str | float] = {}
    """Values that parts have in common, by name: others refer to them as `= shared.name`."""
    parts: Annotated[dict[str, Part], Field(min_length=1, max_length=40)]
    """The parts by name."""
    stack: tuple[StackLayer, ...] = ()
    """The radial build, each layer with its tolerance; checked for overlap."""
    conductors: tuple[Conductor, ...] = ()
    """Thin conducting layers, such as those of a cryostat."""
    rf_shield: str | None = None
    """The conductor that screens the RF coils."""
    switching: Switching = Switching()
    """Ramp, wait and frequency at which eddy currents are judged."""
    amplifiers: tuple[Amplifier, ...] = ()
    """What drives the parts."""
    items: tuple[Item, ...] = ()
    """What is bought beside the parts."""
    prices: tuple[UnitPrice, ...] = ()
    """Unit prices of what the parts are made of; nothing has a price that is not stated here."""
    currency: Annotated[str, Field(min_length=1, max_length=10)] = "EUR"
    """Of all prices."""
    cooling: tuple[Cooling, ...] = ()
    """Coolants, each with its capacity."""
    body: Body | None = None
    """Who must pass through the bore."""
    electronics: tuple[Electronics, ...] = ()
    """Places where devices stand in the stray field."""
    siting: Siting = Siting()
    """The room, its zones and plates, and faults of the magnet."""
    joint: Joint | None = None
    """Shared values that are found rather than given."""
    written: Plain | None = None
    """The spec as it was written, references and all; kept by itself where `joint` needs it."""
    requirements: tuple[Rule, ...] = ()
    """What the whole must keep, with source and edition."""

    @model_validator(mode="before")
    @classmethod
    def _gather(cls, data, info: ValidationInfo):
        if not isinstance(data, dict):
            return data
        return gathered(data, Path((info.context or {}).get("folder", ".")), set(cls.model_fields) | {"figures"})

    def inconsistencies(self):
        yield from self._parts_fit()
        yield from self._names_are_known()
        yield from self._stack_fits()
        yield from self._body_passes()
        yield from self._joint_fits()

    def _parts_fit(self):
        for name, part in self.parts.items():
            for other in part.waits_for:
                if other not in self.parts:
                    yield f"parts.{name}", f"must refer to parts of this system, got {other!r}{did_you_mean(other, self.parts)}"
        if circle := _circle({name: [o for o in p.waits_for if o in self.parts] for name, p in self.parts.items()}):
            yield f"parts.{circle[0]}", f"must not wait for itself, got {' -> '.join(circle)}"
        own = (self.frame.b0_axis, self.frame.bore_axis)
        for name, part in self.parts.items():
            frame = (part.spec or {}).get("frame")
            if isinstance(frame, dict) and _axes_differ(frame, own):
                yield f"parts.{name}.spec.frame", f"must have the axes of the system, b0_axis up to its sign, got {frame}; turn the part's spec"

    def _names_are_known(self):
        heated = {*self.parts, *(c.name for c in self.conductors), *(a.name for a in self.amplifiers)}
        owned = {*self.parts, *(i.name for i in self.items), *(a.name for a in self.amplifiers), *(c.name for c in self.conductors)}
        places = [(f"amplifiers.{k}.drives", a.drives, self.parts) for k, a in enumerate(self.amplifiers)]
        places += [(f"prices.{k}.part", p.part, self.parts) for k, p in enumerate(self.prices)]
        places += [(f"cooling.{k}.takes", name, heated) for k, c in enumerate(self.cooling) for name in c.takes]
        places += [(f"stack.{k}.owner", l.owner, owned) for k, l in enumerate(self.stack) if l.owner]
        places += [("rf_shield", self.rf_shield, [c.name for c in self.conductors])] if self.rf_shield else []
        asked = [*enumerate(self.requirements), *((None, aim) for aim in (self.joint.minimise if self.joint else ()))]
        places += [
            ("joint.minimise" if k is None else f"requirements.{k}.quantity", part, self.parts)
            for k, rule in asked if (part := rule.quantity.rpartition(".")[0])
        ]  # fmt: skip
        for aim in self.joint.minimise if self.joint else ():
            if (name := aim.quantity.rpartition(".")[2]) not in FIGURES or "." not in aim.quantity:
                yield "joint.minimise", f"must name a figure of a part, such as `magnet.conductor_volume`, got {aim.quantity!r}{did_you_mean(name, FIGURES)}"
        for key, name, known in places:
            if name not in known:
                yield key, f"must name one of {', '.join(known) or 'none that is there'}, got {name!r}{did_you_mean(name, known)}"
        for key in ("stack", "conductors", "amplifiers", "items", "cooling", "electronics"):
            names = [item.name for item in getattr(self, key)]
            for index, name in enumerate(names):
                if name in names[:index]:
                    yield f"{key}.{index}.name", f"must be a name of its own, got {name!r} again"

    def _stack_fits(self):
        for gap in left_over(self.stack):
            if min(gap.nominal, gap.likely) < -ROUNDING:
                how = "as drawn" if gap.nominal < -ROUNDING else "with the root sum square of both tolerances"
                got = gap.nominal if gap.nominal < -ROUNDING else gap.likely
                yield f"stack.{gap.outer}.inner_radius", (
                    f"must leave clearance = {mm(gap.clearance)} outside of {self.stack[gap.inner].name!r}, which ends at {mm(self.stack[gap.inner].outer_radius)}, "
                    f"but {how} {mm(-got)} are missing; raise it, or narrow {self.stack[gap.inner].name!r}"
                )

    def _body_passes(self):
        if self.body is None or not self.stack:
            return
        clear = min(l.inner_radius for l in self.stack if l.inner_radius > 0 or len(self.stack) == 1)
        axis = self.frame.bore_axis
        wide = max(h * math.sqrt(max(0.0, 1 - a * a)) for h, a in zip(self.body.semi_axes, axis))
        off = math.sqrt(max(0.0, sum(c * c for c in self.body.centre) - sum(c * a for c, a in zip(self.body.centre, axis)) ** 2))
        if wide + off > clear:
            yield "body.semi_axes", f"must pass through the innermost layer of the stack at {mm(clear)}, but it reaches {mm(wide + off)} from the axis"

    def _joint_fits(self):
        for name, bounds in (self.joint.free if self.joint else {}).items():
            if name not in self.shared:
                yield f"joint.free.{name}", f"must be a name under `shared`, got {name!r}{did_you_mean(name, self.shared)}"
                continue
            try:
                low, value, high = (units.parse(v, "any") for v in (bounds.min, self.shared[name], bounds.max))
            except units.UnitError as error:
                yield f"joint.free.{name}", str(error)
                continue
            if not low <= value <= high or low == high:
                yield f"joint.free.{name}", f"must have min <= shared.{name} <= max and min < max, got {bounds.min}, {self.shared[name]}, {bounds.max}"


def _axes_differ(frame: dict, own) -> bool:
    from designtools.spec.base import Frame

    try:
        found = Frame.model_validate(frame)
    except ValueError:
        return False  # the part's own check says so
    along = [abs(sum(a * b for a, b in zip(u, v))) for u, v in zip((found.b0_axis, found.bore_axis), own)]
    return min(along) < 1 - 1e-9


def _circle(waits: dict[str, list[str]]) -> list[str]:
    """A circle of names, or nothing."""

    def visit(name, trail):
        if name in trail:
            return [*trail[trail.index(name) :], name]
        return next((c for n in waits[name] if (c := visit(n, [*trail, name]))), [])

    return next((c for name in waits if (c := visit(name, []))), [])


def order(spec: System) -> list[str]:
    """The parts so that each comes after those that it waits for."""
    done: list[str] = []
    left = dict(spec.parts)
    while left:
        ready = [name for name, part in left.items() if all(other in done for other in part.waits_for)]
        if not ready:
            raise ValueError(f"parts must not wait for each other in a circle, got {', '.join(left)}")
        done += ready
        left = {name: part for name, part in left.items() if name not in ready}
    return done
