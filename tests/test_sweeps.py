"""Sweeps: hypercubes, trade-offs, tolerances, workers that die, and a real Dask cluster that loses one of its two."""

import json
import os
import sqlite3
import subprocess
import sys
import time

import numpy as np
import pytest
from dying import dies_always, dies_once
from typer.testing import CliRunner

from designtools import cli, sweep
from designtools.sources import Assembly, Blocks, Filaments, Loops, Magnets
from designtools.sweep.built import displaced
from designtools.sweep.outcome import pareto_of
from designtools.sweep.workers import crew

TINY = """
kind: gradient
name: tiny
region: {radius: 80 mm}
target: {gradient_axis: x, strength: 30 mT/m, error: 10 %}
primary: {radius: 190 mm, length: 560 mm}
conductor: {width: 4 mm, thickness: 4 mm}
winding: {turns: 6}
mesh: {resolution: 40 mm}
audit: {points: 200}
requirements: [{quantity: linearity_error_max, op: '<=', limit: 9.5 %}]
"""


@pytest.fixture
def tiny(tmp_path):
    path = tmp_path / "tiny.yaml"
    path.write_text(TINY)
    return path


def call(*arguments):
    return CliRunner().invoke(cli.app, ["sweep", *map(str, arguments)])


def figure(value, unit="1"):
    return {"value": value, "unit": unit, "method": "toy"}


def toy(spec, folder, overrides):
    """Stands in for a design: the error is what is allowed, resistance falls as its inverse; below 4 % there is none."""
    limit = float(str(overrides.get("target.error", "10 %")).split()[0])
    if limit < 4:
        return {"status": "infeasible", "message": "too tight", "figures": {}}
    return {"status": "done", "message": "", "figures": {"linearity_error_max": figure(limit / 100), "resistance": figure(1 / limit, "ohm")}}


# --- plans -----------------------------------------------------------------------------------------------------


def test_a_latin_hypercube_has_one_design_in_every_slice_and_its_seed_decides(tiny):
    def ask(seed):
        return sweep.plan(tiny, ["primary.radius=180:220 mm", "winding.turns=4:9", "conductor.material=copper,aluminium"], samples=12, seed=seed)

    designs = ask(3).designs
    radii = sorted(float(d["primary.radius"].split()[0]) for d in designs)
    assert [int((r - 180) / 40 * 12) for r in radii] == list(range(12))
    assert sorted(d["winding.turns"] for d in designs) == sorted([4, 5, 6, 7, 8, 9] * 2)
    assert sorted(d["conductor.material"] for d in designs) == ["aluminium"] * 6 + ["copper"] * 6
    assert ask(3) == ask(3) and ask(3).designs != ask(4).designs and ask(3).identity != ask(4).identity


def test_a_list_of_values_may_be_anything_the_key_accepts(tiny):
    assert [d["conductor.material"] for d in sweep.plan(tiny, ["conductor.material=copper,aluminium"]).designs] == ["copper", "aluminium"]


def test_a_scatter_is_normal_about_the_spec(tiny):
    plan = sweep.plan(tiny, scatter=["primary.radius=0.5 mm", "primary.length=1 %"], samples=400, seed=1)
    assert plan.designs[0] == {}
    radius, length = (np.array([d[key] for d in plan.designs[1:]]) for key in ("primary.radius", "primary.length"))
    assert radius.mean() == pytest.approx(0.19, abs=2e-6) and radius.std() == pytest.approx(5e-4, rel=0.01)
    assert length.mean() == pytest.approx(0.56, abs=2e-5) and length.std() == pytest.approx(5.6e-3, rel=0.01)
    assert abs(np.corrcoef(radius, length)[0, 1]) < 0.15


@pytest.mark.parametrize(
    "options, words",
    [
        ([], "one of --vary, --epsilon and --scatter must be given"),
        (["--vary", "winding.turns=4:5:2", "--epsilon", "target.error=3 %:9 %:4"], "only one"),
        (["--vary", "winding.turns=4:5"], "or --samples given"),
        (["--vary", "winding.turns=4:5:2", "--samples", "4"], "without a number of values"),
        (["--vary", "winding.turns=4:5", "--samples", "1"], "--samples from 2"),
        (["--vary", "winding.turns=4:5:2", "--vary", "winding.turns=4:5:2"], "'winding.turns' twice"),
        (["--vary", "winding.turns=1:9999:400", "--vary", "primary.radius=0.1:0.2:400"], "at most 100000 designs, got 160000"),
        (["--epsilon", "target.error=3 %:9 %"], "N of at least 3"),
        (["--epsilon", "target.error"], "--epsilon must be KEY.PATH=A:B:N"),
        (["--scatter", "primary.radius=0.2 mm"], "--scatter needs --samples"),
        (["--scatter", "primary.raduis=0.2 mm", "--samples", "4"], "did you mean 'radius'?"),
        (["--scatter", "name=0.2 mm", "--samples", "4"], "must name a number"),
        (["--scatter", "primary.radius=-1 mm", "--samples", "4"], "greater than 0"),
        (["--scatter", "built.colour=1 %", "--samples", "4"], "built.position, built.angle, built.strength"),
        (["--scatter", "built.position=1 %", "--samples", "4"], "must be a length"),
        (["--scatter", "built.angle=1 deg", "--scatter", "primary.radius=1 mm", "--samples", "4"], "not both"),
        (["--vary", "winding.turns=4:5:2", "--cluster", "tcp://127.0.0.1:9"], "--cluster must be the address of a Dask scheduler"),
    ],
)
def test_what_makes_no_sense_is_refused_in_a_sentence(tiny, tmp_path, options, words, monkeypatch):
    if "--cluster" in options:
        monkeypatch.setattr("distributed.Client", lambda *a, **k: (_ for _ in ()).throw(OSError("connection refused")))
    done = call(tiny, *options, "--out", tmp_path / "s")
    assert done.exit_code == 2 and words in done.stderr and done.stderr.count("\n") == 1


# --- trade-offs ------------------------------------------------------------------------------------------------

AXES = "linearity_error_max,resistance"


def trade(tiny, folder, **options):
    plan = sweep.plan(tiny, epsilon="target.error=2 %:20 %:9")
    return sweep.run(plan, folder, workers=0, axes=AXES, design=toy, **options)


def test_a_trade_off_is_explored_where_its_figures_are_far_apart(tiny, tmp_path):
    outcome = trade(tiny, tmp_path / "s")
    limits = sorted(float(run["overrides"]["target.error"].split()[0]) for run in outcome.runs)
    assert len(limits) == 9 and limits[0] == 2 and limits[-1] == 20
    done = sorted((run["figures"]["linearity_error_max"]["value"], run["figures"]["resistance"]["value"]) for run in outcome.runs if run["figures"])
    assert len(done) == len(outcome.pareto)
    steps = np.abs(np.diff(np.array(done), axis=0)) / np.ptp(np.array(done), axis=0)
    assert steps.sum(1).max() < 0.45  # an even spacing of the limit leaves a step of 0.58
    assert trade(tiny, tmp_path / "t").as_dict()["designs"] == outcome.as_dict()["designs"]


def test_a_trade_off_goes_on_where_it_was_killed(tiny, tmp_path):
    seen = []

    def breaks(spec, folder, overrides):
        seen.append(overrides)
        if len(seen) == 5:
            raise KeyboardInterrupt
        return toy(spec, folder, overrides)

    whole = trade(tiny, tmp_path / "whole")
    plan = sweep.plan(tiny, epsilon="target.error=2 %:20 %:9")
    with pytest.raises(KeyboardInterrupt):
        sweep.run(plan, tmp_path / "s", workers=0, axes=AXES, design=breaks)
    assert trade(tiny, tmp_path / "s", resume=True).as_dict()["designs"] == whole.as_dict()["designs"]


def test_the_front_is_that_of_the_definition():
    rng = np.random.default_rng(5)
    points = rng.integers(0, 12, (200, 2)).astype(float)
    runs = [{"index": i, "status": "done", "figures": {"resistance": figure(x), "inductance": figure(y)}} for i, (x, y) in enumerate(points)]
    beaten = [((points <= p).all(1) & (points < p).any(1)).any() for p in points]
    assert pareto_of(runs, ("resistance", "inductance")) == tuple(np.flatnonzero(~np.array(beaten)))


# --- the folder ------------------------------------------------------------------------------------------------


def test_points_and_rows_open_their_designs_and_nothing_else_runs(tiny, tmp_path):
    def with_report(spec, folder, overrides):
        folder.mkdir()
        (folder / "report.html").write_text("here")
        return toy(spec, folder, overrides)

    plan = sweep.plan(tiny, ["target.error=5 %:9 %:2"])
    page = sweep.run(plan, tmp_path / "s", workers=0, axes=AXES, design=with_report).report.read_text()
    assert '<a href="0000/report.html">0</a>' in page and "plotly_click" in page and page.count("0001\\u002freport.html") + page.count('"0001/report.html"') >= 2
    hostile = {"index": 0, "status": "failed", "message": "<script>alert(1)</script>", "overrides": {"target.error": "</script><b>"}, "figures": toy("", "", {})["figures"]}
    from designtools.sweep.page import write_page

    text = write_page(tmp_path / "p.html", plan, [hostile], ("linearity_error_max", "resistance"), (0,), ()).read_text()
    assert "<script>alert" not in text and "</script><b>" not in text


def test_two_sweeps_never_share_a_folder(tiny, tmp_path):
    plan = sweep.plan(tiny, ["target.error=5 %:9 %:2"])

    def nested(spec, folder, overrides):
        with pytest.raises(sweep.BadSweep, match="another run works in it"):
            sweep.run(plan, tmp_path / "s", workers=0, resume=True, design=toy)
        return toy(spec, folder, overrides)

    assert len(sweep.run(plan, tmp_path / "s", workers=0, design=nested).runs) == 2


def test_a_database_of_an_earlier_version_goes_on_and_a_foreign_one_is_refused(tiny, tmp_path):
    plan = sweep.plan(tiny, ["target.error=5 %:9 %:2"])
    (tmp_path / "s").mkdir()
    with sqlite3.connect(tmp_path / "s" / "sweep.sqlite") as old:
        old.execute("create table designs (number integer primary key, fingerprint text, overrides text, status text, message text, figures text)")
        done = toy("", "", plan.designs[0])
        rows = [(i, f, json.dumps(d)) for i, (f, d) in enumerate(zip(plan.fingerprints, plan.designs))]
        old.executemany("insert into designs (number, fingerprint, overrides) values (?, ?, ?)", rows)
        old.execute("update designs set status = 'done', message = '', figures = ? where number = 0", [json.dumps(done["figures"])])
    old.close()
    seen = []
    sweep.run(plan, tmp_path / "s", workers=0, resume=True, design=lambda s, f, o: seen.append(o) or toy(s, f, o))
    assert seen == [plan.designs[1]]
    (tmp_path / "t").mkdir()
    (tmp_path / "t" / "sweep.sqlite").write_text("no database, but long enough to be taken for one" * 40)
    with pytest.raises(sweep.BadSweep, match="must be the database of a sweep"):
        sweep.run(plan, tmp_path / "t", workers=0, resume=True, design=toy)


# --- workers that die ------------------------------------------------------------------------------------------


@pytest.mark.skipif(os.name == "nt", reason="SIGKILL")
@pytest.mark.parametrize("design, fate", [(dies_once, "done"), (dies_always, "failed")])
def test_a_killed_process_takes_nothing_along(tmp_path, design, fate):
    jobs = [(i, design, tmp_path, tmp_path / str(i), {"kill": i == 1}) for i in range(4)]
    with crew(2, None, tmp_path) as work:
        records = dict(work(jobs))
    assert sorted(records) == [0, 1, 2, 3]
    assert [records[i]["status"] for i in range(4)] == ["done", fate, "done", "done"]


# --- tolerances ------------------------------------------------------------------------------------------------


def test_parts_are_displaced_turned_and_weakened_each_for_itself():
    rng = np.random.default_rng(0)
    n = 4000
    loops = Loops(np.zeros((n, 3)), np.tile([0, 0, 1.0], (n, 1)), np.full(n, 0.1), np.ones(n))
    off = displaced(loops, {"position": 1e-3, "angle": 0.01, "strength": 0.02}, rng)
    assert np.asarray(off.centre).std(0) == pytest.approx(np.full(3, 1e-3), rel=0.05)
    assert np.asarray(off.normal)[:, :2].std(0) == pytest.approx(np.full(2, 0.01), rel=0.05)
    assert np.asarray(off.current).std() == pytest.approx(0.02, rel=0.05)


@pytest.mark.parametrize(
    "source",
    [
        Filaments.from_path(np.array([[0.1, 0, 0], [0, 0.1, 0], [-0.1, 0, 0]]), 3.0),
        Blocks([0.1], [0.12], [0.02], [0.05], [1e6]),
        Magnets([[0.1, 0, 0]], [[0.01, 0.02, 0.03]], [[0.1, 0.2, 0.3]], [[0, 0, 1.2]]),
        Assembly([Loops([[0, 0, 0.05]], [[0, 0, 1.0]], [0.1], [2.0])]),
    ],
)
def test_an_error_of_place_moves_the_field_along(source):
    """A part that is only displaced has the field of the undisturbed part, seen from elsewhere."""
    points = np.array([[0.01, 0.02, -0.03], [0.0, -0.02, 0.01]])
    off = displaced(source, {"position": 2e-3}, np.random.default_rng(1))
    shift = np.random.default_rng(1).normal(size=(1, 3))[0] * 2e-3
    assert np.asarray(off.field(points)) == pytest.approx(np.asarray(source.field(points - shift)), rel=1e-9, abs=1e-16)


def test_tolerances_of_what_is_built_widen_the_error(tiny, tmp_path):
    """One real design and five samples of it: a winding in one piece, so that its gradient follows its strength."""
    options = ["--scatter", "built.strength=1 %", "--scatter", "built.position=0.1 mm", "--samples", 5, "--seed", 2, "--pareto", AXES]
    done = call(tiny, *options, "--out", tmp_path / "s", "--workers", 0, "--json")
    record = json.loads(done.stdout)
    assert [d["overrides"].get("sample") for d in record["designs"]] == [None, 1, 2, 3, 4, 5]
    gradient = [d["figures"]["gradient_strength"]["value"] for d in record["designs"]]
    shares = [np.random.default_rng([2, i]).normal(size=7)[6] * 0.01 for i in range(1, 6)]
    assert np.array(gradient[1:]) / gradient[0] - 1 == pytest.approx(np.array(shares), abs=3e-4)
    spread = {row["figure"]: row for row in record["spread"]}["gradient_strength"]
    assert spread["nominal"] == gradient[0] and spread["std"] == pytest.approx(np.std(gradient[1:], ddof=1))
    assert (tmp_path / "s" / "spread.csv").is_file() and not (tmp_path / "s" / "0001").exists()


# --- a real cluster --------------------------------------------------------------------------------------------


def dask(*arguments, log):
    environment = os.environ | {"DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES": "5", "OPENBLAS_NUM_THREADS": "1"}
    return subprocess.Popen([sys.executable, "-m", "distributed.cli." + arguments[0], *map(str, arguments[1:])], stdout=log, stderr=log, env=environment)


def waited_for(what, seconds=90):
    for _ in range(seconds * 10):
        if found := what():
            return found
        time.sleep(0.1)
    raise AssertionError("nothing came")


@pytest.mark.skipif(os.name == "nt", reason="SIGKILL")
def test_a_cluster_loses_a_worker_and_no_design(tiny, tmp_path):
    """A real scheduler, two workers, one killed once the first design has ended; all three end, each once in the table."""
    file, running = tmp_path / "scheduler.json", []
    with (tmp_path / "dask.log").open("w") as log:
        try:
            running.append(dask("dask_scheduler", "--port", 0, "--no-dashboard", "--scheduler-file", file, log=log))
            address = waited_for(lambda: file.exists() and file.read_text().strip() and json.loads(file.read_text())["address"])
            place = ("--nthreads", 1, "--no-nanny", "--no-dashboard", "--local-directory", tmp_path / "w")
            running += [dask("dask_worker", address, *place, log=log) for _ in range(2)]
            arguments = ["sweep", tiny, "--vary", "winding.turns=4:6:3", "--cluster", address, "--out", tmp_path / "s"]
            command = [sys.executable, "-m", "designtools", *map(str, arguments), "--json"]
            with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
                waited_for(lambda: (tmp_path / "s" / ".0000.solution.npz").exists() or (tmp_path / "s" / "0000").exists())
                running[-1].kill()
                out, said = process.communicate(timeout=240)
        finally:
            for part in running:
                part.kill()
                part.wait()
    assert process.returncode in (0, 3), said
    record = json.loads(out)
    assert [d["status"] in ("done", "requirement missed") for d in record["designs"]] == [True] * 3
    folders = sorted(p.name for p in (tmp_path / "s").iterdir())
    assert folders == ["0000", "0001", "0002", "pareto.html", "sweep.csv", "sweep.sqlite"]
    assert [d["overrides"]["winding.turns"] for d in record["designs"]] == [4, 5, 6]
