"""What a wound gradient coil is worth: figures of the wires, the audit, and what the report draws."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from designtools import audit, regions
from designtools.fields import force, torque
from designtools.kernels.wire_inductance import rectangle_mean_distance, winding_inductance
from designtools.recipes.gradient_effects import effects
from designtools.recipes.gradient_tolerances import scattered
from designtools.recipes.product import Evidence, Product
from designtools.result import Ball, FieldMap, Figure, Lines, PlaneMap, SurfaceMap, Table
from designtools.solve.solution import Solution
from designtools.units import MU_0
from designtools.windings.bend import sharpest_bend
from designtools.windings.spacing import lifted_spacing, wire_spacing

MAP_SIDE = 23  # points along each side of the exported field map
STRAY_GRID = (62, 67)  # azimuths and axial positions of the audited stray surface
MAGPYLIB_POINTS = 120


def evidence(setting, solution: Solution, product: Product, progress) -> Evidence:
    """Figures, audit, plots and maps of a wound coil; every field is that of the exact wires."""
    spec = setting.spec
    points = audit.unseen_points(spec.region.half_widths, spec.region.centre, spec.audit.points, spec.audit.seed)
    views = {name: look(setting, source, points) for name, source in product.stages.items()}
    stages = {name: stage_figures(setting, view, points) for name, view in views.items()}
    progress("comparing with magpylib")
    judge = audit.against_magpylib(product.source, points.points[:: max(1, len(points) // MAGPYLIB_POINTS)])
    progress("inductance, force and torque")
    figures = _figures(setting, solution, product, stages, judge)
    progress("what the coil does to its surroundings")
    around = effects(setting, product, list(stages.values())[-1]["gradient"], points, figures)
    record = {
        "stages": stages,
        "magpylib": judge,
        "symmetry": {"found": list(setting.symmetry.generators), "orbit": len(setting.symmetry)},
        "winding": {w.name: _winding_record(w) for w in product.windings},
        "points": {"count": len(points), "seed": spec.audit.seed},
    }
    wound, wound_plots, wound_record = scattered(setting, product)
    progress("field maps")
    plots, field_map = _drawn(setting, product, stages, views)
    return Evidence(figures | around.figures | wound, record | wound_record, plots | around.plots | wound_plots, (field_map,), (*_implied(spec), *around.implied))


# --- stages -------------------------------------------------------------------------------------


@dataclass(frozen=True)
class View:
    """What is seen of one stage: B·b0 at the points of a volume rule, at unseen points and along the gradient axis,
    and |B| (azimuths, positions) on the stray surface, or None without one."""

    volume: np.ndarray
    unseen: np.ndarray
    profile: np.ndarray
    outside: np.ndarray | None


def look(setting, source, points) -> View:
    """The fields of one stage, in one evaluation."""
    groups = [_volume(setting).points, points.points, _profile_points(setting)[1]]
    stray = setting.spec.stray
    if stray is not None:
        groups.append(regions.cylinder(stray.radius, stray.length, *STRAY_GRID, setting.frame).points)
    fields = fields_at(source, *groups)
    outside = None if stray is None else np.linalg.norm(fields[3], axis=1).reshape(STRAY_GRID)
    return View(*(field @ setting.b0 for field in fields[:3]), outside)


def fields_at(source, *groups) -> list[np.ndarray]:
    """B (..., 3) T at each of several arrays of points (..., 3), in one evaluation."""
    flat = [np.reshape(group, (-1, 3)) for group in groups]
    field = np.asarray(source.field(np.concatenate(flat)))
    parts = np.split(field, np.cumsum([len(f) for f in flat])[:-1])
    return [part.reshape(np.shape(group)) for part, group in zip(parts, groups)]


def _volume(setting):
    return audit.volume_rule(setting.spec.region.half_widths, setting.centre)


def stage_figures(setting, view: View, points) -> dict[str, float]:
    """Gradient, linearity and stray field of one stage: the sheet, the loose loops or the joined winding."""
    rule = _volume(setting)
    gradient = audit.fitted_gradient(view.volume, setting.distance(rule.points), rule.weights)
    found = audit.linearity(view.unseen, setting.distance(points.points), gradient, setting.reach)
    return found if view.outside is None else found | {"stray_field_max": float(view.outside.max())}


def _winding_record(winding) -> dict:
    roles = ("turn", "jog", "return", "link", "lead")
    return {"tracks": len(winding.tracks), **{f"{role}_length_m": winding.length_of(role) for role in roles}}


# --- figures ------------------------------------------------------------------------------------


def _figures(setting, solution: Solution, product: Product, stages, judge) -> dict[str, Figure]:
    current = product.windings[0].current
    final = list(stages.values())[-1]
    trust = judge["largest_relative_difference"]
    wires = "exact straight segments of the audited winding, at points the optimiser never saw"
    figures = {
        "efficiency": Figure(final["gradient"] / current, "T/m/A", f"least-squares slope; {wires}", trust * final["gradient"] / current),
        "gradient_strength": Figure(final["gradient"], "T/m", "efficiency times operating current"),
        "operating_current": Figure(current, "A", "current of every turn at target.strength"),
        "linearity_error_max": Figure(final["linearity_error_max"], "1", f"largest deviation from the fitted gradient over gradient times reach; {wires}"),
        "linearity_error_rms": Figure(final["linearity_error_rms"], "1", f"root mean square of the same deviation; {wires}"),
    }
    if "stray_field_max" in final:
        figures["stray_field_max"] = Figure(final["stray_field_max"], "T", "largest |B| on the stray surface at operating current, 62 x 67 points")
    figures |= _electrical(setting, product, figures["efficiency"].value, current)
    figures |= _mechanical(setting, product)
    figures |= _spacings(setting.spec, product)
    figures["optimality_gap"] = Figure(solution.gap, "1", "duality gap of the convex problem, relative to its objective")
    return figures


def series_inductance(product: Product, spec) -> np.ndarray:
    """Inductance matrix (layers, layers) H of the windings, each layer one circuit of 1 A."""
    filaments = [w.filaments() for w in product.windings]
    groups = [(np.asarray(f.start), np.asarray(f.end), np.ones(len(f.current))) for f in filaments]
    distance = rectangle_mean_distance(spec.conductor.width, spec.conductor.thickness)
    return np.asarray(winding_inductance(groups, distance))


def _electrical(setting, product: Product, efficiency: float, current: float) -> dict[str, Figure]:
    spec = setting.spec
    inductance = float(series_inductance(product, spec).sum())
    length = sum(w.length for w in product.windings)
    resistance = spec.conductor.effective_resistivity * length / spec.conductor.area
    merit = efficiency**2 * setting.size**5 / (MU_0 * inductance)
    figures = {
        "inductance": Figure(inductance, "H", "Neumann integral of all layers in series, uniform current over the section"),
        "resistance": Figure(resistance, "ohm", "resistivity times length over section, direct current, at conductor.temperature"),
        "dissipated_power": Figure(resistance * current**2, "W", "resistance times operating current squared, continuous"),
        "stored_energy": Figure(inductance * current**2 / 2, "J", "inductance times operating current squared over two"),
        "figure_of_merit": Figure(merit, "1", "efficiency^2 a^5 / (mu0 L), a the radius of the primary, or how near it comes to the region's centre"),
        "wire_length": Figure(length, "m", "all layers, with jogs, returns, links and leads"),
        "conductor_mass": Figure(length * spec.conductor.area * spec.conductor.density, "kg", "length times section times density"),
    }
    return figures | _driven(spec, efficiency, current, inductance, resistance)


def _driven(spec, efficiency, current, inductance, resistance) -> dict[str, Figure]:
    """Rise time and slew rate at the amplifier's voltage: t = L I / (V - R I)."""
    if spec.amplifier is None:
        return {}
    spare = spec.amplifier.voltage - resistance * current
    slew = efficiency * spare / inductance
    method = "linear ramp to operating current: L I / (V - R I) with the amplifier's voltage"
    limit = {"gradient_strength_limit": Figure(efficiency * spec.amplifier.current, "T/m", "efficiency times the amplifier's current")}
    if spare <= 0:
        return limit
    return limit | {
        "rise_time": Figure(inductance * current / spare, "s", method),
        "slew_rate": Figure(slew, "T/m/s", "gradient strength over rise time"),
    }


def _mechanical(setting, product: Product) -> dict[str, Figure]:
    from designtools.recipes.gradient import background

    if setting.spec.magnet is None:
        return {}
    magnet = background(setting.spec)
    push, twist = (np.asarray(f(product.source, magnet)) for f in (force, torque))
    method = "sum over the wires of dl x B in the magnet's field at operating current"
    return {
        "net_force": Figure(float(np.linalg.norm(push)), "N", method),
        "torque": Figure(float(np.linalg.norm(twist)), "N·m", method.replace("dl x B", "r x (dl x B)") + ", about the origin"),
    }


def _spacings(spec, product: Product) -> dict[str, Figure]:
    width = spec.conductor.width
    surface = min(wire_spacing(w.tracks, width).distance for w in product.windings)
    figures = {"wire_spacing_min": Figure(surface, "m", "smallest distance between centrelines of neighbouring tracks, in space")}
    figures["wire_gap_min"] = Figure(surface - width, "m", "the same less the conductor's width")
    lifted = min(lifted_spacing(w.tracks, width).distance for w in product.windings)
    figures["bend_radius_min"] = Figure(
        min(sharpest_bend(w.tracks, width) for w in product.windings), "m",
        "smallest radius of the centreline of turns and jogs, in space; a corner counts as a bend made within the conductor's width",
    )  # fmt: skip
    if np.isfinite(lifted):
        figures["lifted_spacing_min"] = Figure(lifted, "m", "smallest centre distance of returns, links and leads to anything")
    return figures


def _implied(spec) -> tuple[dict, ...]:
    """What the spec asks for outside `requirements`."""
    pitch = spec.conductor.width + spec.conductor.spacing
    asked = [
        {"quantity": "linearity_error_max", "op": "<=", "limit": spec.target.error},
        {"quantity": "wire_spacing_min", "op": ">=", "limit": pitch},
    ]
    if spec.winding.bend_radius is not None:
        asked.append({"quantity": "bend_radius_min", "op": ">=", "limit": spec.winding.bend_radius})
    if spec.stray is not None:
        asked.append({"quantity": "stray_field_max", "op": "<=", "limit": spec.stray.limit})
    if spec.amplifier is not None:
        asked.append({"quantity": "operating_current", "op": "<=", "limit": spec.amplifier.current})
    if spec.limits.torque is not None:
        asked.append({"quantity": "torque", "op": "<=", "limit": spec.limits.torque})
    if spec.limits.net_force is not None:
        asked.append({"quantity": "net_force", "op": "<=", "limit": spec.limits.net_force})
    return tuple(asked)


# --- what the report draws ----------------------------------------------------------------------


def _drawn(setting, product: Product, stages, views) -> tuple[dict, FieldMap]:
    """Plots and the exported map; the fields they need of the final winding come from one evaluation."""
    spec = setting.spec
    half = 1.1 * max(spec.region.half_widths)
    axes = tuple(np.linspace(c - half, c + half, MAP_SIDE) for c in setting.centre)
    near, wide = _plane(setting, 1.25 * setting.reach, 61), _plane(setting, 0.85 * setting.size, 61)
    cube, *planes = fields_at(product.source, np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1), near[1], wide[1])
    gradient = list(stages.values())[-1]["gradient"]
    plots = {
        "region": Ball("region of linearity", tuple(spec.region.half_widths), tuple(spec.region.centre)),
        "linearity": _linearity_map(setting, near, planes[0] @ setting.b0, gradient),
        "component": _component_map(setting, wide, planes[1] @ setting.b0),
        "profile": _profile(setting, {name: view.profile for name, view in views.items()}),
        "stages": _stage_table(stages),
    }
    if spec.stray is not None:
        outside = {name: view.outside for name, view in views.items()}
        plots["stray_profile"] = _stray_profile(setting, outside)
        plots["stray"] = _stray_map(setting, list(outside.values())[-1])
    for layer in setting.layers:
        density = np.linalg.norm(np.asarray(product.sheets[layer.name].surface_current()), axis=1)
        plots |= {f"density_{patch.name}": _density_map(patch, layer, density) for patch in layer.patches}
    return plots, FieldMap("flux_density", axes, cube, "T")


def _plane(setting, half: float, side: int):
    """Grid in the plane of the gradient axis and the bore (or the next axis, where the gradient runs along it).

    Returns the coordinates (side,) m along both axes, the points (side, side, 3) m and the two directions (3,).
    """
    first = setting.direction
    second = setting.frame[2] if abs(first @ setting.frame[2]) < 0.99 else setting.frame[0]
    second = second - first * (first @ second)
    second /= np.linalg.norm(second)
    x = np.linspace(-half, half, side)
    points = setting.centre + x[:, None, None] * first + x[None, :, None] * second
    return x, points, first, second


def _linearity_map(setting, plane, component, gradient: float) -> PlaneMap:
    x, points, first, second = plane
    reach, error = setting.reach, setting.spec.target.error
    wanted = gradient * setting.distance(points.reshape(-1, 3)).reshape(component.shape)
    return PlaneMap(
        "Linearity error", x, x, (component - wanted) / (gradient * reach), "1", x_label="along the gradient",
        y_label="across", label="deviation over gradient x reach", levels=(-error, -error / 2, error / 2, error),
        circle=(0.0, 0.0, reach), diverging=True, span=(-2 * error, 2 * error), origin=setting.centre, x_direction=first,
        y_direction=second, caption="Deviation of B·b0 from the fitted gradient, of the wires as wound. The circle is the region.",
    )  # fmt: skip


def _component_map(setting, plane, component) -> PlaneMap:
    return PlaneMap(
        "Encoded component", plane[0], plane[0], component, "T", x_label="along the gradient", y_label="across", label="B·b0",
        circle=(0.0, 0.0, setting.reach), diverging=True,
        caption="B·b0 of the wires at operating current; equidistant contours are what imaging needs.",
        levels=tuple(np.linspace(-1, 1, 11) * setting.spec.target.strength * setting.reach),
    )  # fmt: skip


def _profile_points(setting) -> tuple[np.ndarray, np.ndarray]:
    """Distances (n,) m along the gradient axis, a little beyond the region, and the points (n,3) m."""
    x = np.linspace(-1.1 * setting.reach, 1.1 * setting.reach, 111)
    return x, setting.centre + x[:, None] * setting.direction


def _profile(setting, components) -> Lines:
    """Deviation along the gradient axis, for each stage."""
    (x, points), full = _profile_points(setting), setting.spec.target.strength
    wanted = full * setting.distance(points)
    curves = {name: (component - wanted) / (full * setting.reach) for name, component in components.items()}
    error = setting.spec.target.error
    return Lines(
        "Field error along the gradient axis", x, curves, "1", x_label="along the gradient", y_label="error over G x reach",
        marks={"target.error": error, "-target.error": -error}, caption="Sheet, loose loops and joined winding against target.strength.",
    )  # fmt: skip


def _stray_profile(setting, outside) -> Lines:
    """Largest |B| over the azimuth at each axial position of the stray surface."""
    stray = setting.spec.stray
    z = np.linspace(-stray.length / 2, stray.length / 2, STRAY_GRID[1])
    return Lines(
        "Stray field outside", z, {name: size.max(axis=0) for name, size in outside.items()}, "T", x_label="axial",
        y_label="largest |B| round the surface", marks={"stray.limit": stray.limit},
        caption=f"On the cylinder of radius {stray.radius * 1e3:.0f} mm at operating current.",
    )  # fmt: skip


def _stray_map(setting, size) -> PlaneMap:
    stray = setting.spec.stray
    arc = stray.radius * 2 * np.pi * (np.arange(STRAY_GRID[0]) + 0.5) / STRAY_GRID[0]
    z = np.linspace(-stray.length / 2, stray.length / 2, STRAY_GRID[1])
    return PlaneMap(
        "Stray field on the surface outside", arc, z, size, "T", x_label="arc length", y_label="axial", label="|B|",
        levels=(stray.limit,), caption="|B| of the wires on the unrolled stray surface.",
    )  # fmt: skip


def _density_map(patch, layer, density) -> SurfaceMap:
    """|K| (F,) of the layer on one of its patches: unrolled where it has parameters, else in space."""
    own = density[(layer.mesh.faces[:, 0] >= patch.first) & (layer.mesh.faces[:, 0] < patch.first + len(patch.mesh.vertices))]
    title, caption = f"Current density on the {patch.name}", "Of the continuous sheet at operating current"
    if patch.former is None:
        return SurfaceMap(title, patch.mesh.vertices, patch.mesh.faces, own, "A/m", label="|K|", caption=f"{caption}.")
    flat = patch.former.unroll(patch.mesh.uv)
    (low, high), (bottom, _) = patch.former.span
    ends = patch.former.unroll(np.array([[low, bottom], [high, bottom]]))
    period = float(ends[1, 0] - ends[0, 0]) if patch.former.periodic[0] else None
    words = f"{caption}, unrolled." if patch.former.developable else f"{caption}, unrolled; not true to length."
    return SurfaceMap(title, flat, patch.mesh.faces, own, "A/m", label="|K|", period=period, caption=words)


def _stage_table(stages) -> Table:
    columns = ("stage", "gradient", "largest error", "rms error", "largest stray field")
    rows = []
    for name, found in stages.items():
        stray = Figure(found["stray_field_max"], "T", "") if "stray_field_max" in found else "not asked"
        errors = [Figure(found[key], "1", "") for key in ("linearity_error_max", "linearity_error_rms")]
        rows.append((name, Figure(found["gradient"], "T/m", ""), *errors, stray))
    return Table(
        "From sheet to winding", columns, tuple(rows),
        caption="What discretisation into turns, and joining them with returns, links and leads, costs.",
    )  # fmt: skip
