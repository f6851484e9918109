"""The least conductor that any coaxial magnet inside an envelope can do with, and where it would lie.

Cut the envelope into rings of section dA at (r, z) that carry the fraction x of their largest current density J.
The field is linear in x, so the least volume of conductor is a linear programme:

    minimise  sum |x| 2 pi r dA    subject to  |x| <= 1,   B.b0 = B0 at the centre,
    0 <= (B.b0 - t)/(ppm B0) <= 1  on the region's surface (t is free),   |B| <= level on the ellipse.

|B| <= level enters as tangent planes, added where a solution breaks it.  On the surface of the region a harmonic
function has its extremes, and outside the ellipse |B|^2 is subharmonic, so both hold everywhere once they hold there.

The certificate is the Lagrange dual: with multipliers y the volume is at least

    y.b - integral of max(0, J |sum_p y_p B_p(r,z)| - 2 pi r) dA

for ANY y, in the continuum of rings, not only on the cells of the programme: B_p(r, z) is the field at point p of a
ring there.  Every design of blocks with densities up to J is such a distribution, so none can beat that number.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import jax
import jax.numpy as jnp
import numpy as np
from scipy.optimize import linprog

from designtools.kernels.loop import loop_field

COARSE, FINEST = 900, 14_400  # cells of the first and of the last programme
NEAR = 0.3  # a cell joins the finer programme when its price is within this fraction of its cost
MOST_CUTS = 60  # rounds of tangent planes
CUT_TOLERANCE = 1e-4  # relative excess over the level that is left
RULE = 2  # Gauss points along each side of a cell
CHUNK = 4096  # rings summed at a time


@dataclass(frozen=True)
class Places:
    """Where the field is asked for, in the half plane: the centre first, then the region's surface, then the ellipse."""

    r: np.ndarray
    z: np.ndarray
    surface: slice
    ellipse: slice


@dataclass(frozen=True)
class Task:
    """What is asked: places, strength B0 (T), variation (relative), level (T) and J(r, z) -> A/m2, 0 where nothing may lie.

    box: inner radius, outer radius, z_low, z_high (m) of what is cut into cells; walls: radii and heights where J jumps,
    on which cells end.
    """

    places: Places
    strength: float
    variation: float
    level: float
    density: object
    box: tuple[float, float, float, float]
    walls: tuple[tuple[float, ...], tuple[float, ...]]
    mirrored: bool


@dataclass(frozen=True)
class Certificate:
    """The programme's answer: `fill` (nr,nz) in [-1,1] on cells with edges `r`, `z`; volume and its lower bound (m3).

    `error` is the change of the bound when the grid of its integral is refined.  `relaxations` (name -> amount in units
    of strength, variation and level) is empty where the task is feasible.
    """

    fill: np.ndarray
    r: np.ndarray
    z: np.ndarray
    volume: float
    bound: float
    error: float
    relaxations: dict


@dataclass(frozen=True)
class Cells:
    """A grid and the cells of it that may carry current: index (N,), density (N,) A/m2, cost (N,) m3 (twins included)."""

    r: np.ndarray
    z: np.ndarray
    index: np.ndarray
    density: np.ndarray
    cost: np.ndarray


@dataclass(frozen=True)
class Programme:
    """Fields per unit fill at the places (P,2,N) (B.b0 and radial, T), and the tangent planes so far."""

    task: Task
    cells: Cells
    fields: np.ndarray
    cut_place: np.ndarray  # (C,) index into the ellipse
    cut_normal: np.ndarray  # (C,2)


@dataclass(frozen=True)
class Answer:
    """fill (N,), volume m3, multipliers: weight (P,2) of the field at each place and the constant of the dual."""

    fill: np.ndarray
    volume: float
    weight: np.ndarray
    constant: float
    slack: np.ndarray


def certificate(task: Task, progress=None) -> Certificate:
    """Least volume of conductor on ever finer cells, and the dual bound in the continuum."""
    say = progress or (lambda sentence: None)
    cells = _cells(task, COARSE)
    programme = _programme(task, cells)
    answer, programme = _solved(programme)
    if answer is None:
        return _infeasible(programme)
    while len(cells.r) * len(cells.z) < FINEST:
        say(f"linear programme on {len(cells.index)} rings: {answer.volume:.5g} m3")
        finer = _refined(task, cells, answer)
        found, refined = _solved(replace(_programme(task, finer), cut_place=programme.cut_place, cut_normal=programme.cut_normal))
        if found is None:
            say(f"the {len(finer.index)} rings that pay cannot do it alone: the programme stays with {len(cells.index)}")
            break  # the bound needs multipliers only, whatever cells they came from
        cells, answer, programme = finer, found, refined
    coarse, fine = (_dual(task, answer, n) for n in (2 * FINEST, 8 * FINEST))
    say(f"at least {fine:.5g} m3 of conductor; on {len(cells.index)} rings {answer.volume:.5g} m3")
    return Certificate(_on_grid(cells, answer.fill), cells.r, cells.z, answer.volume, fine, abs(fine - coarse), {})


def _on_grid(cells: Cells, values: np.ndarray) -> np.ndarray:
    full = np.zeros((len(cells.r) - 1, len(cells.z) - 1))
    full.ravel()[cells.index] = values
    return full


# --- cells ------------------------------------------------------------------------------------------


def _edges(task: Task, count: int):
    inner, outer, low, high = task.box
    side = np.sqrt((outer - inner) * (high - low) / count)
    return _split(inner, outer, task.walls[0], side), _split(low, high, task.walls[1], side)


def _split(low: float, high: float, walls, side: float) -> np.ndarray:
    """Edges from low to high, about `side` apart, one on every wall between."""
    ends = np.unique(np.clip([low, high, *walls], low, high))
    parts = [np.linspace(a, b, max(1, round((b - a) / side)), endpoint=False) for a, b in zip(ends, ends[1:])]
    return np.concatenate([*parts, [high]])


def _cells(task: Task, count: int) -> Cells:
    return _allowed(task, *_edges(task, count))


def _allowed(task: Task, r: np.ndarray, z: np.ndarray, keep=None) -> Cells:
    """The cells whose centre may carry current, of those that `keep` (nr,nz) marks."""
    density = task.density(*np.meshgrid(_middle(r), _middle(z), indexing="ij"))
    index = np.flatnonzero((density > 0) & (True if keep is None else keep))
    volume = np.pi * np.outer(np.diff(r**2), np.diff(z)).ravel() * (2 if task.mirrored else 1)
    return Cells(r, z, index, density.ravel()[index], volume[index])


def _middle(edges: np.ndarray) -> np.ndarray:
    return (edges[1:] + edges[:-1]) / 2


def _refined(task: Task, cells: Cells, answer: Answer) -> Cells:
    """Half the cell size, only where current flows or nearly pays: the bound does not care what is left out."""
    halve = lambda e: np.sort(np.concatenate([e, _middle(e)]))
    r, z = halve(cells.r), halve(cells.z)
    a, b = (m.ravel() for m in np.meshgrid(_middle(r), _middle(z), indexing="ij"))
    price = np.abs(_worth(task, answer, a, b)) * task.density(a, b)
    keep = price > (1 - NEAR) * _cost(task, a)
    return _allowed(task, r, z, keep.reshape(len(r) - 1, len(z) - 1))


def _cost(task: Task, r: np.ndarray) -> np.ndarray:
    """Volume per section of a ring at r (twin included), m."""
    return 2 * np.pi * r * (2 if task.mirrored else 1)


# --- fields -----------------------------------------------------------------------------------------


@jax.jit
def _ring_fields(r, z, a, b, twin):
    """(B.z, B_r) (2,N,P) at places (P,) of rings of 1 A at radius a, height b (N,); plus twin times their mirror image's."""
    at = lambda height: loop_field((r * r)[None], z[None] - height[:, None], a[:, None])
    (along, radial), (along_twin, radial_twin) = at(b), at(-b)
    return jnp.stack([along + twin * along_twin, (radial + twin * radial_twin) * r])


def _fields_of(task: Task, a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """(2,N,P) T per ampere."""
    padded = -len(a) % CHUNK if len(a) > CHUNK else 0
    a, b = (np.pad(v, (0, padded), mode="edge") for v in (a, b))
    places, twin = task.places, float(task.mirrored)
    parts = [_ring_fields(places.r, places.z, a[i : i + CHUNK], b[i : i + CHUNK], twin) for i in range(0, len(a), CHUNK)]
    return np.concatenate(parts, axis=1)[:, : len(a) - padded]


def _programme(task: Task, cells: Cells) -> Programme:
    t, w = np.polynomial.legendre.leggauss(RULE)
    i, k = np.unravel_index(cells.index, (len(cells.r) - 1, len(cells.z) - 1))
    dr, dz = np.diff(cells.r)[i] / 2, np.diff(cells.z)[k] / 2
    total = 0.0
    for tr, wr in zip(t, w):
        for tz, wz in zip(t, w):
            total = total + wr * wz * _fields_of(task, _middle(cells.r)[i] + tr * dr, _middle(cells.z)[k] + tz * dz)
    fields = total * (dr * dz * cells.density)[:, None]
    return Programme(task, cells, fields.transpose(2, 0, 1), np.zeros(0, int), np.zeros((0, 2)))


# --- the programme ----------------------------------------------------------------------------------


def _solved(p: Programme, elastic: bool = False):
    """Solve, add the tangent planes that the answer breaks, and again; (None, programme) where infeasible."""
    ellipse = p.task.places.ellipse
    for _ in range(MOST_CUTS):
        answer = _solve(p, elastic)
        if answer is None:
            return None, p
        field = p.fields[ellipse] @ answer.fill / p.task.level
        size = np.linalg.norm(field, axis=1)
        over = np.flatnonzero(size > 1 + CUT_TOLERANCE + answer.slack[2])
        if not len(over):
            return answer, p
        p = replace(
            p,
            cut_place=np.concatenate([p.cut_place, over]),
            cut_normal=np.concatenate([p.cut_normal, field[over] / size[over, None]]),
        )
    return answer, p


def _rows(p: Programme):
    """Rows on the fill, each in its own unit: centre (1,N); surface (K,N) in units of the variation; cuts (C,N)."""
    task, f = p.task, p.fields
    along = f[:, 0] / task.strength
    cuts = np.einsum("ck,ckn->cn", p.cut_normal, f[task.places.ellipse][p.cut_place] / task.level)
    return along[:1], (along[task.places.surface] - along[:1]) / task.variation, cuts


def _solve(p: Programme, elastic: bool):
    """Columns: fill up (N), fill down (N), t, and where elastic the slacks of strength, variation and level.

    The surface rows are B - B(centre), which the equality makes the same as B - B0 without its cancellation.
    """
    centre, surface, cuts = _rows(p)
    n, k, c = centre.shape[1], len(surface), len(cuts)
    ends = lambda rows, t, *give: np.hstack([rows, -rows, np.full((len(rows), 1), t), *(np.tile(g, (len(rows), 1)) for g in give)])
    give = [np.array([g]) for g in ([0.0, -1.0, 0.0], [0.0, 0.0, 0.0], [0.0, 0.0, -1.0], [1.0, 0.0, 0.0])] if elastic else [()] * 4
    extra = lambda g: [np.atleast_2d(g)] if elastic else []
    above = np.vstack([ends(surface, -1.0, *extra(give[0])), ends(-surface, 1.0, *extra(give[1])), ends(cuts, 0.0, *extra(give[2]))])
    bound = np.concatenate([np.ones(k), np.zeros(k), np.ones(c)])
    total = p.cells.cost.sum()
    cost = np.concatenate([p.cells.cost, p.cells.cost, [0.0]]) / total
    limits = [(0, 1)] * (2 * n) + [(None, None)]
    if elastic:
        cost, limits = np.concatenate([1e-6 * cost, [100.0, 0.01, 1.0]]), limits + [(0, None)] * 3
    found = linprog(cost, A_ub=above, b_ub=bound, A_eq=ends(centre, 0.0, *extra(give[3])), b_eq=[1.0], bounds=limits, method="highs")
    if found.status != 0:
        return None
    x = found.x
    weight, constant = _multipliers(p, found, total)
    return Answer(x[:n] - x[n : 2 * n], float(found.fun * total), weight, constant, x[2 * n + 1 :] if elastic else np.zeros(3))


def _multipliers(p: Programme, found, total: float):
    """The dual as weights (P,2) m3/T on the field of each place and a constant (m3).

    The multipliers of the two sides of the surface rows are made to balance exactly: t is free, so only then is the
    dual finite.
    """
    task, k = p.task, p.task.places.surface.stop - p.task.places.surface.start
    y = np.maximum(-found.ineqlin.marginals, 0) * total
    up, down, cuts = y[:k], y[k : 2 * k], y[2 * k :]
    share = min(up.sum(), down.sum())
    up, down = (side * (share / side.sum()) if side.sum() > 0 else side for side in (up, down))
    mu = float(found.eqlin.marginals[0]) * total
    weight = np.zeros((len(task.places.r), 2))
    surface = (up - down) / (task.variation * task.strength)
    weight[task.places.surface, 0] += surface
    weight[0, 0] -= surface.sum() + mu / task.strength
    np.add.at(weight[task.places.ellipse], p.cut_place, cuts[:, None] * p.cut_normal / task.level)
    return weight, mu - up.sum() - cuts.sum()


# --- the bound --------------------------------------------------------------------------------------


def _worth(task: Task, answer: Answer, a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """How much volume a ring of 1 A at (a, b) is worth (N,) m3/A: the multipliers times its field."""
    return np.einsum("knp,pk->n", _fields_of(task, a, b), answer.weight)


def _dual(task: Task, answer: Answer, count: int) -> float:
    """The dual function with its integral on `count` cells of RULE x RULE Gauss points."""
    t, w = np.polynomial.legendre.leggauss(RULE)
    r, z = _edges(task, count)
    nodes = lambda e: (_middle(e)[:, None] + np.diff(e)[:, None] / 2 * t).ravel()
    weights = lambda e: (np.diff(e)[:, None] / 2 * w).ravel()
    a, b = (m.ravel() for m in np.meshgrid(nodes(r), nodes(z), indexing="ij"))
    gain = np.abs(_worth(task, answer, a, b)) * task.density(a, b) - _cost(task, a)
    return answer.constant - float(np.maximum(gain, 0) @ np.outer(weights(r), weights(z)).ravel())


def _infeasible(p: Programme) -> Certificate:
    """The least violation: how much of strength, variation and level must give."""
    answer, _ = _solved(p, elastic=True)
    names = ("strength", "variation", "level")
    found = {name: float(v) for name, v in zip(names, answer.slack) if v > 1e-6} if answer else {}
    if not found:
        raise ValueError(
            "the linear programme of the magnet must be feasible or say by how much it is not, got neither; "
            "change field.strength, field.homogeneity or fringe a little, or enlarge the envelope"
        )
    fill = np.zeros((len(p.cells.r) - 1, len(p.cells.z) - 1))
    return Certificate(fill, p.cells.r, p.cells.z, np.nan, np.inf, 0.0, found)
