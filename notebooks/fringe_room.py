# ---
# jupyter:
#   jupytext:
#     formats: ipynb,py:percent
#     text_representation: {extension: .py, format_name: percent}
# ---

# %% [markdown]
# # A magnet in a room
#
# A small magnet is to stand in an office. The people next door must not enter 0.5 mT, and the desk beside it should not either.

# %%
from pathlib import Path

import numpy as np

import designtools as dt

SPECS = Path(dt.__file__).parents[1] / "specs"
magnet = dt.run(SPECS / "six_coil_magnet.yaml")
magnet

# %% [markdown]
# ## How far the field reaches
#
# The lines of 0.5 mT (5 gauss) and 0.9 mT, along the axis and across it, and the area and volume they take.

# %%
for level in (5e-4, 9e-4):
    reach = dt.fringe_extent(magnet.source, level=level)
    print(f"{level * 1e3:g} mT: {reach.axial:.3f} m along the axis, {reach.radial:.3f} m across")
names = [name for name in magnet.figures if name.startswith("zone")]
for name in names:
    print(f"{name}: {magnet.figures[name].value * 1e6:.0f} uT")

# %% [markdown]
# ## Far away it is a dipole
#
# The further one goes the more the field looks like that of a dipole, B = mu0 m / (2 pi z^3) on the axis: a check that needs no
# code of ours but the moment.

# %%
far = 4.0
on_axis = float(magnet.source.field([[0.0, 0.0, far]])[0, 2])
moment = float(np.asarray(magnet.source.moment())[2])
print(f"field at {far:g} m: {on_axis * 1e6:.4f} uT, dipole alone {2e-7 * moment / far**3 * 1e6:.4f} uT")

# %% [markdown]
# ## Twice the field, how much more room?
#
# The reach of a dipole grows with the cube root of its strength: doubling the field costs a quarter more distance, not twice.

# %%
doubled = dt.fringe_extent(magnet.source, level=2.5e-4)  # the same as twice the current at 0.5 mT
single = dt.fringe_extent(magnet.source, level=5e-4)
print(f"axial reach {single.axial:.3f} m -> {doubled.axial:.3f} m: ratio {doubled.axial / single.axial:.3f}, cube root of two {2 ** (1 / 3):.3f}")

# %%
assert abs(2e-7 * moment / far**3 / on_axis - 1) < 0.02
assert abs(doubled.axial / single.axial / 2 ** (1 / 3) - 1) < 0.05
assert names and all(magnet.figures[name].value < 5e-4 for name in names)
