"""What stands around a gradient coil: its limits bind in the convex problem and hold for the wires; effects against closed forms."""

from __future__ import annotations

import numpy as np
import pytest

from designtools import regions
from designtools.pipeline import run
from designtools.recipes import gradient
from designtools.spec import SpecError, load

PLAIN = {
    "kind": "gradient",
    "name": "insert",
    "region": {"shape": "ball", "radius": "80 mm"},
    "target": {"gradient_axis": "x", "strength": "100 mT/m", "error": "8 %"},
    "primary": {"radius": "200 mm", "length": "560 mm"},
    "conductor": {"width": "5 mm", "thickness": "4 mm", "spacing": "1 mm"},
    "winding": {"turns": 12, "joined": False},
    "amplifier": {"current": "1500 A", "voltage": "1500 V"},
    "magnet": {"flux_density": "3 T"},
    "mesh": {"resolution": "28 mm"},
    "audit": {"points": 300},
    "patient": {"semi_axes": ["75 mm", "95 mm", "120 mm"], "slew_rate": "300 T/m/s"},
    "cryostat": {"shells": [{"radius": "400 mm", "length": "1200 mm", "thickness": "2 mm", "resistivity": "40 nohm·m"}]},
    "wall": {"radius": "205 mm", "length": "560 mm", "thickness": "20 mm", "frequencies": ["700 Hz", "1000 Hz"], "orders": 3, "waves": 4},
    "cooling": {"heat_transfer": "800 W/m^2/K", "spreading": "50 mW/K", "duty": "20 %"},
}
LIMITS = {  # figure -> (key of its limit, share of what the coil without limits does)
    "eddy_field_max": ("cryostat.residual_limit", 0.95),
    "eddy_power": ("cryostat.power_limit", 0.9),
    "wall_velocity_rms": ("wall.velocity_limit", 0.95),
    "temperature_rise_max": ("cooling.limit", 0.95),
}


@pytest.fixture(scope="module")
def plain():
    return run(PLAIN)


@pytest.fixture(scope="module")
def held(plain):
    """The same coil with all limits, each below what it does without them."""
    return run(PLAIN, overrides={key: share * plain.figures[figure].value for figure, (key, share) in LIMITS.items()})


@pytest.mark.parametrize("figure", LIMITS)
def test_limits_hold_for_the_wires(plain, held, figure):
    assert held.status == "done", held.message
    assert held.figures[figure].value <= LIMITS[figure][1] * plain.figures[figure].value
    assert any(r["quantity"] == figure and r["status"] == "MET" for r in held.requirements)


def test_a_limit_on_the_electric_field_holds(plain):
    limit = 0.985 * plain.figures["electric_field_max"].value
    held = run(PLAIN, overrides={"patient.limit": limit, "cryostat": None, "wall": None, "cooling": None})
    assert held.status == "done", held.message
    assert held.figures["electric_field_max"].value <= limit
    assert held.figures["dissipated_power"].value > plain.figures["dissipated_power"].value


def test_limits_cost_power_and_spare_the_field(plain, held):
    sheet_power = lambda r: r.figures["dissipated_power"].value
    assert sheet_power(held) > sheet_power(plain)
    assert held.figures["linearity_error_max"].value <= 0.08


def test_the_field_in_a_ball_is_that_of_the_closed_form():
    """E of a homogeneous body is the charges' doing; of a ball it is r x the mean of B' along the radius."""
    from designtools.quantities import electric_field

    result = run(PLAIN, overrides={"patient": {"semi_axes": ["90 mm", "90 mm", "90 mm"], "slew_rate": "300 T/m/s"}})
    points = regions.ellipsoid((0.09, 0.09, 0.09), (0, 0, 0), 20, "skin").points
    rate = 300 / result.figures["gradient_strength"].value
    exact = rate * np.linalg.norm(np.asarray(electric_field.in_ball(result.source, points)), axis=1).max()
    assert result.figures["electric_field_max"].value == pytest.approx(exact, rel=0.01)


def test_stimulation_follows_from_the_field(plain):
    field, slew = plain.figures["electric_field_max"].value, plain.figures["stimulation_slew_min"].value
    assert slew == pytest.approx(2.2 * 300 / field)
    assert plain.figures["stimulation_swing_min"].value == pytest.approx(slew * 0.36e-3)


def test_eddy_currents_scale_with_the_metal():
    """In a thin shell far from its time constants the power goes with thickness over resistivity."""
    shell = {"radius": "400 mm", "length": "1200 mm"}
    power = []
    for thickness, resistivity in (("0.02 mm", "40 nohm·m"), ("0.02 mm", "80 nohm·m"), ("0.04 mm", "80 nohm·m")):
        cryostat = {"shells": [shell | {"thickness": thickness, "resistivity": resistivity}], "frequency": "100 Hz"}
        power.append(run(PLAIN, overrides={"cryostat": cryostat, "cooling": None, "wall": None, "patient": None}).figures["eddy_power"].value)
    assert power[0] / power[1] == pytest.approx(2, rel=1e-3)
    assert power[2] / power[0] == pytest.approx(1, rel=1e-3)


def test_a_hard_limit_that_cannot_hold_names_the_key_to_relax(plain):
    limit = 0.3 * plain.figures["electric_field_max"].value
    result = run(PLAIN, overrides={"patient.limit": limit})
    assert result.status == "infeasible"
    assert "raise patient.limit from" in result.message


def test_symmetry_is_given_up_where_the_person_breaks_it():
    aside = {"patient.centre": ["20 mm", "10 mm", "0 mm"], "patient.limit": "5 V/m"}
    assert len(gradient.geometry(load(PLAIN)).symmetry) > len(gradient.geometry(load(PLAIN, aside)).symmetry)


@pytest.mark.parametrize(
    "changes, where",
    [
        ({"magnet": None}, "wall"),
        ({"patient": {"slew_rate": "200 T/m/s"}}, "patient.semi_axes"),
        ({"cryostat.shells": [{"radius": "190 mm", "length": "1 m", "thickness": "1 mm", "resistivity": "40 nohm·m"}]}, "cryostat.shells.0.radius"),
    ],
)
def test_a_wrong_surrounding_is_refused_in_a_sentence(changes, where):
    with pytest.raises(SpecError, match=where):
        load(PLAIN, changes)
