"""What may be built from stock: magnets with their material, and the options of every place."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from designtools.sources.magnets import Magnets
from designtools.spec.halbach import GRADES

REFERENCE = 293.15  # K, at which remanences are quoted


class Stock(NamedTuple):
    """One magnet to be had: section edge and length (m), grade, remanence (T) at its temperature, and its material."""

    edge: float
    length: float
    grade: str
    remanence: float
    recoil: float
    slope: float
    density: float
    coercivity: float


class Ring(NamedTuple):
    """A Halbach ring: radius, position (m), number of magnets, size (3) m and remanence (T) of each."""

    radius: float
    position: float
    count: int
    size: tuple[float, float, float]
    remanence: float

    @property
    def shape(self):
        """What determines the field apart from place and remanence."""
        return self.radius, self.count, self.size


@dataclass(frozen=True)
class Option:
    """What one place may take: rings, or single cuboids; `label` says it in words."""

    rings: tuple[Ring, ...] = ()
    cuboids: tuple[Magnets, ...] = ()
    label: str = ""


def slots(spec) -> list[Stock]:
    """The magnets to be had, edge by edge and grade by grade."""
    return [_stock(spec.magnets, edge, grade) for edge, grade in itertools.product(spec.magnets.edges, spec.magnets.grades)]


def _stock(asked, edge: float, grade: str) -> Stock:
    known = GRADES[grade]
    given = lambda value, fallback: fallback if value is None else value
    slope = given(asked.temperature_coefficient, known.slope)
    remanence = given(asked.remanence, (known.low + known.high) / 2)
    return Stock(
        edge=edge,
        length=given(asked.length, edge),
        grade=grade,
        remanence=remanence_at(remanence, slope, asked.temperature),
        recoil=given(asked.recoil_permeability, known.recoil),
        slope=slope,
        density=given(asked.density, known.density),
        coercivity=known.coercivity,
    )


def remanence_at(remanence: float, slope: float, temperature: float) -> float:
    """Remanence (T) at a temperature (K), linear about 20 degC."""
    return remanence * (1 + slope * (temperature - REFERENCE))


def options(spec) -> tuple[tuple[Option, ...], ...]:
    """The options of every group: pairs of mirror twins of ring places, or quadruplets of places below a surface."""
    return _ring_options(spec) if spec.rings else _array_options(spec)


def _ring_options(spec):
    stock, rings = slots(spec), spec.rings
    places = (np.arange(rings.count) - (rings.count - 1) / 2) * rings.spacing
    return tuple(
        tuple(_ring_option(spec, s, radius, float(z)) for s in stock for radius in rings.radii) for z in places[places > -1e-9]
    )


def _ring_option(spec, stock: Stock, radius: float, z: float) -> Option:
    size = (stock.edge, stock.edge, stock.length)
    sides = (z, -z) if z > 1e-9 else (0.0,)
    radii = [radius + layer for layer in spec.rings.layers]
    made = tuple(Ring(r, side, ring_count(spec.rings, stock, r), size, stock.remanence) for r in radii for side in sides)
    return Option(made, label=f"{stock.grade}, {stock.edge * 1e3:g} mm, radius {radius * 1e3:g} mm")


def ring_count(rings, stock: Stock, radius: float) -> int:
    """As many magnets as fit on the circle; any turn of a section needs its diagonal."""
    pitch = rings.pitch or stock.edge * math.sqrt(2) + rings.gap
    return max(3, int(2 * math.pi * radius / pitch + 1e-9))


def _array_options(spec):
    array, stock = spec.array, slots(spec)
    x, y = ((np.arange(n) - (n - 1) / 2) * array.pitch for n in (array.columns, array.rows))
    groups = []
    for a, b in itertools.product(x[x > -1e-9], y[y > -1e-9]):
        made = [_cell(spec, s, a, b, depth, sign) for s in stock for depth in array.depths for sign in (-1.0, 1.0)]
        groups.append((Option(label="empty"), *made))
    return tuple(groups)


def _cell(spec, stock: Stock, a: float, b: float, depth: float, sign: float) -> Option:
    """The mirror twins of one place; the top face lies `depth` below the surface, the length points away from it."""
    twins = sorted({(sa * a, sb * b) for sa in (1, -1) for sb in (1, -1)})
    z = -(spec.array.standoff + depth + stock.length / 2)
    centre = np.array([[p, q, z] for p, q in twins])
    rows = len(centre)
    polarization = np.tile([sign * stock.remanence, 0.0, 0.0], (rows, 1))
    magnets = Magnets(centre, np.tile([stock.edge, stock.edge, stock.length], (rows, 1)), np.zeros((rows, 3)), polarization)
    return Option(cuboids=(magnets,), label=f"{'+' if sign > 0 else '-'} {depth * 1e3:g} mm deep")
