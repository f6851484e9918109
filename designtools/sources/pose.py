"""Directions and rotations that sources share."""

from __future__ import annotations

import jax
import jax.numpy as jnp


@jax.jit
def unit(vectors):
    """Vectors (N,3) scaled to length one."""
    vectors = jnp.asarray(vectors)
    return vectors / jnp.sqrt(jnp.sum(vectors**2, axis=-1, keepdims=True))


def across(normal):
    """Two unit vectors (N,3) each, right-handed with the unit normal (N,3)."""
    smallest = jnp.argmin(jnp.abs(normal), axis=1)
    first = unit(jnp.cross(normal, jnp.eye(3)[smallest]))
    return first, jnp.cross(normal, first)


@jax.jit
def rotation_matrix(vector):
    """Matrices (N,3,3) of rotation vectors (N,3) rad (Rodrigues), smooth at zero."""
    x, y, z = jnp.asarray(vector).T
    square = x * x + y * y + z * z
    small = square < 1e-8
    angle = jnp.sqrt(jnp.where(small, 1.0, square))
    sine = jnp.where(small, 1 - square / 6, jnp.sin(angle) / angle)
    versine = jnp.where(small, 0.5 - square / 24, (1 - jnp.cos(angle)) / angle**2)
    rows = (
        (1 - versine * (y * y + z * z), versine * x * y - sine * z, versine * x * z + sine * y),
        (versine * x * y + sine * z, 1 - versine * (x * x + z * z), versine * y * z - sine * x),
        (versine * x * z - sine * y, versine * y * z + sine * x, 1 - versine * (x * x + y * y)),
    )
    return jnp.stack([jnp.stack(row, axis=-1) for row in rows], axis=-2)


def check_batch(source, vectors, numbers):
    """Refuse leaves of unequal length: `vectors` must have shape (N,3) and `numbers` (N,), with one N."""
    found = [jnp.shape(getattr(source, name)) for name in (*vectors, *numbers)]
    count = found[0][:1]
    if count == () or found != [(*count, 3)] * len(vectors) + [count] * len(numbers):
        kinds = " and ".join(
            f"{', '.join(names)} {shape}" for names, shape in ((vectors, "(N,3)"), (numbers, "(N,)")) if names
        )
        raise ValueError(
            f"{type(source).__name__}: the shapes must be {kinds} with one N, got {', '.join(map(str, found))}; "
            "repeat what the elements share, once per element"
        )
