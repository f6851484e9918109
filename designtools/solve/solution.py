"""What a solver hands back: a record, whose status owns its sentence."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import Any

import numpy as np

from designtools.problem import Design


class Status(Enum):
    """Outcome of a solve; `.advice` says what it means and what to try."""

    OPTIMAL = "optimal"
    CONVERGED = "converged"
    INFEASIBLE = "infeasible"
    UNBOUNDED = "unbounded"
    NOT_CONVERGED = "not converged"
    INTERRUPTED = "interrupted"

    @property
    def advice(self) -> str:
        return _ADVICE[self]

    @property
    def ok(self) -> bool:
        return self in (Status.OPTIMAL, Status.CONVERGED)


_ADVICE = {
    Status.OPTIMAL: "the global optimum within the stated gap",
    Status.CONVERGED: "a local optimum within the stated stationarity; start elsewhere to look for a better one",
    Status.INFEASIBLE: "no design meets all limits; relax the limits named",
    Status.UNBOUNDED: "the objective falls without end; add a limit or a quadratic term",
    Status.NOT_CONVERGED: "the solver stopped early; raise its iteration limit or loosen the tightest limit",
    Status.INTERRUPTED: "stopped by the user; run again with --resume",
}


@dataclass(frozen=True)
class Relaxation:
    """The smallest change that would make an infeasible limit feasible: `by` in `unit`, `relative` to its scale."""

    limit: str
    unit: str
    by: float
    achievable: float
    relative: float = 0.0


@dataclass(frozen=True)
class Solution:
    """The solved design and its evidence.

    `x` the free coefficients in the order of Problem.free; `terms` value of each objective term;
    `slacks` smallest distance to each limit in its unit (negative: violated); `gap` the relative duality gap
    of a convex solve, `stationarity` that of a descent; `duals` the multiplier sensitivity d objective / d limit;
    `extra` arrays that a recipe keeps beside x.
    """

    design: Design
    status: Status
    x: np.ndarray
    objective: float
    terms: dict[str, float]
    slacks: dict[str, float]
    gap: float | None = None
    stationarity: float | None = None
    message: str = ""
    relaxations: tuple[Relaxation, ...] = ()
    duals: dict[str, float] = field(default_factory=dict)
    history: tuple[dict[str, Any], ...] = ()
    extra: dict[str, np.ndarray] = field(default_factory=dict)
