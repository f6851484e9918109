"""What corrects a wound magnet: shim coils and iron trays, sized for the scatter of its winding errors."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from scipy.special import eval_legendre, lpmv

from designtools import regions
from designtools.harmonics import harmonics
from designtools.quantities.magnet_shims import ShimCoil, iron_response, required_ampere_turns, shim_set, tray_pockets
from designtools.quantities.scatter import Scatter, peak_to_peak
from designtools.result import Figure, Table
from designtools.solve.pieces import Placement, place_pieces
from designtools.units import format

SEEN, JUDGED = 14, 30  # orders of the rules on the sphere: for the programme of the trays, for its judge
SECONDS = 4.0  # of branch and bound
THRIFT = 2e-4  # of the variation before, which a piece of iron must gain
STEEL = 7850.0  # kg/m3


@dataclass(frozen=True)
class CoilCorrection:
    """The coils, ampere-turns each must reach by name, and the peak to peak (S,) that every magnet keeps with them."""

    coils: tuple[ShimCoil, ...]
    ampere_turns: dict
    left: np.ndarray


@dataclass(frozen=True)
class IronCorrection:
    """Places (K,3) m, pieces in each; peak to peak of the magnet `sample` before and after, relative, on other points."""

    places: np.ndarray
    placed: Placement
    sample: int
    before: float
    after: float


@dataclass(frozen=True)
class Corrections:
    """What the spec asks for, each None where it does not."""

    coils: CoilCorrection | None = None
    iron: IronCorrection | None = None


def corrections(spec, source, spread: Scatter | None, progress) -> Corrections:
    """Coils and trays for the scatter of a magnet `source`; nothing without a scatter or a correction in the spec."""
    asked = spec.correction
    if asked is None or spread is None:
        return Corrections()
    progress("sizing the shim coils and the iron trays")
    coils = coil_correction(asked.coils, deviations(source, spread), spread, asked.share) if asked.coils else None
    return Corrections(coils, iron_correction(asked.trays, spread, asked.share) if asked.trays else None)


def deviations(source, spread: Scatter) -> Scatter:
    """The scatter less the harmonics that the magnet was designed with, which are to stay."""
    designed = np.array(harmonics(source, spread.radius, spread.zonal.shape[1] - 1).zonal)
    return replace(spread, zonal=spread.zonal - np.where(np.arange(len(designed)) > 0, designed, 0.0))


def coil_correction(asked, off: Scatter, spread: Scatter, share: float) -> CoilCorrection:
    """A set whose coils each reach what `share` of the magnets need; in the others they stand at their limit.

    off: deviations from the design; spread: the magnets themselves.  What the coils make beyond their own harmonic is
    left out: their table says how little it is.
    """
    coils = shim_set(asked.radius, asked.half_length, spread.radius, asked.degree, order=1)
    need = required_ampere_turns(coils, off, share)
    left = {(0, "cosine"): spread.zonal.copy(), (1, "cosine"): spread.cosine.copy(), (1, "sine"): spread.sine.copy()}
    wrong = {(0, "cosine"): off.zonal, (1, "cosine"): off.cosine, (1, "sine"): off.sine}
    for coil in coils:
        key, most = (coil.order, coil.kind), need[coil.name] * abs(coil.strength)
        left[key][:, coil.degree] -= np.clip(wrong[key][:, coil.degree], -most, most)
    return CoilCorrection(coils, need, peak_to_peak(*left.values()))


def iron_correction(asked, spread: Scatter, share: float) -> IronCorrection:
    """Pieces for the one magnet at the quantile `share` of the scatter, without help of coils."""
    sample = int(np.argsort(spread.peak_to_peak)[int(share * (len(spread.peak_to_peak) - 1))])
    places = tray_pockets(asked.radius, asked.trays, asked.pockets, asked.length)
    seen, judged = (regions.shell(spread.radius, order=order).points for order in (SEEN, JUDGED))
    response = lambda points: np.asarray(iron_response(points, places, asked.piece, asked.saturation))
    base = sample_field(spread, sample, seen)
    placed = place_pieces(base, response(seen), asked.most, SECONDS, THRIFT * float(np.ptp(base)))
    field = sample_field(spread, sample, judged)
    filled = field + response(judged) @ placed.counts
    return IronCorrection(places, placed, sample, float(np.ptp(field) / abs(field.mean())), float(np.ptp(filled) / abs(filled.mean())))


def sample_field(spread: Scatter, sample: int, points) -> np.ndarray:
    """B_z (P,) T of one magnet of the scatter at points (P,3) m on its sphere, from its harmonics."""
    n = np.arange(spread.zonal.shape[1])[:, None]
    x, phi = points[:, 2] / spread.radius, np.arctan2(points[:, 1], points[:, 0])
    first = -lpmv(1, n, x)  # lpmv has the Condon-Shortley sign
    swing = np.outer(spread.cosine[sample], np.cos(phi)) + np.outer(spread.sine[sample], np.sin(phi))
    return spread.zonal[sample] @ eval_legendre(n, x) + np.sum(first * swing, axis=0)


# --- what the reader sees ---------------------------------------------------------------------------


def figures(found: Corrections, asked) -> dict[str, Figure]:
    """What is left, and what it takes."""
    made = {}
    if found.coils is not None:
        words = f"peak to peak that {100 * asked.share:g} % of the wound magnets keep with the shim coils on, each coil within its ampere-turns"
        made["homogeneity_pp_coils"] = Figure(float(np.quantile(found.coils.left, asked.share)), "1", words)
        made["shim_ampere_turns_max"] = Figure(max(found.coils.ampere_turns.values()), "A", "largest loop or row of arcs of any shim coil")
    if found.iron is not None:
        iron, mass = found.iron, _mass(found.iron, asked.trays)
        words = f"peak to peak of the wound magnet at the quantile {asked.share:g}, {1e6 * iron.before:.0f} ppm before, with its trays filled"
        made["homogeneity_pp_iron"] = Figure(iron.after, "1", words + ", on points that the programme never saw")
        made["shim_iron_mass"] = Figure(mass, "kg", f"{int(iron.placed.counts.sum())} pieces of {format(asked.trays.piece, 'm^3')}")
    return made


def _mass(iron: IronCorrection, asked) -> float:
    return float(iron.placed.counts.sum() * asked.piece * STEEL)


def tables(found: Corrections, asked) -> dict[str, Table]:
    """The coils with their ampere-turns, and the pieces tray by tray."""
    made = {}
    if found.coils is not None:
        rows = tuple((c.name, format(found.coils.ampere_turns[c.name], "A", 4), format(c.strength, "T", 4), f"{100 * c.impurity:.2g} %") for c in found.coils.coils)
        columns = ("coil", "ampere-turns", "makes per ampere-turn", "largest other harmonic")
        words = f"Each reaches what {100 * asked.share:g} % of the wound magnets need; tesla at the region's radius, ampere-turns of the largest loop or row of arcs."
        made["shim_coils"] = Table("Superconducting shim coils", columns, rows, words)
    if found.iron is not None:
        made["trays"] = _tray_table(found.iron, asked.trays)
    return made


def _tray_table(iron: IronCorrection, asked) -> Table:
    counts = iron.placed.counts.reshape(asked.trays, asked.pockets)
    height = iron.places[: asked.pockets, 2]
    rows = tuple((i + 1, f"{360 * i / asked.trays:g}°", *map(int, own)) for i, own in enumerate(counts))
    words = (
        f"Pieces of {format(asked.piece, 'm^3')} in each pocket for the magnet at the quantile; {1e6 * iron.before:.0f} ppm become {1e6 * iron.after:.0f} ppm; "
        f"{int(iron.placed.counts.sum())} pieces in all."
    )
    return Table("Iron trays", ("tray", "azimuth", *(f"{1e3 * z:+.0f} mm" for z in height)), rows, words)


def record(found: Corrections, asked) -> dict:
    """For the audit, and for the file of the trays."""
    if found.iron is None:
        return {}
    iron = found.iron
    pieces = [[*map(float, place), int(count)] for place, count in zip(iron.places, iron.placed.counts)]
    gap = {"value (T)": iron.placed.value, "bound (T)": iron.placed.bound, "without pieces (T)": iron.placed.before}
    return {"iron trays": gap | {"piece (m3)": asked.trays.piece, "columns": ["x (m)", "y (m)", "z (m)", "pieces"], "pockets": pieces}}
