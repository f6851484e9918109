"""Permanent magnets: published ones recomputed, the bar of the head problem, and from a spec to pockets and ledger."""

import json
from dataclasses import replace
from pathlib import Path

import magpylib
import numpy as np
import pytest

import designtools as dt
from designtools import load_spec
from designtools.export import export, pockets
from designtools.pipeline import run
from designtools.quantities import demagnetisation, permanent
from designtools.recipes import halbach, halbach_map
from designtools.recipes.halbach_evidence import grades_of
from designtools.recipes.halbach_scatter import shim_sites, sites_effect, surface
from designtools.recipes.halbach_stock import Ring, slots
from designtools.result import Result
from designtools.solve import integer, levels
from designtools.spec import SpecError

HERE = Path(__file__).parent
FACTS = json.loads((HERE / "reference" / "halbach.json").read_text())
MAP = json.loads((HERE / "reference" / "halbach_map.json").read_text())
BAR = {
    "kind": "halbach",
    "name": "head problem",
    "frame": {"b0_axis": "x", "bore_axis": "z"},
    "region": {"radius": "100 mm"},
    "field": {"floor": "49 mT"},
    "magnets": {"edges": ["12 mm"], "remanence": "1.3 T", "recoil_permeability": 1},
    "rings": {"count": 23, "spacing": "22 mm", "radii": FACTS["inner_radii_m"], "layers": ["0 mm", "21 mm"], "pitch": "18.49 mm"},
}
SMALL = {
    "kind": "halbach",
    "name": "small magnet",
    "frame": {"b0_axis": "y", "bore_axis": "x"},
    "region": {"radius": "8 mm"},
    "field": {"floor": "60 mT"},
    "magnets": {"edges": ["8 mm"]},
    "rings": {"count": 5, "spacing": "11 mm", "radii": ["36 mm", "38 mm", "40 mm", "42 mm"]},
    "refine": {"radius": "1 mm", "position": "0.5 mm", "step": "0.1 mm"},
    "search": {"rounds": 60, "nodes": 8},
    "scatter": {"samples": 200},
    "trays": {"radius": "26 mm", "rows": 3, "per_row": 8, "length": "30 mm", "edge": "2 mm"},
    "siting": {"enabled": False},
    "audit": {"points": 300},
}


# --- the head problem ---------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def head():
    setting = halbach.prepare(load_spec(BAR))
    return setting, halbach.problem(setting)


def test_the_search_space_is_the_published_one(head):
    setting, task = head
    inner = [[ring for ring in option.rings if ring.radius < option.rings[0].radius + 1e-9][0] for option in setting.options[0]]
    assert task.size.shape == (12, 19)
    assert [ring.count for ring in inner] == FACTS["inner_counts"]
    assert [max(r.count for r in o.rings) for o in setting.options[3]] == [n + FACTS["outer_extra"] for n in FACTS["inner_counts"]]


@pytest.mark.parametrize("row", FACTS["magnets"], ids=lambda row: row["name"])
def test_known_magnets_have_their_field(head, row):
    """Peak to peak on our meridians against that of dense dipoles, times the ratio of cubes to dipoles on fewer points."""
    setting, task = head
    choice = np.array(row["vector"])
    picked = [setting.options[g][s] for g, s in enumerate(choice)]
    assert sum(ring.count for option in picked for ring in option.rings) == row["count"]
    assert 1e3 * task.size_of(choice) == pytest.approx(row["cube_B0_mT"], rel=1e-9)
    dense = row["dipole_pp_ppm"] * row["cube_pp_ppm"] / row["dipole_pp_same_points_ppm"]
    assert 1e6 * np.ptp(task.field(choice)) / task.size_of(choice) == pytest.approx(dense, rel=5e-3)


def test_the_choice_beats_the_genetic_algorithm_and_its_bound_holds(head):
    setting, task = head
    solution = halbach.solve(setting)
    stage = solution.history[0]
    assert 1e6 * stage["value"] <= 360  # the genetic algorithm reaches 1,030 ppm
    assert 90e-6 < stage["bound"] < stage["value"] and solution.gap == pytest.approx(1 - stage["bound"] / stage["value"])
    magnets = halbach.wind(setting, solution).source
    field = np.asarray(magnets.field(np.concatenate([np.zeros((1, 3)), surface((0.1,) * 3, 1500)])))[:, 0]
    assert field[0] >= 49e-3 and 1e6 * np.ptp(field[1:]) / field[1:].mean() <= 380
    known = [integer.certified_bound(task, *np.random.default_rng(0).random((2, len(task.base)))), stage["bound"]]
    for row in FACTS["magnets"]:
        if task.size_of(row["vector"]) >= task.floor:
            assert max(known) <= task.value(np.array(row["vector"]))


def test_moving_rings_has_the_derivative_it_states(head):
    setting, _ = head
    picked = [setting.options[g][s] for g, s in enumerate(FACTS["magnets"][0]["vector"])][:3]
    movable = halbach.Movable(picked, load_spec(BAR | {"refine": {}}))
    target, none = setting.target[::8], np.zeros(len(setting.target[::8]))
    _, slope, _, centre = movable.evaluate(movable.start, target, none)
    rng, step = np.random.default_rng(0), 1e-5
    way = rng.normal(size=len(movable.start))
    low, high = (movable.evaluate(movable.start + s * step * way, target, none) for s in (-1, 1))
    np.testing.assert_allclose((high[0] - low[0]) / (2 * step), slope @ way, rtol=1e-5, atol=1e-7)
    assert (high[2] - low[2]) / (2 * step) == pytest.approx(float(centre @ way), rel=1e-5)


# --- physics ------------------------------------------------------------------------------------------


def test_fine_rings_approach_the_ideal_cylinder_of_finite_length():
    """B0 = Br [G(ri) - G(ro)], G(r) = z0/2s + ln((z0 + s)/r), s = sqrt(r^2 + z0^2): thin cubes on a fine grid."""
    inner, outer, z0, edge = 0.05, 0.07, 0.06, 0.005
    radii, places = np.arange(inner + edge / 2, outer, edge), np.arange(-z0 + edge / 2, z0, edge)
    grid = [(r, z) for r in radii for z in places]
    count = [int(2 * np.pi * r / edge) for r, _ in grid]
    filled = [2 * np.pi * r / (n * edge) for (r, _), n in zip(grid, count)]  # gaps between cubes made up by remanence
    magnets, _ = permanent.rings(*np.array(grid).T, count, np.full((len(grid), 3), edge), np.array(filled))
    G = lambda r: z0 / (2 * np.hypot(r, z0)) + np.log((z0 + np.hypot(r, z0)) / r)
    field = np.asarray(magnets.field(np.zeros((1, 3))))[0]
    assert field[0] == pytest.approx(G(inner) - G(outer), rel=2e-3)
    assert abs(field[1:]).max() < 1e-4 * field[0]


def test_groups_and_sensitivities_sum_to_the_field():
    magnets, ring = permanent.rings([0.05, 0.06], [0.0, 0.02], [12, 16], [[0.01] * 3] * 2, [1.3, 1.2])
    points, way = np.random.default_rng(0).normal(size=(7, 3)) * 0.01, np.array([0.6, 0.0, 0.8])
    whole = np.asarray(magnets.field(points)) @ way
    np.testing.assert_allclose(np.asarray(permanent.grouped_field(magnets, ring, 2, points, way)).sum(axis=0), whole, rtol=1e-12)
    slopes = permanent.sensitivity(magnets, points, way)
    np.testing.assert_allclose(np.einsum("pni,ni->p", slopes, np.asarray(magnets.polarization_in_space())), whole, rtol=1e-12)


def cubes(centre, edge, remanence):
    rows = len(centre)
    return dt.Magnets(np.asarray(centre, float), np.full((rows, 3), edge), np.zeros((rows, 3)), np.tile([0.0, 0.0, remanence], (rows, 1)))


def test_a_single_cube_and_a_sphere_of_cubes_have_the_polarization_of_a_third():
    """J = Jr / (1 + (mu_r - 1)/3) in a sphere and, by symmetry, at the centre of a cube."""
    expected = 1.3 / (1 + 0.05 / 3)
    one = demagnetisation.self_consistent(cubes([[0, 0, 0]], 0.01, 1.3), 1.05)
    assert float(one.magnets.polarization[0, 2]) == pytest.approx(expected, rel=1e-10)
    axis = np.arange(-5, 6) * 0.01
    grid = np.stack(np.meshgrid(axis, axis, axis, indexing="ij"), axis=-1).reshape(-1, 3)
    ball = cubes(grid[np.linalg.norm(grid, axis=1) < 0.055], 0.01, 1.3)
    inside = demagnetisation.self_consistent(ball, 1.05)
    assert float(inside.magnets.polarization[:, 2].mean()) == pytest.approx(expected, rel=1e-3)
    assert inside.field_h.max() < 0


def test_two_cubes_satisfy_the_recoil_line_by_magpylib():
    pair = cubes([[0, 0, 0], [0, 0.004, 0.012]], 0.01, 1.3)
    found = demagnetisation.self_consistent(pair, 1.1).magnets
    judges = [magpylib.magnet.Cuboid(polarization=np.asarray(found.polarization[i]), dimension=(0.01,) * 3, position=np.asarray(found.centre[i])) for i in range(2)]
    for i in range(2):
        field = magpylib.getB(judges, np.asarray(found.centre[i]), sumup=True)
        expected = np.array([0, 0, 1.3]) + 0.1 * (field - np.asarray(found.polarization[i]))
        np.testing.assert_allclose(np.asarray(found.polarization[i]), expected, atol=1e-9)


def test_a_permeability_that_is_no_hard_magnets_is_refused():
    with pytest.raises(ValueError, match="near 1"):
        demagnetisation.self_consistent(cubes([[0, 0, 0], [0, 0, 0.01], [0, 0, 0.02]], 0.01, 1.3), 9.0)


def test_loads_are_those_of_exact_cuboids_and_balance():
    magnets, ring = permanent.rings([0.05, 0.06], [0.0, 0.02], [12, 16], [[0.01] * 3] * 2, [1.3, 1.2])
    force, torque = permanent.placement_loads(magnets)
    size = np.linalg.norm(force, axis=1).max()
    assert np.abs(force.sum(axis=0)).max() < 1e-3 * size  # action and reaction
    pick = lambda rows: dt.Magnets(*(np.asarray(v)[rows] for v in (magnets.centre, magnets.size, magnets.rotation, magnets.polarization)))
    one, others = pick([3]), pick([i for i in range(28) if i != 3])
    exact = np.asarray(dt.force(one, others))
    np.testing.assert_allclose(force[3], exact, atol=5e-3 * size)
    about = np.asarray(dt.torque(one, others)) - np.cross(np.asarray(one.centre)[0], exact)
    np.testing.assert_allclose(torque[3], about, atol=2e-2 * size * 0.01)
    first, _ = permanent.placement_loads(magnets, np.arange(28))
    assert not first[0].any() and np.linalg.norm(first[27]) == pytest.approx(np.linalg.norm(force[27]))


def test_passive_shims_against_a_measured_map_beat_greedy_placement():
    """600 places on a cylinder, cubes of 3 mm along or against the field or none."""
    points, field = np.array(MAP["points_mm"]) * 1e-3, np.array(MAP["field_mT"]) * 1e-3
    angle, z = np.meshgrid(2 * np.pi * np.arange(24) / 24, np.linspace(-0.13, 0.13, 25))
    centre = np.stack([0.135 * np.cos(angle), 0.135 * np.sin(angle), z], axis=-1).reshape(-1, 3)
    sites = dt.Magnets(centre, np.full((600, 3), 3e-3), np.zeros((600, 3)), np.tile([1.3, 0, 0], (600, 1)))
    effect = 1.3 * permanent.sensitivity(sites, points, [1, 0, 0])[:, :, 0]
    ppm = 1e6 / field.mean() / np.sqrt(len(field))
    matrix, base = ppm * (effect - effect.mean(axis=0)), ppm * (field - field.mean())
    placed = levels.place(matrix, base, kicks=2)
    assert np.linalg.norm(base) == pytest.approx(FACTS["passive"]["before_rms_ppm"], rel=0.02)
    assert placed.bound < placed.value < FACTS["passive"]["greedy_rms_ppm"]
    assert placed.value < 0.85 * np.linalg.norm(base + matrix @ levels.greedy(matrix, base))


# --- a measured map -----------------------------------------------------------------------------------


def test_a_measured_map_gives_back_the_shims_that_are_missing(tmp_path):
    """A homogeneous field less that of known cubes: they even it out again, and the bad reading is left out."""
    points = 0.007 * np.random.default_rng(0).normal(size=(400, 3))
    points = points[np.linalg.norm(points, axis=1) < 8e-3]
    setting = halbach.prepare(load_spec(SMALL))
    sites = shim_sites(setting)
    known = np.zeros(24)
    known[[2, 9, 20]] = [1, -1, 1]
    field = 0.06 - sites_effect(setting, sites, points) @ known
    rows = [f"{x},{y},{z},{b}" for (x, y, z), b in zip(1e3 * points, 1e3 * field)]
    file = tmp_path / "map.csv"
    file.write_text("\n".join(["# Hall probe", "x_mm,y_mm,z_mm,B_mT", *rows, "0,0,0,12.5"]))
    found = halbach_map.shimmed_map(halbach.prepare(load_spec(SMALL, {"measured.file": str(file)})), lambda words: None)
    assert found.levels.tolist() == known.tolist() and len(found.before) == len(points)
    figures = halbach_map.figures(found)
    assert figures["homogeneity_pp_map"].value > 1e-4 and figures["homogeneity_pp_map_shimmed"].value < 1e-8
    np.savez(tmp_path / "map.npz", xyz_m=points, B_T=np.stack([0 * field, field, 0 * field], axis=1))  # b0 is along y
    np.testing.assert_allclose(halbach_map.read_map(tmp_path / "map.npz", setting.b0)[1], field, rtol=1e-12)
    record = halbach_map.record(found)
    (written,) = export(Result("halbach", "x", "done", audit=record), "shims", tmp_path / "shims.csv")
    table = np.array([line.split(",") for line in written.read_text().splitlines() if line[0] in "-.0123456789"], float)
    np.testing.assert_allclose(table[:, :3], sites.centre, atol=1e-12)
    assert table[:, 3].tolist() == known.tolist()


@pytest.mark.parametrize("text, words", [("a,b\n1,2\n", "must hold columns x_mm"), ("x_mm,y_mm,z_mm,B_mT\n0,0,0,60\n", "at least 20 points"), ("", "must hold")])
def test_a_map_that_says_nothing_is_refused(tmp_path, text, words):
    (tmp_path / "map.csv").write_text(text)
    with pytest.raises(SpecError, match=words):
        halbach_map.shimmed_map(halbach.prepare(load_spec(SMALL, {"measured.file": str(tmp_path / "map.csv")})), lambda sentence: None)


def test_the_ledger_knows_the_grade_of_every_magnet():
    stock = slots(load_spec(SMALL, {"magnets.grades": ["N42", "N48"], "magnets.edges": ["8 mm", "7 mm"]}))
    hard = [(8e-3, stock[1].remanence), (7e-3, stock[2].remanence)]
    magnets = dt.Magnets(np.zeros((2, 3)), [[e] * 3 for e, _ in hard], np.zeros((2, 3)), [[0, r, 0] for _, r in hard])
    assert grades_of(magnets, stock) == ["N48", "N42"]


# --- from the spec to the folder ----------------------------------------------------------------------


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    out = tmp_path_factory.mktemp("halbach") / "small"
    return run(SMALL, out=out), out


def test_the_small_magnet_keeps_its_floor_and_says_what_it_is(small):
    result, out = small
    value = {name: figure.value for name, figure in result.figures.items()}
    assert result.status == "done" and value["central_field"] >= 60e-3 * (1 - 1e-3)
    stages = {row["stage"]: row for row in result.audit["stages"]}
    assert stages["built"]["value"] < stages["stock"]["value"] and stages["built"]["bound"] <= stages["built"]["value"] * (1 + 1e-9)
    assert value["homogeneity_pp"] == pytest.approx(stages["built"]["value"], rel=0.1)
    assert value["homogeneity_pp_sorted"] < result.audit["scatter"]["first magnet drawn"]["as drawn"]
    assert value["homogeneity_pp_shimmed"] < result.audit["scatter"]["first magnet drawn"]["as drawn"]
    count = len(result.source.centre)
    assert value["magnet_mass"] == pytest.approx(count * 8e-3**3 * 7500)
    assert result.audit["independent field"]["largest_relative_difference"] < 1e-10
    assert 0.3 < value["demagnetisation_margin"] < 1 and value["temperature_drift"] == pytest.approx(-1.2e-3)
    assert (out / "report.html").stat().st_size > 1e5


def test_the_field_points_along_b0_and_the_rings_lie_across_the_bore(small):
    result, _ = small
    field = np.asarray(result.source.field(np.zeros((1, 3))))[0]
    assert field[1] > 0 and np.abs(field[[0, 2]]).max() < 1e-6 * field[1]
    assert len(np.unique(np.round(np.asarray(result.source.centre)[:, 0], 6))) == 5


def test_scatter_of_the_central_field_is_that_of_independent_magnets(small):
    """Linear in the errors: the relative deviation of the centre's field from the effects of each magnet."""
    result, _ = small
    slopes = permanent.sensitivity(result.source, np.zeros((1, 3)), [0, 1, 0])[0]
    vector = np.asarray(result.source.polarization_in_space())
    size = np.linalg.norm(vector, axis=1)
    across = np.sum((slopes * size[:, None]) ** 2, axis=1) - np.sum(slopes * vector, axis=1) ** 2
    variance = 0.01**2 * np.sum(np.sum(slopes * vector, axis=1) ** 2) + np.radians(1) ** 2 * across.sum()
    expected = np.sqrt(variance) / result.figures["central_field"].value
    assert result.audit["scatter"]["central field, relative std"] == pytest.approx(expected, rel=0.15)


def test_formers_have_a_pocket_for_every_magnet(small, tmp_path):
    from test_export import read_step, step_measure

    result, out = small
    plates = pockets.plates(result)
    assert sum(len(plate.pockets) for plate in plates) == len(result.source.centre)
    volume = [np.pi * (p.outer**2 - p.inner**2) * (p.high - p.low) - len(p.pockets) * 8.2e-3**2 * (p.high - p.floor) for p in plates]
    shape = read_step(export(result, "pockets_step", tmp_path / "rings.step")[0])
    assert sorted(step_measure(shape, "Volume", "SOLID", inside=True)) == pytest.approx(sorted(volume), rel=1e-9)
    for plate, expected in zip(plates, volume):
        mesh = pockets.plate_mesh(plate)
        assert mesh.is_watertight and mesh.volume == pytest.approx(expected, rel=2e-3)
    assert (out / "geometry" / "small_magnet-rings.stl").stat().st_size > 1e4


def test_the_ledger_rebuilds_the_field(small):
    result, out = small
    lines = [line for line in (out / "geometry" / "small_magnet-ledger.csv").read_text().splitlines() if not line.startswith("#")]
    columns, rows = lines[0].split(","), [line.split(",") for line in lines[1:]]
    number = lambda *names: np.array([[float(row[columns.index(n)]) for n in names] for row in rows])
    centre, rotation, size = (number(*(f"{p}{a}{u}" for a in "xyz")) for p, u in (("", "_mm"), ("rotation_", "_rad"), ("size_", "_mm")))
    moment = number("direction_x", "direction_y", "direction_z") * number("polarization_T") * np.prod(size * 1e-3, axis=1)[:, None] / (4e-7 * np.pi)
    field = np.asarray(dt.Dipoles(centre * 1e-3, moment).field(np.zeros((1, 3))))[0]
    assert field[1] == pytest.approx(result.figures["central_field"].value, rel=1e-3)
    assert len(rows) == len(result.source.centre) and np.abs(rotation).max() <= 3.2


def test_a_single_sided_array_reaches_its_field_with_a_certificate():
    asked = {k: v for k, v in SMALL.items() if k not in ("rings", "refine", "trays")} | {
        "name": "array", "frame": {"b0_axis": "x", "bore_axis": "z"}, "region": {"radius": "4 mm"}, "field": {"floor": "20 mT"},
        "array": {"columns": 4, "rows": 4, "pitch": "11 mm", "standoff": "15 mm", "depths": ["0 mm", "3 mm"]}, "former": None,
    }  # fmt: skip
    setting = halbach.prepare(load_spec(asked))
    solution = halbach.solve(setting)
    magnets = halbach.wind(setting, solution).source
    field = np.asarray(magnets.field(np.zeros((1, 3))))[0]
    assert field[0] >= 20e-3 * 0.999 and np.abs(field[1:]).max() < 1e-9
    assert np.asarray(magnets.centre)[:, 2].max() < -15e-3 and 0 <= solution.gap < 1


def test_too_high_a_field_says_what_can_be_had():
    result = run(SMALL | {"field": {"floor": "1 T"}})
    assert result.status == "infeasible" and "lower field.floor from 1 T to" in result.message


@pytest.mark.parametrize(
    "change, key",
    [
        ({"frame.b0_axis": "x"}, "frame.b0_axis"),
        ({"rings.spacing": "8 mm"}, "rings.spacing"),
        ({"magnets.edges": ["9 mm"]}, "magnets.edges.0"),
        ({"region.radius": "35 mm"}, "rings.radii"),
        ({"trays.radius": "40 mm"}, "trays.radius"),
        ({"magnets.temperature": "600 K"}, "magnets.temperature"),
    ],
)
def test_what_cannot_be_built_is_refused(change, key):
    with pytest.raises(SpecError, match=key):
        load_spec(SMALL, change)


def test_warm_magnets_are_weaker():
    cold, warm = (halbach.problem(halbach.prepare(load_spec(SMALL, {"magnets.temperature": t}))) for t in ("20 degC", "30 degC"))
    np.testing.assert_allclose(warm.size / cold.size, 1 - 0.012, rtol=1e-12)


def test_a_ring_keeps_what_makes_its_field():
    ring = Ring(0.1, 0.02, 30, (0.01,) * 3, 1.3)
    assert ring.shape == ring._replace(position=-0.02, remanence=1.0).shape and replace(halbach.Option((ring,)), label="x").rings == (ring,)
