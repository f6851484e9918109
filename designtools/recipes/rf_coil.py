"""RF coils: fields in a body, SAR, SNR and circuits of given windings."""

from __future__ import annotations

from dataclasses import replace

from designtools.recipes import rf_circuits, rf_nuclei, rf_setting
from designtools.recipes.product import Recipe
from designtools.recipes.rf_evidence import evidence
from designtools.recipes.rf_setting import Setting, blank, channel_fields, focused_phases, kept, wind
from designtools.solve.solution import Solution
from designtools.spec import Mistake, SpecError


def prepare(spec) -> Setting:
    """As for every RF design; SpecError where a circuit for two nuclei cannot be."""
    setting = rf_setting.prepare(spec)
    try:
        rf_circuits.tuning_resistance(setting)
    except ValueError as error:
        raise SpecError([Mistake("", "tuning", str(error))]) from None
    return setting


def solve(setting: Setting, progress=None) -> Solution:
    """Fields of every channel; the drive adds all channels at the middle of the region."""
    fields = channel_fields(setting, progress)
    extra, notes = rf_nuclei.solved(setting, progress)
    found = kept(setting, fields, focused_phases(setting, fields), extra=extra)
    return found if not notes else replace(found, history=(*found.history, *notes), status=rf_nuclei.status(found.status, notes))


def relax(setting: Setting, solution: Solution) -> str:
    """Given windings have fields always; nothing here can be infeasible."""
    return "the fields of given windings exist; raise `tolerance` where they did not converge"


RECIPE = Recipe(prepare, blank, solve, wind, evidence, relax)
