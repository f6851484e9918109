"""One design as it would be built: every part a little out of place, turned, of another strength."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy as np

from designtools.sweep.ranges import BadSweep, Tolerance


def built_one(spec: Path, folder: Path, overrides: dict[str, Any], *, nominal: Path, tolerances: Sequence[Tolerance], seed: int) -> dict[str, Any]:
    """The record of sample overrides["sample"] of the finished design in `nominal`; field figures only, nothing is written.

    Every part (track, loop, block, magnet) gets its own normal errors: `built.position` m along each axis,
    `built.angle` rad about each axis through the part's centre, `built.strength` as a share.
    """
    from designtools import precision
    from designtools.evaluate import field_figures
    from designtools.result import evaluate_requirements, load, plain
    from designtools.spec import load as load_spec

    precision.enable()
    model = load_spec(spec, {key: value for key, value in overrides.items() if key != "sample"})
    errors = {t.key.removeprefix("built."): t.sigma for t in tolerances}
    source = displaced(load(nominal).source, errors, np.random.default_rng([seed, overrides["sample"]]))
    figures = field_figures(source, model)
    asked = [{"quantity": r.quantity, "op": r.op, "limit": r.limit} for r in model.requirements if r.quantity in figures]
    met = all(row["status"] == "MET" for row in evaluate_requirements(asked, figures))
    return {"status": "done" if met else "requirement missed", "message": "", "figures": plain(figures)}


def displaced(source, errors: dict[str, float], rng: np.random.Generator):
    """The source with errors in each of its parts, of standard deviations `position` m, `angle` rad and `strength` 1.

    Parts are tracks of wire that hang together, and single loops, arcs, solenoids, blocks and magnets.
    """
    from scipy.spatial.transform import Rotation

    from designtools.sources import Assembly

    if isinstance(source, Assembly):
        return Assembly([displaced(part, errors, rng) for part in source.parts])
    kind = type(source).__name__
    if kind not in _CHANGES:
        raise BadSweep(f"--scatter built must have a design of {', '.join(_CHANGES)}, got {kind}")
    count, change = _CHANGES[kind]
    n = count(source)
    shift, turn, share = rng.normal(size=(n, 3)), rng.normal(size=(n, 3)), rng.normal(size=n)  # always, so that samples compare
    turned = Rotation.from_rotvec(turn * errors.get("angle", 0.0))
    return change(source, shift * errors.get("position", 0.0), turned, 1 + share * errors.get("strength", 0.0))


# --- kinds of parts --------------------------------------------------------------------------------------------


def _rows(source) -> int:
    return len(np.asarray(getattr(source, fields(source)[0].name)))


def _track_of(wires) -> np.ndarray:
    """(S,) number of the track each segment belongs to."""
    start, end = np.asarray(wires.start), np.asarray(wires.end)
    return np.concatenate([[0], np.cumsum(np.linalg.norm(start[1:] - end[:-1], axis=1) > 1e-9)])


def _wires(source, shift, turned, share):
    track = _track_of(source)
    centre = np.stack([np.asarray(source.start)[track == i].mean(0) for i in range(len(shift))])[track]
    place = lambda points: turned[track].apply(np.asarray(points) - centre) + centre + shift[track]
    return replace(source, start=place(source.start), end=place(source.end), current=np.asarray(source.current) * share[track])


def _directed(direction: str, strength: str) -> Callable:
    """Parts with a centre and a vector that turns with them; `strength` may be that vector."""

    def change(source, shift, turned, share):
        leaves = {"centre": np.asarray(source.centre) + shift, direction: turned.apply(np.asarray(getattr(source, direction)))}
        strong = leaves.get(strength, np.asarray(getattr(source, strength)))
        return replace(source, **leaves | {strength: strong * (share if strong.ndim == 1 else share[:, None])})

    return change


def _framed(strength: str) -> Callable:
    """Parts with a centre and a rotation vector of their own frame."""

    def change(source, shift, turned, share):
        from scipy.spatial.transform import Rotation

        strong = np.asarray(getattr(source, strength))
        leaves = {strength: strong * (share if strong.ndim == 1 else share[:, None])}
        rotation = (turned * Rotation.from_rotvec(np.asarray(source.rotation))).as_rotvec()
        return replace(source, centre=np.asarray(source.centre) + shift, rotation=rotation, **leaves)

    return change


def _blocks(source, shift, turned, share):
    from designtools.sources import Assembly, Posed

    parts = []
    for i, (move, strong) in enumerate(zip(shift, share)):
        one = replace(source, **{f.name: np.asarray(getattr(source, f.name))[i : i + 1] for f in fields(source)})
        one = replace(one, current_density=one.current_density * strong)
        centre = np.array([0.0, 0.0, float(one.z_low[0] + one.z_high[0]) / 2])
        parts.append(Posed(one, move + centre - turned[i].apply(centre), turned[i].as_rotvec()))
    return Assembly(parts)


_CHANGES: dict[str, tuple[Callable, Callable]] = {
    "Filaments": (lambda wires: int(_track_of(wires)[-1]) + 1, _wires),
    "Loops": (_rows, _directed("normal", "current")),
    "Arcs": (_rows, _framed("current")),
    "Solenoids": (_rows, _framed("current")),
    "Blocks": (_rows, _blocks),
    "Magnets": (_rows, _framed("polarization")),
    "Cylinders": (_rows, _framed("polarization")),
    "Spheres": (_rows, _directed("polarization", "polarization")),
    "Dipoles": (_rows, _directed("dipole_moment", "dipole_moment")),
}
