"""Field cameras: probes where together they say most of the harmonics, and what their readings are worth."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from scipy.optimize import minimize

from designtools.problem import Design
from designtools.quantities import monitoring
from designtools.recipes.camera_evidence import evidence
from designtools.recipes.product import Product, Recipe
from designtools.recipes.shim_sets import METRES, across
from designtools.recipes.surfaces import depth, inside
from designtools.solve.optimal_points import d_optimal
from designtools.solve.solution import Solution, Status
from designtools.sources.assembly import Assembly
from designtools.sources.spheres import Spheres
from designtools.spec import Mistake, SpecError, fingerprint

GOLDEN = np.pi * (3 - np.sqrt(5))
REFINED = 6  # of the starts, the best of which move freely
STEPS = 400
STIFF = 1e4  # price of a breach of spacing, height or a kept-out space, against the logarithm of a determinant


@dataclass(frozen=True)
class Setting:
    """The places where probes may stand (M,3) m, the radius (m) at which harmonics count alike, and the main field's axis.

    half (3,) m along the rows of `frame` for a surface over which probes may slide (inf along a cylinder), else None;
    low, high: heights (m) along the bore between which they stay.
    """

    spec: object
    places: np.ndarray
    radius: float
    frame: np.ndarray
    half: np.ndarray | None
    low: float
    high: float

    @property
    def b0(self) -> np.ndarray:
        return np.asarray(self.spec.frame.b0_axis, float)


# --- where probes may stand -----------------------------------------------------------------------


def prepare(spec) -> Setting:
    """The candidates on the allowed surface, clear of what is kept out."""
    axis = np.asarray(spec.frame.bore_axis, float)
    first = across(axis)
    frame = np.stack([first, np.cross(axis, first), axis])
    places, half, low, high = _SURFACES[spec.surface.arrangement](spec, frame)
    for space in spec.keep_out:
        places = places[~inside(space, places)]
    if len(places) < spec.probes:
        raise _refused("surface", f"must leave at least {spec.probes} places for probes, got {len(places)}; shrink keep_out or widen the surface")
    mean = float(np.linalg.norm(places, axis=1).mean())
    radius = spec.reference_radius or (spec.surface.radius if spec.surface.arrangement == "sphere" else mean)
    return Setting(spec, places, radius, frame, half, low, high)


def _refused(key: str, sentence: str) -> SpecError:
    return SpecError([Mistake("", key, sentence)])


def _rounded(spec, frame):
    """Candidates of a golden spiral on an ellipsoid between two heights."""
    s = spec.surface
    half = np.full(3, s.radius) if s.arrangement == "sphere" else np.abs(frame) @ np.asarray(s.semi_axes)
    low, high = (-half[2] if s.lowest is None else s.lowest), (half[2] if s.highest is None else s.highest)
    if low >= half[2] or high <= -half[2]:
        raise _refused("surface.lowest", f"must leave a part of the surface, which reaches {1e3 * half[2]:g} mm from its centre")
    low, high = max(low, -half[2]), min(high, half[2])
    height = low + (np.arange(spec.candidates) + 0.5) * (high - low) / spec.candidates
    ring = np.sqrt(np.maximum(1 - (height / half[2]) ** 2, 0.0))
    angle = GOLDEN * np.arange(spec.candidates)
    local = np.stack([half[0] * ring * np.cos(angle), half[1] * ring * np.sin(angle), height], axis=1)
    return local @ frame, half, low, high


def _cylinder(spec, frame):
    s = spec.surface
    height = (np.arange(spec.candidates) + 0.5) / spec.candidates * s.length - s.length / 2
    angle = GOLDEN * np.arange(spec.candidates)
    local = np.stack([s.radius * np.cos(angle), s.radius * np.sin(angle), height], axis=1)
    return local @ frame, np.array([s.radius, s.radius, np.inf]), -s.length / 2, s.length / 2


def _mesh(spec, frame):
    from designtools.formers.triangulated import MeshError, parts_of

    try:
        parts = parts_of(spec.surface.path, METRES[spec.surface.unit or "mm"])
    except MeshError as error:
        raise _refused("surface.path", str(error)) from None
    return np.concatenate([part.vertices for part in parts]), None, -np.inf, np.inf


def _points(spec, frame):
    return read_places(spec.surface.path), None, -np.inf, np.inf


def read_places(path) -> np.ndarray:
    """Places (M,3) m of a table with the columns x_mm, y_mm, z_mm; SpecError in words for another."""
    lines = [line for line in Path(path).read_text(encoding="utf-8-sig").splitlines() if line.strip() and not line.startswith("#")]
    try:
        names, *rows = list(csv.reader(lines))
        columns = [[name.strip() for name in names].index(f"{axis}_mm") for axis in "xyz"]
        places = np.array([[float(row[c]) for c in columns] for row in rows]).reshape(-1, 3) * 1e-3
    except (ValueError, IndexError) as error:
        raise _refused("surface.path", f"must hold a table with the columns x_mm, y_mm, z_mm, got '{path}': {error}") from None
    if not np.isfinite(places).all():
        raise _refused("surface.path", f"must hold finite places, got '{path}' with some that are not")
    return places


_SURFACES = {"sphere": _rounded, "ellipsoid": _rounded, "cylinder": _cylinder, "mesh": _mesh, "points": _points}


# --- the choice -------------------------------------------------------------------------------------


def start(setting: Setting) -> Design:
    """Probes at the origin, before they are placed."""
    count = setting.spec.probes
    return Design({"probes": Spheres(np.zeros((count, 3)), np.full(count, setting.spec.droplet_radius), np.zeros((count, 3)))}, fingerprint(setting.spec))


def solve(setting: Setting, progress=None) -> Solution:
    """The D-optimal choice among the candidates, then moved freely where the surface has coordinates."""
    spec = setting.spec
    say = progress or (lambda sentence: None)
    say(f"choosing {spec.probes} of {len(setting.places)} places")
    rows = monitoring.basis(setting.places, spec.order, setting.radius)
    near = lambda k: np.linalg.norm(setting.places - setting.places[k], axis=1) < max(spec.spacing, 1e-9)
    try:
        choices = d_optimal(rows, spec.probes, near, spec.starts, spec.seed)
    except ValueError:
        raise _refused("spacing", f"must leave room for {spec.probes} probes on the surface, got {1e3 * spec.spacing:g} mm; reduce it") from None
    chosen = setting.places[choices[0]]
    if setting.half is not None:
        say("moving them over the surface")
        value = jax.jit(jax.value_and_grad(lambda x: _cost(setting, x)))
        chosen = max([chosen, *(_refined(setting, value, setting.places[c]) for c in choices[:REFINED])], key=lambda p: _worth(setting, p))
    chosen = chosen[np.lexsort(np.round(chosen @ setting.frame.T, 6).T)]
    value = _worth(setting, chosen)
    if not np.isfinite(value):
        raise _refused("order", f"must be low enough for the places allowed to tell the harmonics apart, got {spec.order}; lower it or widen the surface")
    base = start(setting)
    probes = Spheres(chosen, base.parts["probes"].radius, base.parts["probes"].polarization)
    return Solution(Design({"probes": probes}, base.fingerprint), Status.CONVERGED, chosen.ravel(), -value, {"log det": value}, {}, message=Status.CONVERGED.advice)


def _worth(setting: Setting, places) -> float:
    """log det F'F, or -inf where a limit is broken."""
    if _breach(setting, places) > 1e-6:
        return -np.inf
    F = monitoring.basis(np.asarray(places), setting.spec.order, setting.radius)
    sign, value = np.linalg.slogdet(F.T @ F)
    return float(value) if sign > 0 else -np.inf


def _breach(setting: Setting, places) -> float:
    """Largest breach (m) of spacing or of a kept-out space."""
    away = np.linalg.norm(places[:, None] - places[None], axis=2) + np.diag(np.full(len(places), np.inf))
    within = [float(inside(space, places).any()) for space in setting.spec.keep_out]
    return max([0.0, setting.spec.spacing - float(away.min()), *within])


def _refined(setting: Setting, value, places) -> np.ndarray:
    """Places slid over the surface, downhill in value(x) -> (cost, slope)."""
    height = places @ setting.frame[2]
    v = places @ setting.frame.T / np.where(np.isfinite(setting.half), setting.half, setting.radius)

    def score(x):
        cost, slope = value(x)
        return float(cost), np.asarray(slope)

    start = np.column_stack([v[:, :2], height / setting.radius if not np.isfinite(setting.half[2]) else v[:, 2]])
    found = minimize(score, start.ravel(), jac=True, method="L-BFGS-B", options={"maxiter": STEPS})
    return _held(setting, np.asarray(_on_surface(setting, jnp.asarray(found.x))))


def _on_surface(setting: Setting, x):
    """Places (N,3) m for any vectors: scaled onto the ellipsoid, or onto the cylinder at their own height."""
    v = x.reshape(-1, 3)
    if np.isfinite(setting.half[2]):
        local = v / jnp.linalg.norm(v, axis=1, keepdims=True) * setting.half
    else:
        ring = v[:, :2] / jnp.linalg.norm(v[:, :2], axis=1, keepdims=True) * setting.half[0]
        local = jnp.concatenate([ring, v[:, 2:] * setting.radius], axis=1)
    return local @ setting.frame


def _held(setting: Setting, places) -> np.ndarray:
    """The last micrometres back between the heights, along the surface."""
    local = places @ setting.frame.T
    height = np.clip(local[:, 2], setting.low, setting.high)
    ring = np.sqrt(np.maximum(1 - (height / setting.half[2]) ** 2, 0.0)) if np.isfinite(setting.half[2]) else np.ones(len(height))
    unit = local[:, :2] / setting.half[:2]
    unit = unit / np.maximum(np.linalg.norm(unit, axis=1, keepdims=True), 1e-300)
    return np.column_stack([unit * ring[:, None] * setting.half[:2], height]) @ setting.frame


def _cost(setting: Setting, x):
    spec, places = setting.spec, _on_surface(setting, x)
    F = monitoring.basis(places, spec.order, setting.radius)
    height = places @ setting.frame[2]
    size = setting.radius
    over = jnp.maximum(0.0, jnp.maximum(height - setting.high, setting.low - height)) / size
    first, second = np.triu_indices(spec.probes, 1)
    apart = jnp.sqrt(jnp.sum((places[first] - places[second]) ** 2, axis=1) + 1e-12)
    near = jnp.maximum(0.0, 1.001 * spec.spacing - apart) / size
    cost = -jnp.linalg.slogdet(F.T @ F)[1] + STIFF * (jnp.sum(over**2) + jnp.sum(near**2))
    for space in spec.keep_out:
        cost = cost + STIFF * jnp.sum((jnp.maximum(0.0, depth(space, places) + 1e-3 * size) / size) ** 2)
    return cost


# --- the later hops -----------------------------------------------------------------------------------


def wind(setting: Setting, solution: Solution) -> Product:
    """The droplets."""
    probes = solution.design.parts["probes"]
    return Product(source=Assembly([Spheres(*(np.asarray(v) for v in (probes.centre, probes.radius, probes.polarization)))]))


def relax(setting: Setting, solution: Solution) -> str:
    """Never asked: what cannot be placed is refused with its key."""
    return solution.message


RECIPE = Recipe(prepare, start, solve, wind, evidence, relax)
