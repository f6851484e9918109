"""Currents of thin wires by the method of moments: linear along each piece, continuous across, driven at ports.

Mixed-potential equation, Galerkin with rooftops (R. F. Harrington, Field Computation by Moment Methods, 1968, ch. 4):

    Z_mn = j w mu0/4pi  int int f_m . f_n G  +  1/(j w eps0 4pi)  int int f_m' f_n' G + losses and loads
    G = mean of exp(-j k R)/R around the wire, R^2 = d^2 + (2 a sin(phi/2))^2

`exact` takes the mean over the circumference (exact along a straight wire); without it R^2 = d^2 + a^2, the reduced kernel,
which has no solution in the limit of ever finer pieces but converges while they are longer than the wire is thick.
The inner integral of 1/R is closed; what is left is smooth.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from designtools.materials.tissues import EPSILON_0
from designtools.units import MU_0

LIGHT = 299792458.0  # m/s
_OUTER, _AROUND = 8, 6  # Gauss points along a piece and around the wire
_NEAR = 3.0  # lengths within which the mean around the wire is taken


class Strands(NamedTuple):
    """Pieces of wire between nodes: points (V,3) m, pieces (S,2) of node numbers, radius (m), ports (C,) and loads: nodes
    (each at an inner node of one wire) and what stands there in series, (L,) nodes and (L,) ohm."""

    points: np.ndarray
    pieces: np.ndarray
    radius: float
    ports: np.ndarray
    load_nodes: np.ndarray
    loads: np.ndarray

    @property
    def start(self) -> np.ndarray:
        return self.points[self.pieces[:, 0]]

    @property
    def way(self) -> np.ndarray:
        """(S,3) m from start to end."""
        return self.points[self.pieces[:, 1]] - self.start

    @property
    def length(self) -> np.ndarray:
        return np.linalg.norm(self.way, axis=1)


def strand(points, radius: float, port: int, closed: bool = False, load_nodes=(), loads=()) -> Strands:
    """One wire along a polyline (n,3) m, with a port at the node `port`."""
    points = np.asarray(points, float)
    first = np.arange(len(points) if closed else len(points) - 1)
    pieces = np.stack([first, (first + 1) % len(points)], axis=1)
    return Strands(points, pieces, radius, np.array([port]), np.asarray(load_nodes, int), np.asarray(loads, complex))


def together(strands) -> Strands:
    """Several wires as one system, each keeping its ports and loads."""
    shift = np.cumsum([0, *(len(s.points) for s in strands[:-1])])
    moved = lambda name: np.concatenate([getattr(s, name) + n for s, n in zip(strands, shift)])
    joined = [np.concatenate([getattr(s, name) for s in strands]) for name in ("points", "loads")]
    return Strands(joined[0], moved("pieces"), strands[0].radius, moved("ports"), moved("load_nodes"), joined[1])


# --- the basis --------------------------------------------------------------------------------------


def basis(wires: Strands) -> tuple[np.ndarray, np.ndarray]:
    """Weights (S,2,N): current at both ends of every piece per ampere of each rooftop; and the node (N,) of each.

    A node that joins two pieces carries one rooftop, one that joins more carries one less than its pieces, free ends none.
    """
    columns, nodes = [], []
    for node in range(len(wires.points)):
        touching = [(s, e) for s, e in zip(*np.nonzero(wires.pieces == node))]
        for other in touching[1:]:
            column = np.zeros((len(wires.pieces), 2))
            (s, e), (t, f) = touching[0], other
            # current flows in through the first piece and out through the other; along a piece it runs from start to end
            column[s, e] += 1.0 if e == 1 else -1.0
            column[t, f] += 1.0 if f == 0 else -1.0
            columns.append(column * column[s, e])  # forwards along the first piece
            nodes.append(node)
    return np.moveaxis(np.array(columns), 0, -1), np.array(nodes)


# --- the matrix -------------------------------------------------------------------------------------


def impedance_matrix(wires: Strands, frequency: float, series_per_metre: complex = 0.0, exact: bool = True) -> np.ndarray:
    """Z (N,N) ohm between rooftops, with `series_per_metre` (ohm/m) of the wire and the loads; symmetric."""
    omega, k = 2 * np.pi * frequency, 2 * np.pi * frequency / LIGHT
    weights, nodes = basis(wires)
    potential, charge = _pairs(wires, k, exact)
    way, length = wires.way, wires.length
    along = way @ way.T / np.outer(length, length)
    slope = (weights[:, 1] - weights[:, 0]) / length[:, None]
    z = 1j * omega * MU_0 / (4 * np.pi) * np.einsum("sin,stij,tjm->nm", weights, potential * along[..., None, None], weights, optimize=True)
    z += slope.T @ charge @ slope / (4j * np.pi * omega * EPSILON_0)
    z += np.einsum("sin,ij,s,sjm->nm", weights, np.array([[2, 1], [1, 2]]) / 6, series_per_metre * length, weights, optimize=True)
    z[np.arange(len(z)), np.arange(len(z))] += _lumped(wires, nodes)
    return (z + z.T) / 2


def _lumped(wires, nodes):
    at = np.zeros(len(nodes), complex)
    for node, load in zip(wires.load_nodes, wires.loads):
        at[nodes == node] += load
    return at


def _pairs(wires: Strands, k: float, exact: bool):
    """Integrals over all pairs of pieces of G with the linear functions at both ends (S,S,2,2) and with 1 (S,S), in m.

    The outer one by Gauss points that crowd at the ends, 1/R inside in closed form.
    """
    x, w = _crowded(_OUTER)
    start, way, length = wires.start, wires.way, wires.length
    unit = way / length[:, None]
    places = start[:, None] + x[None, :, None] * way[:, None]  # (S,Q,3)
    weight, shape = w[None] * length[:, None], np.stack([1 - x, x])  # (S,Q), (2,Q)
    linear = np.zeros((len(length), len(length), 2, 2), complex)
    constant = np.zeros((len(length),) * 2, complex)
    for t in range(len(length)):
        flat, ramp = _inner(places, start[t], unit[t], length[t], wires.radius, k, exact)  # (S,Q) each
        both = np.stack([flat - ramp, ramp])
        linear[:, t] = np.einsum("sq,iq,jsq->sij", weight, shape, both, optimize=True)
        constant[:, t] = np.sum(weight * flat, axis=1)
    return linear, constant


def _crowded(count):
    """Nodes and weights on 0..1, denser at both ends: t = u^2 (3 - 2u)."""
    u, w = np.polynomial.legendre.leggauss(count)
    u, w = (u + 1) / 2, w / 2
    return u**2 * (3 - 2 * u), w * 6 * u * (1 - u)


def _inner(places, start, unit, length, radius, k, exact):
    """Integral of G and of G t/length over one piece, at places (S,Q,3)."""
    offset = places - start
    ahead = offset @ unit
    square = np.maximum(np.sum(offset**2, axis=-1) - ahead**2, 0.0)
    flat, ramp = _static(ahead, square + radius**2, length)
    if exact:
        close = (square < (_NEAR * length) ** 2) & (np.abs(ahead - length / 2) < (_NEAR + 0.5) * length)
        around, share = _around()
        parts = [_static(ahead[close], square[close] + (2 * radius * s) ** 2, length) for s in around]
        flat[close], ramp[close] = (sum(p * part[i] for p, part in zip(share, parts)) for i in (0, 1))
    smooth, tilted = _smooth(ahead, square + radius**2, length, k)
    return flat + smooth, ramp + tilted


def _around():
    """sin(phi/2) and shares of nodes around the wire, denser where the points meet."""
    u, w = np.polynomial.legendre.leggauss(2 * _AROUND)
    u, w = (u + 1) / 2, w / 2
    return np.sin(np.pi / 2 * u**3), w * 3 * u**2


def _static(ahead, square, length):
    """Integrals of 1/R and of t/(length R), R^2 = (t - ahead)^2 + square."""
    root = np.sqrt(square)
    flat = np.arcsinh((length - ahead) / root) + np.arcsinh(ahead / root)
    ramp = np.sqrt((length - ahead) ** 2 + square) - np.sqrt(ahead**2 + square) + ahead * flat
    return flat, ramp / length


def _smooth(ahead, square, length, k):
    """The same of (exp(-jkR) - 1)/R, by Gauss points."""
    t, w = np.polynomial.legendre.leggauss(6)
    t, w = (t + 1) / 2, w / 2 * length
    r = np.sqrt((ahead[..., None] - t * length) ** 2 + square[..., None])
    values = np.expm1(-1j * k * r) / r
    return values @ w, values @ (w * t)


# --- ports ------------------------------------------------------------------------------------------


class Driven(NamedTuple):
    """Currents (N,C) A of the rooftops per ampere at each port, all other ports open, and port impedance (C,C) ohm."""

    current: np.ndarray
    impedance: np.ndarray


def port_columns(wires: Strands) -> np.ndarray:
    """(N,C): which rooftop each port drives.  ValueError where a port is no inner node of a single wire."""
    _, nodes = basis(wires)
    columns = (nodes[:, None] == wires.ports[None]).astype(float)
    if np.any(columns.sum(axis=0) != 1):
        raise ValueError("port_columns: every port must be an inner node where exactly two pieces meet; move it off the ends and the branches")
    return columns


def driven(matrix, columns) -> Driven:
    """The wires alone: voltages at the ports, then one ampere in one port at a time."""
    per_volt = np.linalg.solve(matrix, columns)
    return per_ampere(per_volt, columns)


def per_ampere(per_volt, columns) -> Driven:
    """From the currents (N,C) for one volt at each port, all others shorted."""
    z = np.linalg.inv(columns.T @ per_volt)
    return Driven(per_volt @ z, (z + z.T) / 2)


# --- fields -----------------------------------------------------------------------------------------


def elements(wires: Strands, current, order: int = 4):
    """Gauss points (Q,3) m, I dl (Q,3,C) A·m and dI (Q,C) A (its fall along the wire) of currents (N,C) of the rooftops."""
    weights, _ = basis(wires)
    ends = np.einsum("sin,nc->sic", weights, current)
    t, w = np.polynomial.legendre.leggauss(order)
    t, w = (t + 1) / 2, w / 2
    places = wires.start[None] + t[:, None, None] * wires.way[None]
    flow = (1 - t)[:, None, None] * ends[None, :, 0] + t[:, None, None] * ends[None, :, 1]  # (q,S,C)
    moment = (w[:, None, None] * flow)[:, :, None] * wires.way[None, :, :, None]
    fall = w[:, None, None] * (ends[:, 0] - ends[:, 1])[None]
    channels = current.shape[1]
    return places.reshape(-1, 3), moment.reshape(-1, 3, channels), fall.reshape(-1, channels)


def tangential(wires: Strands, points, axis, frequency: float, order: int = 4) -> np.ndarray:
    """E (P,N) V/m along `axis` (P,) (0, 1 or 2) at points (P,3) m off the wires, per ampere of every rooftop."""
    omega, k = 2 * np.pi * frequency, 2 * np.pi * frequency / LIGHT
    weights, _ = basis(wires)
    t, w = np.polynomial.legendre.leggauss(order)
    t, w = (t + 1) / 2, w / 2
    field = np.zeros((len(points), weights.shape[2]), complex)
    for piece, (start, way) in enumerate(zip(wires.start, wires.way)):
        ends = weights[piece]  # (2,N)
        used = np.flatnonzero(ends.any(axis=0))
        offset = points[:, None] - (start + t[:, None] * way)
        r = np.sqrt(np.sum(offset**2, axis=-1))
        wave = np.exp(-1j * k * r) / r * w
        push = -1j * omega * MU_0 / (4 * np.pi) * way[axis][:, None] * wave
        rise = np.stack([push @ (1 - t), push @ t], axis=1)
        pull = np.sum(wave * (1 + 1j * k * r) / r**2 * np.take_along_axis(offset, axis[:, None, None], axis=2)[..., 0], axis=1)
        charge = (ends[0] - ends[1]) / (1j * omega * 4 * np.pi * EPSILON_0)
        field[:, used] += rise @ ends[:, used] + pull[:, None] * charge[used]
    return field


def radiated(wires: Strands, driven: Driven, frequency: float, degree: int = 24) -> np.ndarray:
    """Power (C,C) W that wires without a body radiate, as a form of peak port currents, by the far field over a sphere."""
    k = 2 * np.pi * frequency / LIGHT
    mu, weight = np.polynomial.legendre.leggauss(degree)
    phi = 2 * np.pi * np.arange(2 * degree) / (2 * degree)
    mu, phi = (v.ravel() for v in np.meshgrid(mu, phi, indexing="ij"))
    out = np.stack([np.sqrt(1 - mu**2) * np.cos(phi), np.sqrt(1 - mu**2) * np.sin(phi), mu], axis=1)
    places, moment, _ = elements(wires, driven.current)
    far = np.einsum("pq,qac->pac", np.exp(1j * k * out @ places.T), moment)
    far = far - out[:, :, None] * np.einsum("pa,pac->pc", out, far)[:, None]
    solid = np.repeat(weight, 2 * degree) * 2 * np.pi / (2 * degree)
    return MU_0 * LIGHT * k**2 / (32 * np.pi**2) * np.einsum("p,pac,pad->cd", solid, far.conj(), far)
