"""The field of a magnet as it would be measured once it stands: with the scatter of its magnets or the errors of its windings."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path

import numpy as np

from designtools.regions import scattered_ball
from designtools.result import Result
from designtools.sources import Assembly, Blocks, Magnets
from designtools.sources.assembly import leaves
from designtools.units import parse

POINTS = 800  # of a map: half on the surface of the region, half within
SEED = 11


def write_map(result: Result, spec, store: Path) -> Path:
    """A table (x_mm, y_mm, z_mm, B_mT) of B·b0 over the region of the system, of one magnet built with errors."""
    points = map_points(spec.region)
    b0 = np.asarray(spec.frame.b0_axis, float)
    field = np.asarray(as_built(result).field(points)) @ b0
    field = field * np.sign(field.mean())
    rows = "\n".join(",".join(f"{v:.9g}" for v in (*p * 1e3, b * 1e3)) for p, b in zip(points, field))
    text = f"x_mm,y_mm,z_mm,B_mT\n{rows}\n"
    path = store / f"map-{hashlib.sha256(text.encode()).hexdigest()[:16]}.csv"
    store.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def map_points(region) -> np.ndarray:
    """(P,3) m over the region."""
    unit = scattered_ball(1.0, count=POINTS, seed=SEED).points
    return np.asarray(region.centre) + unit * np.asarray(region.half_widths)


def as_built(result: Result):
    """The magnet of a result with errors as its spec states them, one draw; without such errors as designed."""
    rng = np.random.default_rng(SEED)
    return Assembly([_disturbed(leaf, result.spec, rng) for leaf in leaves(result.source)])


def _disturbed(leaf, spec, rng):
    if isinstance(leaf, Magnets):
        return _scattered(leaf, spec.get("scatter", {}), rng)
    if isinstance(leaf, Blocks) and spec.get("tolerances"):
        return _wound(leaf, spec["tolerances"], rng)
    return leaf


def _scattered(magnets: Magnets, scatter, rng) -> Magnets:
    """Remanence and direction of each magnet, normal and independent."""
    share, angle = parse(scatter.get("remanence", 0.01), "ratio"), parse(scatter.get("angle", 0.0), "angle")
    vector = np.asarray(magnets.polarization)
    size = np.linalg.norm(vector, axis=1, keepdims=True)
    tilt = angle * size * rng.normal(size=vector.shape)
    tilt -= vector * np.sum(tilt * vector, axis=1, keepdims=True) / size**2
    return replace(magnets, polarization=(vector + tilt) * (1 + share * rng.normal(size=(len(vector), 1))))


def _wound(blocks: Blocks, tolerances, rng) -> Assembly:
    """Places, radii and ampere-turns of each block, normal and independent; each block lies off the axis by itself."""
    from designtools.sources import Posed

    length = lambda key: parse(tolerances.get(key, 0.0), "length")
    count = len(np.asarray(blocks.inner_radius))
    along, out = length("axial") * rng.normal(size=count), length("radius") * rng.normal(size=count)
    gain = 1 + parse(tolerances.get("ampere_turns", 0.0), "ratio") * rng.normal(size=count)
    aside = length("lateral") * rng.normal(size=(count, 2))
    moved = Blocks(blocks.inner_radius + out, blocks.outer_radius + out, blocks.z_low + along, blocks.z_high + along, blocks.current_density * gain)
    rows = zip(*(np.asarray(leaf) for leaf in (moved.inner_radius, moved.outer_radius, moved.z_low, moved.z_high, moved.current_density)))
    each = [Blocks(*(np.array([v]) for v in row)) for row in rows]
    return Assembly([Posed(block, np.array([x, y, 0.0]), np.zeros(3)) for block, (x, y) in zip(each, aside)])
