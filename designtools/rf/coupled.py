"""Thin wires and a body as one system: currents of the wires by moments, the body by its volume integral equation.

    Z I - c B^T x = V                       rooftops: their own impedance, and the field of the body along them
    x/chi - L x   = B I                     edges: the field of the wires drives the body

B: field of every rooftop along every edge; reaction on the wires by reciprocity, with c = j w eps0 h^3.  The wires are
eliminated: one term of low rank beside the product of the body alone, which stays complex symmetric.
"""

from __future__ import annotations

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from designtools.materials.tissues import EPSILON_0
from designtools.rf import moments, solution, volume_integral, wires
from designtools.rf.body import Body, edge_points
from designtools.rf.krylov import gmres

LIGHT = 299792458.0  # m/s
LARGEST = 2.5e9  # bytes of B


class _Wired(NamedTuple):
    """B (n,N) V/m, core = c Z^-1 (N,N)."""

    field: jax.Array
    core: jax.Array


def full_wave(body: Body, strands: moments.Strands, frequency: float, resistance_per_metre: float, tolerance: float = 1e-4, progress=None):
    """Fields per ampere of each port, all other ports open, with port impedances and the currents along the wires.

    ValueError where the coupling does not fit the memory.
    """
    k, omega = 2 * np.pi * frequency / LIGHT, 2 * np.pi * frequency
    op = volume_integral.operator(body, k)
    contrast = volume_integral.edge_contrast(body.permittivity, body.label)
    matrix = moments.impedance_matrix(strands, frequency, resistance_per_metre)
    _refuse_large(len(op.support), len(matrix))
    field = _field(body, op, strands, frequency)
    inverse, scale = np.linalg.inv(matrix), 1j * omega * EPSILON_0 * body.spacing**3
    wired = _Wired(jnp.asarray(field), jnp.asarray(scale * inverse))
    columns = moments.port_columns(strands)
    found = [_solved(op, contrast, wired, inverse @ column, tolerance, progress, f"{n + 1} of {columns.shape[1]}") for n, column in enumerate(columns.T)]
    x = np.stack([np.asarray(f.x).ravel()[np.asarray(op.support)] for f in found], axis=1)
    driven = moments.per_ampere(inverse @ (columns + scale * field.T @ x), columns)
    return _fields(body, op, contrast, strands, frequency, found, driven, columns, tolerance)


def _refuse_large(unknowns: int, rooftops: int) -> None:
    if 16 * unknowns * rooftops > LARGEST:
        words = f"must keep edges times rooftops below {LARGEST / 16:.2g}, got {unknowns} x {rooftops}"
        raise ValueError(f"coupled.full_wave: the body and the wires {words}; use larger voxels or fewer elements")


def _field(body: Body, op, strands, frequency) -> np.ndarray:
    """B (n,N): the component along each edge of the support."""
    support = np.asarray(op.support)
    points = edge_points(body).reshape(-1, 3)[support]
    return moments.tangential(strands, points, support // np.prod(op.shape), frequency)


def _solved(op, contrast, wired, current, tolerance, progress, which):
    """x for the currents that one volt drives in the wires alone."""
    incident = jnp.zeros(contrast.size, complex).at[op.support].set(wired.field @ current).reshape(contrast.shape)
    found = _solve(op._replace(shape=None), op.shape, contrast, incident, wired, tolerance, volume_integral._steps(len(op.support)))
    if progress:
        progress(f"full wave and wires, port {which}: {int(found.products)} products, residual {float(found.residual):.1e}")
    return found


@partial(jax.jit, static_argnums=(1, 6))
def _solve(op, shape, contrast, incident, wired, tolerance, restart):
    op = op._replace(shape=shape)
    scale = jnp.sqrt(contrast.ravel()[op.support])

    def product(y):
        x = scale * y
        reaction = wired.field @ (wired.core @ (x @ wired.field))
        return y - scale * (volume_integral._scattered(op, x) + reaction)

    y, products, residual = gmres(product, scale * incident.ravel()[op.support], tolerance, restart)
    x = jnp.zeros(incident.size, complex).at[op.support].set(scale * y, unique_indices=True)
    return volume_integral.Scattered(x.reshape(incident.shape), products, residual)


def _fields(body, op, contrast, strands, frequency, found, driven, columns, tolerance):
    """Fields per ampere at the ports, from those per volt."""
    k = 2 * np.pi * frequency / LIGHT
    volts = driven.impedance
    edges = np.stack([np.asarray(volume_integral.total_field(op, contrast, f)) for f in found], axis=-1) @ volts
    body_flux = np.stack([np.asarray(volume_integral.scattered_flux(op, f.x, frequency))[body.inside] for f in found], axis=-1) @ volts
    places, moment, _ = moments.elements(strands, driven.current)
    flux = body_flux + np.asarray(wires.flux_of(places, moment, body.centres, k))
    residual = [float(f.residual) for f in found]
    notes = {"method": "volume integral equation on Yee edges, thin wires by moments", "unknowns": len(op.support), "rooftops": len(driven.current)}
    notes |= {"products": [int(f.products) for f in found], "residual": residual, "largest residual": max(residual), "tolerance": tolerance}
    fields = solution.gathered(body, list(np.moveaxis(edges, -1, 0)), list(np.moveaxis(flux, -1, 0)), frequency, notes)
    return fields._replace(impedance=driven.impedance, flow=driven.current)


def port_power(impedance) -> np.ndarray:
    """Power (C,C) W that peak port currents deliver: the Hermitian part of Z over two."""
    return (np.asarray(impedance) + np.asarray(impedance).conj().T) / 4
