# ---
# jupyter:
#   jupytext:
#     formats: ipynb,py:percent
#     text_representation: {extension: .py, format_name: percent}
# ---

# %% [markdown]
# # A B1 shim under SAR
#
# Eight loops round a layered head at 7 T. Waves in the body are as short as the head is wide, so a field that is bright in the
# middle is dark elsewhere. Amplitudes and phases can even it out, as far as heating allows. The voxels here are coarse
# (20 mm) so that the story runs in seconds; the spec `rf_shim_7T.yaml` has 8 mm.

# %%
from pathlib import Path

import designtools as dt

SPECS = Path(dt.__file__).parents[1] / "specs"
COARSE = {"phantom.voxel": "20 mm", "target.starts": 2}


def shim(**limits):
    """The spec with other limits; everything else as it stands."""
    return dt.run(SPECS / "rf_shim_7T.yaml", overrides=COARSE | {f"limits.{name}": value for name, value in limits.items()})


usual = shim()
usual

# %% [markdown]
# ## What the shim is worth
#
# Beside it: the same array with its phases added at the middle of the region, at the same mean field.

# %%
before = usual.audit["unshimmed"]
for name in ("b1_uniformity", "sar_10g_max", "sar_head"):
    print(f"{name}: {before[name]:.3g} with phases added at the middle, {usual.figures[name].value:.3g} with the shim")
for name, share in usual.audit["limits used"].items():
    print(f"limit {name}: {share:.0%} used")

# %% [markdown]
# ## What safety costs
#
# A lower limit on the local SAR leaves less to even out with.

# %%
strict = shim(sar_10g="1 W/kg")
print(f"evenness {usual.figures['b1_uniformity'].value:.4f} at 10 W/kg, {strict.figures['b1_uniformity'].value:.4f} at 1 W/kg")
print(f"largest SAR over 10 g {usual.figures['sar_10g_max'].value:.3f} W/kg, {strict.figures['sar_10g_max'].value:.3f} W/kg: design estimates, not statements of safety")

# %%
assert usual.figures["b1_uniformity"].value > before["b1_uniformity"]
assert strict.figures["sar_10g_max"].value <= 1.001 < 1.001 * usual.figures["sar_10g_max"].value + 1
assert all(share <= 1.001 for share in usual.audit["limits used"].values())
