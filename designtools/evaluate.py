"""Field figures of somebody else's winding, and what can be said of the field alone.

What can be read stands in `designtools.foreign`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from designtools import foreign, regions
from designtools.foreign import UnreadableWinding
from designtools.result import Figure, Result, evaluate_requirements
from designtools.sources import Assembly, Filaments


@dataclass(frozen=True)
class Ball:
    """Where to look when no spec says it: about the origin, B0 along the field or along z."""

    radius: float
    method: str


def evaluate(files: Sequence[Path], spec=None, *, current: float = 1.0, radius: float | None = None, unit=None) -> Result:
    """Figures of the field that the windings in `files` make together.

    `spec` is a gradient or magnet spec, whose region, target and requirements are used; `current` A flows in
    windings whose file states none; `radius` m of the ball to look at without a spec (default: half the distance
    from the origin to the nearest conductor); `unit` of lengths where a file states none.
    Raises UnreadableWinding.
    """
    refuse_other_kinds(spec)
    readings = [foreign.read(Path(file), current, unit) for file in files]
    parts = [reading.source for reading in readings]
    source = Assembly(parts) if len(parts) > 1 else parts[0]
    figures = _length_figures(parts) | _field_figures(source, parts, spec, radius)
    wanted = [] if spec is None else [{"quantity": r.quantity, "op": r.op, "limit": r.limit} for r in spec.requirements]
    rows = evaluate_requirements(wanted, figures)
    met = all(row["status"] == "MET" for row in rows)
    return Result(
        kind="evaluation" if spec is None else spec.kind,
        name=", ".join(Path(file).name for file in files),
        status="done" if met else "requirement missed",
        message="" if met else "some requirements are missed or could not be evaluated from the field alone",
        figures=figures,
        requirements=rows,
        audit={"read": {str(file): reading.note for file, reading in zip(files, readings)}},
        source=source,
    )


def refuse_other_kinds(spec) -> None:
    """UnreadableWinding unless figures of a field alone can be judged by the spec."""
    if spec is None:
        return
    if spec.kind not in ("gradient", "magnet", "halbach") or not hasattr(spec, "region"):
        raise UnreadableWinding(f"--spec must be of kind gradient, magnet or halbach with a region, got {spec.kind}")
    if spec.kind == "gradient" and getattr(getattr(spec, "target", None), "gradient_axis", None) is None:
        raise UnreadableWinding("--spec must state target.gradient_axis, got a gradient spec with another target")


def read(path: Path, current: float = 1.0, unit: str | None = None):
    """The source in a file; raises UnreadableWinding."""
    return foreign.read(path, current, unit).source


# --- figures ---------------------------------------------------------------------------------------------


def _length_figures(parts) -> dict[str, Figure]:
    wires = [part for part in parts if isinstance(part, Filaments)]
    if not wires:
        return {}
    length = sum(float(np.linalg.norm(np.asarray(w.end) - np.asarray(w.start), axis=1).sum()) for w in wires)
    return {"wire_length": Figure(length, "m", "sum over the segments read")}


def field_figures(source, spec) -> dict[str, Figure]:
    """Figures of the field of any source in the region of a spec of kind gradient, magnet or halbach.

    Raises UnreadableWinding for other specs.
    """
    refuse_other_kinds(spec)
    return _field_figures(source, list(getattr(source, "parts", (source,))), spec, None)


def _field_figures(source, parts, spec, radius) -> dict[str, Figure]:
    region, surface, where = _where(spec, parts, radius)
    centre = np.zeros(3) if spec is None else np.asarray(spec.region.centre, float)
    b_centre = np.asarray(source.field(centre[None]))[0]
    inside, outside = (np.asarray(source.field(r.points)) for r in (region, surface))
    if not np.isfinite(inside).all() or not np.abs(inside).max() > 0:
        raise UnreadableWinding(f"the windings must make a field in {where}, got none; give the current, such as --current '1 A'")
    axis = np.array([0.0, 0.0, 1.0]) if spec is None else np.asarray(spec.frame.b0_axis)
    figures = {"central_field": Figure(float(np.linalg.norm(b_centre)), "T", f"|B| at the centre of {where}")}
    slope = np.linalg.lstsq(region.points - centre, (inside - b_centre) @ axis, rcond=None)[0]
    reach = np.linalg.norm(surface.points - centre, axis=1).max()
    gradient_like = spec.kind == "gradient" if spec is not None else np.linalg.norm(slope) * reach > np.linalg.norm(b_centre)
    if not gradient_like:
        return figures | _homogeneity(np.linalg.norm(outside, axis=1), np.linalg.norm(inside, axis=1), region.weights, where)
    direction = slope / np.linalg.norm(slope) if spec is None else np.asarray(spec.target.gradient_axis)
    figures |= _gradient(inside @ axis, outside @ axis, region, surface, centre, direction, parts, where)
    return figures | (_stray(source, spec, figures) if spec is not None and spec.stray else {})


def _where(spec, parts, radius):
    """Region (volume), its surface, and words for both."""
    if spec is None:
        ball = _default_ball(parts) if radius is None else Ball(radius, f"a ball of {radius:g} m about the origin")
        return regions.ball(ball.radius), regions.shell(ball.radius, order=24), ball.method
    axes, centre = spec.region.half_widths, spec.region.centre
    volume = regions.ball(1.0)
    stretched = regions.Region(np.asarray(centre) + volume.points * np.asarray(axes), volume.weights, "region")
    return stretched, regions.ellipsoid(axes, centre, order=24), "the region of the spec"


def _default_ball(parts) -> Ball:
    wires = [part for part in parts if isinstance(part, Filaments)]
    if not wires:
        raise UnreadableWinding("--radius or --spec must say where to look when no file holds a wire; try --radius '50 mm'")
    nearest = min(_distance_from_origin(np.asarray(w.start), np.asarray(w.end)) for w in wires)
    if nearest == 0:
        raise UnreadableWinding("--radius or --spec must say where to look: a wire passes through the origin")
    return Ball(nearest / 2, f"a ball of {nearest / 2:.4g} m about the origin, half way to the nearest wire")


def _distance_from_origin(start, end) -> float:
    along = end - start
    square = np.maximum((along**2).sum(1), np.finfo(float).tiny)
    t = np.clip(-(start * along).sum(1) / square, 0, 1)
    return float(np.linalg.norm(start + t[:, None] * along, axis=1).min())


def _homogeneity(outside, inside, weights, where) -> dict[str, Figure]:
    mean = float(weights @ inside)  # of magnitudes that are not all zero
    rms = float(np.sqrt(weights @ (inside - mean) ** 2)) / mean
    spread = float(np.ptp(outside)) / mean
    return {
        "homogeneity_pp": Figure(spread, "1", f"peak to peak of |B| on the surface of {where}, relative to the mean"),
        "homogeneity_rms": Figure(rms, "1", f"root mean square of |B| over {where}, relative to the mean"),
    }


def _gradient(inside, outside, region, surface, centre, direction, parts, where) -> dict[str, Figure]:
    u, u_surface = (region.points - centre) @ direction, (surface.points - centre) @ direction
    slope = float((region.weights * u) @ inside / (region.weights @ u**2))
    peak = max(abs(slope) * np.abs(u_surface).max(), np.finfo(float).tiny)
    fit = f"least-squares slope of B·b0 over {where}"
    figures = {
        "gradient_strength": Figure(abs(slope), "T/m", fit + (", against the wanted direction" if slope < 0 else "")),
        "linearity_error_max": Figure(
            float(np.abs(outside - slope * u_surface).max() / peak), "1", f"deviation from the slope on the surface of {where}"
        ),
        "linearity_error_rms": Figure(
            float(np.sqrt(region.weights @ (inside - slope * u) ** 2) / peak), "1", f"deviation from the slope over {where}"
        ),
    }
    amperes = _common_current(parts)
    if amperes is not None:
        figures["efficiency"] = Figure(abs(slope) / amperes, "T/m/A", f"{fit}, per ampere of the common current")
    return figures


def _common_current(parts) -> float | None:
    """The magnitude of the current when all wires carry the same one, else None."""
    if not all(isinstance(part, Filaments) for part in parts):
        return None
    amperes = np.abs(np.concatenate([np.asarray(part.current) for part in parts]))
    return float(amperes[0]) if amperes[0] > 0 and np.allclose(amperes, amperes[0]) else None


def _stray(source, spec, figures) -> dict[str, Figure]:
    axis = np.asarray(spec.frame.bore_axis)
    side = np.linalg.svd(axis[None])[2][1]
    frame = np.stack([side, np.cross(axis, side), axis])
    wall = regions.cylinder(spec.stray.radius, spec.stray.length, 96, 96, frame)
    field = np.linalg.norm(np.asarray(source.field(wall.points)), axis=1).max()
    strength = figures["gradient_strength"].value
    scale = spec.target.strength / strength if strength else np.inf
    return {"stray_field_max": Figure(float(field * scale), "T", "largest |B| on the stray cylinder at target.strength")}
