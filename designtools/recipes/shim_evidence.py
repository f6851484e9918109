"""What a shim is worth: the maps before and after, the currents, and the coils' field by other means."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from designtools.inductance import loop_array_inductance
from designtools.interop import to_magpylib
from designtools.recipes.field_map import Volume, voxel_centres
from designtools.recipes import shim_limit
from designtools.recipes.product import Evidence
from designtools.recipes.shim_sets import profile
from designtools.result import Ball, FieldMap, Figure, Histogram, Lines, PlaneMap, Table
from designtools.sources.loops import Loops
from designtools.spec.gradient import MATERIALS
from designtools.units import GAMMA_BAR, format

COLUMNS = 5  # slices beside one another
JUDGED = 1000  # voxels of a map at which a second code computes the loops
SHOWN = 60  # shots that a table lists


class After(NamedTuple):
    """One map: frequency before and after (P,) Hz, and after in each shot from the mean there where the centre follows."""

    volume: Volume
    before: np.ndarray
    after: np.ndarray
    left: np.ndarray


def evidence(setting, solution, product, progress) -> Evidence:
    """Figures of the masks before and after, currents and power, and the pictures."""
    from designtools.recipes.shim import settled

    setting = settled(setting, solution.design)
    found = after_shim(setting, solution.design.parts["currents"])
    figures = map_figures(setting, found) | current_figures(setting, solution)
    figures["optimality_gap"] = Figure(float(solution.gap), "1", "certified: how much smaller the objective could be, relative to it")
    figures |= _held_out_figures(setting, found, solution)
    lines, limit = _ultimate(setting, figures)
    progress("comparing with magpylib")
    audit = _audit(setting, solution, found)
    return Evidence(figures | limit, audit, _plots(setting, solution, found) | lines, _maps(setting, solution, found))


def _ultimate(setting, figures):
    """What any current could do, where the spec asks for it."""
    if not setting.spec.ultimate_limit:
        return {}, {}
    own = figures["power"].value
    return shim_limit.drawn(shim_limit.ultimate(setting, own), own, figures["b0_std_shimmed"].value)


def after_shim(setting, currents) -> tuple[After, ...]:
    """Every map with the currents of its shots; a breathing trace is taken at its middle, where the map was measured."""
    return tuple(_one_after(setting, currents, k) for k in range(len(setting.volumes)))


def _one_after(setting, currents, k: int) -> After:
    volume, matrix = setting.volumes[k], setting.profiles[k]
    after, left = volume.values.copy(), np.zeros(len(volume.points))
    values, offset = _at_rest(setting, currents)
    for s, shot in enumerate(setting.shots):
        if shot.volume == k:
            after[shot.index] += matrix[shot.index] @ values[s] + offset[s]
            weight = volume.weights[shot.index]
            mean = np.average(after[shot.index], weights=weight) if setting.spec.include_offset and weight.any() else 0.0
            left[shot.index] = after[shot.index] - mean
    if not setting.spec.include_offset:
        left = after - after.mean()
    return After(volume, volume.values, after, left)


def _at_rest(setting, currents):
    """Currents (S,C) and offsets (S,) where the breathing trace is zero, or as near as its range comes."""
    values, offset = np.asarray(currents.values), np.asarray(currents.offset)
    trace = setting.spec.schedule.trace
    if trace is None:
        return values[:, 0], offset[:, 0]
    share = np.clip(-trace[0] / (trace[1] - trace[0]), 0.0, 1.0)
    return (1 - share) * values[:, 0] + share * values[:, 1], (1 - share) * offset[:, 0] + share * offset[:, 1]


# --- figures ------------------------------------------------------------------------------------


def map_figures(setting, found) -> dict[str, Figure]:
    """Spread of the field over the masks, before and after."""
    count = f"{sum(a.before.size for a in found)} points of the mask" + (f", {len(found)} maps, each about its own mean" if len(found) > 1 else "")
    states = {"unshimmed": [a.before - a.before.mean() for a in found], "shimmed": [a.left for a in found]}
    figures = {}
    for state, parts in states.items():
        values = np.concatenate(parts)
        ideal = _ideal(setting) if state == "shimmed" else ""
        figures[f"b0_std_{state}"] = Figure(_rms(values), "Hz", f"standard deviation over {count}{ideal}")
        figures[f"b0_p2p_{state}"] = Figure(max(float(np.ptp(p)) for p in parts), "Hz", f"peak to peak over {count}")
    return figures | {"b0_std": figures["b0_std_shimmed"], "b0_p2p": figures["b0_p2p_shimmed"]}


def _ideal(setting) -> str:
    """What is said where coils take part that are fields by decree."""
    terms = [f"{len(c)} ideal harmonic terms{'' if np.isfinite(c.most).all() else ' without limit'}" for c in setting.channels if c.set.arrangement == "harmonics"]
    return f"; with {', '.join(terms)}" if terms else ""


def _rms(values) -> float:
    return float(np.sqrt(np.mean(values**2)))


def _share(setting, values) -> float:
    """Largest share that any channel uses of what is allowed of it, among those with a limit."""
    most = setting.over(lambda c: c.most)
    return float(np.max(np.abs(values) / most, initial=0.0))


def _held_out_figures(setting, found, solution) -> dict[str, Figure]:
    """How the map that the layout never saw fares with the loops as they stood, and as they stand."""
    layout = setting.spec.layout
    if layout is None or layout.hold_out is None:
        return {}
    before = next(row["held-out std before (Hz)"] for row in solution.history if "held-out std before (Hz)" in row)
    words = f"map {layout.hold_out + 1}, which the layout never saw"
    return {
        "b0_std_held_out": Figure(_rms(found[layout.hold_out].left), "Hz", f"{words}, with the loops as they stand now"),
        "b0_std_held_out_start": Figure(before, "Hz", f"{words}, with the loops as they stood at first"),
    }


def current_figures(setting, solution) -> dict[str, Figure]:
    """What the currents are, what they heat, and what their loops are made of."""
    currents, amperes = solution.design.parts["currents"], setting.over(lambda c: c.amperes)
    values = np.asarray(currents.values)
    driven = np.abs(values[:, :, amperes])
    figures = {"centre_frequency_shift": Figure(float(-_largest(currents.offset)), "Hz", "how far the centre frequency moves, in the shot where most")}
    if not driven.size:
        return figures
    resistance, lengths = setting.over(lambda c: c.resistance), _lengths(setting)
    loss = (values**2 @ resistance).mean(axis=1)
    figures |= {
        "current_max": Figure(float(driven.max()), "A", "largest current of a channel in any shot"),
        "current_share_max": Figure(_share(setting, values), "1", "largest of any channel and shot: current over what that channel may carry"),
        "current_total": Figure(float(driven.sum(axis=2).max()), "A", "largest sum of the magnitudes over all channels in a shot"),
        "power": Figure(float(loss.mean()), "W", "copper at 20 degC without leads, mean over the shots"),
        "power_peak": Figure(float(loss.max()), "W", "copper at 20 degC without leads, in the shot that heats most"),
    }
    together = np.array([a.volume == b.volume for a, b in zip(setting.shots, setting.shots[1:])], bool)  # of the same map
    if together.any():
        steps = np.abs(np.diff(values[:, :, amperes], axis=0))[together]
        figures["current_step_max"] = Figure(float(steps.max()), "A", "largest change of a channel from one shot to the next")
    if lengths.sum():
        figures["resistance"] = Figure(float(resistance[lengths > 0].max()), "ohm", "of one loop, copper at 20 degC, without leads")
        figures["conductor_length"] = Figure(float(lengths.sum()), "m", "all turns of all loops, without leads")
        mass = lengths.sum() * setting.spec.section.width * setting.spec.section.height * MATERIALS["copper"].density
        figures["conductor_mass"] = Figure(float(mass), "kg", "the same as copper")
    return figures | _coupling(setting)


def _largest(values) -> float:
    values = np.ravel(np.asarray(values))
    return values[np.argmax(np.abs(values))]


def _lengths(setting) -> np.ndarray:
    """Conductor (C,) m of each channel that is a loop, 0 of the others."""
    length = lambda c: 0.0 if c.loops is None else 2 * np.pi * np.asarray(c.loops.radius) * c.set.turns
    return setting.over(length)


def _coupling(setting) -> dict[str, Figure]:
    """How the loops couple, each with its turns as one round bundle."""
    sets = [c for c in setting.channels if c.loops is not None]
    if not sets:
        return {}
    join = lambda leaf: np.concatenate([np.asarray(getattr(c.loops, leaf)) for c in sets])
    turns = np.concatenate([np.full(len(c), c.set.turns) for c in sets])
    bundle = np.sqrt(turns * setting.spec.section.width * setting.spec.section.height / np.pi)
    loops = Loops(join("centre"), join("normal"), join("radius"), np.ones(len(turns)))
    matrix = loop_array_inductance(loops, bundle) * np.outer(turns, turns)
    own = np.sqrt(np.diag(matrix))
    coupling = np.abs(matrix / np.outer(own, own) - np.eye(len(own)))
    figures = {"inductance": Figure(float(own.max() ** 2), "H", "largest self inductance of a loop, its turns as one round bundle")}
    if len(own) > 1:
        figures["coupling_max"] = Figure(float(coupling.max()), "1", "largest coupling coefficient M/sqrt(L L) of two loops")
    return figures


# --- audit --------------------------------------------------------------------------------------


def _audit(setting, solution, found) -> dict:
    """The maps after, with the loops' field from magpylib; what was read; and all currents."""
    rows = _rows(setting, solution.design.parts["currents"])
    audit = {
        "read": {a.volume.name or "map": a.volume.told for a in found},
        "map": {f"{a.volume.name} {state}".strip(): _spread(values) for a in found for state, values in _states(a)},
        "independent field": _judge(setting, solution, found),
        "shots": rows,
        "largest_A": {name: max(abs(row[k + 2]) for row in rows["rows"]) for k, (name, unit) in enumerate(zip(rows["channels"], rows["units"])) if unit == "A"},
    }
    if len(rows["rows"]) == 1:
        audit["currents_A"] = dict(zip(rows["channels"], rows["rows"][0][2:]))
    return audit


def _states(a: After):
    return (("unshimmed", a.before), ("shimmed", a.left))


def _rows(setting, currents) -> dict:
    """All currents, for the exporters: a row per shot (and end of the breathing trace)."""
    names = [name for c in setting.channels for name in c.names]
    units = [unit for c in setting.channels for unit in c.units]
    ends = ("",) if setting.spec.schedule.trace is None else tuple(f" at trace {t:g}" for t in setting.spec.schedule.trace)
    values, offset = np.asarray(currents.values), np.asarray(currents.offset)
    rows = [[shot.name + end, float(-offset[s, e]), *map(float, values[s, e])] for s, shot in enumerate(setting.shots) for e, end in enumerate(ends)]
    return {"channels": names, "units": units, "columns": ["shot", "centre frequency shift (Hz)", *(f"{n} ({u})" for n, u in zip(names, units))], "rows": rows}


def _spread(values) -> dict:
    low, high = np.percentile(values, [0.5, 99.5])
    numbers = {"b0_std": values.std(), "b0_p2p": np.ptp(values), "range of 99 % (Hz)": high - low, "mean (Hz)": values.mean()}
    return {name: float(value) for name, value in numbers.items()}


def _judge(setting, solution, found) -> dict:
    """Largest difference (Hz) at chosen voxels between the maps as computed, and with loops computed by magpylib."""
    values, offset = _at_rest(setting, solution.design.parts["currents"])
    worst, compared = 0.0, 0
    for s, shot in enumerate(setting.shots):
        a = found[shot.volume]
        index = shot.index[:: max(1, shot.index.size * len(setting.shots) // JUDGED)]
        points = a.volume.points[index]
        added, at = np.full(index.size, offset[s]), 0
        for c in setting.channels:
            own = values[s, at : at + len(c)]
            at += len(c)
            added += _loops_by_magpylib(c, own, points, setting.b0) if c.loops is not None else _profile_at(setting, c, a.volume, index) @ own
        worst = max(worst, float(np.abs(a.before[index] + added - a.after[index]).max()))
        compared += index.size
    return {"voxels compared": compared, "largest difference (Hz)": worst, "sets compared": ", ".join(c.set.name for c in setting.channels if c.loops is not None) or "none"}


def _loops_by_magpylib(channels, currents, points, b0) -> np.ndarray:
    from designtools.recipes.shim_sets import at_current

    field = np.asarray(to_magpylib(at_current(channels, currents)).getB(points)).reshape(-1, 3)
    return GAMMA_BAR * field @ b0


def _profile_at(setting, channels, volume, index) -> np.ndarray:
    from dataclasses import replace

    part = replace(volume, points=volume.points[index], values=volume.values[index], weights=volume.weights[index])
    return profile(setting.spec, channels, part)


# --- pictures -----------------------------------------------------------------------------------


def _plots(setting, solution, found) -> dict:
    plots = {}
    for k, a in enumerate(found):
        tail = f"_{k + 1}" if len(found) > 1 else ""
        title = f" ({a.volume.name})" if a.volume.name else ""
        centred = a.before - a.before.mean()
        half = np.ptp(a.volume.points, axis=0) / 2
        plots[f"mask{tail}"] = Ball(f"box of the mask{title}, as an ellipsoid", tuple(half), tuple(a.volume.points.min(axis=0) + half))
        if a.volume.grid is not None:
            reach = float(np.percentile(np.abs(centred), 99))
            plots[f"before{tail}"] = _mosaic(a.volume, centred, f"Before: off-resonance, slice by slice{title}", reach)
            plots[f"after{tail}"] = _mosaic(a.volume, a.left, f"After: off-resonance, slice by slice{title}", reach)
    plots["histogram"] = _histogram({"unshimmed": np.concatenate([a.before - a.before.mean() for a in found]), "shimmed": np.concatenate([a.left for a in found])})
    plots["maps"] = _map_table(found)
    if len(setting.shots) > 1:
        plots["shots"] = _shot_lines(setting, found)
    return plots | {"currents": _current_table(setting, solution)}


def _map_table(found) -> Table:
    rows = tuple((a.volume.name or "map", a.volume.told, *(Figure(v, "Hz", "") for v in (_rms(a.before - a.before.mean()), _rms(a.left), float(np.ptp(a.left))))) for a in found)
    return Table("Maps", ("map", "as it was read", "std before", "std after", "peak to peak after"), rows)


def _shot_lines(setting, found) -> Lines:
    std = lambda values: float(np.std(values))
    before = np.array([std(found[s.volume].before[s.index]) for s in setting.shots])
    after = np.array([std(found[s.volume].left[s.index]) for s in setting.shots])
    return Lines("Shot by shot", np.arange(1, len(before) + 1), {"unshimmed": before, "shimmed": after}, "Hz", x_unit="1", x_label="shot", y_label="std within the shot")


def _mosaic(volume: Volume, values, title: str, reach: float) -> PlaneMap:
    """Slices along the scanner's z, from below, each as seen from the feet with the right of the scanner on the right."""
    turned, step = _upright(volume, values)
    pages = np.moveaxis(turned, 2, 0)
    pages = pages[:: -(-len(pages) // 40)]
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
    """Channel by channel: the current, or its range over the shots."""
    values = np.asarray(solution.design.parts["currents"].values).reshape(-1, solution.design.parts["currents"].values.shape[-1])
    most, at, rows = setting.over(lambda c: c.most), 0, []
    for c in setting.channels:
        for k, (name, unit) in enumerate(zip(c.names, c.units)):
            own = values[:, at + k]
            used = f"{100 * np.abs(own).max() / most[at + k]:.0f} %" if np.isfinite(most[at + k]) else "no limit"
            power = format(float(c.resistance[k] * np.mean(own**2)), "W", 3) if c.resistance[k] else ""
            rows.append((name, *(f"{v:+.4g} {unit}" for v in ((own[0],) if len(own) == 1 else (own.min(), own.max()))), used, power))
        at += len(c)
    columns = ("channel", "current", "of the limit", "mean power") if len(values) == 1 else ("channel", "lowest", "highest", "of the limit", "mean power")
    return Table("Channels", columns, tuple(rows), "Positive currents run right-handed about the loop's normal; every shot stands in the table of currents.")


def _maps(setting, solution, found) -> tuple[FieldMap, ...]:
    """Images on the grid of each measured map: after, before, and for a global shim what it adds everywhere."""
    maps = []
    for k, a in enumerate(found):
        if a.volume.grid is None:
            continue
        sizes = np.linalg.norm(a.volume.affine[:3, :3], axis=0) * 1e-3
        axes = tuple(np.arange(n) * s for n, s in zip(a.volume.mask.shape, sizes))
        tail = f" {k + 1}" if len(found) > 1 else ""
        shimmed = np.zeros(a.volume.mask.shape)
        shimmed[a.volume.mask] = a.after
        image = lambda name, values: FieldMap(name + tail, axes, values, "Hz", a.volume.affine)
        maps += [image("b0 shimmed", shimmed), image("b0 unshimmed", a.volume.frequency)]
        if setting.spec.schedule.shots == "global" and all(c.set.arrangement != "profiles" for c in setting.channels):
            maps.append(image("shim field", _everywhere(setting, solution, k, a.volume)))
    return tuple(maps)


def _everywhere(setting, solution, k: int, volume: Volume) -> np.ndarray:
    """Frequency (nx,ny,nz) Hz that coils and offset add in every voxel of the image."""
    from dataclasses import replace

    shape = volume.mask.shape
    points = voxel_centres(np.indices(shape).reshape(3, -1).T, volume.affine) - volume.origin
    whole = replace(volume, points=points, values=np.zeros(len(points)), weights=np.ones(len(points)))
    shot = next(s for s, shot in enumerate(setting.shots) if shot.volume == k)
    values, offset = _at_rest(setting, solution.design.parts["currents"])
    added, at = np.full(len(points), offset[shot]), 0
    for c in setting.channels:
        added += profile(setting.spec, c, whole) @ values[shot, at : at + len(c)]
        at += len(c)
    return added.reshape(shape)
