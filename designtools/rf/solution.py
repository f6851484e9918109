"""Fields of a coil in a body, by either tier, in one form: what SAR, B1 and SNR are asked of."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from designtools.materials.tissues import conductivity
from designtools.rf import quasistatic, volume_integral, wires
from designtools.rf.body import Body, edge_mean, edge_points

LIGHT = 299792458.0  # m/s


class Fields(NamedTuple):
    """Fields per ampere of each port, at the voxels with tissue (V), in the order of body.centres.

    electric (V,12,C) V/m: along the four edges of each voxel along x, then y, z; flux (V,3,C) T at the centres;
    power (C,C) W: absorbed power as a Hermitian form of the currents; notes: how it was solved.
    Where the currents of the wires were found with the fields: impedance (C,C) ohm of the ports, and flow (N,C) A of every
    rooftop per ampere at the ports (`moments`); else both are empty.
    """

    electric: np.ndarray
    flux: np.ndarray
    power: np.ndarray
    notes: dict
    impedance: np.ndarray = np.zeros((0, 0))
    flow: np.ndarray = np.zeros((0, 0))


def full_wave(body: Body, coil: wires.Wires, frequency: float, tolerance: float = 1e-4, progress=None) -> Fields:
    """Tier 3: the volume integral equation, channel by channel with one kernel."""
    k = 2 * np.pi * frequency / LIGHT
    op = volume_integral.operator(body, k)
    contrast = volume_integral.edge_contrast(body.permittivity, body.label)
    incident = _on_support(body, coil, frequency, contrast)
    own = np.asarray(wires.flux_density(coil, body.centres, k))
    electric, flux, products, residual = [], [], [], []
    for channel in range(coil.current.shape[1]):
        found = volume_integral.solve(op, contrast, incident[..., channel], tolerance)
        electric.append(np.asarray(volume_integral.total_field(op, contrast, found)))
        flux.append(np.asarray(volume_integral.scattered_flux(op, found.x, frequency))[body.inside] + own[..., channel])
        products.append(int(found.products))
        residual.append(float(found.residual))
        if progress:
            progress(f"full-wave channel {channel + 1} of {coil.current.shape[1]}: {products[-1]} products, residual {residual[-1]:.1e}")
    notes = {"method": "volume integral equation on Yee edges", "unknowns": len(op.support), "products": products, "residual": residual}
    return gathered(body, electric, flux, frequency, notes | {"largest residual": max(residual), "tolerance": tolerance})


def quasi_static(body: Body, coil: wires.Wires, frequency: float, tolerance: float = 1e-6, progress=None) -> Fields:
    """Tier 1: E = -j w A - grad phi, B of the coil alone; for |k| a well below 1."""
    flux = np.asarray(wires.flux_density(coil, body.centres, 0.0))
    points = edge_points(body).reshape(-1, 3)
    where = np.flatnonzero(np.asarray(edge_mean(body.inside.astype(float))).ravel() > 0)
    potential = np.zeros((len(points), 3, coil.current.shape[1]), complex)
    potential[where] = np.asarray(wires.potential(coil, points[where], 0.0))
    electric, steps = quasistatic.electric_field(body, _own_component(potential, body), frequency, tolerance)
    notes = {"method": "quasi-static: -j w A - grad phi with Poisson's equation on the nodes", "steps": steps}
    return gathered(body, list(np.moveaxis(electric, -1, 0)), list(np.moveaxis(flux, -1, 0)), frequency, notes)


def _on_support(body, coil, frequency, contrast):
    """The coil's own field (3,N,N,N,C) V/m on the edges with tissue, zero elsewhere."""
    where = np.flatnonzero(np.asarray(contrast).ravel() != 0)
    points = edge_points(body).reshape(-1, 3)[where]
    axis = where // (np.asarray(contrast).size // 3)
    field = np.zeros((np.asarray(contrast).size, coil.current.shape[1]), complex)
    field[where] = np.asarray(wires.electric_field(coil, points, frequency))[np.arange(len(where)), axis]
    return field.reshape(*np.asarray(contrast).shape, -1)


def _own_component(values, body):
    """From vectors (3NNN,3,C) at the edges, the component along each edge (3,N,N,N,C)."""
    shape = tuple(n + 1 for n in body.label.shape)
    values = values.reshape(3, *shape, 3, -1)
    return np.stack([values[axis, ..., axis, :] for axis in range(3)])


def gathered(body, electric, flux, frequency, notes) -> Fields:
    """Fields of channels, each on the edges (3,N,N,N) and at the voxels (V,3), as one."""
    edges = np.stack([edges_of_voxels(body, field) for field in electric], axis=-1)
    return Fields(edges, np.stack(flux, axis=-1), power_form(body, edges, frequency), notes)


def edges_of_voxels(body: Body, edges) -> np.ndarray:
    """Field (V,12) along the twelve edges of every voxel with tissue, four along each axis, from edges (3,N,N,N)."""
    index = np.argwhere(body.inside)
    return np.stack([edges[(axis, *(index + np.array(step)).T)] for axis in range(3) for step in _corners(axis)], axis=-1)


def _corners(axis):
    """Offsets of the four edges of a voxel along an axis."""
    steps = [(a, b) for a in (0, 1) for b in (0, 1)]
    return [tuple(np.insert(step, axis, 0)) for step in steps]


def power_form(body: Body, edges, frequency: float) -> np.ndarray:
    """Absorbed power (C,C) W: E^H sigma E / 2 over all voxels, each with the mean over its edges."""
    sigma = voxel_conductivity(body, frequency)
    weighted = edges * np.sqrt(sigma / 8 * body.spacing**3)[:, None, None]
    flat = weighted.reshape(-1, edges.shape[-1])
    return flat.conj().T @ flat


def voxel_conductivity(body: Body, frequency: float) -> np.ndarray:
    """Effective conductivity (V,) S/m of the voxels with tissue."""
    return np.asarray(conductivity(np.asarray(body.permittivity), frequency))[body.label[body.inside]]


def electrical_size(body: Body, frequency: float) -> float:
    """|k| a: the largest wavenumber in the body times its half width."""
    k = 2 * np.pi * frequency / LIGHT * np.sqrt(np.abs(body.permittivity[np.unique(body.label)]).max())
    return float(k * np.ptp(body.centres, axis=0).max() / 2)
