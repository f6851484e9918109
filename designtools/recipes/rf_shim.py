"""Radio-frequency shims: the drive of an array for an even or a focused field under limits on SAR and power."""

from __future__ import annotations

import numpy as np

from designtools.recipes import rf_evidence
from designtools.recipes.product import Evidence, Recipe
from designtools.recipes.rf_plots import limit_table, maps, plots
from designtools.recipes.rf_setting import Setting, blank, channel_fields, focused_phases, in_region, kept, prepare, unpacked, wind
from designtools.result import Figure
from designtools.rf import drive
from designtools.solve.solution import Solution, Status


def solve(setting: Setting, progress=None) -> Solution:
    """Fields of every channel, then the drive."""
    fields = channel_fields(setting, progress)
    found = rf_evidence.found_of(setting, fields, focused_phases(setting, fields))
    if progress:
        progress("drive under all limits")
    shimmed = _shimmed(setting, found)
    aim = setting.spec.target.aim
    status = Status.OPTIMAL if aim == "focus" else Status.CONVERGED
    terms = {aim: shimmed.objective, "spread of the starts": shimmed.spread, "forms that entered": float(shimmed.entered)}
    slacks = {name: 1 - over for name, over in shares(setting, found, shimmed.current).items()}
    return kept(setting, fields, shimmed.current, status, shimmed.gap, shimmed.objective, terms, slacks)


def _shimmed(setting: Setting, found) -> drive.Shimmed:
    target, limits = setting.spec.target, limits_of(setting, found)
    if target.aim == "focus":
        nearest = np.argmin(np.sum((setting.body.centres - np.asarray(target.point)) ** 2, axis=1))
        return drive.focus(found.transmit[nearest], limits)
    rows = found.transmit[in_region(setting)]
    chosen = np.unique(np.linspace(0, len(rows) - 1, target.points).astype(int))
    return drive.even(rows[chosen], setting.spec.transmit.b1_rms, limits, target.starts, target.seed)


# --- limits -----------------------------------------------------------------------------------------


def limits_of(setting: Setting, found) -> drive.Limits:
    """Every limit of the spec as a form of the currents."""
    groups = [(forms, np.full(len(forms), limit)) for forms, limit in _groups(setting, found).values()]
    return drive.Limits(*(np.concatenate(parts) for parts in zip(*groups)))


def shares(setting: Setting, found, current) -> dict[str, float]:
    """How much of each limit a drive uses, the worst of its kind."""
    return {name: float(drive.excess(forms, current).max() / limit) for name, (forms, limit) in _groups(setting, found).items()}


def _groups(setting: Setting, found) -> dict:
    """Name of each limit in the spec -> forms (K,C,C) and the limit."""
    spec, mass, eye = setting.spec, float(setting.body.mass.sum()), np.eye(setting.channels)
    over = spec.transmit.patient_mass if spec.phantom.part == "head" else mass
    channel = np.real(np.diag(found.power))[:, None, None] * eye[:, :, None] * eye[:, None, :]
    forms = {
        "sar_10g": found.forms, "sar_head": found.body_loss[None] / mass, "sar_whole_body": found.body_loss[None] / over,
        "channel_power": channel, "total_power": found.power[None],
    }  # fmt: skip
    given = {name: getattr(spec.limits, name) for name in forms}
    return {name: (forms[name], limit) for name, limit in given.items() if limit is not None and len(forms[name])}


# --- evidence ---------------------------------------------------------------------------------------


def evidence(setting: Setting, solved: Solution, product, progress) -> Evidence:
    """Figures of the drive at the level it was found at, beside those of the array with its phases added at the middle."""
    fields, current = unpacked(solved)
    found = rf_evidence.found_of(setting, fields, current, scale=False)
    plain = rf_evidence.found_of(setting, fields, focused_phases(setting, fields))
    figures = rf_evidence.transmit_figures(setting, found)
    if solved.gap is not None:
        figures["optimality_gap"] = Figure(float(solved.gap), "1", "certified: optimum under the forms that entered, less what keeps every limit")
    before = rf_evidence.transmit_figures(setting, plain)
    audit = rf_evidence.record(setting, found, fields) | rf_evidence.closed_form(setting, found) | {
        "limits used": shares(setting, found, current),
        "unshimmed": {name: figure.value for name, figure in before.items()},
        "shim": solved.terms,
    }
    implied = tuple({"quantity": f"{name}_max" if name == "sar_10g" else name, "op": "<=", "limit": limit * 1.001} for name, limit in _sar_limits(setting).items())
    return Evidence(figures, audit, plots(setting, found) | {"limits": limit_table(figures)}, maps(setting, found), implied)


def _sar_limits(setting: Setting) -> dict[str, float]:
    limits = {name: getattr(setting.spec.limits, name) for name in ("sar_10g", "sar_head", "sar_whole_body")}
    return {name: limit for name, limit in limits.items() if limit is not None}


def relax(setting: Setting, solution: Solution) -> str:
    """No current keeps every limit, so only a broken spec arrives here."""
    return "zero current meets every limit; raise the limits to get more field"


RECIPE = Recipe(prepare, blank, solve, wind, evidence, relax)
