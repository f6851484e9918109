"""What winding errors do to a magnet's field: a Monte-Carlo over placement, size, turns, shift and tilt of every block.

The field on the sphere is a sum of solid harmonics.  Errors that keep a block about the axis change its zonal
coefficients, which are summed exactly anew for every sample; a shift across the axis or a tilt adds, to first order,
harmonics of azimuthal order 1 (d/dx of the block's own field), so

    B_z = Z(theta) + C(theta) cos(phi) + S(theta) sin(phi),     peak to peak = max(Z + A) - min(Z - A),  A^2 = C^2 + S^2

is exact over phi.  The ampere-turns of a block stay what they were unless `ampere_turns` says otherwise.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace

import jax
import jax.numpy as jnp
import numpy as np
from scipy.special import eval_legendre, lpmv
from scipy.stats import beta

from designtools.harmonics import zonal
from designtools.quantities.sections import nodes_for
from designtools.sources import Assembly, Blocks, Loops, Posed

ANGLES = 181  # polar angles where the peaks are looked for
_AT_ONCE = 50


@dataclass(frozen=True)
class Tolerances:
    """Root mean square errors, normal and independent from block to block; numbers, or one per block (N,).

    axial: place along the axis (m); radius: both radii together (m), as of a former; thickness: the outer radius alone
    (m); length: about the middle (m); ampere_turns: relative; lateral: along x and y each (m); tilt: about x and y
    each (rad), about the middle of the block.
    """

    axial: float = 0.0
    radius: float = 0.0
    thickness: float = 0.0
    length: float = 0.0
    ampere_turns: float = 0.0
    lateral: float = 0.0
    tilt: float = 0.0

    def __post_init__(self):
        for name in self.names():
            value = np.asarray(getattr(self, name), float)
            if not np.all(np.isfinite(value)) or np.any(value < 0):
                raise ValueError(f"Tolerances: {name} must be zero or positive, got {value.tolist()}")

    @classmethod
    def names(cls) -> tuple[str, ...]:
        return tuple(f.name for f in fields(cls))

    def along(self, count: int) -> np.ndarray:
        """Those that keep the block about the axis (5,N)."""
        return self._table(self.names()[:5], count)

    def across(self, count: int) -> np.ndarray:
        """Lateral and tilt (2,N)."""
        return self._table(self.names()[5:], count)

    def _table(self, names, count):
        return np.stack([np.broadcast_to(np.asarray(getattr(self, name), float), (count,)) for name in names])


@dataclass(frozen=True)
class Draws:
    """Errors of every sample: along (S,5,N) and across (S,4,N): x, y (m), tilt about x, about y (rad)."""

    along: np.ndarray
    across: np.ndarray


@dataclass(frozen=True)
class Scatter:
    """The outcome of a Monte-Carlo; all variations are relative to the central field of their sample.

    nominal: peak to peak without errors; peak_to_peak (S,): with them; linear (S,): the same as the Jacobian predicts;
    zonal, cosine, sine (S, n+1): coefficients (T at `radius` m, convention of `harmonics`) of order 0 and 1;
    shares: tolerance -> its part of the mean square deviation over the sphere, by block (N,): all parts sum to 1;
    halved: tolerance -> median peak to peak with that tolerance halved, by the Jacobian, same draws.
    """

    nominal: float
    peak_to_peak: np.ndarray
    linear: np.ndarray
    zonal: np.ndarray
    cosine: np.ndarray
    sine: np.ndarray
    radius: float
    shares: dict
    halved: dict
    draws: Draws

    @property
    def dominant(self) -> str:
        """The tolerance with the largest share."""
        return max(self.shares, key=lambda name: self.shares[name].sum())

    def quantile(self, share: float) -> float:
        """Peak to peak that `share` of the samples keep."""
        return float(np.quantile(self.peak_to_peak, share))

    def yield_below(self, limit: float, confidence: float = 0.95) -> tuple[float, float, float]:
        """Share of magnets with a peak to peak at most `limit`, and its Clopper-Pearson interval (low, high)."""
        total, good = self.peak_to_peak.size, int(np.sum(self.peak_to_peak <= limit))
        return good / total, *clopper_pearson(good, total, confidence)


def clopper_pearson(good: int, total: int, confidence: float = 0.95) -> tuple[float, float]:
    """Interval for a probability of which `good` of `total` trials succeeded: covers it at least `confidence` of the time."""
    tail = (1 - confidence) / 2
    low = 0.0 if good == 0 else float(beta.ppf(tail, good, total - good + 1))
    high = 1.0 if good == total else float(beta.ppf(1 - tail, good + 1, total - good))
    return low, high


def scatter(blocks: Blocks, tolerances: Tolerances, radius: float, samples: int = 1000, seed: int = 0, shimmed: int = 0) -> Scatter:
    """Homogeneity of `samples` magnets with random errors on the sphere of `radius` (m) about the origin.

    shimmed: degree up to which harmonics (of order 0 and 1) count as shimmed away.  1,000 samples take about a second.
    """
    count = len(blocks.z_low)
    model = _Model.of(blocks, radius)
    draws = draw(tolerances, count, samples, seed)
    cosine, sine = model.transverse(draws.across)
    exact = model.zonal(draws.along)
    peaks = lambda axial, c, s: peak_to_peak(axial, c, s, shimmed)
    straight = lambda along: model.start + np.einsum("sjn,jnl->sl", along, model.slope)
    scale = lambda name: _scaled(draws, name, 0.5)
    halved = {name: float(np.median(peaks(straight(scale(name).along), *model.transverse(scale(name).across)))) for name in tolerances.names()}
    return Scatter(
        float(peaks(model.start[None], 0 * cosine[:1], 0 * sine[:1])[0]), peaks(exact, cosine, sine),
        peaks(straight(draws.along), cosine, sine), exact, cosine, sine, float(radius),
        model.shares(tolerances, shimmed), halved, draws,
    )  # fmt: skip


def draw(tolerances: Tolerances, count: int, samples: int, seed: int = 0) -> Draws:
    """Normal errors for `samples` magnets of `count` blocks."""
    rng = np.random.default_rng(seed)
    along = rng.normal(size=(samples, 5, count)) * tolerances.along(count)
    return Draws(along, rng.normal(size=(samples, 4, count)) * np.repeat(tolerances.across(count), 2, axis=0))


def _scaled(draws: Draws, name: str, factor: float) -> Draws:
    """The same draws with one tolerance larger or smaller."""
    index = Tolerances.names().index(name)
    along, across = draws.along.copy(), draws.across.copy()
    if index < 5:
        along[:, index] *= factor
    else:
        across[:, 2 * (index - 5) : 2 * (index - 4)] *= factor
    return Draws(along, across)


def peak_to_peak(axial, cosine, sine, shimmed: int = 0) -> np.ndarray:
    """(S,) relative peak to peak on the sphere of coefficients (S, n+1) T of order 0 and 1, `shimmed` degrees left out."""
    degrees, theta = np.arange(axial.shape[1]), np.linspace(0, np.pi, ANGLES)
    x, kept = np.cos(theta), degrees > shimmed
    level = (axial * kept) @ eval_legendre(degrees[:, None], x)
    rows = -lpmv(1, degrees[:, None], x) * (kept & (degrees > 0))[:, None]  # lpmv has the Condon-Shortley sign
    swing = np.hypot(cosine @ rows, sine @ rows)
    return ((level + swing).max(axis=1) - (level - swing).min(axis=1)) / np.abs(axial[:, 0])


def displaced(blocks: Blocks, along, across) -> Assembly:
    """The magnet of one sample, along (5,N) and across (4,N), as a source: the exact geometry, for a second look."""
    moved = _moved(blocks, np.asarray(along))
    parts = []
    for i, (x, y, about_x, about_y) in enumerate(np.asarray(across).T):
        middle = float(moved.z_low[i] + moved.z_high[i]) / 2
        one = jax.tree_util.tree_map(lambda leaf: jnp.asarray(leaf)[i : i + 1], moved)
        centred = replace(one, z_low=one.z_low - middle, z_high=one.z_high - middle)
        parts.append(Posed(centred, [x, y, middle], [about_x, about_y, 0.0]))
    return Assembly(parts)


def _moved(blocks: Blocks, along) -> Blocks:
    """Blocks with the errors (5,N) that keep them about the axis, at fixed ampere-turns."""
    axial, radius, thickness, length, turns = along
    inner, outer = blocks.inner_radius + radius, blocks.outer_radius + radius + thickness
    low, high = blocks.z_low + axial - length / 2, blocks.z_high + axial + length / 2
    density = blocks.ampere_turns() * (1 + turns) / ((outer - inner) * (high - low))
    return Blocks(inner, outer, low, high, density)


# --- the linear and the exact model -------------------------------------------------------------------


@dataclass(frozen=True)
class _Model:
    """start (n+1,): zonal coefficients T; slope (5,N,n+1): by the errors; lateral, tilt (N,n+1): order 1 per m, per rad."""

    blocks: Blocks
    radius: float
    order: int
    rule: tuple[int, int]
    start: np.ndarray
    slope: np.ndarray
    lateral: np.ndarray
    tilt: np.ndarray

    @classmethod
    def of(cls, blocks: Blocks, radius: float):
        order, rule = _order(blocks, radius), _rule(blocks, radius)
        by_block = lambda along: _zonal(blocks, along, radius, order + 1, rule)
        still = jnp.zeros((5, len(blocks.z_low)))
        push = lambda kind: jax.jvp(by_block, (still,), (still.at[kind].set(1.0),))[1][:, :-1]  # a block feels its own errors alone
        parts, slope = (np.asarray(v) for v in jax.jit(lambda: (by_block(still), jax.lax.map(push, jnp.arange(5))))())
        return cls(blocks, radius, order, rule, parts[:, :-1].sum(axis=0), slope, *_order_one(blocks, parts, radius))

    def zonal(self, along) -> np.ndarray:
        """Exact coefficients (S, n+1) T of samples (S,5,N)."""
        one = lambda errors: jnp.sum(_zonal(self.blocks, errors, self.radius, self.order, self.rule), axis=0)
        return np.asarray(jax.jit(lambda all_: jax.lax.map(one, all_, batch_size=_AT_ONCE))(jnp.asarray(along)))

    def transverse(self, across):
        """(cosine, sine) (S, n+1) T of order 1, samples (S,4,N): x, y, tilt about x, tilt about y."""
        x, y, about_x, about_y = np.moveaxis(across, 1, 0)
        return x @ self.lateral + about_y @ self.tilt, y @ self.lateral - about_x @ self.tilt

    def shares(self, tolerances: Tolerances, shimmed: int) -> dict:
        """Tolerance -> share (N,) of the mean square deviation over the sphere."""
        n = np.arange(self.order + 1)
        kept = n > shimmed
        count = len(self.lateral)
        deviation = self.slope - self.slope[..., :1] * self.start / self.start[0]  # relative to the sample's own centre
        zonal_part = np.sum(deviation**2 * (kept & (n > 0)) / (2 * n + 1), axis=-1) * tolerances.along(count) ** 2
        weight = kept * n * (n + 1) / (2 * n + 1)  # cosine and sine together
        first = np.stack([np.sum(v**2 * weight, axis=-1) for v in (self.lateral, self.tilt)]) * tolerances.across(count) ** 2
        parts = np.concatenate([zonal_part, first])
        return dict(zip(tolerances.names(), parts / max(parts.sum(), 1e-300)))


def _order(blocks: Blocks, radius: float) -> int:
    """Degree beyond which (R/d)^n is below 1e-9."""
    nearest, _ = blocks.extent(np.zeros(3))
    if nearest <= radius:
        raise ValueError(f"scatter: the sphere of radius {radius:g} m must lie clear of the blocks, the nearest is {nearest:g} m away")
    return int(np.clip(np.ceil(np.log(1e-9) / np.log(radius / nearest)), 12, 70))


def _rule(blocks: Blocks, radius: float) -> tuple[int, int]:
    """Gauss points along and across the sections, ten digits on the sphere."""
    theta = np.linspace(0, np.pi, 31)
    edges = np.stack([np.asarray(v) for v in (blocks.inner_radius, blocks.outer_radius, blocks.z_low, blocks.z_high)], axis=1)
    return nodes_for(edges, radius * np.sin(theta), radius * np.cos(theta), digits=10.0)


def _zonal(blocks: Blocks, along, radius: float, order: int, rule):
    """Zonal coefficients (N,n+1) T of each block with errors (5,N), as rings on Gauss points."""
    moved = _moved(blocks, along)
    (tz, wz), (tr, wr) = (np.polynomial.legendre.leggauss(n) for n in rule)
    across, upwards = (m.ravel() for m in np.meshgrid(tr, tz, indexing="ij"))
    middle = lambda low, high, t: (low + high)[:, None] / 2 + (high - low)[:, None] / 2 * t
    a, z = middle(moved.inner_radius, moved.outer_radius, across), middle(moved.z_low, moved.z_high, upwards)
    current = moved.ampere_turns()[:, None] * np.outer(wr, wz).ravel() / 4
    zero, up = jnp.zeros(a.shape[1]), jnp.broadcast_to(jnp.array([0.0, 0.0, 1.0]), (a.shape[1], 3))
    rings = lambda a, z, i: Loops(jnp.stack([zero, zero, z], axis=1), up, a, i)
    return jax.vmap(lambda *block: zonal(rings(*block), radius, order))(a, z, current)


def _order_one(blocks: Blocks, parts, radius: float):
    """(N,n+1) twice: coefficients of P_n^1 cos(phi) per metre of shift along x, per radian of tilt about y.

    From the zonal coefficients a_n (N,n+2) of each block.  A shift d moves the field by -(d.grad) B, a turn w about c by
    w x B - ((w x (r - c)).grad) B; with d/dx (r^n P_n) = -r^(n-1) P_(n-1)^1 cos(phi) and B_x = d/dx int B_z dz they are
    a_(n+1)/R  and  a_n (n+2)/(n+1) - c/R a_(n+1).
    """
    n = np.arange(parts.shape[1] - 1)
    lateral = parts[:, 1:] / radius
    middle = np.asarray(blocks.z_low + blocks.z_high)[:, None] / 2
    tilt = parts[:, :-1] * (n + 2) / (n + 1) - middle * lateral
    return lateral * (n > 0), tilt * (n > 0)
