"""Resistance at frequency: skin effect in a conductor, proximity effect in its neighbours' field, litz.

Fields and currents are peak values of sinusoids.  Closed forms where there are any (round wire, slab, thin strip); for
sections of any shape, alone or side by side, bars of uniform current that share the true alternating field.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import jve

from designtools.units import MU_0


def skin_depth(frequency, conductivity: float):
    """sqrt(2/(w mu0 sigma)) (m)."""
    return np.sqrt(2 / (2 * np.pi * np.asarray(frequency) * MU_0 * conductivity))


# --- round wire ---------------------------------------------------------------------------------------


def round_wire_ratio(radius: float, frequency, conductivity: float):
    """R_ac/R_dc of a round wire alone: Re[k r J0(k r)/(2 J1(k r))], k = (1 - i)/delta (Kelvin 1889)."""
    x = (1 - 1j) * radius / skin_depth(frequency, conductivity)
    return np.real(x * jve(0, x) / (2 * jve(1, x)))


def round_wire_proximity(radius: float, flux_density, frequency, conductivity: float):
    """Loss per length (W/m) of a round wire in a field across it, homogeneous with peak flux_density (T); exact.

    2 pi B^2/(mu0^2 sigma) Re[-x J1(x)/J0(x)], x = k r, from A = 2 B J1(k rho)/(k J0(k r)) sin(phi) inside; for thin
    wires pi sigma w^2 B^2 r^4 / 8.
    """
    x = (1 - 1j) * radius / skin_depth(frequency, conductivity)
    return 2 * np.pi * np.square(flux_density) / (MU_0**2 * conductivity) * np.real(-x * jve(1, x) / jve(0, x))


def litz_ratio(strand_radius: float, strands: int, bundle_radius: float, frequency, conductivity: float):
    """R_ac/R_dc of litz, perfectly transposed, alone: skin effect of a strand and its loss in the field of the bundle.

    The mean of B^2 over a round bundle of even current is (mu0 I/(2 pi R_b))^2/2 (J. A. Ferreira, IEEE Trans. Power
    Electron. 9 (1994) 127).  The strands' copper must fit: strands r^2 < R_b^2.
    """
    if strands * strand_radius**2 >= bundle_radius**2:
        raise ValueError(
            f"litz_ratio: {strands} strands of radius {strand_radius:g} m must fit into the bundle, got bundle_radius "
            f"{bundle_radius:g} m; give at least {strand_radius * strands**0.5 * 1.2:.3g} m"
        )
    mean_square = (MU_0 / (2 * np.pi * bundle_radius)) ** 2 / 2
    loss = strands * round_wire_proximity(strand_radius, 1.0, frequency, conductivity) * mean_square
    dc = 0.5 / (conductivity * np.pi * strand_radius**2 * strands)
    return round_wire_ratio(strand_radius, frequency, conductivity) + loss / dc


# --- strips and slabs ---------------------------------------------------------------------------------


def thin_strip_loss(width: float, flux_density, frequency, conductivity: float):
    """Loss per volume (W/m3) of a strip in a field across its `width` (m), peak flux_density (T): sigma w^2 omega^2 B^2/24.

    For strips narrower than the skin depth's reach: width x thickness << 2 delta^2.  Wider, it is an upper bound.
    """
    return conductivity * (2 * np.pi * np.asarray(frequency) * width * flux_density) ** 2 / 24


def slab_loss(thickness: float, flux_density, frequency, conductivity: float):
    """Loss per volume (W/m3) of a wide slab in a field along its faces, peak flux_density (T) outside; exact.

    B^2/(mu0^2 sigma delta t) (sinh x - sin x)/(cosh x + cos x), x = t/delta; thin: that of `thin_strip_loss`.
    """
    delta = skin_depth(frequency, conductivity)
    x = thickness / delta
    shape = np.where(x < 0.03, x**3 / 6, _slab_shape(np.clip(x, 0.03, 300.0)))
    return np.square(flux_density) / (MU_0**2 * conductivity * delta * thickness) * shape


def _slab_shape(x):
    """(sinh x - sin x)/(cosh x + cos x)."""
    return (np.sinh(x) - np.sin(x)) / (np.cosh(x) + np.cos(x))


def strip_proximity_loss(start, end, normals, source, width: float, thickness: float, frequency: float, conductivity: float) -> float:
    """Power (W) that eddy currents add in strip tracks, in the field of the winding that they make up, at peak current.

    start, end (S,3) m of straight pieces, normals (S,3) of the wide side; source: the field of all conductors at peak
    current, such as the same pieces as Filaments, which count nothing on their own line.  The field across the width
    heats as `thin_strip_loss`, that across the thickness as `slab_loss`; both vary little over a track.
    """
    start, end, normals = (np.asarray(v, float) for v in (start, end, normals))
    along = end - start
    length = np.linalg.norm(along, axis=1)
    along = along / length[:, None]
    normals = normals - np.sum(normals * along, axis=1, keepdims=True) * along
    normals = normals / np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-9)  # none on a piece along its own normal: left out
    field = np.asarray(source.field((start + end) / 2))
    across = np.sum(field * normals, axis=1)
    beside = np.sum(field * np.cross(along, normals), axis=1)
    density = thin_strip_loss(width, across, frequency, conductivity) + slab_loss(thickness, beside, frequency, conductivity)
    return float(width * thickness * (length @ density))


def strand_proximity_loss(start, end, source, radius: float, strands: int, frequency: float, conductivity: float) -> float:
    """The same of tracks of `strands` round strands of `radius` (m), transposed, each in the field of all other tracks.

    The field across each piece heats every strand as `round_wire_proximity`.
    """
    start, end = np.asarray(start, float), np.asarray(end, float)
    length = np.linalg.norm(end - start, axis=1)
    along = (end - start) / length[:, None]
    field = np.asarray(source.field((start + end) / 2))
    across = np.linalg.norm(field - np.sum(field * along, axis=1, keepdims=True) * along, axis=1)
    return float(strands * (length @ round_wire_proximity(radius, across, frequency, conductivity)))


# --- sections of any shape ----------------------------------------------------------------------------


@dataclass(frozen=True)
class Bars:
    """Straight bars side by side that make up the sections of parallel conductors.

    centre (N,2) m, size (N,2) m, conductor (N,): which conductor each belongs to, counted from 0.
    """

    centre: np.ndarray
    size: np.ndarray
    conductor: np.ndarray

    @property
    def area(self) -> np.ndarray:
        """Area of each bar (N,) m2."""
        return self.size.prod(axis=1)

    def moved(self, by) -> Bars:
        """The same section elsewhere, by (2,) m."""
        return Bars(self.centre + np.asarray(by, float), self.size, self.conductor)


def rectangle(width: float, height: float, counts=(24, 24)) -> Bars:
    """A rectangular section about the origin, its bars thinner towards the faces, where current crowds."""
    edges = [extent / 2 * -np.cos(np.pi * np.arange(n + 1) / n) for extent, n in zip((width, height), counts)]
    return _bars_between(*edges)


def hollow_rectangle(width: float, height: float, bore_width: float, bore_height: float, count: int = 10) -> Bars:
    """A rectangular section with a rectangular bore in its middle; `count` bars through each wall."""
    if not (0 < bore_width < width and 0 < bore_height < height):
        raise ValueError(f"hollow_rectangle: the bore must be smaller than the section, got {bore_width:g} x {bore_height:g} m in {width:g} x {height:g} m")
    wall = (1 - np.cos(np.pi * np.arange(count + 1) / count)) / 2
    edges = [_walled(size, bore, wall, count) for size, bore in ((width, bore_width), (height, bore_height))]
    bars = _bars_between(*edges)
    kept = np.any(np.abs(bars.centre) > np.array([bore_width, bore_height]) / 2, axis=1)
    return Bars(bars.centre[kept], bars.size[kept], bars.conductor[kept])


def round_section(radius: float, count: int = 40, bore_radius: float = 0.0) -> Bars:
    """A round section, with or without a round bore, of square bars whose sizes are scaled to the true area."""
    edges = radius * np.linspace(-1, 1, count + 1)
    bars = _bars_between(edges, edges)
    distance = np.linalg.norm(bars.centre, axis=1)
    kept = (distance < radius) & (distance > bore_radius)
    scale = np.sqrt(np.pi * (radius**2 - bore_radius**2) / bars.area[kept].sum())
    return Bars(bars.centre[kept] * scale, bars.size[kept] * scale, bars.conductor[kept])


def side_by_side(sections: list[Bars]) -> Bars:
    """Several conductors together, numbered in this order."""
    number = np.concatenate([np.full(len(s.centre), i) for i, s in enumerate(sections)])
    return Bars(np.concatenate([s.centre for s in sections]), np.concatenate([s.size for s in sections]), number)


def resistance_ratios(bars: Bars, currents, frequency: float, conductivity: float) -> np.ndarray:
    """Loss of each conductor over its loss at direct current (C,), with currents (C,) A given: skin and proximity effect.

    Each bar carries a uniform current density J; J/sigma + i w A is the same for all bars of a conductor, with A the
    closed form of a rectangle's potential at the middle of each bar.  A conductor without current gives infinity.
    """
    currents = np.asarray(currents, complex)
    loss = np.abs(bar_currents(bars, currents, frequency, conductivity)) ** 2 / (conductivity * bars.area)
    total = np.bincount(bars.conductor, loss)
    with np.errstate(divide="ignore"):
        return total / (np.abs(currents) ** 2 / (conductivity * np.bincount(bars.conductor, bars.area)))


def bar_currents(bars: Bars, currents, frequency: float, conductivity: float) -> np.ndarray:
    """Complex current (N,) A of each bar when the conductors carry `currents` (C,) A."""
    count, omega = len(bars.area), 2 * np.pi * frequency
    member = np.eye(len(currents))[bars.conductor]
    potential = -MU_0 / (2 * np.pi) * _mean_logarithm(bars)
    system = np.zeros((count + len(currents),) * 2, complex)
    system[:count, :count] = 1j * omega * potential + np.diag(1 / (conductivity * bars.area))
    system[:count, count:], system[count:, :count] = -member, member.T
    return np.linalg.solve(system, np.concatenate([np.zeros(count), currents]))[:count]


def _walled(size, bore, wall, count):
    """Edges from one face to the other: graded through both walls, even in between."""
    outer, inner = size / 2, bore / 2
    left = -outer + (outer - inner) * wall
    return np.concatenate([left, np.linspace(-inner, inner, count + 1)[1:-1], -left[::-1]])


def _bars_between(x, y) -> Bars:
    middle = np.stack(np.meshgrid((x[1:] + x[:-1]) / 2, (y[1:] + y[:-1]) / 2, indexing="ij"), axis=-1).reshape(-1, 2)
    size = np.stack(np.meshgrid(np.diff(x), np.diff(y), indexing="ij"), axis=-1).reshape(-1, 2)
    return Bars(middle, size, np.zeros(len(middle), int))


def _mean_logarithm(bars: Bars) -> np.ndarray:
    """Mean of ln r over bar j, from the centre of bar i (N,N); r in m."""
    offset = bars.centre[None] - bars.centre[:, None]
    corner = [offset + sign * bars.size[None] / 2 for sign in (-1, 1)]
    total = 0.0
    for i, x in enumerate(c[..., 0] for c in corner):
        for j, y in enumerate(c[..., 1] for c in corner):
            total = total + (-1) ** (i + j) * _corner_logarithm(x, y)
    return total / bars.area


def _corner_logarithm(x, y):
    """Integral of ln r over the rectangle from the origin to (x, y)."""
    square = x**2 + y**2
    log = np.log(np.where(square > 0, square, 1.0))
    angle = lambda a, b: a**2 * np.arctan(b / np.where(a == 0, 1.0, a))
    return (x * y * log - 3 * x * y + angle(x, y) + angle(y, x)) / 2
