"""How far a superconducting winding is from its critical surface.

The field on a conductor and its current rise together: B = k I, the load line.  It meets the critical surface at a
current I_c; the load fraction is I/I_c and the margin 1 - I/I_c.  Everything here is point by point and smooth, so
that an optimiser can hold a limit on every sample point; `block_margins` is the summary for people, which also says
where a fit was left (OUTSIDE MODEL).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np

from designtools.materials.superconductors import Surface
from designtools.quantities.coaxial import perimeter, section_field

_HALVINGS = 60


@dataclass(frozen=True)
class Wire:
    """A conductor as it is wound.

    surface: its critical surface; width, height (m): pitch of the turns along the axis and of the layers across it,
    insulation included; metal_fraction: share of that rectangle that is metal; copper_ratio: area of all other metal
    over that of the superconductor; rrr: residual resistance ratio of the copper.
    """

    surface: Surface
    width: float
    height: float
    metal_fraction: float = 0.85
    copper_ratio: float = 4.0
    rrr: float = 100.0

    def __post_init__(self):
        for name, most in (("width", np.inf), ("height", np.inf), ("metal_fraction", 1.0), ("copper_ratio", np.inf), ("rrr", np.inf)):
            if not 0 < getattr(self, name) <= most:
                raise ValueError(f"Wire: {name} must be positive{'' if most == np.inf else ' and at most 1'}, got {getattr(self, name)}")

    @property
    def area(self) -> float:
        """Insulated section (m2)."""
        return self.width * self.height

    @property
    def superconductor(self) -> float:
        """Share of the insulated section that is superconductor."""
        return self.metal_fraction / (1 + self.copper_ratio)

    @property
    def copper(self) -> float:
        """Share of the insulated section that is copper (or whatever else the metal is)."""
        return self.metal_fraction - self.superconductor


# --- one point ----------------------------------------------------------------------------------------


@partial(jax.jit, static_argnums=0)
def load_fraction(surface: Surface, along, across, density, temperature):
    """I/I_c on the load line through (along, across) (T) at `density` (A/m2 in the superconductor) and temperature (K).

    Arrays that broadcast.  I_c is where the scaled field meets the surface; above the critical temperature the
    fraction is 1e6.  The derivative is that of the intersection.
    """
    along, across, density = jnp.broadcast_arrays(*(jnp.asarray(v, float) for v in (along, across, density)))
    density = jnp.maximum(jnp.abs(density), 1.0)  # A/m2: without current the line would end where the surface has no slope
    excess = lambda scale, a, c, j: surface.density(scale * a, scale * c, temperature) - scale * j
    frozen = [jax.lax.stop_gradient(v) for v in (along, across, density)]
    scale = jnp.exp(_root(lambda s: excess(jnp.exp(s), *frozen), jnp.full(along.shape, np.log(1e-6)), np.log(1e6)))
    slope = jax.jvp(lambda s: excess(s, *frozen), (scale,), (jnp.ones_like(scale),))[1]
    return 1 / (scale - (excess(scale, along, across, density) - excess(scale, *frozen)) / slope)


def _root(decreasing, low, high):
    """Where a decreasing function crosses zero between low and high, entry by entry."""
    step = lambda _, ends: _halve(decreasing, *ends)
    low, high = jax.lax.fori_loop(0, _HALVINGS, step, (low, jnp.full(low.shape, high)))
    return (low + high) / 2


def _halve(decreasing, low, high):
    middle = (low + high) / 2
    above = decreasing(middle) > 0
    return jnp.where(above, middle, low), jnp.where(above, high, middle)


@partial(jax.jit, static_argnums=0)
def sharing_temperature(surface: Surface, along, across, density):
    """Temperature (K) at which Jc falls to `density` (A/m2 in the superconductor) at the field (along, across) T.

    Zero where the density is above the surface at any temperature.  Not to be differentiated.
    """
    along, across, density = jnp.broadcast_arrays(*(jnp.asarray(v, float) for v in (along, across, density)))
    lowest = jnp.zeros(along.shape)
    found = _root(lambda t: surface.density(along, across, jnp.maximum(t, 1e-3)) - jnp.abs(density), lowest, surface.critical_temperature)
    return jnp.where(found < 1e-6, 0.0, found)


def allowed_field(surface: Surface, density: float, temperature: float, margin: float) -> float:
    """Largest |B| (T) on a conductor of fixed `density` (A/m2 in the superconductor) that leaves a load-line margin.

    The worst direction is taken where the surface depends on it.  Raises ValueError where the surface would be left:
    at the point (B, J)/(1 - margin) on it.
    """
    scale = 1 / (1 - margin)
    excess = lambda b: surface.density(*((0.0, b) if surface.anisotropic else (b, 0.0)), temperature) - scale * density
    found = float(jnp.exp(_root(lambda b: excess(jnp.exp(b)), jnp.array(np.log(1e-6)), np.log(1e3))))
    if trouble := surface.outside(found, temperature):
        raise ValueError(
            f"{trouble}; the load line of {density / 1e6:.4g} A/mm2 with a margin of {100 * margin:g} % ends there: "
            "change the copper ratio"
        )
    return found / scale


# --- windings -----------------------------------------------------------------------------------------


def block_load_fraction(blocks, wires, temperature: float, count: int = 9):
    """I/I_c (N,Q) on `count` points along each side of every section; wires: one Wire, or one per block.

    |B| of a winding is largest on its surface: inside div grad |B|^2 = 2 |grad B|^2 - 2 mu0 J B_z/r, and |grad B|^2 is
    at least (mu0 J)^2/2, so there is no maximum within while B_z < mu0 J r/2, which every MRI magnet keeps by far.
    """
    wires = per_block(wires, len(blocks.z_low))
    field = section_field(blocks, *perimeter(blocks, count))
    density = jnp.abs(jnp.asarray(blocks.current_density))[:, None]
    fraction = lambda w, i: load_fraction(w.surface, field[i, :, 1], field[i, :, 0], density[i] / w.superconductor, temperature)
    return by_wire(wires, fraction)


def by_wire(wires, rows):
    """Rows (N,...) of all blocks from rows(wire, index): once per kind of wire, in the order of the blocks."""
    kinds = {wire: np.array([i for i, own in enumerate(wires) if own == wire]) for wire in dict.fromkeys(wires)}
    order = np.argsort(np.concatenate(list(kinds.values())))
    return jnp.concatenate([rows(wire, index) for wire, index in kinds.items()])[order]


def per_block(wires, count: int) -> tuple[Wire, ...]:
    """One wire per block; a single one serves all."""
    wires = (wires,) * count if isinstance(wires, Wire) else tuple(wires)
    if len(wires) != count:
        raise ValueError(f"wires must be one Wire or one per block, got {len(wires)} for {count} blocks")
    return wires


@dataclass(frozen=True)
class Margin:
    """The worst point of one block.

    fraction: I/I_c on the load line; margin: 1 - fraction; temperature_margin (K) to current sharing at the operating
    field; peak_field (T) and its place radius, height (m); outside: empty, or why the fit says nothing (OUTSIDE MODEL).
    """

    fraction: float
    temperature_margin: float
    peak_field: float
    radius: float
    height: float
    outside: str

    @property
    def margin(self) -> float:
        return 1 - self.fraction


def block_margins(blocks, wires, temperature: float, count: int = 33) -> tuple[Margin, ...]:
    """The margin of every block at its worst point, with a word where the intersection lies outside the fit."""
    wires = per_block(wires, len(blocks.z_low))
    r, z = (np.asarray(v) for v in perimeter(blocks, count))
    field = section_field(blocks, r, z)
    density = jnp.abs(jnp.asarray(blocks.current_density))[:, None]
    fraction = np.asarray(block_load_fraction(blocks, wires, temperature, count))
    shared = lambda w, i: sharing_temperature(w.surface, field[i, :, 1], field[i, :, 0], density[i] / w.superconductor)
    sharing = np.asarray(by_wire(wires, shared)).min(axis=1)
    size = np.linalg.norm(np.asarray(field), axis=-1)
    return tuple(
        _worst(wire, *row, temperature) for wire, *row in zip(wires, size, r, z, fraction, sharing)
    )


def _worst(wire: Wire, size, r, z, fraction, sharing, temperature) -> Margin:
    at = int(np.argmax(fraction))
    outside = wire.surface.outside(size[at] / fraction[at], temperature)
    return Margin(float(fraction[at]), float(sharing) - temperature, float(size.max()), float(r[at]), float(z[at]), outside)
