"""A conducting tube around a coil: the currents that flow in it so that no flux enters, by windows of a grid.

The tube is divided into windows, each with a loop current, and one more current around it; their flux vanishes:
L i = -M I.  Slowly varying: the tube must be small against the wavelength.  The grid's wires count as strips.
"""

from __future__ import annotations

import numpy as np

from designtools.rf import wires


def tube(radius: float, length: float, around: int, along: int) -> wires.Wires:
    """Windows of a tube about z, one channel each, and the current around its upper rim as the last."""
    phi, z = 2 * np.pi * np.arange(around) / around, np.linspace(-length / 2, length / 2, along + 1)
    at = lambda i, k: np.stack([radius * np.cos(phi[i % around]), radius * np.sin(phi[i % around]), z[k]], axis=-1)
    i, k = (v.ravel() for v in np.meshgrid(np.arange(around), np.arange(along + 1), indexing="ij"))
    window = np.eye(around * along).reshape(around, along, -1)
    above = np.pad(window, ((0, 0), (0, 1), (0, 0)))  # the window whose lower edge is this ring
    rings = above - np.roll(above, 1, axis=1)
    rim = np.zeros((around, along + 1, 1))
    rim[:, -1] = 1
    posts = np.pad(np.roll(window, 1, axis=0) - window, ((0, 0), (0, 0), (0, 1)))  # upwards: right edge of the window before
    j, l = (v.ravel() for v in np.meshgrid(np.arange(around), np.arange(along), indexing="ij"))
    start, end = np.concatenate([at(i, k), at(j, l)]), np.concatenate([at(i + 1, k), at(j, l + 1)])
    current = np.concatenate([np.concatenate([rings, rim], axis=2).reshape(-1, around * along + 1), posts.reshape(-1, around * along + 1)])
    return wires.Wires(start, end, current.astype(complex))


def spacing(radius: float, length: float, around: int, along: int) -> float:
    """Mean width (m) of the strip that a wire of the grid stands for."""
    return float(np.sqrt(2 * np.pi * radius / around * length / along))


def shielded(coil: wires.Wires, shield: wires.Wires, radius: float, shield_radius: float) -> wires.Wires:
    """The coil and what flows in the shield per ampere of each channel; radius and shield_radius (m) of their round wires.

    Field and inductance of the whole follow from the currents: the energy is least where no flux enters.
    """
    both = wires.joined([coil, shield])
    radii = np.repeat([radius, shield_radius], [len(coil.start), len(shield.start)])
    matrix = wires.inductance(both, radii)
    n = coil.current.shape[1]
    induced = -np.linalg.solve(matrix[n:, n:], matrix[n:, :n])
    return wires.Wires(both.start, both.end, both.current[:, :n] + both.current[:, n:] @ induced)
