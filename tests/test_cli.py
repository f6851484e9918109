"""The command line: exit codes, words on stderr, one JSON object on stdout, nothing heavy at import."""

import json
import signal
import subprocess
import sys
import time
import types
import urllib.request
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from designtools import cli, sweep
from designtools.result import Figure, Result
from designtools.spec import KINDS, load, resolved
from designtools.starters import write_starter

SPECS = Path(__file__).parent.parent / "specs"
HEAD = str(SPECS / "head_gradient_x.yaml")


def call(*arguments):
    return CliRunner().invoke(cli.app, [str(a) for a in arguments])


def python(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return done.stdout.strip()


# --- the package -----------------------------------------------------------------------------------------


def test_import_is_light_and_quick():
    heavy = "[m for m in ('jax', 'numpy', 'scipy', 'pydantic', 'typer', 'plotly', 'magpylib') if m in sys.modules]"
    found, seconds = python(
        f"import sys, time; t = time.time(); import designtools; s = time.time() - t; print({heavy}, s, sep=';')"
    ).split(";")
    assert found == "[]"
    assert float(seconds) < 0.3


def test_names_of_the_edge_do_not_load_jax():
    code = "import sys, designtools as dt; dt.MU_0; dt.SpecError; dt.load_spec; print('jax' in sys.modules)"
    assert python(code) == "False"


def test_first_physical_name_switches_to_64_bit():
    code = "import designtools as dt; dt.Filaments; import jax; print(jax.config.jax_enable_x64)"
    assert python(code) == "True"


def test_every_public_name_is_there():
    import designtools

    missing = []
    for name in designtools.__all__:
        try:
            getattr(designtools, name)
        except (ImportError, AttributeError) as error:
            missing.append(f"{name}: {error}")
    assert missing == []
    assert set(designtools.__all__) <= set(dir(designtools))


@pytest.mark.parametrize(
    "code",
    [
        "import designtools as dt; dt.harmonics; import designtools.harmonics",
        "import designtools.harmonics; import designtools as dt",
        "from designtools.harmonics import harmonics; import designtools as dt",
    ],
)
def test_a_submodule_never_hides_the_function_of_its_name(code):
    assert python(code + "; print(type(dt.harmonics).__name__)") == "function"


def test_unknown_name_of_the_package():
    import designtools

    with pytest.raises(AttributeError, match="no attribute 'loop'"):
        designtools.loop


# --- check and new ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", sorted(SPECS.glob("*.yaml")), ids=lambda p: p.stem)
def test_check_accepts_every_published_spec(path):
    done = call("check", path)
    assert done.exit_code == 0 and "valid spec of kind" in done.stdout


def test_check_does_not_load_jax():
    code = (
        "import sys\nfrom designtools.cli import app\n"
        f"try: app(['check', {HEAD!r}])\nexcept SystemExit as end: print(end.code, 'jax' in sys.modules, 'scipy' in sys.modules)"
    )
    assert python(code).splitlines()[-1] == "0 False False"


def test_check_reports_every_mistake_on_stderr():
    done = call("check", HEAD, "--set", "region.radius=5 mT", "--set", "shield.lenth=3")
    assert done.exit_code == 2 and done.stdout == ""
    first, second = done.stderr.splitlines()
    assert first.startswith("--set: region.radius: must be a length")
    assert second.startswith("--set: shield.lenth: must be a known key in shield, got 'lenth'; did you mean 'length'")


def test_check_json_is_one_object_in_both_cases():
    good = call("check", HEAD, "--json")
    assert json.loads(good.stdout)["problems"] == [] and good.stderr == ""
    bad = call("check", HEAD, "--set", "foo=1", "--json")
    assert bad.exit_code == 2
    assert json.loads(bad.stdout)["problems"][0]["key"] == "foo"
    assert "foo" in bad.stderr


@pytest.mark.parametrize("text", ["shield.enabled", "=3"])
def test_set_needs_key_and_value(text):
    done = call("check", HEAD, "--set", text)
    assert done.exit_code == 2 and "--set must be KEY.PATH=VALUE" in done.stderr


@pytest.mark.parametrize("kind", KINDS)
def test_new_writes_a_commented_spec_that_passes_check(kind, tmp_path):
    path = tmp_path / "fresh" / "spec.yaml"
    done = call("new", kind, "--out", path)
    assert done.exit_code == 0 and str(path) in done.stdout
    text = path.read_text(encoding="utf-8")
    assert text.startswith("#") and text.count("#") > 10
    assert call("check", path).exit_code == 0
    assert call("new", kind).stdout == text
    again = call("new", kind, "--out", path)
    assert again.exit_code == 2 and "exists" in again.stderr


@pytest.mark.parametrize("kind, published", [("gradient", "head_gradient_x"), ("magnet", "six_coil_magnet")])
def test_a_starter_is_a_published_spec_under_another_name(kind, published, tmp_path):
    """So that what is known of the published design, such as that it can be built, holds of the starter."""
    (path,) = write_starter(kind, tmp_path / "s.yaml")
    assert resolved(load(path)) | {"name": ""} == resolved(load(SPECS / f"{published}.yaml")) | {"name": ""}


def test_new_never_overwrites_a_map(tmp_path):
    (tmp_path / "mask.nii.gz").write_bytes(b"precious")
    with pytest.raises(FileExistsError, match="mask"):
        write_starter("shim", tmp_path / "s.yaml")
    assert not (tmp_path / "s.yaml").exists()


@pytest.mark.parametrize("kind, words", [("gradeint", "did you mean 'gradient'")])
def test_new_refuses_in_words(kind, words):
    done = call("new", kind)
    assert done.exit_code == 2 and words in done.stderr and done.stdout == ""


# --- design, with a stand-in for the long job ------------------------------------------------------------


@pytest.fixture
def pipeline(monkeypatch):
    """A pipeline that answers at once; `calls` records how it was called."""
    module = types.ModuleType("designtools.pipeline")
    module.calls, module.outcome = [], "done"

    def run(spec, out=None, overrides=None, resume=False, progress=None):
        module.calls.append({"spec": spec, "out": out, "overrides": overrides, "resume": resume})
        progress("solving")
        print("a library that chatters")
        if isinstance(module.outcome, BaseException):
            raise module.outcome
        Path(out).mkdir(parents=True)
        (Path(out) / "report.html").write_text("report")
        figures = {"efficiency": Figure(1.5e-4, "T/m/A", "Biot-Savart"), "stray_field_max": Figure(float("nan"), "T", "none")}
        rows = [{"quantity": "efficiency", "op": ">=", "limit": 1e-4, "value": 1.5e-4, "margin": 0.5, "status": "MET"}]
        return Result(kind="gradient", name="x", status=module.outcome, figures=figures, requirements=rows, folder=Path(out))

    module.run = run
    monkeypatch.setitem(sys.modules, "designtools.pipeline", module)
    return module


@pytest.mark.parametrize(
    "status, code",
    [("done", 0), ("requirement missed", 3), ("infeasible", 4), ("not converged", 4), ("interrupted", 130)],
)
def test_exit_code_follows_the_status(pipeline, tmp_path, status, code):
    pipeline.outcome = status
    done = call("design", HEAD, "--out", tmp_path / "r", "--json")
    assert done.exit_code == code
    assert json.loads(done.stdout)["status"] == status


def test_design_prints_figures_and_the_report_last(pipeline, tmp_path):
    done = call("design", HEAD, "--out", tmp_path / "r", "--set", "shield.enabled=false", "--resume")
    assert done.exit_code == 0
    assert "150 µT/m/A" in done.stdout and "MET" in done.stdout and "NOT EVALUATED" in done.stdout
    assert done.stdout.splitlines()[-1] == str(tmp_path / "r" / "report.html")
    assert "chatters" not in done.stdout and "chatters" in done.stderr
    assert pipeline.calls[0]["overrides"] == {"shield.enabled": "false"} and pipeline.calls[0]["resume"] is True


def test_design_json_is_pure(pipeline, tmp_path):
    done = call("design", HEAD, "--out", tmp_path / "r", "--json")
    record = json.loads(done.stdout)
    assert record["figures"]["efficiency"] == {"value": 1.5e-4, "unit": "T/m/A", "method": "Biot-Savart"}
    assert record["figures"]["stray_field_max"]["value"] is None
    assert record["report"] == str(tmp_path / "r" / "report.html")


def test_design_without_out_never_overwrites(pipeline, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for _ in range(2):
        assert call("design", HEAD).exit_code == 0
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == ["head_gradient_x", "head_gradient_x-2"]


def test_bad_spec_ends_before_the_work(pipeline, tmp_path):
    done = call("design", HEAD, "--set", "target.strength=3", "--set", "primary.radius=1 T", "--out", tmp_path / "r")
    assert done.exit_code == 2 and pipeline.calls == []


def test_occupied_folder_is_bad_input(pipeline, tmp_path):
    pipeline.outcome = FileExistsError("the result folder must be new")
    done = call("design", HEAD, "--out", tmp_path, "--json")
    assert done.exit_code == 2 and json.loads(done.stdout)["status"] == "bad input"


def test_ctrl_c_says_how_to_resume(pipeline, tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["designtools", "design", HEAD, "--set", "name=two words"])
    pipeline.outcome = KeyboardInterrupt()
    done = call("design", HEAD, "--set", "name=two words", "--out", tmp_path / "r")
    assert done.exit_code == 130
    assert "interrupted" in done.stderr and f"'name=two words' --out {tmp_path / 'r'} --resume`" in done.stderr


def test_progress_waits_two_seconds(monkeypatch, capsys):
    now = iter([0.0, 1.0, 2.5])
    monkeypatch.setattr(time, "monotonic", lambda: next(now))
    with cli.Progress() as progress:
        progress("early")
        progress("late")
    told = capsys.readouterr()
    assert told.out == "" and "early" not in told.err and "late" in told.err


def test_a_bug_is_not_bad_input(pipeline, tmp_path):
    pipeline.outcome = RuntimeError("a bug")
    done = call("design", HEAD, "--out", tmp_path / "r")
    assert isinstance(done.exception, RuntimeError)


def test_progress_tells_sentences_that_begin_alike_once_a_second(monkeypatch, capsys):
    now = iter([0.0, 3.0, 3.1, 3.2, 4.5])
    monkeypatch.setattr(time, "monotonic", lambda: next(now))
    with cli.Progress() as progress:
        for sentence in ("step 1", "step 2", "winding", "step 3"):
            progress(sentence)
    assert [line.split("] ")[1] for line in capsys.readouterr().err.splitlines()] == ["step 1", "winding", "step 3"]


def test_a_damaged_or_foreign_solution_is_bad_input(pipeline, tmp_path):
    from designtools.solve.store import StaleSolution

    pipeline.outcome = StaleSolution("the kept solution must belong to this spec")
    done = call("design", HEAD, "--out", tmp_path / "r", "--resume", "--json")
    assert done.exit_code == 2 and "must belong to this spec" in json.loads(done.stdout)["message"]


def test_what_cannot_be_wound_is_not_converged(pipeline, tmp_path):
    from designtools.windings.join import JoinError

    pipeline.outcome = JoinError("no free column for the returns; try fewer turns")
    done = call("design", HEAD, "--out", tmp_path / "r", "--json")
    assert done.exit_code == 4 and json.loads(done.stdout)["status"] == "not converged"
    assert "cannot be wound: no free column" in done.stderr


def test_the_place_of_a_kept_solution_is_the_pipelines():
    from designtools.pipeline import state_file

    assert cli._kept(Path("out/a.b")) == state_file("out/a.b")


def test_an_out_folder_below_a_file_is_refused_before_the_work(pipeline, tmp_path):
    (tmp_path / "file").write_text("")
    done = call("design", HEAD, "--out", tmp_path / "file" / "r")
    assert done.exit_code == 2 and "--out must be a folder that can be written" in done.stderr and pipeline.calls == []


# --- usage -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("arguments", [["design"], ["fly"], ["check", HEAD, "--colour"], ["compare"]])
def test_wrong_usage_is_bad_input(arguments):
    assert call(*arguments).exit_code == 2


def test_wrong_usage_with_json_prints_one_object():
    done = subprocess.run([sys.executable, "-m", "designtools", "design", "--json"], capture_output=True, text=True)
    assert done.returncode == 2
    assert json.loads(done.stdout) == {"status": "bad input", "message": "Missing argument 'SPEC'.", "problems": []}
    assert "Usage" in done.stderr


def test_version():
    import designtools

    assert call("--version").stdout.strip() == designtools.__version__


@pytest.mark.parametrize("verb", ["design", "check", "new", "evaluate", "compare", "export", "sweep", "show", "doctor"])
def test_every_verb_has_help(verb):
    assert call(verb, "--help").exit_code == 0


def test_doctor_reports_versions_devices_and_precision():
    record = json.loads(call("doctor", "--json").stdout)
    assert record["precision"]["default"] == "float64"
    assert record["devices"] and record["threads"]["cores"] >= 1
    assert "numpy" in record["versions"] and "optional" in record
    assert "float64" in call("doctor").stdout


# --- finished designs ------------------------------------------------------------------------------------


@pytest.fixture
def finished(tmp_path):
    for name, value in (("a", 1e-4), ("b", 2e-4)):
        folder = tmp_path / name
        folder.mkdir()
        record = {"name": name, "figures": {"efficiency": {"value": value, "unit": "T/m/A", "method": ""}}, "requirements": []}
        (folder / "result.json").write_text(json.dumps(record))
    (tmp_path / "b" / "report.html").write_text("hello")
    return tmp_path


def test_compare_puts_figures_side_by_side(finished):
    done = call("compare", finished / "a", finished / "b")
    assert done.exit_code == 0
    assert "efficiency    100 µT/m/A  200 µT/m/A" in done.stdout
    record = json.loads(call("compare", finished / "a", finished / "b", "--json").stdout)
    assert record["designs"][str(finished / "b")]["figures"]["efficiency"]["value"] == 2e-4


@pytest.mark.parametrize("arguments", [["compare", "nowhere"], ["export", "nowhere", "stl"], ["show", "nowhere"]])
def test_a_folder_without_result_is_bad_input(arguments):
    done = call(*arguments)
    assert done.exit_code == 2 and "nowhere" in done.stderr


@pytest.mark.parametrize("text", ["", "[]", "{}", "{", "\0"])
def test_a_damaged_result_is_bad_input(tmp_path, text):
    (tmp_path / "result.json").write_text(text)
    for arguments in (["compare", tmp_path], ["export", tmp_path, "stl"]):
        done = call(*arguments)
        assert done.exit_code == 2 and "sound result.json" in done.stderr


def test_show_refuses_a_port_in_use(finished):
    import socket

    with socket.create_server(("127.0.0.1", 0)) as taken:
        done = call("show", finished / "b", "--no-browser", "--port", taken.getsockname()[1])
    assert done.exit_code == 2 and "--port must be free" in done.stderr


def test_show_serves_on_the_loopback_until_ctrl_c(finished):
    command = [sys.executable, "-m", "designtools", "show", str(finished / "b"), "--no-browser"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as server:
        try:
            address = server.stdout.readline().strip()
            assert address.startswith("http://127.0.0.1:")
            with urllib.request.urlopen(address) as page:
                assert b"designtools explorer" in page.read()
            with urllib.request.urlopen(address + "design") as data:
                assert json.load(data)["name"] == "b"
        finally:
            server.send_signal(signal.SIGINT)
            try:
                server.communicate(timeout=20)
            except subprocess.TimeoutExpired:
                server.kill()
        assert server.returncode == 0


# --- sweep -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text, words",
    [
        ("winding.turns", "KEY.PATH=A:B:N"),
        ("winding.turns=8:16", "--samples"),
        ("winding.turns=8:16:x", "KEY.PATH=A:B:N"),
        ("winding.turns=8:16:0", "KEY.PATH=A:B:N"),
        ("primary.radius=180 mm:0.2 m:3", "same unit"),
        ("primary.radius=180mm:200mm:3", "space before the unit"),
        ("primary.radius=1 T:2 T:2", "must be a length"),
    ],
)
def test_sweep_refuses_bad_ranges(text, words):
    done = call("sweep", HEAD, "--vary", text)
    assert done.exit_code == 2 and words in done.stderr


def test_ranges_keep_units_and_whole_numbers():
    plan = sweep.plan(HEAD, ["winding.turns=8:16:3", "primary.radius=180:190 mm:2"])
    assert plan.varied == ("winding.turns", "primary.radius")
    assert [d["winding.turns"] for d in plan.designs] == [8, 8, 12, 12, 16, 16]
    assert [d["primary.radius"] for d in plan.designs[:2]] == ["180 mm", "190 mm"]
    assert len(set(plan.fingerprints)) == 6


class Bench:
    """Stands in for a design: resistance falls and efficiency rises to a best with the number of turns."""

    def __init__(self, breaks_at=None):
        self.seen, self.breaks_at = [], breaks_at

    def __call__(self, spec, folder, overrides):
        turns = overrides["winding.turns"]
        self.seen.append(turns)
        if turns == self.breaks_at:
            raise KeyboardInterrupt
        figure = lambda value, unit: {"value": value, "unit": unit, "method": "toy"}
        figures = {"efficiency": figure(min(turns, 12) * 1e-5, "T/m/A"), "resistance": figure(turns * 1e-2, "ohm")}
        return {"status": "done", "message": "", "figures": figures}


def test_sweep_keeps_what_is_done_and_resumes(tmp_path):
    plan = sweep.plan(HEAD, ["winding.turns=8:16:5"])
    broken, whole = Bench(breaks_at=12), Bench()
    with pytest.raises(KeyboardInterrupt):
        sweep.run(plan, tmp_path / "s", workers=0, design=broken)
    with pytest.raises(FileExistsError, match="--resume"):
        sweep.run(plan, tmp_path / "s", workers=0, design=whole)
    outcome = sweep.run(plan, tmp_path / "s", workers=0, resume=True, design=whole)
    assert broken.seen == [8, 10, 12] and whole.seen == [12, 14, 16]
    assert outcome.pareto == (0, 1, 2)  # beyond 12 turns resistance rises for nothing
    assert [row[-1] for row in outcome.rows()[1:]] == ["*", "*", "*", "", ""]
    table = (tmp_path / "s" / "sweep.csv").read_text().splitlines()
    assert table[0] == "design,winding.turns,status,efficiency,resistance" and len(table) == 6
    page = outcome.report.read_text(encoding="utf-8")
    assert "not beaten" in page and 'src="http' not in page
    json.dumps(outcome.as_dict(), allow_nan=False)


def test_sweep_refuses_to_resume_another(tmp_path):
    sweep.run(sweep.plan(HEAD, ["winding.turns=8:9:2"]), tmp_path / "s", workers=0, design=Bench())
    with pytest.raises(sweep.BadSweep, match="holds another"):
        sweep.run(sweep.plan(HEAD, ["winding.turns=8:10:2"]), tmp_path / "s", workers=0, resume=True, design=Bench())


def test_one_failure_does_not_end_a_sweep(tmp_path):
    def fails(spec, folder, overrides):
        raise RuntimeError("no such mesh")

    outcome = sweep.run(sweep.plan(HEAD, ["winding.turns=8:9:2"]), tmp_path / "s", workers=0, design=fails)
    assert [run["status"] for run in outcome.runs] == ["failed", "failed"]
    assert "no such mesh" in outcome.rows()[1][-1]


def test_sweep_from_the_command_line(pipeline, tmp_path):
    done = call("sweep", HEAD, "--vary", "winding.turns=8:9:2", "--workers", 0, "--out", tmp_path / "s", "--json")
    record = json.loads(done.stdout)
    assert done.exit_code == 4  # the stand-in pipeline fails without progress, which is a record, not an end
    assert [d["status"] for d in record["designs"]] == ["failed", "failed"]


# --- evaluate --------------------------------------------------------------------------------------------


def circle(n=400, radius=0.2, z=0.0):
    t = np.linspace(0, 2 * np.pi, n + 1)
    return np.stack([radius * np.cos(t), radius * np.sin(t), np.full(n + 1, z)], 1)


def write_maxwell_pair(path, scale=1.0, head="x,y,z,track,current"):
    """Two loops sqrt(3) R apart with opposite currents: a z gradient without cubic term."""
    rows = [
        f"{x * scale:.12g},{y * scale:.12g},{z * scale:.12g},{name},{current}"
        for name, z0, current in (("top", 0.1 * 3**0.5, 5.0), ("bottom", -0.1 * 3**0.5, -5.0))
        for x, y, z in circle(z=z0)
    ]
    path.write_text("\n".join([head, *rows]) + "\n")


def figures(*arguments) -> dict:
    done = call("evaluate", *arguments, "--json")
    assert done.exit_code == 0, done.stderr
    return {name: item["value"] for name, item in json.loads(done.stdout)["figures"].items()}


MAXWELL = 0.641 * 4e-7 * np.pi / 0.2**2  # T/m/A of a Maxwell pair of radius 0.2 m: (48/7) sqrt(3/7)/7 mu0 I/R^2


def test_evaluate_a_maxwell_pair(tmp_path):
    write_maxwell_pair(tmp_path / "pair.csv")
    got = figures(tmp_path / "pair.csv", "--radius", "20 mm")
    assert got["efficiency"] == pytest.approx(48 / 49 * (3 / 7) ** 0.5 * 4e-7 * np.pi / 0.2**2, rel=2e-3)
    assert got["efficiency"] == pytest.approx(MAXWELL, rel=2e-3)
    assert got["linearity_error_max"] < 1e-3 and got["central_field"] < 1e-12
    assert got["wire_length"] == pytest.approx(2 * 2 * np.pi * 0.2, rel=1e-4)


@pytest.mark.parametrize("head, options", [("x_mm,y_mm,z_mm,track,current", []), ("x,y,z,track,current", ["--unit", "mm"])])
def test_evaluate_reads_millimetres(tmp_path, head, options):
    write_maxwell_pair(tmp_path / "pair.csv", scale=1e3, head=head)
    assert figures(tmp_path / "pair.csv", "--radius", "20 mm", *options)["efficiency"] == pytest.approx(MAXWELL, rel=2e-3)


def test_evaluate_refuses_millimetres_taken_for_metres(tmp_path):
    write_maxwell_pair(tmp_path / "pair.csv", scale=1e3)
    done = call("evaluate", tmp_path / "pair.csv")
    assert done.exit_code == 2 and "--unit mm" in done.stderr


def test_evaluate_a_bare_loop(tmp_path):
    np.savetxt(tmp_path / "loop.csv", circle(), delimiter=",")
    got = figures(tmp_path / "loop.csv", "--current", "10 A")
    assert got["central_field"] == pytest.approx(4e-7 * np.pi * 10 / 0.4, rel=1e-4)
    assert got["homogeneity_pp"] > 0


def test_blank_lines_separate_polylines(tmp_path):
    halves = [circle()[:201], circle()[200:]]
    text = "\n\n".join("\n".join(" ".join(map(str, p)) for p in half) for half in halves)
    (tmp_path / "halves.csv").write_text("x y z\n" + text)
    assert figures(tmp_path / "halves.csv")["wire_length"] == pytest.approx(2 * np.pi * 0.2, rel=1e-4)


def test_evaluate_judges_by_a_spec(tmp_path):
    write_maxwell_pair(tmp_path / "pair.csv")
    spec = tmp_path / "spec.yaml"
    spec.write_text(
        "kind: gradient\nname: pair\nregion: {radius: 40 mm}\ntarget: {gradient_axis: z, strength: 1 mT/m}\n"
        "primary: {radius: 200 mm, length: 500 mm}\nconductor: {width: 2 mm, thickness: 2 mm}\nwinding: {turns: 1}\n"
        "stray: {radius: 300 mm, length: 1 m, limit: 5 gauss}\n"
        "requirements:\n  - {quantity: efficiency, op: '>=', limit: 15 uT/m/A}\n"
        "  - {quantity: stray_field_max, op: '<=', limit: 1 uT}\n"
    )
    done = call("evaluate", tmp_path / "pair.csv", "--spec", spec, "--json")
    record = json.loads(done.stdout)
    assert done.exit_code == 3
    assert [row["status"] for row in record["requirements"]] == ["MET", "MISSED"]
    assert record["figures"]["stray_field_max"]["value"] > 1e-6


def test_evaluate_magpylib_json(tmp_path):
    loops = [{"type": "Circle", "diameter": 0.4, "position": [0, 0, z], "current": i} for z, i in ((0.1 * 3**0.5, 5), (-0.1 * 3**0.5, -5))]
    (tmp_path / "m.json").write_text(json.dumps({"sources": loops}))
    got = figures(tmp_path / "m.json", "--radius", "20 mm")
    assert got["gradient_strength"] == pytest.approx(5 * MAXWELL, rel=2e-3)


@pytest.mark.parametrize(
    "name, text, words",
    [
        ("a.csv", "", "it is empty"),
        ("a.csv", "p,q,r\n1,2,3\n", "columns x, y, z"),
        ("a.csv", "x,y,z\n1,2,three\n2,2,2\n", "every row must hold numbers"),
        ("a.csv", "x,y,z\n1,2,3\n", "at least two"),
        ("a.csv", "x_lb,y_lb,z_lb\n1,2,3\n2,2,3\n", "unit of lengths"),
        ("a.wav", "", "must be one of"),
        ("a.json", "{", "valid JSON"),
        ("a.json", "[]", "at least one object"),
        ("a.json", '[{"type": "Circel"}]', "'type' must name a magpylib source"),
    ],
)
def test_evaluate_refuses_in_words(tmp_path, name, text, words):
    (tmp_path / name).write_text(text)
    done = call("evaluate", tmp_path / name)
    assert done.exit_code == 2 and words in done.stderr


def test_evaluate_a_missing_file():
    assert call("evaluate", "nowhere.csv").exit_code == 2


def swept(path, width, closed):
    """Triangles of a square bar along `path` (n,3), which winds about z."""
    import trimesh

    n = len(path)
    ahead, behind = np.roll(path, -1, 0), np.roll(path, 1, 0)
    if not closed:
        ahead[-1], behind[0] = path[-1], path[0]
    tangent = (ahead - behind) / np.linalg.norm(ahead - behind, axis=1, keepdims=True)
    normal = path * [1, 1, 0]
    normal -= (normal * tangent).sum(1, keepdims=True) * tangent
    normal /= np.linalg.norm(normal, axis=1, keepdims=True)
    other = np.cross(tangent, normal)
    corners = [path + width / 2 * (a * normal + b * other) for a, b in ((1, 1), (-1, 1), (-1, -1), (1, -1))]
    faces = [[0, 2, 1], [0, 3, 2], [4 * n - 4, 4 * n - 3, 4 * n - 2], [4 * n - 4, 4 * n - 2, 4 * n - 1]] * (not closed)
    for i in range(n if closed else n - 1):
        j = (i + 1) % n
        for k in range(4):
            m = (k + 1) % 4
            faces += [[4 * i + k, 4 * i + m, 4 * j + m], [4 * i + k, 4 * j + m, 4 * j + k]]
    mesh = trimesh.Trimesh(np.stack(corners, 1).reshape(-1, 3), faces)
    mesh.fix_normals()
    return mesh


def test_evaluate_finds_the_centreline_in_an_stl(tmp_path):
    swept(1e3 * circle(60)[:-1], 5.0, closed=True).export(tmp_path / "loop.stl")
    got = figures(tmp_path / "loop.stl")
    assert got["wire_length"] == pytest.approx(2 * np.pi * 0.2, rel=3e-3)
    assert got["central_field"] == pytest.approx(4e-7 * np.pi / 0.4, rel=3e-3)


def test_evaluate_finds_an_open_helix_in_an_stl(tmp_path):
    t = np.linspace(0, 2 * np.pi * 6, 360)
    path = np.stack([100 * np.cos(t), 100 * np.sin(t), 8 * t / (2 * np.pi) - 24], 1)
    swept(path, 4.0, closed=False).export(tmp_path / "helix.stl")
    length = np.linalg.norm(np.diff(path, axis=0), axis=1).sum() * 1e-3
    assert figures(tmp_path / "helix.stl")["wire_length"] == pytest.approx(length, rel=5e-3)


def test_evaluate_refuses_several_bodies(tmp_path):
    import trimesh

    bars = [swept(1e3 * circle(60, z=z)[:-1], 5.0, closed=True) for z in (0, 0.1)]
    trimesh.util.concatenate(bars).export(tmp_path / "two.stl")
    done = call("evaluate", tmp_path / "two.stl")
    assert done.exit_code == 2 and "got 2 bodies" in done.stderr


def test_a_damaged_field_map_is_bad_input(tmp_path):
    write_starter("shim", tmp_path / "s.yaml")
    good = (tmp_path / "mask.nii.gz").read_bytes()
    for content, words in ((b"junk", "must be a sound NIfTI volume"), (good[: len(good) // 2], "must be a sound NIfTI volume")):
        (tmp_path / "mask.nii.gz").write_bytes(content)
        done = call("design", tmp_path / "s.yaml", "--out", tmp_path / "r", "--json")
        problem = json.loads(done.stdout)["problems"][0]
        assert done.exit_code == 2 and problem["key"] == "field_map.mask" and words in problem["message"]
    assert not (tmp_path / "r").exists()
