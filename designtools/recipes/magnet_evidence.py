"""What a magnet of coaxial coils is worth: figures, audit and drawings, all from its finite sections."""

from __future__ import annotations

import numpy as np

from designtools import regions
from designtools.fringe import fringe_extent
from designtools.harmonics import harmonics
from designtools.interop import to_magpylib
from designtools.quantities import coaxial
from designtools.recipes.product import Evidence
from designtools.result import Ball, FieldMap, Figure, Lines, PlaneMap, Table
from designtools.sources.blocks import Blocks
from designtools.spec.gradient import MATERIALS
from designtools.units import format

COPPER_DENSITY = MATERIALS["copper"].density  # kg/m3
COPPER = MATERIALS["copper"].resistivity  # ohm·m at 20 degC
LINES = {"0p5mT": 5e-4, "0p9mT": 9e-4}  # T; IEC 60601-2-33 requires both
DEGREE = 24  # of the harmonics that stand for what a 24-plane plot resolves
JUDGED = 400  # audit points shown to magpylib


def evidence(setting, solution, product, progress) -> Evidence:
    """Figures of the built sections on points that the optimiser never saw, and what a reader wants to see."""
    region = audit_region(setting.spec)
    fringe = _fringe(setting.spec, product.source)
    figures = _field_figures(setting, product.source, region) | _coil_figures(product.source) | _fringe_figures(fringe)
    return Evidence(figures, _audit(setting, solution, product, region), _plots(setting, solution, product.source, fringe), _maps(setting, product.source))


# --- the field ----------------------------------------------------------------------------------


def audit_region(spec) -> regions.Region:
    """Scattered points in and on the region."""
    return _stretched(regions.scattered_ball(1.0, count=spec.audit.points, seed=spec.audit.seed), spec)


def _stretched(unit_ball: regions.Region, spec) -> regions.Region:
    return regions.Region(unit_ball.points * np.asarray(spec.region.half_widths), unit_ball.weights, unit_ball.name)


def along_b0(source, points, b0) -> np.ndarray:
    """Component (P,) T along b0 of the field at points (P,3) m."""
    return np.asarray(source.field(points)) @ b0


def spread(values) -> float:
    """Peak to peak over the mean."""
    return float(np.ptp(values) / np.mean(values))


def rms(values, weights) -> float:
    """Root mean square deviation over the mean."""
    mean = weights @ values
    return float(np.sqrt(weights @ (values - mean) ** 2) / mean)


def _field_figures(setting, source: Blocks, region) -> dict[str, Figure]:
    spec, b0 = setting.spec, setting.b0
    volume = coaxial.folded(_stretched(regions.ball(1.0, order=32), spec))
    centre = float(along_b0(source, np.zeros((1, 3)), b0)[0])
    at_audit = along_b0(source, region.points, b0)
    figures = {
        "central_field": Figure(centre, "T", "B·b0 of the finite sections at the centre"),
        "homogeneity_pp": Figure(
            spread(at_audit), "1", f"peak to peak of B·b0 over the mean, on {len(region)} scattered points in and on the region"
        ),
        "homogeneity_rms": Figure(
            rms(along_b0(source, volume.points, b0), volume.weights), "1", "root mean square over the volume of the region, exact to degree 32"
        ),
    }
    if spec.region.shape == "ball":
        words = f"volume rms from the harmonics up to degree {DEGREE}, which a {DEGREE}-plane plot of the surface resolves"
        figures["homogeneity_vrms"] = Figure(_volume_rms(_zonal(source, spec.region.radius)), "1", words)
    return figures


def _zonal(source: Blocks, radius: float) -> np.ndarray:
    return np.asarray(harmonics(source, radius, DEGREE).zonal)


def _volume_rms(zonal: np.ndarray) -> float:
    """The mean of (r^n P_n)^2 over the unit ball is 3 / ((2n+1)(2n+3))."""
    n = np.arange(1, len(zonal))
    return float(np.sqrt(np.sum(3 * zonal[1:] ** 2 / ((2 * n + 1) * (2 * n + 3)))) / abs(zonal[0]))


# --- the coils ----------------------------------------------------------------------------------


def _coil_figures(source: Blocks) -> dict[str, Figure]:
    volume = float(np.sum(source.volume()))
    energy, coarse = float(coaxial.stored_energy(source)), float(coaxial.stored_energy(source, 8))
    force = float(np.abs(coaxial.axial_force(source)).max())
    turns = np.abs(np.asarray(source.ampere_turns()))
    length = np.pi * (np.asarray(source.inner_radius) + np.asarray(source.outer_radius))
    return {
        "stored_energy": Figure(energy, "J", "half the integral of J·A over the sections", abs(energy - coarse)),
        "power": Figure(float(np.sum(coaxial.power(source, COPPER))), "W", "copper at 20 degC filling the sections, no insulation"),
        "net_force": Figure(force, "N", "largest axial force on one coil in the field of all"),
        "peak_field": Figure(float(coaxial.peak_field(source).max()), "T", "largest |B| in the sections, edges included"),
        "hoop_stress_max": Figure(float(coaxial.hoop_stress(source).max()), "Pa", "J B r, every turn carrying its own load, no insulation"),
        "conductor_volume": Figure(volume, "m^3", "sum of the sections, filled"),
        "magnet_mass": Figure(volume * COPPER_DENSITY, "kg", "copper filling the sections, without former and cooling"),
        "ampere_length": Figure(float(turns @ length), "A·m", "ampere-turns times mean circumference"),
    }


# --- the fringe ---------------------------------------------------------------------------------


def _fringe(spec, source) -> dict:
    return {name: fringe_extent(source, level) for name, level in LINES.items()} if spec.siting.enabled else {}


def _fringe_figures(fringe) -> dict[str, Figure]:
    figures = {}
    for name, found in fringe.items():
        words = f"outermost |B| = {format(found.level, 'T')}, from the centre"
        figures[f"fringe_axial_{name}"] = Figure(found.axial, "m", f"{words}, along the axis")
        figures[f"fringe_radial_{name}"] = Figure(found.radial, "m", f"{words}, across the axis")
    return figures


# --- the audit ----------------------------------------------------------------------------------


def _audit(setting, solution, product, region) -> dict:
    """The same figures by every road: what the optimiser saw, the sections, thin loops, magpylib's own field."""
    b0, points = setting.b0, np.concatenate([np.zeros((1, 3)), region.points])
    seen = along_b0(product.source, setting.target.points, b0)
    roads = {"optimiser's points": (seen, along_b0(product.source, points[:1], b0)[0])}
    for name, source in product.stages.items():
        values = along_b0(source, points, b0)
        roads[f"audit points, {name}"] = (values[1:], values[0])
    judged = np.asarray(to_magpylib(product.source).getB(points[: JUDGED + 1])) @ b0
    roads["magpylib, finer loops"] = (judged[1:], judged[0])
    ours = along_b0(product.source, points[: JUDGED + 1], b0)
    return {
        "homogeneity": {n: {"central_field": float(c), "homogeneity_pp": spread(v)} for n, (v, c) in roads.items()},
        "independent field": {
            "points compared": JUDGED + 1,
            "largest relative difference": float(np.abs(judged / ours - 1).max()),
            "by": "magpylib, Gauss-Legendre loops over each section",
        },
    }


# --- what the reader sees -----------------------------------------------------------------------


def _plots(setting, solution, source: Blocks, fringe) -> dict:
    radius = max(setting.spec.region.half_widths)
    plots = {
        "region": Ball("region", tuple(setting.spec.region.half_widths)),
        "homogeneity": _homogeneity_map(setting, source, radius),
        "axis": _on_axis(setting, source, radius),
    }
    if fringe:
        plots["fringe"] = _fringe_map(source, fringe)
    tables = {"sections": _section_table(source), "loads": _load_table(source), "harmonics": _harmonic_table(source, radius)}
    return plots | {"descent": _descent(solution)} | tables


def _plane(source, x, z) -> np.ndarray:
    """B (nx,nz,3) T in the plane y = 0."""
    points = np.stack(np.meshgrid(x, [0.0], z, indexing="ij"), axis=-1).reshape(-1, 3)
    return coaxial.field_on_circles(source, points).reshape(len(x), len(z), 3)


def _homogeneity_map(setting, source, radius: float) -> PlaneMap:
    grid = np.linspace(-1.25 * radius, 1.25 * radius, 121)
    field = _plane(source, grid, grid) @ setting.b0
    ppm = (field / field[60, 60] - 1) * 1e6
    on_region = np.hypot(*np.meshgrid(grid, grid, indexing="ij")) <= radius
    reach = float(np.abs(ppm[on_region]).max())
    steps = tuple(s * 10 ** np.floor(np.log10(reach)) for s in (-1.0, -0.1, 0.1, 1.0))
    return PlaneMap(
        "Field variation in the plane through the axis", grid, grid, ppm, "ppm", label="(B - B centre) / B centre",
        x_label="across the bore", y_label="along the bore", levels=steps, circle=(0.0, 0.0, radius), diverging=True,
        span=(-4 * reach, 4 * reach), origin=np.zeros(3), x_direction=np.array([1.0, 0, 0]), y_direction=np.array([0, 0, 1.0]),
        caption="The dashed circle is the region; colours saturate at four times the largest variation inside it.",
    )  # fmt: skip


def _fringe_map(source: Blocks, fringe) -> PlaneMap:
    half = 1.15 * max(max(f.axial, f.radial) for f in fringe.values())
    grid = np.linspace(-half, half, 161)
    size = np.linalg.norm(_plane(source, grid, grid), axis=2)
    high = float(coaxial.peak_field(source).max())
    return PlaneMap(
        "Fringe field", grid, grid, size, "T", label="|B|", x_label="across the bore", y_label="along the bore",
        levels=tuple(f.level for f in fringe.values()), outlines=_sections(source), log=True, span=(1e-4, high),
        caption="|B| by decades, with the lines of 0.5 mT and 0.9 mT and the sections of the coils.",
    )  # fmt: skip


def _sections(source: Blocks) -> tuple[np.ndarray, ...]:
    rings = zip(*(np.asarray(v) for v in (source.inner_radius, source.outer_radius, source.z_low, source.z_high)))
    corners = [np.array([[a, low], [b, low], [b, high], [a, high], [a, low]]) for a, b, low, high in rings]
    return tuple(c * [side, 1] for c in corners for side in (1, -1))


def _on_axis(setting, source: Blocks, radius: float) -> Lines:
    reach = 1.6 * float(np.abs(np.concatenate([source.z_low, source.z_high])).max())
    z = np.linspace(-reach, reach, 401)
    field = along_b0(source, np.stack([0 * z, 0 * z, z], axis=1), setting.b0)
    return Lines("Field on the axis", z, {"B on the axis": field}, "T", x_label="along the bore", y_label="B·b0", marks={"field.floor": setting.spec.field.floor})


def _descent(solution) -> Lines:
    """How the search went."""
    objective = np.array([step["objective"] for step in solution.history])
    return Lines(
        "Descent", np.arange(len(objective)), {"objective": objective}, "1", x_unit="1", x_label="step", y_label="objective", log_y=True,
        caption="Sum of the normalised terms of the objective at each step.",
    )  # fmt: skip


def _section_table(source: Blocks) -> Table:
    values = [source.inner_radius, source.outer_radius, source.z_low, source.z_high]
    columns = ("coil", "inner radius", "outer radius", "from", "to")
    return Table("Sections of the coils", columns, _rows(values, ("m",) * 4), "Along the bore from the centre.")


def _load_table(source: Blocks) -> Table:
    values = [source.ampere_turns(), source.current_density, coaxial.power(source, COPPER), coaxial.axial_force(source), coaxial.peak_field(source)]
    columns = ("coil", "ampere-turns", "current density", "power", "axial force", "peak field")
    return Table("Loads of the coils", columns, _rows(values, ("A", "A/m^2", "W", "N", "T")), "Forces are positive along +z; power for copper filling the section.")


def _rows(values, units) -> tuple:
    columns = [[format(float(v), unit, 5) for v in np.asarray(column)] for column, unit in zip(values, units)]
    return tuple((i + 1, *row) for i, row in enumerate(zip(*columns)))


def _harmonic_table(source: Blocks, radius: float) -> Table:
    zonal = _zonal(source, radius)
    rows = [(n, f"{1e6 * zonal[n] / zonal[0]:+.4g}") for n in range(1, 17) if abs(zonal[n] / zonal[0]) > 1e-12]
    return Table(
        "Zonal harmonics", ("degree", "ppm of the central field"), tuple(rows),
        f"Coefficients of (r/R)^n P_n(cos theta) at R = {format(radius, 'm')}; degrees below 1e-6 ppm are left out.",
    )  # fmt: skip


def _maps(setting, source: Blocks) -> tuple[FieldMap, ...]:
    """B on a grid around the magnet, and B·b0 relative to the centre on a fine grid over the region."""
    outer = 1.5 * float(max(np.max(source.outer_radius), np.abs(source.z_low).max(), np.abs(source.z_high).max()))
    wide = np.linspace(-outer, outer, 41)
    near = [np.linspace(-h, h, 33) for h in setting.spec.region.half_widths]
    inside = _grid(source, near) @ setting.b0
    variation = inside / inside[16, 16, 16] - 1
    return (FieldMap("B", (wide,) * 3, _grid(source, (wide,) * 3), "T"), FieldMap("variation", tuple(near), variation, "1"))


def _grid(source, axes) -> np.ndarray:
    points = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1)
    return coaxial.field_on_circles(source, points.reshape(-1, 3)).reshape(points.shape)
