"""Systems: parts that other recipes designed, brought together in one model; their couplings and the whole's requirements."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from designtools.problem import Design
from designtools.quantities.coupling import Circuits, circuits, single_loops
from designtools.recipes.product import Product, Recipe
from designtools.recipes.system_parts import finished
from designtools.result import Result, load
from designtools.solve.solution import Solution, Status
from designtools.sources import Assembly, Blocks, Filaments, Loops
from designtools.sources.assembly import leaves
from designtools.spec import fingerprint
from designtools.spec.system import ROLES

FORMATS = ("glb", "siting")  # what the whole is written as; every part has its own files


@dataclass(frozen=True)
class Piece:
    """One finished part: its result, what it is to the scanner, and its circuits (None where it has none).

    slew (C,) A/s: how fast its currents change, largest; None where nothing drives it.
    """

    name: str
    role: str
    part: Any
    result: Result
    folder: Path
    circuits: Circuits | None
    slew: np.ndarray | None

    @property
    def source(self):
        """What of the part makes a field, at its operating current; None where nothing does."""
        return self.result.source if self.result.source is not None and leaves(self.result.source) else None

    def figure(self, name: str) -> float:
        """Value of a figure of the part, not-a-number where it has none."""
        return float(self.result.figures[name].value) if name in self.result.figures else np.nan


@dataclass(frozen=True)
class Setting:
    """The parts by name, and how the shared values were found."""

    spec: Any
    pieces: Mapping[str, Piece]
    search: Mapping[str, Any]

    @property
    def b0(self) -> np.ndarray:
        return np.asarray(self.spec.frame.b0_axis, float)

    @property
    def bore(self) -> np.ndarray:
        return np.asarray(self.spec.frame.bore_axis, float)

    def of(self, *roles: str) -> list[Piece]:
        """The parts of one of several roles."""
        return [piece for piece in self.pieces.values() if piece.role in roles]

    def magnet(self):
        """The field of all parts that make the main field, or None."""
        sources = [piece.source for piece in self.of("magnet") if piece.source is not None]
        return Assembly(sources) if sources else None


# --- the parts as circuits ----------------------------------------------------------------------------


def prepare(spec, made) -> Setting:
    """The finished parts, read back from their folders; `made` is what `finished` returned."""
    spec, folders, search = made
    return Setting(spec, {name: _piece(name, spec, folders[name]) for name in spec.parts}, search)


def _piece(name: str, spec, folder: Path) -> Piece:
    result = load(folder)
    part, role = spec.parts[name], spec.parts[name].role or ROLES.get(result.kind, "")
    made = _CIRCUITS[role](result) if role in _CIRCUITS and result.source is not None else None
    amplifier = next((a for a in spec.amplifiers if a.drives == name), None)
    return Piece(name, role, part, result, folder, made, None if made is None else _slew(role, result, made, amplifier))


def _gradient_circuits(result: Result) -> Circuits | None:
    if result.windings:
        return circuits([result.source], [result.windings[0].current])
    return _loop_circuits(result)


def _loop_circuits(result: Result) -> Circuits | None:
    """Every loop of a shim, with its turns, as a circuit of its own."""
    sets = [s for s in listed(result.spec.get("coils", ())) if "loop_radius" in s or "loops" in s or "radius" in s]
    loops = [leaf for leaf in leaves(result.source) if isinstance(leaf, Loops)]
    turns = [int(s.get("turns", 1)) for s in sets] + [1] * len(loops)
    each = [loop for leaf, count in zip(loops, turns) for loop in single_loops(leaf, count)]
    return circuits(each, np.ones(len(each))) if each else None


def listed(value) -> list:
    """A list, or one thing in a list."""
    return [value] if isinstance(value, Mapping) else list(value)


def _channel_circuits(result: Result) -> Circuits | None:
    """Every channel of an RF coil; without what it induces in its own shield, which follows it in the source."""
    wires = [leaf for leaf in leaves(result.source) if isinstance(leaf, Filaments)]
    wires = wires[::2] if result.spec.get("shield") else wires
    return circuits(wires, np.ones(len(wires))) if wires else None


def _magnet_circuits(result: Result) -> Circuits | None:
    """A magnet whose blocks are in series at its operating current."""
    current = result.figures.get("operating_current")
    wound = all(isinstance(leaf, Blocks) for leaf in leaves(result.source))
    return circuits([result.source], [current.value]) if wound and current else None


_CIRCUITS = {"gradient": _gradient_circuits, "shim": _loop_circuits, "rf": _channel_circuits, "magnet": _magnet_circuits}


def _slew(role: str, result: Result, made: Circuits, amplifier) -> np.ndarray | None:
    """Largest rate of the currents: of a gradient at its slew rate, else voltage over inductance; of RF with an amplifier at its drive."""
    value = lambda name: float(result.figures[name].value) if name in result.figures else np.nan
    if role == "gradient" and value("slew_rate") > 0:
        return np.full(len(made), value("slew_rate") / value("efficiency"))
    if role in ("gradient", "shim") and amplifier is not None and amplifier.voltage and value("inductance") > 0:
        return np.full(len(made), amplifier.voltage / value("inductance"))
    if role == "rf" and amplifier is not None and "drive_A" in result.audit:
        drive = np.array([pair[0] for pair in result.audit["drive_A"].values()])
        return 2 * np.pi * result.audit["frequency_Hz"] * drive
    return None


# --- hops ---------------------------------------------------------------------------------------------


def start(setting: Setting) -> Design:
    """All parts as they are."""
    return Design({name: piece.source for name, piece in setting.pieces.items() if piece.source is not None}, fingerprint(setting.spec))


def solve(setting: Setting, progress=None) -> Solution:
    """Nothing is left free once the parts and the shared values are found."""
    best = float(setting.search.get("joint", 0.0))
    status = Status.CONVERGED if setting.search else Status.OPTIMAL
    return Solution(start(setting), status, np.zeros(0), best, {}, {}, history=tuple(setting.search.get("history", ())))


def wind(setting: Setting, solution: Solution) -> Product:
    """All parts together: windings under the names of their parts, everything else as sources."""
    windings, others = [], []
    for piece in setting.pieces.values():
        own = [replace(w, name=f"{piece.name} {w.name}") for w in piece.result.windings]
        windings += own
        others += [w.filaments() for w in own] if own else leaves(piece.source) if piece.source is not None else []
    return Product(Assembly(others), windings=tuple(windings), parts={name: piece.folder for name, piece in setting.pieces.items()})


def relax(setting: Setting, solution: Solution) -> str:
    """Nothing here can be infeasible: a part without a design ends before."""
    return "all parts have a design"


def evidence(setting: Setting, solution: Solution, product: Product, progress):
    """Couplings, budgets, siting; see `system_evidence`."""
    from designtools.recipes.system_evidence import evidence as assess

    return assess(setting, product, progress)


RECIPE = Recipe(prepare, start, solve, wind, evidence, relax, finished, FORMATS)
