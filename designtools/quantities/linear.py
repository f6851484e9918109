"""Quantities that are a matrix times the stream functions of named sheets."""

from __future__ import annotations

from types import SimpleNamespace

import jax.numpy as jnp
import numpy as np

from designtools.problem import Quantity


def as_one_row(quantity: Quantity) -> Quantity:
    """The same numbers (1,m), so that a limit of norm "row" holds the root of the sum of their squares."""
    return Quantity(quantity.name, quantity.unit, lambda design: quantity.of(design)[None], quantity.cheat, quantity.jacobian)


def on_streams(name: str, unit: str, matrices: dict, width: int | None = None, cheat: str = "") -> Quantity:
    """Quantity sum over parts of matrices[part] (m,V) @ stream of that part: (m,), or (m/width, width) for a cone per row.

    The matrix is its Jacobian, so a solver needs no derivative; it still compares both.
    """
    rows = {len(matrix) for matrix in matrices.values()}
    if len(rows) != 1:
        raise ValueError(f"on_streams: the matrices of '{name}' must have the same number of rows, got {sorted(rows)}")
    shape = (-1,) if width is None else (-1, width)
    kept = {part: jnp.asarray(matrix) for part, matrix in matrices.items()}
    of = lambda design: sum(kept[part] @ design.parts[part].stream for part in kept).reshape(shape)
    known = SimpleNamespace(parts={part: SimpleNamespace(stream=np.asarray(m)) for part, m in matrices.items()})
    return Quantity(name, unit, of, cheat, lambda design: known)
