"""The outcome of a job: figures with their evidence, the design itself, and the folder that holds both.

    result = Result(kind="gradient", name="head x", status="done", message="", figures={...})
    write(result, "out/head_x")            # whole or not at all, never over something else
    load("out/head_x").figures["efficiency"].value

A recipe prepares what the report draws as a few plain records (`Result.plots`, name -> record):

    PlaneMap    a quantity on a flat grid, with contour levels and the circle of the region
    Lines       curves over one axis, with horizontal marks (limits)
    SurfaceMap  a quantity on a triangle mesh; two-dimensional vertices mean the unrolled surface
    Histogram   counts between edges, one set or several (before, after)
    Table       rows of text and numbers
    Matrix      what each of several things does to each other
    Sections    layers about an axis, as rectangles
    Scene       several designs in one view in space
    Ball        a region of interest, drawn in the three-dimensional view

Values in records are SI with a unit; the report chooses readable prefixes.
"""

from __future__ import annotations

import dataclasses
import glob
import hashlib
import json
import math
import os
import platform
import shutil
import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from html import escape
from pathlib import Path
from typing import Any

import numpy as np

from designtools.units import format as readable
from designtools.units import parse

MET, MISSED, NOT_EVALUATED, OUTSIDE_MODEL = "MET", "MISSED", "NOT EVALUATED", "OUTSIDE MODEL"
STATUSES = ("done", "requirement missed", "infeasible", "not converged", "interrupted")
Z_FRAME = {"b0_axis": "z", "bore_axis": "z"}


@dataclass(frozen=True)
class Figure:
    """A number that can be argued with: `value` in SI `unit`, how it was obtained, how far it is trusted."""

    value: float
    unit: str
    method: str
    uncertainty: float | None = None


@dataclass(frozen=True)
class FieldMap:
    """A quantity on a regular grid: `axes` three 1-D arrays in m, `values` (nx,ny,nz) or (nx,ny,nz,3) in `unit`.

    `affine` (4,4), where the map is an image, takes voxel indices to mm in the scanner (NIfTI); the axes are
    then the distances along the voxel directions.
    """

    name: str
    axes: tuple[np.ndarray, np.ndarray, np.ndarray]
    values: np.ndarray
    unit: str
    affine: np.ndarray | None = None

    def __post_init__(self):
        shape = tuple(len(axis) for axis in self.axes)
        if self.values.shape not in (shape, (*shape, 3)):
            raise ValueError(
                f"FieldMap '{self.name}': values must have the shape of the axes {shape}, with or without a last "
                f"axis of 3, got {self.values.shape}; build the grid with meshgrid(..., indexing='ij')"
            )


# ---- what the report draws --------------------------------------------------------------------------


@dataclass(frozen=True)
class PlaneMap:
    """`values` (len(x), len(y)) in `unit` over the plane spanned by `x` and `y` (in `axis_unit`).

    `levels` are contour lines to draw and label (in `unit`); `circle` is (x, y, radius) of the region;
    `outlines` are (n,2) polylines to draw over the map (conductor sections, the bore).  `diverging` asks for
    a colour scale centred on zero, `span` (low, high) fixes the scale, `log` colours by decades.
    `origin`, `x_direction` and `y_direction` (3,) place the plane in the three-dimensional view.
    """

    title: str
    x: np.ndarray
    y: np.ndarray
    values: np.ndarray
    unit: str
    x_label: str = "x"
    y_label: str = "y"
    axis_unit: str = "m"
    label: str = ""
    levels: tuple[float, ...] = ()
    circle: tuple[float, float, float] | None = None
    outlines: tuple[np.ndarray, ...] = ()
    diverging: bool = False
    log: bool = False
    span: tuple[float, float] | None = None
    origin: np.ndarray | None = None
    x_direction: np.ndarray | None = None
    y_direction: np.ndarray | None = None
    caption: str = ""

    def __post_init__(self):
        expected = (len(self.x), len(self.y))
        if np.shape(self.values) != expected:
            raise ValueError(
                f"PlaneMap '{self.title}': values must have shape (len(x), len(y)) = {expected}, "
                f"got {np.shape(self.values)}; transpose them"
            )


@dataclass(frozen=True)
class Lines:
    """`curves` label -> (n,) in `unit` over `x` (n,) in `x_unit`; `marks` label -> value are horizontal lines."""

    title: str
    x: np.ndarray
    curves: Mapping[str, np.ndarray]
    unit: str
    x_unit: str = "m"
    x_label: str = "x"
    y_label: str = ""
    marks: Mapping[str, float] = field(default_factory=dict)
    log_y: bool = False
    caption: str = ""


@dataclass(frozen=True)
class SurfaceMap:
    """`intensity` (V,) per vertex or (F,) per face, in `unit`, on triangles: vertices (V,3) or, unrolled, (V,2) m.

    Unrolled vertices of a closed surface have their arc in [0, `period`); triangles over the seam are completed.
    """

    title: str
    vertices: np.ndarray
    faces: np.ndarray
    intensity: np.ndarray
    unit: str
    label: str = ""
    diverging: bool = False
    period: float | None = None
    x_label: str = "arc length"
    y_label: str = "axial"
    caption: str = ""


@dataclass(frozen=True)
class Histogram:
    """`counts` label -> (n,) between `edges` (n+1,) in `unit`."""

    title: str
    edges: np.ndarray
    counts: Mapping[str, np.ndarray]
    unit: str
    label: str = ""
    caption: str = ""


@dataclass(frozen=True)
class Table:
    """Column names and rows; a cell is text, a number or a `Figure` (shown with its unit)."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[Any, ...], ...]
    caption: str = ""


@dataclass(frozen=True)
class Matrix:
    """`values` (n,n) in `unit` of what the columns do to the rows, by `names`; not a number where nothing is known."""

    title: str
    names: tuple[str, ...]
    values: np.ndarray
    unit: str
    caption: str = ""


@dataclass(frozen=True)
class Section:
    """One rectangle of a `Sections` drawing: along the axis `z` (low, high), across it `r` (inner, outer), in m."""

    name: str
    z: tuple[float, float]
    r: tuple[float, float]
    group: str = ""


@dataclass(frozen=True)
class Sections:
    """Layers about an axis in half a section through it, coloured by group, with `marks` (name, half length, radius)."""

    title: str
    sections: tuple[Section, ...]
    marks: tuple[tuple[str, float, float], ...] = ()
    caption: str = ""


@dataclass(frozen=True)
class Scene:
    """Whole designs in one three-dimensional view, each switched as one: name -> Result."""

    title: str
    designs: Mapping[str, Any]
    caption: str = ""


@dataclass(frozen=True)
class Ball:
    """A region of interest in the three-dimensional view: `radius` m, a number or three semi-axes."""

    title: str
    radius: float | tuple[float, float, float]
    centre: tuple[float, float, float] = (0.0, 0.0, 0.0)
    caption: str = ""


# ---- the result -------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Result:
    """A finished (or honestly unfinished) job.

    `source` is the audited discrete source; `windings` its tracks; `formers` name -> former, a winding's former
    having its name; `sheets` name -> stream function before winding; `maps` fields on grids; `plots` name ->
    record for the report; `frame` names the axes of B0 and of the bore; `parts` name -> result folder of what the design is
    made of, which comes to lie within its own.  `folder` is set by `load`.
    """

    kind: str
    name: str
    status: str
    message: str = ""
    figures: Mapping[str, Figure] = field(default_factory=dict)
    requirements: Sequence[Mapping[str, Any]] = ()
    audit: Mapping[str, Any] = field(default_factory=dict)
    timing_s: Mapping[str, float] = field(default_factory=dict)
    provenance: Mapping[str, Any] = field(default_factory=dict)
    spec: Mapping[str, Any] = field(default_factory=dict)
    source: Any = None
    windings: tuple[Any, ...] = ()
    formers: Mapping[str, Any] = field(default_factory=dict)
    sheets: Mapping[str, Any] = field(default_factory=dict)
    maps: Sequence[FieldMap] = ()
    plots: Mapping[str, Any] = field(default_factory=dict)
    frame: Mapping[str, str] = field(default_factory=lambda: dict(Z_FRAME))
    parts: Mapping[str, Path] = field(default_factory=dict)
    arrays: Mapping[str, Any] = field(default_factory=dict)
    folder: Path | None = None

    def __post_init__(self):
        if self.status not in STATUSES:
            raise ValueError(f"status must be one of {', '.join(STATUSES)}, got '{self.status}'")

    def export(self, format: str, path) -> tuple[Path, ...]:
        """Write one format; returns the files written.  Raises ValueError where the design has nothing for it."""
        from designtools.export import export

        return export(self, format, path)

    def _repr_html_(self) -> str:
        return _html_summary(self)


def evaluate_requirements(
    requirements: Iterable[Mapping[str, Any]], figures: Mapping[str, Figure]
) -> list[dict]:
    """Judge each {quantity, op, limit} (limit in SI, or text with a unit) against the figures.

    Returns rows {quantity, op, limit, value, margin, status}, with whatever else a requirement states beside them.  The
    margin is the distance to the limit relative to |limit|, positive on the good side, and None for a limit of zero; a
    figure that is absent or not a number is NOT EVALUATED, never met.  Where a requirement states its source, a figure
    whose method says OUTSIDE MODEL has that status.
    """
    return [_evaluate(dict(requirement), figures) for requirement in requirements]


def _evaluate(requirement: dict, figures: Mapping[str, Figure]) -> dict:
    quantity, op, limit = (requirement[key] for key in ("quantity", "op", "limit"))
    if op not in _SIDE:
        raise ValueError(f"requirement on '{quantity}': op must be one of {', '.join(_SIDE)}, got '{op}'")
    limit = parse(limit, "any")
    row = {
        "quantity": quantity,
        "op": op,
        "limit": limit,
        "value": None,
        "margin": None,
        "status": NOT_EVALUATED,
    } | {key: value for key, value in requirement.items() if key not in ("quantity", "op", "limit")}
    value = float(figures[quantity].value) if quantity in figures else math.nan
    if math.isnan(value):
        return row
    distance = _SIDE[op] * (value - limit)
    met = distance > 0 or (distance == 0 and op.endswith("="))
    margin = distance / abs(limit) + 0.0 if limit else None  # never -0
    outside = "source" in requirement and OUTSIDE_MODEL in figures[quantity].method
    return row | {"value": value, "margin": margin, "status": OUTSIDE_MODEL if outside else MET if met else MISSED}


_SIDE = {"<=": -1.0, ">=": 1.0, "<": -1.0, ">": 1.0}


# ---- the folder -------------------------------------------------------------------------------------


def write(result: Result, folder, formats: Iterable[str] | None = None) -> Path:
    """Write the whole result folder beside its place and rename it when whole; returns the folder.

    `formats` limits the exports (default: every one the design has something for; CSV always).
    Raises FileExistsError where `folder` already holds something: results are never overwritten.
    """
    folder = Path(folder).absolute()
    refuse_occupied(folder)
    folder.parent.mkdir(parents=True, exist_ok=True)
    _sweep_up(folder)
    aside = folder.parent / f".{folder.name}.{_here()}-{os.getpid()}-{uuid.uuid4().hex[:8]}.partial"
    try:
        aside.mkdir()
        _fill(result, aside, formats)
        _put(aside, folder)
    except BaseException:
        try:
            shutil.rmtree(aside, ignore_errors=True)
        finally:  # a second Ctrl-C during the removal leaves nothing behind either
            shutil.rmtree(aside, ignore_errors=True)
        raise
    return folder


def _put(aside: Path, folder: Path) -> None:
    """Rename; of two runs into one folder the slower one is refused."""
    refuse_occupied(folder)
    try:
        if folder.exists():
            folder.rmdir()
        os.rename(aside, folder)
    except OSError:
        refuse_occupied(folder)
        raise


def _here() -> str:
    """This machine, in four letters: others may write beside us on a shared disk."""
    return hashlib.sha256(platform.node().encode()).hexdigest()[:4]


def _sweep_up(folder: Path) -> None:
    """Remove what runs of this machine left half written beside `folder` when they were killed."""
    if os.name == "nt":  # where nobody can be asked without being ended
        return
    for left in folder.parent.glob(f".{glob.escape(folder.name)}.{_here()}-[0-9]*-*.partial"):
        try:
            os.kill(int(left.name.rsplit("-", 2)[1]), 0)
        except ProcessLookupError:
            shutil.rmtree(left, ignore_errors=True)
        except OSError:  # alive, and somebody else's
            continue


def refuse_occupied(folder: Path) -> None:
    """FileExistsError unless `folder` is new or empty."""
    if folder.is_dir() and not any(folder.iterdir()):
        return
    if folder.exists():
        raise FileExistsError(
            f"the result folder must be new or empty, but '{folder}' already holds something; "
            "name another folder or move that one away"
        )


def _fill(result: Result, folder: Path, formats: Iterable[str] | None) -> None:
    from designtools.export import FORMATS, place_in, store
    from designtools.report import write_report

    manifest = store(result, folder)
    wanted = [name for name in (FORMATS if formats is None else formats) if name not in ("csv", "netcdf")]
    for name in wanted:
        if not FORMATS[name].refuses(result):
            path = place_in(folder, name, result.name)
            path.parent.mkdir(exist_ok=True)
            FORMATS[name].write(result, path)
    for name, part in result.parts.items():
        _linked(Path(part), folder / "parts" / name)
    _write_spec(result.spec, folder / "spec.yaml")
    (folder / "result.json").write_text(to_json(result, manifest) + "\n", encoding="utf-8")
    write_report(result, folder / "report.html")


def _linked(source: Path, target: Path) -> None:
    """The folder once more: its files as further names of the same ones where the file system can, else as copies."""
    try:
        shutil.copytree(source, target, copy_function=os.link)
    except (OSError, shutil.Error):
        shutil.rmtree(target, ignore_errors=True)
        shutil.copytree(source, target)


def _write_spec(spec: Mapping[str, Any], path: Path) -> None:
    from ruamel.yaml import YAML

    yaml: Any = YAML(typ="safe")
    yaml.default_flow_style = False
    yaml.sort_base_mapping_type_on_output = False
    with path.open("w", encoding="utf-8") as out:
        yaml.dump(plain(spec), out)


def to_json(result: Result, manifest: Mapping[str, Any] | None = None) -> str:
    """result.json as text: strictly valid JSON, not-a-number becomes null.

    `manifest` (what `load` needs: the frame and which files under geometry/ hold what) is appended as "geometry".
    """
    record = {
        "kind": result.kind,
        "name": result.name,
        "status": result.status,
        "message": result.message,
        "figures": {name: _figure_record(figure) for name, figure in result.figures.items()},
        "requirements": list(result.requirements),
        "audit": result.audit,
        "timing_s": result.timing_s,
        "provenance": result.provenance,
        "frame": result.frame,
    }
    if manifest is not None:
        record["geometry"] = manifest
    return json.dumps(plain(record), indent=2, allow_nan=False, ensure_ascii=False)


def _figure_record(figure: Figure) -> dict:
    record = {"value": figure.value, "unit": figure.unit, "method": figure.method}
    return record if figure.uncertainty is None else record | {"uncertainty": figure.uncertainty}


def plain(value: Any) -> Any:
    """Lists, dicts, text and numbers only; arrays become lists, not-a-number and infinity become None."""
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (str, bool, int)) or value is None:
        return str(value) if isinstance(value, str) else value
    if isinstance(value, Figure):
        return plain(_figure_record(value))
    if isinstance(value, (list, tuple, set, frozenset)):
        return [plain(item) for item in value]
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else None
    if isinstance(value, (np.ndarray, np.generic)) or hasattr(value, "__array__"):
        return plain(np.asarray(value).tolist())
    if dataclasses.is_dataclass(value):
        return {f.name: plain(getattr(value, f.name)) for f in dataclasses.fields(value)}
    return str(value)


def load(folder) -> Result:
    """Read a finished result folder back.

    Figures, requirements, spec, windings, source, formers and sheets are rebuilt; `maps` reads fields/field.nc
    map by map when asked; `plots` are not stored (report.html shows them) and come back empty.
    Raises FileNotFoundError where `folder` holds no result.json.
    """
    from designtools.export import restore

    folder = Path(folder).absolute()
    path = folder / "result.json"
    if not path.is_file():
        raise FileNotFoundError(
            f"a result folder must hold result.json, but '{folder}' does not; give the folder of a finished design"
        )
    record = json.loads(path.read_text(encoding="utf-8"))
    figures = {name: _figure(item) for name, item in record.pop("figures").items()}
    manifest = record.pop("geometry", {})
    geometry = restore(manifest, folder)
    parts = {part.name: part for part in sorted((folder / "parts").glob("*/"))}
    return Result(**record, figures=figures, spec=_read_spec(folder / "spec.yaml"), folder=folder, parts=parts, **geometry)


def _figure(record: Mapping[str, Any]) -> Figure:
    value = math.nan if record["value"] is None else record["value"]
    return Figure(value, record["unit"], record["method"], record.get("uncertainty"))


def _read_spec(path: Path) -> dict:
    from ruamel.yaml import YAML

    return YAML(typ="safe").load(path.read_text(encoding="utf-8")) if path.is_file() else {}


# ---- in a notebook ----------------------------------------------------------------------------------


def _html_summary(result: Result) -> str:
    from designtools.report.picture import picture

    def row(cells) -> str:
        return "<tr>" + "".join(f"<td>{escape(str(cell))}</td>" for cell in cells) + "</tr>"

    figures = "".join(row((name, readable(f.value, f.unit), f.method)) for name, f in result.figures.items())
    rows = (
        (r["quantity"], r["op"], readable(r["limit"], unit_of(r["quantity"], result.figures)), r["status"])
        for r in result.requirements
    )
    requirements = "".join(row(cells) for cells in rows)
    return (
        f"<b>{escape(result.name)}</b> ({escape(result.kind)}): {escape(result.status)} {escape(result.message)}{picture(result)}"
        f"<table><tbody>{figures}</tbody></table><table><tbody>{requirements}</tbody></table>"
    )


def unit_of(quantity: str, figures: Mapping[str, Figure]) -> str:
    """SI unit of a quantity: that of its figure, else of the figure's definition, else none."""
    from designtools.spec.figures import FIGURES
    from designtools.units import DIMENSIONS

    if quantity in figures:
        return figures[quantity].unit
    dimension = FIGURES.get(quantity, ("any", ""))[0]
    return "" if dimension == "any" else DIMENSIONS[dimension].si
