"""What a magnet of `Blocks` is wound from: turns, layers, length of wire, mass of each component, inductances."""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np

from designtools.materials.metals import COPPER_DENSITY, INSULATION_DENSITY
from designtools.quantities.coaxial import linkage_matrix
from designtools.quantities.superconductor import per_block


def operating_currents(blocks, wires):
    """Current (N,) A of one turn of each block, with the sign of its density: J times the insulated section."""
    return blocks.current_density * _each(wires, blocks, "area")


def layers(blocks, wires):
    """Layers (N,) across each block: a whole number where the section fits the wire."""
    return (blocks.outer_radius - blocks.inner_radius) / _each(wires, blocks, "height")


def turns_per_layer(blocks, wires):
    """Turns (N,) along each block: a whole number where the section fits the wire."""
    return (blocks.z_high - blocks.z_low) / _each(wires, blocks, "width")


def turns(blocks, wires):
    """Turns (N,) of each block."""
    return layers(blocks, wires) * turns_per_layer(blocks, wires)


def conductor_length(blocks, wires):
    """Length (N,) m of wire in each block: its volume over the insulated section."""
    return blocks.volume() / _each(wires, blocks, "area")


def masses(blocks, wires) -> dict:
    """Mass (N,) kg of each block by component: superconductor, copper (all other metal), insulation."""
    volume, metal = blocks.volume(), _each(wires, blocks, "metal_fraction")
    heavy = jnp.array([wire.surface.mass_density for wire in per_block(wires, len(blocks.z_low))])
    return {
        "superconductor": volume * _each(wires, blocks, "superconductor") * heavy,
        "copper": volume * _each(wires, blocks, "copper") * COPPER_DENSITY,
        "insulation": volume * (1 - metal) * INSULATION_DENSITY,
    }


def inductance_matrix(blocks, wires):
    """Inductances (N,N) H of the blocks as wound, each a circuit; in series the magnet has their sum.

    Positive current turns as the block's own density does, so that the energy is sum_ij M_ij I_i I_j/2 with positive I.
    """
    amperes = jnp.abs(operating_currents(blocks, wires))
    return linkage_matrix(blocks) / jnp.outer(amperes, amperes)


def _each(wires, blocks, name: str):
    return jnp.array(np.array([getattr(wire, name) for wire in per_block(wires, len(blocks.z_low))], float))
