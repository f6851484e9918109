"""What follows from the field of any source: its gradient, scalar potential, force and torque."""

from __future__ import annotations

import jax
import jax.numpy as jnp

from designtools.sources.assembly import leaves


def field_gradient(source, points):
    """dB_i/dx_j (P,3,3) T/m of any source at points (P,3) m; exact derivatives of its field, at three times its cost."""
    points = jnp.asarray(points)
    directions = jnp.broadcast_to(jnp.eye(3)[:, None, :], (3, *points.shape))
    slopes = jax.vmap(lambda step: jax.jvp(source.field, (points,), (step,))[1])(directions)
    return jnp.moveaxis(slopes, 0, -1)


def scalar_potential(source, points):
    """Magnetic scalar potential (P,) A at points (P,3) m, H = -grad of it; see the source for its branch.

    Raises TypeError for a source that has none in closed form (open wires, windings with current in their volume).
    """
    without = [part for part in leaves(source) if not hasattr(part, "scalar_potential")]
    if without:
        kinds = sorted({type(getattr(part, "source", part)).__name__ for part in without})
        raise TypeError(
            f"scalar_potential: every part must have one (magnets, dipoles, loops, sheets, uniform fields), got "
            f"{', '.join(kinds)}; use `potential`, the vector potential, instead"
        )
    return source.scalar_potential(jnp.asarray(points))


def force(source, in_field_of, nodes: int = 64):
    """Force (3,) N on `source` in the field of another source, which must not contain it.

    Currents: sum of I dl x B; magnets: surface charge (J.n/mu0) times B over their faces, exact for a field without
    sources inside the magnet; dipoles: gradient of m.B.  nodes: points round each loop or block; segments, block
    sections and faces use Gauss points.
    """
    return jnp.sum(_forces(source, in_field_of, nodes)[1], axis=0)


def torque(source, in_field_of, nodes: int = 64):
    """Torque (3,) N·m about the ORIGIN on `source` in the field of another source; see `force`."""
    points, forces, couples = _forces(source, in_field_of, nodes)
    return jnp.sum(jnp.cross(points, forces), axis=0) + jnp.sum(couples, axis=0)


def _forces(source, in_field_of, nodes):
    """Points (Q,3) m, the force on each (Q,3) N and the couple on each (Q,3) N·m."""
    pieces = [_piece_forces(part, in_field_of, nodes) for part in leaves(source)]
    return tuple(jnp.concatenate(arrays) for arrays in zip(*pieces))


def _piece_forces(part, in_field_of, nodes):
    if hasattr(part, "current_elements"):
        points, elements = part.current_elements(nodes)
        forces = jnp.cross(elements, in_field_of.field(points))
        return points, forces, jnp.zeros_like(forces)
    if hasattr(part, "charge_elements"):
        points, charge = part.charge_elements(nodes)
        forces = charge[:, None] * in_field_of.field(points)
        return points, forces, jnp.zeros_like(forces)
    if hasattr(part, "dipole_elements"):
        points, moment = part.dipole_elements()
        forces = jnp.einsum("qi,qij->qj", moment, field_gradient(in_field_of, points))
        return points, forces, jnp.cross(moment, in_field_of.field(points))
    raise TypeError(
        f"force: the source must carry currents, polarization or dipoles, got {type(part).__name__}; "
        "leave background fields out"
    )
