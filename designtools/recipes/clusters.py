"""From the fill of a linear programme to rectangular windings: where blocks start."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

FILLED = 0.2  # of a cell, from which on it belongs to a cluster
SMALLEST = 2e-3  # of all conductor, below which a cluster is left out


@dataclass(frozen=True)
class Cluster:
    """Neighbouring cells of one sign, row by row: r (R,2) m of each row, z (R,2) m of an interval with the row's section."""

    sign: int
    r: np.ndarray
    z: np.ndarray


@dataclass(frozen=True)
class Rectangles:
    """edges (n,4) m: inner radius, outer radius, z_low, z_high; sign (n,) of the current; cluster (n,) each was cut from."""

    edges: np.ndarray
    sign: np.ndarray
    cluster: np.ndarray


def clusters(fill, r, z) -> list[Cluster]:
    """The clusters of fill (nr,nz) in [-1,1] on cells with edges r, z, specks left out."""
    section = np.abs(fill) * np.outer(np.diff(r), np.diff(z))
    found = []
    for sign in (1, -1):
        labels, count = ndimage.label(sign * fill > FILLED)
        for k in range(1, count + 1):
            own = np.where(labels == k, section, 0.0)
            if own.sum() > SMALLEST * section.sum():
                found.append(_cluster(sign, own, r, z))
    return found


def split(found: list[Cluster], walls) -> tuple[list[Cluster], np.ndarray]:
    """The clusters cut where a wall (m) runs through them, and the number (n,) of the cluster each piece was cut from."""
    pieces, parent = [], []
    for index, cluster in enumerate(found):
        middle = cluster.r.mean(axis=1)
        side = np.searchsorted(np.unique(walls), middle)
        for own in (side == k for k in np.unique(side)):
            pieces.append(Cluster(cluster.sign, cluster.r[own], cluster.z[own]))
            parent.append(index)
    return pieces, np.array(parent)


def _cluster(sign: int, section, r, z) -> Cluster:
    rows = np.flatnonzero(section.sum(axis=1) > 0)
    area = section[rows].sum(axis=1)
    middle = section[rows] @ ((z[1:] + z[:-1]) / 2) / area
    half = area / np.diff(r)[rows] / 2
    interval = np.clip(np.stack([middle - half, middle + half], axis=1), z[0], z[-1])
    return Cluster(sign, np.stack([r[rows], r[rows + 1]], axis=1), interval)


def rectangles(found: list[Cluster], most: int) -> Rectangles:
    """At most `most` rectangles (one per cluster at least; the largest clusters where there are more of them).

    Each cluster is cut into layers of rows.  Where to cut is chosen by dynamic programming: the section by which the
    rectangles differ from the rows is least at a price per rectangle, and the price is the least that yields no
    more than `most`.
    """
    misfits = [_misfits(c) for c in found]
    low, high = 0.0, sum(np.diff(c.r, axis=1).sum() * np.ptp(c.z) for c in found)
    cuts = [[(0, len(c.r))] for c in found]
    for _ in range(40):
        price = (low + high) / 2
        tried = [_layers(m, price) for m in misfits]
        if sum(map(len, tried)) <= most:
            cuts, high = tried, price
        else:
            low = price
    blocks = [(_rectangle(c, *cut), c.sign, i) for i, (c, own) in enumerate(zip(found, cuts)) for cut in own]
    blocks = sorted(blocks, key=lambda b: -(b[0][1] - b[0][0]) * (b[0][3] - b[0][2]))[:most]
    edges, sign, cluster = zip(*sorted(blocks, key=lambda b: (b[2], b[0][0])))
    return Rectangles(np.array(edges), np.array(sign, float), np.array(cluster))


def _misfits(c: Cluster) -> np.ndarray:
    """Section (R,R+1) by which one rectangle differs from rows b..e-1; infinite for e <= b."""
    count, width = len(c.r), np.diff(c.r, axis=1)[:, 0]
    table = np.full((count, count + 1), np.inf)
    for b in range(count):
        for e in range(b + 1, count + 1):
            mean = np.average(c.z[b:e], axis=0, weights=width[b:e])
            table[b, e] = np.abs(c.z[b:e] - mean).sum(axis=1) @ width[b:e]
    return table


def _layers(misfit: np.ndarray, price: float) -> list[tuple[int, int]]:
    """The cut of rows into ranges (b, e) whose misfit plus price per range is least."""
    count = len(misfit)
    best, start = np.zeros(count + 1), np.zeros(count + 1, int)
    for e in range(1, count + 1):
        total = best[:e] + misfit[:e, e] + price
        start[e] = np.argmin(total)
        best[e] = total[start[e]]
    ranges, e = [], count
    while e > 0:
        ranges.append((int(start[e]), e))
        e = int(start[e])
    return ranges[::-1]


def _rectangle(c: Cluster, b: int, e: int) -> tuple[float, float, float, float]:
    """With the section of its rows; it keeps the side that faces the field: a positive one its inner radius."""
    width = np.diff(c.r[b:e], axis=1)[:, 0]
    section = np.diff(c.z[b:e], axis=1)[:, 0] @ width
    low, high = np.average(c.z[b:e], axis=0, weights=np.diff(c.z[b:e], axis=1)[:, 0] * width)
    thickness = section / (high - low)
    inner, outer = c.r[b, 0], c.r[e - 1, 1]
    return (inner, inner + thickness, low, high) if c.sign > 0 else (outer - thickness, outer, low, high)
