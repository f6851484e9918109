"""Speed of loop, block and cuboid fields beside magpylib in the same run: Mpairs/s, best of five.

    python benchmarks/loops_blocks_magnets.py [--json FILE]
"""

import json
import sys
import time

import jax
import jax.numpy as jnp
import magpylib
import numpy as np

from designtools import precision
from designtools.interop import to_magpylib
from designtools.sources import Blocks, Loops, Magnets

POINTS = 4096


def best(run, repeats=5):
    jax.block_until_ready(run())
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        jax.block_until_ready(run())
        times.append(time.perf_counter() - start)
    return min(times)


def sources(rng):
    n = 256
    wide = (0.5 + 0.1 * rng.random(10), 0.7 + 0.1 * rng.random(10), -0.3 - rng.random(10), 0.3 + rng.random(10))
    small = (0.5 + 0.01 * rng.random(10), 0.52 + 0.01 * rng.random(10), -0.04 * np.ones(10), 0.04 * np.ones(10))
    return {
        "loops": (Loops(rng.normal(size=(n, 3)), rng.normal(size=(n, 3)), 0.1 + rng.random(n), rng.normal(size=n)), 2.0),
        "blocks near": (Blocks(*wide, 1e6 * np.ones(10)), 0.6),
        "blocks far": (Blocks(*small, 1e6 * np.ones(10)), 0.25),
        "cuboids near": (
            Magnets(rng.normal(size=(n, 3)), 0.1 + rng.random((n, 3)), rng.normal(size=(n, 3)), rng.normal(size=(n, 3))),
            3.0,
        ),
        "cuboids far": (
            Magnets(0.1 * rng.normal(size=(n, 3)), 0.1 * np.ones((n, 3)), rng.normal(size=(n, 3)), rng.normal(size=(n, 3))),
            30.0,
        ),
    }


def measure(source, points):
    """Our speed and, where magpylib has the source, its speed and our ratio; gradient cost over the value."""
    count = jax.tree_util.tree_leaves(source)[-1].shape[0]
    pairs = count * len(points) / 1e6
    ours = best(lambda: source.field(points))
    gradient = jax.jit(jax.value_and_grad(lambda s: jnp.sum(s.field(points) ** 2)))
    row = {"Mpairs_s": pairs / ours, "gradient_over_value": best(lambda: gradient(source), 3) / ours}
    if not isinstance(source, Blocks):
        twin, few = to_magpylib(source), points[:256]
        theirs = best(lambda: twin.getB(few), 2) * len(points) / len(few)
        row |= {"magpylib_Mpairs_s": pairs / theirs, "ratio": theirs / ours}
    return row


def main():
    precision.enable()
    rng = np.random.default_rng(0)
    directions = rng.normal(size=(POINTS, 3))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    table = {name: measure(source, radius * directions) for name, (source, radius) in sources(rng).items()}
    table["versions"] = {"jax": jax.__version__, "magpylib": magpylib.__version__}
    text = json.dumps(table, indent=1)
    if "--json" in sys.argv:
        with open(sys.argv[sys.argv.index("--json") + 1], "w", encoding="utf-8") as file:
            file.write(text)
    sys.stdout.write(text + "\n")


if __name__ == "__main__":
    main()
