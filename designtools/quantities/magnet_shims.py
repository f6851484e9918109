"""What corrects a wound magnet: superconducting shim coils, each of one harmonic, and iron pieces in trays.

A shim coil lies on a cylinder about z: loops for the zonal terms, rows of arcs joined by axial legs for the others.
The legs make no B_z.  Rows of fixed places get the currents of least square sum that make the wanted coefficient and
none of the others up to a degree, so the coils of a set do not disturb each other or the main field.  Iron in a main
field along z is saturated: a dipole along z of moment saturation x volume/mu0 (Romeo & Hoult, MRM 1 (1984) 44).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import jax.numpy as jnp
import numpy as np

from designtools.harmonics import harmonics, zonal
from designtools.sources import Arcs, Assembly, Filaments, Loops


@dataclass(frozen=True)
class ShimCoil:
    """One coil: its term (degree n, order m, "cosine" or "sine") and its source, whose largest loop or row of arcs carries
    1 A·turn.

    strength: coefficient (T at the reference radius, convention of `harmonics`) per ampere-turn; impurity: largest other
    coefficient up to twice the clean degree, relative to it.
    """

    name: str
    degree: int
    order: int
    kind: str
    source: Any
    strength: float
    impurity: float

    def ampere_turns(self, coefficient):
        """Ampere-turns that make or cancel a coefficient (T at the reference radius)."""
        return np.abs(coefficient) / self.strength


def shim_set(coil_radius: float, half_length: float, radius: float, degree: int = 4, order: int = 1) -> tuple[ShimCoil, ...]:
    """Coils for all terms of degree 1 to `degree` and azimuthal order 0 to `order` (each as cosine and sine).

    coil_radius, half_length (m) of the cylinder; radius (m) of the sphere where coefficients are read.  The terms are
    clean up to degree + 2.
    """
    if not (coil_radius > radius > 0 and half_length > 0):
        raise ValueError(
            f"shim_set: coil_radius must exceed radius and all be positive, got coil_radius {coil_radius:g} m, "
            f"radius {radius:g} m, half_length {half_length:g} m"
        )
    heights = half_length * np.linspace(-1, 1, 2 * (degree + 3))
    coils = [_zonal_coil(n, coil_radius, heights, radius, degree + 2) for n in range(1, degree + 1)]
    for m in range(1, order + 1):
        rows = _row_table(m, coil_radius, heights, radius, degree + 2)
        for n in range(m, degree + 1):
            coils += [_tesseral_coil(n, m, kind, rows, coil_radius, heights, degree + 2) for kind in ("cosine", "sine")]
    return tuple(coils)


def required_ampere_turns(coils, scatter, share: float = 0.95) -> dict:
    """Name -> ampere-turns each coil needs in all but 1 - `share` of the magnets of a `scatter.Scatter`, one term at a time.

    Orders above 1 are not in the model of the scatter and give zero.
    """
    found = {}
    for coil in coils:
        table = {(0, "cosine"): scatter.zonal, (1, "cosine"): scatter.cosine, (1, "sine"): scatter.sine}.get((coil.order, coil.kind))
        size = 0.0 if table is None else float(np.quantile(np.abs(table[:, coil.degree]), share))
        found[coil.name] = float(coil.ampere_turns(size))
    return found


def _name(n: int, m: int, kind: str) -> str:
    """Z2, X, ZY, Z2X, C22, S22."""
    if m > 1:
        return f"{'C' if kind == 'cosine' else 'S'}{n}{m}"
    along = "" if n == m else f"Z{n - m if n - m > 1 else ''}"
    return along + ("" if m == 0 else "X" if kind == "cosine" else "Y")


def _least(matrix, wanted: int):
    """Currents of least square sum with matrix @ currents = unit vector `wanted`, the largest scaled to 1; and the scale."""
    currents = np.linalg.lstsq(matrix, np.eye(len(matrix))[wanted], rcond=1e-12)[0]
    if not np.allclose(matrix @ currents, np.eye(len(matrix))[wanted], atol=1e-6):
        raise ValueError("shim_set: the rows cannot make this term clean; make the cylinder longer or ask for a lower degree")
    size = np.abs(currents).max()
    return currents / size, 1 / size


def _zonal_coil(n: int, coil_radius: float, heights, radius: float, clean: int) -> ShimCoil:
    loop = lambda z: Loops([[0.0, 0.0, z]], [[0.0, 0.0, 1.0]], [coil_radius], [1.0])
    table = np.stack([np.asarray(zonal(loop(z), radius, 2 * clean)) for z in heights], axis=1)
    scale = np.abs(table).max()
    currents, strength = _least(table[: clean + 1] / scale, n)
    count = len(heights)
    centre = np.stack([0 * heights, 0 * heights, heights], axis=1)
    source = Loops(centre, np.tile([0.0, 0.0, 1.0], (count, 1)), np.full(count, coil_radius), currents)
    return ShimCoil(_name(n, 0, "cosine"), n, 0, "cosine", source, strength * scale, _impurity(table @ currents, n))


def _row_table(m: int, coil_radius: float, heights, radius: float, clean: int):
    """Coefficients a_nm (T/A), n = m to twice the clean degree, of each row: (n, rows)."""
    row = lambda z: harmonics(_arcs(m, "cosine", coil_radius, [z], [1.0]), radius, 2 * clean, nodes=48)
    return np.stack([np.asarray(row(z).cosine)[m:, m] for z in heights], axis=1)


def _tesseral_coil(n: int, m: int, kind: str, table, coil_radius: float, heights, clean: int) -> ShimCoil:
    scale = np.abs(table).max()
    closed = np.concatenate([table[: clean + 1 - m] / scale, np.ones((1, len(heights)))])  # the rows' currents return
    currents, strength = _least(closed, n - m)
    source = Assembly([_arcs(m, kind, coil_radius, heights, currents), _legs(m, kind, coil_radius, heights, currents)])
    return ShimCoil(_name(n, m, kind), n, m, kind, source, strength * scale, _impurity(table @ currents, n - m))


def _impurity(coefficients, wanted: int) -> float:
    others = np.delete(coefficients, wanted)
    return float(np.abs(others).max() / abs(coefficients[wanted]))


def _lobes(m: int, kind: str):
    """Azimuth of the middle of each arc, its sign, and half its width: a third of a period, which leaves out 3 m."""
    k = np.arange(2 * m)
    return k * np.pi / m + (np.pi / (2 * m) if kind == "sine" else 0.0), (-1.0) ** k, np.pi / (3 * m)


def _arcs(m: int, kind: str, coil_radius: float, heights, currents) -> Arcs:
    middle, sign, half = _lobes(m, kind)
    phi, z = (v.ravel() for v in np.meshgrid(middle, heights))
    amperes = np.outer(currents, sign).ravel()
    return Arcs(
        np.stack([0 * z, 0 * z, z], axis=1), np.zeros((z.size, 3)), np.full(z.size, coil_radius), phi - half, phi + half, amperes
    )  # fmt: skip


def _legs(m: int, kind: str, coil_radius: float, heights, currents) -> Filaments:
    """Axial wires that carry the rows' currents on: upwards at the start of each arc what the rows above bring back."""
    middle, sign, half = _lobes(m, kind)
    carried = np.cumsum(currents)[:-1]
    ends = np.concatenate([middle - half, middle + half])
    flow = np.concatenate([-sign, sign])  # a row's current leaves at the end of its arc and goes up
    phi, gap = (v.ravel() for v in np.meshgrid(ends, np.arange(len(carried))))
    x, y = coil_radius * np.cos(phi), coil_radius * np.sin(phi)
    points = [np.stack([x, y, np.asarray(heights)[gap + step]], axis=1) for step in (0, 1)]
    return Filaments(*points, np.outer(carried, flow).ravel())


# --- iron ---------------------------------------------------------------------------------------------


def tray_pockets(tray_radius: float, trays: int, pockets: int, length: float) -> np.ndarray:
    """Places (trays * pockets, 3) m: trays evenly around, pockets evenly along `length` about the middle."""
    phi = 2 * np.pi * np.arange(trays) / trays
    z = length * ((np.arange(pockets) + 0.5) / pockets - 0.5)
    angle, height = (v.ravel() for v in np.meshgrid(phi, z, indexing="ij"))
    return np.stack([tray_radius * np.cos(angle), tray_radius * np.sin(angle), height], axis=1)


def iron_response(points, places, volume: float, saturation: float = 2.0):
    """B_z (P,K) T at points (P,3) m of one piece of saturated iron at each place (K,3) m, magnetised along +z.

    volume (m3) of a piece; saturation (T), mu0 times the magnetisation: 2.0 for silicon steel.  A dipole: exact for a
    sphere, and good to (size/distance)^2 otherwise.
    """
    apart = jnp.asarray(points)[:, None, :] - jnp.asarray(places)[None, :, :]
    square = jnp.sum(apart**2, axis=-1)
    return saturation * volume / (4 * jnp.pi) * (3 * apart[..., 2] ** 2 - square) / square**2.5
