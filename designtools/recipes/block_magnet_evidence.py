"""What a superconducting magnet is worth: field, certificate, loads, margins, protection, tolerances, fringe."""

from __future__ import annotations

import numpy as np

from designtools.materials.superconductors import surface_named
from designtools.quantities import coaxial
from designtools.quantities.quench import dump_time_constant, hot_spots
from designtools.quantities.scatter import Scatter, Tolerances, scatter
from designtools.quantities.stress import bonded_stress, free_turn_stress
from designtools.quantities.superconductor import Wire, block_margins
from designtools.quantities.winding_pack import conductor_length, inductance_matrix, layers, masses, turns, turns_per_layer
from designtools.recipes import magnet_correction as correction
from designtools.recipes import magnet_evidence as shared
from designtools.recipes.magnet_correction import corrections
from designtools.recipes.product import Evidence
from designtools.recipes.siting_evidence import siting_pieces
from designtools.result import Ball, Figure, Histogram, PlaneMap, Table
from designtools.sources.blocks import Blocks
from designtools.units import format

FACES, FINE = 161, 400  # places along each side of the pictures of the field and of the windings


def evidence(setting, solution, product, progress) -> Evidence:
    """Figures of the blocks on points that the optimiser never saw, and what a reader wants to see."""
    spec, source, region = setting.spec, product.source, shared.audit_region(setting.spec)
    site = siting_pieces(source, spec.siting, spec.frame.bore_axis, progress)
    found = solution.design.parts["windings"]
    wires = _wires(spec, found)
    spread = _scatter(setting, source)
    corrected = corrections(spec, source, spread, progress)
    figures = (
        shared.field_figures(setting, source, region) | _certificate_figures(solution, found) | _load_figures(source)
        | _wire_figures(spec, source, wires) | _scatter_figures(spread, spec) | correction.figures(corrected, spec.correction) | site.figures
    )  # fmt: skip
    audit = shared.compared(setting, product, region, _seen(setting)) | _certificate(solution, found) | correction.record(corrected, spec.correction) | site.audit
    plots = _plots(setting, solution, source, found, wires, spread, site.plots) | correction.tables(corrected, spec.correction)
    return Evidence(figures, audit, plots, shared.maps(setting, source), (*_implied(spec), *site.implied))


def _seen(setting) -> np.ndarray:
    """The places (P,3) m on the region's surface that the optimiser looked at, both halves of a symmetric magnet."""
    places = setting.task.places
    r, z = places.r[places.surface], places.z[places.surface]
    points = np.stack([r, 0 * r, z], axis=1)
    return np.concatenate([points, points * [1, 1, -1]]) if setting.spec.symmetric else points


def _wires(spec, found) -> tuple[Wire, ...]:
    """The wire of each block as it is wound, or nothing where the spec knows none."""
    kinds = [c.wire for c in spec.conductors]
    if None in kinds:
        return ()
    ready = [Wire(surface_named(w.material), w.width, w.height, w.metal_fraction, w.copper_ratio, w.rrr) for w in kinds]
    return tuple(ready[i] for i in found.of_blocks("conductor").astype(int))


# --- figures ----------------------------------------------------------------------------------------


def _certificate_figures(solution, found) -> dict[str, Figure]:
    words = "volume of the windings over the dual bound of the linear programme, less one: no coaxial blocks of these densities can be below it"
    return {
        "optimality_gap": Figure(float(solution.gap), "1", words, float(found.bound_error / found.bound)),
        "conductor_volume_bound": Figure(float(found.bound), "m^3", "Lagrange dual of the linear programme, in the continuum of rings", float(found.bound_error)),
    }


def _load_figures(source: Blocks) -> dict[str, Figure]:
    energy, coarse = float(coaxial.stored_energy(source)), float(coaxial.stored_energy(source, 8))
    free, bonded = (float(np.max(np.abs(np.asarray(f(source).hoop)))) for f in (free_turn_stress, bonded_stress))
    return {
        "conductor_volume": Figure(float(np.sum(source.volume())), "m^3", "sum of the sections"),
        "stored_energy": Figure(energy, "J", "half the integral of J·A over the sections", abs(energy - coarse)),
        "peak_field": Figure(float(np.max(coaxial.peak_field(source))), "T", "largest |B| in the sections, edges included"),
        "hoop_stress_max": Figure(free, "Pa", "J B r, every turn carrying its own load"),
        "hoop_stress_bonded": Figure(bonded, "Pa", "turns bonded into isotropic rings: radial equilibrium of each block"),
        "net_force": Figure(float(np.abs(coaxial.axial_force(source)).max()), "N", "largest axial force on one block in the field of all"),
        "axial_stress_max": Figure(float(np.abs(np.asarray(coaxial.axial_compression(source))).max()), "Pa", "axial force within a block over its section, each by itself"),
        "ampere_length": Figure(_ampere_length(source), "A·m", "ampere-turns times mean circumference"),
    }


def _ampere_length(source: Blocks) -> float:
    return float(np.abs(source.ampere_turns()) @ (np.pi * (np.asarray(source.inner_radius) + np.asarray(source.outer_radius))))


def _wire_figures(spec, source: Blocks, wires) -> dict[str, Figure]:
    """Margin, hot spot, wire and mass; nothing of the kind is known without a wire."""
    if not wires:
        return {}
    current = float(np.abs(source.current_density[0]) * wires[0].area)
    margins = block_margins(source, wires, spec.temperature)
    inductance = float(np.sum(inductance_matrix(source, wires)))
    outside = next((m.outside for m in margins if m.outside), "")
    hot, decay = _hot(spec, source, wires, current)
    mass = {name: float(np.sum(value)) for name, value in masses(source, wires).items()}
    worst = min(m.margin for m in margins)
    return {
        "operating_current": Figure(current, "A", "of the wire, the same in all blocks"),
        "critical_current_margin": Figure(worst, "1", f"OUTSIDE MODEL: {outside}" if outside else "1 - I/Ic on the load line at the worst point of all blocks"),
        "temperature_margin": Figure(min(m.temperature_margin for m in margins), "K", "to current sharing at the operating field"),
        "inductance": Figure(inductance, "H", "sum of the inductance matrix of the blocks in series"),
        "conductor_length": Figure(float(np.sum(conductor_length(source, wires))), "m", "volume over the insulated section of the wire"),
        "magnet_mass": Figure(sum(mass.values()), "kg", "superconductor, copper and insulation; without formers and cryostat"),
        "hot_spot_temperature": Figure(float(hot.max()), "K", f"adiabatic: full current for {format(spec.protection.detection_time, 's')}, then decay with {format(decay, 's')} L/R into the dump"),
        "dump_time_constant": Figure(decay, "s", "L I / V of the dump resistor"),
    }  # fmt: skip


def _hot(spec, source: Blocks, wires, current: float):
    """Hot spot (N,) K of each block, and the time constant of the dump (s)."""
    energy = float(coaxial.stored_energy(source))
    decay = float(dump_time_constant(energy, current, spec.protection.dump_voltage))
    return hot_spots(source, wires, coaxial.peak_field(source), spec.protection.detection_time, decay / 2, spec.temperature), decay


def _scatter(setting, source: Blocks) -> Scatter | None:
    """Homogeneity of magnets wound with errors; known for a ball about the origin."""
    spec = setting.spec
    if spec.tolerances is None or spec.region.shape != "ball" or any(spec.region.centre):
        return None
    t = spec.tolerances
    errors = Tolerances(axial=t.axial, radius=t.radius, ampere_turns=t.ampere_turns, lateral=t.lateral, tilt=t.tilt)
    return scatter(source, errors, spec.region.radius, samples=t.samples, seed=t.seed)


def _scatter_figures(spread: Scatter | None, spec) -> dict[str, Figure]:
    if spread is None:
        return {}
    words = f"of {spread.peak_to_peak.size} magnets wound with the errors of `tolerances`, before shimming"
    return {
        "homogeneity_pp_median_wound": Figure(spread.quantile(0.5), "1", f"median peak to peak {words}"),
        "homogeneity_pp_95_wound": Figure(spread.quantile(0.95), "1", f"peak to peak that 95 % keep {words}"),
    }


def _implied(spec) -> tuple[dict, ...]:
    """What the spec asks of the magnet besides its requirements; the strength is held as an equality, to a millionth."""
    rows = [("central_field", ">=", (1 - 1e-6) * spec.field.strength), ("homogeneity_pp", "<=", spec.field.homogeneity)]
    if spec.limits.hoop_stress:
        rows.append(("hoop_stress_max", "<=", spec.limits.hoop_stress))
    if spec.limits.load_line_margin:
        rows.append(("critical_current_margin", ">=", spec.limits.load_line_margin))
    if spec.limits.peak_field:
        rows.append(("peak_field", "<=", spec.limits.peak_field))
    return tuple({"quantity": q, "op": op, "limit": limit} for q, op, limit in rows)


def _certificate(solution, found) -> dict:
    return {
        "certificate": {
            "volume of the windings (m3)": float(found.conductor_volume()),
            "linear programme (m3)": float(found.volume),
            "lower bound (m3)": float(found.bound),
            "change of the bound on a grid twice as fine (m3)": float(found.bound_error),
            "windings over bound": float(1 + solution.gap),
        }
    }


# --- what the reader sees ---------------------------------------------------------------------------


def _plots(setting, solution, source: Blocks, found, wires, spread, siting) -> dict:
    spec, radius = setting.spec, max(setting.spec.region.half_widths)
    plots = {
        "region": Ball("region", tuple(spec.region.half_widths), tuple(spec.region.centre)),
        "windings": _blocks_drawn(source, spec),
        "section": _cross_section(source, found),
        "programme": _programme(found),
        "homogeneity": shared.homogeneity_map(setting, source, radius),
        "axis": shared.on_axis(setting, source, {"field.strength": spec.field.strength}),
    }
    tables = {"sections": shared.section_table(source), "loads": _load_table(source)}
    if wires:
        tables |= {"conductors": _conductor_table(spec, source, found, wires), "wire": _wire_table(source, wires), "margins": _margin_table(spec, source, wires)}
    tables["harmonics"] = shared.harmonic_table(source, spec.region)
    if spread is not None:
        tables |= {"scatter": _histogram(spread), "tolerances": _tolerance_table(spread)}
    return plots | siting | {"descent": shared.descent(solution)} | tables


def _blocks_drawn(source: Blocks, spec) -> PlaneMap:
    """The half plane (z, r) with every block coloured by the sign of its current and |B| in it."""
    reach = 1.05 * max(float(np.max(source.z_high)), -float(np.min(source.z_low)))
    z = np.linspace(-reach, reach, FINE)
    r = np.linspace(0.0, 1.05 * float(np.max(source.outer_radius)), FINE)
    sign = _signs(source, z, r)
    inside = np.nonzero(sign)
    points = np.stack([r[inside[1]], 0 * inside[0], z[inside[0]]], axis=1)
    values = np.full(sign.shape, np.nan)
    values[inside] = sign[inside] * np.linalg.norm(coaxial.field_on_circles(source, points), axis=1)
    top = float(np.nanmax(np.abs(values)))
    return PlaneMap(
        "Cross-section: blocks, signs of their currents, field on the winding", z, r, values, "T", label="|B|, reverse current negative", span=(-0.6 * top, 0.6 * top),
        x_label="along the bore", y_label="distance from the axis", outlines=tuple(line[:, ::-1] for line in _outlines(source)), diverging=True,
        circle=(float(spec.region.centre[2]), 0.0, max(spec.region.half_widths)),
        caption="Red blocks drive the main field, blue ones shield or correct it; the deeper the colour, the larger |B| there, up to six tenths of the peak. The dashed circle is the region.",
    )  # fmt: skip


def _signs(source: Blocks, z, r) -> np.ndarray:
    """Sign (len(z), len(r)) of the current at every place, relative to that of most ampere-turns; 0 outside the blocks."""
    turns = np.asarray(source.ampere_turns())
    forward = np.sign(turns.sum())
    sign = np.zeros((len(z), len(r)))
    for amperes, inner, outer, low, high in zip(turns, source.inner_radius, source.outer_radius, source.z_low, source.z_high):
        sign[np.ix_((z >= low) & (z <= high), (r >= inner) & (r <= outer))] = forward * np.sign(amperes)
    return sign


def _cross_section(source: Blocks, found) -> PlaneMap:
    """|B| over one half of the windings, with their outlines."""
    r = np.linspace(0.9 * float(np.min(source.inner_radius)), 1.05 * float(np.max(source.outer_radius)), FACES)
    reach = 1.05 * max(float(np.max(source.z_high)), -float(np.min(source.z_low)))
    z = np.linspace(-reach, reach, FACES)
    size = np.linalg.norm(shared.plane(source, r, z), axis=2)
    return PlaneMap(
        "Field about the windings", r, z, size, "T", label="|B|", x_label="distance from the axis", y_label="along the bore", outlines=_outlines(source),
        caption="Half of the section through the axis: |B| with the outlines of the windings.",
    )  # fmt: skip


def _outlines(source: Blocks) -> tuple[np.ndarray, ...]:
    rings = zip(*(np.asarray(v) for v in (source.inner_radius, source.outer_radius, source.z_low, source.z_high)))
    return tuple(np.array([[a, low], [b, low], [b, high], [a, high], [a, low]]) for a, b, low, high in rings)


def _programme(found) -> PlaneMap:
    """Where the linear programme puts conductor."""
    middle = lambda e: (np.asarray(e)[1:] + np.asarray(e)[:-1]) / 2
    inner, outer, low, high = np.asarray(found.sections()).T
    outlines = tuple(np.array([[a, c], [b, c], [b, d], [a, d], [a, c]]) for a, b, c, d in zip(inner, outer, low, high))
    return PlaneMap(
        "Where conductor pays", middle(found.r), middle(found.z), np.asarray(found.fill), "1", label="current density over its largest",
        x_label="distance from the axis", y_label="along the bore", outlines=outlines, diverging=True, span=(-1.0, 1.0),
        caption=f"The linear programme's answer, {format(float(found.volume), 'm^3')}, certified to be at least {format(float(found.bound), 'm^3')}; the blocks drawn over it.",
    )  # fmt: skip


def _load_table(source: Blocks) -> Table:
    free, bonded = (np.max(np.abs(np.asarray(f(source).hoop)), axis=(1, 2)) for f in (free_turn_stress, bonded_stress))
    radial = np.max(np.asarray(bonded_stress(source).radial), axis=(1, 2))
    values = [source.ampere_turns(), source.current_density, coaxial.peak_field(source), coaxial.axial_force(source), free, bonded, radial]
    columns = ("block", "ampere-turns", "current density", "peak field", "axial force", "hoop stress, free turns", "hoop stress, bonded", "radial stress")
    words = "Forces are positive along +z. A positive radial stress pulls the layers of a bonded winding apart."
    return Table("Loads of the blocks", columns, shared.rows(values, ("A", "A/m^2", "T", "N", "Pa", "Pa", "Pa")), words)


def _wire_table(source: Blocks, wires) -> Table:
    counts = np.rint([np.asarray(of(source, wires)) for of in (layers, turns_per_layer, turns)]).astype(int)
    rows = tuple((i + 1, *map(str, own), f"{length:.0f} m") for i, (own, length) in enumerate(zip(counts.T, np.asarray(conductor_length(source, wires)))))
    return Table("Turns", ("block", "layers", "turns per layer", "turns", "wire"), rows, "Whole numbers: what the winder counts.")


def _conductor_table(spec, source: Blocks, found, wires) -> Table:
    """What each conductor is used for, and how near it comes to its limits."""
    kind, names = found.of_blocks("conductor").astype(int), [c.name for c in spec.conductors]
    margins = block_margins(source, wires, spec.temperature)
    length, mass = np.asarray(conductor_length(source, wires)), sum(np.asarray(v) for v in masses(source, wires).values())
    density, rows = np.abs(np.asarray(source.current_density)), []
    for index, name in enumerate(names):
        own = np.flatnonzero(kind == index)
        if not own.size:
            rows.append((name, "none", *[""] * 6))
            continue
        worst, peak = min(margins[i].margin for i in own), max(margins[i].peak_field for i in own)
        numbers = (format(float(length[own].sum()), "m", 4), format(float(mass[own].sum()), "kg", 4), format(peak, "T", 4), f"{100 * worst:.1f} %")
        rows.append((name, ", ".join(str(i + 1) for i in own), spec.conductors[index].wire.material, format(float(density[own[0]]), "A/m^2", 4), *numbers))
    columns = ("conductor", "blocks", "material", "current density", "length", "mass", "peak field", "least margin")
    return Table("Conductors", columns, tuple(rows), "Each block is wound of the densest conductor that keeps its margin in the field on the block.")


def _margin_table(spec, source: Blocks, wires) -> Table:
    margins = block_margins(source, wires, spec.temperature)
    current = float(np.abs(source.current_density[0]) * wires[0].area)
    hot, _ = _hot(spec, source, wires, current)
    rows = tuple(
        (i + 1, format(m.peak_field, "T", 4), f"{100 * m.fraction:.1f} %", f"{100 * m.margin:.1f} %", format(m.temperature_margin, "K", 3), format(float(h), "K", 4), m.outside or "in the range of the fit")
        for i, (m, h) in enumerate(zip(margins, hot))
    )  # fmt: skip
    known = dict.fromkeys(f"{w.surface.name}, {w.surface.source}" for w in wires)
    columns = ("block", "peak field", "load line", "margin", "temperature margin", "hot spot", "critical surface")
    return Table("Margins of the blocks", columns, rows, f"Critical surfaces at {format(spec.temperature, 'K')}: {'; '.join(known)}.")


def _histogram(spread: Scatter) -> Histogram:
    edges = np.linspace(0, 1.05 * spread.peak_to_peak.max() * 1e6, 41)
    counts = {"as wound": np.histogram(spread.peak_to_peak * 1e6, edges)[0], "by the Jacobian": np.histogram(spread.linear * 1e6, edges)[0]}
    return Histogram("Homogeneity of magnets wound with errors", edges, counts, "ppm", caption="Peak to peak over the region before shimming, one count per magnet.")


def _tolerance_table(spread: Scatter) -> Table:
    rows = tuple((name, f"{100 * share.sum():.1f} %", f"{1e6 * spread.halved[name]:.4g} ppm") for name, share in spread.shares.items() if share.sum() > 0)
    words = f"Share of the mean square deviation, and the median peak to peak with that tolerance halved; nominal {1e6 * spread.nominal:.3g} ppm. Tighten {spread.dominant} first."
    return Table("Which tolerance to tighten", ("tolerance", "share", "median if halved"), rows, words)
