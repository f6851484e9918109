"""Coil blocks and cuboid magnets beside a C loop of the same formula, magpylib and (if installed) cfsem.

    python benchmarks/blocks_cuboids.py [--json FILE]

Seconds are processor time of this process on one core, best of several interleaved runs, so that a busy machine does
not decide.  Ratio = theirs over ours; error = difference over the largest field.
"""

import ctypes
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})  # before JAX starts its threads

import jax
import jax.numpy as jnp
import numpy as np

from designtools import precision

precision.enable()

from designtools.interop import to_magpylib
from designtools.kernels import block
from designtools.sources import Blocks, Magnets

POINTS = 4096
RNG = np.random.default_rng(0)
C_SOURCE = Path(__file__).with_name("blocks_cuboids.c")
ARRAY = np.ctypeslib.ndpointer(np.float64, flags="C")


def best(runs, repeats=7):
    """Processor seconds of each run, the best of several rounds in which they take turns."""
    seconds = dict.fromkeys(runs, np.inf)
    for run in runs.values():
        jax.block_until_ready(run())
    for _ in range(repeats):
        for name, run in runs.items():
            start = time.process_time()
            jax.block_until_ready(run())
            seconds[name] = min(seconds[name], time.process_time() - start)
    return seconds


def c_library():
    """The C loops compiled on the spot, or None without a compiler."""
    compiler = shutil.which("gcc") or shutil.which("cc")
    if compiler is None:
        return None
    target = Path(tempfile.mkdtemp()) / "loops.so"
    flags = ["-O3", "-march=native", "-ffast-math", "-shared", "-fPIC"]
    subprocess.run([compiler, *flags, str(C_SOURCE), "-o", str(target), "-lm"], check=True)
    return ctypes.CDLL(str(target))


def c_block(library, source, points):
    """The azimuthal form with the nodes of the level that all points share."""
    r, z = np.hypot(points[:, 0], points[:, 1]), np.ascontiguousarray(points[:, 2])
    sections = np.stack([np.asarray(leaf) for leaf in jax.tree_util.tree_leaves(source)[:4]], axis=1)
    level = max(int(jnp.max(block._level(jnp.asarray(r * r), jnp.asarray(z), tuple(s)))) for s in sections)
    count = block.NEAR_RULES[level - len(block.FAR_RULES)][1]
    rule = block._azimuth_rule(tuple(map(jnp.asarray, sections[0])), jnp.float64)
    nodes = [np.array(part[level - len(block.FAR_RULES), :count]) for part in rule]
    axial, radial = np.zeros(len(r)), np.zeros(len(r))
    size = (ctypes.c_int, *[ARRAY] * 4, ctypes.c_int, *[ARRAY] * 2, *[ctypes.c_double] * 4, *[ARRAY] * 2)
    library.block.argtypes = size

    def run():
        for section in sections:
            library.block(count, *nodes, len(r), r, z, *section, axial, radial)

    return run, count


def c_cuboid(library, source, points):
    """The closed form for magnets whose axes are those of space."""
    out = np.zeros_like(points)
    arrays = [np.ascontiguousarray(a) for a in (source.centre, np.asarray(source.size) / 2, source.polarization)]
    library.cuboid.argtypes = (ctypes.c_int, ARRAY, ARRAY, ARRAY, ctypes.c_int, ARRAY, ARRAY)

    def run():
        out[:] = 0
        library.cuboid(len(arrays[0]), *arrays, len(points), points, out)
        return out

    return run


def peers(source, points):
    """name -> (run, fraction of the points)."""
    if isinstance(source, Magnets):
        twin, few = to_magpylib(source), np.ascontiguousarray(points[:128])
        return {"magpylib": (lambda: twin.getB(few), len(few) / len(points))}
    return {name: (run, 1.0) for name, run in cfsem_blocks(source, points).items()}


def cfsem_blocks(source, points):
    """Filament loops of cfsem, 32 x 32 to a section: what it offers for a thick coil."""
    try:
        import cfsem
    except ImportError:
        return {}
    turns = [np.asarray(leaf) for leaf in jax.tree_util.tree_leaves(source)]
    grids = [
        np.meshgrid(a + (b - a) * (np.arange(32) + 0.5) / 32, c + (d - c) * (np.arange(32) + 0.5) / 32)
        for a, b, c, d in zip(*turns[:4])
    ]
    radius, height = (np.concatenate([g[k].ravel() for g in grids]) for k in (0, 1))
    current = np.repeat(np.asarray(source.ampere_turns()) / 1024, 1024)
    r, z = np.hypot(points[:, 0], points[:, 1]), np.ascontiguousarray(points[:, 2])
    return {"cfsem 32x32": lambda: cfsem.flux_density_circular_filament(current, radius, height, r, z)}


def measure(source, points, library):
    """One row: our speed, ratios to the others, errors, and what a gradient costs."""
    pairs = jax.tree_util.tree_leaves(source)[0].shape[0] * len(points)
    ours = np.asarray(source.field(points))
    slope = jax.jit(jax.value_and_grad(lambda s, p: jnp.sum(s.field(p) ** 2), argnums=(0, 1)))
    start = time.process_time()
    jax.block_until_ready(slope(source, points))
    row = {"gradient_compile_s": time.process_time() - start}
    runs = {"ours": lambda: source.field(points), "gradient": lambda: slope(source, points)}
    parts = {name: part for name, part in peers(source, points).items()}
    runs |= {name: run for name, (run, _) in parts.items()}
    if library is not None and isinstance(source, Magnets) and not np.any(np.asarray(source.rotation)):
        runs["C"] = c_cuboid(library, source, points)
        row["C_difference"] = float(np.abs(runs["C"]() - ours).max() / np.abs(ours).max())
    if library is not None and isinstance(source, Blocks) and np.all(np.linalg.norm(points, axis=1) < 1):
        runs["C"], row["C_azimuths"] = c_block(library, source, points)
    seconds = best(runs)
    row |= {"Mpairs_s": pairs / seconds["ours"] / 1e6, "gradient_over_value": seconds["gradient"] / seconds["ours"]}
    return row | {
        f"ratio_{name}": seconds[name] / parts.get(name, (None, 1.0))[1] / seconds["ours"]
        for name in seconds
        if name not in ("ours", "gradient")
    }


def cases():
    """name -> (source, points)."""
    n = 10
    coil = [0.5 + 0.1 * RNG.random(n), 0.7 + 0.1 * RNG.random(n), -0.3 - RNG.random(n), 0.3 + RNG.random(n)]
    slim = [0.5 + 0.01 * RNG.random(n), 0.52 + 0.01 * RNG.random(n), -0.04 * np.ones(n), 0.04 * np.ones(n)]
    direction = RNG.normal(size=(POINTS, 3))
    direction /= np.linalg.norm(direction, axis=1, keepdims=True)
    m = 256
    axes, spread = np.zeros((m, 3)), RNG.normal(size=(m, 3))
    cubes = [0.1 + RNG.random((m, 3)), axes, RNG.normal(size=(m, 3))]
    return {
        "blocks, imaging volume": (Blocks(*coil, 1e6 * np.ones(n)), 0.25 * direction),
        "blocks, in the winding": (Blocks(*coil, 1e6 * np.ones(n)), 0.6 * direction),
        "blocks, slim": (Blocks(*slim, 1e6 * np.ones(n)), 0.25 * direction),
        "blocks, 5 m away": (Blocks(*slim, 1e6 * np.ones(n)), 5 * direction),
        "cuboids, among them": (Magnets(spread, *cubes), 3 * RNG.random((POINTS, 1)) * direction),
        "cuboids, turned": (Magnets(spread, cubes[0], RNG.normal(size=(m, 3)), cubes[2]), 3 * direction),
        "cuboids, far": (Magnets(spread, 0.1 * np.ones((m, 3)), *cubes[1:]), 30 * direction),
    }


def main():
    library = c_library()
    table = {}
    for name, (source, points) in cases().items():
        table[name] = measure(source, np.ascontiguousarray(points), library)
        print(name, {key: float(f"{value:.3g}") for key, value in table[name].items()}, flush=True)
    if "--json" in sys.argv:
        Path(sys.argv[sys.argv.index("--json") + 1]).write_text(json.dumps(table, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
