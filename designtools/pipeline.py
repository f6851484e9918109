"""The seven hops: spec -> setting -> solution -> product -> evidence -> result -> folder.

No hop calls back to an earlier one.  The solution, which is what takes long, is kept beside the result
folder until the folder is whole, so an interrupted run resumes there.
"""

from __future__ import annotations

import platform
import tempfile
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from importlib import metadata
from pathlib import Path
from typing import Any

import designtools
from designtools import precision
from designtools.recipes import Unfinished, recipe
from designtools.result import Result, evaluate_requirements, refuse_occupied, write
from designtools.solve.solution import Solution, Status
from designtools.solve.store import load_solution, store_solution
from designtools.spec import fingerprint, load, resolved

Progress = Callable[[str], None]
PARTS = ".parts"  # folder beside a result folder, in which parts lie by their hash


def run(spec, out=None, overrides: Mapping[str, Any] | None = None, resume: bool = False, progress: Progress | None = None) -> Result:
    """Design what `spec` (a path or a spec model) asks for; write the result folder where `out` is given.

    overrides: dotted key -> value, applied before validation.  resume: go on from the solution that an
    interrupted run left beside `out`.  progress: called with a sentence as the work goes on.
    Returns the Result; an infeasible problem returns a Result of status "infeasible" and writes nothing.
    Raises SpecError for a bad spec and FileExistsError where `out` already holds something.
    """
    precision.enable()
    model = load(spec, overrides) if isinstance(spec, (str, Path, Mapping)) or overrides else spec
    if out is not None:
        refuse_occupied(Path(out).absolute())
    say = progress or (lambda sentence: None)
    with ExitStack() as until_done:
        return _hops(model, out, resume, say, until_done)


def _hops(model, out, resume: bool, say: Progress, until_done: ExitStack) -> Result:
    hops, clock = recipe(model), _Clock()
    try:
        made = _parts(hops, model, out, say, clock, until_done)
    except Unfinished as part:
        return _without_solution(model, part.status, str(part), clock)
    say("building the problem")
    setting = clock.time("prepare", hops.prepare, model, *made)
    solution = clock.time("solve", _solved, hops, setting, model, out, resume, say)
    if not solution.status.ok:
        return _unfinished(model, hops, setting, solution, clock)
    say("winding")
    product = clock.time("wind", hops.wind, setting, solution)
    say("auditing on points the optimiser never saw")
    evidence = clock.time("audit", hops.evidence, setting, solution, product, say)
    result = _result(model, solution, product, evidence, clock)
    return result if out is None else _written(result, Path(out), say, hops.formats)


def _parts(hops, model, out, say: Progress, clock: _Clock, until_done: ExitStack) -> tuple:
    """What a design is made of, designed first, as further argument of prepare; () for one that is not made of others.

    Parts lie in the folder `.parts` beside the result folder, where all systems beside each other find them again.
    """
    if hops.parts is None:
        return ()
    store = Path(out).absolute().parent / PARTS if out is not None else Path(until_done.enter_context(tempfile.TemporaryDirectory()))
    return (clock.time("parts", hops.parts, model, store, partial(run, resume=True), say),)


class _Clock:
    """Seconds of each hop, in order."""

    def __init__(self):
        self.seconds: dict[str, float] = {}

    def time(self, name: str, function, *arguments):
        start = time.perf_counter()
        value = function(*arguments)
        self.seconds[name] = time.perf_counter() - start
        return value


def _solved(hops, setting, model, out, resume: bool, say: Progress) -> Solution:
    kept = state_file(out) if out is not None else None
    if resume and kept is not None and kept.exists():
        say(f"resuming from {kept}")
        return load_solution(kept, fingerprint(model), hops.start(setting))
    solution = hops.solve(setting, say)
    if kept is not None and solution.status.ok:
        store_solution(solution, kept, fingerprint(model))
    return solution


def state_file(out) -> Path:
    """Where the solution of an unfinished run is kept: beside the result folder."""
    folder = Path(out).absolute()
    return folder.parent / f".{folder.name}.solution.npz"


def _result(model, solution: Solution, product, evidence, clock: _Clock) -> Result:
    asked = [r.asked for r in model.requirements]
    named = {r["quantity"] for r in asked}
    wanted = asked + [r for r in evidence.implied if r["quantity"] not in named]
    rows = evaluate_requirements(wanted, evidence.figures)
    met = all(row["status"] == "MET" for row in rows)
    return Result(
        kind=model.kind,
        name=model.name,
        status="done" if met else "requirement missed",
        message=_verdict(rows),
        figures=evidence.figures,
        requirements=rows,
        audit={"solver": solver_record(solution), **evidence.audit},
        timing_s=dict(clock.seconds),
        provenance=provenance(model),
        spec=resolved(model),
        source=product.source,
        windings=product.windings,
        formers=product.formers,
        sheets=product.sheets,
        parts=product.parts,
        maps=evidence.maps,
        plots=evidence.plots,
        frame=_frame(model),
        arrays=evidence.arrays,
    )


def _verdict(rows) -> str:
    bad = [row["quantity"] for row in rows if row["status"] != "MET"]
    if not bad:
        return f"all {len(rows)} requirements met" if rows else "no requirements were stated"
    return f"{len(bad)} of {len(rows)} requirements not met: {', '.join(bad)}"


def solver_record(solution: Solution) -> dict:
    """What the report says of the solver."""
    return {
        "status": solution.status.value,
        "meaning": solution.status.advice,
        "duality_gap": solution.gap,
        "stationarity": solution.stationarity,
        "objective": solution.objective,
        "terms": solution.terms,
        "slacks": solution.slacks,
        "history": list(solution.history),
    }


def _unfinished(model, hops, setting, solution: Solution, clock: _Clock) -> Result:
    infeasible = solution.status is Status.INFEASIBLE
    message = hops.relax(setting, solution) if infeasible else solution.status.advice
    return _without_solution(model, "infeasible" if infeasible else "not converged", message, clock, {"solver": solver_record(solution)})


def _without_solution(model, status: str, message: str, clock: _Clock, audit: Mapping = {}) -> Result:
    return Result(
        kind=model.kind,
        name=model.name,
        status=status,
        message=message,
        audit=dict(audit),
        timing_s=dict(clock.seconds),
        provenance=provenance(model),
        spec=resolved(model),
        frame=_frame(model),
    )


def _frame(model) -> dict:
    return dict(resolved(model)["frame"])


def provenance(model) -> dict:
    """What made the result: versions, machine, spec fingerprint, time."""
    packages = ("numpy", "scipy", "jax", "cvxpy-base", "clarabel", "piqp", "magpylib")
    return {
        "designtools": designtools.__version__,
        "spec_fingerprint": fingerprint(model),
        "created": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "python": platform.python_version(),
        "platform": platform.platform(),
        **{name: metadata.version(name) for name in packages},
    }


def _written(result: Result, out: Path, say: Progress, formats=None) -> Result:
    say("writing CAD, maps and the report")
    start = time.perf_counter()
    folder = write(result, out, formats)
    state_file(out).unlink(missing_ok=True)
    seconds = {**result.timing_s, "write": time.perf_counter() - start}
    return replace(result, timing_s=seconds, folder=folder)
