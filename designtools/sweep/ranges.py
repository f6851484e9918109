"""What a person writes after --vary, --epsilon and --scatter, as exact values."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Any

RANGE_EXAMPLE = "such as primary.radius='180 mm:220 mm:5'"
SCATTER_EXAMPLE = "such as primary.radius='0.2 mm'"


class BadSweep(ValueError):
    """A sweep that cannot be run; the message is one sentence."""


@dataclass(frozen=True)
class Range:
    """Values of one key: from `low` to `high` in `unit`, `count` of them (0: as many as samples), or just `listed`."""

    key: str
    low: Fraction = Fraction(0)
    high: Fraction = Fraction(0)
    unit: str = ""
    count: int = 0
    listed: tuple[Any, ...] = ()

    def at(self, fraction: Fraction) -> Any:
        """The value a fraction of the way from one end to the other; whole ends give a whole number."""
        if self.listed:
            return self.listed[min(int(fraction * len(self.listed)), len(self.listed) - 1)]
        return _value(self.low + (self.high - self.low) * fraction, self.unit)

    def between(self, fraction: Fraction) -> Any:
        """As `at`, for a sample: a range whose ends are whole numbers without unit holds whole numbers alone."""
        whole = not self.unit and not self.listed and self.low.denominator == self.high.denominator == 1
        if not whole:
            return self.at(fraction)
        return min(int(self.low + (self.high - self.low + 1) * fraction), int(self.high))

    def values(self) -> list[Any]:
        """The values of a grid."""
        if self.listed:
            return list(self.listed)
        return [self.at(Fraction(i, max(self.count - 1, 1))) for i in range(self.count)]


def read_range(text: str, option: str = "--vary") -> Range:
    """ "a.b=180 mm:220 mm:5", "a.b=180 mm:220 mm" (for samples) or "a.b=true,false"; whole numbers stay whole."""
    key, equals, span = (part.strip() for part in text.partition("="))
    ends = span.split(":")
    if key and equals and len(ends) == 1 and "," in span:
        return Range(key, listed=tuple(part.strip() for part in span.split(",")))
    if not key or len(ends) not in (2, 3) or not _is_count(ends[2:]):
        raise BadSweep(f"{option} must be KEY.PATH=A:B:N with a whole number N of values, {RANGE_EXAMPLE}, got {text!r}")
    (low, unit_low), (high, unit_high) = (_number_and_unit(end, text, option) for end in ends[:2])
    if unit_low != unit_high and unit_low:
        raise BadSweep(f"{option} must have the same unit on both ends, {RANGE_EXAMPLE}, got {text!r}")
    return Range(key, low, high, unit_high, int(ends[2]) if ends[2:] else 0)


def _is_count(third: list[str]) -> bool:
    return not third or (third[0].strip().isdecimal() and 1 <= int(third[0]) <= 100_000)


def _number_and_unit(end: str, text: str, option: str) -> tuple[Fraction, str]:
    number, _, unit = end.strip().partition(" ")
    try:
        return Fraction(number), unit.strip()
    except (ValueError, ZeroDivisionError):
        raise BadSweep(
            f"{option} must have numbers for both ends, with a space before the unit, got {end!r} in {text!r}"
        ) from None


def _value(step: Fraction, unit: str) -> Any:
    number = step.numerator if step.denominator == 1 else float(step)
    return f"{number:.12g} {unit}" if unit else number


# --- tolerances ------------------------------------------------------------------------------------------------

BUILT = {"position": "length", "angle": "angle", "strength": "ratio"}  # what can be off in a part that was built


@dataclass(frozen=True)
class Tolerance:
    """The standard deviation of one key: `sigma` in SI, or as a share of the value (`relative`)."""

    key: str
    sigma: float
    relative: bool = False

    @property
    def built(self) -> bool:
        """Whether it is of the parts as built, not of a key of the spec."""
        return self.key.startswith("built.")


def read_tolerance(text: str) -> Tolerance:
    """ "primary.radius=0.2 mm", "primary.radius=0.1 %" of its value, "built.position=50 um"."""
    from designtools.units import UnitError, parse

    key, equals, sigma = (part.strip() for part in text.partition("="))
    if not key or not equals:
        raise BadSweep(f"--scatter must be KEY.PATH=SIGMA, {SCATTER_EXAMPLE}, got {text!r}")
    word = key.removeprefix("built.")
    if key.startswith("built.") and word not in BUILT:
        raise BadSweep(f"--scatter of what is built must be one of {', '.join('built.' + w for w in BUILT)}, got {key!r}")
    try:
        value = parse(sigma, BUILT[word] if key.startswith("built.") else "any")
    except UnitError as error:
        raise BadSweep(f"--scatter {key}: sigma {error}") from None
    if not value > 0:
        raise BadSweep(f"--scatter {key}: sigma must be greater than 0, got {sigma!r}")
    return Tolerance(key, value, relative=sigma.endswith("%") and not key.startswith("built."))
