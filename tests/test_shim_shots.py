"""Shims in shots beside the reference figures, SciPy and maps with a known answer; maps of every unit; layouts."""

import json
from pathlib import Path

import nibabel
import numpy as np
import pytest
from scipy.optimize import lsq_linear

import designtools as dt
from designtools.harmonics import from_shim_terms
from designtools.pipeline import run
from designtools.recipes import shim, shim_layout
from designtools.recipes.shim_evidence import after_shim
from designtools.recipes.shim_limit import ultimate
from designtools.recipes.shim_sets import channels_of, place_loops, profile
from designtools.recipes.shim_shots import slope_across
from designtools.recipes.unwrap import unwrapped
from designtools.spec import SpecError, load
from designtools.units import GAMMA_BAR

ROOT = Path(__file__).parents[1]
REFERENCE = json.loads((Path(__file__).parent / "reference" / "shims.json").read_text())
FILES = {"ge3t": "ge3t_brain", "sim7t": "sim7t_head"}
DATA = ROOT / "specs" / "data"


def spec_of(map_name, coils, **more):
    files = {"b0": str(DATA / f"{FILES[map_name]}_b0hz.nii.gz"), "mask": str(DATA / f"{FILES[map_name]}_mask.nii.gz")}
    return load({"kind": "shim", "name": "test", "field_map": files, "coils": coils} | more)


def harmonics(order, **more):
    return {"name": "harmonics", "arrangement": "harmonics", "order": order} | more


def array(name):
    rows = REFERENCE["arrays"][name]
    return {"name": "loops", "arrangement": "list", "loops": [{"centre": [c / 1e3 for c in r[:3]], "normal": r[3:6], "radius": r[6] / 1e3} for r in rows]}


def shimmed(spec):
    setting = shim.prepare(spec)
    solution = shim.solve(setting)
    (after,) = after_shim(setting, solution.design.parts["currents"])
    return setting, solution, after


def agrees(spec, key, map_name):
    _, solution, after = shimmed(spec)
    std, p2p = REFERENCE[map_name][key]
    assert after.left.std() == pytest.approx(std, rel=1e-4, abs=6e-4)  # the reference has three decimals
    assert np.ptp(after.left) == pytest.approx(p2p, rel=1e-3)
    assert solution.gap <= 1e-8 and solution.history[0]["largest gap of a shot"] <= 1e-8


ORDERS = [f"SH{n}_global" for n in range(1, 9)] + [f"SH{n}_slice" for n in range(1, 5)]
SCHEDULES = {"global": "global", "slice": "slices"}


@pytest.mark.parametrize("map_name, key", [*(("ge3t", key) for key in ORDERS), *(("sim7t", key) for key in ("SH2_global", "SH8_global", "SH4_slice"))])
def test_harmonics_of_every_order(map_name, key):
    order, schedule = int(key[2]), key.split("_")[1]
    agrees(spec_of(map_name, harmonics(order), schedule={"shots": SCHEDULES[schedule]}), key, map_name)


KEYS = [key for key in REFERENCE["ge3t"] if key.split()[0] in REFERENCE["arrays"]]
LARGE = [key for key in KEYS if key.endswith("_3A")]  # of the map of five times as many voxels
QUICK = ("cyl16 onSH2_slice_3A", "cyl48 onSH2_global_10A", "helmet32 jointSH2_global_3A", "helmet48 onSH2_slice_75A")


@pytest.mark.parametrize("map_name, keys", [("ge3t", QUICK), ("sim7t", QUICK[:1]), pytest.param("ge3t", KEYS, marks=pytest.mark.slow), pytest.param("sim7t", LARGE, marks=pytest.mark.slow)])
def test_every_array_and_current(map_name, keys):
    for key in keys:
        name, case = key.split()
        kind, schedule, amperes = case.split("_")
        sets = [harmonics(2, first=kind.startswith("on")), array(name)]
        limits = {"current": float(amperes[:-1])}
        agrees(spec_of(map_name, sets, limits=limits, schedule={"shots": SCHEDULES[schedule]}), key, map_name)


# --- shared limits, breathing, slopes ---------------------------------------------------------------


def test_limits_across_slices_hold_and_cost(tmp_path):
    sets = [harmonics(2, first=True), array("cyl16")]
    free = shimmed(spec_of("ge3t", sets, limits={"current": 3}, schedule={"shots": "slices"}))
    for limits in ({"step": 1.0}, {"power": 0.02}, {"total_current": 12.0}):
        setting, solution, after = shimmed(spec_of("ge3t", sets, limits={"current": 3} | limits, schedule={"shots": "slices"}))
        values = np.asarray(solution.design.parts["currents"].values)[:, 0, 8:]
        resistance = setting.over(lambda c: c.resistance)[8:]
        found = {"step": np.abs(np.diff(values, axis=0)).max(), "power": (values**2 @ resistance).mean(), "total_current": np.abs(values).sum(axis=1).max()}
        (name, bound), *_ = limits.items()
        assert found[name] == pytest.approx(bound, rel=1e-6) and solution.gap < 1e-6
        assert after.left.std() > free[2].left.std()


def test_static_channels_stay_and_scheduled_ones_move():
    sets = [harmonics(1, update="static"), array("cyl16")]
    setting, solution, after = shimmed(spec_of("ge3t", sets, limits={"current": 3}, schedule={"shots": "slices"}))
    values = np.asarray(solution.design.parts["currents"].values)[:, 0]
    np.testing.assert_allclose(values[:, :3], np.tile(values[:1, :3], (len(values), 1)), rtol=1e-6)
    moving = shimmed(spec_of("ge3t", [harmonics(1), array("cyl16")], limits={"current": 3}, schedule={"shots": "slices"}))[2]
    still = shimmed(spec_of("ge3t", [harmonics(1, first=True), array("cyl16")], limits={"current": 3}, schedule={"shots": "slices"}))[2]
    assert moving.left.std() < after.left.std() < still.left.std() and solution.gap < 1e-6


def test_breathing_is_followed_within_the_limits_at_both_ends(tmp_path):
    """A map that moves along one loop's own field needs that loop's current to be linear in the trace."""
    spec = spec_of("ge3t", array("cyl16"), limits={"current": 3}, origin="mask_centre")
    setting = shim.prepare(spec)
    volume = setting.volumes[0]
    moved = np.zeros(volume.mask.shape)
    moved[volume.mask] = 0.4 * setting.profiles[0][:, 3]
    nibabel.save(nibabel.Nifti1Image(moved, volume.affine), tmp_path / "breath.nii.gz")
    files = {"b0": str(DATA / "ge3t_brain_b0hz.nii.gz"), "mask": str(DATA / "ge3t_brain_mask.nii.gz"), "breathing": str(tmp_path / "breath.nii.gz")}
    asked = {"kind": "shim", "name": "breath", "field_map": files, "coils": array("cyl16")}
    wide = shim.solve(shim.prepare(load(asked | {"limits": {"current": 50}, "schedule": {"trace": [-1, 1]}})))
    values = np.asarray(wide.design.parts["currents"].values)[0]
    np.testing.assert_allclose((values[1] - values[0]) / 2, -0.4 * np.eye(16)[3], atol=1e-6)
    tight = shim.solve(shim.prepare(load(asked | {"limits": {"current": 1}, "schedule": {"trace": [-1, 1]}})))
    ends = np.asarray(tight.design.parts["currents"].values)[0]
    assert np.abs(ends).max() <= 1 + 1e-12 and tight.gap < 1e-8
    reference = lsq_linear(_breathing_matrix(setting), _breathing_target(setting), (-np.tile(np.append(np.full(16, 1.0), np.inf), 2), np.tile(np.append(np.full(16, 1.0), np.inf), 2)), tol=1e-13)
    assert tight.objective == pytest.approx(reference.cost, rel=1e-7)


def _breathing_matrix(setting):
    """Mean square over the trace written as a sum over Gauss points: 3 are exact for squares of linear functions."""
    t, w = np.polynomial.legendre.leggauss(3)
    A = np.column_stack([setting.profiles[0], np.ones(len(setting.profiles[0]))])
    return np.concatenate([np.sqrt(wk / 2) * np.hstack([(1 - tk) / 2 * A, (1 + tk) / 2 * A]) for tk, wk in zip(t, w)])


def _breathing_target(setting):
    t, w = np.polynomial.legendre.leggauss(3)
    b, moved = setting.volumes[0].values, 0.4 * setting.profiles[0][:, 3]
    return -np.concatenate([np.sqrt(wk / 2) * (b + tk * moved) for tk, wk in zip(t, w)])


def test_slopes_across_the_slices_become_smaller_where_asked():
    sets = [harmonics(2, first=True), array("helmet16")]
    steep = lambda after: np.sqrt(np.mean((slope_across(after.volume, "k")[0] @ after.after) ** 2))
    plain = shimmed(spec_of("ge3t", sets, limits={"current": 3}))[2]
    asked = shimmed(spec_of("ge3t", sets, limits={"current": 3}, through_slice="20 mm"))[2]
    assert steep(asked) < steep(plain) and asked.left.std() > plain.left.std()
    matrix, owner = slope_across(plain.volume, "k")
    np.testing.assert_allclose(matrix @ plain.volume.points[:, 2], 1.0, rtol=1e-9)
    assert len(owner) == matrix.shape[0] < len(plain.volume.points)


@pytest.mark.parametrize("criterion", ["l1", "huber", "cvar", "min_max"])
def test_each_criterion_is_best_by_its_own_measure(criterion):
    measures = {
        "l1": lambda v: np.abs(v).mean(),
        "huber": lambda v: np.where(np.abs(v) < 10, v**2, 20 * np.abs(v) - 100).mean(),
        "cvar": lambda v: np.sort(np.abs(v))[-round(0.1 * v.size) :].mean(),
        "min_max": lambda v: np.abs(v).max(),
    }
    squares = _small("least_squares")
    own = _small(criterion)
    assert measures[criterion](own[1].after) < measures[criterion](squares[1].after) * (1 - 1e-4)
    assert own[1].after.std() > squares[1].after.std() and own[0].gap < 1e-6


def _small(criterion):
    """One thick slab of the map, to be quick."""
    spec = spec_of("ge3t", array("cyl16"), limits={"current": 3, "total_current": 20}, criterion=criterion)
    setting = shim.prepare(spec)
    volume = setting.volumes[0]
    keep = np.flatnonzero(np.abs(volume.points[:, 2]) < 0.012)[::3]
    from dataclasses import replace

    part = replace(volume, points=volume.points[keep], values=volume.values[keep], weights=volume.weights[keep])
    setting = replace(setting, volumes=(part,), profiles=(setting.profiles[0][keep],), shots=(setting.shots[0]._replace(index=np.arange(keep.size)),))
    solution = shim.solve(setting)
    return solution, after_shim(setting, solution.design.parts["currents"])[0]


# --- coil sets --------------------------------------------------------------------------------------


def test_terms_of_a_maker_are_those_of_the_harmonics():
    """X of Siemens points left, Z2 and the factors of ZX and XY, against the converter."""
    spec = spec_of("ge3t", harmonics(2, convention="siemens"))
    setting = shim.prepare(spec)
    names = setting.channels[0].names
    points = setting.volumes[0].points[::50]
    for k, name in enumerate(names):
        table = from_shim_terms({name: 1.0}, "siemens", 0.1, axes="RAS")
        np.testing.assert_allclose(setting.profiles[0][::50, k], GAMMA_BAR * np.asarray(table.component(points)), rtol=1e-9, atol=1e-9)
    assert setting.channels[0].units[names.index("ZX")] == "uT/m^2"


def test_amplitudes_of_terms_are_limited():
    spec = spec_of("ge3t", harmonics(2, convention="siemens", amplitudes={"Z2": 1.0, "X": 0.5}))
    setting, solution, _ = shimmed(spec)
    values = dict(zip(setting.channels[0].names, np.asarray(solution.design.parts["currents"].values)[0, 0]))
    assert abs(values["Z2"]) <= 1.0 and abs(values["X"]) == pytest.approx(0.5) and solution.gap < 1e-9


@pytest.mark.parametrize(
    "coils",
    [
        {"arrangement": "helmet", "semi_axes": ["110 mm", "130 mm", "115 mm"], "count": 20, "loop_radius": "40 mm"},
        {"arrangement": "cylinder", "rows": 3, "per_row": 8, "row_spacing": "60 mm", "radius": "0.14 m", "loop_radius": "40 mm"},
    ],
)
def test_loops_touch_their_surface(coils):
    spec = spec_of("ge3t", coils, limits={"current": 1})
    loops = place_loops(spec.coils[0], (0, 0, 1))
    half = np.array([0.11, 0.13, 0.115]) if coils["arrangement"] == "helmet" else np.array([0.14, 0.14, np.inf])
    np.testing.assert_allclose(np.sum((loops.centre / half) ** 2, axis=1), 1, rtol=1e-12)
    slope = loops.centre / half**2
    np.testing.assert_allclose(loops.normal, slope / np.linalg.norm(slope, axis=1, keepdims=True), atol=1e-12)


def test_loops_on_a_mesh_spread_out(tmp_path):
    import trimesh

    trimesh.creation.icosphere(subdivisions=3, radius=120).export(tmp_path / "cap.stl")
    coils = {"arrangement": "mesh", "path": str(tmp_path / "cap.stl"), "count": 24, "loop_radius": "30 mm"}
    loops = place_loops(spec_of("ge3t", coils, limits={"current": 1}).coils[0], (0, 0, 1))
    np.testing.assert_allclose(np.linalg.norm(loops.centre, axis=1), 0.12, rtol=1e-5)
    np.testing.assert_allclose(loops.normal, loops.centre / 0.12, atol=2e-2)
    away = np.linalg.norm(loops.centre[:, None] - loops.centre[None], axis=2) + np.eye(24)
    assert away.min() > 0.05


def test_measured_profiles_interpolate_and_shim_like_the_loops(tmp_path):
    """The loops' own field, stored as images on another grid, gives nearly the currents of the loops."""
    spec = spec_of("ge3t", array("cyl16"), limits={"current": 3}, origin="scanner")
    setting = shim.prepare(spec)
    volume = setting.volumes[0]
    affine = np.diag([4.0, 4.0, 4.0, 1.0])
    low = (volume.points.min(axis=0) - 0.01) * 1e3
    affine[:3, 3] = low
    shape = np.ceil((volume.points.max(axis=0) * 1e3 + 10 - low) / 4).astype(int) + 1
    points = (np.indices(shape).reshape(3, -1).T * 4.0 + low) * 1e-3
    loops = setting.channels[0].loops
    series = GAMMA_BAR * np.asarray(loops.per_ampere(points, np.array([0, 0, 1.0])))
    nibabel.save(nibabel.Nifti1Image(series.reshape(*shape, 16), affine), tmp_path / "profiles.nii.gz")
    measured = spec_of("ge3t", {"arrangement": "profiles", "path": str(tmp_path / "profiles.nii.gz"), "current": 3}, origin="scanner")
    other = shim.prepare(measured)
    assert np.abs(other.profiles[0] - setting.profiles[0]).max() < 0.02 * np.abs(setting.profiles[0]).max()
    stds = [after_shim(s, shim.solve(s).design.parts["currents"])[0].left.std() for s in (setting, other)]
    assert stds[0] == pytest.approx(stds[1], rel=2e-3)


# --- maps in other units ------------------------------------------------------------------------------


def made_map(folder, **files):
    shape, affine = (16, 14, 10), np.diag([8.0, 8.0, 10.0, 1.0])
    affine[:3, 3] = [-60, -52, -45]
    points = np.indices(shape).reshape(3, -1).T @ affine[:3, :3].T + affine[:3, 3]
    ball = (np.linalg.norm(points / [58, 52, 45], axis=1) <= 1).reshape(shape)
    hertz = (40 + 1.5 * points[:, 0] + 0.02 * points[:, 2] ** 2).reshape(shape)
    save = lambda name, values: nibabel.save(nibabel.Nifti1Image(np.asarray(values, float), affine), folder / f"{name}.nii.gz")
    for name, values in files.items():
        save(name, values(hertz, ball))
    return {name: str(folder / f"{name}.nii.gz") for name in files}, hertz, ball


COILS = {"arrangement": "cylinder", "rows": 2, "per_row": 6, "row_spacing": "60 mm", "radius": "0.12 m", "loop_radius": "40 mm"}


def read(field_map):
    return shim.prepare(load({"kind": "shim", "name": "units", "field_map": field_map, "coils": COILS, "limits": {"current": 2}})).volumes[0]


def test_the_same_field_in_every_unit(tmp_path):
    scale = {"Hz": 1.0, "rad/s": 2 * np.pi, "T": 1 / GAMMA_BAR, "ppm": 1e6 / (3 * GAMMA_BAR)}
    for unit, factor in scale.items():
        paths, hertz, ball = made_map(tmp_path, b0=lambda h, b: factor * h * b, mask=lambda h, b: b)
        volume = read({"b0": paths["b0"], "mask": paths["mask"], "unit": unit} | ({"field_strength": "3 T"} if unit == "ppm" else {}))
        np.testing.assert_allclose(volume.values, hertz[ball], rtol=1e-9)
        assert unit in volume.told


def test_wrapped_phases_are_unwrapped(tmp_path):
    """12 ms turn 42 Hz by pi: the map wraps several times; also as two echoes in steps of a scanner."""
    wrap = lambda h: np.angle(np.exp(2j * np.pi * h * 12e-3))
    paths, hertz, ball = made_map(tmp_path, b0=lambda h, b: wrap(h), mask=lambda h, b: b)
    volume = read({"b0": paths["b0"], "mask": paths["mask"], "unit": "rad", "echo_time": "12 ms"})
    turn = (volume.values - hertz[ball]) * 12e-3
    np.testing.assert_allclose(turn, np.round(turn[0]), atol=1e-9)  # up to one whole turn everywhere
    assert np.ptp(wrap(hertz)[ball]) < 0.6 * np.ptp(2 * np.pi * 12e-3 * hertz[ball])
    steps = lambda angle: np.round((angle + np.pi) / (2 * np.pi) * 4096) % 4096
    paths, *_ = made_map(tmp_path, first=lambda h, b: steps(0.7 * np.ones(h.shape)), second=lambda h, b: steps(0.7 + 2 * np.pi * h * 12e-3 - 2 * np.pi * np.round(h * 12e-3 + 0.11)), mask=lambda h, b: b)
    volume = read({"phase": [paths["first"], paths["second"]], "mask": paths["mask"], "echo_time": "12 ms"})
    np.testing.assert_allclose(volume.values - volume.values.mean(), hertz[ball] - hertz[ball].mean(), atol=0.2)


def test_unwrapping_goes_round_a_hole():
    rng = np.random.default_rng(0)
    x, y, z = np.meshgrid(*(np.linspace(-1, 1, 20),) * 3, indexing="ij")
    mask = (np.hypot(x, y) > 0.3) & (np.hypot(x, y) < 1)
    truth = 9 * x + 6 * y * z + 0.2 * rng.normal(size=x.shape)
    found = unwrapped(np.angle(np.exp(1j * truth)), mask)
    turns = (found - truth)[mask] / (2 * np.pi)
    np.testing.assert_allclose(turns, np.round(turns[0]), atol=1e-9)


def test_default_masks(tmp_path):
    paths, hertz, ball = made_map(tmp_path, b0=lambda h, b: h * b, magnitude=lambda h, b: 100 * b + 5 * np.random.default_rng(0).random(h.shape))
    assert (read({"b0": paths["b0"]}).mask == ball).all()
    assert (read({"b0": paths["b0"], "magnitude": paths["magnitude"]}).mask == ball).all()


def test_soft_masks_and_magnitudes_weight(tmp_path):
    paths, hertz, ball = made_map(tmp_path, b0=lambda h, b: h * b, mask=lambda h, b: b * (0.2 + 0.8 * (h > h.mean())), magnitude=lambda h, b: b * (1 + h))
    soft = read({"b0": paths["b0"], "mask": paths["mask"], "soft_mask": True})
    assert soft.weights.mean() == pytest.approx(1) and np.ptp(soft.weights) > 0.5
    asked = {"kind": "shim", "name": "w", "field_map": {k: paths[k] for k in ("b0", "mask", "magnitude")}, "coils": COILS, "limits": {"current": 0.05}, "weight_by": "magnitude"}
    weighted = shim.prepare(load(asked))
    plain = shim.prepare(load(asked | {"weight_by": "nothing"}))
    cost = lambda setting: np.average(after_shim(setting, shim.solve(setting).design.parts["currents"])[0].left ** 2, weights=weighted.volumes[0].weights)
    assert cost(weighted) <= cost(plain)


@pytest.mark.parametrize(
    "files, asked, words",
    [
        ({"b0": lambda h, b: np.where(b, np.nan, 0.0), "mask": lambda h, b: b}, {}, "finite field"),
        ({"b0": lambda h, b: h, "mask": lambda h, b: 0 * b}, {}, "at least 20 voxels"),
        ({"b0": lambda h, b: h * ~b, "mask": lambda h, b: b}, {}, "zero everywhere"),
        ({"b0": lambda h, b: h, "mask": lambda h, b: b[:-1]}, {}, "must lie on the grid of the map"),
        ({"b0": lambda h, b: np.stack([h, h], -1), "mask": lambda h, b: b}, {}, "one volume of three dimensions"),
        ({"b0": lambda h, b: h, "mask": lambda h, b: b}, {"unit": "furlong"}, "must be Hz, rad/s, ppm, rad or T"),
        ({"b0": lambda h, b: h, "mask": lambda h, b: b}, {"unit": "rad"}, "echo_time: must be given"),
        ({"b0": lambda h, b: h, "mask": lambda h, b: b}, {"unit": "ppm"}, "field_strength: must be given"),
    ],
)
def test_bad_maps_are_refused_in_words(tmp_path, files, asked, words):
    paths, *_ = made_map(tmp_path, **files)
    with pytest.raises(SpecError, match=words):
        read(paths | asked)


def test_points_of_a_probe(tmp_path):
    rng = np.random.default_rng(1)
    points = rng.normal(size=(60, 3)) * 40
    field = 50.0 + 0.001 * points[:, 0]
    field[7] = 90.0  # a reading gone wrong
    rows = np.column_stack([points, field])
    (tmp_path / "hall.csv").write_text("x_mm,y_mm,z_mm,B_mT\n" + "\n".join(",".join(f"{v:.9g}" for v in row) for row in rows))
    spec = load({"kind": "shim", "name": "hall", "origin": "scanner", "field_map": {"b0": str(tmp_path / "hall.csv")}, "coils": harmonics(1)})
    setting, _, after = shimmed(spec)
    assert len(setting.volumes[0].points) == 59 and "1 off the others left out" in setting.volumes[0].told
    assert np.ptp(setting.volumes[0].values) == pytest.approx(GAMMA_BAR * 1e-6 * np.ptp(np.delete(points[:, 0], 7)), rel=1e-6)
    assert after.left.std() < 1e-6 * setting.volumes[0].values.std()


# --- layouts ----------------------------------------------------------------------------------------------


def head(seed, centre):
    """A made-up head: an ellipsoid with a few dipoles in and below it."""

    def frequency(points):
        rng = np.random.default_rng(seed)
        total = np.zeros(len(points))
        for place, size in ((np.array([0, 60.0, -100]), 28), (np.array([75.0, 0, -60]), 14), (np.array([-75.0, 0, -60]), 14)):
            away = points - (place + rng.normal(size=3) * 5)
            r = np.linalg.norm(away, axis=1)
            total += 100 * (size / r) ** 3 * (3 * (away[:, 2] / r) ** 2 - 1)
        return total

    return frequency


@pytest.fixture(scope="module")
def heads(tmp_path_factory):
    folder = tmp_path_factory.mktemp("heads")
    maps = []
    affine = np.diag([5.0, 5.0, 5.0, 1.0])
    affine[:3, 3] = [-72.5, -87.5, -67.5]
    points = np.indices((30, 36, 28)).reshape(3, -1).T * 5.0 + affine[:3, 3]
    inside = np.linalg.norm(points / [68, 83, 63], axis=1) <= 1
    for k in range(3):
        values = np.where(inside, head(k, None)(points), 0.0).reshape(30, 36, 28)
        nibabel.save(nibabel.Nifti1Image(values, affine), folder / f"b0_{k}.nii.gz")
        nibabel.save(nibabel.Nifti1Image(inside.reshape(30, 36, 28).astype(np.uint8), affine), folder / f"mask_{k}.nii.gz")
        maps.append({"b0": str(folder / f"b0_{k}.nii.gz"), "mask": str(folder / f"mask_{k}.nii.gz")})
    return maps


def layout_spec(heads, **more):
    loops = {"name": "loops", "arrangement": "cylinder", "rows": 3, "per_row": 6, "row_spacing": "60 mm", "radius": "0.13 m", "loop_radius": "40 mm"}
    asked = {"kind": "shim", "name": "layout", "subjects": heads, "coils": [harmonics(2, first=True), loops], "limits": {"current": 2}}
    return load(asked | {"layout": {"hold_out": 2, "rounds": 24, "voxels": 3000} | more})


def test_a_layout_serves_a_head_that_it_never_saw(heads):
    eyes = {"shape": "box", "place": [0, "130 mm", "-40 mm"], "size": ["100 mm", "80 mm", "50 mm"]}
    result = run(layout_spec(heads, radius_range=["30 mm", "50 mm"], spacing="50 mm", avoid=[eyes]))
    figures = {name: f.value for name, f in result.figures.items()}
    assert figures["b0_std_held_out"] < 0.97 * figures["b0_std_held_out_start"]
    loops = result.source.parts[0]
    away = np.linalg.norm(loops.centre[:, None] - loops.centre[None], axis=2) + np.eye(18)
    assert away.min() >= 0.05 * (1 - 1e-6)
    np.testing.assert_allclose(np.hypot(loops.centre[:, 0], loops.centre[:, 1]), 0.13, rtol=1e-9)
    assert loops.radius.min() >= 0.03 - 1e-12 and loops.radius.max() <= 0.05 + 1e-12 and np.ptp(loops.radius) > 1e-3
    rim = np.asarray(loops.current_elements(64)[0])
    assert not np.all(np.abs(rim - [0, 0.13, -0.04]) < np.array([0.05, 0.04, 0.025]), axis=1).any()
    assert result.audit["independent field"]["largest difference (Hz)"] < 1e-6


def test_slopes_of_the_layout_are_those_of_differences(heads):
    setting = shim.prepare(layout_spec(heads, radius_range=["30 mm", "50 mm"]))
    channels = setting.channels[1]
    surface = shim_layout._surface(setting, channels)
    score = shim_layout._score(setting, channels, surface, shim_layout.training(setting, channels, 3000, 1, 2), 0.05)
    x, _ = shim_layout._variables(setting, channels, surface)
    rng = np.random.default_rng(3)
    x = x + 0.05 * rng.normal(size=x.size)
    for price in (0.0, 30.0):
        slope = score(x, price)[1]
        for _ in range(3):
            d = rng.normal(size=x.size)
            numeric = (score(x + 1e-5 * d, price)[0] - score(x - 1e-5 * d, price)[0]) / 2e-5
            assert slope @ d == pytest.approx(numeric, rel=1e-4, abs=1e-7 * np.linalg.norm(slope))


def test_too_little_room_is_said(heads):
    with pytest.raises(SpecError, match="layout.spacing: must leave room"):
        shim.solve(shim.prepare(layout_spec(heads, spacing="120 mm")))


# --- the folder ---------------------------------------------------------------------------------------------


def test_a_dynamic_shim_survives_its_folder(tmp_path):
    out = tmp_path / "dynamic"
    spec = {"kind": "shim", "name": "dyn", "field_map": {"b0": str(DATA / "ge3t_brain_b0hz.nii.gz"), "mask": str(DATA / "ge3t_brain_mask.nii.gz")},
            "coils": [harmonics(2, first=True, convention="siemens"), array("cyl16")], "limits": {"current": 3, "step": 2}, "schedule": {"shots": "slices"}}  # fmt: skip
    result = run(load(spec), out=out)
    again = dt.load(out)
    record = json.loads((out / "dyn-currents.json").read_text())
    table = np.genfromtxt(out / "dyn-currents.csv", delimiter=",", skip_header=1)[:, 1:]
    assert len(record["shots"]) == 14 == len(table) and record["channels"][:3] == ["X", "Y", "Z"]
    np.testing.assert_array_equal(table, [[s["centre_frequency_shift_Hz"], *s["values"]] for s in record["shots"]])
    assert np.abs(np.diff(table[:, 9:], axis=0)).max() <= 2 + 1e-6 and np.abs(table[:, 9:]).max() <= 3 + 1e-9
    volume = nibabel.load(out / "fields" / "b0.nii.gz")
    mask = np.asarray(nibabel.load(DATA / "ge3t_brain_mask.nii.gz").dataobj) != 0
    after = np.asarray(volume.dataobj, float)
    pooled = np.concatenate([after[:, :, k][mask[:, :, k]] - after[:, :, k][mask[:, :, k]].mean() for k in range(mask.shape[2]) if mask[:, :, k].any()])
    assert pooled.std() == pytest.approx(result.figures["b0_std_shimmed"].value, rel=1e-4)
    assert again.figures["current_step_max"].value <= 2 + 1e-6


def test_channels_have_their_fields_by_magpylib():
    import magpylib

    spec = spec_of("ge3t", array("helmet16") | {"turns": 5}, limits={"current": 1})
    setting = shim.prepare(spec)
    (channels,), volume = setting.channels, setting.volumes[0]
    ours = profile(spec, channels, volume)[::997]
    for k in (0, 9, 15):
        loop = channels.loops
        turn = magpylib.current.Circle(current=5, diameter=2 * loop.radius[k])
        from scipy.spatial.transform import Rotation

        normal = loop.normal[k] / np.linalg.norm(loop.normal[k])
        turn.orientation = Rotation.align_vectors([normal], [[0, 0, 1]])[0]
        turn.position = loop.centre[k]
        np.testing.assert_allclose(ours[:, k], GAMMA_BAR * turn.getB(volume.points[::997])[:, 2], rtol=1e-8, atol=1e-8)


def test_the_halbach_map_is_read_and_shimmed(tmp_path):
    """The published map of a 47 mT magnet; figures in ppm of B·b0 within 100 mm, 836 before and 769 after first order."""
    result = run(ROOT / "specs" / "halbach_shim.yaml", out=tmp_path / "halbach")
    ppm = 1e6 / (GAMMA_BAR * 47.54e-3)
    assert result.status == "done" and result.figures["b0_std_unshimmed"].value * ppm == pytest.approx(836, rel=0.01)
    linear = load(ROOT / "specs" / "halbach_shim.yaml", {"coils": [harmonics(1)]})
    assert shimmed(linear)[2].left.std() * ppm == pytest.approx(769, rel=0.01)
    assert result.figures["optimality_gap"].value < 1e-6
    assert "points (15 off the others left out)" in result.audit["read"]["map"]


def test_the_dynamic_spec_meets_its_requirements():
    result = run(ROOT / "specs" / "head_7T_dynamic.yaml")
    assert result.status == "done" and result.figures["optimality_gap"].value < 1e-8
    assert result.figures["b0_std_shimmed"].value < 34 and result.figures["current_step_max"].value <= 4 * (1 + 1e-6)
    assert result.audit["independent field"]["largest difference (Hz)"] < 1e-5


# --- the ultimate limit ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("arrangement", ["helmet", "cylinder"])
def test_no_loops_reach_what_any_current_on_their_surface_could(arrangement):
    coils = {
        "helmet": {"arrangement": "helmet", "semi_axes": ["110 mm", "130 mm", "115 mm"], "count": 24, "loop_radius": "40 mm"},
        "cylinder": {"arrangement": "cylinder", "rows": 4, "per_row": 8, "row_spacing": "60 mm", "radius": "0.14 m", "loop_radius": "40 mm"},
    }[arrangement]
    spec = spec_of("ge3t", [harmonics(2, first=True), coils | {"name": "loops"}], limits={"current": 3}, ultimate_limit=True)
    setting, solution, after = shimmed(spec)
    power = float(np.mean(np.asarray(solution.design.parts["currents"].values)[:, 0] ** 2 @ setting.over(lambda c: c.resistance)))
    found = ultimate(setting, power)
    assert found.at_own < after.left.std() and (np.diff(found.left) <= 1e-9).all()
    assert ultimate(setting, 1e-12).at_own == pytest.approx(REFERENCE["ge3t"]["SH2_global"][0], rel=0.05)  # no power: the scanner alone
    assert ultimate(setting, 1e9).at_own < REFERENCE["ge3t"]["SH8_global"][0]
    again = run(spec)
    assert again.figures["b0_std_ultimate"].value == pytest.approx(found.at_own, rel=1e-9)


def test_ideal_coils_alone_make_a_folder_without_geometry(tmp_path):
    result = run(spec_of("ge3t", harmonics(3)), out=tmp_path / "ideal")
    assert result.figures["b0_std_shimmed"].value == pytest.approx(REFERENCE["ge3t"]["SH3_global"][0], abs=6e-4)
    assert dt.load(tmp_path / "ideal").source is None and (tmp_path / "ideal" / "test-currents.csv").exists()


# --- patterns ---------------------------------------------------------------------------------------------------


PATTERNS = {
    "name": "windings", "arrangement": "patterns", "count": 8, "contours": 14,
    "surface": {"former": "cylinder", "radius": "0.16 m", "length": "0.36 m"},
}  # fmt: skip


def test_patterns_are_windings_that_shim(tmp_path):
    """Eight windings on top of second order, half a milliwatt in all; the folder holds their tracks."""
    spec = spec_of("ge3t", [harmonics(2, first=True), PATTERNS], limits={"current": 20, "power": 0.0005}, section={"width": "2 mm", "height": "1 mm"})
    result = run(spec, out=tmp_path / "patterns")
    assert result.figures["optimality_gap"].value < 1e-6 and result.figures["power"].value == pytest.approx(0.0005, rel=1e-6)
    again = dt.load(tmp_path / "patterns")
    assert len(again.windings) == 8 and all(len(w.tracks) > 4 for w in again.windings)
    points = np.concatenate([t.points for w in again.windings for t in w.tracks])
    np.testing.assert_allclose(np.hypot(points[:, 0], points[:, 1]), 0.16, rtol=1e-3)
    assert result.figures["b0_std_shimmed"].value < REFERENCE["ge3t"]["SH2_global"][0] - 0.5


def test_patterns_are_independent_in_field_and_power():
    from designtools.recipes.shim_patterns import stream_functions, voxels
    from designtools.recipes.surfaces import joined_mesh, patches
    from designtools.sources import Sheet

    spec = spec_of("ge3t", [harmonics(2), PATTERNS], limits={"current": 1})
    volumes = shim.read_volumes(spec)
    mesh = joined_mesh(patches("w", spec.coils[1].surface, np.eye(3), None, 0.03))
    before = channels_of(spec, volumes)[:1]
    streams = stream_functions(spec, mesh, before, volumes, 5)
    sheets = [Sheet(mesh.vertices, mesh.faces, s) for s in streams.T]
    flow = np.stack([np.asarray(s.surface_current()) for s in sheets])
    power = np.einsum("afc,bfc,f->ab", flow, flow, mesh.area) * 1.724e-8 / 1e-3
    np.testing.assert_allclose(power, np.eye(5), atol=6e-3)
    points, weight, known = voxels(spec, before, volumes)
    field = weight[:, None] * np.stack([np.asarray(s.field(points))[:, 2] for s in sheets], axis=1)
    field -= known @ (known.T @ field)
    gram = field.T @ field
    assert (np.diff(np.diag(gram)) < 0).all()
    np.testing.assert_allclose(gram / np.sqrt(np.outer(np.diag(gram), np.diag(gram))), np.eye(5), atol=1e-7)


def test_finished_coils_shim(tmp_path):
    """Two wound squares in folders of their own; a map that is minus twice the one and half the other."""
    from designtools.result import Result, write
    from designtools.windings.winding import Track, Winding

    asked = {"kind": "shim", "name": "coils", "origin": "scanner", "limits": {"current": 5}}
    squares = []
    for k, (axis, place) in enumerate((((1, 2), 0.15), ((0, 1), 0.12))):
        corners = np.zeros((5, 3))
        corners[:, axis[0]], corners[:, axis[1]] = 0.05 * np.array([1, -1, -1, 1, 1]), 0.05 * np.array([1, 1, -1, -1, 1])
        corners[:, ({0, 1, 2} - set(axis)).pop()] = place
        winding = Winding(f"square {k}", (Track(corners, np.tile([0, 0, 1.0], (5, 1)), ("turn",) * 4),), 8.0, 2e-3, 1e-3)
        write(Result("gradient", f"square {k}", "done", source=winding.filaments(), windings=(winding,)), tmp_path / f"square{k}")
        squares.append(winding)
    paths, hertz, ball = made_map(tmp_path, b0=lambda h, b: h * b, mask=lambda h, b: b)
    folders = [str(tmp_path / f"square{k}") for k in range(2)]
    coils = {"arrangement": "designs", "name": "squares", "folders": folders}
    setting = shim.prepare(load(asked | {"field_map": paths, "coils": coils}))
    unit = [GAMMA_BAR / 8 * np.asarray(w.filaments().field(setting.volumes[0].points))[:, 2] for w in squares]
    np.testing.assert_allclose(setting.profiles[0], np.stack(unit, axis=1), rtol=1e-9)
    values = np.zeros(ball.shape)
    values[ball] = -2 * unit[0] + 0.5 * unit[1]
    nibabel.save(nibabel.Nifti1Image(values, setting.volumes[0].affine), tmp_path / "b0.nii.gz")
    again = shim.prepare(load(asked | {"field_map": paths, "coils": coils}))
    found = np.asarray(shim.solve(again).design.parts["currents"].values)[0, 0]
    np.testing.assert_allclose(found, [2, -0.5], atol=1e-9)


def test_steps_count_within_a_map_only(heads):
    spec = load({"kind": "shim", "name": "two", "subjects": heads[:2], "coils": COILS, "limits": {"current": 2, "step": 0.5}, "schedule": {"shots": "slabs", "thickness": 9}})
    result = run(spec)
    assert result.figures["current_step_max"].value <= 0.5 * (1 + 1e-6)
    assert result.figures["optimality_gap"].value < 1e-6


# --- a scanner's own calibration --------------------------------------------------------------------------------

MEASURED = Path(__file__).parent / "reference" / "siemens_shim_calibration.npz"
SIEMENS = ("X", "Y", "Z", "Z2", "ZX", "ZY", "X2-Y2", "XY")


def calibration():
    """Field per unit of each shim of a Siemens 3 T scanner at 1500 points of a phantom (HarmonizedMRI/B0shimming @5d3cf23, MIT)."""
    with np.load(MEASURED) as data:
        return data["points_m"].astype(float), data["frequency_hz"].astype(float), data["setting"].astype(float)


def test_second_order_fits_the_measured_shims():
    """What is left of each map is noise; and the factors are the maker's: ZX means 2zx, XY 2xy."""
    from designtools.quantities.monitoring import basis

    points, maps, setting = calibration()
    matrix = basis(points, 2, 0.1)
    left = maps - matrix @ np.linalg.lstsq(matrix, maps, rcond=None)[0]
    assert np.sqrt(np.mean(left**2, axis=0)).max() <= 0.74
    terms = np.stack([np.asarray(from_shim_terms({name: 1.0}, "siemens", 0.1).component(points)) for name in SIEMENS], axis=1) * GAMMA_BAR
    found = np.linalg.lstsq(np.column_stack([terms, np.ones(len(points))]), maps / setting, rcond=None)[0][:8]
    assert sorted(np.abs(found).argmax(axis=0)) == list(range(8))  # each shim is one term, in the order of that scanner's software
    np.testing.assert_allclose(np.abs(found).max(axis=0), 1.0, atol=0.035)


def test_a_calibration_turns_terms_into_real_channels(tmp_path):
    """Channels of two terms each, and one with an offset; a map made of them is undone by their currents."""
    table = "term,first,second\nX,1.0,0.2\nZ2,0,3.0\noffset,5,0\n"
    (tmp_path / "calibration.csv").write_text(table)
    coils = harmonics(2, convention="siemens", calibration=str(tmp_path / "calibration.csv"), amplitudes={"second": 2.0})
    setting = shim.prepare(spec_of("ge3t", coils))
    points = setting.volumes[0].points
    plain = {name: GAMMA_BAR * np.asarray(from_shim_terms({name: 1.0}, "siemens", 0.1, axes="RAS").component(points)) for name in ("X", "Z2")}
    np.testing.assert_allclose(setting.profiles[0][:, 0], plain["X"] + 5, rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(setting.profiles[0][:, 1], 0.2 * plain["X"] + 3 * plain["Z2"], rtol=1e-9, atol=1e-9)
    assert setting.channels[0].names == ("first", "second") and setting.channels[0].most.tolist() == [np.inf, 2.0]
    (tmp_path / "calibration.csv").write_text("term,first\nQ,1.0\n")
    with pytest.raises(SpecError, match="rows named X, Y, Z"):
        shim.prepare(spec_of("ge3t", coils))


@pytest.mark.parametrize(
    "change, words",
    [
        ({"criterion": "l1", "through_slice": "5 mm"}, "through_slice: must be left out for criterion l1"),
        ({"through_slice": "5 mm", "layout": {}}, "layout: must be left out with through_slice"),
        ({"schedule": {"shots": "slices"}, "layout": {}, "coils": [harmonics(1, update="static"), COILS]}, "layout: must be left out where static"),
    ],
)
def test_what_would_be_ignored_is_refused(change, words):
    with pytest.raises(SpecError, match=words):
        spec_of("ge3t", **({"coils": COILS, "limits": {"current": 1}} | change))
