# ---
# jupyter:
#   jupytext:
#     formats: ipynb,py:percent
#     text_representation: {extension: .py, format_name: percent}
# ---

# %% [markdown]
# # Comparing with magpylib and pyCoilGen
#
# Two programs of others, two questions: is the field of a winding the same, and is the winding better?

# %%
import time

import magpylib
import numpy as np

import designtools as dt

# %% [markdown]
# ## magpylib: the same field
#
# A spiral of a thousand segments, a ring, a magnet. magpylib's objects go in and come out; what differs is speed.

# %%
angle = np.linspace(0, 40 * np.pi, 1001)
spiral = np.stack([0.05 * np.cos(angle), 0.05 * np.sin(angle), np.linspace(-0.1, 0.1, 1001)], axis=1)
theirs = {
    "polyline": magpylib.current.Polyline(vertices=spiral, current=3.0),
    "circle": magpylib.current.Circle(diameter=0.1, current=3.0),
    "cuboid": magpylib.magnet.Cuboid(polarization=(0, 0, 1.2), dimension=(0.02, 0.03, 0.04)),
}
points = np.random.default_rng(1).uniform(-0.3, 0.3, (2000, 3))
difference = {}
for name, source in theirs.items():
    ours = dt.from_magpylib(source)
    np.asarray(ours.field(points))  # compiles
    began = time.perf_counter()
    b = np.asarray(ours.field(points))
    ours_took, began = time.perf_counter() - began, time.perf_counter()
    reference = np.asarray(source.getB(points))
    took = time.perf_counter() - began
    difference[name] = float(np.abs(b - reference).max() / np.abs(reference).max())
    print(f"{name}: largest difference {difference[name]:.1e} of the largest field; {took / ours_took:.1f} times as fast")

# %% [markdown]
# ## pyCoilGen: another way to the same coil
#
# pyCoilGen 0.2.4 is under the GPL, so it is no part of these tests. Its biplanar example (two planes of 1 m by 1 m, 0.5 m apart, an x gradient over a ball of
# 100 mm radius, 14 levels) is a task that anyone can run on both. pyCoilGen minimises field error plus a fixed weight times the square of the
# current density, and reports what comes out; here the error is a limit and the power is made as small as it allows, so
# the question is turned round: at which error does how much power suffice? That is the curve the explorer draws.

# %%
from designtools.explorer import gradient, models

TASK = {
    "kind": "gradient", "name": "biplanar example", "frame": {"b0_axis": "y", "bore_axis": "z"}, "region": {"radius": "100 mm"},
    "target": {"gradient_axis": "x", "strength": "10 mT/m", "error": "5 %"}, "mesh": {"resolution": "60 mm"},
    "primary": {"former": "biplanar", "normal": "y", "width": "1 m", "height": "1 m", "gap": "0.5 m"},
    "conductor": {"width": "4 mm", "thickness": "4 mm"}, "winding": {"turns": 14, "joined": False},
}  # fmt: skip
live, spec = models.prepared(TASK)
state = {knob.key: knob.value for knob in live.knobs}
power = {}
for error in (0.02, 0.05, 0.1, 0.2):
    found = gradient.found_at(live, state | {"target.error": error})
    power[error] = gradient.sheet_power(found)
    print(f"largest error {error:.0%}: {power[error]:.1f} W, {found.current:.1f} A in each of 14 turns")

# %%
assert max(difference.values()) < 1e-9
assert power[0.02] > power[0.05] > power[0.1] > power[0.2]
