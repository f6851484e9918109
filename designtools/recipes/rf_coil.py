"""RF coils: fields in a body, SAR, SNR and circuits of given windings."""

from __future__ import annotations

from designtools.recipes.product import Recipe
from designtools.recipes.rf_evidence import evidence
from designtools.recipes.rf_setting import Setting, blank, channel_fields, focused_phases, kept, prepare, wind
from designtools.solve.solution import Solution


def solve(setting: Setting, progress=None) -> Solution:
    """Fields of every channel; the drive adds all channels at the middle of the region."""
    fields = channel_fields(setting, progress)
    return kept(setting, fields, focused_phases(setting, fields))


def relax(setting: Setting, solution: Solution) -> str:
    """Given windings have fields always; nothing here can be infeasible."""
    return "the fields of given windings exist; raise `tolerance` where they did not converge"


RECIPE = Recipe(prepare, blank, solve, wind, evidence, relax)
