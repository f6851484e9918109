"""A shim that follows the limit of its currents: the recipe's own optimum, found anew in milliseconds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from designtools.explorer.live import Answer, Knob
from designtools.recipes import shim as recipe
from designtools.recipes import shim_evidence
from designtools.result import Histogram, PlaneMap

BINS = 60
WIDEST = 20.0  # times the limit as given


class LiveShim(NamedTuple):
    """The setting with its profiles, and the sliders."""

    setting: object
    knobs: tuple[Knob, ...]

    def answer(self, state: Mapping[str, float]) -> Answer:
        """Figures and pictures of the best currents under the limits of the state."""
        return answered(self, state)

    @property
    def limits(self) -> str:
        """What the live numbers are, in words."""
        words = "Live numbers are the recipe's own optimum under the limits shown, each with its certified gap."
        return words + (" The loops stay where the spec puts them; a full design moves them." if self.setting.spec.layout is not None else "")


def prepared(spec, progress=None) -> LiveShim:
    """Maps and profiles, read once."""
    if progress:
        progress("reading the maps and the coils")
    return LiveShim(recipe.prepare(spec), _knobs(spec))


def _knobs(spec) -> tuple[Knob, ...]:
    keys = (("limits.current", "Current of a channel"), ("limits.total_current", "Sum of all currents"))
    values = [(key, label, getattr(spec.limits, key.split(".")[1])) for key, label in keys]
    return tuple(
        Knob(key, label, "current", value / WIDEST, WIDEST * value, value, "log", "largest magnitude" if "total" not in key else "of all channels together")
        for key, label, value in values
        if value is not None
    )


def spec_changes(live: LiveShim, state: Mapping[str, float]) -> dict:
    """Dotted key -> value of the spec that stands for this state."""
    return {k.key: k.written(state[k.key]) for k in live.knobs}


def setting_at(live: LiveShim, state: Mapping[str, float]):
    """The setting with the limits of the state."""
    old, spec = live.setting, live.setting.spec
    limits = spec.limits.model_copy(update={key.split(".")[1]: value for key, value in state.items()})
    follows = lambda c: c.amperes and c.set.current is None and limits.current is not None
    channels = tuple(replace(c, most=np.full(len(c), limits.current)) if follows(c) else c for c in old.channels)
    return replace(old, spec=spec.model_copy(update={"limits": limits}), channels=channels)


def answered(live: LiveShim, state: Mapping[str, float]) -> Answer:
    """See `LiveShim.answer`."""
    setting = setting_at(live, state)
    setting = replace(setting, spec=setting.spec.model_copy(update={"layout": None}))
    solution = recipe.solve(setting)
    found = shim_evidence.after_shim(setting, solution.design.parts["currents"])
    figures = shim_evidence.map_figures(setting, found) | shim_evidence.current_figures(setting, solution)
    notes = () if solution.status.ok else (f"the currents are not the best: {solution.status.advice}",)
    return Answer(figures, (), {"histogram": _histogram(found), "slice": _slice(found)}, notes, recipe.wind(setting, solution))


def _histogram(found) -> Histogram:
    before, after = (np.concatenate(parts) for parts in ([a.before - a.before.mean() for a in found], [a.left for a in found]))
    high = np.percentile(np.abs(before), 99)
    edges = np.linspace(-high, high, BINS + 1)
    counts = {name: np.histogram(values, edges)[0] for name, values in (("before", before), ("after", after))}
    return Histogram("Off-resonance", edges, counts, "Hz", "off-resonance", "Voxels of the mask; what lies beyond the ends is left out.")


def _slice(found) -> PlaneMap:
    """The middle slice of the first map."""
    first = found[0]
    mask = first.volume.mask
    image = np.full(mask.shape, np.nan)
    image[mask] = first.left
    middle = int(np.argmax(mask.sum(axis=(0, 1))))
    step = np.linalg.norm(first.volume.affine[:3, :3], axis=0) * 1e-3
    x, y = (s * (np.arange(n) - (n - 1) / 2) for s, n in zip(step[:2], mask.shape[:2]))
    high = float(np.percentile(np.abs(first.before - first.before.mean()), 95))
    return PlaneMap(f"Left in slice {middle}", x, y, image[:, :, middle], "Hz", "i", "j", label="off-resonance", diverging=True, span=(-high, high))
