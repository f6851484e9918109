"""Where the tree overtakes the direct sum: `python benchmarks/large.py [quick]`.

Sources fill a cube, or a shell about the points (a magnet about its bore).  The direct time is that of 512 points,
scaled; the error is of the largest field at those points.  Seconds of the second run, when programs are compiled.
"""

import sys
import time

import numpy as np

from designtools import precision

precision.enable()

from designtools.fast_sum import fast_field_report
from designtools.sources import Filaments, Loops, Magnets

RNG = np.random.default_rng(0)


def places(count, shape):
    if shape == "cube":
        return RNG.random((count, 3)) - 0.5
    directions = RNG.normal(size=(count, 3))
    return directions / np.linalg.norm(directions, axis=1, keepdims=True) * (1 + 0.2 * RNG.random((count, 1)))


def magnets(count, shape):
    edge = 0.3 * count ** (-1 / 3 if shape == "cube" else -1 / 2)
    return Magnets(places(count, shape), np.full((count, 3), edge), RNG.normal(size=(count, 3)), RNG.normal(size=(count, 3)))


def segments(count, shape):
    start = places(count, shape)
    return Filaments(start, start + 0.2 * count ** (-1 / 3) * RNG.normal(size=(count, 3)), RNG.normal(size=count))


def loops(count, shape):
    radius = np.full(count, 0.2 * count ** (-1 / 3))
    return Loops(places(count, shape), RNG.normal(size=(count, 3)), radius, RNG.normal(size=count))


def seconds(run):
    begin = time.perf_counter()
    result = run()
    return time.perf_counter() - begin, result


def compare(kind, count, points, shape, tolerance):
    source = kind(count, shape)
    at = 0.9 * (RNG.random((points, 3)) - 0.5)
    fast_field_report(source, at, tolerance)
    fast, report = seconds(lambda: fast_field_report(source, at, tolerance))
    few = RNG.choice(points, 512, replace=False)
    source.field(at[few])
    direct, exact = seconds(lambda: np.asarray(source.field(at[few])))
    error = np.linalg.norm(report.field[few] - exact, axis=1).max() / np.linalg.norm(report.field, axis=1).max()
    direct *= points / len(few)
    print(
        f"{count:>7} {kind.__name__:<9}{shape:<6}x {points:>8} points, asked {tolerance:.0e}: {fast:8.2f} s, direct "
        f"{direct:8.2f} s, ratio {direct / fast:6.1f}, error {error:.0e}, order {report.order[0]}, depth {report.depth[0]}",
        flush=True,
    )


if __name__ == "__main__":
    quick = "quick" in sys.argv
    for shape in ("cube", "shell"):
        for kind in (magnets, loops, segments):
            for count, points in ((3000, 30_000), (10_000, 100_000)) + (() if quick else ((30_000, 1_000_000),)):
                for tolerance in (1e-3, 1e-6):
                    compare(kind, count, points, shape, tolerance)
