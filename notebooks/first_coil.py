# ---
# jupyter:
#   jupytext:
#     formats: ipynb,py:percent
#     text_representation: {extension: .py, format_name: percent}
# ---

# %% [markdown]
# # A first coil in ten lines
#
# An unshielded x gradient on a tube: what is wanted, the surface, the conductor, the turns. Everything else has a default.

# %%
import designtools as dt

coil = dt.run({
    "kind": "gradient", "name": "first coil",
    "region": {"radius": "60 mm"},
    "target": {"gradient_axis": "x", "strength": "20 mT/m", "error": "6 %"},
    "primary": {"former": "cylinder", "radius": "120 mm", "length": "360 mm"},
    "conductor": {"width": "3 mm", "thickness": "3 mm"},
    "winding": {"turns": 9, "joined": False},
    "mesh": {"resolution": "24 mm"},
})  # fmt: skip
coil  # renders itself: a picture, the requirements, every figure with its method

# %% [markdown]
# Every figure knows its unit and how it was found. The design is a source like any other: ask it for its field anywhere.

# %%
for name in ("efficiency", "linearity_error_max", "inductance", "resistance", "operating_current"):
    figure = coil.figures[name]
    print(f"{name}: {figure.value:.4g} {figure.unit} ({figure.method})")
field = coil.source.field([[0.03, 0.0, 0.0], [-0.03, 0.0, 0.0]])
print(f"Bz at x = 30 mm: {field[0, 2] * 1e6:.1f} uT, at -30 mm: {field[1, 2] * 1e6:.1f} uT")

# %%
assert coil.status == "done"
assert abs(float(field[0, 2] - field[1, 2]) / 0.06 / 0.02 - 1) < 0.05
assert coil.figures["linearity_error_max"].value < 0.06
