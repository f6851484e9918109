"""The page of a sweep: the plot, in which every point opens its design, and the table with the same links."""

from __future__ import annotations

import math
import os
from html import escape
from pathlib import Path

from designtools.sweep.outcome import cost
from designtools.sweep.plan import Plan
from designtools.units import format as readable

STYLE = """body { font: 16px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 70rem; padding: 0 1rem; color: #1c2530 }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; margin: 1rem 0 2rem }
th, td { text-align: left; padding: .3rem .9rem .3rem 0; border-bottom: 1px solid #d8dee6 }
a { color: #0b5cad } .best { font-weight: 600 }"""
OPEN_ON_CLICK = """document.getElementById('{plot_id}').on('plotly_click', event => {
  const place = event.points[0].customdata;
  if (place) window.open(place, '_blank', 'noopener');
});"""


def write_page(path: Path, plan: Plan, runs, axes: tuple[str, str], pareto, spread) -> Path:
    """Write pareto.html, which works offline; returns its path."""
    linked = {run["index"]: f"{run['index']:04d}/report.html" for run in runs if (path.parent / f"{run['index']:04d}/report.html").is_file()}
    title = escape(f"Sweep of {plan.spec.name}")
    parts = [
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{title}</title><style>{STYLE}</style>',
        f"<h1>{title}</h1><p>{_summary(plan, runs)}</p>",
        _plot(plan, runs, axes, pareto, linked),
        _spread_table(spread),
        _table(plan, runs, axes, pareto, linked),
        "</html>",
    ]
    aside = path.with_name(f".{path.name}.partial")
    aside.write_text("\n".join(parts), encoding="utf-8")
    os.replace(aside, path)
    return path


def _summary(plan: Plan, runs) -> str:
    met = sum(run["status"] == "done" for run in runs)
    seed = f", seed {plan.seed}" if plan.method in ("latin", "scatter", "as built") else ""
    return f"{len(runs)} designs ({plan.method}{seed}), {met} of them meet every requirement. A point or a number opens its design."


def _plot(plan: Plan, runs, axes, pareto, linked) -> str:
    import plotly.graph_objects as go

    drawn = [run for run in runs if not any(math.isnan(cost(run, axis)) for axis in axes)]
    best = sorted((run for run in drawn if run["index"] in pareto), key=lambda run: cost(run, axes[0]))
    figure = go.Figure()
    for name, group, mode in (("designs", drawn, "markers"), ("not beaten", best, "lines+markers")):
        x, y = ([run["figures"][axis]["value"] for run in group] for axis in axes)
        hover = [escape(f"design {run['index']}: {_words(plan, run)}") for run in group]
        figure.add_scatter(x=x, y=y, mode=mode, name=name, text=hover, customdata=[linked.get(run["index"]) for run in group])
    labels = [f"{axis} ({_unit(drawn, axis)})" for axis in axes]
    figure.update_layout(xaxis_title=labels[0], yaxis_title=labels[1], template="plotly_white", height=520)
    return figure.to_html(full_html=False, include_plotlyjs=True, div_id="plot", post_script=OPEN_ON_CLICK)


def _unit(runs, axis: str) -> str:
    return next((run["figures"][axis]["unit"] for run in runs), "")


def _words(plan: Plan, run) -> str:
    return ", ".join(f"{key}={run['overrides'][key]}" for key in plan.varied if key in run["overrides"]) or "as in the spec"


def _table(plan: Plan, runs, axes, pareto, linked) -> str:
    head = "".join(f"<th>{escape(name)}</th>" for name in ("design", *plan.varied, *axes, "status"))
    rows = []
    for run in runs:
        number = run["index"]
        place = f'<a href="{linked[number]}">{number}</a>' if number in linked else str(number)
        cells = [str(run["overrides"].get(key, "")) for key in plan.varied] + [_figure(run, axis) for axis in axes]
        cells += [run["status"] + (f": {run['message']}" if run["status"] == "failed" else "")]
        mark = ' class="best"' if number in pareto else ""
        rows.append(f"<tr{mark}><td>{place}</td>" + "".join(f"<td>{escape(cell)}</td>" for cell in cells) + "</tr>")
    return f"<h2>Designs</h2><table><thead><tr>{head}</tr></thead><tbody>{''.join(rows)}</tbody></table>"


def _figure(run, axis: str) -> str:
    figure = run["figures"].get(axis)
    return "-" if figure is None or figure["value"] is None else readable(figure["value"], figure["unit"])


def _spread_table(spread) -> str:
    if not spread:
        return ""
    names = [name for name in spread[0] if name not in ("figure", "unit", "samples")]
    text = lambda row, name: "-" if row[name] is None else readable(row[name], row["unit"])
    rows = "".join(f"<tr><td>{escape(row['figure'])}</td>" + "".join(f"<td>{escape(text(row, n))}</td>" for n in names) + "</tr>" for row in spread)
    head = "".join(f"<th>{escape(name)}</th>" for name in ("figure", *names))
    return f"<h2>Spread</h2><table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>"
