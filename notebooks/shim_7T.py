# ---
# jupyter:
#   jupytext:
#     text_representation: {extension: .py, format_name: percent}
# ---

# %% [markdown]
# # Shimming a 7 T head
#
# A brain at 7 T has a field that no shim of low order can flatten: the air of the sinuses and of the ears bends it over a
# few centimetres. This story takes one map and asks, step by step, what each means of shimming is worth, how far it is
# from the best possible, and what a coil builder should change next. Every standard deviation is over the same 233,917 voxels.

# %%
from pathlib import Path

import numpy as np

import designtools as dt

SPECS = Path(dt.__file__).parents[1] / "specs"
DATA = SPECS / "data"
BRAIN = {"b0": str(DATA / "sim7t_head_b0hz.nii.gz"), "mask": str(DATA / "sim7t_head_mask.nii.gz")}


def shim(coils, **more):
    """Design a shim of the brain from plain data; the result has figures, each with unit and method."""
    return dt.run({"kind": "shim", "name": "7 T", "field_map": BRAIN, "coils": coils} | more)


def left(result):
    return result.figures["b0_std_shimmed"].value


# %% [markdown]
# ## What the scanner itself can do
#
# Ideal coils of every order, set once for the whole brain. The eighth order has 80 coils, which nobody builds.

# %%
orders = {n: left(shim({"arrangement": "harmonics", "order": n})) for n in (1, 2, 3, 4, 6, 8)}
before = shim({"arrangement": "harmonics", "order": 1}).figures["b0_std_unshimmed"].value
print(f"unshimmed: {before:.1f} Hz")
for n, std in orders.items():
    print(f"order {n}: {std:.1f} Hz")

# %% [markdown]
# ## Slice by slice
#
# A scanner that changes its shims from slice to slice needs to please fewer voxels at once. With fast second order alone:

# %%
scanner = {"name": "scanner", "arrangement": "harmonics", "order": 2, "first": True}
fast = left(shim({"arrangement": "harmonics", "order": 2}, schedule={"shots": "slices"}))
print(f"second order, slice by slice: {fast:.1f} Hz")

# %% [markdown]
# ## Loops on a helmet
#
# Thirty-two small loops of one turn near the head, on top of the scanner's own static second order. Three amperes are enough
# for a cheap amplifier. Each answer is the best there is: its gap is certified.

# %%
helmet = {"name": "helmet", "arrangement": "helmet", "semi_axes": [0.110, 0.130, 0.115], "lowest": -0.07, "count": 32, "loop_radius": 0.04}
limits = {"current": 3.0}
static = shim([scanner, helmet], limits=limits)
dynamic = shim([scanner, helmet], limits=limits, schedule={"shots": "slices"}, ultimate_limit=True)
for name, result in (("static", static), ("slice by slice", dynamic)):
    gap = result.figures["optimality_gap"].value
    print(f"{name}: {left(result):.1f} Hz, {result.figures['power'].value * 1e3:.0f} mW, nothing better by more than {gap:.0e}")

# %% [markdown]
# ## Is it the currents or the loops?
#
# Any current on the helmet's surface, with the same copper and the same power, could do this well. The distance says
# whether another arrangement of loops is worth looking for.

# %%
print(f"loops {left(dynamic):.1f} Hz, any current {dynamic.figures['b0_std_ultimate'].value:.1f} Hz at {dynamic.figures['power'].value * 1e3:.0f} mW")

# %% [markdown]
# ## An amplifier that cannot jump
#
# From one slice to the next the currents may change by one ampere only: the slices are now one problem.

# %%
slow = shim([scanner, helmet], limits=limits | {"step": 1.0}, schedule={"shots": "slices"})
steps = slow.figures["current_step_max"].value
print(f"steps of at most {steps:.2f} A: {left(slow):.1f} Hz")

# %%
assert orders[8] < orders[4] < orders[2] < orders[1] < before
assert left(dynamic) < left(slow) <= left(static) and left(dynamic) < fast
assert dynamic.figures["b0_std_ultimate"].value < left(dynamic)
assert np.isclose(steps, 1.0, rtol=1e-6)
