"""What a sweep found: the designs that no other beats, the spread of a scatter, and the tables of both."""

from __future__ import annotations

import csv
import math
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from designtools.sweep.plan import Plan
from designtools.sweep.ranges import BadSweep
from designtools.units import format as readable

GOOD = ("done", "requirement missed")
LARGER_IS_BETTER = {
    "efficiency", "gradient_strength", "gradient_strength_limit", "slew_rate", "figure_of_merit", "central_field",
    "wire_spacing_min", "wire_gap_min", "lifted_spacing_min",
    "critical_current_margin", "b1_efficiency", "b1_uniformity", "snr_relative",
}  # fmt: skip
DEFAULT_AXES = {
    "gradient": ("efficiency", "resistance"),
    "magnet": ("homogeneity_pp", "power"),
    "halbach": ("homogeneity_pp", "magnet_mass"),
    "shim": ("b0_std_shimmed", "power"),
}
QUANTILES = {"q05": 0.05, "median": 0.5, "q95": 0.95}


@dataclass(frozen=True)
class Outcome:
    """The finished sweep: one record per design, the page with the plot, and the spread of a scatter."""

    plan: Plan
    runs: tuple[dict[str, Any], ...]
    axes: tuple[str, str]
    pareto: tuple[int, ...]
    report: Path
    spread: tuple[dict[str, Any], ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """Plain data for --json."""
        return {
            "spec": str(self.plan.spec),
            "method": self.plan.method,
            "seed": self.plan.seed,
            "varied": list(self.plan.varied),
            "axes": list(self.axes),
            "pareto": list(self.pareto),
            "spread": [dict(row) for row in self.spread],
            "report": str(self.report),
            "designs": [dict(run) for run in self.runs],
        }

    def rows(self) -> list[list[str]]:
        """The table for the screen; `*` marks the designs that no other beats on both axes."""
        rows = [["design", *self.plan.varied, *self.axes, "status", ""]]
        for run in self.runs:
            values = [str(run["overrides"].get(key, "as in the spec")) for key in self.plan.varied]
            figures = [_text(run["figures"].get(axis)) for axis in self.axes]
            mark = "*" if run["index"] in self.pareto else run["message"] if run["status"] == "failed" else ""
            rows.append([str(run["index"]), *values, *figures, run["status"], mark])
        return rows

    def spread_rows(self) -> list[list[str]]:
        """The spread of a scatter for the screen: one row per figure."""
        names = ("nominal", "mean", "std", *QUANTILES)
        return [["figure", *names]] + [
            [row["figure"], *("-" if row[name] is None else readable(row[name], row["unit"]) for name in names)] for row in self.spread
        ]


def _text(figure: Mapping[str, Any] | None) -> str:
    return "-" if figure is None or figure["value"] is None else readable(figure["value"], figure["unit"])


# --- axes and the front ----------------------------------------------------------------------------------------


def read_axes(text: str | None, plan: Plan) -> tuple[str, str] | None:
    """The two figures asked for, those of the kind, or None where the figures found must tell.  Raises BadSweep."""
    from designtools.spec.base import did_you_mean
    from designtools.spec.figures import FIGURES

    if text is None and plan.method == "epsilon" and plan.kind not in DEFAULT_AXES:
        raise BadSweep(f"--pareto must name the two figures that are traded; a {plan.kind} has no pair of its own")
    if text is None:
        return DEFAULT_AXES.get(plan.kind)
    names = [name.strip() for name in text.split(",")]
    for name in names:
        if name not in FIGURES:
            raise BadSweep(f"--pareto must name figures, got {name!r}{did_you_mean(name, FIGURES)}")
    if len(names) != 2:
        raise BadSweep(f"--pareto must be two figures such as efficiency,resistance, got {text!r}")
    return names[0], names[1]


def shown_axes(chosen: tuple[str, str] | None, runs) -> tuple[str, str]:
    """`chosen`, else the first two figures that every design has."""
    found = [run["figures"] for run in runs if run["figures"]]
    if chosen is not None or not found:
        return chosen or ("", "")
    shared = [name for name in found[0] if all(name in figures for figures in found)]
    return (*shared, "", "")[0], (*shared, "", "")[1]


def cost(run: Mapping[str, Any], axis: str) -> float:
    """The figure, signed so that smaller is better; NaN when it is not there."""
    value = run["figures"].get(axis, {}).get("value")
    return math.nan if value is None else -value if axis in LARGER_IS_BETTER else value


def pareto_of(runs, axes: tuple[str, str]) -> tuple[int, ...]:
    """Indices of the designs that no other beats on one axis without losing on the other."""
    costs = [(run["index"], tuple(cost(run, axis) for axis in axes)) for run in runs if run["status"] in GOOD]
    points = {index: p for index, p in costs if not any(map(math.isnan, p))}
    best: dict[float, float] = {}  # first cost -> least second cost, of all that are no dearer in the first
    least = math.inf
    for first, second in sorted(points.values()):
        least = min(least, second)
        best[first] = least
    cheaper = dict(zip(sorted(best), [math.inf, *(best[c] for c in sorted(best))]))  # strictly below in the first
    return tuple(i for i, (first, second) in points.items() if second <= best[first] and second < cheaper[first])


# --- tables ----------------------------------------------------------------------------------------------------


def spread_of(plan: Plan, runs) -> tuple[dict[str, Any], ...]:
    """Per figure of a scatter: what the spec itself has (design 0), and mean, deviation and quantiles of the others."""
    if plan.method not in ("scatter", "as built") or len(runs) < 3:
        return ()
    nominal, samples = runs[0]["figures"], [run["figures"] for run in runs[1:] if run["status"] in GOOD]
    names = list(dict.fromkeys(name for figures in samples for name in figures))
    return tuple(_spread(name, nominal.get(name, {}), [figures[name] for figures in samples if name in figures]) for name in names)


def _spread(name: str, nominal, figures) -> dict[str, Any]:
    import numpy as np

    values = np.array([figure["value"] for figure in figures if figure["value"] is not None], float)
    known = len(values) > 1
    spread = {"figure": name, "unit": figures[0]["unit"], "samples": len(values), "nominal": nominal.get("value")}
    spread |= {"mean": float(values.mean()) if known else None, "std": float(values.std(ddof=1)) if known else None}
    return spread | {word: float(np.quantile(values, q)) if known else None for word, q in QUANTILES.items()}


def write_spread(path: Path, spread) -> None:
    """spread.csv."""
    _write(path, [list(spread[0]), *(list(row.values()) for row in spread)])


def write_table(path: Path, plan: Plan, runs) -> None:
    """sweep.csv: a row per design that has ended."""
    names = list(dict.fromkeys(name for run in runs for name in run["figures"]))
    rows: list[list[Any]] = [["design", *plan.varied, "status", *names]]
    for run in runs:
        values = [run["figures"].get(name, {}).get("value") for name in names]
        rows.append([run["index"], *(run["overrides"].get(key) for key in plan.varied), run["status"], *values])
    _write(path, rows)


def _write(path: Path, rows) -> None:
    aside = path.with_name(f".{path.name}.partial")
    with aside.open("w", newline="", encoding="utf-8") as out:
        csv.writer(out).writerows(rows)
    os.replace(aside, path)
