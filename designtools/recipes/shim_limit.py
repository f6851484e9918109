"""The most that any current on the loops' surface could do: least squares over stream functions at a given power."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy import linalg

from designtools.formers.cylinder import Cylinder
from designtools.quantities import shim
from designtools.recipes.shim_layout import training
from designtools.recipes.shim_sets import COPPER
from designtools.result import Figure, Lines
from designtools.sources.sheet import current_operator
from designtools.sources.sheet_operator import field_operator
from designtools.units import GAMMA_BAR

AROUND = 36  # triangles around the surface
POWERS = np.logspace(-3, 2, 41)  # of the array's own power


class Ultimate(NamedTuple):
    """powers (K,) W and what is left at each (K,) Hz; what is left at the array's own power; voxels looked at."""

    powers: np.ndarray
    left: np.ndarray
    at_own: float
    voxels: int


def ultimate(setting, power: float) -> Ultimate | None:
    """What any current on the surface of the last set of loops leaves, as a thin sheet of all its copper.

    power: W of the array, mean over the shots.  None where the loops lie on no cylinder or helmet.
    """
    chosen = [c for c in setting.channels if c.loops is not None and not c.set.first][-1:]
    if not chosen or chosen[0].set.arrangement not in ("cylinder", "helmet") or not power > 0:
        return None
    vertices, faces, basis = _sheet(setting, chosen[0])
    train = training(setting, chosen[0], 4000, 1)
    columns = GAMMA_BAR * field_operator(vertices, faces, train.points).transpose(0, 2, 1) @ setting.b0
    root = linalg.cholesky(_power_matrix(setting, chosen[0], vertices, faces, basis), lower=True)
    columns = linalg.solve_triangular(root, (columns @ basis).T, lower=True).T  # per square root of a watt
    spectra = [_spectrum(setting, train, s, columns) for s in train.shots]
    weight = float(np.sum(train.root**2))
    left = lambda price: np.sqrt(sum(_left(s, price) for s in spectra) / weight)
    spent = lambda price: sum(_spent(s, price) for s in spectra) / len(spectra)
    prices = [_price(spent, share * power, spectra) for share in (1.0, *POWERS)]
    return Ultimate(POWERS * power, np.array([left(p) for p in prices[1:]]), float(left(prices[0])), len(train.points))


def _sheet(setting, channels):
    """Vertices, faces, and the stream functions (V,K) that flow along rims and are zero somewhere."""
    import trimesh

    s, axis = channels.set, np.asarray(setting.spec.frame.bore_axis, float)
    if s.arrangement == "helmet":
        ball = trimesh.creation.icosphere(subdivisions=3)
        vertices = np.asarray(ball.vertices) * np.asarray(s.semi_axes)
        return vertices, np.asarray(ball.faces), np.eye(len(vertices))[:, 1:]
    from designtools.recipes.shim_sets import across

    first = across(axis)
    height = np.asarray(channels.loops.centre) @ axis
    length = float(np.ptp(height)) + 2 * s.loop_radius
    mesh = Cylinder(s.radius, length, np.stack([first, np.cross(axis, first), axis]), axis * float(height.mean())).mesh(2 * np.pi * s.radius / AROUND)
    inner = np.setdiff1d(np.arange(len(mesh.vertices)), np.concatenate(mesh.boundaries))
    basis = np.zeros((len(mesh.vertices), len(inner) + 1))
    basis[inner, np.arange(len(inner))] = 1.0
    basis[mesh.boundaries[1], -1] = 1.0
    return mesh.vertices, mesh.faces, basis


def _power_matrix(setting, channels, vertices, faces, basis) -> np.ndarray:
    """(K,K) ohm: dissipation of stream functions in a sheet that holds the copper of all loops."""
    a, b, c = (vertices[faces[:, k]] for k in range(3))
    area = np.linalg.norm(np.cross(b - a, c - a), axis=1) / 2
    section = setting.spec.section
    copper = 2 * np.pi * float(np.sum(channels.loops.radius)) * channels.set.turns * section.width * section.height
    flow = current_operator(vertices, faces) @ basis
    return COPPER * area.sum() / copper * flow.T @ (np.repeat(area, 3)[:, None] * flow)


def _spectrum(setting, train, index, columns):
    """Squared singular values of one shot, the target's share along each, and the square of what none of them reaches."""
    root = train.root[index]
    most = setting.over(lambda c: c.most)[_others(setting)]
    free = np.concatenate([root[:, None] * train.others[index][:, ~np.isfinite(most)], root[:, None] * np.ones((1, int(setting.spec.include_offset)))], axis=1)
    reduced = shim.reduced(root[:, None] * columns[index], free, root * train.frequency[index])
    values, vectors = np.linalg.eigh(reduced.H)
    keep = values > 1e-14 * values[-1]
    share = (vectors[:, keep].T @ reduced.g) ** 2 / values[keep]
    return values[keep], share, max(2 * reduced.constant - float(share.sum()), 0.0)


def _others(setting) -> np.ndarray:
    """Channels besides the loops in question that are not set first, as `training` keeps them."""
    chosen = [c for c in setting.channels if c.loops is not None and not c.set.first][-1]
    own = np.concatenate([np.full(len(c), c is chosen) for c in setting.channels])
    return ~own & ~setting.over(lambda c: c.set.first)


def _left(spectrum, price) -> float:
    values, share, rest = spectrum
    return float(np.sum(share * (price / (values + price)) ** 2)) + rest


def _spent(spectrum, price) -> float:
    values, share, _ = spectrum
    return float(np.sum(values * share / (values + price) ** 2))


def _price(spent, power: float, spectra) -> float:
    """The price of power (Hz2/W) at which just `power` W is spent; 0 where even without a price less is."""
    from scipy.optimize import brentq

    high = max(s[0].max() for s in spectra) * 1e8
    low = high * 1e-26
    if spent(low) <= power:
        return 0.0
    return float(np.exp(brentq(lambda t: np.log(spent(np.exp(t)) / power), np.log(low), np.log(high), xtol=1e-10)))


def drawn(found: Ultimate | None, own_power: float, own_left: float):
    """The curve for the report, and the figure."""
    if found is None:
        return {}, {}
    lines = Lines(
        "What any current on this surface could do", np.log10(found.powers), {"any current, the same copper as a sheet": found.left}, "Hz",
        x_unit="1", x_label="decimal logarithm of the power in watts", y_label="std left", marks={f"these loops, at {own_power:.3g} W": own_left},
        caption=f"Least squares over all stream functions on the surface at each power, on {found.voxels} voxels.",
    )  # fmt: skip
    words = f"any current on the surface of the loops, at the loops' power and copper, on {found.voxels} voxels"
    return {"ultimate": lines}, {"b0_std_ultimate": Figure(found.at_own, "Hz", words)}
