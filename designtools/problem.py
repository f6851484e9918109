"""The vocabulary of a design task: what is asked, what is limited, what is free.

    Problem(start=design, free=[...], minimise=[...], subject_to=[...])

Nothing here knows of coils or of a solver.  `solve.convex` and `solve.descent` read the same words.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from html import escape
from typing import Any

import numpy as np

from designtools._pytree import pytree


NORMS = ("component", "row", "l1")


@pytree
class Design:
    """Named sources; the field of a design is the sum of theirs."""

    parts: dict[str, Any]
    fingerprint: str = field(default="", metadata={"static": True})

    def field(self, points):
        """Flux density (P,3) T at points (P,3) m."""
        return sum(part.field(points) for part in self.parts.values())

    def potential(self, points):
        """Vector potential (P,3) T·m at points (P,3) m."""
        return sum(part.potential(points) for part in self.parts.values())

    def _repr_html_(self) -> str:
        rows = "".join(f"<tr><td>{escape(str(name))}</td><td>{type(part).__name__}</td><td>{_shapes(part)}</td></tr>" for name, part in self.parts.items())
        return f"<table><thead><tr><th>part</th><th>source</th><th>numbers</th></tr></thead><tbody>{rows}</tbody></table>"


def _shapes(part) -> str:
    """Names and shapes of the numbers of a source, escaped."""
    values = vars(part).items() if hasattr(part, "__dict__") else ()
    return escape(", ".join(f"{name} {tuple(np.shape(value))}" for name, value in values if hasattr(value, "shape")))


@dataclass(frozen=True)
class Quantity:
    """Something that can be asked of a design: `of(design)` -> array in `unit`.

    `cheat` says how an optimiser can satisfy the number and not the wish.  Where the Jacobian is known in closed
    form, `jacobian(design)` gives it as an object of the shape of the design, whose leaves that the quantity
    depends on are matrices (m, leaf), dense or sparse; solvers verify it against `of` and else use JAX.
    """

    name: str
    unit: str
    of: Callable[[Design], Any]
    cheat: str = ""
    jacobian: Callable[[Design], Any] | None = None


@dataclass(frozen=True)
class Term:
    """A summand of the objective: weight * measure(quantity / scale).

    measure: `sum_squares`, `peak` (largest absolute value, or largest row norm of an (n,k) quantity),
    `l1`, `huber`, `cvar` or `value` (the quantity itself, a scalar).  `scale` is the value that counts as 1.
    """

    quantity: Quantity
    measure: str = "sum_squares"
    scale: float = 1.0
    weight: float = 1.0


@dataclass(frozen=True)
class Limit:
    """lower <= quantity <= upper, component by component; or a norm of each row <= upper.

    norm: "component"; "row" for the length of each row of an (n,k) quantity (a cone); "l1" for the sum of the
    magnitudes of each row.
    Bounds broadcast against the quantity; None means no bound.  `scale` is the violation that counts as 1
    when an infeasible problem is relaxed; `label` is how the report and the messages call it.
    """

    quantity: Quantity
    lower: Any = None
    upper: Any = None
    norm: str = "component"
    scale: float = 1.0
    label: str = ""

    def __post_init__(self):
        if self.norm not in NORMS:
            raise ValueError(f"Limit '{self.name}': norm must be one of {', '.join(NORMS)}, got '{self.norm}'")
        if self.norm != "component" and (self.upper is None or self.lower is not None):
            raise ValueError(f"Limit '{self.name}': with norm '{self.norm}' give upper and no lower; a lower bound on a length is not convex")

    @property
    def name(self) -> str:
        return self.label or self.quantity.name


@dataclass(frozen=True)
class Free:
    """What may change: the leaf `where(design)`, or its coefficients in `basis`.

    Without a basis the leaf itself is free, entry by entry.  With a basis (n, K), sparse or dense,
    leaf = start + basis @ x and x (K,) is free; `where` must then return a one-dimensional leaf.
    Bounds broadcast against the free entries and are required: geometry without bounds runs away.
    """

    where: Callable[[Design], Any]
    lower: Any
    upper: Any
    name: str = "x"
    basis: Any = None

    def __post_init__(self):
        for side in ("lower", "upper"):
            if getattr(self, side) is None:
                raise ValueError(f"Free '{self.name}': {side} bound must be a number or an array, got None")
        if np.any(np.asarray(self.lower) > np.asarray(self.upper)):
            raise ValueError(f"Free '{self.name}': lower bound must not exceed upper bound")


@dataclass(frozen=True)
class Problem:
    """Start, what is free, the terms to minimise and the limits to hold."""

    start: Design
    free: tuple[Free, ...]
    minimise: tuple[Term, ...]
    subject_to: tuple[Limit, ...] = ()

    def __post_init__(self):
        for name in ("free", "minimise", "subject_to"):
            object.__setattr__(self, name, tuple(getattr(self, name)))
        for q in (*self.minimise, *self.subject_to):
            if self.quantities[q.quantity.name] is not q.quantity:
                raise ValueError(f"Problem: each quantity must have a name of its own, but two are called '{q.quantity.name}'; rename one")

    @property
    def quantities(self) -> Mapping[str, Quantity]:
        return {q.quantity.name: q.quantity for q in (*self.minimise, *self.subject_to)}
