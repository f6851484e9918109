"""The radial build of a scanner: layers about the bore axis, and what tolerances leave between them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Annotated, NamedTuple

from pydantic import Field

from designtools.spec.base import Length, Model, NonNegativeLength, PositiveLength, mm


class StackLayer(Model):
    """One layer of the radial build."""

    name: Annotated[str, Field(min_length=1)]
    """How the drawing and the report call it."""
    inner_radius: NonNegativeLength
    """Inner radius."""
    outer_radius: PositiveLength
    """Outer radius."""
    length: PositiveLength
    """Axial length."""
    centre: Length = 0.0
    """Axial position of its middle."""
    tolerance: NonNegativeLength = 0.0
    """Largest deviation of either surface from its radius, place about the axis included."""
    clearance: NonNegativeLength = 0.0
    """Clear space that must remain between this layer and the next one outside of it."""
    owner: str = ""
    """The part, item or conductor that it belongs to."""

    def inconsistencies(self):
        if self.outer_radius <= self.inner_radius:
            yield "outer_radius", f"must exceed inner_radius = {mm(self.inner_radius)}, got {mm(self.outer_radius)}"


class Gap(NamedTuple):
    """What is left (m) beyond the clearance between two layers (indices) that face each other.

    nominal: as drawn; worst: both tolerances against it; likely: less the root sum square of both.
    """

    inner: int
    outer: int
    clearance: float
    nominal: float
    worst: float
    likely: float


def left_over(stack: Sequence[StackLayer]) -> list[Gap]:
    """Of every layer and the nearest ones outside of it that it faces along the axis; from the inside out."""
    order = sorted(range(len(stack)), key=lambda i: (stack[i].inner_radius + stack[i].outer_radius) / 2)
    gaps = []
    for place, i in enumerate(order):
        facing = [j for j in order[place + 1 :] if _face(stack[i], stack[j])]
        nearest = min((stack[j].inner_radius for j in facing), default=None)
        gaps += [_gap(stack, i, j) for j in facing if stack[j].inner_radius == nearest or stack[j].inner_radius < stack[i].outer_radius]
    return gaps


def _face(a: StackLayer, b: StackLayer) -> bool:
    return abs(a.centre - b.centre) < (a.length + b.length) / 2


def _gap(stack, i: int, j: int) -> Gap:
    nominal = stack[j].inner_radius - stack[i].outer_radius - stack[i].clearance
    tolerances = (stack[i].tolerance, stack[j].tolerance)
    return Gap(i, j, stack[i].clearance, nominal, nominal - sum(tolerances), nominal - math.hypot(*tolerances))


def stacked_up(thickness: Sequence[float], tolerance: Sequence[float]) -> tuple[float, float, float]:
    """Nominal, largest (worst case) and root-sum-square spread (m) of layers that each sit on the one before."""
    return math.fsum(thickness), math.fsum(thickness) + math.fsum(tolerance), math.sqrt(math.fsum(t * t for t in tolerance))
