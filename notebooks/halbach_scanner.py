# ---
# jupyter:
#   jupytext:
#     formats: ipynb,py:percent
#     text_representation: {extension: .py, format_name: percent}
# ---

# %% [markdown]
# # A Halbach scanner from its requirements
#
# A desktop magnet for samples of 24 mm, built from 10 mm cubes that can be bought. Which magnet goes where is found by search, with a bound on what
# is possible; then the magnets' scatter is thrown at it. Four rings, few rounds and no refined positions keep the story short; the spec
# `halbach_desktop.yaml` has ten rings and refines them.

# %%
from pathlib import Path

import numpy as np

import designtools as dt

SPECS = Path(dt.__file__).parents[1] / "specs"
QUICK = {"rings.count": 4, "rings.radii": ["48 mm", "51 mm", "54 mm"], "search.rounds": 20, "scatter.samples": 20, "field.floor": "60 mT", "refine": None, "requirements": [{"quantity": "magnet_mass", "op": "<=", "limit": "2 kg"}]}
magnet = dt.run(SPECS / "halbach_desktop.yaml", overrides=QUICK)
magnet

# %%
for name in ("central_field", "homogeneity_pp", "magnet_mass"):
    figure = magnet.figures[name]
    print(f"{name}: {figure.value:.4g} {figure.unit}")
for row in magnet.requirements:
    print(f"{row['quantity']} {row['op']} {row['limit']:.4g}: {row['status']}")

# %% [markdown]
# ## A second opinion
#
# magpylib computes cubes by other code. Both must say the same at points that nobody optimised.

# %%
points = 0.01 * np.random.default_rng(1).uniform(-1, 1, (50, 3))
ours = np.asarray(magnet.source.field(points))
theirs = np.asarray(dt.to_magpylib(magnet.source).getB(points))
difference = float(np.abs(ours - theirs).max() / np.abs(ours).max())
print(f"largest difference to magpylib: {difference:.1e} of the field")

# %% [markdown]
# ## Does it need a cage?
#
# The field outside falls like that of a multipole of high order; the 5 gauss line is close.

# %%
axial, radial = (magnet.figures[f"fringe_{way}_0p5mT"].value for way in ("axial", "radial"))
print(f"5 gauss: {axial * 1e3:.0f} mm along the bore, {radial * 1e3:.0f} mm across")

# %%
assert difference < 1e-9
assert 0.05 < magnet.figures["central_field"].value < 0.2
assert radial < 0.5
