"""Kinds rf_coil and rf_shim from spec to figures: against closed forms, refusals in words, labelled volumes, specs that ship."""

import json
from pathlib import Path

import nibabel
import numpy as np
import pytest

import designtools as dt
from designtools.recipes import recipe
from designtools.recipes.rf_setting import make_body, section_length
from designtools.rf import coils
from designtools.rf.layered_sphere import LayeredSphere, fields, power_matrix, rotating, ultimate_sensitivity, wave_of_currents
from designtools.solve.store import load_solution, store_solution
from designtools.spec import SpecError, fingerprint, load

SPECS = Path(__file__).parent.parent / "specs"
SPHERE = {
    "shape": "ellipsoid", "voxel": "10 mm", "part": "head",
    "layers": [{"permittivity": 60, "conductivity": 0.7, "semi_axes": ["90 mm"] * 3, "density": "1000 kg/m^3"}],
}  # fmt: skip
ARRAY = {"type": "loops", "radius": "120 mm", "rows": 1, "per_row": 4, "loop_width": "110 mm", "loop_length": "120 mm"}
COIL = {"kind": "rf_coil", "name": "test", "field": "1.5 T", "coil": ARRAY, "phantom": SPHERE, "region": {"radius": "60 mm"}}
SHIM = COIL | {"kind": "rf_shim", "field": "3 T", "limits": {"sar_10g": "0.1 W/kg", "sar_head": "0.05 W/kg"}, "target": {"starts": 3}}


def mistake(data, **changes) -> str:
    with pytest.raises(SpecError) as refused:
        recipe(model := load(data, {k.replace("__", "."): v for k, v in changes.items()})).prepare(model)
    return str(refused.value)


# --- figures ----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def array(tmp_path_factory):
    return dt.run(COIL | {"receive": {"reduction": [2, 1, 1]}}, out=tmp_path_factory.mktemp("rf") / "array")


def test_an_array_around_a_sphere_against_the_closed_form(array):
    """Efficiency, head SAR and SNR from modes of the sphere, with the drive that the result states."""
    frequency = 42.577478518e6 * 1.5
    sphere = LayeredSphere(np.array([0.09]), np.array([60 - 0.7j / (2 * np.pi * frequency * 8.8541878128e-12)]), frequency)
    points, flow = coils.cylinder_array(0.12, 1, 4, 0.0, 0.055, 0.06).elements()
    wave = wave_of_currents(sphere, points, flow, 22)
    drive = np.array([a * np.exp(1j * np.radians(p)) for a, p in array.audit["drive_A"].values()])
    power = power_matrix(sphere, wave)
    absorbed = np.real(drive.conj() @ power @ drive)
    mass = array.audit["body"]["mass_kg"]
    assert array.figures["sar_head"].value == pytest.approx(absorbed / mass, rel=0.07)  # the staircase of 10 mm voxels
    axis = np.arange(-0.055, 0.06, 0.01)
    places = np.stack(np.meshgrid(axis, axis, axis, indexing="ij"), -1).reshape(-1, 3)
    places = places[np.linalg.norm(places, axis=1) <= 0.06]
    transmit = np.abs(fields(sphere, wave, places)[1].transpose(0, 2, 1) @ rotating([0, 0, 1]) @ drive)
    assert transmit.mean() == pytest.approx(1e-6, rel=0.01)  # what transmit.b1_rms asks for by default
    losses = array.audit["losses_W"]
    assert array.figures["b1_efficiency"].value == pytest.approx(transmit.mean() / np.sqrt(absorbed + losses["conductors"]), rel=0.05)
    assert array.figures["b1_uniformity"].value == pytest.approx(1 - transmit.std() / transmit.mean(), abs=0.01)


def test_snr_stays_below_the_ultimate_and_g_above_one(array):
    assert 0.3 < array.figures["snr_relative"].value < 1
    assert 1 < array.figures["g_factor_max"].value < 20
    assert "ultimate" in array.figures["snr_relative"].method
    frequency = 42.577478518e6 * 1.5
    sphere = LayeredSphere(np.array([0.09]), np.array([60 - 0.7j / (2 * np.pi * frequency * 8.8541878128e-12)]), frequency)
    here, there = (ultimate_sensitivity(sphere, np.array([[0.005] * 3]), n)[0] for n in (10, 30))
    assert here == pytest.approx(there, rel=1e-6)


def test_the_closed_form_stands_in_the_audit(array):
    found = array.audit["closed form"]
    assert abs(found["absorbed power, relative difference"]) < 0.07 and found["transmit field, relative difference"] < 0.02


def test_the_folder_holds_what_was_promised(array):
    names = {p.relative_to(array.folder).as_posix() for p in array.folder.rglob("*") if p.is_file()}
    assert {"spec.yaml", "result.json", "report.html", "fields/field.nc"} <= names and any(n.endswith(".nii.gz") for n in names)
    assert any(n.startswith("geometry/") and n.endswith(".csv") for n in names)
    record = json.loads((array.folder / "result.json").read_text())
    assert record["kind"] == "rf_coil" and record["figures"]["b1_efficiency"]["unit"] == "T/√W"
    assert dt.load(array.folder).figures["sar_10g_max"].value == pytest.approx(array.figures["sar_10g_max"].value)


def test_figures_do_not_depend_on_the_axes():
    """The same sphere with everything turned: coil and B0 along x; quasi-static, 2 MHz."""
    slow = COIL | {"field": "50 mT", "coil": {"type": "solenoid", "radius": "120 mm", "length": "200 mm", "turns": 6}}
    one = dt.run(slow | {"frame": {"b0_axis": "x", "bore_axis": "z"}})
    other = dt.run(slow | {"frame": {"b0_axis": "y", "bore_axis": "x"}})
    for name in ("b1_efficiency", "sar_head", "sar_10g_max", "inductance"):
        assert other.figures[name].value == pytest.approx(one.figures[name].value, rel=0.03), name
    assert one.audit["fields"]["method chosen"] == "quasi_static"


def test_a_requirement_missed_is_said():
    slow = COIL | {"field": "50 mT", "frame": {"b0_axis": "x", "bore_axis": "z"}, "coil": {"type": "loop", "radius": "60 mm", "centre": [0, 0, "110 mm"]}}
    result = dt.run(slow | {"requirements": [{"quantity": "b1_uniformity", "op": ">=", "limit": "99 %"}]})
    assert result.status == "requirement missed"


def test_a_birdcage_runs_in_quadrature():
    spec = COIL | {"coil": {"type": "birdcage", "radius": "120 mm", "length": "120 mm", "rungs": 8, "passes": "low"}}
    result = dt.run(spec)
    phases = [phase for _, phase in result.audit["drive_A"].values()]
    assert abs((phases[0] - phases[1]) % 180 - 90) < 1
    assert any(abs(f - 1.5 * 42.577478518e6) < 1e3 for f in result.audit["circuits"]["modes_Hz"])


# --- shims ------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def shim():
    return dt.run(SHIM)


def test_a_shim_keeps_every_limit_and_is_more_even(shim):
    assert shim.status == "done"
    assert max(shim.audit["limits used"].values()) <= 1.001
    assert shim.figures["sar_10g_max"].value <= 0.1 * 1.001 and shim.figures["sar_head"].value <= 0.05 * 1.001
    assert shim.figures["b1_uniformity"].value >= shim.audit["unshimmed"]["b1_uniformity"] - 1e-6
    assert "optimality_gap" not in shim.figures  # not convex: the spread of the starts is stated instead
    assert shim.audit["shim"]["spread of the starts"] >= 0


def test_a_focus_uses_its_limit_up_and_is_certified():
    result = dt.run(SHIM | {"target": {"aim": "focus", "point": ["20 mm", 0, 0]}})
    assert max(result.audit["limits used"].values()) == pytest.approx(1, abs=1e-3)
    assert 0 <= result.figures["optimality_gap"].value < 1e-3


def test_a_kept_solution_gives_the_same_evidence(tmp_path):
    model = load(SHIM | {"field": "50 mT", "target": {"starts": 2}, "method": "quasi_static"})
    hops, setting = recipe(model), recipe(model).prepare(model)
    solved = hops.solve(setting, None)
    store_solution(solved, tmp_path / "kept.npz", fingerprint(model))
    again = load_solution(tmp_path / "kept.npz", fingerprint(model), hops.start(setting))
    first, second = (hops.evidence(setting, s, hops.wind(setting, s), lambda words: None).figures for s in (solved, again))
    assert {name: f.value for name, f in first.items()} == {name: f.value for name, f in second.items()}


# --- refusals ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "base, changes, words",
    [
        (COIL, {"coil__turns": 3}, "coil.turns: must be left out for a coil of type loops"),
        (COIL, {"coil__per_row": None}, "coil.per_row: must be given for a coil of type loops"),
        (COIL, {"coil__radius": "80 mm"}, "coil.radius: must exceed the phantom's half width of 90 mm"),
        (COIL, {"coil": {"type": "loop", "radius": "50 mm", "axis": "x"}}, "coil: must keep its conductors 15 mm"),
        (COIL, {"phantom__layers__0__tissue": "Muscle"}, "must be left out, with conductivity, where a tissue is named"),
        (COIL, {"phantom__layers": [{"tissue": "Muscel", "semi_axes": [0.1, 0.1, 0.1]}]}, "phantom.layers.0.tissue: must be a tissue of the table, got 'Muscel'; did you mean 'muscle'"),
        (COIL, {"phantom__voxel": "60 mm"}, "at most half the smallest semi-axis"),
        (COIL, {"phantom__voxel": "0.5 mm"}, "do not fit the memory"),
        (COIL, {"coil": {"type": "solenoid", "radius": "120 mm", "length": "0.2 m", "turns": 6}}, "coil.axis: must have its field across frame.b0_axis"),
        (COIL, {"coil": {"type": "spiral", "radius": "60 mm", "inner_radius": "70 mm", "turns": 6}}, "coil.inner_radius: must be less than radius = 60 mm"),
        (COIL, {"phantom__layers__0__conductivity": 0}, "phantom: must hold at least one material with conductivity"),
        (COIL, {"tolerance": 1e-17}, "tolerance: must be from 1e-12 to 1 %"),
        (COIL, {"field": "20 T"}, "frequency from 0.1 MHz to 600 MHz"),
        (COIL, {"region__centre": [1, 0, 0]}, "region: must hold tissue"),
        (COIL, {"nucleus": "2H"}, "nucleus: must be 1H, 13C"),
        (COIL, {"coil__type": "microstrip"}, "coil.type: must be loop, helmholtz"),
        (COIL, {"receive__reduction": [1.5, 1, 1]}, "must be a whole number"),
        (COIL, {"limits": {"sar_10g": "10 W/kg"}}, "limits: must be a known key"),
        (SHIM, {"limits": {}}, "limits.sar_10g: must be given, or another limit"),
        (SHIM, {"phantom__part": "other"}, "limits.sar_head: must be left out where phantom.part is other"),
        (SHIM, {"target__point": [0, 0, 0]}, "target.point: must be given for aim focus and for no other"),
        (SHIM, {"coil": {"type": "solenoid", "radius": "120 mm", "length": "0.2", "turns": 3}}, "coil.type: must have several channels"),
        (SHIM, {"receive": {}}, "receive: must be a known key"),
    ],
)
def test_refusals(base, changes, words):
    assert words in mistake(base, **changes)


def test_labelled_volumes(tmp_path):
    """A volume of an ellipsoid is the ellipsoid; labels without a tissue and oblong voxels are refused."""
    nested = load(COIL)
    body = make_body(nested)
    affine = np.diag([10.0, 10, 10, 1])
    nibabel.save(nibabel.Nifti1Image(np.pad(body.label * 7, 2).astype("i2"), affine), tmp_path / "labels.nii.gz")
    material = {"permittivity": 60, "conductivity": 0.7, "density": "1000 kg/m^3"}
    spec = COIL | {"phantom": {"shape": "labels", "voxel": "10 mm", "file": str(tmp_path / "labels.nii.gz"), "tissues": [{"label": 7} | material]}}
    read = make_body(load(spec))
    assert np.array_equal(read.label, body.label) and np.allclose(read.corner, body.corner) and np.allclose(read.permittivity, body.permittivity)
    assert "must name a tissue for every label of the file, got none for 7" in mistake(spec, phantom__tissues__0__label=3)
    nibabel.save(nibabel.Nifti1Image(np.full((4, 4, 4), 7.5, "f4"), affine), tmp_path / "broken.nii.gz")
    assert "whole labels" in mistake(spec, phantom__file=str(tmp_path / "broken.nii.gz"))


def test_labelled_volumes_are_resampled(tmp_path):
    """Oblong voxels, turned axes, other spacing: volume and half widths stay; a layer keeps its share."""
    x, y, z = np.meshgrid(np.arange(-50, 51, 2.0), np.arange(-50, 51, 2.5), np.arange(-60, 61, 4.0), indexing="ij")
    label = np.where((x / 40) ** 2 + (y / 30) ** 2 + (z / 50) ** 2 < 1, 1, 0) + np.where((x / 20) ** 2 + (y / 15) ** 2 + (z / 25) ** 2 < 1, 1, 0)
    turn = np.diag([0.0, 0, 0, 1])
    turn[0, 1], turn[1, 0], turn[2, 2], turn[:3, 3] = -2.5, 2.0, 4.0, [7, -90, 33]  # first axis of the file runs along y
    nibabel.save(nibabel.Nifti1Image(label.astype("i2"), turn), tmp_path / "turned.nii.gz")
    tissues = [{"label": n, "permittivity": 60, "conductivity": 0.1 * n} for n in (1, 2)]
    for voxel in (3, 6):
        body = make_body(load(COIL | {"phantom": {"shape": "labels", "voxel": f"{voxel} mm", "file": str(tmp_path / "turned.nii.gz"), "tissues": tissues}}))
        for kind in (1, 2):  # volumes of the file's own voxels of 2 x 2.5 x 4 mm
            assert (body.label >= kind).sum() * voxel**3 == pytest.approx((label >= kind).sum() * 20, rel=0.012 * voxel)
        np.testing.assert_allclose(np.ptp(body.centres, axis=0) * 1e3 + voxel, [60, 80, 100], atol=1.5 * voxel)
        np.testing.assert_allclose(body.centres.mean(axis=0), 0, atol=1e-3 * voxel)


def test_conductivity_and_capacitance_have_units():
    band = {"type": "birdcage", "radius": "120 mm", "length": "120 mm", "rungs": 8, "passes": "band", "ring_capacitance": "60 pF"}
    model = load(COIL | {"coil": band}, {"phantom.layers.0.conductivity": "700 mS/m"})
    assert model.coil.ring_capacitance == 60e-12 and model.phantom.layers[0].conductivity == 0.7
    assert "must be a capacitance (such as '33 pF'" in mistake(COIL | {"coil": band | {"ring_capacitance": "60 mm"}})


def test_limits_of_the_model_are_said():
    """Quasi-statics where |k| a is large, and conductors that are long for their wavelength."""
    model = load(COIL | {"method": "quasi_static", "field": "7 T", "coil": ARRAY | {"capacitors": 1, "currents": "prescribed"}})
    setting = recipe(model).prepare(model)
    assert len(setting.warnings) == 2 and all("OUTSIDE MODEL" in w for w in setting.warnings)
    coarse = load(COIL | {"field": "7 T", "phantom": SPHERE | {"voxel": "20 mm"}, "coil": ARRAY | {"capacitors": 12, "radius": "130 mm"}})
    (warning,) = recipe(coarse).prepare(coarse).warnings
    assert "voxels of 20 mm are" in warning
    assert section_length(model) == pytest.approx(np.pi * 0.115, rel=1e-9)


# --- specs that ship --------------------------------------------------------------------------------


@pytest.mark.parametrize("path", sorted(SPECS.glob("rf_*.yaml")), ids=lambda p: p.stem)
def test_specs_are_valid(path):
    model = load(path)
    assert recipe(model).prepare(model).warnings == ()


@pytest.mark.slow
@pytest.mark.parametrize("path", sorted(SPECS.glob("rf_*.yaml")), ids=lambda p: p.stem)
def test_specs_meet_their_requirements(path):
    assert dt.run(path).status == "done"
