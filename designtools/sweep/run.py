"""A sweep from its first design to its table and plot."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable
from contextlib import closing, suppress
from functools import partial
from pathlib import Path
from typing import Any

from designtools.spec import fingerprint, load
from designtools.sweep import database as store
from designtools.sweep.built import built_one
from designtools.sweep.outcome import GOOD, Outcome, pareto_of, read_axes, shown_axes, spread_of, write_spread, write_table
from designtools.sweep.page import write_page
from designtools.sweep.plan import Plan, further
from designtools.sweep.workers import Design, crew

TABLE_EVERY = 2.0  # s


def design_one(spec: Path, folder: Path, overrides: dict[str, Any]) -> dict[str, Any]:
    """Design into `folder`; a record {status, message, figures}.  Runs in a process of its own."""
    if (folder / "result.json").is_file():  # ended after the sweep was interrupted
        return _finished(folder)
    from designtools.pipeline import run as design
    from designtools.result import plain

    try:
        result = design(spec, out=folder, overrides=overrides, resume=True)
    except FileExistsError:
        if (folder / "result.json").is_file():  # a worker given up for lost was quicker after all
            return _finished(folder)
        raise
    return {"status": result.status, "message": result.message, "figures": plain(result.figures)}


def _finished(folder: Path) -> dict[str, Any]:
    record = json.loads((folder / "result.json").read_text(encoding="utf-8"))
    return {key: record[key] for key in ("status", "message", "figures")}


def run(
    plan: Plan,
    folder: str | Path,
    *,
    workers: int = 1,
    cluster: str | None = None,
    resume: bool = False,
    axes: str | None = None,
    progress: Callable[[str], None] | None = None,
    design: Design = design_one,
) -> Outcome:
    """Run what is not yet done, then write the table and the plot.

    `workers` processes (0: in this process), or the workers of the Dask scheduler at `cluster`; `axes`
    "figure,figure" for the plot, and for what a trade-off trades.  Raises FileExistsError when `folder` holds
    something and `resume` is off, BadSweep when it holds another sweep or the cluster cannot be used.
    """
    folder = Path(folder)
    chosen = read_axes(axes, plan)
    if folder.exists() and any(folder.iterdir()) and not resume:
        raise FileExistsError(f"--out must name a new or empty folder, but '{folder}' holds something; try --resume")
    folder.mkdir(parents=True, exist_ok=True)
    with closing(store.opened(folder / "sweep.sqlite", plan)) as database:
        with crew(workers, cluster, folder) as work:
            _work_off(plan, folder, database, work, design, chosen, progress or (lambda sentence: None))
        runs = store.records(database)
        _tidy(folder)
        return _outcome(plan, folder, runs, chosen)


def _work_off(plan: Plan, folder: Path, database, work, design: Design, axes, say) -> None:
    """Design after design, round after round, until nothing follows."""
    tried: set[int] = set()
    written = time.monotonic()
    while True:
        todo = [(i, overrides) for i, overrides in store.unfinished(database) if i not in tried]
        for index, record in work([_job(plan, folder, design, i, overrides) for i, overrides in todo]):
            store.keep(database, index, record)
            tried.add(index)
            say(f"design {index}: {record['status']} ({len(store.records(database))} of {plan.total})")
            if time.monotonic() - written > TABLE_EVERY:
                write_table(folder / "sweep.csv", plan, store.records(database))
                written = time.monotonic()
        runs = store.records(database)
        more = further(plan, runs, axes) if _goes_on(plan, runs) else []
        if not more:
            return
        store.add(database, len(runs), more, [_print_of(plan, overrides) for overrides in more])


def _goes_on(plan: Plan, runs) -> bool:
    return plan.method != "as built" or runs[0]["status"] in GOOD


def _print_of(plan: Plan, overrides) -> str:
    """The fingerprint of a design; of a sample, that of what is built, and its number."""
    own = {key: value for key, value in overrides.items() if key != "sample" or plan.method != "as built"}
    return fingerprint(load(plan.spec, own)) + (f"-{overrides['sample']}" if len(own) < len(overrides) else "")


def _job(plan: Plan, folder: Path, design: Design, index: int, overrides: dict[str, Any]):
    place = folder.absolute() / f"{index:04d}"
    if plan.method == "as built" and "sample" in overrides:
        design = partial(built_one, nominal=folder.absolute() / "0000", tolerances=plan.tolerances, seed=plan.seed)
    return index, design, plan.spec.absolute(), place, overrides


def _tidy(folder: Path) -> None:
    """What workers that were killed had half written; nobody else writes here."""
    for left in folder.glob(".*.partial"):
        with suppress(OSError):
            shutil.rmtree(left) if left.is_dir() else left.unlink()


def _outcome(plan: Plan, folder: Path, runs, chosen) -> Outcome:
    axes = shown_axes(chosen, runs)
    pareto = pareto_of(runs, axes)
    spread = spread_of(plan, runs)
    write_table(folder / "sweep.csv", plan, runs)
    if spread:
        write_spread(folder / "spread.csv", spread)
    report = write_page(folder / "pareto.html", plan, runs, axes, pareto, spread)
    return Outcome(plan, tuple(runs), axes, pareto, report, spread)
