"""What all specs share: frozen models, values with units, frame, regions, requirements.

A spec model is plain immutable data.  Its numbers are SI floats; the unit and the meaning of each field
stand in its type and description, from where the JSON Schema and the resolved spec take them.
"""

from __future__ import annotations

import difflib
import math
import operator
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    ValidationInfo,
    WithJsonSchema,
    field_serializer,
    model_validator,
)
from pydantic_core import PydanticCustomError, core_schema

from designtools import units
from designtools.spec.figures import FIGURES


@dataclass(frozen=True)
class Physical:
    """Annotation that makes a float read "150 mm", hold 0.15 and be written as "150 mm".

    `dimension` is a key of units.DIMENSIONS; `lower` is a bound in SI, `strict` when it is excluded.
    """

    dimension: str
    lower: float | None = None
    strict: bool = False

    @property
    def unit(self) -> str:
        return units.DIMENSIONS[self.dimension].si

    def read(self, value: Any) -> float:
        try:
            number = units.parse(value, self.dimension)
        except units.UnitError as error:
            raise sentence_error(str(error)) from None
        if self.lower is None or number > self.lower or (number == self.lower and not self.strict):
            return number
        words = "greater than" if self.strict else "at least"
        bound = units.format(self.lower, self.unit)
        raise sentence_error(f"must be {words} {bound}, got {value!r}")

    def write(self, value: float) -> str | float:
        return units.exact(value, self.dimension)

    def __get_pydantic_core_schema__(self, source, handler):
        write = core_schema.plain_serializer_function_ser_schema(self.write)
        return core_schema.no_info_plain_validator_function(self.read, serialization=write)

    def __get_pydantic_json_schema__(self, schema, handler):
        known = units.DIMENSIONS[self.dimension]
        either = [{"type": "number"}, {"type": "string", "pattern": r"^\s*[+-]?[0-9.]"}]
        return {"anyOf": either, "unit": known.si, "examples": list(known.examples)}


Length = Annotated[float, Physical("length")]
PositiveLength = Annotated[float, Physical("length", 0.0, strict=True)]
NonNegativeLength = Annotated[float, Physical("length", 0.0)]
Current = Annotated[float, Physical("current")]
PositiveCurrent = Annotated[float, Physical("current", 0.0, strict=True)]
PositiveVoltage = Annotated[float, Physical("voltage", 0.0, strict=True)]
FluxDensity = Annotated[float, Physical("field")]
PositiveFluxDensity = Annotated[float, Physical("field", 0.0, strict=True)]
PositiveGradient = Annotated[float, Physical("gradient", 0.0, strict=True)]
PositiveRatio = Annotated[float, Physical("ratio", 0.0, strict=True)]
NonNegativeRatio = Annotated[float, Physical("ratio", 0.0)]
PositiveTorque = Annotated[float, Physical("torque", 0.0, strict=True)]
PositivePressure = Annotated[float, Physical("pressure", 0.0, strict=True)]
PositiveTime = Annotated[float, Physical("time", 0.0, strict=True)]
PositiveForce = Annotated[float, Physical("force", 0.0, strict=True)]
PositiveSheetCurrent = Annotated[float, Physical("sheet_current", 0.0, strict=True)]
CurrentDensity = Annotated[float, Physical("current_density")]
PositiveCurrentDensity = Annotated[float, Physical("current_density", 0.0, strict=True)]
PositiveResistivity = Annotated[float, Physical("resistivity", 0.0, strict=True)]
Temperature = Annotated[float, Physical("temperature", 0.0, strict=True)]
Point = tuple[Length, Length, Length]
Count = Annotated[int, Field(gt=0, le=1000, strict=True)]  # of things that are built
PointCount = Annotated[int, Field(gt=0, le=1_000_000, strict=True)]
Seed = Annotated[int, Field(ge=0, lt=2**63, strict=True)]
Weight = Annotated[float, Field(ge=0, allow_inf_nan=False)]

_AXES = {"x": (1.0, 0.0, 0.0), "y": (0.0, 1.0, 0.0), "z": (0.0, 0.0, 1.0)}
_AXES |= {f"-{name}": tuple(-v if v else 0.0 for v in axis) for name, axis in _AXES.items()}


def _read_axis(value: Any) -> tuple[float, float, float]:
    """A unit vector from 'x', 'y', 'z' (with '-' for the opposite sense) or three numbers."""
    if isinstance(value, str) and value in _AXES:
        return _AXES[value]
    numbers = isinstance(value, (list, tuple)) and len(value) == 3
    if not numbers or any(isinstance(v, bool) or not isinstance(v, (int, float)) for v in value):
        raise sentence_error(f"must be x, y, z, -x, -y, -z or three numbers such as [0, 0, 1], got {value!r}")
    norm = math.hypot(*value)
    if not math.isfinite(norm) or norm == 0:
        raise sentence_error(f"must be a vector with a direction, got {list(value)}")
    if abs(norm - 1) < 1e-12:  # kept to the last bit, so that a resolved spec loads back to the same model
        return tuple(float(v) for v in value)
    return tuple(float(v) / norm for v in value)


def _write_axis(axis: tuple[float, float, float]) -> str | list[float]:
    return next((name for name, known in _AXES.items() if known == axis), list(axis))


_AXIS_SCHEMA = {
    "anyOf": [
        {"enum": list(_AXES)},
        {"type": "array", "items": {"type": "number"}, "minItems": 3, "maxItems": 3},
    ],
}
Axis = Annotated[
    tuple[float, float, float],
    BeforeValidator(_read_axis),
    PlainSerializer(_write_axis),
    WithJsonSchema(_AXIS_SCHEMA),
]


def sentence_error(text: str) -> PydanticCustomError:
    """An error whose message is `text`."""
    return PydanticCustomError("sentence", "{sentence}", {"sentence": text})


def _existing(what: str, exists):
    """Reader of a path beside the spec that must exist as `what`; hands it on absolute."""

    def read(value, info: ValidationInfo) -> Path:
        if not isinstance(value, (str, Path)):
            raise sentence_error(f"must be the path of a {what}, got {value!r}")
        path = (Path((info.context or {}).get("folder", ".")) / Path(value).expanduser()).resolve()
        if not exists(path):
            raise sentence_error(f"must be an existing {what}, got {str(value)!r}; looked for {path}")
        return path

    return read


_PATH = PlainSerializer(str), WithJsonSchema({"type": "string", "description": "path, relative to the spec file"})
ExistingFile = Annotated[Path, BeforeValidator(_existing("file", Path.is_file)), *_PATH]
ExistingFolder = Annotated[Path, BeforeValidator(_existing("folder", Path.is_dir)), *_PATH]


def inconsistent(*found: tuple[str, str]) -> PydanticCustomError:
    """One error that carries several (key path, sentence); `load` unfolds it into problems."""
    text = "; ".join(f"{path}: {sentence}" for path, sentence in found)
    return PydanticCustomError("inconsistent", "{sentence}", {"sentence": text, "found": list(found)})


def did_you_mean(word: str, known) -> str:
    """Words such as "; did you mean 'radius'?", or nothing when no known word is near."""
    near = difflib.get_close_matches(word, list(known), n=1, cutoff=0.6)
    return f"; did you mean {near[0]!r}?" if near else ""


class Model(BaseModel):
    """Frozen, refuses unknown keys, validates its defaults, checks its fields against each other."""

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True, use_attribute_docstrings=True)

    def inconsistencies(self) -> Iterator[tuple[str, str]]:
        """(key path, sentence) for each contradiction between fields; overridden by the models below."""
        return iter(())

    @model_validator(mode="after")
    def _consistent(self):
        found = list(self.inconsistencies())
        if found:
            raise inconsistent(*found)
        return self


class Frame(Model):
    """Which way B0 and the bore point in the coordinates of this spec."""

    b0_axis: Axis = "z"
    """Direction of the main field; the field component that encodes is B·b0_axis."""
    bore_axis: Axis = "z"
    """Axis of the patient bore and of cylindrical formers."""


class Region(Model):
    """Where the field is wanted."""

    shape: Literal["ball", "ellipsoid"] = "ball"
    """`ball` with `radius`, or `ellipsoid` with `semi_axes`."""
    radius: PositiveLength | None = None
    """Radius of the ball."""
    semi_axes: tuple[PositiveLength, PositiveLength, PositiveLength] | None = None
    """Half lengths of the ellipsoid along x, y, z."""
    centre: Point = (0.0, 0.0, 0.0)
    """Centre in the coordinates of this spec."""

    @property
    def half_widths(self) -> tuple[float, float, float]:
        """Half extents (m) along x, y, z."""
        return self.semi_axes if self.shape == "ellipsoid" else (self.radius,) * 3

    def extent(self, axis) -> float:
        """Largest distance (m) of a point of the region from its centre, measured along the unit vector `axis`."""
        return math.hypot(*(a * h for a, h in zip(axis, self.half_widths)))

    def inconsistencies(self):
        wanted, other = ("radius", "semi_axes") if self.shape == "ball" else ("semi_axes", "radius")
        example = "100 mm" if self.shape == "ball" else "[100 mm, 100 mm, 80 mm]"
        if getattr(self, wanted) is None:
            yield wanted, f"must be given for shape {self.shape}, got nothing; try `{wanted}: {example}`"
        if getattr(self, other) is not None:
            yield other, f"must be left out for shape {self.shape}, which is given by `{wanted}`"


_COMPARE = {"<=": operator.le, "<": operator.lt, ">=": operator.ge, ">": operator.gt}
_LIMIT_SCHEMA = {"anyOf": [{"type": "number"}, {"type": "string"}], "examples": ["0.1 mT/m/A", "5 %", "30 uT"]}


class Requirement(Model):
    """A figure of the finished, audited design and the limit it must keep."""

    quantity: Annotated[str, Field(json_schema_extra={"enum": list(FIGURES)})]
    """Name of the figure, such as `efficiency` or `stray_field_max`."""
    op: Literal["<=", "<", ">=", ">"]
    """How the figure must compare with the limit."""
    limit: Annotated[float, WithJsonSchema(_LIMIT_SCHEMA)]
    """The limit, in a unit of the figure."""

    @model_validator(mode="before")
    @classmethod
    def _read_limit_in_the_unit_of_its_figure(cls, data):
        if not isinstance(data, dict) or not isinstance(data.get("quantity"), str) or "limit" not in data:
            return data
        name = data["quantity"]
        if name not in FIGURES:
            hint = did_you_mean(name, FIGURES) or f"; known: {', '.join(FIGURES)}"
            raise inconsistent(("quantity", f"must be a known figure, got {name!r}{hint}"))
        try:
            return data | {"limit": units.parse(data["limit"], FIGURES[name][0])}
        except units.UnitError as error:
            raise inconsistent(("limit", f"{error}; it is the limit of {name}")) from None

    @field_serializer("limit")
    def _write_limit(self, limit: float):
        return limit if self.dimension == "any" else units.exact(limit, self.dimension)

    @property
    def dimension(self) -> str:
        """Key of units.DIMENSIONS, or "any"."""
        return FIGURES[self.quantity][0]

    @property
    def asked(self) -> dict[str, Any]:
        """As `result.evaluate_requirements` takes it."""
        return {"quantity": self.quantity, "op": self.op, "limit": self.limit}

    def holds(self, value: float) -> bool:
        """Whether `value` (SI) keeps the limit."""
        return _COMPARE[self.op](value, self.limit)


class Audit(Model):
    """The independent check at points the optimiser never saw."""

    points: PointCount = 2000
    """Number of points in the region."""
    seed: Seed = 1
    """Seed of their positions."""


class Spec(Model):
    """First keys of every kind of spec."""

    kind: str
    """What is to be designed."""
    name: Annotated[str, Field(min_length=1)]
    """How the design is called in reports and file names."""
    version: Literal[1] = 1
    """Version of the spec format."""
    frame: Frame = Frame()
    """Directions of the main field and of the bore."""
    requirements: tuple[Requirement, ...] = ()
    """What the finished design must keep; a missed requirement is reported and ends with exit code 3."""


def split(point, axis) -> tuple[float, float]:
    """Axial coordinate and distance from the axis (m)."""
    along = sum(p * a for p, a in zip(point, axis))
    return along, math.sqrt(max(0.0, sum(p * p for p in point) - along**2))


def radial_extent(region: Region, axis) -> float:
    """Largest extent (m) across `axis`: exact for a ball, and for an ellipsoid with `axis` along x, y or z."""
    across = [h * math.sqrt(max(0.0, 1 - a * a)) for a, h in zip(axis, region.half_widths)]
    return max(across)


def axis_text(axis) -> str:
    """An axis as people write it: "z", "-x" or three numbers."""
    return str(_write_axis(tuple(axis)))


def mm(metres: float) -> str:
    """Text of a length for messages."""
    return f"{metres * 1e3:.6g} mm"
