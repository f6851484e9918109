"""Mass, power, heat, cost and space of a system: sums of what the parts say and what the spec states."""

from __future__ import annotations

import math

import numpy as np

from designtools.recipes.system_found import Found, implied
from designtools.result import Figure, Section, Sections, Table
from designtools.sources import Blocks, Magnets
from designtools.sources.assembly import leaves
from designtools.spec.gradient import MATERIALS
from designtools.spec.system import ROUNDING
from designtools.spec.system_stack import left_over, stacked_up
from designtools.units import format, parse

MASSES = ("magnet_mass", "conductor_mass", "shim_iron_mass")
COPPER = MATERIALS["copper"].density  # kg/m3
POWERS = ("dissipated_power", "power")


# --- mass -----------------------------------------------------------------------------------------------


def masses(setting) -> Found:
    """What the parts' figures, or else their windings, amplifiers and items weigh; the total is not known where a part is not."""
    rows = [(p.name, *_mass(p)) for p in setting.pieces.values()]
    rows += [(a.name, a.mass, "spec") for a in setting.spec.amplifiers if a.mass]
    rows += [(i.name if i.count == 1 else f"{i.count} x {i.name}", i.count * i.mass, "spec") for i in setting.spec.items if i.mass]
    total = float(np.sum([mass for _, mass, _ in rows]))
    words = "magnets and conductors by their figures, other windings as copper of their section, amplifiers and items by the spec; supports that no item states are not in it"
    unknown = [name for name, mass, _ in rows if not np.isfinite(mass)]
    words += f"; not known of {', '.join(unknown)}" if unknown else ""
    table = tuple((name, format(mass, "kg") if np.isfinite(mass) else "not known", how) for name, mass, how in rows)
    return Found({"total_mass": Figure(total, "kg", words)}, {"masses": Table("Mass", ("what", "mass", "from"), (*table, ("total", format(total, "kg") if np.isfinite(total) else "not known", "")))})


def _mass(piece) -> tuple[float, str]:
    """Mass (kg) of a part, and where it is from."""
    known = [piece.figure(n) for n in MASSES if np.isfinite(piece.figure(n))]
    if known:
        return math.fsum(known), "figures of the part"
    if piece.result.windings:
        return math.fsum(w.length * w.width * w.thickness for w in piece.result.windings) * COPPER, "windings, as copper"
    return math.nan, "not known"


# --- power and heat -------------------------------------------------------------------------------------


def powers(setting, heat_of_layers) -> Found:
    """Power taken, heat made, and how far the coolants can take it away."""
    own = {p.name: _power(p, _drivers(setting, p.name)) for p in setting.pieces.values()}
    heat = {name: watts for name, watts in own.items() if watts} | dict(heat_of_layers)
    taken, rows = [], []
    for name, watts in own.items():
        drivers = _drivers(setting, name)
        drawn = watts / drivers[0].efficiency + math.fsum(a.standby for a in drivers) if drivers else watts
        taken.append(drawn)
        if drivers:
            heat[" and ".join(a.name for a in drivers)] = drawn - watts
        rows.append((name, _watts(watts), ", ".join(a.name for a in drivers) or "none", _watts(drawn)))
    for what, watts, drawn in (*_switched(setting, heat_of_layers), *((i.name, 0.0, i.count * i.power) for i in setting.spec.items if i.power)):
        taken.append(drawn)
        heat[what] = drawn - watts
        rows.append((what, _watts(watts) if watts else "", "", _watts(drawn)))
    words = "mean heat of the parts and, by their currents, of the layers, at their duty over the efficiency of the amplifiers; standby; items by the spec"
    figures = {
        "total_power": Figure(float(np.sum(taken)), "W", words),
        "total_heat": Figure(float(np.sum(list(heat.values()))), "W", "parts at their duty, conducting layers, amplifiers, items: all power ends as heat"),
    }  # fmt: skip
    columns = ("part", "mean heat in the part", "driven by", "power taken")
    plots = {
        "powers": Table("Power", columns, (*rows, ("total", "", "", _watts(figures["total_power"].value)))),
        "heat": Table("Heat", ("where", "heat", "taken by"), tuple((n, _watts(w), _coolant(setting, n)) for n, w in heat.items()), "Layers: at switching.frequency and the parts' duty."),
    }
    cooled = _cooled(setting, heat)
    return Found(figures | dict(cooled.figures), plots | dict(cooled.plots), cooled.implied, {}, heat)


def _drivers(setting, part: str) -> list:
    return [a for a in setting.spec.amplifiers if a.drives == part]


def _watts(value: float) -> str:
    return format(value, "W") if np.isfinite(value) else "not known"


def _coolant(setting, name: str) -> str:
    return next((c.name for c in setting.spec.cooling if name in c.takes), "air")


def _switched(setting, heat_of_layers):
    """What amplifiers of gradients give to the layers: name, heat there, power taken."""
    efficiency = [a.efficiency for a in setting.spec.amplifiers if setting.pieces[a.drives].role in ("gradient", "shim")]
    if heat_of_layers:
        watts = float(np.sum(list(heat_of_layers.values())))
        yield "amplifiers, for the currents in the layers", watts, watts / (min(efficiency) if efficiency else 1.0)


def _power(piece, drivers) -> float:
    """Mean power (W) in a part: of a coil at its operating current times its duty; of RF with an amplifier the losses at its drive.

    None in magnets, whose current persists, and in RF coils that only receive; not a number where nothing is known.
    """
    if piece.role == "rf":
        losses = piece.result.audit.get("losses_W", {})
        return piece.part.duty * float(sum(losses.values())) if drivers and losses else math.nan if drivers else 0.0
    known = [piece.figure(n) for n in POWERS if np.isfinite(piece.figure(n))]
    return piece.part.duty * known[0] if known else 0.0 if piece.role in ("magnet", "camera", "") else math.nan


def _cooled(setting, heat) -> Found:
    figures, rows, asked = {}, [], []
    for cooling in setting.spec.cooling:
        load = float(np.sum([heat.get(name, 0.0) for name in cooling.takes]))
        rows.append((cooling.name, ", ".join(cooling.takes), format(load, "W"), format(cooling.capacity, "W"), f"{load / cooling.capacity:.1%}"))
        figures[cooling.name] = load / cooling.capacity
    if not rows:
        return Found()
    worst = max(figures, key=figures.get)
    asked.append(implied("cooling_load_max", "<=", 1.0, "cooling of this spec"))
    worst = next((name for name in figures if np.isnan(figures[name])), worst)
    figure = Figure(figures[worst], "1", f"heat of what is switched over capacity, largest: {worst}; static loads of a cryostat are to be taken off its capacity")
    return Found({"cooling_load_max": figure}, {"cooling": Table("Cooling", ("coolant", "takes the heat of", "heat", "capacity", "share"), tuple(rows))}, tuple(asked))


# --- cost -----------------------------------------------------------------------------------------------


def costs(setting) -> Found:
    """What the spec gives a price: figures of parts by the unit, amplifiers, items; nothing else."""
    spec, rows = setting.spec, []
    for price in spec.prices:
        amount = setting.pieces[price.part].figure(price.figure) / parse(f"1 {price.per}", "any")
        rows.append((f"{price.part}: {price.figure.replace('_', ' ')}", f"{amount:.4g} {price.per}", f"{price.price:g} / {price.per}", amount * price.price))
    rows += [(a.name, "1", f"{a.price:g}", a.price) for a in spec.amplifiers if a.price]
    rows += [(i.name, str(i.count), f"{i.price:g}", i.count * i.price) for i in spec.items if i.price]
    if not rows:
        return Found()
    known = [cost for *_, cost in rows if np.isfinite(cost)]
    total = math.fsum(known) if len(known) == len(rows) else math.nan
    words = f"in {spec.currency}: amounts of the design times the unit prices of the spec; what has no price there is left out"
    cells = tuple((what, amount, price, f"{cost:.0f} {spec.currency}" if np.isfinite(cost) else "not known") for what, amount, price, cost in rows)
    table = Table("Cost", ("what", "amount", f"unit price in {spec.currency}", "cost"), (*cells, ("total", "", "", f"{total:.0f} {spec.currency}")), "Unit prices are those of the spec.")
    return Found({"total_cost": Figure(total, spec.currency, words)}, {"costs": table})


# --- space ----------------------------------------------------------------------------------------------


def stack(setting) -> Found:
    """The radial build: what clearances leave with the tolerances, and its drawing."""
    layers = setting.spec.stack
    if not layers:
        return Found()
    gaps = left_over(layers)
    rows = tuple((layers[g.inner].name, layers[g.outer].name, *(format(v, "m") for v in (g.clearance, g.nominal, g.worst, g.likely)), _sentence(g)) for g in gaps)
    columns = ("layer", "next outside", "clearance", "left as drawn", "left at worst", "left, root sum square", "verdict")
    build = sorted(layers, key=lambda l: l.inner_radius)
    _, outer, spread = stacked_up([l.outer_radius - l.inner_radius for l in build], [l.tolerance for l in build])
    figures = {
        "stack_outer_worst": Figure(build[0].inner_radius + outer, "m", f"if every layer sat on the one before, thicknesses and tolerances added; root sum square of the tolerances {format(spread, 'm')}"),
    }  # fmt: skip
    asked = ()
    if gaps:
        figures |= {
            "stack_gap_worst": Figure(_rounded(min(g.worst for g in gaps)), "m", "least over all neighbours: gap less clearance less both tolerances"),
            "stack_gap_rss": Figure(_rounded(min(g.likely for g in gaps)), "m", "the same less the root sum square of both tolerances"),
        }
        asked = (implied("stack_gap_worst", ">=", 0.0, "stack of this spec"), implied("stack_gap_rss", ">=", 0.0, "stack of this spec"))
    within = _within(setting)
    tables = {"stack_table": Table("Radial build", columns, rows, "What is left beyond the clearances; a negative number overlaps.")}
    return Found(figures | dict(within.figures), {"stack": _drawing(setting)} | tables | dict(within.plots), asked + within.implied)


def _within(setting) -> Found:
    """Whether every part, as designed, stays within the layers that it owns."""
    axis = np.asarray(setting.spec.frame.bore_axis, float)
    rows, excess = [], {}
    for piece in setting.pieces.values():
        own = [layer for layer in setting.spec.stack if layer.owner == piece.name]
        solid = own and piece.source is not None and piece.role in ("magnet", "gradient")
        span = _span(piece, axis) if solid else None
        if span is None:
            continue
        low, high = min(l.inner_radius for l in own), max(l.outer_radius for l in own)
        excess[piece.name] = max(low - span[0], span[1] - high)
        rows.append((piece.name, *(format(v, "m") for v in (*span, low, high)), "within" if excess[piece.name] <= ROUNDING else f"{format(excess[piece.name], 'm')} beyond"))
    if not excess:
        return Found()
    worst = max(excess, key=excess.get)
    figure = Figure(_rounded(excess[worst]), "m", f"how far a part as designed reaches beyond the layers that it owns, largest: {worst}; negative: room left; loops of shims are bent to their layer and RF coils drawn without supports: neither is counted")
    columns = ("part", "from", "to", "its layers from", "to", "verdict")
    asked = (implied("stack_excess_max", "<=", 0.0, "stack of this spec"),)
    return Found({"stack_excess_max": figure}, {"within": Table("Parts in their layers", columns, tuple(rows), "Distances of conductors and magnets from the axis, as designed.")}, asked)


def _span(piece, axis):
    """Least and largest distance (m) of anything solid of a part from the axis, or None where it has no solid of its own."""
    radius = lambda points: np.linalg.norm(points - np.outer(points @ axis, axis), axis=1)
    spans = [(radius(t.points) + sign * w.thickness / 2) for w in piece.result.windings for t in w.tracks for sign in (-1, 1)]
    for leaf in leaves(piece.source) if not spans else ():
        if isinstance(leaf, Magnets):
            spans += [radius(np.asarray(leaf.centre)) + sign * np.sort(np.asarray(leaf.size), axis=1)[:, :2].max(axis=1) / np.sqrt(2) for sign in (-1, 1)]
        elif isinstance(leaf, Blocks):
            spans += [np.asarray(leaf.inner_radius), np.asarray(leaf.outer_radius)]
    return (float(min(s.min() for s in spans)), float(max(s.max() for s in spans))) if spans else None


def _rounded(metres: float) -> float:
    """To nanometres: sums of lengths err by less."""
    return round(metres / ROUNDING) * ROUNDING


def _sentence(gap) -> str:
    if gap.worst >= -ROUNDING:
        return "fits at worst"
    return f"fits as a rule, but lacks {format(-gap.worst, 'm')} when both tolerances are against it"


def _drawing(setting) -> Sections:
    spec = setting.spec
    sections = [Section(l.name, (l.centre - l.length / 2, l.centre + l.length / 2), (l.inner_radius, l.outer_radius), l.owner or l.name) for l in spec.stack]
    marks = [("region", max(spec.region.half_widths), max(spec.region.half_widths))]
    marks += [(c.name, c.length / 2, c.radius) for c in spec.conductors]
    return Sections("Stack: half section through the axis", tuple(sections), tuple(marks), "Coloured by owner; dashed: conducting layers and the region. Across the bore on a scale of its own.")
