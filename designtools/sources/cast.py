"""The same source in another precision."""

from __future__ import annotations

import jax
import jax.numpy as jnp


def cast(source, dtype):
    """`source` with every real number in `dtype` (float32 or float64); its fields then come in that precision.

    In float32 segments and loops are summed in float32: a potential is good to about 1e-6 of the largest, a field to
    some 1e-7 times the distance between points and first source over that to the nearest wire (5e-5 of the largest
    field among random wires).  Every other closed form loses its digits there: what goes through `streaming.contract`
    is evaluated in float64 and its sum rounded.  ValueError for any other dtype.
    """
    if jnp.dtype(dtype) not in (jnp.dtype("float32"), jnp.dtype("float64")):
        raise ValueError(f"cast: dtype must be float32 or float64, got {jnp.dtype(dtype)}; half precision has 3 digits")
    real = lambda leaf: jnp.issubdtype(jnp.result_type(leaf), jnp.floating)
    return jax.tree.map(lambda leaf: jnp.asarray(leaf, dtype) if real(leaf) else leaf, source)
