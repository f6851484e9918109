"""What every live model answers: knobs that are keys of a spec, and what the page shows at one setting of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from designtools import units
from designtools.result import Figure

SCALES = ("linear", "log", "whole")


class Knob(NamedTuple):
    """One slider: a dotted key of the spec, its range and value in SI, the unit it is read in, and how it moves.

    `dimension` is a key of units.DIMENSIONS, or "" for a plain number; `scale` is one of SCALES.
    """

    key: str
    label: str
    dimension: str
    low: float
    high: float
    value: float
    scale: str = "linear"
    meaning: str = ""

    def written(self, value: float) -> Any:
        """The value as a spec states it."""
        if self.scale == "whole":
            return int(round(value))
        return units.exact(float(f"{value:.6g}"), self.dimension) if self.dimension else float(f"{value:.6g}")

    def shown(self, value: float) -> str:
        """The value as a person reads it."""
        return units.format(value, units.DIMENSIONS[self.dimension].si if self.dimension else "", 4)


@dataclass(frozen=True)
class Curve:
    """Polylines (n,3) m with rows of NaN between them, drawn in space."""

    name: str
    points: np.ndarray


@dataclass(frozen=True)
class Answer:
    """What the page shows at one state: figures, curves in space, plots (records of `result`), and sentences on what is not so.

    `product` is what is built at this state, where that is known: drawn in place of the design's own windings.
    """

    figures: Mapping[str, Figure]
    curves: tuple[Curve, ...] = ()
    plots: Mapping[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    product: Any = None


class OutOfRange(ValueError):
    """A state that no slider can have; its text says which key and which range."""


def checked(knobs: tuple[Knob, ...], state: Mapping[str, Any]) -> dict[str, float]:
    """One number per knob: those of `state`, within range, and else the knob's own value."""
    known = {knob.key: knob for knob in knobs}
    if not isinstance(state, Mapping) or set(state) - set(known):
        raise OutOfRange(f"must be values of {', '.join(known) or 'no key'}, got others")
    return {key: _within(knob, state.get(key, knob.value)) for key, knob in known.items()}


def _within(knob: Knob, value: Any) -> float:
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    slack = 1e-9 * max(abs(knob.low), abs(knob.high))
    if not number or not knob.low - slack <= value <= knob.high + slack:
        raise OutOfRange(f"{knob.key} must lie between {knob.shown(knob.low)} and {knob.shown(knob.high)}, got {str(value)[:40]}")
    return float(min(max(value, knob.low), knob.high))
