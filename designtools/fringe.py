"""Where the stray field ends: extent of the surface |B| = level."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from designtools.harmonics.elements import has_rules
from designtools.harmonics.exterior import Exterior, exterior, revolves
from designtools.harmonics.multipoles import multipoles

_RADII = 96  # samples along a ray, from the conductors out to where the field has ended
_WINDOW = 8  # of them looked at together, from the outside in
_ORDER = 32  # of the multipoles of sources that are no bodies of revolution
_ZONAL = 160  # degree of the series of bodies of revolution
_FAR = 1e-11  # of the level: what the multipoles may leave out where they are used
_CLOSE = 1e-11  # relative error of a crossing
_SIZES = (512, 8192)  # points per evaluation


@dataclass(frozen=True)
class Fringe:
    """The outermost surface |B| = level about `centre`.

    axial, radial: its distance from the centre along the axis (+ or -, the larger) and across it, largest
    over the midplane (m), as siting drawings quote it;
    axial_max, radial_max: the largest distance along the axis and from the axis of any of its points (m): a surface
    with lobes beside its axes reaches farther than `axial` and `radial` say, so hold these to a safety limit;
    area: enclosed in the plane of these two directions (m2); volume: enclosed (m3), pockets of weaker field included;
    contour: (K,2) m, coordinates (across, along) of the surface in that plane, closed.
    """

    level: float
    axial: float
    radial: float
    axial_max: float
    radial_max: float
    area: float
    volume: float
    contour: np.ndarray


def fringe_extent(source, level: float = 5e-4, axis="z", centre=(0.0, 0.0, 0.0), angles: int = 240) -> Fringe:
    """Extent of the region |B| >= level (T) of a source about `centre` (3,) m.

    The field itself is evaluated out to a sphere on which it has fallen below the level (it keeps falling beyond:
    outside its sources the largest |B| on a sphere decreases with the radius), never extrapolated.  Sources are
    replaced by their exact multipoles (see `far_sighted`) at distances where these leave out less than 1e-11 of the
    level, by their bound.  Along each ray from the centre the outermost crossing counts.
    Bodies of revolution about z are sampled in one half-plane, other sources over the whole sphere.
    angles: rays over half a turn.
    """
    if not level > 0:
        raise ValueError(f"fringe_extent: level must be a positive flux density in tesla, got {level!r}")
    round_about = axis == "z" and not np.any(np.asarray(centre)[:2]) and revolves(source)
    rays = _Rays(far_sighted(source, level, centre), level, np.asarray(centre, float), _frame(axis))
    plane = 2 * np.pi * np.arange(2 * angles) / (2 * angles)
    outline = rays.reach(*_in_plane(plane))
    phi = _azimuths(round_about, angles)
    along, across = _farthest(rays, phi, angles)
    poles = rays.reach(np.array([0.0, np.pi]), np.zeros(2))
    equator = rays.reach(np.full(len(phi), np.pi / 2), phi)
    return Fringe(
        level=float(level),
        axial=float(poles.max()),
        radial=float(equator.max()),
        axial_max=max(along, float(poles.max())),
        radial_max=max(across, float(equator.max())),
        area=float(np.sum(outline**2) * np.pi / (2 * angles)),
        volume=_volume(rays, phi, angles),
        contour=np.column_stack([outline * np.sin(plane), outline * np.cos(plane)]),
    )


@dataclass(frozen=True)
class FarSighted:
    """A source that answers from its multipoles `far` at distances (m) from `centre` beyond `from_here`, else by itself."""

    near: Any
    far: Any
    from_here: float
    centre: np.ndarray

    def field(self, points) -> np.ndarray:
        """Flux density (P,3) T at points (P,3) m, in batches of few sizes."""
        points = np.asarray(points, float)
        field, far = np.empty((len(points), 3)), np.linalg.norm(points - self.centre, axis=1) >= self.from_here
        for some, form in ((far, self.far), (~far, self.near)):
            if some.any():
                field[some] = _in_batches(form, points[some])
        return field

    def extent(self, centre) -> tuple[float, float]:
        """That of the source."""
        return self.near.extent(centre)


def far_sighted(source, level: float, centre=(0.0, 0.0, 0.0)) -> FarSighted:
    """The source with its far field as a series about `centre` (3,) m, used where it leaves out below 1e-11 of `level` (T).

    Degree 160 for bodies of revolution about z, order 32 for others; sources without rules answer by themselves.
    """
    if isinstance(source, FarSighted):
        return source
    centre = np.asarray(centre, float)
    if revolves(source) and not centre[:2].any():
        far = exterior(source, _ZONAL, float(centre[2]))
    elif has_rules(source):
        far = multipoles(source, _ORDER, centre)
    else:
        return FarSighted(source, None, np.inf, centre)
    distances = far.radius * np.geomspace(1.05, 1e4, 400)
    good = np.asarray(far.error_bound(distances)) <= _FAR * level
    return FarSighted(source, far, float(distances[good][0]) if good.any() else np.inf, centre)


class _Rays:
    """Outermost crossing along rays from the centre; theta from the axis, phi about it."""

    def __init__(self, source: FarSighted, level, centre, frame):
        self.source, self.level, self.centre, self.frame = source, level, centre, frame
        self.inside = source.extent(centre)[1] * 1.001 or 1e-3  # a dipole at the centre has no size of its own
        self.outside = self._end_of_field()

    def reach(self, theta, phi):
        """Distance (Q,) m of the outermost crossing along each direction; 0 where the level is never reached."""
        directions = self._directions(theta, phi)
        outer = np.geomspace(self.inside, self.outside, _RADII)
        low, high = self._bracket(directions, outer)
        missed = np.isnan(low)
        if missed.any():
            low[missed], high[missed] = self._bracket(directions[missed], np.linspace(0, self.inside, 4 * _RADII))
        found = ~np.isnan(low)
        result = np.zeros(len(directions))
        if found.any():
            result[found] = self._refine(directions[found], low[found], high[found])
        return result

    def _directions(self, theta, phi):
        local = np.stack([np.sin(theta) * np.cos(phi), np.sin(theta) * np.sin(phi), np.cos(theta)], axis=-1)
        return local @ self.frame

    def _excess(self, directions, radii):
        """log(|B|/level) at radii (Q,) along directions (Q,3)."""
        size = np.linalg.norm(self.source.field(self.centre + radii[:, None] * directions), axis=1)
        return np.log(np.maximum(size, 1e-300) / self.level)

    def _bracket(self, directions, radii):
        """The last interval of `radii` over which the field falls through the level; NaN where there is none."""
        low, high = np.full((2, len(directions)), np.nan)
        for end in range(len(radii), 1, -_WINDOW):
            window, left = radii[max(0, end - _WINDOW - 1) : end], np.flatnonzero(np.isnan(low))
            if not len(left):
                break
            grid = np.repeat(directions[left], len(window), axis=0)
            above = self._excess(grid, np.tile(window, len(left))).reshape(-1, len(window)) > 0
            falls = above[:, :-1] & ~above[:, 1:]
            last = falls.shape[1] - 1 - np.argmax(falls[:, ::-1], axis=1)
            some = falls.any(axis=1)
            low[left[some]], high[left[some]] = window[last[some]], window[last[some] + 1]
        return low, high

    def _refine(self, directions, low, high):
        """Ridders' method on log|B| against the radius, all rays at once."""
        f_low, f_high = self._excess(directions, low), self._excess(directions, high)
        for _ in range(60):
            middle = (low + high) / 2
            f_middle = self._excess(directions, middle)
            root = np.sqrt(np.maximum(f_middle**2 - f_low * f_high, 1e-300))
            guess = np.clip(middle + (middle - low) * np.sign(f_low - f_high) * f_middle / root, low, high)
            f_guess = self._excess(directions, guess)
            inner = np.sort(np.stack([middle, guess]), axis=0)
            f_inner = np.where(middle <= guess, [f_middle, f_guess], [f_guess, f_middle])
            low, f_low, high, f_high = _narrow(low, f_low, inner, f_inner, high, f_high)
            if np.all((high - low <= _CLOSE * high) | (np.abs(f_guess) < _CLOSE)):
                break
        return np.where(np.abs(f_guess) < _CLOSE, guess, (low + high) / 2)

    def _end_of_field(self):
        """A radius beyond all sources on whose sphere |B| < level everywhere."""
        theta, phi = np.meshgrid(np.linspace(0, np.pi, 49), 2 * np.pi * np.arange(24) / 24, indexing="ij")
        directions = self._directions(theta.ravel(), phi.ravel())
        radius = self.source.from_here if np.isfinite(self.source.from_here) else self.inside
        while self._excess(directions, np.full(len(directions), radius)).max() > -0.05:
            radius *= 1.3
            if radius > 1e4 * self.inside:
                raise ValueError(
                    f"fringe_extent: |B| must fall below {self.level} T somewhere, but it is above it at {radius:.3g} m; "
                    "check the unit of the level and leave background fields out"
                )
        return radius * 1.3


def _in_batches(form, points):
    if isinstance(form, Exterior):
        return form.field(points)  # nothing is compiled
    return np.concatenate([np.asarray(form.field(batch))[:count] for batch, count in _batches(points)])


def _batches(points):
    """Batches of one of two sizes, the last one padded: two shapes, so few compilations."""
    small, large = _SIZES
    size = small if len(points) <= large / 2 else large
    for first in range(0, len(points), size):
        batch = points[first : first + size]
        yield np.concatenate([batch, np.repeat(batch[-1:], size - len(batch), axis=0)]), len(batch)


def _narrow(low, f_low, inner, f_inner, high, f_high):
    """The outermost of the three sub-intervals in which the sign changes from + to -."""
    x = np.stack([low, *inner, high])
    f = np.stack([f_low, *f_inner, f_high])
    falls = (f[:-1] > 0) & (f[1:] <= 0)
    k = 2 - np.argmax(falls[::-1], axis=0)
    ray = np.arange(x.shape[1])
    return x[k, ray], f[k, ray], x[k + 1, ray], f[k + 1, ray]


def _in_plane(angle):
    """theta, phi of directions at `angle` from the axis, a full turn in the plane phi = 0."""
    return np.arccos(np.cos(angle)), np.where(np.sin(angle) >= 0, 0.0, np.pi)


def _azimuths(round_about, angles):
    """One half-plane for a body of revolution about the axis, a full turn otherwise."""
    count = max(24, angles // 4)
    return np.zeros(1) if round_about else 2 * np.pi * np.arange(count) / count


def _farthest(rays, phi, angles):
    """Largest distance along the axis and from it, by zooming in on the best ray."""
    theta = np.linspace(0, np.pi, angles + 1)
    grid = np.stack([array.ravel() for array in np.meshgrid(theta, phi, indexing="ij")])
    reach = rays.reach(*grid)
    spacing = np.array([theta[1], 2 * np.pi / len(phi) if len(phi) > 1 else 0.0])
    return tuple(_zoom(rays, grid, reach, spacing, measure) for measure in (_along, _across))


def _along(reach, theta):
    return reach * np.abs(np.cos(theta))


def _across(reach, theta):
    return reach * np.sin(theta)


def _zoom(rays, grid, reach, spacing, measure):
    step = np.linspace(-1, 1, 9)
    best, at = 0.0, None
    for _ in range(6):
        values = measure(reach, grid[0])
        k = int(np.argmax(values))
        if at is None or values[k] > best:
            best, at = float(values[k]), grid[:, k]
        offsets = np.stack([o.ravel() for o in np.meshgrid(step, step if spacing[1] else [0.0], indexing="ij")])
        grid = at[:, None] + spacing[:, None] * offsets
        grid[0] = np.clip(grid[0], 0, np.pi)
        reach = rays.reach(*grid)
        spacing = spacing / 4
    return best


def _volume(rays, phi, angles):
    """Integral of reach^3/3 over all directions: Gauss-Legendre in cos(theta), uniform in phi."""
    cosine, weight = np.polynomial.legendre.leggauss(angles // 2)
    theta, turn = np.meshgrid(np.arccos(cosine), phi, indexing="ij")
    reach = rays.reach(theta.ravel(), turn.ravel()).reshape(theta.shape)
    return float(2 * np.pi / 3 * weight @ np.mean(reach**3, axis=1))


def _frame(axis):
    """Rows: two directions across the axis and the axis itself."""
    frames = {"x": [[0, 1, 0], [0, 0, 1], [1, 0, 0]], "y": [[0, 0, 1], [1, 0, 0], [0, 1, 0]], "z": np.eye(3)}
    if axis not in frames:
        raise ValueError(f"fringe_extent: axis must be 'x', 'y' or 'z', got {axis!r}")
    return np.asarray(frames[axis], float)
