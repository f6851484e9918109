"""Gradient coils wound with errors: what most of them keep, and which tolerance to tighten."""

from __future__ import annotations

import numpy as np

from designtools import audit, regions
from designtools.quantities.scatter import clopper_pearson
from designtools.windings.scatter import KINDS, Changes, WireErrors, changes, exact_field, modes_of
from designtools.result import Figure, Histogram, Table

SURFACE = 64  # order of the points on the region's surface
GRID = (24, 25)  # azimuths and positions on the stray surface
CHECKED = 3  # coils whose field is also found without linearisation
BINS = 40


def scattered(setting, product):
    """(figures, plots, record) of coils wound with the errors of `tolerances`; empty without them."""
    t = setting.spec.tolerances
    if t is None:
        return {}, {}, {}
    places = _Places.of(setting)
    errors = WireErrors(t.shift, t.rotation, t.expansion, t.turns)
    modes = modes_of(product.windings, errors, setting.spec.frame.bore_axis, setting.centre)
    if not modes:
        return {}, {}, {}
    found = changes(product.windings, modes, places.points)
    draws = found.draws(t.samples, t.seed)
    wound = places.judged(found, draws)
    record = {"coils": t.samples, "errors": len(modes), "largest difference from the exact field": _linear(product, modes, found, draws, places)}
    return _figures(setting, wound), {"wound": _histogram(wound), "tolerances": _table(found, draws, places, wound)}, {"tolerances": record}


class _Places:
    """Points of the volume rule, of the region's surface and of the stray surface, and what fields there mean."""

    def __init__(self, setting, rule, surface, stray):
        self.setting, self.rule, self.surface, self.stray = setting, rule, surface, stray
        self.points = np.concatenate([rule.points, surface] + ([] if stray is None else [stray]))

    @classmethod
    def of(cls, setting):
        spec = setting.spec
        rule = audit.volume_rule(spec.region.half_widths, setting.centre)
        surface = regions.ellipsoid(spec.region.half_widths, spec.region.centre, SURFACE, "wound").points
        stray = spec.stray and regions.cylinder(spec.stray.radius, spec.stray.length, *GRID, setting.frame).points
        return cls(setting, rule, surface, stray)

    def judged(self, found: Changes, draws) -> dict[str, np.ndarray]:
        """Figure -> its value (S,) in every coil, with errors draws (S,M) in standard deviations."""
        n, m = len(self.rule.points), len(self.surface)
        b0 = self.setting.b0
        inside = found.field[: n + m] @ b0 + draws @ (found.change[:, : n + m] @ b0)
        distance = self.setting.distance(self.rule.points)
        weighted = self.rule.weights * distance
        slope = inside[:, :n] @ weighted / (weighted @ distance)
        left = inside[:, n:] - slope[:, None] * self.setting.distance(self.surface)
        wound = {"linearity_error": np.abs(left).max(axis=1) / (np.abs(slope) * self.setting.reach)}
        if self.stray is not None:
            wound["stray_field"] = np.array([np.linalg.norm(self._outside(found, numbers), axis=1).max() for numbers in draws])
        return wound

    def _outside(self, found: Changes, numbers) -> np.ndarray:
        count = len(self.stray)
        return found.field[-count:] + np.tensordot(numbers, found.change[:, -count:], axes=1)


def _linear(product, modes, found: Changes, draws, places) -> float:
    """Largest difference between the linear and the exact field of a few coils, over the largest change by the errors."""
    worst = 0.0
    for numbers in draws[:CHECKED]:
        change = np.tensordot(numbers, found.change, axes=1)
        exact = exact_field(product.windings, modes, numbers, places.points) - found.field
        worst = max(worst, float(np.abs(exact - change).max() / np.abs(exact).max()))
    return worst


# --- what the reader sees -----------------------------------------------------------------------


def _figures(setting, wound) -> dict[str, Figure]:
    error, count = wound["linearity_error"], len(wound["linearity_error"])
    words = f"of {count} coils wound with the errors of `tolerances`"
    figures = {
        "linearity_error_median_wound": Figure(float(np.median(error)), "1", f"median {words}"),
        "linearity_error_95_wound": Figure(float(np.quantile(error, 0.95)), "1", f"what 95 % keep {words}"),
    }
    kept = error <= _asked(setting, "linearity_error_max", setting.spec.target.error)
    if "stray_field" in wound:
        figures["stray_field_95_wound"] = Figure(float(np.quantile(wound["stray_field"], 0.95)), "T", f"what 95 % keep {words}, {GRID[0]} x {GRID[1]} points")
        kept &= wound["stray_field"] <= _asked(setting, "stray_field_max", setting.spec.stray.limit)
    good = int(kept.sum())
    low, high = clopper_pearson(good, count)
    figures["yield_wound"] = Figure(good / count, "1", f"share {words} that keep the error and the stray field asked; between {low:.1%} and {high:.1%} with 95 % confidence", max(good / count - low, high - good / count))
    return figures


def _asked(setting, quantity: str, limit: float) -> float:
    """The limit of a requirement, else that of the sheets."""
    return min((r.limit for r in setting.spec.requirements if r.quantity == quantity and r.op == "<="), default=limit)


def _histogram(wound) -> Histogram:
    error = 100 * wound["linearity_error"]
    edges = np.linspace(0.98 * error.min(), 1.02 * error.max(), BINS + 1)
    return Histogram("Field error of coils wound with errors", edges, {"as wound": np.histogram(error, edges)[0]}, "%", caption="Largest deviation over the region's surface, one count per coil.")


def _table(found: Changes, draws, places: _Places, wound) -> Table:
    """What 95 % of the coils keep with each tolerance halved, the same draws."""
    names = list(wound)
    best = lambda values: [float(np.quantile(values[name], 0.95)) for name in names]
    units = {"linearity_error": "1", "stray_field": "T"}
    row = lambda title, values: (title, *(Figure(v, units[n], "") for n, v in zip(names, values)))
    rows = [row("all as given", best(wound))]
    rows += [row(f"{kind} halved", best(places.judged(found, draws * found.halved(kind)))) for kind in KINDS if kind in found.kinds]
    heads = {"linearity_error": "field error that 95 % keep", "stray_field": "stray field that 95 % keep"}
    return Table("Which tolerance to tighten", ("errors", *(heads[n] for n in names)), tuple(rows), "The same coils with the errors of one kind halved; what gains most is to be tightened first.")
