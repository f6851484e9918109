"""Units of the edge: "300 mT/m" in, SI floats inside, readable text out.

Inside the program every number is SI.  This module is the only place where units are read or written.
A unit is a product of symbols with optional SI prefix and exponent ("mT/m/ms", "N·m", "A/mm^2", "uT/√W");
a slash divides by all symbols up to the next slash.  Its dimension is worked out from the symbols, so no list of
allowed spellings is needed.
"""

from __future__ import annotations

import difflib
import math
import re
from dataclasses import dataclass
from fractions import Fraction

MU_0 = 4e-7 * math.pi  # T·m/A
GAMMA_BAR = 42577478.518  # Hz/T, proton (CODATA 2018)
ZERO_CELSIUS = Fraction(27315, 100)  # K

Powers = tuple[Fraction, ...]  # exponents of metre, kilogram, second, ampere, kelvin, radian


class UnitError(ValueError):
    """A text that is no number with a unit of the expected dimension; the message is one sentence."""


@dataclass(frozen=True)
class Dimension:
    """A physical dimension: its name with article, SI unit, and units a person would type (best first)."""

    name: str
    si: str
    examples: tuple[str, ...]


# fmt: off
DIMENSIONS: dict[str, Dimension] = {
    "length":               Dimension("a length", "m", ("150 mm", "0.15 m", "15 cm")),
    "area":                 Dimension("an area", "m^2", ("20 mm^2", "2e-5 m^2")),
    "volume":               Dimension("a volume", "m^3", ("1.5 l", "0.0015 m^3")),
    "flow":                 Dimension("a flow of volume", "m^3/s", ("6 l/min", "1e-4 m^3/s")),
    "current":              Dimension("a current", "A", ("650 A", "20 mA")),
    "ampere_length":        Dimension("a current times a length", "A·m", ("50 kA·m", "5e4 A·m")),
    "voltage":              Dimension("a voltage", "V", ("1300 V", "1.3 kV")),
    "field":                Dimension("a flux density", "T", ("30 uT", "5 gauss", "3 T")),
    "gradient":             Dimension("a field gradient", "T/m", ("80 mT/m", "0.08 T/m")),
    "slew_rate":            Dimension("a slew rate", "T/m/s", ("200 T/m/s", "200 mT/m/ms")),
    "efficiency":           Dimension("a gradient efficiency", "T/m/A", ("0.1 mT/m/A", "100 uT/m/A")),
    "angle":                Dimension("an angle", "rad", ("45 deg", "0.785 rad")),
    "resistance":           Dimension("a resistance", "ohm", ("120 mohm", "0.12 ohm")),
    "inductance":           Dimension("an inductance", "H", ("300 uH", "0.3 mH")),
    "power":                Dimension("a power", "W", ("12 kW", "500 mW")),
    "energy":               Dimension("an energy", "J", ("30 J", "4 MJ")),
    "force":                Dimension("a force", "N", ("100 N", "2 kN")),
    "torque":               Dimension("a torque", "N·m", ("5 N·m", "20 N m")),
    "pressure":             Dimension("a pressure or stress", "Pa", ("80 MPa", "1e5 Pa")),
    "mass":                 Dimension("a mass", "kg", ("12 kg", "450 g")),
    "density":              Dimension("a density", "kg/m^3", ("8960 kg/m^3", "8.96 g/cm^3")),
    "time":                 Dimension("a time", "s", ("200 us", "0.5 ms")),
    "frequency":            Dimension("a frequency", "Hz", ("25 Hz", "128 MHz")),
    "temperature":          Dimension("a temperature", "K", ("20 degC", "4.2 K")),
    "temperature_coefficient": Dimension("a temperature coefficient", "1/K", ("0.00393 1/K", "0.393 %/K")),
    "ratio":                Dimension("a ratio", "1", ("5 %", "20 ppm", "0.05")),
    "resistivity":          Dimension("a resistivity", "ohm·m", ("1.72 uohm·cm", "17.2 nohm·m")),
    "current_density":      Dimension("a current density", "A/m^2", ("150 A/mm^2", "1.5e8 A/m^2")),
    "sheet_current":        Dimension("a current per width", "A/m", ("40 A/mm", "4e4 A/m")),
    "b1_efficiency":        Dimension("a transmit efficiency", "T/√W", ("0.2 uT/√W", "2e-7 T/√W")),
    "electric_field":       Dimension("an electric field", "V/m", ("4 V/m", "5 mV/mm")),
    "velocity":             Dimension("a velocity", "m/s", ("1 mm/s", "0.001 m/s")),
    "heat_transfer":        Dimension("a heat transfer", "W/m^2/K", ("500 W/m^2/K",)),
    "heat_conductance":     Dimension("a heat conductance", "W/K", ("5 mW/K", "0.005 W/K")),
    "temperature_difference": Dimension("a temperature difference", "K", ("30 K",)),
    "specific_power":       Dimension("a specific absorption rate", "W/kg", ("3.2 W/kg", "10 W/kg")),
    "capacitance":          Dimension("a capacitance", "F", ("33 pF", "3.3e-11 F")),
    "conductivity":         Dimension("a conductivity", "S/m", ("0.7 S/m", "700 mS/m")),
}

_BASE = "m kg s A K rad".split()
_PREFIXES = {"p": -12, "n": -9, "u": -6, "µ": -6, "μ": -6, "m": -3, "c": -2, "d": -1, "h": 2, "k": 3, "M": 6, "G": 9}
_PREFIXABLE: dict[str, tuple[int | Fraction, tuple[int, ...]]] = {  # symbol: (factor, exponents of m, kg, s, A, K, rad)
    "m": (1, (1, 0, 0, 0, 0, 0)),      "g": (Fraction(1, 1000), (0, 1, 0, 0, 0, 0)),
    "s": (1, (0, 0, 1, 0, 0, 0)),      "A": (1, (0, 0, 0, 1, 0, 0)),
    "K": (1, (0, 0, 0, 0, 1, 0)),      "rad": (1, (0, 0, 0, 0, 0, 1)),
    "Hz": (1, (0, 0, -1, 0, 0, 0)),    "N": (1, (1, 1, -2, 0, 0, 0)),
    "Pa": (1, (-1, 1, -2, 0, 0, 0)),   "J": (1, (2, 1, -2, 0, 0, 0)),
    "W": (1, (2, 1, -3, 0, 0, 0)),     "V": (1, (2, 1, -3, -1, 0, 0)),
    "ohm": (1, (2, 1, -3, -2, 0, 0)),  "Ohm": (1, (2, 1, -3, -2, 0, 0)),
    "Ω": (1, (2, 1, -3, -2, 0, 0)),    "H": (1, (2, 1, -2, -2, 0, 0)),
    "F": (1, (-2, -1, 4, 2, 0, 0)),    "S": (1, (-2, -1, 3, 2, 0, 0)),
    "T": (1, (0, 1, -2, -1, 0, 0)),    "G": (Fraction(1, 10_000), (0, 1, -2, -1, 0, 0)),
    "gauss": (Fraction(1, 10_000), (0, 1, -2, -1, 0, 0)),
    "Gauss": (Fraction(1, 10_000), (0, 1, -2, -1, 0, 0)),
    "l": (Fraction(1, 1000), (3, 0, 0, 0, 0, 0)), "L": (Fraction(1, 1000), (3, 0, 0, 0, 0, 0)),
}
_PLAIN: dict[str, tuple[int | Fraction, tuple[int, ...]]] = {  # symbols that take no prefix
    "1": (1, (0,) * 6),                        "%": (Fraction(1, 100), (0,) * 6),
    "percent": (Fraction(1, 100), (0,) * 6),   "ppm": (Fraction(1, 10**6), (0,) * 6),
    "ppb": (Fraction(1, 10**9), (0,) * 6),     "deg": (Fraction(math.pi / 180), (0, 0, 0, 0, 0, 1)),
    "°": (Fraction(math.pi / 180), (0, 0, 0, 0, 0, 1)),
    "min": (60, (0, 0, 1, 0, 0, 0)),           "h": (3600, (0, 0, 1, 0, 0, 0)),
    "tonne": (1000, (0, 1, 0, 0, 0, 0)),       "turn": (Fraction(2 * math.pi), (0, 0, 0, 0, 0, 1)),
    "in": (Fraction(254, 10_000), (1, 0, 0, 0, 0, 0)), "bar": (10**5, (-1, 1, -2, 0, 0, 0)),
    "Nm": (1, (2, 1, -2, 0, 0, 0)),            "kNm": (1000, (2, 1, -2, 0, 0, 0)),
}
# fmt: on
_CELSIUS = {"degC", "°C", "℃", "celsius"}
_SUPERSCRIPTS = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁻", "0123456789-")
_QUANTITY = re.compile(r"\s*([+-]?(?:\d[\d_]*\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)\s*(.*?)\s*$", re.DOTALL)
_PRODUCT = re.compile(r"[\s·⋅*]+|(?<=[^\d.])\.(?=\D)")
_FACTOR = re.compile(r"(√?)([^\d\s^√+-]+|1)(?:\^?([+-]?\d+(?:\.\d+)?))?$")


def parse(value: str | int | float, dimension: str) -> float:
    """The SI value of a text such as "80 mT/m"; a bare number is SI already.

    `dimension` is a key of DIMENSIONS, or "any" to accept every unit.  Raises UnitError, whose message
    says what the value must be, what arrived and what to try.
    """
    if isinstance(value, bool) or not isinstance(value, (str, int, float)):
        raise UnitError(f"{_must_be(dimension)}, got {value!r}")
    if not isinstance(value, str):
        return _finite(value, dimension)
    match = _QUANTITY.match(value)
    if match is None:
        raise UnitError(f"{_must_be(dimension)}, got {value!r}, which does not start with a number")
    unit = match[2]
    _finite(float(match[1]), dimension)
    number = Fraction(match[1].replace("_", ""))
    if not unit:
        return float(number)
    if unit in _CELSIUS and dimension in ("temperature", "any"):
        return float(number + ZERO_CELSIUS)
    return float(number * _factor(unit, dimension, value))


def _finite(number: int | float, dimension: str) -> float:
    if isinstance(number, float) and not math.isfinite(number):
        raise UnitError(f"{_must_be(dimension)}, got {number}, which is not a finite number")
    if abs(number) > 1e100:
        raise UnitError(f"{_must_be(dimension)}, got a number beyond 1e100")
    return float(number)


def _must_be(dimension: str) -> str:
    if dimension == "any":
        return "must be a number with its unit (such as '150 mm')"
    known = DIMENSIONS[dimension]
    return f"must be {known.name} (such as {' or '.join(repr(e) for e in known.examples)})"


def _factor(unit: str, dimension: str, text: str) -> Fraction:
    try:
        factor, powers = read_unit(unit)
    except KeyError as unknown:
        hint = _nearest_unit(unit, dimension)
        raise UnitError(
            f"{_must_be(dimension)}, got {text!r} with the unknown unit {str(unknown.args[0])!r}{hint}"
        ) from None
    if dimension != "any" and powers != read_unit(DIMENSIONS[dimension].si)[1]:
        raise UnitError(f"{_must_be(dimension)}, got {text!r}, which is {_name_of(powers)}")
    return factor


def read_unit(unit: str) -> tuple[Fraction, Powers]:
    """Factor to SI and base exponents of a unit; raises KeyError(symbol) for an unknown symbol."""
    if unit in _CELSIUS:
        return Fraction(1), read_unit("K")[1]
    text = unit.translate(_SUPERSCRIPTS).replace("**", "^").replace("(", " ").replace(")", " ")
    factor, powers = Fraction(1), (Fraction(0),) * len(_BASE)
    for position, group in enumerate(text.split("/")):
        if not group.strip():
            raise KeyError(unit)
        sign = 1 if position == 0 else -1
        for token in _PRODUCT.split(group.strip()):
            scale, exponents = _read_token(token)
            factor *= scale**sign
            powers = tuple(a + sign * b for a, b in zip(powers, exponents))
    return factor, powers


def _read_token(token: str) -> tuple[Fraction, Powers]:
    match = _FACTOR.match(token)
    if match is None:
        raise KeyError(token)
    scale, exponents = _read_symbol(match[2])
    power = Fraction(match[3] or 1) * (Fraction(1, 2) if match[1] else 1)
    raised = scale**power.numerator if power.denominator == 1 else Fraction(float(scale) ** float(power))
    return raised, tuple(e * power for e in exponents)


def _read_symbol(symbol: str) -> tuple[Fraction, Powers]:
    for table in (_PLAIN, _PREFIXABLE):
        if symbol in table:
            factor, exponents = table[symbol]
            return Fraction(factor), tuple(Fraction(e) for e in exponents)
    prefix, rest = symbol[:1], symbol[1:]
    if prefix not in _PREFIXES or rest not in _PREFIXABLE:
        raise KeyError(symbol)
    factor, exponents = _PREFIXABLE[rest]
    return Fraction(factor) * Fraction(10) ** _PREFIXES[prefix], tuple(Fraction(e) for e in exponents)


def _name_of(powers: Powers) -> str:
    for dimension in DIMENSIONS.values():
        if read_unit(dimension.si)[1] == powers:
            return f"{dimension.name} ({dimension.si})"
    return "a quantity of another kind"


def _nearest_unit(unit: str, dimension: str) -> str:
    """Words such as "; did you mean 'mm'?" when a unit of the dimension is spelt much alike."""
    known = [u for d, units in _READABLE.items() for u in units if dimension == "any" or DIMENSIONS[dimension].si == d]
    known += [e.split(" ", 1)[1] for e in DIMENSIONS[dimension].examples if " " in e] if dimension != "any" else []
    folded = {u.lower(): u for u in reversed(known)}
    near = difflib.get_close_matches(unit.lower(), folded, n=1, cutoff=0.5)
    return f"; did you mean {folded[near[0]]!r}?" if near else ""


# --- writing ---------------------------------------------------------------------------------------------

# SI unit -> units to choose from, largest first; the first in which the number is at least 1 is taken
# fmt: off
_READABLE: dict[str, tuple[str, ...]] = {
    "m": ("m", "mm", "µm", "nm"),
    "m^2": ("m^2", "cm^2", "mm^2"),
    "m^3": ("m^3", "l", "cm^3", "mm^3"),
    "A": ("MA", "kA", "A", "mA", "µA"),
    "V": ("kV", "V", "mV", "µV"),
    "T": ("T", "mT", "µT", "nT"),
    "T/m": ("T/m", "mT/m", "µT/m"),
    "T/m/s": ("T/m/s", "mT/m/s"),
    "T/m/A": ("T/m/A", "mT/m/A", "µT/m/A", "nT/m/A"),
    "rad": ("deg",),
    "ohm": ("ohm", "mohm", "µohm"),
    "H": ("H", "mH", "µH", "nH"),
    "W": ("MW", "kW", "W", "mW", "µW"),
    "J": ("MJ", "kJ", "J", "mJ", "µJ"),
    "N": ("MN", "kN", "N", "mN"),
    "N·m": ("kN·m", "N·m", "mN·m"),
    "Pa": ("GPa", "MPa", "kPa", "Pa"),
    "kg": ("kg", "g", "mg"),
    "kg/m^3": ("kg/m^3",),
    "s": ("s", "ms", "µs", "ns"),
    "Hz": ("GHz", "MHz", "kHz", "Hz"),
    "K": ("K", "mK"),
    "1/K": ("1/K",),
    "ohm·m": ("µohm·m", "nohm·m"),
    "A/m^2": ("A/mm^2", "A/m^2"),
    "A/m": ("A/mm", "A/m"),
    "A·m": ("MA·m", "kA·m", "A·m"),
    "T/√W": ("T/√W", "µT/√W", "nT/√W"),
    "W/kg": ("W/kg", "mW/kg"),
    "F": ("F", "mF", "µF", "nF", "pF"),
    "S/m": ("S/m", "mS/m"),
}
# fmt: on
_SPELLINGS = {"Ω": "ohm", "m²": "m^2", "m³": "m^3", "A/m²": "A/m^2", "Ω·m": "ohm·m", "N m": "N·m", "kg/m³": "kg/m^3"}


def format(value: float, unit: str, digits: int = 4) -> str:  # noqa: A001 - the word a reader expects
    """Readable text of an SI value, such as format(0.0123, "T/m") = "12.3 mT/m".

    A ratio (unit "1") below 1 reads in % and below 0.1 % in ppm.  A unit without a table is written as it is.
    """
    if not math.isfinite(value):
        return f"{value} {unit}".removesuffix(" 1")
    if unit in ("1", ""):
        return _format_ratio(value, digits)
    choices = _READABLE.get(_SPELLINGS.get(unit, unit), (unit,))
    for choice in choices:
        scaled = value if choice == unit else float(Fraction(value) / read_unit(choice)[0])
        if abs(scaled) >= 1:
            break
    return f"{_digits(scaled, digits)} {choice}" if value else f"0 {unit}"


def _format_ratio(value: float, digits: int) -> str:
    if value == 0 or abs(value) >= 1:
        return _digits(value, digits)
    if abs(value) >= 1e-3:
        return f"{_digits(value * 100, digits)} %"
    return f"{_digits(value * 1e6, digits)} ppm"


def _digits(value: float, digits: int) -> str:
    if 10**digits <= abs(value) < 1e7:
        return f"{value:.0f}"
    return f"{value:.{digits}g}"


def exact(value: float, dimension: str) -> str:
    """Text with a unit that `parse` turns back into exactly `value`; readable where that costs nothing."""
    si = DIMENSIONS[dimension].si
    if dimension == "temperature" and float(Fraction(f"{value - 273.15:.9g}") + ZERO_CELSIUS) == value:
        return f"{value - 273.15:.9g} degC"
    choices = ("%", "ppm") if si == "1" else _READABLE.get(si, ())
    for choice in sorted(choices, key=lambda u: _awkwardness(value, u)):
        text = f"{float(Fraction(value) / read_unit(choice)[0]):.9g} {choice}"
        if parse(text, dimension) == value:
            return text
    return f"{value!r} {si}".removesuffix(" 1")


def _awkwardness(value: float, unit: str) -> float:
    """Small where a person would choose the unit: the number lies between 1 and 1000."""
    scaled = abs(float(Fraction(value) / read_unit(unit)[0]))
    return 0.0 if scaled == 0 or 1 <= scaled < 1000 else abs(math.log10(scaled) - 1.5)
