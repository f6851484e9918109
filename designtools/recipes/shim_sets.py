"""The channels of a shim: where the loops stand, and what each channel does to the frequency in a map."""

from __future__ import annotations

import csv
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from designtools.harmonics import conventions, solid_harmonics
from designtools.recipes.field_map import Volume
from designtools.sources.loops import Loops
from designtools.spec import Mistake, SpecError
from designtools.spec.gradient import MATERIALS
from designtools.units import GAMMA_BAR

COPPER = MATERIALS["copper"].resistivity  # ohm·m at 20 degC
GOLDEN = np.pi * (3 - np.sqrt(5))  # angle that spreads points along a spiral
METRES = {"m": 1.0, "cm": 1e-2, "mm": 1e-3}


@dataclass(frozen=True)
class Channels:
    """One set of channels: names (C,), what one unit of each is, most (C,) in that unit (inf: unlimited).

    loops are at zero current, None for what is not made of loops; sources are those of finished designs and of patterns, with the current
    (A) that they carry; windings are the patterns' wires;
    resistance (C,) ohm, 0 where it is not known; amperes says whether the unit is the ampere.
    """

    set: object
    names: tuple[str, ...]
    units: tuple[str, ...]
    most: np.ndarray
    resistance: np.ndarray
    loops: Loops | None = None
    sources: tuple = ()
    windings: tuple = ()

    @property
    def amperes(self) -> bool:
        return self.units[0] == "A"

    def __len__(self) -> int:
        return len(self.names)


def channels_of(spec, volumes) -> tuple[Channels, ...]:
    """The channels of every set of the spec, in its order; patterns follow from the maps and the sets before them."""
    from designtools.recipes.shim_patterns import patterns

    found = []
    for k, s in enumerate(spec.coils):
        known = (tuple(found), volumes, _most(spec, s)) if s.arrangement == "patterns" else ()
        builder = patterns if s.arrangement == "patterns" else _KINDS.get(s.arrangement, _loops)
        found.append(builder(spec, s, f"coils.{k}", *known))
    return tuple(found)


def _most(spec, s) -> float:
    return s.current if s.current is not None else spec.limits.current


# --- loops ----------------------------------------------------------------------------------------


def _loops(spec, s, key: str) -> Channels:
    loops = place_loops(s, spec.frame.bore_axis, key)
    count = len(loops.radius)
    length = 2 * np.pi * np.asarray(loops.radius) * s.turns
    names = tuple(f"{s.name} {k + 1}" for k in range(count))
    return Channels(s, names, ("A",) * count, np.full(count, _most(spec, s)), COPPER * length / (spec.section.width * spec.section.height), loops)


def place_loops(array, bore_axis, key: str = "coils") -> Loops:
    """The loops of a spec's array without current; raises SpecError where they cannot be placed."""
    axis = np.asarray(bore_axis, float)
    if array.arrangement == "list":
        centre, normal, radius = (np.array([getattr(l, n) for l in array.loops], float) for n in ("centre", "normal", "radius"))
    else:
        centre, normal = {"cylinder": _on_cylinder, "helmet": _on_helmet, "mesh": _on_mesh}[array.arrangement](array, axis, key)
        radius = np.full(len(centre), array.loop_radius)
    return Loops(centre, normal, radius, np.zeros(len(centre)))


def across(axis) -> np.ndarray:
    """The first direction (3,) of the frame across an axis."""
    first = np.eye(3)[0 if abs(axis[0]) < 0.9 else 1]
    first = first - axis * (first @ axis)
    return first / np.linalg.norm(first)


def _on_cylinder(array, axis, key) -> tuple[np.ndarray, np.ndarray]:
    """Centres and outward normals (N,3), row by row; angles count from the first axis of the frame across the bore."""
    first = across(axis)
    row, place = np.divmod(np.arange(array.rows * array.per_row), array.per_row)
    turned = (row % 2) / 2 if array.staggered is not False else 0.0
    angle = 2 * np.pi * (place + turned) / array.per_row
    normal = np.cos(angle)[:, None] * first + np.sin(angle)[:, None] * np.cross(axis, first)
    height = (row - (array.rows - 1) / 2) * (array.row_spacing or 0.0)
    return array.radius * normal + height[:, None] * axis, normal


def _on_helmet(array, axis, key):
    """A golden spiral in even steps of height, from `lowest` to the top of the ellipsoid."""
    half = np.asarray(array.semi_axes, float)
    top = float(np.linalg.norm(half * axis))
    low = -top / 2 if array.lowest is None else array.lowest
    if not -top < low < top:
        raise SpecError([Mistake("", f"{key}.lowest", f"must lie on the ellipsoid, within {1e3 * top:g} mm of its centre, got {1e3 * low:g} mm")])
    first = across(axis)
    height = (low + (np.arange(array.count) + 0.5) * (top - low) / array.count) / top
    ring = np.sqrt(1 - height**2)
    angle = GOLDEN * np.arange(array.count)
    unit = ring[:, None] * (np.cos(angle)[:, None] * first + np.sin(angle)[:, None] * np.cross(axis, first)) + height[:, None] * axis
    normal = unit / half
    return unit * half, normal / np.linalg.norm(normal, axis=1, keepdims=True)


def _on_mesh(array, axis, key):
    """Vertices as far from each other as can be: each next one farthest from those before; the first is the highest."""
    from designtools.formers.triangulated import MeshError, parts_of

    try:
        parts = parts_of(array.path, METRES[array.unit or "mm"])
    except MeshError as error:
        raise SpecError([Mistake("", f"{key}.path", str(error))]) from None
    vertices = np.concatenate([part.vertices for part in parts])
    normals = np.concatenate([vertex_normals(part) for part in parts])
    if len(vertices) < array.count:
        raise SpecError([Mistake("", f"{key}.path", f"must have at least {array.count} vertices, one for each loop, got {len(vertices)}; refine the mesh")])
    chosen = [int(np.argmax(vertices @ axis))]
    away = np.full(len(vertices), np.inf)
    while len(chosen) < array.count:
        away = np.minimum(away, np.linalg.norm(vertices - vertices[chosen[-1]], axis=1))
        chosen.append(int(np.argmax(away)))
    return vertices[chosen], normals[chosen]


def vertex_normals(mesh) -> np.ndarray:
    """Unit normals (V,3): the mean of the faces around, by area."""
    a, b, c = (mesh.vertices[mesh.faces[:, k]] for k in range(3))
    face = np.cross(b - a, c - a)
    total = np.zeros_like(mesh.vertices)
    for k in range(3):
        np.add.at(total, mesh.faces[:, k], face)
    return total / np.linalg.norm(total, axis=1, keepdims=True)


# --- other channels ---------------------------------------------------------------------------------


def _harmonics(spec, s, key: str) -> Channels:
    """Ideal coils: the maker's terms as far as there are any, then ours."""
    maker = s.convention or "none"
    if s.convention and (spec.frame.bore_axis != (0.0, 0.0, 1.0) or spec.frame.b0_axis != (0.0, 0.0, 1.0)):
        raise SpecError([Mistake("", f"{key}.convention", f"must be left out unless bore and B0 lie along z, got {maker}")])
    terms = terms_of(s)
    names, units = tuple(name for name, *_ in terms), tuple(unit for _, unit, *_ in terms)
    if s.calibration is not None:
        names, _ = read_calibration(s.calibration, names, f"{key}.calibration")
        units = ("unit",) * len(names)
    for name in s.amplitudes or {}:
        if name not in names:
            raise SpecError([Mistake("", f"{key}.amplitudes", f"must name channels among {', '.join(names)}, got {name!r}")])
    most = np.array([(s.amplitudes or {}).get(name, np.inf) for name in names])
    if not (most > 0).all():
        raise SpecError([Mistake("", f"{key}.amplitudes", "must be positive; leave a term out by a set of a lower order")])
    return Channels(s, names, units, most, np.zeros(len(names)))


def read_calibration(path, terms, key: str) -> tuple[tuple[str, ...], np.ndarray]:
    """Names of the channels (C,), and how much of each term, then of the offset (Hz), one unit of each makes (K+1,C)."""
    lines = [line for line in Path(path).read_text(encoding="utf-8-sig").splitlines() if line.strip() and not line.startswith("#")]
    wanted = f"a table with a header of channels and rows named {', '.join(terms)} or offset"
    try:
        (_, *names), *rows = [[cell.strip() for cell in row] for row in csv.reader(lines)]
        matrix = np.zeros((len(terms) + 1, len(names)))
        for name, *values in rows:
            matrix[(*terms, "offset").index(name)] = [float(v) for v in values]
    except ValueError as error:
        raise SpecError([Mistake("", key, f"must hold {wanted}, got '{path}': {error}")]) from None
    if not names or not np.isfinite(matrix).all():
        raise SpecError([Mistake("", key, f"must hold {wanted}, with finite numbers, got '{path}'")])
    return tuple(names), matrix


def terms_of(s) -> list[tuple]:
    """(name, unit, table, n, m, factor) of each term up to the order: factor times r^n P_n^m cos or sin, in T."""
    own = conventions.SHIM_CONVENTIONS.get(s.convention or "")
    taken, terms = set(), []
    for name, (n, table, m, factor) in own.terms.items() if own else ():
        if n <= s.order:
            taken.add((n, table, m))
            terms.append((name, f"{_prefixed(own.unit)}/m^{n}", table, n, m, factor * own.unit))
    for n in range(1, s.order + 1):
        for table, m in [("cosine", 0)] + [(t, m) for m in range(1, n + 1) for t in ("cosine", "sine")]:
            if (n, table, m) not in taken:
                terms.append((f"{'a' if table == 'cosine' else 'b'}{n},{m}", f"T/m^{n}", table, n, m, 1.0))
    return sorted(terms, key=lambda term: term[3])


def _prefixed(unit: float) -> str:
    return {1e-6: "uT", 1e-3: "mT", 1.0: "T"}[unit]


def _harmonic_profile(spec, channels, volume: Volume) -> np.ndarray:
    """In the maker's own axes of a patient who lies head first on the back; else about the bore axis."""
    own = conventions.SHIM_CONVENTIONS.get(channels.set.convention or "")
    axis = np.asarray(spec.frame.bore_axis, float)
    first = across(axis)
    frame = np.stack([first, np.cross(axis, first), axis]) if own is None else np.diag(conventions.flips("RAS", own.axes).diagonal())
    cosine, sine = solid_harmonics(np.asarray(volume.points) @ frame.T, channels.set.order)
    tables = {"cosine": cosine, "sine": sine}
    terms = terms_of(channels.set)
    profile = GAMMA_BAR * np.stack([factor * tables[table][:, n, m] for _, _, table, n, m, factor in terms], axis=1)
    if channels.set.calibration is None:
        return profile
    matrix = read_calibration(channels.set.calibration, tuple(name for name, *_ in terms), "coils.calibration")[1]
    return profile @ matrix[:-1] + matrix[-1]


def _profiles(spec, s, key: str) -> Channels:
    import nibabel

    try:
        shape = nibabel.load(s.path).shape
    except Exception as error:  # readers of foreign files raise whatever they stumble over
        raise SpecError([Mistake("", f"{key}.path", f"must be a sound NIfTI series, got '{s.path}': {error}")]) from None
    if len(shape) != 4:
        raise SpecError([Mistake("", f"{key}.path", f"must have four dimensions, the last one for the channels, got shape {shape}")])
    count = shape[3]
    unit, most = ("unit", np.inf) if s.current is None else ("A", s.current)
    return Channels(s, tuple(f"{s.name} {k + 1}" for k in range(count)), (unit,) * count, np.full(count, most), np.zeros(count))


def _measured_profile(spec, channels, volume: Volume) -> np.ndarray:
    """The measured series at the voxels: as it is on the same grid, else interpolated between its voxels."""
    import nibabel
    from scipy import ndimage

    image = nibabel.load(channels.set.path)
    series = np.asarray(image.dataobj, float)
    index = np.linalg.solve(image.affine[:3, :3], (volume.points + volume.origin).T * 1e3 - image.affine[:3, 3:])
    inside = ((index > -0.5) & (index < np.array(series.shape[:3])[:, None] - 0.5)).all()
    if not inside:
        raise SpecError([Mistake("", "coils", f"profiles in '{channels.set.path}' must cover the mask, but voxels lie outside; measure a larger field of view")])
    found = np.stack([ndimage.map_coordinates(series[..., k], index, order=1, mode="nearest") for k in range(series.shape[3])], axis=1)
    if not np.isfinite(found).all():
        raise SpecError([Mistake("", "coils", f"profiles in '{channels.set.path}' must be finite in the mask, got {(~np.isfinite(found)).sum()} values that are not")])
    return found


def _designs(spec, s, key: str) -> Channels:
    """Finished designs, one channel each; the field per ampere through the leads."""
    from designtools.result import load

    sources, resistance = [], []
    for k, folder in enumerate(s.folders):
        try:
            found = load(Path(folder))
        except Exception as error:  # whatever is wrong with somebody's folder
            raise SpecError([Mistake("", f"{key}.folders.{k}", f"must be a result folder, got '{folder}': {error}")]) from None
        if not found.windings:
            raise SpecError([Mistake("", f"{key}.folders.{k}", f"must hold a wound coil, got a design of kind {found.kind} without windings")])
        sources.append((found.source, float(found.windings[0].current)))
        resistance.append(found.figures["resistance"].value if "resistance" in found.figures else 0.0)
    names = tuple(Path(folder).name for folder in s.folders)
    return Channels(s, names, ("A",) * len(names), np.full(len(names), _most(spec, s)), np.array(resistance), sources=tuple(sources))


def _design_profile(spec, channels, volume: Volume) -> np.ndarray:
    b0 = np.asarray(spec.frame.b0_axis, float)
    return np.stack([GAMMA_BAR / current * (np.asarray(source.field(volume.points)) @ b0) for source, current in channels.sources], axis=1)


def _loop_profile(spec, channels, volume: Volume) -> np.ndarray:
    return np.asarray(channels.loops.per_ampere(volume.points, np.asarray(spec.frame.b0_axis, float))) * (GAMMA_BAR * channels.set.turns)


_KINDS = {"harmonics": _harmonics, "profiles": _profiles, "designs": _designs}
_PROFILES = {"harmonics": _harmonic_profile, "profiles": _measured_profile, "designs": _design_profile, "patterns": _design_profile}


def profile(spec, channels: Channels, volume: Volume) -> np.ndarray:
    """Frequency (P,C) Hz that one unit of each channel adds at the points of a map."""
    return _PROFILES.get(channels.set.arrangement, _loop_profile)(spec, channels, volume)


def at_current(channels: Channels, currents) -> Loops | None:
    """The loops with these currents (C,) in their leads, so with turns times as many ampere-turns."""
    if channels.loops is None:
        return None
    return replace(channels.loops, current=np.asarray(currents) * channels.set.turns)
