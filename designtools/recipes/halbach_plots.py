"""Drawings and tables of a permanent magnet."""

from __future__ import annotations

import numpy as np

from designtools.result import Ball, FieldMap, Histogram, Lines, PlaneMap, Table
from designtools.units import format

GRID = 61  # points along each side of a map
HARMONICS = 18  # rows of the table
ROWS = 60  # of the ledger that the report shows


def plots(setting, solution, magnets, loads, drawn, siting, table, grades) -> dict:
    """What the report draws, in its order."""
    found = {
        "region": Ball("region", tuple(setting.spec.region.half_widths)),
        "section": _section(setting, magnets),
        "homogeneity": _variation(setting, table, 2, "Field variation in the mid plane across the bore"),
        "homogeneity along": _variation(setting, table, 1, "Field variation in the plane of B0 and the bore"),
        "axis": _on_axis(setting, magnets),
    }
    found |= siting
    if drawn is not None:
        found["scatter"] = _scatter(drawn)
    found |= {"certificate": _certificate(setting, solution), "harmonics": _harmonics(table)}
    if setting.spec.rings:
        found["rings"] = _rings(setting, magnets, loads)
    return found | {"ledger": _ledger(setting, magnets, loads, grades)}


def _outlines(setting, magnets, chosen) -> list[np.ndarray]:
    """Outline and arrow of each chosen magnet, in the plane across the bore."""
    vector = np.asarray(magnets.polarization_in_space()) @ setting.turn
    centre = np.asarray(magnets.centre) @ setting.turn
    lines = []
    for i in chosen:
        half = float(magnets.size[i][0]) / 2
        way = vector[i, :2] / np.linalg.norm(vector[i, :2])
        side = np.array([-way[1], way[0]])
        square = np.array([way + side, way - side, -way - side, -way + side, way + side]) * half
        tip = 0.8 * half
        arrow = np.array([-tip * way, tip * way, 0.3 * tip * way + 0.4 * tip * side, tip * way, 0.3 * tip * way - 0.4 * tip * side])
        lines += [centre[i, :2] + square, centre[i, :2] + arrow]
    return lines


def _section(setting, magnets) -> PlaneMap:
    """The ring nearest to the middle with the directions of its magnets, over |B|."""
    own = np.asarray(magnets.centre) @ setting.turn
    nearest = np.abs(own[:, 2]).min() if setting.spec.rings else np.nan
    chosen = np.flatnonzero(np.abs(np.abs(own[:, 2]) - nearest) < 1e-6) if setting.spec.rings else np.arange(len(own))
    chosen = chosen[own[chosen, 2] >= own[chosen, 2].max() - 1e-6]
    half = 1.15 * np.abs(own[chosen, :2]).max() + float(np.max(magnets.size))
    grid = np.linspace(-half, half, GRID)
    level = own[chosen[0], 2]
    points = np.stack(np.meshgrid(grid, grid, [level], indexing="ij"), axis=-1).reshape(-1, 3) @ setting.turn.T
    size = np.linalg.norm(np.asarray(magnets.field(points)), axis=1).reshape(GRID, GRID)
    return PlaneMap(
        "Cross-section and directions of the magnets", grid, grid, size, "T", label="|B|", x_label="along b0", y_label="across b0 and the bore",
        outlines=tuple(_outlines(setting, magnets, chosen)), circle=(0.0, 0.0, max(setting.spec.region.half_widths)), span=(0.0, float(np.quantile(size, 0.98))),
        caption="The ring nearest to the middle; arrows are the directions of magnetisation, the dashed circle is the region.",
    )  # fmt: skip


def _variation(setting, table, normal: int, title: str) -> PlaneMap:
    """ppm in a plane through the centre, from the harmonics: in the frame of the magnets, across axis `normal`."""
    half = 1.05 * max(setting.spec.region.half_widths)
    grid = np.linspace(-half, half, 2 * GRID - 1)
    first, second = [axis for axis in range(3) if axis != normal]
    own = np.zeros((len(grid), len(grid), 3))
    own[..., first], own[..., second] = np.meshgrid(grid, grid, indexing="ij")
    values = np.asarray(table.component(own.reshape(-1, 3) @ setting.turn.T)).reshape(len(grid), len(grid))
    ppm = (values / float(table.cosine[0, 0]) - 1) * 1e6
    radius = max(setting.spec.region.half_widths)
    inside = np.hypot(*np.meshgrid(grid, grid, indexing="ij")) <= radius
    reach = float(np.abs(ppm[inside]).max())
    names = ("along b0", "across b0 and the bore", "along the bore")
    return PlaneMap(
        title, grid, grid, np.where(np.hypot(*np.meshgrid(grid, grid, indexing="ij")) <= half, ppm, np.nan), "ppm", label="(B - mean) / mean",
        x_label=names[first], y_label=names[second], circle=(0.0, 0.0, radius), diverging=True, span=(-1.5 * reach, 1.5 * reach),
        levels=tuple(np.round(reach * s, 1) for s in (-0.5, 0.5)), origin=np.zeros(3), x_direction=setting.turn[:, first], y_direction=setting.turn[:, second],
        caption="The dashed circle is the region; colours saturate at one and a half times the largest variation inside it.",
    )  # fmt: skip


def _on_axis(setting, magnets) -> Lines:
    own = np.asarray(magnets.centre) @ setting.turn
    reach = 1.5 * float(np.abs(own[:, 2]).max()) if setting.spec.rings else 3 * max(setting.spec.region.half_widths)
    low = -reach if setting.spec.rings else -0.9 * setting.spec.array.standoff
    z = np.linspace(low, reach, 201)
    field = np.asarray(magnets.field(z[:, None] * setting.turn[:, 2])) @ setting.b0
    return Lines("Field on the bore's axis", z, {"B·b0": field}, "T", x_label="along the bore", y_label="B·b0", marks={"field.floor": setting.spec.field.floor})


def _scatter(drawn) -> Histogram:
    edges = np.linspace(0, float(drawn.as_drawn.max()) * 1e6, 41)
    counts, _ = np.histogram(drawn.as_drawn * 1e6, edges)
    steps = ", ".join(f"{name} {1e6 * value:.0f} ppm" for name, value in drawn.steps.items())
    return Histogram("Homogeneity of magnets drawn from stock", edges, {"as drawn": counts}, "ppm", label="peak to peak on the surface of the region", caption=f"The first one: {steps}.")


def _certificate(setting, solution) -> Table:
    rows = []
    for stage in solution.history:
        bound = f"{1e6 * stage['bound']:.2f}" if stage["bound"] else "none: not convex"
        rows.append((_STAGES[stage["stage"]], f"{1e6 * stage['value']:.2f}", bound))
    return Table(
        "Certificate", ("stage", "peak to peak (ppm)", "no choice can be below (ppm)"), tuple(rows),
        "On the optimiser's points, relative to the central field. The bound is the dual of the linear relaxation, raised by branching; for the last "
        "stage it is that of the rounding.",
    )  # fmt: skip


_STAGES = {"stock": "choice from stock", "gradients": "rings moved by gradients", "built": "rounded to the machine's grid"}


def _harmonics(table) -> Table:
    """The largest terms."""
    mean = float(table.cosine[0, 0])
    rows = []
    for name, values in (("cos", np.asarray(table.cosine)), ("sin", np.asarray(table.sine))):
        for n, m in zip(*np.nonzero(np.abs(values) > 1e-9 * abs(mean))):
            if n:
                rows.append((abs(values[n, m]), n, m, name, f"{1e6 * values[n, m] / mean:+.4g}"))
    rows = sorted(rows, reverse=True)[:HARMONICS]
    return Table(
        "Largest harmonics of B·b0", ("degree", "order", "part", "ppm"), tuple((int(n), int(m), part, text) for _, n, m, part, text in rows),
        f"Coefficients of (r/R)^n P_n^m(cos theta) cos or sin(m phi) at R = {format(table.radius, 'm')}, polar axis z, unnormalised.",
    )  # fmt: skip


def _rings(setting, magnets, loads) -> Table:
    own = np.asarray(magnets.centre) @ setting.turn
    keys = np.stack([np.round(own[:, 2], 7), np.round(np.hypot(own[:, 0], own[:, 1]), 7)], axis=1)
    rows = []
    for z, radius in np.unique(keys, axis=0):
        of = np.flatnonzero((keys == [z, radius]).all(axis=1))
        force = float(np.linalg.norm(loads[0][of], axis=1).max())
        rows.append((f"{z * 1e3:+.2f}", f"{radius * 1e3:.2f}", len(of), f"{float(magnets.size[of[0]][0]) * 1e3:g}", f"{force:.2f}"))
    return Table("Rings", ("place (mm)", "radius (mm)", "magnets", "edge (mm)", "largest force while placed (N)"), tuple(rows), "Places along the bore, radii to the centres of the magnets.")


def _ledger(setting, magnets, loads, grades) -> Table:
    own, vector = (np.asarray(v) @ setting.turn for v in (magnets.centre, magnets.polarization_in_space()))
    force = np.linalg.norm(loads[0], axis=1)
    way = np.degrees(np.arctan2(vector[:, 1], vector[:, 0]))
    rows = [(i + 1, *(f"{v * 1e3:.2f}" for v in own[i]), f"{way[i]:.2f}", f"{float(magnets.size[i][0]) * 1e3:g}", grades[i], f"{force[i]:.2f}") for i in range(min(ROWS, len(own)))]
    more = f" The first {ROWS} of {len(own)}; all stand in the ledger, geometry/*-ledger.csv." if len(own) > ROWS else ""
    columns = ("magnet", "along b0 (mm)", "across (mm)", "along the bore (mm)", "direction (deg)", "edge (mm)", "grade", "force while placed (N)")
    return Table("Magnet ledger", columns, tuple(rows), "Directions are counted from b0 about the bore." + more)


def maps(setting, magnets, table) -> tuple[FieldMap, ...]:
    """B on a coarse grid in and around the region, and B·b0 relative to its mean over the region."""
    half = np.asarray(setting.spec.region.half_widths)
    near, fine = [np.linspace(-h, h, 17) for h in half], [np.linspace(-h, h, 33) for h in half]
    points = np.stack(np.meshgrid(*near, indexing="ij"), axis=-1)
    field = np.asarray(magnets.field(points.reshape(-1, 3))).reshape(points.shape)
    inside = np.stack(np.meshgrid(*fine, indexing="ij"), axis=-1)
    ratio = np.asarray(table.component(inside.reshape(-1, 3))).reshape(inside.shape[:3]) / float(table.cosine[0, 0]) - 1
    outside = np.sum((inside / half) ** 2, axis=-1) > 1 + 1e-9
    return (FieldMap("B", tuple(near), field, "T"), FieldMap("variation", tuple(fine), np.where(outside, np.nan, ratio), "1"))
