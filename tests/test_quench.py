"""Hot spots, copper's properties and winding packs, against handbook values, a published table and time stepping."""

import json
from pathlib import Path

import numpy as np
import pytest
from scipy.integrate import solve_ivp

import designtools as dt
from designtools.materials import metals
from designtools.materials.superconductors import surface_named
from designtools.quantities import coaxial, quench, winding_pack
from designtools.quantities.superconductor import Wire

FACTS = json.loads((Path(__file__).parent / "reference" / "superconductors.json").read_text())
WIRE = Wire(surface_named("NbTi"), 1.5e-3, 1e-3)
PAIR = dt.Blocks([0.2, 0.3], [0.22, 0.32], [-0.03, 0.05], [0.03, 0.11], [1.5e8, -1.2e8])


# --- metals ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("temperature, resistivity, rel", [(273.15, 1.545e-8, 0.01), (77.0, 1.9e-9, 0.05)])  # CRC handbook, pure copper
def test_copper_resists_as_the_handbook_says(temperature, resistivity, rel):
    assert float(metals.copper_resistivity(temperature, 300.0)) == pytest.approx(resistivity, rel=rel)


def test_copper_when_cold_is_its_rrr_and_rises_with_the_field():
    assert float(metals.copper_resistivity(273.15, 100.0) / metals.copper_resistivity(4.2, 100.0)) == pytest.approx(100, rel=0.02)
    field = np.array([0.0, 2.0, 5.0, 10.0])
    rise = np.asarray(metals.copper_resistivity(4.2, 100.0, field)) / 1.553e-10 - 1
    slope = np.diff(rise)[1:] / np.diff(field)[1:] * 1.553e-10  # known rule: 4.5 to 5e-11 ohm·m per tesla
    np.testing.assert_allclose(slope, 4.7e-11, rtol=0.3)


def test_heat_capacities():
    """Copper: 384.6 J/kg/K at 298 K and 79.0 kJ/kg from 0 K to 298 K (NIST-JANAF: 24.44 J/mol/K, 5.004 kJ/mol)."""
    assert float(metals.copper_heat(298.0)) / 8960 == pytest.approx(384.6, rel=0.02)
    t = np.linspace(4.0, 298.0, 3000)
    assert np.trapezoid(np.asarray(metals.copper_heat(t)), t) / 8960 == pytest.approx(78.75e3, rel=0.015)
    assert float(metals.nbti_heat(4.2)) == pytest.approx(49.1 * 4.2**3, rel=1e-12)
    joints = np.array([28.358, 50.99, 165.8])
    np.testing.assert_allclose(metals.nbti_heat(joints - 1e-6), metals.nbti_heat(joints + 1e-6), rtol=0.01)


# --- hot spots ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("rrr, rel", [(50, 0.03), (25, 0.05)])
def test_the_current_integral_of_copper_is_the_published_table(rrr, rel):
    """Other fits of the same metal: they agree to 2.4 % at RRR 50 and 4 % at RRR 25."""
    table = FACTS["copper_current_integral_1e14_A2s_per_m4"]
    ours = quench.copper_current_integral(np.array(table["temperature_K"]), rrr) / 1e14
    np.testing.assert_allclose(ours, table[f"RRR{rrr}"], rtol=rel)


def test_tables_invert_and_end():
    table = quench.heating(WIRE, field=3.0)
    for temperature in (10.0, 77.0, 250.0):
        assert float(table.after(table.allowed(temperature))) == pytest.approx(temperature, rel=1e-9)
    assert np.isinf(float(table.after(table.allowed(300.0) * 1.01)))
    assert quench.heating(WIRE, field=8.0).allowed(150.0) < table.allowed(150.0)
    assert float(quench.heating(WIRE, start=1.9, field=3.0).allowed(100.0)) == pytest.approx(float(table.allowed(100.0)), rel=2e-3)
    with pytest.raises(ValueError, match="heating: the start must lie in 0 to 300 K"):
        quench.heating(WIRE, start=350.0)


def test_dump_is_the_integral_of_its_decay():
    t = np.linspace(0, 200, 200001)
    current = np.where(t < 0.7, 1e8, 1e8 * np.exp(-(t - 0.7) / 5.0))
    assert quench.dump_integral(1e8, 0.7, 5.0) == pytest.approx(np.trapezoid(current**2, t), rel=1e-5)
    assert quench.dump_time_constant(1e6, 200.0, 1000.0) == pytest.approx((2 * 1e6 / 200.0**2) / (1000.0 / 200.0))


def test_self_dump_is_what_time_stepping_gives():
    """dT/dt of two blocks in series and the falling energy, step by step, against the closed form."""
    energy, volume, density = 2.5e5, np.asarray(PAIR.volume()), np.asarray(PAIR.current_density)
    heat = lambda t: np.asarray(WIRE.copper * metals.copper_heat(t) + WIRE.superconductor * metals.nbti_heat(t))
    loss = lambda t: np.asarray(metals.copper_resistivity(t, WIRE.rrr)) * density**2 / WIRE.copper

    def slopes(_, y):
        share = max(y[2], 0.0)
        return [*(share * loss(y[:2]) / heat(y[:2])), -share * float(volume @ loss(y[:2])) / energy, share]

    end = solve_ivp(slopes, (0, 300), [4.2, 4.2, 1.0, 0.0], rtol=1e-7, atol=1e-9, method="LSODA").y[:, -1]
    decay = quench.self_dump_time(PAIR, WIRE, energy)
    assert decay == pytest.approx(end[3], rel=2e-3) and abs(end[2]) < 1e-6
    np.testing.assert_allclose(quench.hot_spots(PAIR, WIRE, [0.0, 0.0], 0.0, decay), end[:2], rtol=2e-3)
    assert np.all(quench.hot_spots(PAIR, WIRE, [2.0, 2.0], 1.0, decay) > end[:2])
    assert np.isinf(quench.self_dump_time(PAIR, WIRE, 1e9))


# --- winding pack ---------------------------------------------------------------------------------------


def test_turns_length_and_mass():
    np.testing.assert_allclose(winding_pack.layers(PAIR, WIRE), [20, 20])
    np.testing.assert_allclose(winding_pack.turns_per_layer(PAIR, WIRE), [40, 40])
    turns, length = np.asarray(winding_pack.turns(PAIR, WIRE)), np.asarray(winding_pack.conductor_length(PAIR, WIRE))
    np.testing.assert_allclose(length, turns * 2 * np.pi * np.array([0.21, 0.31]), rtol=1e-12)
    np.testing.assert_allclose(winding_pack.operating_currents(PAIR, WIRE), [225.0, -180.0])
    mass = winding_pack.masses(PAIR, WIRE)
    np.testing.assert_allclose(mass["copper"] / 8960 / (mass["superconductor"] / 6000), WIRE.copper_ratio)
    np.testing.assert_allclose(mass["copper"] / 8960 + mass["superconductor"] / 6000 + mass["insulation"] / 1400, PAIR.volume(), rtol=1e-12)


def test_inductances_store_the_energy():
    matrix, current = np.asarray(winding_pack.inductance_matrix(PAIR, WIRE)), np.array([225.0, 180.0])
    assert current @ matrix @ current / 2 == pytest.approx(float(coaxial.stored_energy(PAIR)), rel=1e-12)
    assert matrix[0, 1] == pytest.approx(matrix[1, 0]) and matrix[0, 1] < 0 < min(np.diag(matrix))
    one = dt.Blocks(*(np.asarray(leaf)[:1] for leaf in PAIR._leaves()))
    assert matrix[0, 0] == pytest.approx(float(dt.inductance([one])[0, 0]) * 800**2, rel=1e-4)
