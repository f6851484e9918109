"""Units of the edge: what is read, what is refused in words, what is written."""

import math

import pytest

from designtools import units
from designtools.units import UnitError, exact, parse


@pytest.mark.parametrize(
    "text, dimension, value",
    [
        ("300 mT/m", "gradient", 0.3),
        ("150 mm", "length", 0.15),
        ("15cm", "length", 0.15),
        ("-3 mm", "length", -0.003),
        ("1e3 um", "length", 1e-3),
        ("1_000 mm", "length", 1.0),
        ("5 gauss", "field", 5e-4),
        ("5 G", "field", 5e-4),
        ("30 uT", "field", 30e-6),
        ("30 µT", "field", 30e-6),
        ("1 G/cm", "gradient", 0.01),
        ("200 mT/m/ms", "slew_rate", 200.0),
        ("0.1 mT/m/A", "efficiency", 1e-4),
        ("0.1 mT/(m·A)", "efficiency", 1e-4),
        ("45 deg", "angle", math.pi / 4),
        ("120 mΩ", "resistance", 0.12),
        ("300 uH", "inductance", 300e-6),
        ("20 N m", "torque", 20.0),
        ("20 N·m", "torque", 20.0),
        ("20 Nm", "torque", 20.0),
        ("20 N.m", "torque", 20.0),
        ("80 MPa", "pressure", 80e6),
        ("20 degC", "temperature", 293.15),
        ("4.2 K", "temperature", 4.2),
        ("5 %", "ratio", 0.05),
        ("20 ppm", "ratio", 20e-6),
        ("0.05", "ratio", 0.05),
        ("1.72 uohm cm", "resistivity", 1.72e-8),
        ("150 A/mm^2", "current_density", 1.5e8),
        ("150 A/mm²", "current_density", 1.5e8),
        ("40 A/mm", "sheet_current", 4e4),
        ("0.393 %/K", "temperature_coefficient", 0.00393),
        ("2 l", "volume", 2e-3),
        ("128 MHz", "frequency", 128e6),
        ("8.96 g/cm^3", "density", 8960.0),
        (0.25, "length", 0.25),
        (3, "current", 3.0),
    ],
)
def test_reads_what_physicists_write(text, dimension, value):
    assert parse(text, dimension) == value  # correctly rounded, not merely close


def test_reads_half_powers():
    assert parse("0.2 uT/√W", "b1_efficiency") == pytest.approx(2e-7, rel=1e-15)
    assert parse("2 T/mW^0.5", "b1_efficiency") == pytest.approx(2 / math.sqrt(1e-3), rel=1e-15)


@pytest.mark.parametrize(
    "value, dimension, words",
    [
        ("150 mT", "length", ["must be a length", "'150 mT'", "a flux density (T)"]),
        ("80 mT", "gradient", ["must be a field gradient", "80 mT/m", "a flux density"]),
        ("5 Hz", "field", ["a frequency (Hz)"]),
        ("5 rad", "ratio", ["an angle"]),
        ("150 MM", "length", ["unknown unit 'MM'", "did you mean 'mm'"]),
        ("3 miles", "length", ["unknown unit 'miles'"]),
        ("mm", "length", ["does not start with a number"]),
        ("", "length", ["does not start with a number"]),
        ("3 mT/m/", "gradient", ["unknown unit"]),
        ("1,5 mm", "length", ["unknown unit"]),
        ("1e400 mm", "length", ["not a finite number"]),
        ("1e200 mm", "length", ["beyond"]),
        (10**400, "length", ["beyond"]),
        (True, "length", ["got True"]),
        (None, "length", ["got None"]),
        ([1], "length", ["got [1]"]),
        (math.nan, "length", ["not a finite number"]),
        (math.inf, "length", ["not a finite number"]),
    ],
)
def test_refuses_in_one_sentence(value, dimension, words):
    with pytest.raises(UnitError) as refusal:
        parse(value, dimension)
    assert "\n" not in str(refusal.value)
    for word in ["such as", *words]:
        assert word in str(refusal.value)


@pytest.mark.parametrize("name", units.DIMENSIONS)
def test_examples_of_every_dimension_read_back(name):
    for example in units.DIMENSIONS[name].examples:
        value = parse(example, name)
        assert parse(exact(value, name), name) == value
    assert parse(f"3 {units.DIMENSIONS[name].si}", name) == 3.0


@pytest.mark.parametrize("name", units.DIMENSIONS)
@pytest.mark.parametrize("value", [0.0, 1.0, 0.1, 1 / 3, -2 / 7, 1.2345678901234567e-9, 6.02e23, 293.15, 1e-30])
def test_exact_text_reads_back_to_the_last_bit(name, value):
    assert parse(exact(value, name), name) == value


@pytest.mark.parametrize(
    "value, unit, text",
    [
        (0.0123, "T/m", "12.3 mT/m"),
        (1.5e-4, "T/m/A", "150 µT/m/A"),
        (0.0, "m", "0 m"),
        (-0.0021, "m", "-2.1 mm"),
        (60.25, "m", "60.25 m"),
        (3.2e-4, "H", "320 µH"),
        (1.5e8, "A/m^2", "150 A/mm^2"),
        (2e-3, "m³", "2 l"),
        (0.05, "1", "5 %"),
        (2e-5, "1", "20 ppm"),
        (1.3, "1", "1.3"),
        (8.5, "Hz", "8.5 Hz"),
        (0.025, "Ω", "25 mohm"),
        (3.0, "furlong", "3 furlong"),
        (math.nan, "m", "nan m"),
    ],
)
def test_writes_what_people_read(value, unit, text):
    assert units.format(value, unit) == text


def test_constants():
    assert units.MU_0 == 4e-7 * math.pi
    assert units.GAMMA_BAR == 42577478.518
