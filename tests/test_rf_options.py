"""Options of RF specs end to end, on bodies of a few hundred voxels: currents by moments, shields, meshes, several nuclei, profiles, phases, numbers of loops."""

import json

import numpy as np
import pytest
import trimesh

import designtools as dt
from designtools.materials.sar_limits import profiles
from designtools.recipes import recipe
from designtools.rf import drive, phases
from designtools.spec import SpecError, load

BALL = {"shape": "ellipsoid", "voxel": "15 mm", "part": "head", "layers": [{"permittivity": 60, "conductivity": 0.7, "semi_axes": ["75 mm"] * 3, "density": "1000 kg/m^3"}]}
LOOPS = {"type": "loops", "radius": "110 mm", "rows": 1, "per_row": 3, "loop_width": "110 mm", "loop_length": "120 mm", "capacitors": 12}
SLOW = {"kind": "rf_coil", "name": "test", "field": "0.1 T", "coil": LOOPS, "phantom": BALL, "region": {"radius": "40 mm"}}
FAST = SLOW | {"field": "7 T", "phantom": BALL | {"voxel": "25 mm"}, "tolerance": 1e-3}
DIPOLES = {"type": "dipoles", "radius": "130 mm", "count": 2, "length": "250 mm"}
SHIM = SLOW | {"kind": "rf_shim", "limits": {"sar_10g": "0.1 W/kg"}, "target": {"starts": 3}}


def mistake(data, **changes) -> str:
    with pytest.raises(SpecError) as refused:
        recipe(model := load(data, {k.replace("__", "."): v for k, v in changes.items()})).prepare(model)
    return str(refused.value)


def warnings_of(data) -> str:
    model = load(data)
    return "; ".join(recipe(model).prepare(model).warnings)


# --- currents by moments ----------------------------------------------------------------------------


@pytest.mark.parametrize("coil", [DIPOLES, {"type": "strips", "radius": "110 mm", "count": 2, "length": "160 mm", "ground_distance": "20 mm"}], ids=lambda c: c["type"])
def test_dipoles_and_strips_run_with_their_ports(coil):
    result = dt.run(FAST | {"coil": coil})
    z = result.audit["circuits"]["port impedance_ohm"]
    assert result.status == "done" and len(z) == 2 and all(r > 0 for r, _ in z)
    losses = result.audit["losses_W"]
    assert min(losses.values()) > 0 and 0 < result.figures["coupling_max"].value < 1
    assert {"capacitor", "inductor"} & {row[3] for row in result.audit["circuits"]["parts"]}
    np.testing.assert_allclose(*(np.array(z)[:, 0]), rtol=0.02)  # equal by symmetry
    assert result.figures["resistance"].value == pytest.approx(max(r for r, _ in z), rel=1e-6)
    assert len(result.windings) == 2


def test_sections_too_long_are_found_by_moments():
    """One capacitor per loop at 7 T: outside the model with an even current, within it by moments."""
    long = LOOPS | {"capacitors": 2, "per_row": 1, "radius": "120 mm"}
    assert "or `coil.currents: moments`" in warnings_of(FAST | {"coil": long})
    assert "sections" not in warnings_of(FAST | {"coil": long | {"currents": "moments"}})


# --- shield and mesh --------------------------------------------------------------------------------


def test_a_shield_lowers_inductance_and_efficiency():
    open_, closed = (dt.run(SLOW | extra) for extra in ({}, {"shield": {"radius": "140 mm", "length": "300 mm", "around": 16, "along": 8}}))
    assert closed.figures["inductance"].value < 0.95 * open_.figures["inductance"].value
    assert closed.figures["b1_efficiency"].value < open_.figures["b1_efficiency"].value
    assert closed.audit["losses_W"]["conductors"] > 0 and len(closed.windings) == len(open_.windings)


def test_what_a_shield_carries_is_that_of_a_sheet_without_resistance():
    """Windows of wires against modes of a thin sheet, two ways to the same images; in the source the shield follows each channel."""
    from designtools.formers.cylinder import Cylinder
    from designtools.quantities import coupling, eddy
    from designtools.sources.assembly import leaves

    shield = {"radius": "140 mm", "length": "300 mm", "around": 32, "along": 12}
    coil, images, *others = leaves(dt.run(SLOW | {"shield": shield}).source)
    assert len(others) == 4
    modes = eddy.eddy_modes([eddy.shell("tube", Cylinder(0.14, 0.3, np.eye(3), np.zeros(3)).mesh(0.028), 1e-4, 5.8e7)], [])
    amperes, _ = coupling.image_response(modes, eddy.linked_flux(modes, coil))
    places = np.array([[0.0, 0, 0], [0.03, 0.02, 0.04]])
    of_sheet = np.stack([eddy.mode_fields(modes, places, axis) @ amperes for axis in np.eye(3)], axis=1)
    of_wires = np.asarray(images.field(places))
    np.testing.assert_allclose(of_wires, of_sheet, atol=0.05 * np.abs(of_sheet).max())


def test_loops_on_a_mesh(tmp_path):
    """On a sphere of 115 mm from a file: on its surface, above the plane, apart; nearly the figures of a helmet of as many loops."""
    trimesh.creation.icosphere(4, 115.0).export(tmp_path / "former.stl")
    coil = {"type": "surface", "path": str(tmp_path / "former.stl"), "count": 6, "loop_radius": "40 mm", "lowest": -0.2}
    model = load(SLOW | {"coil": coil})
    wires = recipe(model).prepare(model).coil
    assert wires.current.shape[1] == 6
    np.testing.assert_allclose(np.linalg.norm(wires.start, axis=1), 0.115, atol=1e-3)
    centres = np.array([wires.start[np.abs(c) > 0].mean(axis=0) for c in wires.current.T])
    assert centres[:, 2].min() > -0.25 * 0.115 and min(np.linalg.norm(a - b) for i, a in enumerate(centres) for b in centres[:i]) > 0.07
    assert "triangles" in mistake(SLOW | {"coil": coil}, coil__path=__file__)


# --- several nuclei ---------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def pair():
    return dt.run(SLOW | {"nucleus": "129Xe", "also": [{"nucleus": "1H", "b1_rms": "2 uT"}]})


def test_one_spec_for_two_nuclei(pair):
    """What each says alone, the worst of both as the figure, and a set of capacitors for each."""
    alone = {n: dt.run(SLOW | {"nucleus": n, "transmit": {"b1_rms": level}}) for n, level in (("129Xe", "1 uT"), ("1H", "2 uT"))}
    for name, result in alone.items():
        for figure, value in pair.audit["nuclei"][name]["figures"].items():
            assert value == pytest.approx(result.figures[figure].value, rel=1e-9), (name, figure)
    worst = max(r.figures["sar_10g_max"].value for r in alone.values())
    assert pair.figures["sar_10g_max"].value == pytest.approx(worst) and "worst of" in pair.figures["sar_10g_max"].method
    tuning = {(row[0], row[4]) for row in pair.audit["circuits"]["parts"] if row[2] == "tuning" and row[1] == "channel 1"}
    assert {name for name, _ in tuning} == {"129Xe", "1H"}
    ratio = max(v for _, v in tuning) / min(v for _, v in tuning)
    assert ratio == pytest.approx((42.577478518 / 11.777) ** 2, rel=1e-9)


@pytest.mark.parametrize("circuit", ["trap", "two_mode"])
def test_one_circuit_for_two_nuclei_costs_efficiency(pair, circuit):
    both = dt.run(SLOW | {"nucleus": "129Xe", "also": [{"nucleus": "1H"}], "tuning": {"circuit": circuit}})
    assert both.audit["circuits"]["two nuclei"]["circuit"] == circuit
    for name in ("129Xe", "1H"):
        assert both.audit["nuclei"][name]["figures"]["b1_efficiency"] < pair.audit["nuclei"][name]["figures"]["b1_efficiency"]


# --- limits and levels ------------------------------------------------------------------------------


def test_limits_of_a_profile_are_held():
    """The smaller of the profile's and the spec's own; whichever binds is used up."""
    pulse = {"flip_angle": "3000 deg", "duration": "1 ms", "repetition": "1 ms"}  # a level far beyond any limit
    spec = SHIM | {"transmit": {"reference_pulse": pulse}, "limits": {"profile": "IEC 60601-2-33, normal mode", "sar_head": "1 W/kg"}}
    result = dt.run(spec)
    assert result.audit["limits"]["held"] == {"sar_10g": 10.0, "sar_head": 1.0, "sar_whole_body": 2.0}
    assert "from memory" in result.audit["limits"]["sources"]["sar_10g_max"]
    assert max(result.audit["limits used"].values()) == pytest.approx(1, abs=1e-3) and result.figures["sar_head"].value <= 1.001
    rows = result.plots["limits"].rows
    assert any(row[0].startswith("FDA") for row in rows) and any("partial body" in row[1] for row in rows)
    normal = next(row for row in rows if row[0].endswith("normal mode") and row[1] == "sar_head")
    assert normal[4] == f"{100 * (1 - result.figures['sar_head'].value / 3.2):.1f} %"


def test_profiles_state_source_and_status():
    for profile in profiles().values():
        assert all(l.source and l.status and l.limit > 0 for l in profile.limits)
    normal = profiles()["IEC 60601-2-33, normal mode"]
    assert normal.of("extremities")["sar_10g_max"].limit == 20 and normal.of("head_trunk")["sar_10g_max"].limit == 10
    assert normal.partial_body.limit(0.25) == 8.0


def test_a_reference_pulse_sets_the_level():
    """90 degrees in 1 ms every 100 ms: 5.872 uT for a hundredth of the time."""
    result = dt.run(SLOW | {"transmit": {"reference_pulse": {"flip_angle": "90 deg", "duration": "1 ms", "repetition": "100 ms"}}})
    level = 0.25 / (42.577478518e6 * 1e-3) * 0.1
    assert f"at {level * 1e6:.4g} uT" in result.figures["sar_head"].method
    plain = dt.run(SLOW)
    assert result.figures["sar_head"].value / plain.figures["sar_head"].value == pytest.approx((level / 1e-6) ** 2, rel=1e-9)


# --- phases -----------------------------------------------------------------------------------------


def random_problem(seed=0, count=40):
    random = np.random.default_rng(seed)
    draw = lambda *shape: random.normal(size=shape) + 1j * random.normal(size=shape)
    rows = draw(count, 5, 2)
    return draw(5), draw(20, 5), drive.Limits(rows @ np.swapaxes(rows.conj(), 1, 2), random.uniform(1, 3, count))


def test_phases_alone_keep_limits_and_are_no_better_than_free_drives():
    row, points, limits = random_problem()
    scaled = drive.scaled(limits)
    focus, free = phases.focus(row, limits, 4, 1), drive.focus(row, limits)
    assert np.ptp(np.abs(focus.current)) < 1e-12 and drive.excess(scaled, focus.current).max() <= 1 + 1e-9
    assert 0.5 * free.objective < focus.objective <= free.objective * (1 + 1e-9)
    flat, shaped = phases.even(points, 1.0, limits, 3, 1), drive.even(points, 1.0, limits, 2, 1)
    assert np.ptp(np.abs(flat.current)) < 1e-12 and drive.excess(scaled, flat.current).max() <= 1 + 1e-9
    assert flat.objective >= 0.99 * shaped.objective and flat.spread >= 0 and flat.gap is None


def test_no_random_phases_are_better():
    row, _, limits = random_problem(3)
    found, scaled = phases.focus(row, limits, 6, 1), drive.scaled(limits)
    random = np.random.default_rng(7)
    tried = np.exp(1j * random.uniform(0, 2 * np.pi, (4000, 5)))
    worst = np.max([np.einsum("da,ab,db->d", tried.conj(), q, tried).real for q in scaled], axis=0)
    assert np.max(np.abs(tried @ row) / np.sqrt(worst)) <= found.objective * 1.01


def test_a_shim_by_phases_runs():
    result = dt.run(SHIM | {"target": {"drive": "phase", "starts": 2}})
    sizes = [size for size, _ in result.audit["drive_A"].values()]
    assert np.ptp(sizes) < 1e-9 * max(sizes) and max(result.audit["limits used"].values()) <= 1.001
    assert "optimality_gap" not in result.figures


# --- numbers of loops -------------------------------------------------------------------------------


def test_more_loops_come_nearer_to_the_ultimate():
    helmet = {"type": "helmet", "radius": "100 mm", "count": 8, "loop_radius": "50 mm"}
    result = dt.run(SLOW | {"field": "1.5 T", "coil": helmet, "receive": {"counts": [4, 12]}, "method": "quasi_static"})
    rows = np.array(result.audit["density"]["rows"])
    assert list(rows[:, 0]) == [4, 12] and np.all(rows[:, 1:] < 1) and np.all(np.diff(rows[:, -1]) > 0)
    assert "density" in result.plots and json.dumps(result.audit["density"])


# --- refusals ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "base, changes, words",
    [
        (FAST, {"coil": {"type": "solenoid", "radius": "120 mm", "length": "0.2 m", "turns": 3, "currents": "moments"}}, "coil.currents: must be prescribed for a coil of type solenoid"),
        (FAST, {"coil": DIPOLES, "method": "quasi_static"}, "method: must be full_wave or auto"),
        (FAST, {"coil": DIPOLES, "shield": {"radius": "200 mm", "length": "0.4 m"}}, "shield: must be left out where currents are found by moments"),
        (SLOW, {"shield": {"radius": "100 mm", "length": "0.4 m"}}, "shield.radius: must exceed the coil's radius"),
        (SLOW, {"also": [{"nucleus": "1H"}]}, "also: must name every nucleus once"),
        (SLOW, {"tuning": {"circuit": "trap"}}, "tuning: must come with exactly one nucleus"),
        (SLOW, {"receive": {"counts": [8]}}, "receive.counts: must be left out unless a helmet"),
        (SLOW, {"transmit": {"b1_rms": "1 uT", "reference_pulse": {"repetition": "20 ms"}}}, "transmit.b1_rms: must be left out"),
        (SLOW, {"transmit": {"reference_pulse": {"repetition": "0.5 ms"}}}, "repetition: must be at least duration"),
        (SLOW, {"transmit": {"vop_overestimate": 2.0}}, "vop_overestimate: must be from 0.1 % to 100 %"),
        (SLOW, {"coil": {"type": "surface", "count": 4, "loop_radius": "40 mm"}}, "coil.path: must be given for a coil of type surface"),
        (SHIM, {"limits": {"profile": "IEC"}}, "limits.profile: must be"),
        (SHIM, {"limits": {"site": "extremities"}}, "limits.sar_10g: must be given, or another limit"),
        (SHIM, {"also": [{"nucleus": "13C"}]}, "also: must be a known key"),
    ],
)
def test_refusals(base, changes, words):
    assert words in mistake(base, **changes)


def test_a_circuit_that_cannot_be_is_refused_in_words():
    spec = SLOW | {"nucleus": "129Xe", "also": [{"nucleus": "1H"}], "tuning": {"circuit": "two_mode", "coupling": 0.95}}
    assert "tuning: " in mistake(spec)
