"""Field kernels beside peers on the same work: `python benchmarks/fields.py`.

Rates are million source-point pairs per second of the best of several runs; ratio is ours over the peer's.
Differences are relative to the largest field, so that a faster wrong answer shows.
"""

import time

import jax
import magpylib
import numpy as np
import trimesh

from designtools import precision

precision.enable()

from designtools.kernels.face_inductance import pair_integrals
from designtools.kernels.wire_inductance import winding_inductance
from designtools.sources import Filaments, Sheet

RNG = np.random.default_rng(0)


def best_time(run, repeats=5):
    jax.block_until_ready(run())
    times = []
    for _ in range(repeats):
        begin = time.perf_counter()
        jax.block_until_ready(run())
        times.append(time.perf_counter() - begin)
    return min(times)


def numpy_segments(start, end, current, points):
    """The textbook sum, broadcast in slices of points."""
    out = np.empty_like(points)
    for k in range(0, len(points), 64):
        ri, rf = points[k : k + 64, None] - start, points[k : k + 64, None] - end
        a, b = np.linalg.norm(ri, axis=-1), np.linalg.norm(rf, axis=-1)
        factor = (a + b) / (a * b * (a * b + np.einsum("psc,psc->ps", ri, rf))) * current
        out[k : k + 64] = 1e-7 * np.einsum("psc,ps->pc", np.cross(end - start, ri), factor)
    return out


def report(name, pairs, ours, peers, fields):
    print(f"{name}: {pairs / ours / 1e6:.0f} Mpairs/s")
    for (peer, seconds), field in zip(peers.items(), fields[1:]):
        difference = np.abs(field - fields[0]).max() / np.abs(fields[0]).max()
        print(
            f"    {peer}: {pairs / seconds / 1e6:.2f} Mpairs/s, ratio {seconds / ours:.1f}, difference {difference:.1e}"
        )


def segments(n_segments=2048, n_points=2048):
    start = RNG.normal(size=(n_segments, 3))
    wire = Filaments(start, start + 0.1 * RNG.normal(size=start.shape), RNG.normal(size=n_segments))
    points = RNG.normal(size=(n_points, 3))
    pairs = n_segments * n_points
    few = points[:64]
    twin = magpylib.Collection(
        [magpylib.current.Polyline(i, vertices=[s, e]) for s, e, i in zip(wire.start, wire.end, wire.current)]
    )
    peers = {
        "numpy": best_time(lambda: numpy_segments(wire.start, wire.end, wire.current, points), 2),
        "magpylib": best_time(lambda: magpylib.getB(twin, few), 2) * n_points / len(few),
    }
    ours = best_time(lambda: wire.field(points))
    theirs = [
        np.asarray(wire.field(few)),
        numpy_segments(wire.start, wire.end, wire.current, few),
        magpylib.getB(twin, few),
    ]
    report("segments", pairs, ours, peers, theirs)
    slope = jax.jit(jax.value_and_grad(lambda w, p: (w.field(p) ** 2).sum(), argnums=(0, 1)))
    print(f"    value and gradient over value: {best_time(lambda: slope(wire, points)) / ours:.1f}")


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
    report("triangles", len(faces) * n_points, ours, peers, [np.asarray(sheet.field(few)), twin.getB(few)])


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


if __name__ == "__main__":
    segments()
    triangles()
    inductances()
