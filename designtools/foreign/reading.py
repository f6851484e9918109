"""What reading a foreign file gives, and the rules that all readers share: units, sizes, wires."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from designtools.sources import Filaments
from designtools.units import UnitError, parse

SMALLEST, LARGEST = 0.002, 3.0  # m from the origin; a coil whose unit nobody states reaches as far
TOO_LARGE = 50.0  # m; no winding of a scanner reaches as far, whatever its unit is said to be


class UnreadableWinding(ValueError):
    """A file from which no winding can be read; the message is one sentence."""


@dataclass(frozen=True)
class Reading:
    """A source, and what was taken for granted in reading it (one sentence)."""

    source: Any
    note: str


@dataclass(frozen=True)
class Unit:
    """Metres per unit of length, its name, and who says so."""

    metre: float
    name: str
    said_by: str = ""  # empty: nobody, it is the custom of the format

    def words(self) -> str:
        """For the note."""
        return f"lengths in {self.name}, {f'as {self.said_by} says' if self.said_by else 'as nothing in the file says otherwise'}"


def unit_of(path: Path, option: str | None, stated: str | None, custom: str | None) -> Unit:
    """The unit of lengths: that of --unit, else the one stated in the file, else the custom of its kind.

    Raises UnreadableWinding where there is none of these.
    """
    name, said_by = (option, "--unit") if option else (stated, "the file") if stated else (custom, "")
    if name is None:
        raise UnreadableWinding(f"'{path}': the unit of lengths must be known, but the file does not state it; give it, such as --unit mm")
    name = re.split(r"[,\s]", name.strip())[0]
    try:
        return Unit(parse(f"1 {name}", "length"), name, said_by)
    except UnitError as error:
        raise UnreadableWinding(f"'{path}': unit of lengths {error}") from None


def wires(path: Path, pieces, unit: Unit, current: float) -> Reading:
    """Polylines [(points (n,3), amperes or None)] as one source; `current` where a piece states none."""
    for points, amperes in pieces:
        if amperes is not None and not np.isfinite(amperes):
            raise UnreadableWinding(f"'{path}': every current must be a finite number of amperes, got {amperes}")
        if len(points) < 2 or not np.isfinite(points).all():
            raise UnreadableWinding(f"'{path}': every wire must have at least two finite points, got {len(points)}")
    refuse_odd_size(path, max(np.abs(points).max() for points, _ in pieces), unit)
    amperes = np.concatenate([np.full(len(p) - 1, current if i is None else i) for p, i in pieces])
    start, end = (np.concatenate([p[cut] for p, _ in pieces]) * unit.metre for cut in (slice(None, -1), slice(1, None)))
    stated = "currents as in the file" if all(i is not None for _, i in pieces) else f"{current:g} A in each wire"
    return Reading(Filaments(start=start, end=end, current=amperes), _note(len(pieces), len(start), unit, stated))


def refuse_odd_size(path: Path, reach: float, unit: Unit) -> None:
    """A reach (in `unit`) that no coil has, or, in a unit that nobody stated, one that few coils have."""
    metres = reach * unit.metre
    if metres > TOO_LARGE or not unit.said_by and not SMALLEST < metres < LARGEST:
        raise UnreadableWinding(
            f"'{path}': lengths must be those of a coil, got coordinates up to {metres:.4g} m if they are in {unit.name}; "
            f"say in which unit they are, such as --unit {'mm' if unit.name != 'mm' else 'm'}"
        )


def _note(count: int, segments: int, unit: Unit, currents: str) -> str:
    return f"{count} wire{'s' if count > 1 else ''} of {segments} straight segments; {unit.words()}; {currents}"


def note_of_source(unit: Unit, words: str) -> str:
    """The note of what is not a wire."""
    return f"{words}; {unit.words()}"
