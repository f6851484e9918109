"""Harmonics exact from the source beside their projection from the field: `python benchmarks/harmonics.py`.

Milliseconds of processor time on one core, best of several runs, all on values already compiled; differences are of the
largest coefficient.
"""

import os
import time

os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})  # before JAX starts its threads

import jax
import jax.numpy as jnp
import numpy as np

from designtools import precision

precision.enable()

from designtools.harmonics import harmonics, project, zonal
from designtools.sources import Filaments, Loops, Magnets

RNG = np.random.default_rng(0)


def best_time(run, repeats=20):
    jax.block_until_ready(run())
    times = []
    for _ in range(repeats):
        begin = time.process_time()
        jax.block_until_ready(run())
        times.append(time.process_time() - begin)
    return 1e3 * min(times)


def general(name, source, radius, order, nodes):
    """Value with chosen rules, value and gradient with `nodes`, and the projection."""
    value = jax.jit(lambda s: harmonics(s, radius, order, nodes=nodes))
    slope = jax.jit(jax.value_and_grad(lambda s: jnp.sum(harmonics(s, radius, order, nodes=nodes).cosine ** 2)))
    own, fixed, both = (best_time(run) for run in (
        lambda: harmonics(source, radius, order), lambda: value(source), lambda: slope(source)
    ))  # fmt: skip
    sampled = best_time(lambda: project(source, radius, order), 3)
    exact, other = harmonics(source, radius, order), project(source, radius, order)
    difference = np.abs(exact.cosine - other.cosine).max() / np.abs(other.cosine).max()
    print(
        f"{name}, {(order + 1) ** 2} coefficients: {fixed:.2f} ms compiled whole, {own:.2f} ms with rules chosen, value "
        f"and gradient {both / fixed:.1f} x, projection {sampled / own:.1f} x longer, difference {difference:.1e}"
    )


def zonal_loops(count=4096, order=20):
    height, radius = RNG.normal(size=count), 0.5 + 0.1 * RNG.random(count)
    centre = np.column_stack([0 * height, 0 * height, height])
    loops = Loops(centre, np.tile([0.0, 0.0, 1.0], (count, 1)), radius, RNG.normal(size=count))
    slope = jax.jit(jax.value_and_grad(lambda s: jnp.sum(zonal(s, 0.25, order) ** 2)))
    value = best_time(lambda: zonal(loops, 0.25, order))
    points = 0.1 * RNG.normal(size=(64, 3))
    print(
        f"zonal to order {order} of {count} loops: {value:.2f} ms, with gradient {best_time(lambda: slope(loops)):.2f} ms; "
        f"the field at 64 points {best_time(lambda: loops.field(points)):.2f} ms"
    )


if __name__ == "__main__":
    angle = np.linspace(0, 20 * np.pi, 1025)
    helix = np.stack([0.3 * np.cos(angle), 0.3 * np.sin(angle), 0.02 * angle - 0.6], axis=1)
    general("1024 segments", Filaments.from_path(helix, 100.0), 0.15, 10, 30)
    turn = 2 * np.pi * np.arange(200) / 200
    centre = np.column_stack([0.3 * np.cos(turn), 0.3 * np.sin(turn), 0.1 * np.sin(3 * turn)])
    halbach = np.column_stack([0 * turn, 0 * turn, 2 * turn])
    ring = Magnets(centre, np.full((200, 3), 0.01), halbach, np.tile([1.3, 0, 0], (200, 1)))
    general("200 magnets", ring, 0.1, 10, 30)
    zonal_loops()
