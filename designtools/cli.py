"""The command line: reads arguments, calls one function, prints, ends with the agreed exit code.

0 done and every requirement met; 2 bad input; 3 a requirement is missed; 4 infeasible or not converged;
130 interrupted.  Results go to stdout, everything else to stderr; with --json stdout carries one JSON object.
Heavy modules are imported inside the commands, so that help and `check` answer at once.
"""

from __future__ import annotations

import _thread
import contextlib
import functools
import json
import os
import sys
import time
from pathlib import Path
from typing import Annotated, Any

import typer

DONE, BAD_INPUT, MISSED, FAILED, INTERRUPTED = 0, 2, 3, 4, 130
EXIT_CODES = {
    "done": DONE,
    "requirement missed": MISSED,
    "infeasible": FAILED,
    "not converged": FAILED,
    "interrupted": INTERRUPTED,
}

app = typer.Typer(
    name="designtools",
    help="Design the hardware of an MRI scanner: from one spec file to a buildable, audited design.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)

SpecFile = Annotated[Path, typer.Argument(metavar="SPEC", help="spec file (YAML or TOML)")]
Json = Annotated[bool, typer.Option("--json", help="print one JSON object on stdout and nothing else")]
Changes = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY.PATH=VALUE", help="replace a value of the spec; may be repeated"),
]
ResultFolder = Annotated[Path, typer.Argument(metavar="DIR", help="folder of a finished design")]


class BadInput(Exception):
    """Something the caller must change; the message is one sentence."""


class NoDesign(Exception):
    """The spec is sound, but what was found cannot be built; the message says why."""


class Interrupted(KeyboardInterrupt):
    """Ctrl-C, with a sentence on how to go on."""


def main() -> None:
    """Entry point of the command `designtools`."""
    sys.unraisablehook = _pass_on_interrupts
    try:
        code = app(prog_name="designtools", standalone_mode=False)
    except Exception as error:  # wrong usage; only the command line's own exceptions can show themselves
        if not hasattr(error, "format_message"):
            raise
        error.show()
        if "--json" in sys.argv:
            _print_json({"status": "bad input", "message": error.format_message(), "problems": []})
        code = BAD_INPUT
    sys.exit(code)


def _pass_on_interrupts(report) -> None:
    """Ctrl-C that fell into a destructor or a callback of the garbage collector, where it would be lost: once more."""
    if not issubclass(report.exc_type, KeyboardInterrupt):
        sys.__unraisablehook__(report)
        return
    import signal
    import threading

    main = threading.main_thread().ident
    again = functools.partial(signal.pthread_kill, main, signal.SIGINT) if hasattr(signal, "pthread_kill") else _thread.interrupt_main
    threading.Timer(0.01, again).start()


def exits(command):
    """Turn what a command returns or raises into the agreed exit codes and sentences."""

    @functools.wraps(command)
    def guarded(*args, **options):
        as_json = options.get("json_output", False)
        try:
            code = _attempted(command, args, options, as_json)
        except KeyboardInterrupt as stop:
            sentence = f"interrupted; {stop if isinstance(stop, Interrupted) else 'nothing was kept, run the command again'}"
            _say(sentence)
            if as_json:
                _print_json({"status": "interrupted", "message": sentence})
            code = INTERRUPTED
        raise typer.Exit(code or DONE)

    return guarded


def _attempted(command, args, options, as_json: bool) -> int | None:
    from designtools.spec import SpecError

    try:
        return command(*args, **options)
    except SpecError as error:
        problems = [{"place": p.place, "key": p.key, "message": p.sentence} for p in error.problems]
        return _refuse(str(error), as_json, problems)
    except BadInput as error:
        return _refuse(str(error), as_json)
    except NoDesign as error:
        _say(str(error))
        if as_json:
            _print_json({"status": "not converged", "message": str(error)})
        return FAILED


def _refuse(message: str, as_json: bool, problems: list[dict] | None = None) -> int:
    _say(message)
    if as_json:
        _print_json({"status": "bad input", "message": message, "problems": problems or []})
    return BAD_INPUT


def _how_to_resume(folder: Path, kept: bool) -> str:
    """The command that goes on, naming the folder even where it was chosen by default."""
    import shlex

    arguments = [a for a in sys.argv[1:] if a != "--resume"]
    if not any(a == "--out" or a.startswith("--out=") for a in arguments):
        arguments += ["--out", str(folder)]
    command = " ".join(["designtools", *map(shlex.quote, arguments), "--resume"])
    return f"{'what was finished is kept' if kept else 'nothing was finished yet'}: run `{command}` to go on"


def _print_version(wanted: bool) -> None:
    if wanted:
        from designtools import __version__

        print(__version__)
        raise typer.Exit()


@app.callback()
def _options(
    version: Annotated[bool, typer.Option("--version", callback=_print_version, is_eager=True, help="print the version")] = False,
):
    """Design the hardware of an MRI scanner: from one spec file to a buildable, audited design."""


# --- verbs -----------------------------------------------------------------------------------------------


@app.command()
@exits
def design(
    spec: SpecFile,
    out: Annotated[Path | None, typer.Option("--out", metavar="DIR", help="result folder, new or empty")] = None,
    changes: Changes = None,
    resume: Annotated[bool, typer.Option("--resume", help="go on where an interrupted run stopped")] = False,
    json_output: Json = False,
):
    """Do the whole job: solve, wind, audit, and write one result folder."""
    from designtools.spec import load

    overrides = _overrides(changes)
    model = load(spec, overrides)  # refuse bad input before anything heavy is imported
    folder = out or _free_folder(Path("out") / spec.stem)
    _refuse_unwritable(folder)
    with _stdout_kept_clean(), Progress() as progress:
        try:
            result = _designed(spec, folder, overrides, resume, progress)
        except KeyboardInterrupt:
            raise Interrupted(_how_to_resume(folder, _kept(folder).exists())) from None
    if result.status == "interrupted":
        _say(f"interrupted; {_how_to_resume(folder, _kept(folder).exists())}")
    _show_result(result, result.folder, json_output, title=model.name)
    return EXIT_CODES[result.status]


def _designed(spec: Path, folder: Path, overrides, resume: bool, progress):
    from designtools.pipeline import run
    from designtools.solve.store import StaleSolution
    from designtools.windings.groove import GrooveError
    from designtools.windings.join import JoinError

    if resume and not _kept(folder).exists():
        _say("nothing was finished before; starting from the beginning")
    try:
        return run(spec, out=folder, overrides=overrides, resume=resume, progress=progress)
    except (FileExistsError, StaleSolution) as error:
        raise BadInput(str(error)) from None
    except OSError as error:
        raise BadInput(_unusable_file(error, folder)) from None
    except (GrooveError, JoinError) as error:
        raise NoDesign(f"the solution cannot be wound: {error}") from None


def _kept(folder: Path) -> Path:
    """Where the solution of an interrupted run lies; see `pipeline.state_file`."""
    return folder.absolute().parent / f".{folder.absolute().name}.solution.npz"


@app.command()
@exits
def check(spec: SpecFile, changes: Changes = None, json_output: Json = False):
    """Validate a spec; every mistake is reported with its file, line and key."""
    from designtools.spec import fingerprint, load

    model = load(spec, _overrides(changes))
    if json_output:
        head = {"status": "done", "message": "the spec is valid", "problems": []}
        _print_json(head | {"kind": model.kind, "name": model.name, "fingerprint": fingerprint(model)})
    else:
        print(f"{spec}: a valid spec of kind {model.kind}: {model.name}")


def _kinds() -> list[str]:
    """For the shell's completion."""
    from designtools.spec import KINDS

    return list(KINDS)


def _formats() -> list[str]:
    """For the shell's completion."""
    from designtools.export import FORMATS

    return list(FORMATS)


@app.command()
@exits
def new(
    kind: Annotated[str, typer.Argument(metavar="KIND", help="gradient, magnet, halbach, shim, camera, rf_coil, rf_shim or system", autocompletion=_kinds)],
    out: Annotated[Path | None, typer.Option("--out", metavar="FILE", help="where to write it; stdout if left out")] = None,
    schema: Annotated[bool, typer.Option("--schema", help="a JSON Schema beside it, named in its first line for editors")] = False,
    json_output: Json = False,
):
    """Write a commented starter spec."""
    from designtools.starters import starter, write_starter

    if schema and out is None:
        raise BadInput("--schema must come with --out FILE: the schema is written beside the spec")
    try:
        text = starter(kind)
        written = [] if out is None else write_starter(kind, out, schema=schema)
    except (ValueError, FileExistsError) as error:
        raise BadInput(str(error)) from None
    except OSError as error:
        raise BadInput(_unusable_file(error, out)) from None
    if json_output:
        _print_json({"kind": kind, "files": list(map(str, written))} | ({} if written else {"text": text}))
    else:
        print("\n".join(map(str, written)) + "\n" if written else text, end="")


@app.command()
@exits
def evaluate(
    files: Annotated[list[Path], typer.Argument(metavar="FILE ...", help="windings: .csv, .txt, .dat, .inp, .stl, .obj or magpylib .json")],
    spec: Annotated[Path | None, typer.Option("--spec", help="region, target and requirements to judge by")] = None,
    current: Annotated[str, typer.Option("--current", help="current in windings whose file states none")] = "1 A",
    radius: Annotated[str | None, typer.Option("--radius", help="radius of the ball to look at, without a spec")] = None,
    unit: Annotated[str | None, typer.Option("--unit", help="unit of lengths in a file that states none")] = None,
    json_output: Json = False,
):
    """Field figures of somebody else's winding."""
    from designtools.spec import load

    model = load(spec) if spec else None
    amperes = _option("--current", current, "current")
    metres = None if radius is None else _option("--radius", radius, "length", positive=True)
    with _stdout_kept_clean():
        from designtools import evaluate as judge
        from designtools import precision

        precision.enable()
        try:
            result = judge.evaluate(files, model, current=amperes, radius=metres, unit=unit)
        except judge.UnreadableWinding as error:
            raise BadInput(str(error)) from None
    for file, note in result.audit["read"].items():
        _say(f"{file}: {note}")
    _show_result(result, None, json_output, title=result.name)
    return EXIT_CODES[result.status]


@app.command()
@exits
def compare(
    folders: Annotated[list[Path], typer.Argument(metavar="DIR DIR ...", help="folders of finished designs")],
    json_output: Json = False,
):
    """Figures of several designs side by side."""
    records = {str(folder): _record(folder) for folder in folders}
    if json_output:
        _print_json({"designs": records})
        return
    names = list(dict.fromkeys(name for record in records.values() for name in record["figures"]))
    rows = [["figure", *(record["name"] for record in records.values())]]
    rows += [[name, *(_figure_text(record["figures"].get(name)) for record in records.values())] for name in names]
    rows.append(["requirements", *(_requirement_count(record) for record in records.values())])
    print(_table(rows))


@app.command()
@exits
def export(
    folder: ResultFolder,
    format: Annotated[str, typer.Argument(metavar="FORMAT", help="csv, stl, glb, step, dxf, vtk, netcdf or nifti", autocompletion=_formats)],
    out: Annotated[Path | None, typer.Option("--out", metavar="FILE", help="file to write")] = None,
    json_output: Json = False,
):
    """One format of a finished design."""
    with _stdout_kept_clean(), Progress() as progress:
        from designtools import precision
        from designtools.export import FORMATS
        from designtools.result import load

        precision.enable()
        _record(folder)  # refuses what is no result folder
        try:
            progress(f"reading {folder}")
            result = load(folder)
            ending = FORMATS[format].extension if format in FORMATS else ""
            written = result.export(format, out or Path(f"{folder.absolute().name}{ending}"))
        except ValueError as error:
            raise BadInput(str(error)) from None
        except OSError as error:
            raise BadInput(_unusable_file(error, out or folder)) from None
    if json_output:
        _print_json({"format": format, "files": list(map(str, written))})
    else:
        print("\n".join(map(str, written)))


@app.command()
@exits
def sweep(
    spec: SpecFile,
    vary: Annotated[list[str] | None, typer.Option("--vary", metavar="KEY.PATH=A:B:N", help="N values from A to B, or V,V,... ; a grid")] = None,
    epsilon: Annotated[
        str | None, typer.Option("--epsilon", metavar="KEY.PATH=A:B:N", help="tighten one limit of the spec where the trade-off gapes")
    ] = None,
    scatter: Annotated[
        list[str] | None,
        typer.Option("--scatter", metavar="KEY.PATH=SIGMA", help="tolerance of a key, or of built.position, built.angle, built.strength"),
    ] = None,
    samples: Annotated[int | None, typer.Option("--samples", help="with --vary KEY=A:B: a Latin hypercube; with --scatter: how many")] = None,
    seed: Annotated[int, typer.Option("--seed", min=0, help="of what is drawn at random")] = 0,
    out: Annotated[Path | None, typer.Option("--out", metavar="DIR", help="folder of the sweep")] = None,
    changes: Changes = None,
    axes: Annotated[str | None, typer.Option("--pareto", metavar="FIGURE,FIGURE", help="axes of the plot, and what --epsilon trades")] = None,
    workers: Annotated[int, typer.Option("--workers", min=0, max=256, help="processes; 0 runs in this one")] = 1,
    cluster: Annotated[str | None, typer.Option("--cluster", metavar="ADDRESS", help="Dask scheduler, such as tcp://host:8786")] = None,
    resume: Annotated[bool, typer.Option("--resume", help="go on with an interrupted sweep")] = False,
    json_output: Json = False,
):
    """Many designs, a table and a Pareto plot."""
    from designtools import sweep as many

    folder = out or Path("out") / f"{spec.stem}-sweep"
    try:
        plan = many.plan(spec, vary or (), _overrides(changes), epsilon=epsilon, scatter=scatter or (), samples=samples, seed=seed)
        _refuse_unwritable(folder)
        with _stdout_kept_clean(), Progress() as progress:
            outcome = many.run(plan, folder, workers=workers, cluster=cluster, resume=resume, axes=axes, progress=progress)
    except (many.BadSweep, FileExistsError) as error:
        raise BadInput(str(error)) from None
    except OSError as error:
        raise BadInput(_unusable_file(error, folder)) from None
    except KeyboardInterrupt:
        raise Interrupted(_how_to_resume(folder, (folder / "sweep.sqlite").exists())) from None
    _show_sweep(outcome, json_output)
    return max((EXIT_CODES.get(run["status"], FAILED) for run in outcome.runs), default=DONE)


def _show_sweep(outcome, as_json: bool) -> None:
    """The table of designs, the spread of a scatter, and the path of the page last."""
    if as_json:
        _print_json(outcome.as_dict())
        return
    print(_table(outcome.rows()))
    if outcome.spread:
        print(_table(outcome.spread_rows()))
    print(outcome.report)


@app.command()
@exits
def show(
    folder: ResultFolder,
    port: Annotated[int, typer.Option("--port", min=0, max=65535, help="0 takes a free one")] = 0,
    browser: Annotated[bool, typer.Option("--browser/--no-browser", help="open the page")] = True,
    save_to: Annotated[Path | None, typer.Option("--save-to", metavar="DIR", help="where the page may write new specs")] = None,
):
    """Serve the explorer of a design on this machine only, until Ctrl-C."""
    with _stdout_kept_clean():
        from designtools import precision
        from designtools.explorer import Explorer, Unreadable

        precision.enable()
        try:
            opened = Explorer(folder, port, save_to)
        except Unreadable as error:
            raise BadInput(str(error)) from None
        except OSError as error:
            raise BadInput(f"--port must be free, got {port}: {error.strerror}; leave it out for one that is") from None
    with opened as server:
        print(server.address, flush=True)
        _say("Ctrl-C ends")
        if browser:
            _open_browser(server.address)
        with contextlib.suppress(KeyboardInterrupt):
            server.serve_forever()


@app.command()
@exits
def doctor(json_output: Json = False):
    """Versions, devices, precision, threads, and which optional parts are missing."""
    with _stdout_kept_clean():
        from designtools.doctor import findings, problems

        found = findings()
    wrong = problems(found)
    if json_output:
        _print_json(found | {"problems": wrong})
        return
    for section, values in found.items():
        print(section)
        print(_table([["  " + name, str(value)] for name, value in values.items()]))
    for sentence in wrong:
        _say(sentence)


# --- arguments -------------------------------------------------------------------------------------------


def _overrides(changes: list[str] | None) -> dict[str, str]:
    pairs = [change.partition("=") for change in changes or ()]
    for key, equals, _ in pairs:
        if not key.strip() or not equals:
            raise BadInput(f"--set must be KEY.PATH=VALUE such as shield.enabled=false, got {key + equals!r}")
    return {key.strip(): value.strip() for key, _, value in pairs}


def _option(name: str, text: str, dimension: str, positive: bool = False) -> float:
    from designtools.units import UnitError, parse

    try:
        value = parse(text, dimension)
    except UnitError as error:
        raise BadInput(f"{name} {error}") from None
    if positive and value <= 0:
        raise BadInput(f"{name} must be greater than 0, got {text!r}")
    return value


def _free_folder(wanted: Path) -> Path:
    """`wanted`, or the first of wanted-2, wanted-3, ... that does not exist: results are never overwritten."""
    folder, count = wanted, 2
    while folder.exists():
        folder, count = wanted.with_name(f"{wanted.name}-{count}"), count + 1
    return folder


def _record(folder: Path) -> dict[str, Any]:
    try:
        record = json.loads((folder / "result.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        record = None
    if not isinstance(record, dict) or not {"name", "figures", "requirements"} <= set(record):
        raise BadInput(f"must be the folder of a finished design with a sound result.json, got {str(folder)!r}")
    return record


def _refuse_unwritable(folder: Path) -> None:
    """Before the long work: whether anything could be written at `folder`."""
    try:
        folder.absolute().parent.mkdir(parents=True, exist_ok=True)
        reason = "" if os.access(folder.absolute().parent, os.W_OK) else "Permission denied"
    except OSError as error:
        reason = error.strerror
    if reason:
        raise BadInput(f"--out must be a folder that can be written, got {str(folder)!r}: {reason}")


def _unusable_file(error: OSError, expected: Path) -> str:
    return f"must be a place that can be read and written, got '{error.filename or expected}': {error.strerror or error}"


# --- words on the screen ---------------------------------------------------------------------------------


def _say(message: str) -> None:
    print(message, file=sys.stderr, flush=True)


def _print_json(record: dict) -> None:
    print(json.dumps(record, indent=2, ensure_ascii=False, allow_nan=False))


def _show_result(result, folder: Path | None, as_json: bool, title: str) -> None:
    """Key figures, requirements, and the path of the report last."""
    from designtools.result import to_json

    report = None if folder is None or not (folder / "report.html").is_file() else folder / "report.html"
    record = json.loads(to_json(result))
    if as_json:
        where = {"folder": str(folder), "report": str(report)} if report else {}
        _print_json(record | where)
        return
    print(f"{title}: {result.status}" + (f": {result.message}" if result.message else ""))
    if record["figures"]:
        print(_table([[f"  {name}", _figure_text(figure), figure["method"]] for name, figure in record["figures"].items()]))
    if record["requirements"]:
        print(_table([_requirement_cells(row, record["figures"]) for row in record["requirements"]]))
    if report:
        print(report)


def _figure_text(figure: dict | None) -> str:
    from designtools.units import format

    if figure is None or figure["value"] is None:
        return "NOT EVALUATED"
    return format(figure["value"], figure["unit"])


def _requirement_cells(row: dict, figures: dict) -> list[str]:
    from designtools.spec.figures import FIGURES
    from designtools.units import DIMENSIONS, format

    dimension = FIGURES.get(row["quantity"], ("any", ""))[0]
    unit = figures.get(row["quantity"], {}).get("unit") or (DIMENSIONS[dimension].si if dimension != "any" else "")
    value = "" if row["value"] is None else format(row["value"], unit)
    margin = "" if row["margin"] is None else f"margin {100 * row['margin']:+.1f} %"
    return [f"  {row['quantity']} {row['op']} {format(row['limit'], unit)}", row["status"], value, margin]


def _requirement_count(record: dict) -> str:
    rows = record["requirements"]
    return f"{sum(row['status'] == 'MET' for row in rows)} of {len(rows)} met"


def _table(rows: list[list[str]]) -> str:
    """Left-aligned columns, never wrapped, so that lines survive a pipe."""
    widths = [max(len(str(row[i])) for row in rows) for i in range(len(rows[0]))] if rows else []
    lines = ("  ".join(str(cell).ljust(width) for cell, width in zip(row, widths)).rstrip() for row in rows)
    return "\n".join(lines)


def _open_browser(address: str) -> None:
    import webbrowser

    if os.environ.get("DISPLAY") or sys.platform in ("darwin", "win32"):
        webbrowser.open(address)


class Progress:
    """Called with a sentence per step; speaks on stderr once the work has lasted two seconds.

    Sentences that begin alike, such as the steps of a descent, are told once a second at most.
    """

    patience = 2.0  # s
    pause = 1.0  # s

    def __enter__(self):
        self._began = time.monotonic()
        self._status = None
        self._told = ("", 0.0)
        return self

    def __exit__(self, *_):
        if self._status is not None:
            self._status.stop()

    def __call__(self, sentence: str) -> None:
        elapsed = time.monotonic() - self._began
        kind = sentence.partition(" ")[0]
        if elapsed < self.patience or (kind == self._told[0] and elapsed - self._told[1] < self.pause):
            return
        self._told = (kind, elapsed)
        if not sys.stderr.isatty():
            _say(f"[{elapsed:6.1f} s] {sentence}")
        else:
            self._spin(f"[{elapsed:.0f} s] {sentence}")

    def _spin(self, text: str) -> None:
        from rich.console import Console
        from rich.text import Text

        if self._status is None:
            self._status = Console(stderr=True).status(Text(text))
            self._status.start()
        self._status.update(Text(text))


@contextlib.contextmanager
def _stdout_kept_clean():
    """Whatever libraries print while they work goes to stderr, from C code too."""
    sys.stdout.flush()
    real = sys.stdout is sys.__stdout__
    kept = os.dup(1) if real else None
    try:
        if real:
            os.dup2(2, 1)
        with contextlib.redirect_stdout(sys.stderr):
            yield
    finally:
        if real:
            os.dup2(kept, 1)
            os.close(kept)
