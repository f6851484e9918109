"""What the parts of a system do to each other: mutual inductance, induced voltage, force and torque."""

from __future__ import annotations

import itertools

import numpy as np

from designtools.fields import force, torque
from designtools.quantities import coupling
from designtools.recipes.system_found import Found, implied, together
from designtools.result import Figure, Matrix, Table
from designtools.sources.assembly import leaves
from designtools.units import format
from designtools.windings.spacing import Spacing, clear_gap

ELEMENTS = ("current_elements", "charge_elements", "dipole_elements")  # one of which a source has whose load can be told
WORDS = "points along the wires of one part in the exact potential of the other"


def couplings(setting, say) -> Found:
    """Interference of all circuits, and loads of every part in the field of every other."""
    say("mutual inductance and induced voltages")
    gaps = _gaps(setting)
    electric = _electric(setting, _linked(setting))
    say("force and torque of every part in the field of the others")
    return together([electric, _spaced(gaps), _mechanic(setting, {pair for pair, gap in gaps.items() if gap.distance <= 0})])


# --- space --------------------------------------------------------------------------------------------


def _gaps(setting) -> dict[tuple[str, str], Spacing]:
    """Least clear gap between the conductors of every two parts that are wound."""
    wound = [p for p in setting.pieces.values() if p.result.windings]
    return {(a.name, b.name): clear_gap(a.result.windings, b.result.windings) for a, b in itertools.combinations(wound, 2)}


def _spaced(gaps) -> Found:
    if not gaps:
        return Found()
    pair = min(gaps, key=lambda names: gaps[names].distance)
    least = gaps[pair]
    where = ", ".join(format(float(c), "m", 3) for c in least.where)
    words = f"between {pair[0]} ({least.roles[0]}) and {pair[1]} ({least.roles[1]}) at {where}: nearest points of the centrelines less the sections of both"
    rows = tuple((a, b, format(g.distance, "m"), f"{g.roles[0]} and {g.roles[1]}", ", ".join(format(float(c), "m", 3) for c in g.where)) for (a, b), g in gaps.items())
    table = Table("Clear gaps between conductors", ("of", "and", "least gap", "between", "at x, y, z"), rows, "A gap of more than two conductors is a lower bound. What is wound through another part must be moved: `winding.lead_angle` turns leads, links and seams.")
    return Found({"conductor_gap_min": Figure(least.distance, "m", words)}, {"gaps": table}, (implied("conductor_gap_min", ">=", 0.0, "conductors of different parts cannot share a place"),))


# --- circuits -----------------------------------------------------------------------------------------


def _linked(setting) -> dict[tuple[str, str], np.ndarray]:
    """(victim, aggressor) -> mutual inductance (A,B) H between all circuits of two parts."""
    with_circuits = [p for p in setting.pieces.values() if p.circuits is not None]
    found = {}
    for a, b in itertools.combinations(with_circuits, 2):
        matrix = coupling.mutual(a.circuits, b.circuits)
        found |= {(a.name, b.name): matrix, (b.name, a.name): matrix.T}
    return found


def _electric(setting, linked) -> Found:
    names = tuple(p.name for p in setting.pieces.values() if p.circuits is not None)
    if len(names) < 2:
        return Found()
    inductance, voltage, factor = (np.full((len(names), len(names)), np.nan) for _ in range(3))
    for i, victim in enumerate(names):
        for k, aggressor in enumerate(names):
            if i != k:
                inductance[i, k], voltage[i, k], factor[i, k] = _pair(setting, linked[victim, aggressor], victim, aggressor)
    figures = {
        "mutual_inductance_max": Figure(float(np.nanmax(inductance)), "H", f"largest of any two circuits of two parts; {WORDS}"),
        "induced_voltage_max": Figure(_largest(voltage), "V", _worst(voltage, names, "mutual inductance times the other's largest slew; ")),
        "coupling_max": Figure(_largest(factor), "1", "largest M/sqrt(L L) of circuits whose own inductance is known"),
    }  # fmt: skip
    for i, victim in enumerate(names):
        figures[f"{victim}.induced_voltage_max"] = Figure(_largest(voltage[i]), "V", "largest voltage that another part induces in one of its circuits at its slew")
    plots = {
        "interference": Matrix("Interference: voltage that each part induces in each other", names, voltage, "V", "Columns disturb rows: mutual inductance of the worst pair of circuits, times the largest slew of the column's current. Magnets hold theirs still; the columns of RF parts with an amplifier are at the Larmor frequency and their rms drive; in magnets and behind the RF shield that is outside this model."),
        "mutual": Matrix("Mutual inductance", names, inductance, "H", "Largest between any two circuits of two parts."),
        "interference_table": _table(names, inductance, voltage, factor),
    }  # fmt: skip
    audit = {"couplings": {f"{a} by {b}": {"mutual_inductance_H": float(np.abs(m).max()), "circuits": list(m.shape)} for (a, b), m in linked.items()}}
    return Found(figures, plots, (), audit)


def _pair(setting, matrix, victim: str, aggressor: str) -> tuple[float, float, float]:
    """Largest |M|, voltage and coupling factor of the circuits of two parts."""
    slew = setting.pieces[aggressor].slew
    own = [setting.pieces[name].figure("inductance") for name in (victim, aggressor)]
    largest = float(np.abs(matrix).max())
    outside = setting.pieces[aggressor].role == "rf" and _screened(setting, setting.pieces[victim])
    voltage = np.nan if slew is None or outside else float(np.abs(matrix * slew).max())
    return largest, voltage, largest / np.sqrt(own[0] * own[1]) if min(own) > 0 else np.nan


def _screened(setting, victim) -> bool:
    """Whether the RF shield stands between RF coils and a part, or the part is a magnet, whose winding is no single circuit at such frequencies."""
    if victim.role == "magnet" or setting.spec.rf_shield is None:
        return victim.role == "magnet"
    radius = next(l.radius for l in setting.spec.conductors if l.name == setting.spec.rf_shield)
    away = victim.circuits.points - np.outer(victim.circuits.points @ setting.bore, setting.bore)
    return float(np.linalg.norm(away, axis=1).min()) > radius


def _largest(values) -> float:
    return float(np.nanmax(values)) if np.isfinite(values).any() else np.nan


def _worst(voltage, names, words: str) -> str:
    if not np.isfinite(voltage).any():
        return f"{words}no part has a known slew; give it an amplifier"
    i, k = np.unravel_index(np.nanargmax(voltage), voltage.shape)
    return f"{words}in {names[i]} by {names[k]}; {WORDS}"


def _table(names, inductance, voltage, factor) -> Table:
    rows = []
    for i, k in itertools.permutations(range(len(names)), 2):
        cells = [format(m[i, k], unit) if np.isfinite(m[i, k]) else "not known" for m, unit in ((inductance, "H"), (voltage, "V"), (factor, "1"))]
        rows.append((names[i], names[k], *cells))
    return Table("Interference", ("in", "by", "mutual inductance", "induced voltage", "coupling factor"), tuple(rows), "Of the worst pair of circuits.")


# --- forces -------------------------------------------------------------------------------------------


def _mechanic(setting, touching) -> Found:
    """Loads on all parts that carry direct or switched current; those on a magnet are the reactions.

    Of parts that touch nothing is known: the field of a wire has no limit on another that runs through it.
    """
    driven = [p for p in setting.pieces.values() if p.source is not None and p.role in ("gradient", "shim", "magnet")]
    if len(driven) < 2:
        return Found()
    names = tuple(p.name for p in driven)
    push, twist = (np.zeros((len(names), len(names), 3)) for _ in range(2))
    for i, k in itertools.combinations(range(len(names)), 2):
        (f, t), sign, known = _between(driven[i], driven[k])
        push[i, k], push[k, i] = sign * f, -sign * f
        twist[i, k], twist[k, i] = sign * t, -sign * t
        if not known or (names[i], names[k]) in touching:
            push[i, k] = push[k, i] = twist[i, k] = twist[k, i] = np.nan
    met = [name for pair in touching for name in pair]
    return _loads(names, push, twist, np.isin(names, met))


def _between(a, b):
    """Force and torque on the first in the field of the second, or with sign -1 the other way round; whether either can be told."""
    for on, by, sign in ((a, b, 1.0), (b, a, -1.0)):
        points, flow = coupling.elements(on.source)
        if on.role == "magnet" and a.role != b.role or not _all(on.source, *ELEMENTS):
            continue
        if len(points) and _all(on.source, "current_elements"):
            return coupling.load(points, flow, by.source), sign, True
        return (np.asarray(force(on.source, by.source)), np.asarray(torque(on.source, by.source))), sign, True
    return (np.zeros(3), np.zeros(3)), 1.0, False


def _all(source, *names: str) -> bool:
    """Whether every leaf of a source has one of the attributes."""
    return all(any(hasattr(leaf, name) for name in names) for leaf in leaves(source))


def _loads(names, push, twist, touched) -> Found:
    """Figures and matrices; not a number for parts that touch another, or whose load by another cannot be told."""
    total_push, total_twist = (np.where(touched[:, None], np.nan, v.sum(axis=1)) for v in (push, twist))
    words = "at operating currents, in the exact field of all other parts with its fringe; wires as points"
    figures = {}
    for name, f, t in zip(names, total_push, total_twist):
        figures[f"{name}.net_force"] = Figure(float(np.linalg.norm(f)), "N", f"sum of I dl x B {words}")
        figures[f"{name}.torque"] = Figure(float(np.linalg.norm(t)), "N·m", f"sum of r x (I dl x B) about the isocentre, {words}")
    size = lambda v: np.where(np.eye(len(names), dtype=bool), np.nan, np.linalg.norm(v, axis=2))
    figures |= {
        "net_force": Figure(float(np.linalg.norm(total_push, axis=1).max()), "N", f"largest on any part, {words}"),
        "torque": Figure(float(np.linalg.norm(total_twist, axis=1).max()), "N·m", f"largest on any part about the isocentre, {words}"),
    }
    vector = lambda v, unit: ", ".join(format(float(c), unit, 3) for c in v)
    rows = tuple((n, vector(f, "N"), vector(t, "N·m")) for n, f, t in zip(names, total_push, total_twist))
    plots = {
        "forces": Matrix("Force on each part in the field of each other", names, size(push), "N", "At operating currents; what acts on a magnet is the reaction."),
        "torques": Matrix("Torque on each part in the field of each other", names, size(twist), "N·m", "About the isocentre."),
        "loads": Table("Forces and torques", ("part", "force x, y, z", "torque x, y, z"), rows, "Sums over all other parts, about the isocentre."),
    }
    return Found(figures, plots)
