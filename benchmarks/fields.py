"""Field kernels beside peers on the same work: `python benchmarks/fields.py`.

Rates are million source-point pairs per second of processor time, the best of several interleaved runs on one core;
ratio is ours over the peer's.  Errors are relative to the largest field, against 40-digit arithmetic at a few points,
so that a faster wrong answer shows.  The roofline is `roofline.c`, built on the spot where a C compiler is found:
robust and loose segments, a polyline whose corners' distances are shared, and loops.
"""

import ctypes
import importlib
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

CORES = sorted(os.sched_getaffinity(0))
USED = int(sys.argv[2]) if len(sys.argv) > 2 else 1
os.sched_setaffinity(0, CORES[:USED])  # before JAX starts its threads

import jax
import magpylib
import mpmath
import numpy as np
import trimesh

from designtools import precision

precision.enable()

from designtools.kernels.face_inductance import pair_integrals
from designtools.kernels.wire_inductance import winding_inductance
from designtools.sources import Filaments, Loops, Sheet

RNG = np.random.default_rng(0)


def interleaved(runs, repeats=7):
    """Best processor time of each of several jobs, in turn, on one core."""
    for run in runs.values():
        jax.block_until_ready(run())
    times = {name: [] for name in runs}
    for _ in range(repeats):
        for name, run in runs.items():
            begin = time.process_time()
            jax.block_until_ready(run())
            times[name].append(time.process_time() - begin)
    return {name: min(found) for name, found in times.items()}


def best_time(run, repeats=5):
    jax.block_until_ready(run())
    times = []
    for _ in range(repeats):
        begin = time.perf_counter()
        jax.block_until_ready(run())
        times.append(time.perf_counter() - begin)
    return min(times)


def on_cores(job, count):
    """What a job of `ALONE` prints in a process of its own with so many cores."""
    run = [sys.executable, __file__, job, str(count)]
    with_all = lambda: os.sched_setaffinity(0, CORES)
    return subprocess.run(run, capture_output=True, text=True, check=True, preexec_fn=with_all).stdout


def clock(n_sources=2048, n_points=65536):
    """Seconds by the clock for segments and loops, one after the other."""
    centre, normal, points = RNG.normal(size=(2, n_sources, 3)), RNG.normal(size=(n_sources, 3)), RNG.normal(size=(n_points, 3))
    for source in (Filaments(*centre, np.ones(n_sources)), Loops(centre[0], normal, *np.ones((2, n_sources)))):
        print(best_time(lambda: source.field(points)))


def cores():
    one, both = (np.array(on_cores("clock", count).split(), float) for count in (1, len(CORES)))
    for name, ratio in zip(("segments", "loops"), one / both):
        print(f"{name}: {len(CORES)} cores over one, by the clock, {ratio:.2f}")


def roofline():
    """The C loops, or None with a word why."""
    compiler = shutil.which("gcc") or shutil.which("cc")
    if compiler is None:
        print("roofline: no C compiler found")
        return None
    library = Path(tempfile.mkdtemp()) / "roofline.so"
    source = Path(__file__).with_name("roofline.c")
    flags = ["-O3", "-march=native", "-ffast-math", "-shared", "-fPIC"]
    subprocess.run([compiler, *flags, "-o", str(library), str(source), "-lm"], check=True)
    return ctypes.CDLL(str(library))


def in_c(function, points, *arrays):
    """A job for one C loop: (S,3) arrays go by components, sizes of sources and points first of their kind."""
    pointer = ctypes.POINTER(ctypes.c_double)
    kept = [np.ascontiguousarray(np.asarray(a, float).T) for a in arrays]
    points, out = np.ascontiguousarray(points), np.empty((len(points), 3))
    as_pointer = lambda a: a.ctypes.data_as(pointer)

    def run():
        n = ctypes.c_long(kept[-1].size)
        function(n, *map(as_pointer, kept), ctypes.c_long(len(points)), as_pointer(points), as_pointer(out), *spare)
        return out

    scratch = np.empty(kept[0].size)
    spare = [as_pointer(scratch)] if function.__name__ == "polyline" else []
    return run


def optional(name):
    """A peer that may be missing, which is said."""
    try:
        return importlib.import_module(name)
    except ImportError:
        print(f"{name}: not installed, not compared")
        return None


def numpy_segments(start, end, current, points):
    """The textbook sum, broadcast in slices of points."""
    out = np.empty_like(points)
    for k in range(0, len(points), 64):
        ri, rf = points[k : k + 64, None] - start, points[k : k + 64, None] - end
        a, b = np.linalg.norm(ri, axis=-1), np.linalg.norm(rf, axis=-1)
        factor = (a + b) / (a * b * (a * b + np.einsum("psc,psc->ps", ri, rf))) * current
        out[k : k + 64] = 1e-7 * np.einsum("psc,ps->pc", np.cross(end - start, ri), factor)
    return out


def exact_segments(start, end, current, points):
    """40 digits, by the form that cancels only in the far field."""
    mpmath.mp.dps = 40
    rows = []
    for point in points:
        total = mpmath.matrix(3, 1)
        for s, e, i in zip(start, end, current):
            ri, rf = ([mpmath.mpf(float(p)) - mpmath.mpf(float(c)) for p, c in zip(point, q)] for q in (s, e))
            a, b = (mpmath.sqrt(sum(x * x for x in r)) for r in (ri, rf))
            factor = mpmath.mpf(float(i)) * (a + b) / (a * b * (a * b + sum(x * y for x, y in zip(ri, rf))))
            cross = [ri[1] * rf[2] - ri[2] * rf[1], ri[2] * rf[0] - ri[0] * rf[2], ri[0] * rf[1] - ri[1] * rf[0]]
            total += mpmath.matrix([factor * c for c in cross])
        rows.append([float(x * mpmath.mpf("1e-7")) for x in total])
    return np.array(rows)


def exact_loops(centre, normal, radius, current, points):
    """40 digits, by Smythe's form (Static and Dynamic Electricity, 7.10)."""
    mpmath.mp.dps = 40
    rows = []
    for point in points:
        total = mpmath.matrix(3, 1)
        for c, n, a, i in zip(centre, normal, radius, current):
            n = mpmath.matrix([mpmath.mpf(float(x)) for x in n])
            n /= mpmath.norm(n)
            d = mpmath.matrix([mpmath.mpf(float(p)) - mpmath.mpf(float(q)) for p, q in zip(point, c)])
            z, a = sum(x * y for x, y in zip(d, n)), mpmath.mpf(float(a))
            side = d - z * n
            r = mpmath.norm(side)
            far, near = (a + r) ** 2 + z**2, (a - r) ** 2 + z**2
            k, e = mpmath.ellipk(4 * a * r / far), mpmath.ellipe(4 * a * r / far)
            scale = mpmath.mpf("2e-7") * mpmath.mpf(float(i)) / mpmath.sqrt(far)
            axial = scale * (k + (a**2 - r**2 - z**2) / near * e)
            radial = scale * z / r**2 * ((a**2 + r**2 + z**2) / near * e - k)
            total += axial * n + radial * side
        rows.append([float(x) for x in total])
    return np.array(rows)


def report(name, pairs, seconds, exact, answers):
    """One line per job: rate, ratio of ours over it, error where the exact field is known."""
    print(name)
    for job, used in seconds.items():
        error = np.abs(answers[job] - exact).max() / np.abs(exact).max() if job in answers else np.nan
        ratio = used / seconds["ours"]
        print(f"    {job:24s} {pairs / used / 1e6:9.2f} Mpairs/s, ours over it {ratio:8.2f}, error {error:.1e}")


def rated(name, source, points, jobs, exact, few_points=8):
    """Time ours and the jobs (job -> (function of points, share of the points that it is given)), and report."""
    pairs, few = len(source.current) * len(points), points[:few_points]
    jobs = {"ours": (source.field, 1), **jobs}
    runs = {job: (lambda f=f, share=share: f(points[:: int(share)])) for job, (f, share) in jobs.items()}
    seconds = {job: used * jobs[job][1] for job, used in interleaved(runs).items()}
    report(name, pairs, seconds, exact(few), {job: np.asarray(f(few)) for job, (f, _) in jobs.items()})
    slope = jax.jit(jax.value_and_grad(lambda s, p: (s.field(p) ** 2).sum(), argnums=(0, 1)))
    value = jax.jit(lambda s, p: s.field(p))
    both = interleaved({"value": lambda: value(source, points), "slope": lambda: slope(source, points)})
    print(f"    value and gradient over value: {both['slope'] / both['value']:.1f}")


def segments(library, n_segments=2048, n_points=2048):
    path = np.cumsum(0.02 * RNG.normal(size=(n_segments + 1, 3)), axis=0)
    start, end, current = path[:-1], path[1:], RNG.normal(size=n_segments)
    points = RNG.normal(size=(n_points, 3))
    twin = magpylib.Collection([magpylib.current.Polyline(i, vertices=[s, e]) for s, e, i in zip(start, end, current)])
    jobs = {"numpy": (lambda p: numpy_segments(start, end, current, p), 8), "magpylib": (lambda p: magpylib.getB(twin, p), 64)}
    if library:
        jobs["C, robust"] = (lambda p: in_c(library.robust, p, start, end, current)(), 1)
        jobs["C, loose"] = (lambda p: in_c(library.loose, p, start, end, current)(), 1)
        jobs["C, polyline"] = (lambda p: in_c(library.polyline, p, path, current)(), 1)
    if cfsem := optional("cfsem"):
        rows = tuple(np.ascontiguousarray(a.T) for a in (start, end - start))
        jobs["cfsem"] = (
            lambda p: np.stack(cfsem.flux_density_linear_filament(
                tuple(np.ascontiguousarray(p.T)), tuple(rows[0]), tuple(rows[1]), current, par=False), axis=1), 1)  # fmt: skip
    rated("segments", Filaments(start, end, current), points, jobs, lambda p: exact_segments(start, end, current, p))


def loops(library, n_loops=1024, n_points=1024):
    centre, normal = RNG.normal(size=(2, n_loops, 3))
    normal /= np.linalg.norm(normal, axis=1, keepdims=True)
    radius, current = 0.3 + RNG.random(n_loops), RNG.normal(size=n_loops)
    points = RNG.normal(size=(n_points, 3))
    z = np.array([0.0, 0.0, 1.0])
    axes = np.cross(z, normal)
    angle = np.arctan2(np.linalg.norm(axes, axis=1), normal[:, 2])
    turns = axes / np.linalg.norm(axes, axis=1, keepdims=True) * angle[:, None]
    circles = [magpylib.current.Circle(diameter=2 * a, current=i, position=c) for c, a, i in zip(centre, radius, current)]
    for circle, turn in zip(circles, turns):
        circle.rotate_from_rotvec(turn, degrees=False)
    twin = magpylib.Collection(circles)
    jobs = {"magpylib": (lambda p: magpylib.getB(twin, p), 32)}
    if library:
        jobs["C"] = (lambda p: in_c(library.loops, p, centre, normal, radius, current)(), 1)
    rated("loops", Loops(centre, normal, radius, current), points, jobs, lambda p: exact_loops(centre, normal, radius, current, p))


def coaxial_loops(n_loops=1024, n_points=1024):
    """cfsem's loops lie about z only."""
    height, radius, current = RNG.normal(size=n_loops), 0.3 + RNG.random(n_loops), RNG.normal(size=n_loops)
    centre, normal = np.outer(height, [0, 0, 1.0]), np.tile([0, 0, 1.0], (n_loops, 1))
    points = RNG.normal(size=(n_points, 3))

    def by_cfsem(p):
        r = np.hypot(p[:, 0], p[:, 1])
        out, up = cfsem.flux_density_circular_filament(current, radius, height, r, np.ascontiguousarray(p[:, 2]), par=False)
        return np.column_stack([out * p[:, 0] / r, out * p[:, 1] / r, up])

    jobs = {"cfsem": (by_cfsem, 1)} if (cfsem := optional("cfsem")) else {}
    exact = lambda p: exact_loops(centre, normal, radius, current, p)
    rated("coaxial loops", Loops(centre, normal, radius, current), points, jobs, exact)


def stream(n_segments=100_000, n_points=1_000_000):
    """What does not fit into memory as pairs: most memory of the process, and the rate by the clock."""
    wire = Filaments(*RNG.normal(size=(2, n_segments, 3)), np.ones(n_segments))
    points = RNG.normal(size=(n_points, 3))
    begin = time.perf_counter()
    jax.block_until_ready(wire.field(points))
    seconds = time.perf_counter() - begin
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"{n_segments} segments x {n_points} points: {n_segments * n_points / seconds / 1e6:.0f} Mpairs/s, {memory:.0f} MB")


def agree(name, pairs, ours, peers, fields):
    print(f"{name}: {pairs / ours / 1e6:.0f} Mpairs/s")
    for (peer, seconds), field in zip(peers.items(), fields[1:]):
        difference = np.abs(field - fields[0]).max() / np.abs(fields[0]).max()
        print(f"    {peer}: {pairs / seconds / 1e6:.2f} Mpairs/s, ratio {seconds / ours:.1f}, difference {difference:.1e}")


def triangles(n_points=512):
    mesh = trimesh.creation.icosphere(subdivisions=4, radius=0.3)
    vertices, faces = np.asarray(mesh.vertices), np.asarray(mesh.faces)
    sheet = Sheet(vertices, faces, vertices[:, 2] * vertices[:, 0])
    points = 0.1 * RNG.normal(size=(n_points, 3))
    twin = magpylib.current.TriangleSheet(
        vertices=vertices, faces=faces, current_densities=np.asarray(sheet.surface_current())
    )
    few = points[:16]
    peers = {"magpylib": best_time(lambda: twin.getB(few), 2) * n_points / len(few)}
    ours = best_time(lambda: sheet.field(points))
    agree("triangles", len(faces) * n_points, ours, peers, [np.asarray(sheet.field(few)), twin.getB(few)])


def inductances():
    mesh = trimesh.creation.icosphere(subdivisions=4, radius=0.3)
    corners = np.asarray(mesh.vertices)[mesh.faces]
    seconds = best_time(lambda: pair_integrals(corners, corners), 2)
    print(
        f"face pairs: {len(corners) ** 2 / seconds / 1e6:.0f} Mpairs/s ({len(corners)} faces in {seconds:.2f} s)"
    )
    angle = 2 * np.pi * np.arange(8001) / 400
    path = np.stack([0.3 * np.cos(angle), 0.3 * np.sin(angle), 0.001 * angle], axis=1)
    group = (path[:-1], path[1:], np.ones(8000))
    print(
        f"wire inductance of 8000 segments: {best_time(lambda: winding_inductance([group], 1e-3), 2):.2f} s"
    )


ALONE = {"clock": clock, "stream": stream}

if __name__ == "__main__":
    if len(sys.argv) > 2:
        sys.exit(ALONE[sys.argv[1]]())
    compiled = roofline()
    segments(compiled)
    loops(compiled)
    coaxial_loops()
    triangles()
    inductances()
    cores()
    print(on_cores("stream", len(CORES)), end="")
