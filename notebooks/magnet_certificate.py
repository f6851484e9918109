# ---
# jupyter:
#   jupytext:
#     formats: ipynb,py:percent
#     text_representation: {extension: .py, format_name: percent}
# ---

# %% [markdown]
# # A whole-body magnet and its certificate
#
# How much superconductor does a 1.5 T whole-body magnet need, with 10 ppm over 500 mm and 5 gauss inside an ellipse of 2.5 m by 4 m? A
# linear programme over all current densities inside the envelope gives a number that **no** coaxial magnet can beat.
# Rectangular blocks, which can be wound, are then fitted; how far they lie above the bound is the certificate.

# %%
from pathlib import Path

import numpy as np

import designtools as dt
from designtools import precision
from designtools.recipes import block_magnet

precision.enable()  # 64 bits, before JAX makes its first array

SPECS = Path(dt.__file__).parents[1] / "specs"
spec = dt.load_spec(SPECS / "whole_body_1p5T.yaml")
setting = block_magnet.prepare(spec)
solution = block_magnet.solve(setting)
blocks = block_magnet.wind(setting, solution).source
volume = float(np.sum(np.pi * (np.asarray(blocks.outer_radius) ** 2 - np.asarray(blocks.inner_radius) ** 2) * (np.asarray(blocks.z_high) - np.asarray(blocks.z_low))))
print(f"{len(blocks.inner_radius)} blocks, {volume:.4f} m^3 of conductor at 150 A/mm^2")
print(f"nothing inside the envelope can do it with {solution.gap:.2%} less")

# %% [markdown]
# ## Check it yourself
#
# The blocks are a source. Their field on random directions, which no grid of the optimiser knows:

# %%
direction = np.random.default_rng(1).normal(size=(2000, 3))
direction /= np.linalg.norm(direction, axis=1)[:, None]
field = np.asarray(blocks.field(0.25 * direction))[:, 2]
centre = float(blocks.field([[0.0, 0.0, 0.0]])[0, 2])
print(f"field {centre:.4f} T, peak to peak {1e6 * np.ptp(field) / 1.5:.2f} ppm over 500 mm")
ellipse = np.stack([2.5 * np.sin(t := np.linspace(0, np.pi, 181)), 0 * t, 4.0 * np.cos(t)], axis=1)
print(f"largest field on the ellipse: {1e4 * np.linalg.norm(np.asarray(blocks.field(ellipse)), axis=1).max():.3f} gauss")

# %% [markdown]
# Without the inner field of its shield the same magnet would reach much further: the forward blocks alone.

# %%
forward = np.asarray(blocks.current_density) > 0
alone = dt.Blocks(*(np.asarray(getattr(blocks, name))[forward] for name in ("inner_radius", "outer_radius", "z_low", "z_high", "current_density")))
reach = [dt.fringe_extent(magnet, angles=60) for magnet in (alone, blocks)]
print(f"5 gauss along the axis: {reach[0].axial:.2f} m without shield, {reach[1].axial:.2f} m with it")

# %%
assert 0 < solution.gap < 0.03
assert np.ptp(field) / 1.5 < 10.5e-6 and abs(centre / 1.5 - 1) < 1e-3
assert reach[1].axial < 4.01 < reach[0].axial
