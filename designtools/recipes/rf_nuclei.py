"""Several nuclei of the same windings: each has fields, figures and capacitors of its own; the design's figures are the worst."""

from __future__ import annotations

from dataclasses import replace as changed

import numpy as np

from designtools.recipes.rf_setting import Setting, channel_fields, prepare
from designtools.result import Figure, Table
from designtools.rf.solution import Fields
from designtools.solve.solution import Status
from designtools.units import format

_KEPT = ("electric", "flux", "power", "impedance", "flow")
_LARGER = ("b1_efficiency", "b1_uniformity", "snr_relative")  # figures of which more is better


def others(setting: Setting) -> list[Setting]:
    """The setting at the frequency of every other nucleus."""
    return [prepare(_spec(setting.spec, other)) for other in getattr(setting.spec, "also", ())]


def _spec(spec, other):
    """The spec with another nucleus first; the one it replaces stays beside it, for circuits of two."""
    transmit = spec.transmit if other.b1_rms is None else spec.transmit.model_copy(update={"b1_rms": other.b1_rms, "reference_pulse": None})
    beside = type(other)(nucleus=spec.nucleus)
    return spec.model_copy(update={"nucleus": other.nucleus, "also": (beside,), "transmit": transmit})


def solved(setting: Setting, progress):
    """Arrays of the fields of every other nucleus, and how each was solved."""
    arrays, notes = {}, []
    for other in others(setting):
        if progress:
            progress(f"fields at {other.spec.frequency / 1e6:.4g} MHz for {other.spec.nucleus}")
        fields = channel_fields(other, progress)
        arrays |= {f"{other.spec.nucleus}_{name}": np.asarray(getattr(fields, name)) for name in _KEPT}
        notes.append(fields.notes | {"nucleus": other.spec.nucleus})
    return arrays, tuple(notes)


def status(first: Status, notes) -> Status:
    """Not converged where any of them is not."""
    short = any(n.get("largest residual", 0.0) > n.get("tolerance", np.inf) for n in notes)
    return Status.NOT_CONVERGED if short else first


def restored(other: Setting, solution) -> Fields:
    """The fields of another nucleus out of a solution."""
    name = other.spec.nucleus
    notes = next((n for n in solution.history if n.get("nucleus") == name), {})
    return Fields(**{key: np.asarray(solution.extra[f"{name}_{key}"]) for key in _KEPT}, notes=notes)


def worst(figures: dict[str, dict[str, Figure]]) -> dict[str, Figure]:
    """Figure by figure the nucleus that does worst, named in the method."""
    names = {name for found in figures.values() for name in found}
    result = {}
    for name in names:
        values = {nucleus: found[name] for nucleus, found in figures.items() if name in found}
        pick = (min if name in _LARGER else max)(values, key=lambda nucleus: values[nucleus].value)
        result[name] = changed(values[pick], method=f"{pick}, the worst of {', '.join(values)}: {values[pick].method}")
    return result


def record(found) -> dict:
    """Nucleus -> its figures and circuits."""
    return {
        nucleus: {"frequency_Hz": audit["frequency_Hz"], "figures": {name: f.value for name, f in figures.items()}, "circuits": audit["circuits"], "warnings": audit["warnings"]}
        for nucleus, (figures, audit) in found.items()
    }


def plots(figures, drawn) -> dict:
    """A table of all nuclei, and the pictures of the others."""
    names = sorted({name for found in figures.values() for name in found})
    cell = lambda f: format(f.value, f.unit, 4) if f is not None else "NOT EVALUATED"
    rows = tuple((name, *(cell(found.get(name)) for found in figures.values())) for name in names)
    table = {"nuclei": Table("Nuclei", ("figure", *figures), rows, "The figures of the design are the worst of these.")}
    keep = lambda key: key.startswith(("b1_", "sar_", "capacitors", "scattering", "limits"))
    pictures = {f"{key} {nucleus}": _titled(plot, nucleus) for nucleus, found in drawn.items() for key, plot in found.items() if keep(key)}
    return table | pictures


def _titled(plot, nucleus):
    return changed(plot, title=f"{plot.title}, {nucleus}")
