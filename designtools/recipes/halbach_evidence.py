"""What a permanent magnet is worth: figures, audit and drawings, all from its exact cuboids."""

from __future__ import annotations

import numpy as np

from designtools import regions
from designtools.audit import against_magpylib
from designtools.harmonics import project
from designtools.harmonics.table import mean_squares
from designtools.quantities import demagnetisation, permanent
from designtools.quantities.permanent import as_dipoles
from designtools.recipes import halbach_map
from designtools.recipes import halbach_plots as plots
from designtools.recipes.halbach_scatter import scattered, surface
from designtools.recipes.halbach_stock import remanence_at, slots
from designtools.recipes.product import Evidence
from designtools.recipes.siting_evidence import siting_pieces
from designtools.result import Figure
from designtools.sources.magnets import Magnets

DEGREE = 24  # of the harmonics that stand for what a 24-plane plot resolves
DENSE = 3000  # points on the surface
JUDGED = 60  # points shown to magpylib
ANGLES = 48  # rays over half a turn of the fringe


def evidence(setting, solution, product, progress) -> Evidence:
    """Figures of the magnets as they are, on points that the optimiser never saw, and what a reader wants to see."""
    say = progress or (lambda sentence: None)
    magnets, spec = product.source, setting.spec
    points = _audit_points(spec)
    say("forces while the magnet is put together")
    loads = permanent.placement_loads(magnets, assembly_order(setting, magnets))
    say("draws of the magnets' scatter")
    drawn = scattered(setting, magnets, say)
    mapped = halbach_map.shimmed_map(setting, say)
    site = siting_pieces(as_dipoles(magnets), spec.siting, spec.frame.bore_axis, say, ANGLES)
    table = project(magnets, max(spec.region.half_widths), DEGREE, axis=spec.frame.b0_axis, rule=2 * DEGREE)
    figures = _field_figures(setting, magnets, points, table) | _magnet_figures(setting, solution, product, loads)
    figures |= _scatter_figures(drawn) | halbach_map.figures(mapped) | site.figures
    grades = _grades(setting, product)
    audit = _audit(setting, solution, product, points, drawn) | halbach_map.record(mapped) | grades | site.audit
    names = grades.get("grades") or [slots(spec)[0].grade] * len(magnets.centre)
    drawings = plots.plots(setting, solution, magnets, loads, drawn, site.plots, table, names) | halbach_map.tables(mapped)
    return Evidence(figures, audit, drawings, plots.maps(setting, magnets, table), (*_implied(spec), *site.implied))


def _implied(spec):
    return ({"quantity": "central_field", "op": ">=", "limit": spec.field.floor * (1 - 1e-3)},)


def _audit_points(spec) -> np.ndarray:
    """The centre, a dense even grid on the surface, scattered points within."""
    inside = regions.scattered_ball(1.0, count=spec.audit.points, seed=spec.audit.seed).points * np.asarray(spec.region.half_widths)
    return np.concatenate([np.zeros((1, 3)), surface(spec.region.half_widths, DENSE), inside])


def along(source, points, b0) -> np.ndarray:
    """Component (P,) T along b0."""
    return np.asarray(source.field(points)) @ b0


def spread(values) -> float:
    """Peak to peak over the mean."""
    return float(np.ptp(values) / np.mean(values))


# --- figures ------------------------------------------------------------------------------------


def _field_figures(setting, magnets, points, table) -> dict[str, Figure]:
    values = along(magnets, points, setting.b0)
    words = f"peak to peak of B·b0 over the mean, on {DENSE} even points of the surface and {len(points) - DENSE - 1} scattered ones"
    figures = {
        "central_field": Figure(float(values[0]), "T", "B·b0 of the cuboids at the centre"),
        "homogeneity_pp": Figure(spread(values[1:]), "1", words),
    }
    if setting.spec.region.shape == "ball":
        rms = _volume_rms(table)
        figures["homogeneity_rms"] = Figure(rms, "1", f"root mean square over the volume, harmonics up to degree {DEGREE}")
        figures["homogeneity_vrms"] = Figure(rms, "1", f"volume rms from the harmonics up to degree {DEGREE}, which a {DEGREE}-plane plot resolves")
    return figures


def _volume_rms(table) -> float:
    """The mean of r^2n over the unit ball is 3/(2n+3)."""
    n = np.arange(table.order + 1)[:, None]
    power = (np.asarray(table.cosine) ** 2 + np.asarray(table.sine) ** 2) * mean_squares(table.order) * 3 / (2 * n + 3)
    return float(np.sqrt(power[1:].sum()) / abs(table.cosine[0, 0]))


def _magnet_figures(setting, solution, product, loads) -> dict[str, Figure]:
    stock, magnets = slots(setting.spec)[0], product.source
    mass = float(np.sum(magnets.volume())) * stock.density
    force, torque = (float(np.linalg.norm(load, axis=1).max()) for load in loads)
    return {
        "magnet_mass": Figure(mass, "kg", "volume of all magnets times density, without formers"),
        "net_force": Figure(force, "N", "largest force on one magnet, in the field of those placed before it, rings along the bore in turn"),
        "torque": Figure(torque, "N·m", "largest torque on one magnet about its centre, in the same field"),
        "temperature_drift": Figure(stock.slope * _stiffness(setting, product), "1/K", "relative change of the central field per kelvin, all magnets alike"),
        "demagnetisation_margin": Figure(_margin(setting, product, stock), "1", "1 - largest opposing H on an easy axis over the least intrinsic coercivity at 20 degC"),
        "optimality_gap": Figure(solution.gap, "1", _gap_words(setting, solution)),
    }


def _stiffness(setting, product) -> float:
    """d ln B0 / d ln remanence: 1, since a recoil line is straight and all magnets answer in proportion."""
    return 1.0


def _margin(setting, product, stock) -> float:
    hard = product.stages["ideally hard magnets"]
    found = demagnetisation.self_consistent(hard, stock.recoil, tolerance=1e-3)
    return float(1 - max(0.0, -found.field_h.min()) / stock.coercivity)


def _gap_words(setting, solution) -> str:
    stock = solution.history[0]
    words = (
        f"choice from stock: 1 - certified bound {1e6 * stock['bound']:.1f} ppm over {1e6 * stock['value']:.1f} ppm; "
        f"the bound holds for every choice of one option per place"
    )
    moved = "; rings moved off their places afterwards are outside it" if len(solution.history) > 1 else ""
    return words + (", in the response of the magnets to each other at the choice found" if slots(setting.spec)[0].recoil > 1 else "") + moved


def _scatter_figures(drawn) -> dict[str, Figure]:
    if drawn is None:
        return {}
    count = len(drawn.as_drawn)
    error = float(np.std(drawn.as_drawn) / np.sqrt(count))
    figures = {"homogeneity_pp_scatter": Figure(float(np.median(drawn.as_drawn)), "1", f"median peak to peak on the surface of {count} magnets drawn", error)}
    for name, step in (("homogeneity_pp_sorted", "sorted"), ("homogeneity_pp_shimmed", "shimmed")):
        if step in drawn.steps:
            figures[name] = Figure(drawn.steps[step], "1", f"peak to peak on the surface of the first magnet drawn, {step}; as drawn {1e6 * drawn.steps['as drawn']:.0f} ppm")
    return figures


# --- the audit ----------------------------------------------------------------------------------


def assembly_order(setting, magnets: Magnets) -> np.ndarray:
    """Rank (N,): along the bore ring by ring, in a ring from inside out and round the bore."""
    own = np.asarray(magnets.centre) @ setting.turn
    radius, angle = np.hypot(own[:, 0], own[:, 1]), np.mod(np.arctan2(own[:, 1], own[:, 0]) + 1e-9, 2 * np.pi)
    order = np.lexsort((angle, np.round(radius, 6), np.round(own[:, 2], 6)))
    rank = np.empty(len(order), int)
    rank[order] = np.arange(len(order))
    return rank


def _audit(setting, solution, product, points, drawn) -> dict:
    """The same figures by every road: stages, dipoles, what the optimiser saw, magpylib, temperature."""
    b0, stock, magnets = setting.b0, slots(setting.spec)[0], product.source
    roads = {**product.stages, "point dipoles": as_dipoles(magnets)}
    sample = points[: DENSE // 3 + 1]
    rows = {}
    for name, source in roads.items():
        values = along(source, sample, b0)
        rows[name] = {"central_field": float(values[0]), "homogeneity_pp": spread(values[1:])}
    record = {
        "magnets": len(magnets.centre),
        "homogeneity": rows,
        "stages": [{k: stage[k] for k in ("stage", "value", "bound")} for stage in solution.history],
        "independent field": {"by": "magpylib", **against_magpylib(magnets, points[-JUDGED:])},
        "temperature": {
            f"{kelvin:g} K": rows["real magnets"]["central_field"] * remanence_at(1.0, stock.slope, kelvin) / remanence_at(1.0, stock.slope, setting.spec.magnets.temperature)
            for kelvin in (283.15, 293.15, 303.15, 313.15)
        },
    }
    return record if drawn is None else record | {"scatter": _scatter_record(drawn)}


def _grades(setting, product) -> dict:
    """The grade of every magnet, for the ledger; nothing where there is but one."""
    stock = slots(setting.spec)
    if len({s.grade for s in stock}) == 1:
        return {}
    return {"grades": grades_of(product.stages["ideally hard magnets"], stock)}


def grades_of(hard: Magnets, stock) -> list[str]:
    """The grade of each magnet whose remanence (before demagnetisation) and edge are those of the stock."""
    known = np.array([[s.edge, s.remanence] for s in stock])
    own = np.stack([np.asarray(hard.size)[:, 0], np.linalg.norm(np.asarray(hard.polarization), axis=1)], axis=1)
    nearest = np.abs((own[:, None] - known) / known).sum(axis=2).argmin(axis=1)
    return [stock[i].grade for i in nearest]


def _scatter_record(drawn) -> dict:
    low, middle, high = np.percentile(drawn.as_drawn, [5, 50, 95])
    record = {"samples": len(drawn.as_drawn), "pp 5 %": low, "pp median": middle, "pp 95 %": high, "central field, relative std": float(drawn.centre.std() / drawn.centre.mean())}
    record["first magnet drawn"] = drawn.steps
    if drawn.shims is not None:
        record["shims"] = {"cubes": len(drawn.shims.centre), "certified gap of the rms": drawn.shim_gap}
    return record
