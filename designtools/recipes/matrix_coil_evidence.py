"""What a matrix coil is worth: each field on points the optimiser never saw, its currents and voltages, and how it encodes."""

from __future__ import annotations

import numpy as np

from designtools import audit
from designtools.fields import field_gradient, force, torque
from designtools.recipes import matrix_coil_shim
from designtools.recipes.product import Evidence
from designtools.result import Ball, Figure, PlaneMap, Table
from designtools.sources import Assembly, Loops, Uniform

SIDE = 41  # points along each side of a map
FLAT = 1e-3  # of the largest slope, below which a direction means nothing


def evidence(setting, solution, product, progress) -> Evidence:
    """Figures of the worst of the wanted fields, tables of all of them, maps of how they encode."""
    spec = setting.spec
    points = audit.unseen_points(spec.region.half_widths, spec.region.centre, spec.audit.points, spec.audit.seed)
    rows = {t.name: _of_target(setting, t, product.stages[t.name], points, _shim_currents(setting, product)) for t in spec.targets}
    progress("comparing with magpylib")
    judge = audit.against_magpylib(product.source, points.points[:120])
    figures = _figures(setting, solution, product, rows)
    record = {
        "channels": {name: {"current_A": row["currents"].tolist(), "voltage_V": row["voltages"].tolist()} for name, row in rows.items()},
        "inductance_H": setting.inductance.tolist(),
        "magpylib": judge,
        "points": {"count": len(points), "seed": spec.audit.seed},
    }
    if setting.duty is not None:
        figures |= matrix_coil_shim.figures(setting, np.asarray(product.stages[matrix_coil_shim.PART].current))
        record["channels"]["shim"] = {"current_A": _shim_currents(setting, product).tolist()}
    progress("how the fields encode")
    return Evidence(figures, record, _drawn(setting, product, rows, points), (), _implied(spec))


def _shim_currents(setting, product) -> np.ndarray:
    """Currents (N,) A that flow all the time; zero without shim duty."""
    loops = product.stages.get(matrix_coil_shim.PART)
    return np.zeros(len(setting.inductance)) if loops is None else np.asarray(loops.current) / setting.spec.elements.turns


def _of_target(setting, target, loops, points, shim) -> dict:
    """Error, currents, voltages and power of one field, with what the shim currents (N,) A add in the worse sense."""
    currents = np.asarray(loops.current) / setting.spec.elements.turns
    error = np.asarray(loops.field(points.points)) @ setting.b0 - target.strength * setting.shapes[target.name](points.points)
    drive = setting.inductance / setting.spec.channels.rise_time + setting.resistance * np.eye(len(currents))
    return {
        "currents": currents + np.copysign(shim, currents), "voltages": _worse(drive @ currents, setting.resistance * shim),
        "power": float(setting.resistance * (currents @ currents + shim @ shim)),
        "error": float(np.abs(error).max() / (target.strength * setting.reach[target.name])), "allowed": target.error,
    }  # fmt: skip


def _worse(a, b):
    """a with the magnitude of b on top."""
    return a + np.copysign(b, a)


def _figures(setting, solution, product, rows) -> dict[str, Figure]:
    largest = lambda key: max(float(np.max(np.abs(row[key]))) for row in rows.values())
    coupling = setting.inductance / np.sqrt(np.outer(*[np.diag(setting.inductance)] * 2))
    aside = np.abs(coupling - np.diag(np.diag(coupling)))
    mechanical = [_loads(setting, loops) for loops in product.stages.values()]
    figures = {
        "linearity_error_max": Figure(largest("error"), "1", f"of the worst of {len(rows)} fields: largest deviation over its peak, at points the optimiser never saw"),
        "current_max": Figure(largest("currents"), "A", "largest current of a channel in any of the fields"),
        "voltage_max": Figure(largest("voltages"), "V", "largest voltage of a channel at the end of a linear ramp within channels.rise_time"),
        "power": Figure(largest("power"), "W", "largest dissipated power of a field, continuous, all channels"),
        "inductance": Figure(float(np.diag(setting.inductance).max()), "H", "largest self inductance of an element, its turns as one round bundle"),
        "coupling_max": Figure(float(aside.max()), "1", "largest coupling coefficient M/sqrt(L L) of two elements"),
        "resistance": Figure(setting.resistance, "ohm", "of one element, direct current, at conductor.temperature"),
        "net_force": Figure(max(f for f, _ in mechanical), "N", "largest force on one element from all others, in any of the fields"),
        "optimality_gap": Figure(solution.gap, "1", "duality gap of the convex problem, relative to its objective"),
    }
    if setting.spec.magnet is not None:
        figures["torque"] = Figure(max(t for _, t in mechanical), "N·m", "largest torque on one element about its centre, in the magnet's field")
    return figures


def _loads(setting, loops) -> tuple[float, float]:
    """Largest force (N) of the others on an element, and largest torque (N·m) of the magnet on one."""
    count = len(np.asarray(loops.radius))
    pick = lambda index: Loops(*(np.asarray(v)[index] for v in (loops.centre, loops.normal, loops.radius, loops.current)))
    pushes = [np.linalg.norm(force(pick([k]), pick(np.delete(np.arange(count), k)))) for k in range(count)]
    if setting.spec.magnet is None:
        return float(max(pushes)), 0.0
    magnet = Uniform(setting.b0 * setting.spec.magnet.flux_density)  # on a closed loop a uniform field has no net force
    return float(max(pushes)), float(max(np.linalg.norm(torque(pick([k]), magnet)) for k in range(count)))


def _implied(spec) -> tuple[dict, ...]:
    return (
        {"quantity": "current_max", "op": "<=", "limit": spec.channels.current},
        {"quantity": "voltage_max", "op": "<=", "limit": spec.channels.voltage},
        {"quantity": "linearity_error_max", "op": "<=", "limit": max(t.error for t in spec.targets)},
    )


# --- what the report draws ------------------------------------------------------------------------


def _slopes(setting, loops, points) -> np.ndarray:
    """Gradient (P,3) T/m of the encoded component."""
    return np.einsum("i,pij->pj", setting.b0, np.asarray(field_gradient(loops, points)))


def _drawn(setting, product, rows, points) -> dict:
    plots = {
        "region": Ball("region", tuple(setting.spec.region.half_widths), tuple(setting.spec.region.centre)),
        "fields": _field_table(setting, product, rows, points),
        "channels": _channel_table(rows),
    }
    if setting.duty is not None:
        plots["shim"] = matrix_coil_shim.table(setting, _shim_currents(setting, product))
    if len(rows) > 1:
        plots["angles"] = _angle_table(setting, product, points)
    return plots | {f"encoding_{k + 1}": _encoding_map(setting, name, product.stages[name]) for k, name in enumerate(rows)}


def _field_table(setting, product, rows, points) -> Table:
    lines = []
    for name, row in rows.items():
        size = np.linalg.norm(_slopes(setting, product.stages[name], points.points), axis=1)
        cells = (row["error"], "1"), (np.abs(row["currents"]).max(), "A"), (np.abs(row["voltages"]).max(), "V"), (row["power"], "W"), (size.min(), "T/m"), (size.max(), "T/m")
        lines.append((name, *(Figure(float(v), unit, "") for v, unit in cells)))
    columns = ("field", "largest error", "largest current", "largest voltage", "power", "smallest slope", "largest slope")
    return Table("Fields", columns, tuple(lines), "Slopes are those of B·b0 over the region: where they vanish, the field does not encode.")


def _channel_table(rows) -> Table:
    names = list(rows)
    count = len(rows[names[0]]["currents"])
    lines = tuple((k + 1, *(f"{rows[name]['currents'][k]:.4g}" for name in names)) for k in range(count))
    return Table("Currents (A)", ("channel", *names), lines, "All digits and the voltages stand in result.json, audit.channels.")


def _angle_table(setting, product, points) -> Table:
    """Median angle between the directions in which two fields encode, where both do."""
    slopes = {t.name: _slopes(setting, product.stages[t.name], points.points) for t in setting.spec.targets}
    cell = lambda a, b: "" if a == b else f"{_median_angle(slopes[a], slopes[b]):.1f}"
    lines = tuple((a, *(cell(a, b) for b in slopes)) for a in slopes)
    return Table("Angles between fields (deg)", ("", *slopes), lines, "Median over the region of the angle between the slopes of B·b0; 90 deg encodes best.")


def _median_angle(a, b) -> float:
    size = [np.linalg.norm(v, axis=1) for v in (a, b)]
    both = (size[0] > FLAT * size[0].max()) & (size[1] > FLAT * size[1].max())
    cosine = np.abs(np.sum(a * b, axis=1)[both]) / (size[0] * size[1])[both]
    return float(np.degrees(np.median(np.arccos(np.clip(cosine, 0, 1)))))


def _encoding_map(setting, name: str, loops) -> PlaneMap:
    """|grad(B·b0)| in the plane across the bore through the centre of the region."""
    bore = np.asarray(setting.spec.frame.bore_axis, float)
    first = np.eye(3)[np.argmin(np.abs(bore))]
    first = first - bore * (first @ bore)
    first /= np.linalg.norm(first)
    second = np.cross(bore, first)
    x = np.linspace(-1, 1, SIDE) * max(setting.spec.region.half_widths)
    points = np.asarray(setting.spec.region.centre) + x[:, None, None] * first + x[None, :, None] * second
    size = np.linalg.norm(_slopes(setting, Assembly([loops]), points.reshape(-1, 3)), axis=1).reshape(SIDE, SIDE)
    return PlaneMap(
        f"How {name} encodes", x, x, size, "T/m", x_label="across the bore", y_label="across the bore", label="slope of B·b0",
        caption="Length of the gradient of B·b0 in the plane across the bore: a voxel is resolved where it is large.",
    )  # fmt: skip
