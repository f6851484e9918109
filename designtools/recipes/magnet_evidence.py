"""What a magnet of coaxial coils is worth: figures, audit and drawings, all from its finite sections."""

from __future__ import annotations

import numpy as np

from designtools import regions
from designtools.harmonics import harmonics
from designtools.interop import to_magpylib
from designtools.quantities import coaxial
from designtools.recipes.product import Evidence
from designtools.recipes.siting_evidence import siting_pieces
from designtools.result import Ball, FieldMap, Figure, Lines, PlaneMap, Table
from designtools.sources.blocks import Blocks, sliced
from designtools.spec.gradient import MATERIALS
from designtools.units import format

COPPER_DENSITY = MATERIALS["copper"].density  # kg/m3
COPPER = MATERIALS["copper"].resistivity  # ohm·m at 20 degC
DEGREE = 24  # of the harmonics that stand for what a 24-plane plot resolves
JUDGED = 400  # audit points shown to magpylib
NOTHING = 1e-9  # of the largest value of a column
SLICE = 0.5  # of the inner radius: the longest piece of a winding that few loops stand for


def evidence(setting, solution, product, progress) -> Evidence:
    """Figures of the built sections on points that the optimiser never saw, and what a reader wants to see."""
    region = audit_region(setting.spec)
    site = siting_pieces(product.source, setting.spec.siting, setting.spec.frame.bore_axis, progress)
    figures = field_figures(setting, product.source, region) | _coil_figures(product.source) | site.figures
    audit = _audit(setting, solution, product, region) | site.audit
    return Evidence(figures, audit, _plots(setting, solution, product.source, site.plots), maps(setting, product.source), site.implied)


# --- the field ----------------------------------------------------------------------------------


def audit_region(spec) -> regions.Region:
    """Scattered points in and on the region."""
    return in_region(regions.scattered_ball(1.0, count=spec.audit.points, seed=spec.audit.seed), spec)


def in_region(unit_ball: regions.Region, spec) -> regions.Region:
    """A rule for the unit ball, stretched and moved to the region."""
    points = np.asarray(spec.region.centre) + unit_ball.points * np.asarray(spec.region.half_widths)
    return regions.Region(points, unit_ball.weights, unit_ball.name)


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


def field_figures(setting, source: Blocks, region) -> dict[str, Figure]:
    """Central field and variation, as everyone quotes them."""
    spec, b0 = setting.spec, setting.b0
    volume = coaxial.folded(in_region(regions.ball(1.0, order=32), spec))
    centre = float(along_b0(source, np.array([spec.region.centre]), b0)[0])
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
        figures["homogeneity_vrms"] = Figure(volume_rms(zonal(source, spec.region)), "1", words)
    return figures


def zonal(source: Blocks, region) -> np.ndarray:
    """Coefficients a_n0 (DEGREE+1,) T of B_z at the radius of the region, about its centre; a long winding in slices, each with its own Gauss points."""
    return np.asarray(harmonics(source, max(region.half_widths), DEGREE, centre=region.centre).zonal)


def volume_rms(zonal: np.ndarray) -> float:
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


# --- the audit ----------------------------------------------------------------------------------


def _audit(setting, solution, product, region) -> dict:
    """The same figures by every road: what the optimiser saw, the sections, thin loops, magpylib's own field."""
    return compared(setting, product, region, np.asarray(setting.target.points))


def compared(setting, product, region, seen) -> dict:
    """Field at the centre and variation: on the points (P,3) that the optimiser saw, by every stage, by magpylib."""
    b0, points = setting.b0, np.concatenate([[setting.spec.region.centre], region.points])
    roads = {"optimiser's points": (along_b0(product.source, seen, b0), along_b0(product.source, points[:1], b0)[0])}
    for name, source in product.stages.items():
        values = along_b0(source, points, b0)
        roads[f"audit points, {name}"] = (values[1:], values[0])
    judged = np.asarray(to_magpylib(sliced(product.source)).getB(points[: JUDGED + 1])) @ b0
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


def _plots(setting, solution, source: Blocks, siting) -> dict:
    radius = max(setting.spec.region.half_widths)
    plots = {
        "region": Ball("region", tuple(setting.spec.region.half_widths)),
        "homogeneity": homogeneity_map(setting, source, radius),
        "axis": on_axis(setting, source, {"field.floor": setting.spec.field.floor}),
    }
    tables = {"sections": section_table(source), "loads": _load_table(source), "harmonics": harmonic_table(source, setting.spec.region)}
    return plots | siting | {"descent": descent(solution)} | tables


def plane(source, x, z) -> np.ndarray:
    """B (nx,nz,3) T in the plane y = 0."""
    points = np.stack(np.meshgrid(x, [0.0], z, indexing="ij"), axis=-1).reshape(-1, 3)
    return coaxial.field_on_circles(source, points).reshape(len(x), len(z), 3)


def homogeneity_map(setting, source, radius: float) -> PlaneMap:
    """Variation in ppm about the region."""
    span = np.linspace(-1.25 * radius, 1.25 * radius, 121)
    centre = np.asarray(setting.spec.region.centre)
    field = plane(source, span, centre[2] + span) @ setting.b0
    ppm = (field / field[60, 60] - 1) * 1e6
    on_region = np.hypot(*np.meshgrid(span, span, indexing="ij")) <= radius
    reach = float(np.abs(ppm[on_region]).max())
    steps = tuple(s * 10 ** np.floor(np.log10(reach)) for s in (-1.0, -0.1, 0.1, 1.0))
    return PlaneMap(
        "Field variation in the plane through the axis", span, span, ppm, "ppm", label="(B - B centre) / B centre",
        x_label="across the bore", y_label="along the bore", levels=steps, circle=(0.0, 0.0, radius), diverging=True,
        span=(-4 * reach, 4 * reach), origin=centre, x_direction=np.array([1.0, 0, 0]), y_direction=np.array([0, 0, 1.0]),
        caption="The dashed circle is the region; colours saturate at four times the largest variation inside it.",
    )  # fmt: skip


def on_axis(setting, source: Blocks, mark: dict[str, float]) -> Lines:
    """B·b0 on the axis, with a level marked (T)."""
    reach = 1.6 * float(np.abs(np.concatenate([source.z_low, source.z_high])).max())
    z = np.linspace(-reach, reach, 401)
    field = along_b0(source, np.stack([0 * z, 0 * z, z], axis=1), setting.b0)
    return Lines("Field on the axis", z, {"B on the axis": field}, "T", x_label="along the bore", y_label="B·b0", marks=mark)


def descent(solution) -> Lines:
    """How the search went."""
    objective = np.array([step["objective"] for step in solution.history])
    return Lines(
        "Descent", np.arange(len(objective)), {"objective": objective}, "1", x_unit="1", x_label="step", y_label="objective", log_y=True,
        caption="Sum of the normalised terms of the objective at each step.",
    )  # fmt: skip


def section_table(source: Blocks) -> Table:
    """Edges of every section."""
    values = [source.inner_radius, source.outer_radius, source.z_low, source.z_high]
    columns = ("coil", "inner radius", "outer radius", "from", "to")
    return Table("Sections of the coils", columns, rows(values, ("m",) * 4), "Along the bore from the centre.")


def _load_table(source: Blocks) -> Table:
    values = [source.ampere_turns(), source.current_density, coaxial.power(source, COPPER), coaxial.axial_force(source), coaxial.peak_field(source)]
    columns = ("coil", "ampere-turns", "current density", "power", "axial force", "peak field")
    return Table("Loads of the coils", columns, rows(values, ("A", "A/m^2", "W", "N", "T")), "Forces are positive along +z; power for copper filling the section.")


def rows(values, units) -> tuple:
    """Table rows from columns of values and their units, numbered from 1; what is zero but for rounding reads 0."""
    true = lambda column: np.where(np.abs(column) > NOTHING * np.abs(column).max(), column, 0.0)
    columns = [[format(float(v), unit) for v in true(np.asarray(column, float))] for column, unit in zip(values, units)]
    return tuple((i + 1, *row) for i, row in enumerate(zip(*columns)))


def harmonic_table(source: Blocks, region) -> Table:
    """Zonal coefficients to degree 20."""
    a = zonal(source, region)
    found = [(n, f"{1e6 * a[n] / a[0]:+.4g}") for n in range(1, 21) if abs(a[n] / a[0]) > 1e-12]
    return Table(
        "Zonal harmonics", ("degree", "ppm of the central field"), tuple(found),
        f"Coefficients of (r/R)^n P_n(cos theta) at R = {format(max(region.half_widths), 'm')}; degrees below 1e-6 ppm are left out.",
    )  # fmt: skip


def maps(setting, source: Blocks) -> tuple[FieldMap, ...]:
    """B on a grid around the magnet, and B·b0 relative to the centre on a fine grid over the region."""
    outer = 1.5 * float(max(np.max(source.outer_radius), np.abs(source.z_low).max(), np.abs(source.z_high).max()))
    wide = np.linspace(-outer, outer, 41)
    near = [c + np.linspace(-h, h, 33) for c, h in zip(setting.spec.region.centre, setting.spec.region.half_widths)]
    inside = grid(source, near) @ setting.b0
    variation = inside / inside[16, 16, 16] - 1
    return (FieldMap("B", (wide,) * 3, grid(source, (wide,) * 3), "T"), FieldMap("variation", tuple(near), variation, "1"))


def grid(source, axes) -> np.ndarray:
    """B on a grid, evaluated once per circle about the axis."""
    points = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1)
    return coaxial.field_on_circles(source, points.reshape(-1, 3)).reshape(points.shape)
