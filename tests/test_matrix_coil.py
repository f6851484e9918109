"""Matrix coils: the currents against a least-squares solution in NumPy, coupling against closed forms, limits that bind."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from designtools.pipeline import run
from designtools.recipes import matrix_coil
from designtools.spec import SpecError, load
from designtools.units import MU_0

SPEC = Path(__file__).parents[1] / "specs" / "matrix_coil.yaml"
PAIR = {
    "kind": "gradient",
    "name": "pair",
    "region": {"shape": "ball", "radius": "20 mm"},
    "targets": [{"name": "z", "gradient_axis": "z", "strength": "1 mT/m", "error": "10 %"}],
    "elements": {
        "arrangement": "list", "turns": 10,
        "loops": [{"centre": ["0 mm", "0 mm", z], "normal": "z", "radius": "100 mm"} for z in ("-86.6 mm", "86.6 mm")],
    },
    "conductor": {"width": "2 mm", "thickness": "1 mm"},
    "channels": {"current": "30 A", "voltage": "50 V"},
    "magnet": {"flux_density": "1 T"},
}  # fmt: skip


@pytest.fixture(scope="module")
def pair():
    return run(PAIR)


def test_a_pair_of_loops_is_maxwells(pair):
    """G = (48 sqrt(3)/7^2.5) mu0 N I/a^2 of two opposed loops sqrt(3) a apart."""
    first, second = pair.audit["channels"]["z"]["current_A"]
    exact = 1e-3 / (48 * np.sqrt(3) / 7**2.5 * MU_0 * 10 / 0.1**2)
    assert second == pytest.approx(-first) and abs(first) == pytest.approx(exact, rel=0.12)  # within the error allowed: the least power
    assert abs(first) < exact


def test_coupling_is_that_of_coaxial_loops(pair):
    """Maxwell's mutual inductance of coaxial circles by elliptic integrals; the self inductance of a ring with round section."""
    from scipy.special import ellipe, ellipk

    a, d, turns = 0.1, 2 * 0.0866, 10
    k2 = 4 * a * a / (4 * a * a + d * d)
    k = np.sqrt(k2)
    mutual = MU_0 * a * ((2 / k - k) * ellipk(k2) - 2 / k * ellipe(k2))
    matrix = np.array(pair.audit["inductance_H"])
    assert matrix[0, 1] == pytest.approx(turns**2 * mutual, rel=1e-6)
    bundle = np.sqrt(turns * 2e-6 / np.pi)
    assert matrix[0, 0] == pytest.approx(turns**2 * MU_0 * a * (np.log(8 * a / bundle) - 1.75), rel=2e-3)


def test_voltage_is_what_the_ramp_needs(pair):
    matrix, channel = np.array(pair.audit["inductance_H"]), pair.audit["channels"]["z"]
    current = np.array(channel["current_A"])
    assert channel["voltage_V"] == pytest.approx(list(matrix @ current / 1e-3 + pair.figures["resistance"].value * current))


def test_torque_on_an_element_is_moment_times_field():
    """A loop whose axis is across B0 feels m B0."""
    loops = [{"centre": [x, "0 mm", "0 mm"], "normal": "x", "radius": "100 mm"} for x in ("-90 mm", "90 mm")]
    result = run(PAIR, overrides={"elements.loops": loops, "targets.0.error": "40 %"})
    largest = np.abs(result.audit["channels"]["z"]["current_A"]).max()
    assert result.figures["torque"].value == pytest.approx(10 * largest * np.pi * 0.1**2, rel=1e-6)


def test_the_array_of_the_spec_makes_its_fields():
    result = run(SPEC)
    assert result.status == "done", result.message
    assert result.figures["optimality_gap"].value <= 1e-6
    assert result.figures["linearity_error_max"].value <= 0.15
    assert len(result.audit["channels"]) == 4 and len(result.audit["channels"]["zx"]["current_A"]) == 48


def test_least_squares_says_what_the_array_can_do():
    """No currents come closer in the mean than those of a pseudoinverse; ours keep the largest error and stay near."""
    spec = load(SPEC)
    setting = matrix_coil.prepare(spec)
    points = np.random.default_rng(0).normal(size=(400, 3))
    points *= 0.07 * np.random.default_rng(1).random((400, 1)) ** (1 / 3) / np.linalg.norm(points, axis=1, keepdims=True)
    each = np.asarray(setting.loops.per_ampere(points, np.array([0.0, 0.0, 1.0])))
    wanted = 4e-3 * points[:, 0]
    best = np.linalg.norm(each @ np.linalg.lstsq(each, wanted, rcond=None)[0] - wanted)
    ours = np.asarray(matrix_coil.solve(setting).design.parts["x"].current)
    assert np.linalg.norm(each @ ours - wanted) >= best
    assert np.abs(each @ ours - wanted).max() <= 0.12 * 4e-3 * 0.07


def test_a_voltage_that_is_too_small_is_named():
    result = run(PAIR, overrides={"channels.voltage": "0.05 V"})
    assert result.status == "infeasible" and "raise channels.voltage to" in result.message


@pytest.mark.parametrize("changes, where", [({"targets": [PAIR["targets"][0]] * 2}, "targets.1.name"), ({"targets.0.gradient_axis": None}, "targets.0.gradient_axis")])
def test_a_wrong_array_is_refused_in_a_sentence(changes, where):
    with pytest.raises(SpecError, match=where):
        load(PAIR, changes)


# --- shim duty ----------------------------------------------------------------------------------------


BRAIN = {"b0": str(SPEC.parent / "data" / "ge3t_brain_b0hz.nii.gz"), "mask": str(SPEC.parent / "data" / "ge3t_brain_mask.nii.gz")}


def test_fields_and_shim_share_the_amplifiers():
    """Plenty of current: the shim is the least-squares shim of the same loops; little: both give way, within the limit."""
    from designtools.recipes import shim

    asked = {"field_map": BRAIN, "origin": "mask_centre", "weight": 1e4}
    rich = run(SPEC, overrides={"shim": asked, "channels.current": "60 A", "channels.voltage": "60 V"})
    loops = {k: v for k, v in load(SPEC).elements.model_dump().items() if v is not None}
    alone = shim.prepare(load({"kind": "shim", "name": "alone", "field_map": BRAIN, "coils": loops, "limits": {"current": 60}}))
    from designtools.recipes.shim_evidence import after_shim

    best = after_shim(alone, shim.solve(alone).design.parts["currents"])[0].left.std()
    assert rich.figures["b0_std_shimmed"].value == pytest.approx(best, rel=2e-3)
    assert rich.figures["b0_std_shimmed"].value >= best * (1 - 1e-9)
    poor = run(SPEC, overrides={"shim": asked, "channels.current": "11 A"})
    assert poor.figures["current_max"].value <= 11 * (1 + 1e-6) and poor.figures["voltage_max"].value <= 10 * (1 + 1e-6)
    assert rich.figures["b0_std_shimmed"].value < poor.figures["b0_std_shimmed"].value < poor.figures["b0_std_unshimmed"].value
    currents = np.array(poor.audit["channels"]["shim"]["current_A"])
    assert np.abs(currents).max() > 0.1 and poor.figures["linearity_error_max"].value <= 0.15
