"""Whatever arrives and whatever happens: a sentence or an answer, the old result or the new one, the same bits, bounded memory."""

import copy
import gzip
import json
import os
import random
import shutil
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from ruamel.yaml import YAML
from typer.testing import CliRunner

import designtools as dt
from designtools import cli, result
from designtools.foreign import UnreadableWinding, read
from designtools.spec import SpecError, fingerprint, load, resolved

ROOT = Path(__file__).parent.parent
TINY = """
kind: gradient
name: tiny
region: {radius: 80 mm}
target: {gradient_axis: x, strength: 30 mT/m, error: 10 %}
primary: {radius: 190 mm, length: 560 mm}
conductor: {width: 4 mm, thickness: 4 mm}
winding: {turns: 3}
mesh: {resolution: 60 mm}
audit: {points: 100}
"""
PUBLISHED = {path.stem: YAML(typ="safe").load(path.read_text(encoding="utf-8")) for path in sorted((ROOT / "specs").glob("*.yaml"))}
QUICK = settings(max_examples=60, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))


def call(*arguments):
    return CliRunner().invoke(cli.app, list(map(str, arguments)))


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """A place whose name has blanks and letters of other scripts."""
    return tmp_path_factory.mktemp("Spüle 一 mit Leerzeichen")


@pytest.fixture(scope="module")
def tiny(home):
    path = home / "kleine Spüle.yaml"
    path.write_text(TINY, encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def finished(tiny, home):
    """The result folder of one real design, made by the command line in a place with an awkward name."""
    done = call("design", tiny, "--out", home / "Ergebnis ü 1", "--json")
    assert done.exit_code in (0, 3), done.stderr
    return Path(json.loads(done.stdout)["folder"])


# --- specs -----------------------------------------------------------------------------------------------------

HOSTILE = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=20), st.sampled_from(["", "1 T", "nan mm", "1e999 m", "-5 mm", "0", "x", "../..", "1 mm 2"]),
    st.lists(st.integers(), max_size=3), st.dictionaries(st.text(max_size=5), st.integers(), max_size=2),
)  # fmt: skip


def places(node, path=()):
    """Every key path of plain data."""
    inside = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    for key, value in inside:
        yield (*path, key)
        yield from places(value, (*path, key))


def put(data, path, value):
    for key in path[:-1]:
        data = data[key]
    data[path[-1]] = value


@settings(QUICK, max_examples=150)
@given(name=st.sampled_from(sorted(PUBLISHED)), data=st.data())
def test_a_spec_with_anything_anywhere_is_a_model_or_a_sentence(name, data):
    """What passes says the same after it is written out and read back."""
    spec = copy.deepcopy(PUBLISHED[name])
    put(spec, data.draw(st.sampled_from(list(places(spec)))), data.draw(HOSTILE))
    put(spec, ("unknown" + data.draw(st.text("abc", max_size=2)),), 1) if data.draw(st.booleans()) else None
    here = os.getcwd()
    os.chdir(ROOT / "specs")  # files beside the spec
    try:
        model = load(spec)
        assert fingerprint(load(resolved(model))) == fingerprint(model)
    except SpecError as error:
        assert str(error).strip() and "Traceback" not in str(error)
    finally:
        os.chdir(here)


@settings(QUICK, max_examples=150)
@given(seed=st.integers(0, 10**6), name=st.sampled_from(sorted(PUBLISHED)))
def test_a_spec_file_with_bytes_changed_is_a_model_or_a_sentence(tmp_path_factory, seed, name):
    changed = bytearray((ROOT / "specs" / f"{name}.yaml").read_bytes())
    draw = random.Random(seed)
    for _ in range(draw.randrange(1, 12)):
        at = draw.randrange(len(changed))
        kind = draw.randrange(3)
        if kind == 0:
            changed[at] = draw.randrange(256)
        elif kind == 1:
            del changed[at : at + draw.randrange(1, 40)]
        else:
            changed[at:at] = draw.choice([b"{", b"]", b": ", b"&a ", b"*a", b"\x00", b"!!python/object:os.system ", b"- ", b"\t", "ü".encode(), b"'"])
    path = tmp_path_factory.mktemp("fuzz") / "s.yaml"
    path.write_bytes(changed)
    done = call("check", path)
    assert done.exit_code in (0, 2) and (done.exit_code == 0 or done.stderr.strip()), done.output
    assert not done.exception or isinstance(done.exception, SystemExit)


def changed_at_random(data: bytes, seed: int) -> bytes:
    draw, changed = random.Random(seed), bytearray(data)
    for _ in range(draw.randrange(1, 10)):
        at = draw.randrange(len(changed))
        kind = draw.randrange(4)
        if kind < 2:
            changed[at] = draw.randrange(256)
        elif kind == 2:
            del changed[at : at + draw.randrange(1, max(2, len(changed) // 3))]
        else:
            changed[at:at] = bytes(draw.randrange(256) for _ in range(draw.randrange(20)))
        if not changed:
            return b""
    return bytes(changed)


# --- windings and maps -----------------------------------------------------------------------------------------


def ring(n=40):
    t = np.linspace(0, 2 * np.pi, n + 1)
    return np.stack([100 * np.cos(t), 100 * np.sin(t), 0 * t], 1)


@pytest.fixture(scope="module")
def foreign_files(tmp_path_factory):
    """One sound file of every kind that `evaluate` reads."""
    import trimesh

    place = tmp_path_factory.mktemp("foreign")
    rows = "\n".join(f"{x:.5f},{y:.5f},{z:.5f},1,2.5" for x, y, z in ring())
    (place / "a.csv").write_text("x_mm,y_mm,z_mm,wire,current\n" + rows)
    points = "\n".join(f"{x:.5f} {y:.5f} {z:.5f}" for x, y, z in ring())
    pairs = "\n".join(f"{i} {i + 1}" for i in range(1, 41))
    (place / "a.txt").write_text(f"% Length unit: mm\n%Coordinates\n{points}\n%Elements\n{pairs}\n")
    nodes = "".join(f"N{i} x={x:.4f} y={y:.4f} z=0\n" for i, (x, y, _) in enumerate(ring()))
    segments = "".join(f"E{i} N{i} N{i + 1} w=1 h=1\n" for i in range(40))
    (place / "a.inp").write_text(f"* ring\n.units mm\n{nodes}{segments}.external N0 N40\n.freq fmin=1 fmax=1 ndec=1\n.end\n")
    vertices = "".join(f"v {x:.5f} {y:.5f} {z:.5f}\n" for x, y, z in ring())
    (place / "a.obj").write_text(f"# units: mm\n{vertices}l " + " ".join(str(i) for i in range(1, 42)) + "\n")
    (place / "a.json").write_text(json.dumps([{"type": "Circle", "diameter": 0.2, "current": 2}, {"type": "Polyline", "vertices": (ring() * 1e-3).tolist()}]))
    trimesh.creation.torus(100, 6, major_sections=24, minor_sections=6).export(place / "a.stl")
    return {path.suffix: path.read_bytes() for path in place.iterdir()}


@settings(QUICK, max_examples=400)
@given(seed=st.integers(0, 10**6), ending=st.sampled_from([".csv", ".txt", ".inp", ".obj", ".json", ".stl"]))
def test_a_winding_file_with_bytes_changed_is_a_source_or_a_sentence(tmp_path_factory, foreign_files, seed, ending):
    path = tmp_path_factory.mktemp("fuzz") / f"a{ending}"
    path.write_bytes(changed_at_random(foreign_files[ending], seed))
    try:
        source = read(path).source
        assert source.field(np.array([[0.01, 0.02, 0.03]])).shape == (1, 3)
    except UnreadableWinding as error:
        assert str(error) and "\n" not in str(error)


@settings(QUICK, max_examples=25)
@given(seed=st.integers(0, 10**6), packed=st.booleans())
def test_an_image_with_bytes_changed_is_a_map_or_a_sentence(tmp_path_factory, seed, packed):
    from designtools.recipes.field_map import read_volumes

    place = tmp_path_factory.mktemp("fuzz")
    assert call("new", "shim", "--out", place / "s.yaml").exit_code == 0
    image = place / "mask.nii.gz"
    sound = image.read_bytes()
    image.write_bytes(changed_at_random(sound, seed) if packed else gzip.compress(changed_at_random(gzip.decompress(sound)[:400], seed) + gzip.decompress(sound)[400:]))
    try:
        assert read_volumes(load(place / "s.yaml"))
    except SpecError as error:
        assert str(error).strip() and not (place / "r").exists()


# --- geometry --------------------------------------------------------------------------------------------------

POINTS = np.array([[0.01, 0.02, 0.03], [-0.05, 0.01, 0.0], [0.0, 0.0, -0.02]])
angles = st.floats(-3, 3).map(lambda a: round(a, 3))
lengths = st.floats(-0.05, 0.05).map(lambda a: round(a, 4))
SOURCES = {
    "loops": lambda: dt.Loops([[0, 0, 0.1], [0, 0, -0.1]], [[0, 0, 1.0], [0, 0.6, 0.8]], [0.3, 0.2], [10.0, -5.0]),
    "filaments": lambda: dt.Filaments.from_path(ring(12) * 2e-3, 7.0),
    "magnets": lambda: dt.Magnets([[0.2, 0, 0]], [[0.02, 0.03, 0.04]], [[0.1, -0.2, 0.3]], [[0.1, 0.2, 1.3]]),
    "blocks": lambda: dt.Blocks([0.2], [0.25], [-0.1], [0.1], [1e7]),
}


@settings(QUICK, max_examples=30)
@given(name=st.sampled_from(sorted(SOURCES)), turn=st.tuples(angles, angles, angles), shift=st.tuples(lengths, lengths, lengths))
def test_physics_does_not_care_where_it_stands(name, turn, shift):
    """A source carried elsewhere has its field carried along; fields add."""
    from scipy.spatial.transform import Rotation

    source, rotation = SOURCES[name](), Rotation.from_rotvec(turn)
    carried = dt.Posed(source, np.array(shift), np.array(turn))
    field = np.array(source.field(POINTS))
    largest = np.abs(field).max()
    assert np.asarray(carried.field(rotation.apply(POINTS) + shift)) == pytest.approx(rotation.apply(field), rel=1e-9, abs=1e-11 * largest)
    both = np.asarray(dt.Assembly([source, carried]).field(POINTS))
    assert both == pytest.approx(field + np.asarray(carried.field(POINTS)), rel=1e-12, abs=1e-13 * largest)


# --- kill, disk, permissions, two at once ----------------------------------------------------------------------

WRITER = """
import sys
from pathlib import Path
from designtools import precision, result
precision.enable()
found = result.load(sys.argv[1])
print("ready", flush=True)
for i in range(10_000):
    result.write(found, Path(sys.argv[2]) / str(i), formats=("csv",))
"""


@pytest.mark.skipif(os.name == "nt", reason="SIGKILL")
def test_kill_9_in_mid_write_leaves_whole_folders_only(finished, tmp_path):
    """Killed at random moments of writing; every folder with a name is whole, and what was half written goes with the next run."""
    work, draw = tmp_path / "w", random.Random(1)
    for _ in range(2):
        shutil.rmtree(work, ignore_errors=True)
        with subprocess.Popen([sys.executable, "-c", WRITER, str(finished), str(work)], stdout=subprocess.PIPE, text=True) as writer:
            assert writer.stdout.readline() == "ready\n"
            time.sleep(draw.uniform(0.3, 1.5))
            writer.kill()
        whole = [path for path in work.iterdir() if not path.name.startswith(".")]
        for folder in whole:
            assert {"result.json", "spec.yaml", "report.html", "geometry"} <= {path.name for path in folder.iterdir()}
            assert result.load(folder).figures.keys() == result.load(finished).figures.keys()
        left = [path for path in work.iterdir() if path.name.startswith(".")]
        assert len(left) <= 1
        for path in left:
            name = path.name[1:].split(".")[0]
            result.write(result.load(finished), work / name, formats=("csv",))
            assert not path.exists() and (work / name / "result.json").is_file()


@pytest.mark.skipif(os.name == "nt", reason="SIGKILL")
def test_kill_9_in_a_design_then_resume_gives_the_same_bits(tiny, finished, home):
    """Killed as soon as its solution is kept; the resumed run gives the very bytes of the one that was never killed."""
    out = home / "getötet"
    command = [sys.executable, "-m", "designtools", "design", str(tiny), "--out", str(out), "--json"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        for _ in range(1200):
            if (home / ".getötet.solution.npz").exists():
                break
            time.sleep(0.05)
        process.kill()
    assert not out.exists() and (home / ".getötet.solution.npz").is_file()
    done = call("design", tiny, "--out", out, "--resume", "--json")
    assert done.exit_code in (0, 3) and not (home / ".getötet.solution.npz").exists(), done.stderr
    for file in sorted(finished.glob("geometry/*.csv")):
        assert file.read_bytes() == (out / "geometry" / file.name).read_bytes()
    first, second = (json.loads((folder / "result.json").read_text()) for folder in (finished, out))
    assert first["figures"] == second["figures"]


def test_a_full_disk_gets_a_sentence_and_no_folder(finished, tmp_path):
    """No file may grow beyond 100 kB: the report cannot be written."""
    code = (
        "import resource, signal, sys\nsignal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "from designtools import precision, result\nprecision.enable()\nfound = result.load(sys.argv[1])\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))\n"
        "try:\n    result.write(found, sys.argv[2], formats=('csv',))\nexcept OSError as error:\n    print('refused', error.errno)\n"
    )
    done = subprocess.run([sys.executable, "-c", code, str(finished), str(tmp_path / "r")], capture_output=True, text=True, timeout=120)
    assert done.stdout.startswith("refused"), done.stderr
    assert list(tmp_path.iterdir()) == []


def full(*_):
    raise OSError(28, "No space left on device")


@pytest.mark.parametrize("what", ["designtools.report.write_report", "designtools.export.store"])
def test_a_full_disk_is_bad_input_in_words(finished, tmp_path, monkeypatch, what):
    monkeypatch.setattr(what, full)
    with pytest.raises(OSError, match="No space left"):
        result.write(result.load(finished), tmp_path / "r")
    assert list(tmp_path.iterdir()) == []


def test_places_that_cannot_be_written_are_refused_before_the_work(tiny, tmp_path):
    for place in ("/proc/nowhere/r", tiny / "below a file"):
        done = call("design", tiny, "--out", place)
        assert done.exit_code == 2 and "--out must be a folder that can be written" in done.stderr
    if os.geteuid() != 0:  # root may write anywhere
        (tmp_path / "closed").mkdir(mode=0o500)
        done = call("design", tiny, "--out", tmp_path / "closed" / "r")
        assert done.exit_code == 2 and "Permission denied" in done.stderr


def test_of_two_runs_into_one_folder_one_wins_and_one_is_told(finished, tmp_path):
    """Both are half way when neither has finished; the folder is that of one of them, whole."""
    found, fates, both = result.load(finished), [], threading.Barrier(2)

    def attempt(number):
        try:
            both.wait()
            result.write(found, tmp_path / "r", formats=("csv",))
            fates.append("won")
        except FileExistsError as error:
            fates.append(str(error))

    threads = [threading.Thread(target=attempt, args=(i,)) for i in range(2)]
    [thread.start() for thread in threads], [thread.join() for thread in threads]
    assert sorted(fate == "won" for fate in fates) == [False, True] and "already holds something" in " ".join(fates)
    assert [path.name for path in tmp_path.iterdir()] == ["r"] and result.load(tmp_path / "r").status == found.status


def test_a_run_that_is_overtaken_between_looking_and_renaming_is_told(finished, tmp_path, monkeypatch):
    real = os.rename

    def overtaken(old, new):
        Path(new).mkdir()
        (Path(new) / "theirs").touch()
        real(old, new)

    monkeypatch.setattr(result.os, "rename", overtaken)
    with pytest.raises(FileExistsError, match="already holds something"):
        result.write(result.load(finished), tmp_path / "r", formats=("csv",))
    assert [path.name for path in (tmp_path / "r").iterdir()] == ["theirs"] and [p.name for p in tmp_path.iterdir()] == ["r"]


# --- awkward names ---------------------------------------------------------------------------------------------


def test_every_verb_works_in_a_place_with_blanks_and_other_scripts(finished, tiny, home):
    assert call("check", tiny).exit_code == 0
    assert call("compare", finished, finished, "--json").exit_code == 0
    assert call("export", finished, "csv", "--out", home / "Drähte mit Lücke.csv").exit_code == 0
    done = call("evaluate", home / "Drähte mit Lücke.csv", "--spec", tiny, "--json")
    assert done.exit_code in (0, 3) and json.loads(done.stdout)["figures"]["gradient_strength"]["value"] > 0


# --- memory ----------------------------------------------------------------------------------------------------

PEAK = """
import resource, sys
import numpy as np
import designtools as dt
n, p = int(sys.argv[1]), int(sys.argv[2])
rng = np.random.default_rng(0)
wire = dt.Filaments.from_path(rng.uniform(-0.3, 0.3, (n + 1, 3)), 1.0)
dt.Loops([[0, 0, 0.1]], [[0, 0, 1.0]], [0.3], [1.0]).field(np.zeros((4, 3)))
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
field = np.asarray(wire.field(rng.uniform(-0.2, 0.2, (p, 3))))
assert np.isfinite(field).all()
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024)
"""


def peak(segments: int, points: int) -> int:
    """Bytes that a field costs over the interpreter with the package loaded."""
    done = subprocess.run([sys.executable, "-c", PEAK, str(segments), str(points)], capture_output=True, text=True, timeout=500, check=True)
    return int(done.stdout)


@pytest.mark.skipif(sys.platform != "linux", reason="ru_maxrss in kB")
@pytest.mark.parametrize("segments, points", [(100_000, 2_000), (200, 1_000_000)])
def test_memory_grows_with_neither_sources_nor_points_times_the_other(segments, points):
    """Either end of 100,000 sources x 1,000,000 points; what both hold at once is their sum, below 1 GB."""
    assert peak(segments, points) < 480e6


def test_the_working_set_of_a_field_is_that_of_its_tiles():
    """Beside sources, points and answer: per thread one slice of points and one block of the kernel's intermediates."""
    from designtools.kernels import streaming

    per_thread = 8 * (streaming.SLICE * 16 + 20 * streaming.TILE * streaming.CHUNK)  # of float64: places and sums; values in a kernel
    held = 8 * (100_000 * 14 + 1_000_000 * 12)
    assert held + 32 * per_thread < 0.5e9


# --- earlier versions ------------------------------------------------------------------------------------------

EARLIER = sorted((Path(__file__).parent / "reference" / "earlier").glob("*/result.json"))


@pytest.mark.parametrize("folder", [path.parent for path in EARLIER], ids=lambda folder: folder.name)
def test_results_of_earlier_versions_load_export_and_reload_as_specs(folder, tmp_path):
    found = result.load(folder)
    record = json.loads((folder / "result.json").read_text())
    assert found.status == record["status"] and found.figures.keys() == record["figures"].keys()
    name = "gradient_strength" if found.kind == "gradient" else "central_field"
    field = np.asarray(found.source.field(np.array([[0, 0, 0.0], [0.01, 0, 0]])))
    got = (field[1, 2] - field[0, 2]) / 0.01 if found.kind == "gradient" else field[0, 2]
    assert got == pytest.approx(record["figures"][name]["value"], rel=0.05 if found.kind == "gradient" else 1e-6)
    assert found.export("csv", tmp_path / "w.csv")
    assert load(folder / "spec.yaml").kind == found.kind
    assert call("compare", folder, folder).exit_code == 0


def test_there_are_results_of_earlier_versions():
    assert len(EARLIER) >= 2
