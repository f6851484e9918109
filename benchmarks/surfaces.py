"""Current sheets beside bfieldtools and cfsem in one process, runs taken in turn: `python benchmarks/surfaces.py`.

Needs `pip install --target DIR --no-deps cfsem interpn findiff bfieldtools psutil` and DIR on PYTHONPATH; a peer that
cannot be imported is named and left out.  Of bfieldtools only the functions of meshes are loaded: the package itself
asks for a 3-D viewer.  Ratio is the peer's time over ours; error is relative to the largest entry.  Seconds are processor
time on one core, the best of runs taken in turn, so that a busy machine does not decide.
"""

import contextlib
import importlib
import importlib.util
import io
import os
import sys
import time
import types

os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})  # before JAX starts its threads

import numpy as np
import trimesh

from designtools import precision

precision.enable()

from designtools.sources.sheet_operator import InductanceOperator, field_operator, inductance_matrix

RADIUS = 0.3


def peers():
    """cfsem, and the modules mesh_magnetics and mesh_impedance of bfieldtools; None for what is not there."""
    found = {"cfsem": _load("cfsem")}
    place = importlib.util.find_spec("bfieldtools")
    if place:
        package = types.ModuleType("bfieldtools")
        package.__path__ = list(place.submodule_search_locations)
        sys.modules["bfieldtools"] = package
    return found | {name: _load(f"bfieldtools.{name}") for name in ("mesh_magnetics", "mesh_impedance")}


def _load(name):
    try:
        return importlib.import_module(name)
    except ImportError as error:
        print(f"{name} left out: {error}")
        return None


def in_turn(runs, repeats):
    """Best seconds and last result of each run, taken in turn so that a busy machine is busy for all."""
    best, results = dict.fromkeys(runs, np.inf), {}
    for repeat in range(repeats + 1):
        for name, run in runs.items():
            begin = time.process_time()
            with contextlib.redirect_stdout(io.StringIO()):
                results[name] = run()
            if repeat:
                best[name] = min(best[name], time.process_time() - begin)
    return best, results


def report(title, best, results, reference):
    print(title)
    for name, seconds in best.items():
        error = np.abs(results[name] - reference).max() / np.abs(reference).max()
        print(f"    {name:24s} {seconds:8.3f} s   ratio {seconds / best['ours']:5.1f}   error {error:.1e}")


def sphere(level):
    mesh = trimesh.creation.icosphere(subdivisions=level, radius=RADIUS)
    return mesh, np.asarray(mesh.vertices), np.asarray(mesh.faces)


def field_matrix(others, level=4, count=1024):
    mesh, vertices, faces = sphere(level)
    points = 0.1 * np.random.default_rng(0).normal(size=(count, 3))
    cfsem, bfieldtools = others["cfsem"], others["mesh_magnetics"]
    runs = {"ours": lambda: field_operator(vertices, faces, points)}
    if cfsem:  # its K runs the other way, its mu0 is that of CODATA 2018
        runs["cfsem"] = lambda: -np.stack(cfsem.flux_density_triangle_mesh_mapping(points, vertices, faces, False), 1)
    if bfieldtools:
        runs["bfieldtools"] = lambda: bfieldtools.magnetic_field_coupling_analytic(mesh, points)
    best, results = in_turn(runs, 2)
    report(f"field matrix, {len(faces)} faces x {count} points", best, results, results["ours"])


def inductance(others, level=4):
    mesh, vertices, faces = sphere(level)
    cfsem, bfieldtools = others["cfsem"], others["mesh_impedance"]
    runs = {"ours": lambda: inductance_matrix(vertices, faces)}
    if cfsem:
        runs["cfsem"] = lambda: cfsem.triangle_mesh_inductance_matrix(vertices, faces, False)
    if bfieldtools:
        runs["bfieldtools"] = lambda: bfieldtools.self_inductance_matrix(mesh)
    best, results = in_turn(runs, 1)
    fine = inductance_matrix(vertices, faces, tolerance=1e-5)
    report(f"inductance matrix, {len(vertices)} vertices; errors against a tolerance of 1e-5", best, results, fine)
    stream = vertices[:, 2] / RADIUS
    exact = 8 * np.pi / 9 * (4e-7 * np.pi) * RADIUS
    for name, matrix in results.items():
        print(f"    {name:24s} psi = cos(theta) on a round sphere: {stream @ matrix @ stream / exact - 1:+.1e} (the mesh: of order h2)")


def crossover(levels=(3, 4, 5), error=1e-6):
    print(f"operator of low rank against the dense matrix, error asked {error:g}")
    for level in levels:
        _, vertices, faces = sphere(level)
        stream = np.random.default_rng(0).normal(size=len(vertices))
        InductanceOperator(vertices, faces, error)  # compiles
        begin = time.process_time()
        operator = InductanceOperator(vertices, faces, error)
        built = time.process_time()
        found = operator @ stream
        used = time.process_time()
        dense = inductance_matrix(vertices, faces)
        whole = time.process_time()
        apart = np.linalg.norm(dense @ stream - found) / np.linalg.norm(dense @ stream)
        print(
            f"    {len(vertices):6d} vertices: {built - begin:6.2f} s and {operator.nbytes() / 1e6:6.0f} MB, product {used - built:.3f} s; "
            f"dense {whole - used:6.2f} s and {dense.nbytes / 1e6:6.0f} MB; product differs by {apart:.1e}"
        )


if __name__ == "__main__":
    others = peers()
    field_matrix(others)
    inductance(others)
    crossover()
