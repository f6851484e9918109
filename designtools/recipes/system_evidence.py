"""What a system is worth: couplings, budgets, its site, and every requirement with its source."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np

from designtools.recipes.product import Evidence
from designtools.recipes.system import listed
from designtools.recipes.system_budget import costs, masses, powers, stack
from designtools.recipes.system_couplings import couplings
from designtools.recipes.system_eddies import eddies
from designtools.recipes.system_fields import around, encoding
from designtools.recipes.system_found import Found, implied, together
from designtools.result import OUTSIDE_MODEL, Ball, Figure, Scene, Table
from designtools.units import format, parse


def evidence(setting, product, progress) -> Evidence:
    """Figures of the system and of its parts, tables and drawings; where both know one, that of the system counts."""
    say = progress or (lambda sentence: None)
    layers = eddies(setting, say)
    found = together([
        stack(setting), masses(setting), costs(setting), powers(setting, layers.heat), couplings(setting, say), layers,
        encoding(setting, say), shims(setting), around(setting, say), driven(setting), joint(setting),
    ])  # fmt: skip
    own = {f"{p.name}.{name}": _seen_here(setting, p, name, figure) for p in setting.pieces.values() for name, figure in p.result.figures.items()}
    rows = _parts_rows(setting) + found.implied
    wanted = {rule.quantity for rule in setting.spec.requirements} | {row["quantity"] for row in rows}
    figures = {name: figure for name, figure in own.items() if name in wanted} | dict(found.figures)
    plots = {"scene": _scene(setting), "region": _region(setting), "parts": _parts_table(setting), "sources": _sources(setting)}
    return Evidence(figures, _audit(setting, found), plots | dict(found.plots), (), rows)


BY_SCREEN = ("b1", "sar", "snr", "g_factor", "power")  # beginnings of figures of RF coils that a shield about them changes


def _seen_here(setting, piece, name: str, figure: Figure) -> Figure:
    """A figure of a part; of an RF coil designed without the shield that stands about it, outside of what was modelled."""
    bare = piece.role == "rf" and setting.spec.rf_shield is not None and not piece.result.spec.get("shield")
    if not bare or not name.startswith(BY_SCREEN):
        return figure
    return replace(figure, method=f"{figure.method}; {OUTSIDE_MODEL}: without the RF shield; try `shield` in the spec of {piece.name}")


def _parts_rows(setting) -> tuple[dict, ...]:
    """What the spec of every part asks of it."""
    return tuple(
        implied(f"{piece.name}.{row['quantity']}", row["op"], row["limit"], f"spec of {piece.name}")
        for piece in setting.pieces.values() for row in piece.result.requirements
    )  # fmt: skip


def _audit(setting, found: Found) -> dict:
    parts = {
        piece.name: {
            "kind": piece.result.kind, "status": piece.result.status, "fingerprint": piece.result.provenance.get("spec_fingerprint", ""),
            "design time (s)": float(sum(v for k, v in piece.result.timing_s.items())),
        }
        for piece in setting.pieces.values()
    }  # fmt: skip
    return {"statement": "design estimate, not conformity evidence", "parts": parts, **found.audit}


# --- shims and drives -----------------------------------------------------------------------------------


def shims(setting) -> Found:
    """How much of their currents the shims need, and what they leave."""
    figures, rows = {}, []
    for piece in setting.of("shim"):
        duty, left = piece.figure("current_share_max"), piece.figure("b0_std_shimmed")
        method = piece.result.figures["b0_std_shimmed"].method if "b0_std_shimmed" in piece.result.figures else ""
        figures[f"{piece.name}.shim_duty"] = Figure(duty, "1", f"largest of any channel: current over what it may carry, after the map that its spec names; left: {method}")
        rows.append((piece.name, format(piece.figure("b0_std_unshimmed"), "Hz"), format(left, "Hz"), format(duty, "1") if np.isfinite(duty) else "not known", format(piece.figure("power"), "W")))
    if not rows:
        return Found()
    worst = float(np.max([f.value for f in figures.values()]))
    figures["shim_duty"] = Figure(worst, "1", "largest current of any shim channel over its limit")
    return Found(figures, {"shims": Table("Shims", ("shim", "field map, standard deviation", "after shimming", "largest share of the current", "power"), tuple(rows), "The map is that of the part's spec; `= magnet.map` is one magnet built with errors.")})


def driven(setting) -> Found:
    """Currents of the parts against those of their amplifiers, and the voltage that a part counts on against theirs."""
    figures, rows = {}, []
    for amplifier in setting.spec.amplifiers:
        piece = setting.pieces[amplifier.drives]
        if amplifier.current is not None:
            figures[f"{piece.name}.amplifier_current"] = _wanted_current(setting, piece)
            rows.append(implied(f"{piece.name}.amplifier_current", "<=", amplifier.current, f"amplifier {amplifier.name}"))
        wanted = (piece.result.spec.get("amplifier") or {}).get("voltage")
        if amplifier.voltage is not None and wanted is not None:
            figures[f"{piece.name}.amplifier_voltage"] = Figure(parse(wanted, "voltage"), "V", "voltage for which its slew rate is stated, of its own spec")
            rows.append(implied(f"{piece.name}.amplifier_voltage", "<=", amplifier.voltage, f"amplifier {amplifier.name}"))
    return Found(figures, {}, tuple(rows))


def _wanted_current(setting, piece) -> Figure:
    """What a part asks of its amplifier (A), and what shims ask of it besides; not a number where its current is not known."""
    if piece.role == "rf":
        drive = [pair[0] for pair in piece.result.audit.get("drive_A", {}).values()]
        return Figure(max(drive, default=np.nan), "A", "largest amplitude at a port of the coil")
    if piece.role == "shim":
        lent = {Path(folder).name for folder in _borrowed(piece)}
        own = [value for name, value in piece.result.audit.get("largest_A", {}).items() if name not in lent]
        return Figure(max(own, default=np.nan), "A", "largest current of a channel of its own")
    added = sum(shim.result.audit.get("largest_A", {}).get(Path(f).name, np.nan) for shim in setting.of("shim") for f in _borrowed(shim) if Path(f).resolve() == piece.folder.resolve())
    return Figure(piece.figure("operating_current") + added, "A", "operating current" + (f", and {format(added, 'A')} by which a shim uses the coil" if added else ""))


def _borrowed(shim) -> list[str]:
    """Result folders of finished coils that are channels of a shim."""
    return [folder for s in listed(shim.result.spec.get("coils", ())) for folder in s.get("folders") or ()]


def joint(setting) -> Found:
    """What was found for the shared values, against the values as given."""
    search = setting.search
    if not search:
        return Found()
    separate, best = search["separate"], search["joint"]
    count = len(search["history"])
    figures = {
        "joint_objective": Figure(best, "1", f"sum of joint.minimise over its scales, the best of {count} designs of the whole"),
        "joint_objective_separate": Figure(separate, "1", "the same at the values of `shared` as given"),
        "joint_gain": Figure(1 - best / separate, "1", "share by which the joint optimum is smaller"),
    }
    names = list(search["history"][0])
    rows = tuple(tuple("does not count" if not math.isfinite(row["objective"]) else f"{row[n]:.6g}" for n in names) for row in search["history"])
    table = Table("Joint search", tuple(names), rows, "Every trial designs all parts that the values touch; SI units, terms over their scales; what has no design, or misses what a part in the first row kept, does not count. The first row is the spec as given.")
    return Found(figures, {"joint": table}, (), {"joint": {"shared": search["shared"]}})


# --- what the reader sees -------------------------------------------------------------------------------


def _scene(setting) -> Scene:
    return Scene("The scanner", {piece.name: piece.result for piece in setting.pieces.values()}, "Every part is one entry of the legend.")


def _region(setting) -> Ball:
    return Ball("region", tuple(setting.spec.region.half_widths), tuple(setting.spec.region.centre))


def _parts_table(setting) -> Table:
    rows = []
    for piece in setting.pieces.values():
        met = sum(row["status"] == "MET" for row in piece.result.requirements)
        rows.append((piece.name, piece.role, piece.result.kind, piece.result.name, piece.result.status, f"{met} of {len(piece.result.requirements)}", f"parts/{piece.name}"))
    columns = ("part", "role", "kind", "design", "status", "its requirements met", "folder")
    return Table("Parts", columns, tuple(rows), "Each is a whole result folder of its own, with report and CAD.")


def _sources(setting) -> Table:
    """The requirements that the spec states, by source."""
    rows = tuple(
        (rule.quantity.replace("_", " "), f"{rule.op} {rule.limit:.6g}", rule.source or "this spec", rule.edition or "not stated")
        for rule in setting.spec.requirements
    )
    return Table("Sources of the requirements", ("quantity", "limit in SI", "source", "edition"), rows, "Design estimate, not conformity evidence.")
