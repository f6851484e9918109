"""How near to a centre, and how far from it, the conductors and magnets of a source lie."""

from __future__ import annotations

from functools import singledispatch

import numpy as np

from designtools.sources.assembly import Assembly
from designtools.sources.blocks import Blocks
from designtools.sources.filaments import Filaments
from designtools.sources.loops import Loops
from designtools.sources.magnets import Magnets, rotation_matrix
from designtools.sources.sheet import Sheet


@singledispatch
def extent(source, centre) -> tuple[float, float]:
    """(nearest, farthest) distance in m from centre (3,) to what carries current or polarization.

    `farthest` may be the corner of a bounding box, so it is never too small.  Raises TypeError for a source
    without a place, such as a Uniform field.
    """
    raise TypeError(
        f"extent: the source must be made of Filaments, Loops, Blocks, Magnets or Sheet, got {type(source).__name__}; "
        "leave background fields out"
    )


@extent.register
def _(source: Assembly, centre):
    nearest, farthest = zip(*(extent(part, centre) for part in source.parts))
    return min(nearest), max(farthest)


@extent.register
def _(source: Filaments, centre):
    a, b = np.asarray(source.start) - centre, np.asarray(source.end) - centre
    d = b - a
    square = np.maximum(np.sum(d * d, axis=1), 1e-300)
    t = np.clip(-np.sum(a * d, axis=1) / square, 0, 1)
    ends = np.linalg.norm(np.concatenate([a, b]), axis=1)
    return float(np.linalg.norm(a + t[:, None] * d, axis=1).min()), float(ends.max())


@extent.register
def _(source: Loops, centre):
    normal = np.asarray(source.normal) / np.linalg.norm(source.normal, axis=1, keepdims=True)
    d = np.asarray(centre) - np.asarray(source.centre)
    height = np.sum(d * normal, axis=1)
    across = np.linalg.norm(d - height[:, None] * normal, axis=1)
    radius = np.asarray(source.radius)
    return float(np.hypot(across - radius, height).min()), float(np.hypot(across + radius, height).max())


@extent.register
def _(source: Blocks, centre):
    inner, outer, low, high, _ = (np.asarray(value) for value in source._leaves())
    r, z = np.hypot(centre[0], centre[1]), centre[2]
    beside = np.maximum(np.maximum(inner - r, r - outer), 0)
    above = np.maximum(np.maximum(low - z, z - high), 0)
    tallest = np.maximum(np.abs(low - z), np.abs(high - z))
    return float(np.hypot(beside, above).min()), float(np.hypot(outer + r, tallest).max())


@extent.register
def _(source: Magnets, centre):
    turn = np.asarray(rotation_matrix(source.rotation))
    own = np.einsum("nij,ni->nj", turn, np.asarray(centre) - np.asarray(source.centre))
    half = np.asarray(source.size) / 2
    outside = np.maximum(np.abs(own) - half, 0)
    return float(np.linalg.norm(outside, axis=1).min()), float(np.linalg.norm(np.abs(own) + half, axis=1).max())


@extent.register
def _(source: Sheet, centre):
    from trimesh.triangles import closest_point

    corners = (np.asarray(source.vertices) - centre)[np.asarray(source.faces)]
    nearest = np.linalg.norm(closest_point(corners, np.zeros((len(corners), 3))), axis=1).min()
    return float(nearest), float(np.linalg.norm(corners, axis=2).max())
