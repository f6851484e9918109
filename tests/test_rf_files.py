"""Files of RF designs, each read by a program that did not write it: simulators' maps, observation points, Touchstone, capacitors, solids."""

import csv
import json
import xml.etree.ElementTree as ET

import h5py
import nibabel
import numpy as np
import pytest
import skrf
import trimesh

import designtools as dt
from designtools.export import FORMATS, export
from designtools.result import Result

SPHERE = {
    "shape": "ellipsoid", "voxel": "15 mm", "part": "head",
    "layers": [{"permittivity": 60, "conductivity": 0.7, "semi_axes": ["75 mm", "75 mm", "90 mm"], "density": "1000 kg/m^3"}],
}  # fmt: skip
SPEC = {
    "kind": "rf_coil", "name": "small", "field": "0.1 T", "phantom": SPHERE, "region": {"radius": "40 mm"},
    "coil": {"type": "loops", "radius": "110 mm", "rows": 1, "per_row": 3, "loop_width": "110 mm", "loop_length": "120 mm"},
    "transmit": {"vop_overestimate": "10 %"},
}  # fmt: skip


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    return dt.run(SPEC, out=tmp_path_factory.mktemp("rf") / "small")


def test_the_folder_and_what_is_read_back(small):
    names = {p.relative_to(small.folder).as_posix() for p in small.folder.rglob("*") if p.is_file()}
    wanted = {"rf/small.s3p", "rf/small-vop.npz", "rf/small-vop.json", "rf/small-capacitors.csv", "fields/small-b1.h5", "fields/small-b1-jemris.h5", "fields/small-b1-jemris.xml"}
    assert wanted <= names
    again = dt.load(small.folder)
    np.testing.assert_array_equal(again.arrays["b1_plus"], small.arrays["b1_plus"])
    assert FORMATS["vop"].refuses(again) == ""


def test_maps_for_simulators(small):
    with h5py.File(small.folder / "fields/small-b1.h5") as file:
        receive, transmit, z = file["coil_sens"][:], file["b1_plus"][:], file["z"][:]
    assert receive.shape == (3, *small.arrays["b1_minus"].shape[2::-1]) and len(z) == receive.shape[1]
    np.testing.assert_array_equal(receive[1].T, small.arrays["b1_minus"][..., 1])
    np.testing.assert_array_equal(transmit[2].T, small.arrays["b1_plus"][..., 2])


def test_maps_for_jemris(small):
    """Position of sample i: i extent/points - extent/2, x fastest; magnitude and phase of each channel."""
    coils = ET.parse(small.folder / "fields/small-b1-jemris.xml").getroot().findall("EXTERNALCOIL")
    assert [int(c.get("Channel")) for c in coils] == [0, 1, 2] and {c.get("Filename") for c in coils} == {"small-b1-jemris.h5"}
    with h5py.File(small.folder / "fields/small-b1-jemris.h5") as file:
        complex_map = file["maps/magnitude"][:] * np.exp(1j * file["maps/phase"][:])
    points, extent = int(coils[0].get("Points")), float(coils[0].get("Extent"))
    assert complex_map.shape == (3, points, points, points)
    axis = (np.arange(points) * extent / points - extent / 2) * 1e-3
    nearest = lambda name, at: int(np.argmin(np.abs(small.arrays[f"b1_{name}"] - at)))
    for i, j, k in [(4, 6, 7), (7, 5, 4), (6, 6, 6)]:
        there = small.arrays["b1_minus"][nearest("x", axis[i]), nearest("y", axis[j]), nearest("z", axis[k])]
        np.testing.assert_allclose(complex_map[:, k, j, i], there, rtol=1e-6)


def test_pairs_of_images(small):
    real, imag = (nibabel.load(small.folder / f"fields/small-b1-plus-{part}.nii.gz") for part in ("real", "imag"))
    np.testing.assert_allclose(real.get_fdata() + 1j * imag.get_fdata(), small.arrays["b1_plus"], rtol=1e-6)
    np.testing.assert_allclose(real.affine[:3, 3] / 1e3, [small.arrays[f"b1_{n}"][0] for n in "xyz"])


def test_observation_points_bound_the_sar_that_is_stated(small):
    record = json.loads((small.folder / "rf/small-vop.json").read_text())
    with np.load(small.folder / "rf/small-vop.npz") as file:
        points, whole = file["vop"], file["whole"]
    drive = np.array([a * np.exp(1j * np.radians(p)) for a, p in small.audit["drive_A"].values()])
    said = np.einsum("a,nab,b->n", drive.conj(), points, drive).real.max()
    stated = small.figures["sar_10g_max"].value
    assert stated <= said <= 1.3 * stated and record["underestimate_bound"] == 0 and record["points"] == len(points) < record["cubes"]
    assert np.real(drive.conj() @ whole @ drive) == pytest.approx(small.figures["sar_head"].value, rel=1e-9)


def test_touchstone(small):
    """scikit-rf reads what stands in the result to 1e-9, and its own circuit of the capacitors says the same for the first port."""
    read = skrf.Network(str(small.folder / "rf/small.s3p"))
    np.testing.assert_allclose(read.s, small.arrays["scattering"], atol=1e-9)
    np.testing.assert_allclose(read.f, small.arrays["scattering_frequency"], rtol=1e-12)
    assert np.all(read.z0 == 50) and np.linalg.norm(read.s, 2, axis=(1, 2)).max() <= 1
    again = skrf.Network(f=read.f, z=skrf.network.s2z(read.s, 50.0), z0=50, f_unit="Hz")
    np.testing.assert_allclose(again.s, small.arrays["scattering"], atol=1e-9)


def test_scattering_of_coupled_loops_against_another_programs_circuit():
    """Two coupled, lossy loops with their capacitors, as a circuit of scikit-rf: 1e-9."""
    from designtools.rf import circuits

    f = np.linspace(60e6, 68e6, 41)
    inductance, loss = np.array([[220e-9, 9e-9], [9e-9, 220e-9]]), np.array([[0.8, 0.1], [0.1, 0.8]])
    parallel, series = circuits.match(220e-9, 0.8, 64e6)
    omega = 2 * np.pi * f[:, None, None]
    across = np.linalg.inv(np.linalg.inv(loss + 1j * omega * inductance) + 1j * omega * parallel * np.eye(2))
    ours = circuits.scattering(across + np.eye(2) / (1j * omega * series))
    line = skrf.media.DefinedGammaZ0(skrf.Frequency.from_f(f, unit="Hz"), z0=50)
    core = skrf.Network(frequency=line.frequency, z=loss + 1j * omega * inductance, z0=50)
    arm = line.capacitor(series) ** line.shunt_capacitor(parallel)
    theirs = skrf.network.connect(skrf.network.connect(core, 0, arm, 1), 0, arm, 1)
    found = np.sort_complex(theirs.s.reshape(41, -1)[:, [0, 3]]), np.sort_complex(ours.reshape(41, -1)[:, [0, 3]])
    np.testing.assert_allclose(*found, atol=1e-9)
    np.testing.assert_allclose(theirs.s[:, 0, 1], ours[:, 0, 1], atol=1e-9)


def test_capacitors_tune_what_the_audit_says(small):
    with (small.folder / "rf/small-capacitors.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert {r["channel"] for r in rows} == {"channel 1", "channel 2", "channel 3"} and {r["unit"] for r in rows} == {"F"}
    tuning = float(next(r["value"] for r in rows if r["place"] == "tuning" and r["channel"] == "channel 1"))
    resonance = 1 / (2 * np.pi * np.sqrt(tuning * small.figures["inductance"].value))
    assert resonance == pytest.approx(small.audit["frequency_Hz"], rel=1e-6)


def test_conductors_are_solids(small):
    """A square section of the wire's area along every loop."""
    body = trimesh.load(small.folder / "geometry/small.stl")
    length = sum(w.length for w in small.windings)
    assert body.is_watertight and abs(body.volume) * 1e-9 == pytest.approx(length * np.pi * 0.002**2, rel=0.02)


def test_maps_of_sar_have_no_gaps(small):
    values = {m.name: np.asarray(m.values) for m in small.maps}
    inside = values["labels"] > 0
    assert np.all(values["sar 10g"][inside] > 0) and values["sar 10g"].max() == pytest.approx(small.figures["sar_10g_max"].value)


def test_without_scikit_rf_the_reason_is_said(small, monkeypatch):
    import builtins

    plain = builtins.__import__
    monkeypatch.setattr(builtins, "__import__", lambda name, *rest: (_ for _ in ()).throw(ImportError()) if name == "skrf" else plain(name, *rest))
    assert "install designtools[rf]" in FORMATS["touchstone"].refuses(small)


@pytest.mark.parametrize("name", ["b1", "vop", "touchstone", "capacitors"])
def test_other_designs_are_refused(name, tmp_path):
    with pytest.raises(ValueError, match=f"cannot export 'x' as {name}"):
        export(Result("gradient", "x", "done"), name, tmp_path / "x")
