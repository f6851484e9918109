"""Shims beside other solvers and another field code: time per slice problem, and the whole way from files to currents.

    python benchmarks/shims.py

The slices are those of the 7 T head of specs/data with 48 loops on a cylinder at 3 A, on top of second order.  Every
solver gets the same reduced problem; excess is its objective over ours.  The whole way runs in processes of their own:
ours from the spec, the other with nibabel, magpylib's loops and SciPy's SLSQP with its slopes, slice by slice, which is
how shim tools in the literature go about it.  Times are processor seconds, ours with compiled code kept on disk.
"""

from __future__ import annotations

import resource
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

from designtools import precision

precision.enable()

from designtools.quantities import shim as quantities  # noqa: E402
from designtools.recipes import shim, shim_shots  # noqa: E402
from designtools.solve import box  # noqa: E402
from designtools.spec import load  # noqa: E402

DATA = Path(__file__).parents[1] / "specs" / "data"
CURRENT = 3.0  # A
LOOPS = {"arrangement": "cylinder", "rows": 4, "per_row": 12, "row_spacing": 0.06, "radius": 0.14, "loop_radius": 0.04, "name": "loops"}


def spec(loops=LOOPS):
    files = {"b0": str(DATA / "sim7t_head_b0hz.nii.gz"), "mask": str(DATA / "sim7t_head_mask.nii.gz")}
    scanner = {"arrangement": "harmonics", "order": 2, "name": "scanner", "first": True}
    return load({"kind": "shim", "name": "bench", "field_map": files, "coils": [scanner, loops], "limits": {"current": CURRENT}, "schedule": {"shots": "slices"}})


def slices():
    """H, g and constant of every slice, of the spec's loops."""
    setting = shim.prepare(spec())
    first = setting.over(lambda c: c.set.first)
    early, _ = shim_shots._set_first(setting, setting.volumes[0], setting.profiles[0], first)
    frequency = setting.volumes[0].values + setting.profiles[0][:, first] @ early
    tasks = [shim_shots._task(setting, setting.volumes[0], setting.profiles[0], frequency, s, ~first) for s in setting.shots]
    found = [quantities.reduced(*task) for task in tasks]
    return np.stack([r.H for r in found]), np.stack([r.g for r in found]), np.array([r.constant for r in found])


def timed(function, *arguments):
    start = time.process_time()
    value = function(*arguments)
    return value, time.process_time() - start


def others(H, g, constant, count=12):
    """(name, ms per problem, largest excess over ours) of other solvers on some of the slices."""
    import cvxpy as cp
    from scipy.optimize import lsq_linear, minimize

    some = np.linspace(0, len(g) - 1, count).astype(int)
    most = np.full(g.shape, CURRENT)
    ours = box.solve(H, g, -most, most, constant).value + constant
    root = [np.linalg.cholesky(H[k] + 1e-12 * np.trace(H[k]) * np.eye(48)).T for k in some]
    value = lambda k, x: x @ H[k] @ x / 2 + g[k] @ x + constant[k]

    def clarabel(k, R):
        x = cp.Variable(48)
        cp.Problem(cp.Minimize(cp.sum_squares(R @ x) / 2 + g[k] @ x), [cp.abs(x) <= CURRENT]).solve(solver=cp.CLARABEL)
        return x.value

    solvers = {
        "cvxpy + Clarabel": clarabel,
        "SciPy lsq_linear": lambda k, R: lsq_linear(R, -np.linalg.solve(R.T, g[k]), (-CURRENT, CURRENT), tol=1e-12).x,
        "SciPy SLSQP": lambda k, R: minimize(lambda x: (value(k, x) / constant[k], (H[k] @ x + g[k]) / constant[k]), np.zeros(48), jac=True, method="SLSQP", bounds=[(-CURRENT, CURRENT)] * 48, options={"maxiter": 1000, "ftol": 1e-9}).x,
    }
    for name, solver in solvers.items():
        found, seconds = timed(lambda: [solver(k, R) for k, R in zip(some, root)])
        excess = max(value(k, np.clip(x, -CURRENT, CURRENT)) / ours[k] - 1 for k, x in zip(some, found))
        yield name, 1e3 * seconds / count, excess


def whole_way() -> dict:
    """Processor seconds of fresh processes, from files to currents."""
    found = {}
    for name in ("ours", "ours", "other"):  # the first fills the cache of compiled code
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        std = subprocess.run([sys.executable, __file__, name], check=True, capture_output=True, text=True).stdout.split()[-1]
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        found[name] = (after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, float(std))
    return found


def by_us() -> float:
    from designtools.recipes.shim_evidence import after_shim

    setting = shim.prepare(spec())
    return float(after_shim(setting, shim.solve(setting).design.parts["currents"])[0].left.std())


def by_others() -> float:
    """nibabel, magpylib and SLSQP, in the order a script would."""
    import magpylib
    import nibabel
    from scipy.optimize import minimize
    from scipy.spatial.transform import Rotation

    image = nibabel.load(DATA / "sim7t_head_b0hz.nii.gz")
    values, mask = np.asarray(image.dataobj, float), np.asarray(nibabel.load(DATA / "sim7t_head_mask.nii.gz").dataobj) != 0
    points = (np.argwhere(mask) @ image.affine[:3, :3].T + image.affine[:3, 3]) * 1e-3
    points -= (points.min(axis=0) + points.max(axis=0)) / 2
    columns = []
    for row, height in enumerate((-0.09, -0.03, 0.03, 0.09)):
        for place in range(12):
            angle = 2 * np.pi * (place + (row % 2) / 2) / 12
            out = np.array([np.cos(angle), np.sin(angle), 0.0])
            loop = magpylib.current.Circle(current=1, diameter=0.08, position=0.14 * out + [0, 0, height], orientation=Rotation.align_vectors([out], [[0, 0, 1]])[0])
            columns.append(42.577478518e6 * loop.getB(points)[:, 2])
    x, y, z = 10 * points.T
    smooth = np.stack([1 + 0 * x, x, y, z, x * y, y * z, x * z, x**2 - y**2, 2 * z**2 - x**2 - y**2], axis=1)
    residual = values[mask] - smooth @ np.linalg.lstsq(smooth, values[mask], rcond=None)[0]
    A, place, left = np.stack(columns, axis=1), np.argwhere(mask)[:, 2], []
    for k in np.unique(place):
        rows = np.column_stack([A[place == k], np.ones((place == k).sum())])
        H, g, c = rows.T @ rows, rows.T @ residual[place == k], residual[place == k] @ residual[place == k]
        cost = lambda v: ((v @ H @ v + 2 * g @ v + c) / c, 2 * (H @ v + g) / c)
        found = minimize(cost, np.zeros(49), jac=True, method="SLSQP", bounds=[(-CURRENT, CURRENT)] * 48 + [(None, None)], options={"maxiter": 1000, "ftol": 1e-9})
        left.append(residual[place == k] + rows @ found.x)
    return float(np.sqrt(np.mean(np.concatenate([v - v.mean() for v in left]) ** 2)))


def main():
    H, g, constant = slices()
    most = np.full(g.shape, CURRENT)
    many = [np.tile(a, (8,) + (1,) * (a.ndim - 1)) for a in (H, g, -most, most, constant)]
    box.solve(*many)
    found, seconds = timed(box.solve, *many)
    worst = float(box.relative_gap(found.gap, found.value + many[4], many[4]).max())
    own = 1e3 * seconds / len(many[1])
    print(f"{'48 channels, one slice':24s} {'ms':>8s} {'ratio':>7s} {'excess':>9s}")
    print(f"{'ours, batched':24s} {own:8.3f} {1:7.1f}   largest certified gap {worst:.1e}")
    for name, milliseconds, excess in others(H, g, constant):
        print(f"{name:24s} {milliseconds:8.3f} {milliseconds / own:7.1f} {excess:9.1e}")
    way = whole_way()
    (mine, std), (theirs, other) = way["ours"], way["other"]
    print(f"files to currents, 77 slices of 48 loops: ours {mine:.2f} s ({std:.4f} Hz), magpylib + SLSQP {theirs:.2f} s ({other:.4f} Hz): {theirs / mine:.1f} times")


if __name__ == "__main__":
    if sys.argv[1:]:
        print({"ours": by_us, "other": by_others}[sys.argv[1]]())
    else:
        main()
