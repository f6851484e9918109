"""The page: everything a reader needs, escaped, in one file that asks nothing of a network."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from designtools.export import bodies
from designtools.report import figures as draw
from designtools.result import MET, NOT_EVALUATED, OUTSIDE_MODEL, Ball, Figure, Scene, Sections, Table, plain, unit_of
from designtools.spec.figures import FIGURES
from designtools.units import format as readable

HERE = Path(__file__).parent
TONES = {"done": "good", "requirement missed": "bad", "infeasible": "bad"}
LONGEST_CELL = 400  # characters
MARKS = {MET: "good", NOT_EVALUATED: "muted", OUTSIDE_MODEL: "muted"}


def write_report(result, path) -> Path:
    """Write the page of `result` to `path`."""
    path = Path(path)
    path.write_text(render(result), encoding="utf-8")
    return path


def render(result) -> str:
    """The page as text.  Its content policy admits no address and no script but its own two."""
    import jinja2
    from markupsafe import Markup
    from plotly.offline import get_plotlyjs

    engine = jinja2.Environment(
        loader=jinja2.FileSystemLoader(HERE), autoescape=True, undefined=jinja2.StrictUndefined
    )
    scripts = [get_plotlyjs(), (HERE / "page.js").read_text(encoding="utf-8")]
    plots = _plots(result)
    return engine.get_template("template.html.j2").render(
        result=result,
        axes=[_axis(result.frame.get(name, "z")) for name in ("b0_axis", "bore_axis")],
        tone=TONES.get(result.status, "muted"),
        policy=_policy(scripts),
        scripts=[Markup(script) for script in scripts],
        style=Markup((HERE / "page.css").read_text(encoding="utf-8")),
        figures=[_figure_row(name, figure) for name, figure in result.figures.items()],
        requirements=[_requirement_row(row, result.figures) for row in result.requirements],
        sourced=any("source" in row for row in result.requirements),
        counts=_counts(result.requirements),
        plots=plots,
        data=Markup(_script_json({plot["id"]: plot["figure"] for group in plots.values() for plot in group})),
        tables=[_table(record) for record in result.plots.values() if isinstance(record, Table)],
        audit=_tables_of(result.audit),
        timing=[(key, readable(float(value), "s")) for key, value in result.timing_s.items()],
        provenance=_pairs(result.provenance),
        spec=_spec_text(result.spec),
        facts=_facts(result),
    )


def _policy(scripts: list[str]) -> str:
    digests = [base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() for text in scripts]
    allowed = " ".join(f"'sha256-{digest}'" for digest in digests)
    return f"default-src 'none'; script-src {allowed}; style-src 'unsafe-inline'; img-src data: blob:; form-action 'none'"


def _script_json(value: Any) -> str:
    """JSON that can stand inside a script element: no character opens a tag."""
    text = json.dumps(plain(value), allow_nan=False, separators=(",", ":"))
    return text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")


# ---- figures and requirements -----------------------------------------------------------------------


def _axis(axis) -> str:
    return axis if isinstance(axis, str) else f"({', '.join(f'{part:g}' for part in axis)})"


def _words(name: str) -> str:
    """A figure's name as a reader writes it: `gradient_x.fringe_0p5mT` is "gradient x: fringe 0.5 mT"."""
    return _DECIMAL.sub(r"\1.\2 \3", str(name).replace(".", ": ").replace("_", " ")).strip()


_DECIMAL = re.compile(r"\b(\d+)p(\d+)([a-zA-Z]*)")


def _figure_row(name: str, figure: Figure) -> dict:
    number = not math.isnan(figure.value)
    return {
        "name": _words(name),
        "meaning": FIGURES[name][1] if name in FIGURES else "",
        "value": readable(figure.value, figure.unit) if number else "not evaluated",
        "uncertainty": ""
        if figure.uncertainty is None
        else f"± {readable(figure.uncertainty, figure.unit, 2)}",
        "method": figure.method,
    }


def _requirement_row(row: Mapping[str, Any], figures: Mapping[str, Figure]) -> dict:
    unit = unit_of(row["quantity"], figures)
    margin = row["margin"]
    return {
        "name": _words(row["quantity"]),
        "limit": f"{_OPS.get(row['op'], row['op'])} {readable(row['limit'], unit, 5)}",
        "value": "–" if row["value"] is None else readable(row["value"], unit, 5),
        "margin": "–" if margin is None else _percent(margin),
        "bar": 0.0 if margin is None else max(-50.0, min(50.0, 50 * margin)),
        "status": row["status"],
        "tone": MARKS.get(row["status"], "bad"),
    } | _origin(row, figures.get(row["quantity"]))


def _origin(row: Mapping[str, Any], figure: Figure | None) -> dict:
    """Where a limit comes from, how far the value is trusted, and how it was found."""
    return {
        "source": ", ".join(str(row[key]) for key in ("source", "edition") if row.get(key)),
        "uncertainty": f" ± {readable(figure.uncertainty, figure.unit, 2)}" if figure and figure.uncertainty is not None else "",
        "method": figure.method if figure else "not evaluated: no part and no coupling makes this figure",
    }


def _percent(margin: float) -> str:
    return f"{100 * margin:+.1f} %" if abs(margin) >= 0.005 else f"{100 * margin:+.2g} %"


_OPS = {"<=": "≤", ">=": "≥"}


def _counts(requirements) -> str:
    if not requirements:
        return "no requirement was stated"
    met = sum(row["status"] == MET for row in requirements)
    open_ = sum(row["status"] == NOT_EVALUATED for row in requirements)
    return f"{met} of {len(requirements)} requirements met" + (f", {open_} not evaluated" if open_ else "")


def _facts(result) -> list[tuple[str, str]]:
    """What the geometry consists of, in a line each."""
    facts = []
    for winding in result.windings:
        section = f"{readable(winding.width, 'm')} × {readable(winding.thickness, 'm')}"
        tracks = f"{len(winding.tracks)} track{'s' if len(winding.tracks) > 1 else ''}"
        facts.append(
            (
                winding.name,
                f"{tracks}, {readable(winding.length, 'm')} of {section} conductor, {readable(winding.current, 'A')}",
            )
        )
    facts += [(type(leaf).__name__, _size(leaf)) for leaf in bodies.bare_sources(result)]
    return facts


def _size(leaf) -> str:
    import dataclasses

    import numpy as np

    first = getattr(leaf, dataclasses.fields(leaf)[0].name)
    count = len(np.atleast_2d(first)) if np.ndim(first) > 1 else np.size(first)
    return (
        "homogeneous" if type(leaf).__name__ == "Uniform" else f"{count} element{'s' if count != 1 else ''}"
    )


# ---- plots ------------------------------------------------------------------------------------------


def _plots(result) -> dict[str, list[dict]]:
    """Groups of plots: the view in space, the flat patterns, and what the recipe prepared."""
    space = draw.scene(result)
    groups = {
        "space": [_plot("space", "Design in three dimensions", "", space, "tall")] if space else [],
        "pattern": [],
    }
    for index, winding in enumerate(result.windings):
        figure = draw.pattern(winding, result.formers, bodies.colour_of(index))
        if figure:
            title = f"Winding pattern: {winding.name}"
            groups["pattern"].append(
                _plot(f"pattern-{index}", title, "Unrolled, true to length, as in the DXF.", figure, "flat")
            )
    groups["results"] = [
        _plot(f"plot-{index}", record.title, record.caption, draw.drawn(record), "tall" if isinstance(record, Sections) else "")
        for index, record in enumerate(result.plots.values())
        if not isinstance(record, (Ball, Table, Scene))
    ]
    return groups


def _plot(identity: str, title: str, caption: str, figure: dict, size: str = "") -> dict:
    return {"id": identity, "title": title, "caption": caption, "figure": figure, "size": size}


# ---- tables from nested records ---------------------------------------------------------------------


def _table(record: Table) -> dict:
    return {
        "title": record.title,
        "columns": list(record.columns),
        "rows": [[_cell(cell) for cell in row] for row in record.rows],
        "caption": record.caption,
    }


def _tables_of(record: Mapping[str, Any], title: str = "") -> list[dict]:
    """Nested mappings as tables: plain entries as pairs, mappings of like mappings side by side."""
    record = dict(record)
    inner = {key: value for key, value in record.items() if isinstance(value, Mapping)}
    pairs = {key: value for key, value in record.items() if key not in inner}
    tables = [{"title": title, "columns": [], "rows": _pairs(pairs), "caption": ""}] if pairs else []
    if _alike(inner):
        return tables + [_side_by_side(title, inner)]
    return tables + [t for key, value in inner.items() for t in _tables_of(value, _joined(title, key))]


def _alike(inner: Mapping[str, Mapping]) -> bool:
    flat = all(not isinstance(item, Mapping) for value in inner.values() for item in value.values())
    shared = set.intersection(*(set(value) for value in inner.values())) if inner else set()
    return len(inner) > 1 and flat and bool(shared)


def _side_by_side(title: str, inner: Mapping[str, Mapping]) -> dict:
    """One column per mapping; one row per key of any of them, units taken from the known figures."""
    keys = list(dict.fromkeys(key for value in inner.values() for key in value))
    rows = [[_words(key), *(_cell(value.get(key), key) for value in inner.values())] for key in keys]
    return {"title": title, "columns": ["", *map(_words, inner)], "rows": rows, "caption": ""}


def _joined(title: str, key: str) -> str:
    return f"{title}: {_words(key)}" if title else _words(key)


def _pairs(record: Mapping[str, Any]) -> list[list[str]]:
    return [[_words(key), _cell(value, key)] for key, value in record.items()]


def _cell(value: Any, name: str = "") -> str:
    if isinstance(value, Figure):
        return readable(value.value, value.unit)
    value = plain(value)
    if value is None:
        return "–"
    if isinstance(value, float):
        return readable(value, _UNITS[name]) if name in _UNITS else f"{value:.5g}"
    if isinstance(value, (list, dict)):
        text = json.dumps(value, ensure_ascii=False)
        return text if len(text) < LONGEST_CELL else f"{len(value)} entries, in result.json"
    return str(value)


def _known_units() -> dict[str, str]:
    from designtools.units import DIMENSIONS

    return {name: DIMENSIONS[kind].si for name, (kind, _) in FIGURES.items() if kind != "any"}


_UNITS = _known_units()


def _spec_text(spec: Mapping[str, Any]) -> str:
    from ruamel.yaml import YAML

    yaml, out = YAML(typ="safe"), io.StringIO()
    yaml.default_flow_style = False
    yaml.sort_base_mapping_type_on_output = False
    yaml.dump(plain(spec), out)
    return out.getvalue()
