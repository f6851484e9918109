"""The shim of a measured brain, from the spec to the folder, beside other field codes and other solvers."""

from dataclasses import replace
from pathlib import Path

import cvxpy as cp
import magpylib
import nibabel
import numpy as np
import pytest
from scipy.optimize import lsq_linear
from scipy.spatial.transform import Rotation

import designtools as dt
from designtools.harmonics import solid_harmonics
from designtools.pipeline import run
from designtools.recipes import recipe, shim
from designtools.recipes.shim_sets import channels_of, place_loops
from designtools.solve.solution import Status
from designtools.spec import load as load_spec
from designtools.units import GAMMA_BAR

SPEC = Path(__file__).parents[1] / "specs" / "brain_shim.yaml"
CURRENT, TOTAL = 1.5, 7.5  # A, as in the spec

# GE 3 T map of specs/data over its mask: own baselines, least squares in NumPy; std and peak to peak in Hz
UNSHIMMED, SECOND_ORDER, SECOND_ORDER_AND_LOOPS = (31.548, 297.0), (18.586, 255.5), (15.56, 272.5)


def channel_currents(setting, solution):
    """Currents (C,) A of the only shot."""
    return np.asarray(solution.design.parts["currents"].values)[0, 0]


def with_spec(setting, overrides):
    """The same maps and loops with other limits or criteria, whose channels follow the spec."""
    spec = load_spec(SPEC, overrides)
    return replace(setting, spec=spec, channels=channels_of(spec, setting.volumes))


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    out = tmp_path_factory.mktemp("shim") / "brain"
    return run(SPEC, out=out), out


@pytest.fixture(scope="module")
def setting():
    return shim.prepare(load_spec(SPEC))


@pytest.fixture(scope="module")
def sensitivity(setting):
    """Hz per ampere of each loop in the mask (P,16), from magpylib and from positions worked out here."""
    columns = []
    for row, height in enumerate((-0.045, 0.045)):
        for place in range(8):
            angle = 2 * np.pi * (place + row / 2) / 8
            across = np.array([np.cos(angle), np.sin(angle), 0])
            turned = Rotation.align_vectors([across], [[0, 0, 1]])[0]
            loop = magpylib.current.Circle(current=1, diameter=0.11, position=0.14 * across + [0, 0, height], orientation=turned)
            columns.append(GAMMA_BAR * loop.getB(setting.volumes[0].points)[:, 2])
    return np.stack(columns, axis=1)


def test_reads_the_map_as_measured(setting):
    values = setting.volumes[0].values
    assert values.size == 48012
    assert (values.std(), np.ptp(values)) == pytest.approx(UNSHIMMED, abs=1e-3)
    extent = np.ptp(setting.volumes[0].points, axis=0)
    np.testing.assert_allclose(extent, [0.14625, 0.16875, 0.117], atol=1e-6)
    np.testing.assert_allclose(setting.volumes[0].points.min(axis=0), -extent / 2, atol=1e-9)


def test_the_loops_stand_where_a_second_code_puts_them(setting, sensitivity):
    loops = setting.channels[0].loops
    one = lambda i: dt.Loops(loops.centre[i : i + 1], loops.normal[i : i + 1], loops.radius[i : i + 1], np.ones(1))
    for i in (0, 5, 9):
        ours = GAMMA_BAR * np.asarray(one(i).field(setting.volumes[0].points))[:, 2]
        np.testing.assert_allclose(ours, sensitivity[:, i], rtol=1e-9, atol=1e-9)


def test_agrees_with_known_figures_of_the_same_loops_on_the_same_map(setting, sensitivity):
    cosine, sine = solid_harmonics(setting.volumes[0].points / 0.1, 2)
    n, m = np.tril_indices(3)
    smooth = np.concatenate([np.asarray(cosine)[:, n, m], np.asarray(sine)[:, n[m > 0], m[m > 0]]], axis=1)
    reach = np.concatenate([np.full(9, np.inf), np.full(16, 3.0)])
    for matrix, expected in ((smooth, SECOND_ORDER), (np.hstack([smooth, sensitivity]), SECOND_ORDER_AND_LOOPS)):
        most = reach[: matrix.shape[1]]
        left = setting.volumes[0].values + matrix @ lsq_linear(matrix, -setting.volumes[0].values, (-most, most), tol=1e-12).x
        assert left.std() == pytest.approx(expected[0], abs=2e-3) and np.ptp(left) == pytest.approx(expected[1], abs=0.1)


def test_the_folder_holds_an_audited_optimum(finished):
    result, _ = finished
    value = {name: figure.value for name, figure in result.figures.items()}
    assert result.status == "done" and value["optimality_gap"] < 1e-6
    assert (value["b0_std_unshimmed"], value["b0_p2p_unshimmed"]) == pytest.approx(UNSHIMMED, abs=1e-3)
    assert value["b0_std_shimmed"] == value["b0_std"] == pytest.approx(19.343, abs=2e-3)
    assert value["current_max"] <= CURRENT * (1 + 1e-6) and value["current_total"] == pytest.approx(TOTAL, rel=1e-6)
    assert result.audit["independent field"]["largest difference (Hz)"] < 1e-6


def test_another_solver_with_another_field_code_finds_the_same(finished, setting, sensitivity):
    result, _ = finished
    matrix = np.column_stack([sensitivity, np.ones(len(sensitivity))])
    root = np.linalg.cholesky(matrix.T @ matrix).T
    target = np.linalg.solve(root.T, -matrix.T @ setting.volumes[0].values)
    x = cp.Variable(17)
    limits = [cp.abs(x[:16]) <= CURRENT, cp.norm1(x[:16]) <= TOTAL]
    cp.Problem(cp.Minimize(cp.sum_squares(root @ x - target) / 1e5), limits).solve(
        solver=cp.OSQP, eps_abs=1e-10, eps_rel=1e-10, max_iter=200_000
    )
    assert np.std(setting.volumes[0].values + matrix @ x.value) == pytest.approx(result.figures["b0_std_shimmed"].value, rel=1e-6)
    ours = np.array(list(result.audit["currents_A"].values()))
    np.testing.assert_allclose(ours, x.value[:16], atol=1e-3)


def test_bounds_alone_agree_with_lsq_linear(setting, sensitivity):
    place = with_spec(setting, {"limits.total_current": "null", "limits.current": "0.5 A"})
    solution = shim.solve(place)
    matrix = np.column_stack([sensitivity, np.ones(len(sensitivity))])
    most = np.append(np.full(16, 0.5), np.inf)
    theirs = lsq_linear(matrix, -setting.volumes[0].values, (-most, most), tol=1e-13).x
    assert solution.status is Status.OPTIMAL
    np.testing.assert_allclose(channel_currents(place, solution), theirs[:16], atol=1e-5)


def test_min_max_lowers_the_largest_deviation(setting, sensitivity):
    place = with_spec(setting, {"criterion": "min_max"})
    solution = shim.solve(place)
    assert solution.status is Status.OPTIMAL and solution.gap < 1e-6
    left = setting.volumes[0].values + sensitivity @ channel_currents(place, solution)
    left = left + float(solution.design.parts["currents"].offset[0, 0])
    peak = np.abs(left).max()
    assert solution.objective * setting.volumes[0].values.std() == pytest.approx(peak, rel=1e-6)
    assert peak < 120 < 297 / 2  # half the range is what the centre frequency alone reaches


def test_currents_maps_and_coils_survive_the_folder(finished, setting):
    result, out = finished
    again = dt.load(out)
    mask = setting.volumes[0].mask
    (loops,) = again.source.parts if hasattr(again.source, "parts") else (again.source,)
    np.testing.assert_array_equal(np.asarray(loops.current), list(result.audit["currents_A"].values()))
    images = {path.name: nibabel.load(path) for path in (out / "fields").glob("*.nii.gz")}
    shimmed = images["b0.nii.gz"]
    np.testing.assert_allclose(shimmed.affine, setting.volumes[0].affine, atol=1e-4)
    assert np.asarray(shimmed.dataobj)[mask].std() == pytest.approx(result.figures["b0_std_shimmed"].value, rel=1e-5)
    assert len(images) == 3 and (out / "report.html").stat().st_size > 1e5


# --- made-up maps ---------------------------------------------------------------------------------


def oblique(folder, frequency_of, shape=(14, 12, 9)):
    """A map on a turned grid, whose mask is an ellipsoid in it; the spec that reads it."""
    turn = Rotation.from_euler("xyz", [20, -35, 50], degrees=True).as_matrix() @ np.diag([8.0, 9.0, 11.0])
    affine = np.block([[turn, np.array([[30.0], [-12], [45]])], [np.zeros((1, 3)), np.ones((1, 1))]])
    index = np.indices(shape).reshape(3, -1).T
    middle = (np.array(shape) - 1) / 2
    mask = (((index - middle) / (middle - 1)) ** 2).sum(axis=1) <= 1
    points = (index @ turn.T + affine[:3, 3]) * 1e-3
    inside = points[mask]
    centre = (inside.min(axis=0) + inside.max(axis=0)) / 2
    values = np.where(mask, frequency_of(points - centre), 0.0)
    for name, data in (("b0", values), ("mask", mask.astype(np.uint8))):
        nibabel.save(nibabel.Nifti1Image(data.reshape(shape), affine), folder / f"{name}.nii.gz")
    text = SPEC.read_text().replace("data/ge3t_brain_b0hz", "b0").replace("data/ge3t_brain_mask", "mask")
    (folder / "spec.yaml").write_text(text.replace("turns: 1", "turns: 4"))
    return folder / "spec.yaml"


def test_finds_the_currents_that_made_an_oblique_map(tmp_path):
    spec = load_spec(SPEC)
    loops = place_loops(spec.coils[0], spec.frame.bore_axis)
    wanted = np.linspace(-0.3, 0.4, 16)
    made = dt.Loops(loops.centre, loops.normal, loops.radius, -4 * wanted)  # 4 turns
    path = oblique(tmp_path, lambda p: 50.0 + GAMMA_BAR * np.asarray(made.field(p))[:, 2])
    setting = shim.prepare(load_spec(path))
    solution = shim.solve(setting)
    np.testing.assert_allclose(channel_currents(setting, solution), wanted, atol=1e-6)
    assert solution.objective < 1e-12 * np.sum(setting.volumes[0].values ** 2)


def test_without_the_offset_the_mean_costs_current(tmp_path):
    path = oblique(tmp_path, lambda p: np.full(len(p), 80.0))
    held = shim.prepare(load_spec(path, {"include_offset": "false"}))
    free = shim.prepare(load_spec(path))
    assert np.abs(channel_currents(held, shim.solve(held))).sum() > 0.1
    assert np.abs(channel_currents(free, shim.solve(free))).sum() < 1e-3


def test_a_mask_on_another_grid_is_refused(tmp_path):
    path = oblique(tmp_path, lambda p: p[:, 0])
    mask = nibabel.load(tmp_path / "mask.nii.gz")
    nibabel.save(nibabel.Nifti1Image(np.asarray(mask.dataobj), mask.affine + np.eye(4)), tmp_path / "mask.nii.gz")
    with pytest.raises(ValueError, match="must lie on the grid of the map"):
        recipe(load_spec(path)).prepare(load_spec(path))
