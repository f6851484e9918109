"""What a shim is worth: the map before and after, the currents, and the coils' field by other means."""

from __future__ import annotations

import numpy as np

from designtools.interop import to_magpylib
from designtools.recipes.field_map import voxel_centres
from designtools.recipes.product import Evidence
from designtools.result import Ball, FieldMap, Figure, Histogram, PlaneMap, Table
from designtools.spec.gradient import MATERIALS
from designtools.units import GAMMA_BAR, format

COPPER = MATERIALS["copper"].resistivity  # ohm·m at 20 degC
COLUMNS = 5  # slices beside one another


def evidence(setting, solution, product, progress) -> Evidence:
    """Figures of the mask before and after, currents and power, and the pictures."""
    before = setting.volume.values
    after = np.asarray(before + shim_frequency(setting, solution))
    figures = _map_figures(setting, before, after) | _current_figures(setting, solution)
    figures["optimality_gap"] = Figure(float(solution.gap), "1", "duality gap of the convex problem, relative to its objective")
    audit = _audit(setting, solution, product, before, after)
    return Evidence(figures, audit, _plots(setting, solution, before, after), _maps(setting, solution, after))


def shim_frequency(setting, solution) -> np.ndarray:
    """Frequency (P,) Hz that coils and offset add in the mask."""
    return GAMMA_BAR * np.asarray(solution.design.field(setting.volume.points)) @ setting.b0


def channel_currents(setting, solution) -> np.ndarray:
    """Currents (N,) A through the leads."""
    return np.asarray(solution.design.parts["coils"].current) / setting.spec.coils.turns


# --- figures ------------------------------------------------------------------------------------


def _map_figures(setting, before, after) -> dict[str, Figure]:
    count = f"{before.size} voxels of the mask"
    figures = {}
    for state, values in (("unshimmed", before), ("shimmed", after)):
        figures[f"b0_std_{state}"] = Figure(float(values.std()), "Hz", f"standard deviation over {count}")
        figures[f"b0_p2p_{state}"] = Figure(float(np.ptp(values)), "Hz", f"peak to peak over {count}")
    return figures | {"b0_std": figures["b0_std_shimmed"], "b0_p2p": figures["b0_p2p_shimmed"]}


def _current_figures(setting, solution) -> dict[str, Figure]:
    currents, resistance = channel_currents(setting, solution), _resistance(setting)
    lengths = _lengths(setting)
    offset = -GAMMA_BAR * float(np.asarray(solution.design.parts["offset"].flux_density) @ setting.b0)
    return {
        "current_max": Figure(float(np.abs(currents).max()), "A", "largest current of a channel"),
        "current_total": Figure(float(np.abs(currents).sum()), "A", "sum of the magnitudes over all channels"),
        "power": Figure(float(resistance @ currents**2), "W", "copper at 20 degC, the loops without leads"),
        "resistance": Figure(float(resistance.max()), "ohm", "of one channel, copper at 20 degC, without leads"),
        "conductor_length": Figure(float(lengths.sum()), "m", "all turns of all loops, without leads"),
        "centre_frequency_shift": Figure(offset, "Hz", "how far the centre frequency moves"),
    }


def _lengths(setting) -> np.ndarray:
    return 2 * np.pi * np.asarray(setting.loops.radius) * setting.spec.coils.turns


def _resistance(setting) -> np.ndarray:
    section = setting.spec.section
    return COPPER * _lengths(setting) / (section.width * section.height)


# --- audit --------------------------------------------------------------------------------------


def _audit(setting, solution, product, before, after) -> dict:
    """The map after, with the coils' field from magpylib; and the numbers by slice."""
    field = np.asarray(to_magpylib(product.source).getB(setting.volume.points)).reshape(-1, 3)
    offset = np.asarray(solution.design.parts["offset"].flux_density)
    judged = before + GAMMA_BAR * (field + offset) @ setting.b0
    states = {"unshimmed": before, "shimmed": after, "shimmed, coils by magpylib": judged}
    currents = channel_currents(setting, solution)
    return {
        "map": {name: _spread(values) for name, values in states.items()},
        "independent field": {"voxels compared": before.size, "largest difference (Hz)": float(np.abs(judged - after).max())},
        "currents_A": {f"channel {i + 1}": float(value) for i, value in enumerate(currents)},
    }


def _spread(values) -> dict:
    low, high = np.percentile(values, [0.5, 99.5])
    numbers = {"b0_std": values.std(), "b0_p2p": np.ptp(values), "range of 99 % (Hz)": high - low, "mean (Hz)": values.mean()}
    return {name: float(value) for name, value in numbers.items()}


# --- pictures -----------------------------------------------------------------------------------


def _plots(setting, solution, before, after) -> dict:
    centred = {"unshimmed": before - before.mean(), "shimmed": after - after.mean()}
    reach = float(np.percentile(np.abs(centred["unshimmed"]), 99))
    half = np.ptp(setting.volume.points, axis=0) / 2
    middle = setting.volume.points.min(axis=0) + half
    return {
        "mask": Ball("box of the mask, as an ellipsoid", tuple(half), tuple(middle)),
        "before": _mosaic(setting, centred["unshimmed"], "Before: off-resonance, slice by slice", reach),
        "after": _mosaic(setting, centred["shimmed"], "After: off-resonance, slice by slice", reach),
        "histogram": _histogram(centred),
        "currents": _current_table(setting, solution),
    }


def _mosaic(setting, values, title: str, reach: float) -> PlaneMap:
    """Slices along the scanner's z, from below, each as seen from the feet with the right of the scanner on the right."""
    volume, step = _upright(setting.volume, values)
    pages = np.moveaxis(volume, 2, 0)
    rows = -(-len(pages) // COLUMNS)
    pages = np.concatenate([pages, np.full((rows * COLUMNS - len(pages), *pages.shape[1:]), np.nan)])
    grid = pages.reshape(rows, COLUMNS, *pages.shape[1:])[::-1]  # the first row on top
    sheet = grid.transpose(1, 2, 0, 3).reshape(COLUMNS * grid.shape[2], rows * grid.shape[3])
    x, y = (np.arange(n) * s for n, s in zip(sheet.shape, step))
    return PlaneMap(
        title, x, y, sheet, "Hz", label="off-resonance from the mean", diverging=True, span=(-reach, reach),
        x_label="right", y_label="front", caption="Slices from below upwards; colours saturate at 99 % of the unshimmed map.",
    )  # fmt: skip


def _upright(volume, values):
    """Values (P,) of the mask on a grid turned to the scanner's axes and cut to the mask, NaN outside; voxel size (m)."""
    import nibabel

    full = np.full(volume.mask.shape, np.nan)
    full[volume.mask] = values
    image = nibabel.as_closest_canonical(nibabel.Nifti1Image(full, volume.affine))
    turned = np.asarray(image.dataobj)
    box = np.argwhere(np.isfinite(turned))
    low, high = np.maximum(box.min(axis=0) - [2, 2, 0], 0), box.max(axis=0) + [3, 3, 1]
    return turned[tuple(slice(a, b) for a, b in zip(low, high))], np.array(image.header.get_zooms()) * 1e-3


def _histogram(centred) -> Histogram:
    low = min(values.min() for values in centred.values())
    high = max(values.max() for values in centred.values())
    edges = np.linspace(low, high, 121)
    counts = {name: np.histogram(values, edges)[0] for name, values in centred.items()}
    return Histogram("Off-resonance in the mask", edges, counts, "Hz", "off-resonance from the mean")


def _current_table(setting, solution) -> Table:
    currents, resistance = channel_currents(setting, solution), _resistance(setting)
    limit = setting.spec.limits.current
    rows = tuple(
        (i + 1, f"{c:+.4f} A", f"{100 * abs(c) / limit:.0f} %", format(r * c**2, "W", 3))
        for i, (c, r) in enumerate(zip(currents, resistance))
    )
    return Table("Channels", ("channel", "current", "of the limit", "power"), rows, "Positive currents run right-handed about the loop's normal.")


def _maps(setting, solution, after) -> tuple[FieldMap, ...]:
    """Images on the grid of the measured map: after, before, and what the shim adds everywhere."""
    volume = setting.volume
    sizes = np.linalg.norm(volume.affine[:3, :3], axis=0) * 1e-3
    axes = tuple(np.arange(n) * s for n, s in zip(volume.mask.shape, sizes))
    shimmed = np.zeros(volume.mask.shape)
    shimmed[volume.mask] = after
    image = lambda name, values: FieldMap(name, axes, values, "Hz", volume.affine)
    return image("b0 shimmed", shimmed), image("b0 unshimmed", volume.frequency), image("shim field", _everywhere(setting, solution))


def _everywhere(setting, solution) -> np.ndarray:
    """Frequency (nx,ny,nz) Hz that coils and offset add in every voxel of the image."""
    volume = setting.volume
    points = voxel_centres(np.indices(volume.mask.shape).reshape(3, -1).T, volume.affine) - volume.origin
    return (GAMMA_BAR * np.asarray(solution.design.field(points)) @ setting.b0).reshape(volume.mask.shape)
