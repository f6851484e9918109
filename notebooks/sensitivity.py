# ---
# jupyter:
#   jupytext:
#     formats: ipynb,py:percent
#     text_representation: {extension: .py, format_name: percent}
# ---

# %% [markdown]
# # Sensitivity by `jax.grad`
#
# Every number of a source can be differentiated. How does the homogeneity of a Helmholtz pair answer to each of its dimensions,
# and how well must it be built?

# %%
import jax
import jax.numpy as jnp
import numpy as np

import designtools as dt
from designtools import precision

precision.enable()  # 64 bits, before JAX makes its first array
RADIUS = 0.15


def pair(numbers):
    """Two loops from (distance, radius of the first, radius of the second, tilt of the second)."""
    distance, first, second, tilt = numbers
    normal = jnp.stack([jnp.array([0.0, 0.0, 1.0]), jnp.stack([jnp.sin(tilt), 0.0 * tilt, jnp.cos(tilt)])])
    centre = jnp.stack([jnp.stack([0.0 * distance, 0.0 * distance, s * distance / 2]) for s in (-1, 1)])
    return dt.Loops(centre=centre, normal=normal, radius=jnp.stack([first, second]), current=jnp.array([100.0, 100.0]))


points = jnp.array(np.random.default_rng(1).normal(size=(200, 3)))
points = 0.04 * points / jnp.linalg.norm(points, axis=1)[:, None]


def unevenness(numbers):
    """Root mean square deviation of Bz on a sphere of 40 mm, relative to its mean."""
    b = pair(numbers).field(points)[:, 2]
    return jnp.std(b) / jnp.mean(b)


ideal = jnp.array([RADIUS, RADIUS, RADIUS, 0.0])
value = float(unevenness(ideal))
print(f"unevenness of the ideal pair: {value * 1e6:.0f} ppm")

# %% [markdown]
# ## First derivatives
#
# One call gives the unevenness and its slope in every number at once. The textbook pair, a distance of one radius, makes the curvature at
# the centre zero; over a sphere of 40 mm something else may be better, and a search along the slope finds it.

# %%
value_and_slope = jax.jit(jax.value_and_grad(unevenness))
low, high = 0.13, 0.17
for _ in range(30):
    middle = (low + high) / 2
    found, slope = value_and_slope(ideal.at[0].set(middle))
    low, high = (middle, high) if slope[0] < 0 else (low, middle)
best = (low + high) / 2
print(f"best distance {best * 1e3:.3f} mm: {float(found) * 1e6:.0f} ppm; slope there {float(slope[0]):+.1e} per metre")

# %% [markdown]
# ## Which tolerance matters
#
# To first order, a small error of each number changes Bz by its derivative. What is left after the mean is the error that a
# builder must keep below the unevenness wanted.

# %%
names = ("distance", "first radius", "second radius", "tilt")
column = jax.jit(lambda direction: jax.jvp(lambda n: pair(n).field(points)[:, 2], (ideal,), (direction,))[1])
change = jnp.stack([column(direction) for direction in jnp.eye(4)], axis=1)
mean = float(pair(ideal).field(points)[:, 2].mean())
effect = {name: float(jnp.std(column)) / mean * 1e-3 for name, column in zip(names, change.T)}
for name, spread in effect.items():
    print(f"{name} off by 1 {'mrad' if name == 'tilt' else 'mm'}: {spread * 1e6:.0f} ppm")

# %% [markdown]
# A finite difference of the same thing, to see that nothing was invented:

# %%
step = 1e-6
numeric = (pair(ideal.at[1].add(step)).field(points)[:, 2] - pair(ideal.at[1].add(-step)).field(points)[:, 2]) / (2 * step)
print(f"largest difference to a finite difference: {float(jnp.abs(numeric - change[:, 1]).max() / jnp.abs(change[:, 1]).max()):.1e}")

# %%
assert float(found) <= value and abs(float(slope[0])) < 1e-4 and abs(best / RADIUS - 1) < 0.05
assert np.allclose(numeric, change[:, 1], rtol=0, atol=1e-7 * float(jnp.abs(change[:, 1]).max()))
assert effect["first radius"] > effect["tilt"]
