"""The hops as a whole on a small gradient coil: what is written, when nothing is, interruption, resumption, repetition."""

import dataclasses
import json

import numpy as np
import pytest

import designtools
from designtools import pipeline
from designtools.recipes import gradient
from designtools.solve import store
from designtools.solve.solution import Solution, Status
from designtools.spec import SpecError

SPEC = {
    "kind": "gradient",
    "name": "small",
    "version": 1,
    "region": {"shape": "ball", "radius": 0.06},
    "target": {"gradient_axis": "x", "strength": 0.02, "error": 0.10},
    "primary": {"radius": 0.15, "length": 0.5},
    "conductor": {"width": 0.002, "thickness": 0.003, "spacing": 0.0005},
    "winding": {"turns": 5, "joined": True},
    "amplifier": {"current": 300, "voltage": 500},
    "magnet": {"flux_density": 3},
    "mesh": {"resolution": 0.035},
    "audit": {"points": 200},
    "requirements": [{"quantity": "linearity_error_max", "op": "<=", "limit": 0.12}, {"quantity": "wire_length", "op": "<=", "limit": 100.0}],
}
HOPS = ("prepare", "solve", "wind", "audit")


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """One whole run, written, and the sentences it said."""
    out, said = tmp_path_factory.mktemp("runs") / "coil", []
    return designtools.run(SPEC, out, progress=said.append), out, said


def values(result):
    return {name: figure.value for name, figure in result.figures.items()}


def never(*_):
    raise AssertionError("this hop must not run")


def with_hops(monkeypatch, **hops):
    """The gradient recipe with some hops replaced."""
    monkeypatch.setattr(pipeline, "recipe", lambda kind: gradient.RECIPE._replace(**hops))


# --- a run -----------------------------------------------------------------------------------------


def test_a_small_coil_is_designed_and_written(finished):
    result, out, said = finished
    assert result.status == "done" and result.folder == out
    assert tuple(result.timing_s) == (*HOPS, "write") and min(result.timing_s.values()) > 0
    assert {"building the problem", "winding", "auditing on points the optimiser never saw"} <= set(said)
    assert sorted(p.name for p in out.parent.iterdir()) == ["coil"]  # the kept solution is gone
    kept = json.loads((out / "result.json").read_text(encoding="utf-8"))
    assert kept["status"] == "done" and kept["name"] == "small"


def test_the_figures_agree_with_each_other(finished):
    f, spec = values(finished[0]), SPEC
    current = f["operating_current"]
    assert f["efficiency"] * current == pytest.approx(f["gradient_strength"], rel=1e-12)
    assert f["gradient_strength"] == pytest.approx(spec["target"]["strength"], rel=0.1)
    assert f["stored_energy"] == pytest.approx(f["inductance"] * current**2 / 2, rel=1e-12)
    assert f["dissipated_power"] == pytest.approx(f["resistance"] * current**2, rel=1e-12)
    spare = spec["amplifier"]["voltage"] - f["resistance"] * current
    assert f["rise_time"] == pytest.approx(f["inductance"] * current / spare, rel=1e-12)
    assert f["slew_rate"] == pytest.approx(f["gradient_strength"] / f["rise_time"], rel=1e-12)
    assert f["resistance"] == pytest.approx(1.7241e-8 * f["wire_length"] / 6e-6, rel=1e-12)
    assert f["conductor_mass"] == pytest.approx(8890 * f["wire_length"] * 6e-6, rel=1e-12)
    assert f["linearity_error_rms"] < f["linearity_error_max"] < 0.12
    assert f["wire_gap_min"] == pytest.approx(f["wire_spacing_min"] - 0.002, rel=1e-12)


def test_the_audit_judges_independently(finished):
    audit = finished[0].audit
    assert audit["magpylib"]["largest_relative_difference"] < 1e-9 and audit["magpylib"]["points"] == 200
    assert list(audit["stages"]) == ["continuous", "discrete", "joined"]
    sheet = audit["stages"]["continuous"]
    assert sheet["gradient"] == pytest.approx(0.02, rel=2e-3)
    assert 0.09 < sheet["linearity_error_max"] < 0.1005  # the limit binds, and holds on points it was not told
    assert audit["solver"]["duality_gap"] < 1e-6 and audit["solver"]["status"] == "optimal"
    assert audit["symmetry"]["orbit"] == 8
    assert audit["points"] == {"count": 200, "seed": audit["points"]["seed"]}


def test_requirements_are_those_asked_and_those_implied(finished):
    rows = {row["quantity"]: row for row in finished[0].requirements}
    assert list(rows)[:2] == ["linearity_error_max", "wire_length"]
    assert rows["linearity_error_max"]["limit"] == 0.12  # asked for, so not the implied 0.10
    assert rows["wire_spacing_min"]["limit"] == pytest.approx(0.0025) and rows["operating_current"]["limit"] == 300
    assert {row["status"] for row in rows.values()} == {"MET"}


def test_the_same_spec_gives_the_same_figures_and_writes_nothing_without_a_folder(finished, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(pipeline, "write", never)
    monkeypatch.setattr(pipeline, "store_solution", never)
    again = designtools.run(SPEC)
    assert again.folder is None and list(tmp_path.iterdir()) == []
    assert values(again) == values(finished[0])
    assert tuple(again.timing_s) == HOPS
    for a, b in zip(again.windings, finished[0].windings):
        np.testing.assert_array_equal(a.tracks[0].points, b.tracks[0].points)


def test_a_missed_requirement_is_said_and_the_coil_still_written(tmp_path):
    with_strict = SPEC | {"requirements": [SPEC["requirements"][0], {"quantity": "wire_length", "op": "<=", "limit": 1.0}]}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pipeline, "write", lambda result, out, formats: out.mkdir() or out)
        result = designtools.run(with_strict, tmp_path / "coil")
    assert result.status == "requirement missed" and result.message.startswith("1 of ")
    assert result.message.endswith("requirements not met: wire_length")
    assert (tmp_path / "coil").is_dir()


# --- what stops a run ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "changes, key",
    [
        ({"stray": {"radius": 0.2, "length": 0.4, "limit": 1e-6}}, "stray.limit"),
        ({"limits": {"peak_current_density": 500.0}}, "limits.peak_current_density"),
        ({"winding": {"current": 3.0}}, "winding.current"),
    ],
)
def test_an_infeasible_spec_is_told_what_to_relax_and_writes_nothing(tmp_path, monkeypatch, changes, key):
    with_hops(monkeypatch, wind=never, evidence=never)
    result = designtools.run(SPEC | changes, tmp_path / "coil")
    assert result.status == "infeasible" and key in result.message
    assert "the smallest change that makes one possible" in result.message
    assert list(tmp_path.iterdir()) == [] and result.figures == {} and result.source is None
    assert result.audit["solver"]["status"] == "infeasible"


def test_the_advice_for_an_infeasible_spec_works():
    """Relaxing what the advice names, as far as it says and a thousandth more, makes a coil possible."""
    task = SPEC | {"stray": {"radius": 0.2, "length": 0.4, "limit": 1e-6}}
    setting = gradient.prepare(designtools.spec.load(task))
    found = {r.limit: 1 + r.relative * 1.001 for r in gradient.solve(setting).relaxations}
    assert set(found) <= {"target.error", "stray.limit"} and found["stray.limit"] > 10
    relaxed = task | {
        "stray": task["stray"] | {"limit": 1e-6 * found["stray.limit"]},
        "target": SPEC["target"] | {"error": 0.10 * found.get("target.error", 1.0)},
    }
    assert gradient.solve(gradient.prepare(designtools.spec.load(relaxed))).status is Status.OPTIMAL


def test_a_solver_that_stops_early_says_so_and_writes_nothing(tmp_path, monkeypatch):
    def tired(setting, progress):
        design = gradient.start(setting)
        return Solution(design, Status.NOT_CONVERGED, np.zeros(1), 1.0, {}, {}, message="tired")

    with_hops(monkeypatch, solve=tired, wind=never)
    result = designtools.run(SPEC, tmp_path / "coil")
    assert result.status == "not converged" and "raise its iteration limit" in result.message
    assert list(tmp_path.iterdir()) == []


def test_a_bad_spec_is_refused_before_anything_is_built(tmp_path, monkeypatch):
    with_hops(monkeypatch, prepare=never)
    with pytest.raises(SpecError, match="region"):
        designtools.run(SPEC | {"region": {"shape": "ball", "radius": 0.3}}, tmp_path / "coil")
    assert list(tmp_path.iterdir()) == []


def test_an_occupied_folder_is_refused_before_anything_is_built(tmp_path, monkeypatch):
    with_hops(monkeypatch, prepare=never)
    (tmp_path / "coil").mkdir()
    (tmp_path / "coil" / "mine.txt").write_text("keep")
    with pytest.raises(FileExistsError, match="coil"):
        designtools.run(SPEC, tmp_path / "coil")
    assert (tmp_path / "coil" / "mine.txt").read_text() == "keep" and len(list(tmp_path.iterdir())) == 1


def test_overrides_change_the_spec():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pipeline, "recipe", lambda kind: gradient.RECIPE._replace(prepare=lambda model: pytest.fail(str(model.winding.turns))))
        with pytest.raises(pytest.fail.Exception, match="^7$"):
            designtools.run(SPEC, overrides={"winding.turns": 7})


# --- interruption ----------------------------------------------------------------------------------


def stop(*_):
    raise KeyboardInterrupt


def test_an_interrupted_run_goes_on_from_its_solution(finished, tmp_path, monkeypatch):
    out = tmp_path / "coil"
    with monkeypatch.context() as patch:
        with_hops(patch, wind=stop)
        with pytest.raises(KeyboardInterrupt):
            designtools.run(SPEC, out)
    assert [p.name for p in tmp_path.iterdir()] == [pipeline.state_file(out).name]  # the solution and nothing else
    said = []
    with monkeypatch.context() as patch:
        with_hops(patch, solve=never)
        result = designtools.run(SPEC, out, resume=True, progress=said.append)
    assert any(s.startswith("resuming from") for s in said)
    assert result.status == "done" and values(result) == values(finished[0])
    assert result.audit["solver"] == finished[0].audit["solver"]
    assert sorted(p.name for p in tmp_path.iterdir()) == ["coil"]


def test_without_resume_the_kept_solution_is_not_used(finished, tmp_path, monkeypatch):
    """And a resumed run without anything kept solves."""
    out, solved = tmp_path / "coil", []

    def solve(setting, progress):
        solved.append(1)
        raise KeyboardInterrupt

    with_hops(monkeypatch, solve=solve)
    for resume in (False, True):
        with pytest.raises(KeyboardInterrupt):
            designtools.run(SPEC, out, resume=resume)
    assert len(solved) == 2 and list(tmp_path.iterdir()) == []


def test_a_solution_of_another_spec_is_refused_in_words(tmp_path, monkeypatch):
    out = tmp_path / "coil"
    with_hops(monkeypatch, wind=stop)
    with pytest.raises(KeyboardInterrupt):
        designtools.run(SPEC, out)
    with_hops(monkeypatch, solve=never)
    with pytest.raises(store.StaleSolution, match="the spec has changed; run without --resume"):
        designtools.run(SPEC | {"name": "another"}, out, resume=True)


def test_a_stored_solution_comes_back_whole(tmp_path):
    setting = gradient.prepare(designtools.spec.load(SPEC))
    solution = gradient.solve(setting)
    store.store_solution(solution, tmp_path / "kept.npz", "print")
    back = store.load_solution(tmp_path / "kept.npz", "print", gradient.start(setting))
    assert [p.name for p in tmp_path.iterdir()] == ["kept.npz"]
    for f in dataclasses.fields(Solution):
        if f.name not in ("design", "x", "extra"):
            assert getattr(back, f.name) == getattr(solution, f.name), f.name
    np.testing.assert_array_equal(back.x, solution.x)
    assert solution.extra and set(back.extra) == set(solution.extra)  # the turns travel with it
    for name, values in solution.extra.items():
        np.testing.assert_array_equal(back.extra[name], values)
    for name, part in solution.design.parts.items():
        np.testing.assert_array_equal(back.design.parts[name].stream, part.stream)
    point = np.array([[0.01, 0.02, 0.03]])
    np.testing.assert_array_equal(back.design.field(point), solution.design.field(point))
