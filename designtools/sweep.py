"""Many designs: a grid over keys of one spec, run in local processes, kept in SQLite, resumable.

The folder of a sweep holds `sweep.sqlite` (one row per design, written when it ends), `sweep.csv`,
`pareto.html` and one result folder per design.
"""

from __future__ import annotations

import csv
import itertools
import json
import math
import os
import signal
import sqlite3
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import closing, suppress
from dataclasses import dataclass
from fractions import Fraction
from multiprocessing import active_children, get_context
from pathlib import Path
from typing import Any

from designtools.spec import fingerprint, load
from designtools.units import format as readable

LARGER_IS_BETTER = {
    "efficiency", "gradient_strength", "gradient_strength_limit", "slew_rate", "figure_of_merit", "central_field",
    "wire_spacing_min", "wire_gap_min", "lifted_spacing_min",
    "critical_current_margin", "b1_efficiency", "b1_uniformity", "snr_relative",
}  # fmt: skip
DEFAULT_AXES = {
    "gradient": ("efficiency", "resistance"),
    "magnet": ("homogeneity_pp", "power"),
    "shim": ("b0_std_shimmed", "power"),
}


class BadSweep(ValueError):
    """A sweep that cannot be run; the message is one sentence."""


@dataclass(frozen=True)
class Plan:
    """A spec file and, for each design, the overrides that make it."""

    spec: Path
    kind: str
    varied: tuple[str, ...]
    designs: tuple[dict[str, Any], ...]
    fingerprints: tuple[str, ...]


@dataclass(frozen=True)
class Outcome:
    """The finished sweep: one record per design, and the page with the plot."""

    plan: Plan
    runs: tuple[dict[str, Any], ...]
    axes: tuple[str, str]
    pareto: tuple[int, ...]
    report: Path

    def as_dict(self) -> dict[str, Any]:
        """Plain data for --json."""
        return {
            "spec": str(self.plan.spec),
            "varied": list(self.plan.varied),
            "axes": list(self.axes),
            "pareto": list(self.pareto),
            "report": str(self.report),
            "designs": [dict(run) for run in self.runs],
        }

    def rows(self) -> list[list[str]]:
        """The table for the screen; `*` marks the designs that no other beats on both axes."""
        rows = [["design", *self.plan.varied, *self.axes, "status", ""]]
        for run in self.runs:
            values = [str(run["overrides"][key]) for key in self.plan.varied]
            figures = [_text(run["figures"].get(axis)) for axis in self.axes]
            mark = "*" if run["index"] in self.pareto else run["message"] if run["status"] == "failed" else ""
            rows.append([str(run["index"]), *values, *figures, run["status"], mark])
        return rows


def _text(figure: Mapping[str, Any] | None) -> str:
    return "-" if figure is None or figure["value"] is None else readable(figure["value"], figure["unit"])


# --- the plan --------------------------------------------------------------------------------------------


def plan(spec: str | Path, vary: Sequence[str], overrides: Mapping[str, Any] | None = None) -> Plan:
    """The grid over all `vary` texts "key.path=a:b:n"; each design is checked before the first one runs.

    Raises BadSweep for a text that cannot be read and SpecError for a value that the spec refuses.
    """
    ranges = dict(_read_range(text) for text in vary)
    fixed = dict(overrides or {})
    designs = [fixed | dict(zip(ranges, values)) for values in itertools.product(*ranges.values())]
    models = [load(spec, design) for design in designs]
    return Plan(Path(spec), models[0].kind, tuple(ranges), tuple(designs), tuple(fingerprint(m) for m in models))


def _read_range(text: str) -> tuple[str, list[Any]]:
    """ "a.b=180 mm:220 mm:5" -> ("a.b", ["180 mm", "190 mm", ...]); whole numbers stay whole."""
    key, _, span = text.partition("=")
    ends = span.split(":")
    example = "such as primary.radius='180 mm:220 mm:5'"
    if not key.strip() or len(ends) != 3 or not ends[2].strip().isdigit() or int(ends[2]) < 1:
        raise BadSweep(f"--vary must be KEY.PATH=A:B:N with a whole number N of values, {example}, got {text!r}")
    (low, unit_low), (high, unit_high) = (_number_and_unit(end, text) for end in ends[:2])
    if unit_low != unit_high and unit_low:
        raise BadSweep(f"--vary must have the same unit on both ends, {example}, got {text!r}")
    count = int(ends[2])
    steps = [low + (high - low) * Fraction(i, max(count - 1, 1)) for i in range(count)]
    return key.strip(), [_value(step, unit_high) for step in steps]


def _number_and_unit(end: str, text: str) -> tuple[Fraction, str]:
    number, _, unit = end.strip().partition(" ")
    try:
        return Fraction(number), unit.strip()
    except (ValueError, ZeroDivisionError):
        raise BadSweep(
            f"--vary must have numbers for both ends, with a space before the unit, got {end!r} in {text!r}"
        ) from None


def _value(step: Fraction, unit: str) -> Any:
    number = step.numerator if step.denominator == 1 else float(step)
    return f"{number:.12g} {unit}" if unit else number


# --- running ---------------------------------------------------------------------------------------------

Design = Callable[[Path, Path, dict], dict[str, Any]]


def design_one(spec: Path, folder: Path, overrides: dict[str, Any]) -> dict[str, Any]:
    """Design into `folder`; a record {status, message, figures}.  Runs in a process of its own."""
    finished = folder / "result.json"
    if finished.is_file():  # ended after the sweep was interrupted
        return {key: json.loads(finished.read_text())[key] for key in ("status", "message", "figures")}
    from designtools.pipeline import run as design
    from designtools.result import plain

    result = design(spec, out=folder, overrides=overrides, resume=True)
    return {"status": result.status, "message": result.message, "figures": plain(result.figures)}


def run(
    plan: Plan,
    folder: str | Path,
    *,
    workers: int = 1,
    resume: bool = False,
    axes: str | None = None,
    progress: Callable[[str], None] | None = None,
    design: Design = design_one,
) -> Outcome:
    """Run what is not yet done, then write the table and the plot.

    `workers` processes (0: in this process); `axes` "figure,figure" for the plot.  Raises FileExistsError when
    `folder` holds something and `resume` is off, BadSweep when it holds another sweep.
    """
    folder = Path(folder)
    chosen = _axes(axes, plan.kind)
    if folder.exists() and any(folder.iterdir()) and not resume:
        raise FileExistsError(f"--out must name a new or empty folder, but '{folder}' holds something; try --resume")
    folder.mkdir(parents=True, exist_ok=True)
    with closing(_open(folder / "sweep.sqlite", plan)) as database:
        todo = _unfinished(database)
        for done, (index, record) in enumerate(_each(plan, folder, todo, workers, design), 1):
            _keep(database, index, record)
            if progress:
                progress(f"design {index}: {record['status']} ({done} of {len(todo)})")
        runs = _records(database)
    pareto = _pareto(runs, chosen)
    _write_table(folder / "sweep.csv", plan, runs)
    report = _write_plot(folder / "pareto.html", plan, runs, chosen, pareto)
    return Outcome(plan, tuple(runs), chosen, pareto, report)


def _each(plan: Plan, folder: Path, todo: list[int], workers: int, design: Design):
    """(index, record) as the designs end."""
    jobs = [(i, design, plan.spec, folder / f"{i:04d}", plan.designs[i]) for i in todo]
    if workers == 0 or not jobs:
        yield from map(_job, jobs)
        return
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn"), initializer=_deaf_to_ctrl_c) as pool:
        futures = [pool.submit(_interruptible, job) for job in jobs]
        try:
            for future in as_completed(futures):
                yield future.result()
        except (KeyboardInterrupt, GeneratorExit):
            pool.shutdown(wait=False, cancel_futures=True)
            _interrupt(active_children())
            raise


def _interrupt(processes) -> None:
    """Ctrl-C in a terminal reaches the workers too, a signal sent to this process alone does not."""
    for process in processes:
        with suppress(ProcessLookupError):
            os.kill(process.pid, signal.SIGINT)


def _deaf_to_ctrl_c() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _interruptible(job) -> tuple[int, dict[str, Any]]:
    """A job in a worker: the first Ctrl-C ends it, tidily, and those after it find nobody."""

    def once(number, frame):
        _deaf_to_ctrl_c()
        raise KeyboardInterrupt

    signal.signal(signal.SIGINT, once)
    try:
        return _job(job)
    except KeyboardInterrupt:
        return job[0], {"status": "interrupted", "message": "interrupted", "figures": {}}
    finally:
        _deaf_to_ctrl_c()


def _job(job) -> tuple[int, dict[str, Any]]:
    """One design; a failure is a record too, so that it does not end the sweep."""
    index, design, spec, folder, overrides = job
    try:
        return index, design(spec, folder, overrides)
    except Exception as error:
        return index, {"status": "failed", "message": f"{type(error).__name__}: {error}", "figures": {}}


# --- the database ----------------------------------------------------------------------------------------

_TABLE = """create table if not exists designs (
    number integer primary key, fingerprint text, overrides text, status text, message text, figures text)"""


def _open(path: Path, plan: Plan) -> sqlite3.Connection:
    database = sqlite3.connect(path)
    database.execute(_TABLE)
    stored = [row[0] for row in database.execute("select fingerprint from designs order by number")]
    if stored and stored != list(plan.fingerprints):
        database.close()
        raise BadSweep(f"--resume must continue the same sweep, but '{path.parent}' holds another; name another --out")
    if not stored:
        rows = enumerate(zip(plan.fingerprints, map(json.dumps, plan.designs)))
        database.executemany(
            "insert into designs (number, fingerprint, overrides) values (?, ?, ?)", [(i, *row) for i, row in rows]
        )
        database.commit()
    return database


def _unfinished(database) -> list[int]:
    query = "select number from designs where status is null or status in ('failed', 'interrupted') order by number"
    return [row[0] for row in database.execute(query)]


def _keep(database, index: int, record: Mapping[str, Any]) -> None:
    values = (record["status"], record["message"], json.dumps(record["figures"]), index)
    database.execute("update designs set status = ?, message = ?, figures = ? where number = ?", values)
    database.commit()


def _records(database) -> list[dict[str, Any]]:
    rows = database.execute("select number, overrides, status, message, figures from designs order by number")
    return [
        {"index": i, "overrides": json.loads(o), "status": s, "message": m, "figures": json.loads(f)}
        for i, o, s, m, f in rows
    ]


# --- what comes out --------------------------------------------------------------------------------------


def _axes(text: str | None, kind: str) -> tuple[str, str]:
    from designtools.spec.base import did_you_mean
    from designtools.spec.figures import FIGURES

    if text is None:
        return DEFAULT_AXES[kind]
    names = [name.strip() for name in text.split(",")]
    for name in names:
        if name not in FIGURES:
            raise BadSweep(f"--pareto must name figures, got {name!r}{did_you_mean(name, FIGURES)}")
    if len(names) != 2:
        raise BadSweep(f"--pareto must be two figures such as efficiency,resistance, got {text!r}")
    return names[0], names[1]


def _cost(run: Mapping[str, Any], axis: str) -> float:
    """The figure, signed so that smaller is better; NaN when it is not there."""
    value = run["figures"].get(axis, {}).get("value")
    return math.nan if value is None else -value if axis in LARGER_IS_BETTER else value


def _pareto(runs, axes: tuple[str, str]) -> tuple[int, ...]:
    """Indices of the designs that no other beats on one axis without losing on the other."""
    points = {run["index"]: tuple(_cost(run, axis) for axis in axes) for run in runs if run["status"] in ("done", "requirement missed")}
    points = {index: p for index, p in points.items() if not any(map(math.isnan, p))}
    beaten = lambda p: any(q != p and q[0] <= p[0] and q[1] <= p[1] for q in points.values())
    return tuple(index for index, p in points.items() if not beaten(p))


def _write_table(path: Path, plan: Plan, runs) -> None:
    names = list(dict.fromkeys(name for run in runs for name in run["figures"]))
    with path.open("w", newline="", encoding="utf-8") as out:
        table = csv.writer(out)
        table.writerow(["design", *plan.varied, "status", *names])
        for run in runs:
            values = [run["figures"].get(name, {}).get("value") for name in names]
            table.writerow([run["index"], *(run["overrides"][key] for key in plan.varied), run["status"], *values])


def _write_plot(path: Path, plan: Plan, runs, axes: tuple[str, str], pareto: tuple[int, ...]) -> Path:
    """A page that works offline: all designs, and those no other beats joined by a line."""
    import plotly.graph_objects as go

    drawn = [run for run in runs if not any(math.isnan(_cost(run, axis)) for axis in axes)]
    best = sorted((run for run in drawn if run["index"] in pareto), key=lambda run: _cost(run, axes[0]))
    figure = go.Figure()
    for name, group, mode in (("designs", drawn, "markers"), ("not beaten", best, "lines+markers")):
        x, y = ([run["figures"][axis]["value"] for run in group] for axis in axes)
        hover = [f"design {run['index']}: " + ", ".join(f"{k}={run['overrides'][k]}" for k in plan.varied) for run in group]
        figure.add_scatter(x=x, y=y, mode=mode, name=name, text=hover)
    labels = [f"{axis} ({_unit(drawn, axis)})" for axis in axes]
    figure.update_layout(title=f"Sweep of {plan.spec.name}", xaxis_title=labels[0], yaxis_title=labels[1])
    figure.write_html(path, include_plotlyjs=True)
    return path


def _unit(runs, axis: str) -> str:
    return next((run["figures"][axis]["unit"] for run in runs), "")
