"""Radio-frequency shims: the drive of an array for an even or a focused field under limits on SAR and power."""

from __future__ import annotations

import numpy as np

from designtools.recipes import rf_circuits, rf_evidence, rf_files
from designtools.recipes.product import Evidence, Recipe
from designtools.recipes.rf_plots import limit_table, maps, plots
from designtools.recipes.rf_setting import Setting, blank, channel_fields, focused_phases, in_region, kept, prepare, unpacked, wind
from designtools.result import Figure
from designtools.materials.sar_limits import profiles
from designtools.rf import drive, phases
from designtools.solve.solution import Solution, Status
from designtools.spec import Mistake, SpecError
from designtools.spec.rf_shim import BOUNDED


def solve(setting: Setting, progress=None) -> Solution:
    """Fields of every channel, then the drive."""
    fields = channel_fields(setting, progress)
    found = rf_evidence.found_of(setting, fields, focused_phases(setting, fields))
    if progress:
        progress("drive under all limits")
    shimmed = _shimmed(setting, found)
    aim = setting.spec.target.aim
    status = Status.CONVERGED if shimmed.gap is None else Status.OPTIMAL
    terms = {aim: shimmed.objective, "spread of the starts": shimmed.spread, "forms that entered": float(shimmed.entered)}
    slacks = {f"{name}, share of the limit left": 1 - over for name, over in shares(setting, found, shimmed.current).items()}
    return kept(setting, fields, shimmed.current, status, shimmed.gap, shimmed.objective, terms, slacks)


def _shimmed(setting: Setting, found) -> drive.Shimmed:
    target, limits = setting.spec.target, limits_of(setting, found)
    by_phase = target.drive == "phase"
    if target.aim == "given":
        return drive.Shimmed(given(setting), 0.0, None, 0.0, 0)
    if target.aim == "focus":
        nearest = np.argmin(np.sum((setting.body.centres - np.asarray(target.point)) ** 2, axis=1))
        row = found.transmit[nearest]
        return phases.focus(row, limits, target.starts, target.seed) if by_phase else drive.focus(row, limits)
    rows = found.transmit[in_region(setting)]
    chosen = np.unique(np.linspace(0, len(rows) - 1, target.points).astype(int))
    search = phases.even if by_phase else drive.even
    return search(rows[chosen], setting.b1_rms, limits, target.starts, target.seed)


def given(setting: Setting) -> np.ndarray:
    """Currents (C,) A that the spec states; SpecError where they are not as many as the channels."""
    stated = setting.spec.target.currents
    if len(stated) != setting.channels:
        raise SpecError([Mistake("", "target.currents", f"must have one entry per channel, {setting.channels}, got {len(stated)}")])
    return np.array([c.magnitude * np.exp(1j * c.phase) for c in stated])


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
    given = asked(spec)
    return {name: (forms[name], limit) for name, limit in given.items() if len(forms[name])}


def asked(spec) -> dict[str, float]:
    """Name -> limit: what the spec gives and what its profile gives, the smaller of both."""
    given = {name: getattr(spec.limits, name) for name in BOUNDED}
    if spec.limits.profile is not None:
        for figure, limit in profiles()[spec.limits.profile].of(spec.limits.site).items():
            name = figure.removesuffix("_max")
            if applies(spec, name):
                given[name] = limit.limit if given[name] is None else min(given[name], limit.limit)
    return {name: limit for name, limit in given.items() if limit is not None}


def applies(spec, name: str) -> bool:
    """Whether the phantom is what a limit speaks of."""
    part = spec.phantom.part
    return {"sar_head": part == "head", "sar_whole_body": part != "other"}.get(name, True)


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
    audit = rf_evidence.record(setting, found, fields) | rf_evidence.closed_form(setting, found, fields) | {
        "limits": limits_record(setting),
        "limits used": {f"{name}, share of the limit": share for name, share in shares(setting, found, current).items()},
        "unshimmed": {name: figure.value for name, figure in before.items()},
        "shim": solved.terms, "circuits": rf_circuits.record(setting, found),
    }  # fmt: skip
    implied = tuple({"quantity": f"{name}_max" if name == "sar_10g" else name, "op": "<=", "limit": limit * 1.001} for name, limit in _sar_limits(setting).items())
    return Evidence(figures, audit, plots(setting, found) | {"limits": limit_table(setting, figures)} | rf_circuits.plots(setting, found), maps(setting, found), implied, rf_files.arrays(setting, found))


def limits_record(setting: Setting) -> dict:
    """What was held, and where the profile's numbers are from."""
    limits = setting.spec.limits
    known = {} if limits.profile is None else profiles()[limits.profile].of(limits.site)
    sources = {name: f"{l.source}; {l.status}" for name, l in known.items()}
    return {"held": asked(setting.spec), "profile": limits.profile, "sources": sources}


def _sar_limits(setting: Setting) -> dict[str, float]:
    return {name: limit for name, limit in asked(setting.spec).items() if name.startswith("sar_")}


def relax(setting: Setting, solution: Solution) -> str:
    """No current keeps every limit, so only a broken spec arrives here."""
    return "zero current meets every limit; raise the limits to get more field"


RECIPE = Recipe(prepare, blank, solve, wind, evidence, relax)
