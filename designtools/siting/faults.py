"""What remains of a magnet when some of its coils lose their current, as in a quench of the shield."""

from __future__ import annotations

import dataclasses

import numpy as np

from designtools.sources import Assembly, Blocks, Loops

_EXCITATION = {Blocks: "current_density", Loops: "current"}


def without(source, lost):
    """The source with the coils `lost` carrying no current; all others keep theirs.

    source: Blocks, Loops, an Assembly, or a mapping name -> source.  lost: "shield" (all coils whose moment opposes
    the field of the whole at the isocentre), names of a mapping, or numbers that count the coils from 1 as the tables of a report do.  Raises
    ValueError for a coil that is not there.
    """
    if isinstance(source, dict):
        return _without_parts(source, [lost] if isinstance(lost, str) else list(lost))
    if lost == "shield":
        lost = _opposing(source)
    numbers = np.atleast_1d(np.asarray(lost))
    count = _count(source)
    if numbers.dtype.kind != "i" or not numbers.size or numbers.min() < 1 or numbers.max() > count:
        raise ValueError(f"fault: coils must be numbers from 1 to {count} or 'shield', got {lost!r}")
    kept = np.ones(count)
    kept[numbers - 1] = 0.0
    return _scaled(source, kept)


def _without_parts(parts: dict, lost: list):
    missing = [name for name in lost if name not in parts]
    if missing:
        raise ValueError(f"fault: parts must be of {', '.join(parts)}, got {', '.join(map(str, missing))}")
    kept = [part for name, part in parts.items() if name not in lost]
    if not kept:
        raise ValueError("fault: some part must keep its current, but all are lost")
    return Assembly(kept)


def _opposing(source) -> list[int]:
    centre = float(np.asarray(source.field(np.zeros((1, 3))))[0, 2])
    found = np.flatnonzero(_axial_moments(source) * centre < 0) + 1
    if not found.size:
        raise ValueError("fault: 'shield' must be coils that oppose the others, but all coils run the same way")
    return found.tolist()


def _axial_moments(source) -> np.ndarray:
    if isinstance(source, Assembly):
        return np.concatenate([_axial_moments(part) for part in source.parts])
    pieces = [_scaled(source, row) for row in np.eye(_count(source))]
    return np.array([float(np.asarray(piece.moment())[2]) for piece in pieces])


def _count(source) -> int:
    if isinstance(source, Assembly):
        return sum(_count(part) for part in source.parts)
    name = _EXCITATION.get(type(source))
    if name is None:
        raise ValueError(
            f"fault: the source must be Blocks or Loops, or a mapping of named parts, got {type(source).__name__}"
        )
    return len(getattr(source, name))


def _scaled(source, factors):
    if isinstance(source, Assembly):
        ends = np.cumsum([_count(part) for part in source.parts])[:-1]
        return Assembly([_scaled(part, f) for part, f in zip(source.parts, np.split(factors, ends))])
    name = _EXCITATION[type(source)]
    return dataclasses.replace(source, **{name: np.asarray(getattr(source, name)) * factors})
