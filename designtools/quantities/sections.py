"""Field of rectangular sections about z at places some way off, with the derivatives by their edges in closed form.

A section with uniform density J is cut into Gauss-Legendre rings.  The derivative of its field by an edge is J times
the field of a sheet on that edge, a rule in one dimension: a Jacobian costs less than the value.
"""

from __future__ import annotations

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np

from designtools.kernels.loop import loop_field

MOST_NODES = 96


def nodes_for(edges, r, z, digits: float = 12.0) -> tuple[int, int]:
    """(along, across): Gauss points that give `digits` digits at places r, z (P,) for sections edges (N,4).

    n points err by rho^(-2n), where rho is that of the Bernstein ellipse through the nearest place.
    """
    inner, outer, low, high = np.asarray(edges)[:, :, None].transpose(1, 0, 2)
    r, z = np.asarray(r)[None], np.asarray(z)[None]
    beside = np.maximum(np.maximum(inner - r, r - outer), 0)
    above = np.maximum(np.maximum(low - z, z - high), 0)
    along = (np.hypot(z - low, beside) + np.hypot(z - high, beside)) / (high - low)
    across = (np.hypot(r - inner, above) + np.hypot(r - outer, above)) / (outer - inner)
    return _count(along.min(), digits), _count(across.min(), digits)


def _count(stretch: float, digits: float) -> int:
    rho = np.arccosh(max(stretch, 1 + 1e-6))
    return int(np.clip(np.ceil(digits * np.log(10) / (2 * rho)), 3, MOST_NODES))


@partial(jax.custom_jvp, nondiff_argnums=(4, 5))
def distant_field(edges, density, r, z, nodes, mirrored):
    """(B_z, B_r) (P,2) T at places r, z (P,) m of sections edges (N,4) m with density (N,) A/m2.

    edges: inner radius, outer radius, z_low, z_high.  mirrored adds the image of every section in the plane z = 0.
    nodes: (along, across) as from `nodes_for`.
    """
    return jnp.einsum("n,npc->pc", density, _by_section(edges, r, z, nodes, mirrored))


@distant_field.defjvp
def _distant_field_slope(nodes, mirrored, primals, tangents):
    edges, density, r, z = primals
    inner, outer, low, high = edges.T
    unit = _by_section(edges, r, z, nodes, mirrored)
    along = lambda radius: _side(low, high, radius, nodes[0])
    shell = lambda radius: _rings(along(radius)[1], along(radius)[0], along(radius)[2], r, z, mirrored)
    disc = lambda height: _rings(*_side(inner, outer, height, nodes[1]), r, z, mirrored)
    by_edge = jnp.stack([-shell(inner), shell(outer), -disc(low), disc(high)])
    slope = jnp.einsum("enpc,n,ne->pc", by_edge, density, tangents[0]) + jnp.einsum("npc,n->pc", unit, tangents[1])
    return jnp.einsum("n,npc->pc", density, unit), slope


def _by_section(edges, r, z, nodes, mirrored):
    """(N,P,2) T per A/m2."""
    inner, outer, low, high = edges.T
    (tz, wz), (tr, wr) = (np.polynomial.legendre.leggauss(n) for n in nodes)
    across, along = (m.ravel() for m in np.meshgrid(tr, tz, indexing="ij"))
    a = _between(inner, outer, across)
    b = _between(low, high, along)
    weight = np.outer(wr, wz).ravel() / 4 * ((outer - inner) * (high - low))[:, None]
    return _rings(a, b, weight, r, z, mirrored)


def _side(start, end, fixed, count):
    """Points of a rule from start to end (N,), the coordinate that stays, and weights: three (N,Q)."""
    t, w = np.polynomial.legendre.leggauss(count)
    points = _between(start, end, t)
    return points, jnp.broadcast_to(fixed[:, None], points.shape), w / 2 * (end - start)[:, None]


def _between(start, end, t):
    return (start + end)[:, None] / 2 + (end - start)[:, None] / 2 * t


def _rings(a, b, weight, r, z, mirrored):
    """(N,P,2): sums over the rings of each section, radius a, height b, current weight (N,Q)."""

    def one(part):
        radius, height, amperes = (v[:, None] for v in part)
        along, radial = loop_field(r * r, z - height, radius)
        if mirrored:
            twin, radial_twin = loop_field(r * r, z + height, radius)
            along, radial = along + twin, radial + radial_twin
        return jnp.stack([jnp.sum(amperes * along, axis=0), jnp.sum(amperes * radial, axis=0) * r], axis=-1)

    return jax.lax.map(one, (a, b, weight))
