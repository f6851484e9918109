"""Currents of coils and their fields without a body: thin straight pieces, retarded, with the charges where current ends."""

from __future__ import annotations

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from designtools.materials.tissues import EPSILON_0
from designtools.units import MU_0

_TILE = 256  # points at once: tile x elements stays in cache


class Wires(NamedTuple):
    """Straight pieces of one or more channels: start, end (S,3) m and current (S,C) A, complex, per ampere of the port."""

    start: np.ndarray
    end: np.ndarray
    current: np.ndarray

    @property
    def length(self) -> np.ndarray:
        """(S,) m."""
        return np.linalg.norm(self.end - self.start, axis=1)

    def elements(self, order: int = 3):
        """Gauss points (Q,3) m and their I dl (Q,3,C) A·m."""
        t, w = np.polynomial.legendre.leggauss(order)
        way = self.end - self.start
        points = (self.start + self.end) / 2 + t[:, None, None] / 2 * way
        flow = w[:, None, None, None] / 2 * way[:, :, None] * self.current[:, None, :]
        return points.reshape(-1, 3), flow.reshape(-1, 3, self.current.shape[1])

    def ends(self):
        """Points (N,3) m where current ends and the current (N,C) A that arrives there; none for closed circuits."""
        both = np.concatenate([self.end, self.start])
        arriving = np.concatenate([self.current, -self.current])
        _, first, which = np.unique(np.round(both, 9), axis=0, return_index=True, return_inverse=True)
        total = np.zeros((len(first), arriving.shape[1]), complex)
        np.add.at(total, which.ravel(), arriving)
        open_ = np.abs(total).max(axis=1) > 1e-9 * np.abs(self.current).max()
        return both[first][open_], total[open_]


def joined(channels) -> Wires:
    """Several sets of wires as one, each keeping its own channels."""
    counts = [w.current.shape[1] for w in channels]
    blocks = [np.pad(w.current, ((0, 0), (sum(counts[:i]), sum(counts[i + 1 :])))) for i, w in enumerate(channels)]
    return Wires(*(np.concatenate([getattr(w, n) for w in channels]) for n in ("start", "end")), np.concatenate(blocks))


def path(points, closed: bool = True, current=None) -> Wires:
    """One channel along a polyline (n,3) m with one ampere, or with the current (S,) A of each piece."""
    points = np.asarray(points, float)
    whole = np.concatenate([points, points[:1]]) if closed else points
    flow = np.ones(len(whole) - 1, complex) if current is None else np.asarray(current, complex)
    return Wires(whole[:-1], whole[1:], flow[:, None])


def inductance(wires: Wires, radius, order: int = 8) -> np.ndarray:
    """Inductance (C,C) H of the channels, of round wire of `radius` (m, one or one per piece) whose current flows on its surface; no retardation.

    Partial inductances of all pairs of pieces, weighted with the real parts of the currents: channels may share pieces.
    Neumann's integral with sqrt(R^2 + radius^2) for the distance, one of the two integrals in closed form.
    """
    t, w = np.polynomial.legendre.leggauss(order)
    half, length = (wires.end - wires.start) / 2, wires.length
    along = 2 * half / length[:, None]
    points = (wires.start + half)[:, None] + t[:, None] * half[:, None]  # (S,order,3)
    flow, radii = wires.current.real, np.broadcast_to(radius, len(length))
    result = np.zeros((flow.shape[1],) * 2)
    for piece in range(len(length)):
        offset = points - wires.start[piece]
        ahead = offset @ along[piece]
        aside = np.sqrt(np.maximum(np.sum(offset**2, axis=-1) - ahead**2, 0) + radii[piece] ** 2)
        mean = (np.arcsinh(ahead / aside) - np.arcsinh((ahead - length[piece]) / aside)) @ w / 2
        mean[piece] = 2 * (np.arcsinh(length[piece] / radii[piece]) - (np.hypot(length[piece], radii[piece]) - radii[piece]) / length[piece])
        result += np.outer(flow[piece], (MU_0 / (4 * np.pi) * mean * length * (along @ along[piece])) @ flow)
    return (result + result.T) / 2


def loss(wires: Wires, resistance_per_metre: float) -> np.ndarray:
    """Power (C,C) W in the wire as a Hermitian form of peak port currents."""
    weighted = wires.current * np.sqrt(wires.length * resistance_per_metre / 2)[:, None]
    return weighted.conj().T @ weighted


# --- fields -----------------------------------------------------------------------------------------


def potential(wires: Wires, points, wavenumber: float):
    """Retarded vector potential (P,3,C) T·m at points (P,3) m."""
    places, flow = wires.elements()
    return MU_0 / (4 * np.pi) * _summed(_delayed, points, places, flow, wavenumber)


def flux_density(wires: Wires, points, wavenumber: float):
    """Retarded flux density (P,3,C) T at points (P,3) m."""
    return flux_of(*wires.elements(), points, wavenumber)


def flux_of(places, flow, points, wavenumber: float):
    """The same of current elements (Q,3,C) A·m at places (Q,3) m."""
    return MU_0 / (4 * np.pi) * _summed(_curl, points, places, flow, wavenumber)


def electric_field(wires: Wires, points, frequency: float):
    """-j w A - grad phi (P,3,C) V/m at points (P,3) m off the wires; the charges are where current ends."""
    omega = 2 * np.pi * frequency
    wavenumber = omega / 299792458.0
    field = -1j * omega * potential(wires, points, wavenumber)
    places, current = wires.ends()
    if not len(places):
        return field
    charge = current / (1j * omega)
    return field + _summed(_gradient, points, places, charge, wavenumber) / (4 * np.pi * EPSILON_0)


def _summed(kernel, points, places, weights, wavenumber):
    """Sum of a kernel over all places, tile by tile of the points."""
    points = jnp.asarray(points)
    count = -len(points) % _TILE
    tiles = jnp.pad(points, ((0, count), (0, 0)), mode="edge").reshape(-1, _TILE, 3)
    values = _tiled(kernel, tiles, jnp.asarray(places), jnp.asarray(weights), wavenumber)
    return values.reshape(-1, *values.shape[2:])[: len(points)]


@partial(jax.jit, static_argnums=0)
def _tiled(kernel, tiles, places, weights, wavenumber):
    return jax.lax.map(lambda tile: kernel(tile, places, weights, wavenumber), tiles)


def _apart(points, places):
    offset = points[:, None] - places
    square = jnp.sum(offset**2, axis=-1)
    some = jnp.where(square > 0, square, 1.0)
    return offset, jnp.where(square > 0, 1 / jnp.sqrt(some), 0.0), jnp.sqrt(some)


def _delayed(points, places, flow, k):
    _, inverse, r = _apart(points, places)
    return jnp.einsum("pq,qac->pac", jnp.exp(-1j * k * r) * inverse, flow)


def _curl(points, places, flow, k):
    """I dl x R (1 + j k R) exp(-j k R)/R^3: R = p - q is taken apart so that no (P,Q,3,C) arises."""
    _, inverse, r = _apart(points, places)
    wave = jnp.exp(-1j * k * r) * (1 + 1j * k * r) * inverse**3
    near = jnp.einsum("pq,qac->pac", wave, flow)
    moment = jnp.einsum("pq,qac->pac", wave, jnp.cross(flow, places[:, :, None], axis=1))
    return jnp.cross(near, points[:, :, None], axis=1) - moment


def _gradient(points, places, charge, k):
    """-grad of q exp(-j k R)/R."""
    offset, inverse, r = _apart(points, places)
    return jnp.einsum("pq,pqa,qc->pac", jnp.exp(-1j * k * r) * (1 + 1j * k * r) * inverse**3, offset, charge)
