"""A transmit array that follows its phases and amplitudes: fields are found once, drives are products."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from designtools.explorer.live import Answer, Knob
from designtools.recipes import rf_evidence, rf_plots, rf_setting
from designtools.recipes import rf_shim as recipe

PLANES = ("b1_axial", "b1_coronal", "sar_axial")


class LiveDrive(NamedTuple):
    """The setting, the fields of the channels with the recipe's drive, and the sliders."""

    setting: object
    found: object
    knobs: tuple[Knob, ...]

    def answer(self, state: Mapping[str, float]) -> Answer:
        """Figures and maps of the drive."""
        return answered(self, state)

    @property
    def limits(self) -> str:
        """What the live numbers are, in words."""
        return (
            "Live numbers are those of the drive shown, with the same fields, cubes of 10 g and conductor loss as a full design. "
            "Limits are not held: what exceeds one is said. It starts at the recipe's best drive."
        )


def prepared(spec, progress=None) -> LiveDrive:
    """Fields of every channel, and the recipe's drive as the start."""
    setting = rf_setting.prepare(spec)
    fields = rf_setting.channel_fields(setting, progress)
    found = rf_evidence.found_of(setting, fields, rf_setting.focused_phases(setting, fields))
    if progress:
        progress("drive under all limits")
    current = recipe._shimmed(setting, found).current
    return LiveDrive(setting, found._replace(current=current), _knobs(current))


def _knobs(current) -> tuple[Knob, ...]:
    top = 2 * float(np.abs(current).max())
    amplitudes = [Knob(f"target.currents.{k}.magnitude", f"Current {k + 1}", "current", 0.0, top, float(abs(c)), "linear", "peak") for k, c in enumerate(current)]
    phases = [Knob(f"target.currents.{k}.phase", f"Phase {k + 1}", "angle", -np.pi, np.pi, float(np.angle(c)), "linear") for k, c in enumerate(current)]
    return tuple(k for pair in zip(phases, amplitudes) for k in pair)


def drive_at(live: LiveDrive, state: Mapping[str, float]) -> np.ndarray:
    """Peak currents (C,) A."""
    return np.array([
        state[f"target.currents.{k}.magnitude"] * np.exp(1j * state[f"target.currents.{k}.phase"]) for k in range(live.setting.channels)
    ])  # fmt: skip


def spec_changes(live: LiveDrive, state: Mapping[str, float]) -> dict:
    """Dotted key -> value of the spec that stands for this state: a drive that is given, not sought."""
    known = {k.key: k.written(state[k.key]) for k in live.knobs}
    currents = [{name: known[f"target.currents.{k}.{name}"] for name in ("magnitude", "phase")} for k in range(live.setting.channels)]
    return {"target": {"aim": "given", "currents": currents}}


def answered(live: LiveDrive, state: Mapping[str, float]) -> Answer:
    """See `LiveDrive.answer`."""
    current = drive_at(live, state)
    if not np.abs(current).any():
        return Answer({}, notes=("no channel carries a current",))
    found = live.found._replace(current=current)
    figures = rf_evidence.transmit_figures(live.setting, found)
    over = {name: share for name, share in recipe.shares(live.setting, found, current).items() if share > 1.001}
    notes = tuple(f"limits.{name} is exceeded: {share:.2f} times the limit" for name, share in over.items())
    plots = rf_plots.plots(live.setting, found)
    return Answer(figures, (), {name: plots[name] for name in PLANES if name in plots}, notes)
