"""From loose loops to one conductor that can be wound: spirals, returns, links and leads.

Nested loops of one lobe are cut along a column u = const, from their centre toward the nearer end of the former,
and each outer turn slides into the next inner one over a short jog.  The inner end comes back out along the column,
lifted off the surface by one step; it carries the opposite of what the jogs carry inward.  Lobes are joined in
series by a trunk that runs in columns (along v) and in a corridor near each end (along u), go and return one
above the other at two and three steps, so that their fields nearly cancel; on a cylinder the columns carry no
azimuthal current and so make no axial field.

Steps of lift: 0 turns and jogs, 1 returns, 2 trunk out, 3 trunk back.  Every turn keeps its direction.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
import shapely

from designtools.windings.contour import chord_pieces, half_width
from designtools.windings.spacing import lifted_spacing, wire_spacing
from designtools.windings.winding import Track, Winding


PLACES = (
    5,
    6,
    7,
    8,
    10,
    12,
)  # conductor places that the shortest jogs take: as few as keep the turns apart where they slant


class JoinError(ValueError):
    """The loops cannot be joined as asked; the sentence says why and what to try."""


def join(
    former,
    tracks,
    current: float,
    width: float,
    thickness: float,
    *,
    name: str = "winding",
    leads: str = "high",
    azimuth: float | None = None,
    lead_length: float = 0.05,
    return_clearance: float | None = None,
    jog: float = 5.0,
    spacing: float = 0.0,
    inward: bool = False,
) -> Winding:
    """One open track through all closed `tracks` of a layer, with two terminals one above the other.

    Conductor `width` x `thickness` m with `return_clearance` m between stacked conductors (default: half the
    thickness).  Terminals lie `lead_length` m beyond the "high" or "low" end of v at u = `azimuth` (default:
    beside the first lobe).  A jog is `jog` times as long as it steps aside, but at
    least five conductor places, and more where turns would come nearer than `spacing` m where they slant; where the turn
    has room for it.
    `inward` puts returns, links and leads on the inner side of the surface: where a shield's are farther from the
    cryostat.  JoinError (a ValueError) where no free column exists or lifted conductors would touch.
    """
    if not tracks or not all(t.closed for t in tracks):
        raise JoinError(
            f"join needs closed tracks, got {sum(not t.closed for t in tracks)} open of {len(tracks)}; join each layer once"
        )
    if leads not in ("high", "low"):
        raise JoinError(f'leads must be "high" or "low", got {leads!r}')
    clearance = thickness / 2 if return_clearance is None else return_clearance
    lift = (thickness + clearance) * (-1 if inward else 1)
    layout = _Layout(former, lift, width + clearance, jog, PLACES[0], +1 if leads == "high" else -1)
    track = _spaced(layout, [_Loop.of(former, t) for t in tracks], azimuth, lead_length, spacing, width)
    _refuse_collisions(track, tracks, layout, width)
    return Winding(name, (track,), current, width, thickness, np.array([track.points[0], track.points[-1]]))


def _spaced(layout, loops, azimuth, lead_length, spacing: float, width: float) -> Track:
    """The track with the shortest jogs that keep turns `spacing` m apart, else with those that keep them widest apart."""
    best, widest = None, -np.inf
    for places in PLACES:
        try:
            track = _laid(replace(layout, places=places), loops, azimuth, lead_length)
        except JoinError:
            if best is None:
                raise
            break
        apart = wire_spacing([track], width).distance
        if apart > widest:
            best, widest = track, apart
        if apart >= spacing:
            break
    return best


def _laid(layout, loops, azimuth, lead_length) -> Track:
    sites = _placed(layout, loops, _chains(layout, loops))
    path = _Path(layout)
    _wire(layout, path, sites, azimuth, lead_length)
    return path.track()


def series(windings, gap: float | None = None) -> tuple[Winding, ...]:
    """The joined layers in series, from the inside out: a link leads from each layer to the next.

    The terminals of the whole are the first terminal of the first layer and the last of the last, brought back
    beside it, `gap` m (default: three widths) farther out along the leads; shorter leads are made as long as the
    longest.  All layers must carry the same current and have terminals above one another; JoinError otherwise.
    """
    windings = tuple(windings)
    if any(w.terminals is None or len(w.tracks) != 1 for w in windings):
        raise JoinError("series needs joined windings with terminals, got a loose one; join each layer first")
    if not np.allclose([w.current for w in windings], windings[0].current, rtol=1e-9):
        raise JoinError(
            f"series needs equal currents, got {[w.current for w in windings]} A; contour every layer with one current"
        )
    ahead = _lead_direction(windings[-1])
    farthest = max(np.dot(w.terminals[1], ahead) for w in windings)
    windings = [_led_out(w, ahead, farthest) for w in windings]
    for inner, outer in pairwise(windings):
        _refuse_slanted(inner, outer, ahead)
    gap = 3 * windings[0].width if gap is None else gap
    ends = [w.terminals[:1] for w in windings[1:]]
    ends.append(np.stack([windings[-1].terminals[1], windings[0].terminals[0]]) + gap * ahead)
    return tuple(_prolonged(winding, after=end, role="link") for winding, end in zip(windings, ends))


def _lead_direction(winding):
    points = winding.tracks[0].points
    step = points[-1] - points[-2]
    return step / np.linalg.norm(step)


def _led_out(winding, ahead, farthest):
    """The winding with both leads made as long as the longest of the layers."""
    missing = farthest - np.dot(winding.terminals[1], ahead)
    if missing < 1e-9:
        return winding
    start, end = winding.terminals + missing * ahead
    return _prolonged(winding, before=start[None], after=end[None], role="lead")


def _refuse_slanted(inner, outer, ahead):
    step = outer.terminals[0] - inner.terminals[1]
    normal = inner.tracks[0].normals[-1]
    sideways = np.linalg.norm(step - np.dot(step, ahead) * ahead - np.dot(step, normal) * normal)
    if sideways > inner.width / 2:
        raise JoinError(
            f"series needs terminals above one another, got {sideways:.3g} m aside; "
            "join every layer with the same azimuth and the same leads"
        )


def _prolonged(winding, role, before=(), after=()):
    """The winding with further points (k,3) at its start and at its end."""
    track = winding.tracks[0]
    points = np.concatenate([np.reshape(before, (-1, 3)), track.points, np.reshape(after, (-1, 3))])
    normals = track.normals[[0] * len(before) + list(range(len(track.points))) + [-1] * len(after)]
    track = Track(points, normals, (role,) * len(before) + track.roles + (role,) * len(after))
    return replace(winding, tracks=(track,), terminals=np.array([points[0], points[-1]]))


@dataclass(frozen=True)
class _Layout:
    """What all parts of one join share: lengths in m, `side` of the leads (+1 high v, -1 low v)."""

    former: object
    lift: float
    aside: float
    jog: float
    places: int
    side: int

    @property
    def period(self):
        (low, high), _ = self.former.span
        return high - low if self.former.periodic[0] else None

    def across(self, uv, distance):
        """Change of u that moves `distance` m sideways at uv (2,)."""
        return distance / self._metric(uv, 0)

    def along(self, uv, distance):
        """Change of v that moves `distance` m along the column at uv (2,)."""
        return distance / self._metric(uv, 1)

    def _metric(self, uv, axis):
        step = np.zeros((1, 2))
        step[0, axis] = 1e-5 * np.ptp(self.former.span[axis])
        ends = self.former.at(uv + step), self.former.at(uv - step)
        return float(np.linalg.norm(ends[0] - ends[1]) / (2 * step[0, axis]))


@dataclass(frozen=True)
class _Loop:
    """A closed line in the parameter plane: uv (n,2) with u unwrapped, positions `at` (n,) m along it.

    The last point repeats the first, up to a period in u for a loop round the former (`ring` +-1, else 0).
    """

    uv: np.ndarray
    at: np.ndarray
    ring: int

    @classmethod
    def of(cls, former, track):
        uv = former.inverse(track.points)
        (low, high), _ = former.span
        if former.periodic[0]:
            uv[:, 0] = np.unwrap(uv[:, 0], period=high - low)
        ring = int(np.rint((uv[-1, 0] - uv[0, 0]) / (high - low))) if former.periodic[0] else 0
        uv[-1] = uv[0] + [ring * (high - low), 0]
        step = np.linalg.norm(np.diff(track.points, axis=0), axis=1)
        return cls(uv, np.concatenate([[0], np.cumsum(step)]), ring)

    @property
    def length(self):
        return self.at[-1]

    @property
    def sense(self):
        """+1 where the loop runs counterclockwise in (u, v), or toward +u round the former."""
        if self.ring:
            return self.ring
        u, v = (self.uv - self.uv[0]).T
        return int(np.sign((u[:-1] * v[1:] - u[1:] * v[:-1]).sum()))

    def crossings(self, column, period):
        """Positions (m,) m along the loop and v (m,) where it crosses u = column, and the shift of u to get there."""
        offset = self.uv[:, 0] - column
        lap = 1.0 if period is None else period
        sheet = (
            np.floor(offset / lap + 1e-9) if period else (offset >= -1e-9).astype(float)
        )  # points on it count as past it
        k = np.flatnonzero(sheet[:-1] != sheet[1:])
        wanted = lap * np.maximum(sheet[k], sheet[k + 1]) if period else np.zeros(len(k))
        share = np.clip((wanted - offset[k]) / (offset[k + 1] - offset[k]), 0, 1)
        position = self.at[k] + share * (self.at[k + 1] - self.at[k])
        return position, self.uv[k, 1] + share * (self.uv[k + 1, 1] - self.uv[k, 1]), -wanted

    def rolled(self, position, shift):
        """The same loop begun at `position` m, moved by `shift` in u."""
        turn, near = self.uv[-1] - self.uv[0], 1e-9 * self.length
        at = np.concatenate([self.at[:-1], self.at[:-1] + self.length]) - position
        uv = np.concatenate([self.uv[:-1], self.uv[:-1] + turn])
        inner = (at > near) & (at < self.length - near)
        start = self.points([position])
        uv = np.concatenate([start, uv[inner], start + turn]) + [shift, 0]
        return _Loop(uv, np.concatenate([[0.0], at[inner], [self.length]]), self.ring)

    def points(self, s):
        """uv (m,2) at positions s (m,) m, which may lie one length before the start."""
        s = np.asarray(s, float)
        laps = np.floor(s / self.length)
        flat = np.stack([np.interp(s - laps * self.length, self.at, self.uv[:, k]) for k in (0, 1)], axis=-1)
        return flat + laps[..., None] * (self.uv[-1] - self.uv[0])

    def opened(self, after, before):
        """uv from `after` m behind the start to `before` m ahead of it, once round; the end lies near the start's u."""
        room = 0.3 * self.length / (len(self.at) - 1)
        inner = (self.at > after + room) & (self.at < self.length - before - room)
        return np.concatenate([self.points([after]), self.uv[inner], self.points([-before])])

    def moved(self, shift):
        """The same loop moved by `shift` in u."""
        return _Loop(self.uv + [shift, 0], self.at, self.ring)


# --- which loops make up a lobe -----------------------------------------------------------------------------


def _chains(layout, loops) -> list:
    """Lists of loop indices from the outside in, each to become one spiral, with the side (+-1) it opens to."""
    _, (low, high) = layout.former.span
    middle, small = (low + high) / 2, 1e-6 * (high - low)
    chains = []
    for chain in _nests(layout, loops) + _ring_groups(loops):
        v = np.mean([np.ptp(loops[i].uv[:, 1]) / 2 + loops[i].uv[:, 1].min() for i in chain]) - middle
        side = layout.side if abs(v) < small else int(np.sign(v))
        if loops[chain[0]].ring:
            chain = sorted(chain, key=lambda i: -side * loops[i].uv[:, 1].mean())
        chains.append((chain, side))
    return chains


def _nests(layout, loops) -> list:
    """Chains of closed loops in which each holds exactly one next one of the same direction."""
    parent = _parents(layout, loops)
    children = {i: [j for j in parent if parent[j] == i] for i in parent}
    goes_on = lambda i: len(children[i]) == 1 and loops[children[i][0]].sense == loops[i].sense
    chains = []
    for i in parent:
        if parent[i] is not None and goes_on(parent[i]):
            continue
        chain = [i]
        while goes_on(chain[-1]):
            chain.append(children[chain[-1]][0])
        chains.append(chain)
    return chains


def _parents(layout, loops) -> dict:
    """Index of the smallest closed loop round each closed loop, or None."""
    closed = [i for i, loop in enumerate(loops) if not loop.ring]
    if not closed:
        return {}
    shapes = {i: shapely.Polygon(loops[i].uv) for i in closed}
    area = {i: abs(shapes[i].area) for i in closed}
    start = np.array([loops[i].uv[0] for i in closed])
    shifts = (0.0,) if layout.period is None else (-layout.period, 0.0, layout.period)
    parent = dict.fromkeys(closed)
    for outer in sorted(closed, key=area.get, reverse=True):  # smaller ones overwrite larger ones
        shape = shapes[outer]
        shapely.prepare(shape)
        inside = np.any([shapely.contains_xy(shape, start[:, 0] + s, start[:, 1]) for s in shifts], axis=0)
        for inner in np.array(closed)[inside]:
            if area[inner] < area[outer]:
                parent[int(inner)] = outer
    return parent


def _ring_groups(loops) -> list:
    """Runs of neighbouring loops round the former that share their direction."""
    groups = []
    for i in sorted((i for i, loop in enumerate(loops) if loop.ring), key=lambda i: loops[i].uv[:, 1].mean()):
        if groups and loops[groups[-1][-1]].sense == loops[i].sense:
            groups[-1].append(i)
        else:
            groups.append([i])
    return groups


# --- where each lobe is cut ---------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Site:
    """A lobe cut at u = `column`: its n loops begun on the column, from the outside in.

    `leave` (n,) and `enter` (n,) m: how far ahead of the column each turn ends, and how far behind it starts.  `reach`
    in u is kept clear on both sides.
    """

    loops: list
    column: float
    side: int
    leave: np.ndarray
    enter: np.ndarray
    reach: float

    @property
    def mouth(self):
        """Where the column meets the outermost loop (2,)."""
        return np.array([self.column, self.loops[0].uv[0, 1]])

    @property
    def inner(self):
        """Where the column meets the innermost loop (2,)."""
        return np.array([self.column, self.loops[-1].uv[0, 1]])

    def moved(self, shift):
        """The same site `shift` farther in u."""
        return replace(self, column=self.column + shift, loops=[loop.moved(shift) for loop in self.loops])

    @property
    def toward(self):
        """+1 where the current crosses the column toward +u, else -1."""
        return int(np.sign(self.loops[0].uv[1, 0] - self.loops[0].uv[0, 0]))


def _placed(layout, loops, chains) -> list:
    """A site for each chain; lobes with the least freedom choose their column first."""
    sites = []
    for chain, side in sorted(chains, key=lambda c: np.ptp(loops[c[0][-1]].uv[:, 0])):
        found = (_site(layout, loops, chain, side, column) for column in _columns(layout, loops[chain[-1]]))
        site = next(
            (s for s in found if s is not None and all(_apart(layout, s, other) for other in sites)), None
        )
        if site is None:
            centre = loops[chain[-1]].uv[:-1].mean(0)
            raise JoinError(
                f"a lobe of {len(chain)} turns must have a free column toward its end, found none near u={centre[0]:.3g}, "
                f"v={centre[1]:.3g}; try a narrower conductor, a smaller return_clearance or fewer turns"
            )
        sites.append(site)
    return sites


def _columns(layout, loop):
    """Columns to try for a lobe, from the centre of its innermost loop sideways."""
    if loop.ring:
        return layout.former.span[0][0] + np.arange(72) / 72 * layout.period
    u, v = (loop.uv - loop.uv[0]).T
    cross = u[:-1] * v[1:] - u[1:] * v[:-1]
    centre = loop.uv[0, 0] + ((u[:-1] + u[1:]) * cross).sum() / (3 * cross.sum())
    offsets = 0.4 * np.ptp(u) * np.linspace(0, 1, 25)
    return centre + np.stack([offsets, -offsets], axis=1).ravel()[1:]


def _site(layout, loops, chain, side, column):
    """The chain cut at the column, or None where the cut is not a clean sequence of its loops."""
    cut = [_outermost_crossing(loops[i], column, side, layout.period) for i in chain]
    if any(c is None for c in cut):
        return None
    v = np.array([c[1] for c in cut])
    if np.any(np.diff(side * v) >= 0) or _count_between(loops, column, layout.period, v[-1], v[0]) != len(
        chain
    ):
        return None
    cut_loops = [loops[i].rolled(c[0], c[2]) for i, c in zip(chain, cut)]
    entry = _entry(layout, cut_loops[0])
    if entry is None:
        return None
    leave, enter = _half_jogs(layout, cut_loops)
    enter[0] = max(entry, leave[0])  # beside its start the first jog has left the first turn
    reach = layout.across(cut_loops[0].uv[0], max(enter.max(), leave.max()) + 2 * layout.aside)
    return _Site(cut_loops, column, side, leave, enter, reach)


def _outermost_crossing(loop, column, side, period):
    position, v, shift = loop.crossings(column, period)
    if not len(v):
        return None
    best = int(np.argmax(side * v))
    return position[best], v[best], shift[best]


def _count_between(loops, column, period, v_inner, v_outer) -> int:
    low, high = sorted((v_inner, v_outer))
    v = np.concatenate([loop.crossings(column, period)[1] for loop in loops])
    return int(((v >= low) & (v <= high)).sum())


def _half_jogs(layout, loops):
    """How far (m) from the column each of n loops is left (n,) for the next one, and entered (n,) from the one before.

    Jogs of equal steps end at opposite points of neighbours, so that they slant alike and stay as far apart as the turns
    that they join; wider steps take longer ones.
    """
    uv, length = np.array([loop.uv[0] for loop in loops]), np.array([loop.length for loop in loops])
    step = np.linalg.norm(np.diff(layout.former.at(uv), axis=0), axis=1)
    if not len(step):
        alone = np.minimum(2 * layout.aside, length / 5) / 2
        return alone, alone
    even = [min(layout.places * layout.aside / 2, length[0] / 8)]
    for outer, inner in pairwise(loops):
        even.append(min(_opposite(layout, outer, inner, even[-1]), inner.length / 8))
    wide = np.minimum(layout.jog * step / 2, length[1:] / 10)
    leave, enter = np.array(even), np.array(even)
    leave[:-1], enter[1:] = np.maximum(leave[:-1], wide), np.maximum(enter[1:], wide)
    leave[-1] = enter[-1]
    return leave, enter


def _opposite(layout, outer, inner, half):
    """How far (m) from the column the inner loop passes the points of the outer one that are `half` m from it, on the mean."""
    s = np.concatenate([sign * half * np.linspace(0.4, 1.6, 60) for sign in (-1, 1)]).reshape(2, 60)
    ends = layout.former.at(outer.points([-half, half]))
    away = np.linalg.norm(layout.former.at(inner.points(s.ravel())).reshape(2, 60, 3) - ends[:, None], axis=2)
    return float(np.abs(np.take_along_axis(s, away.argmin(axis=1)[:, None], axis=1)).mean())


def _entry(layout, loop):
    """How far (m) along the loop it has left the column by one conductor; None where it runs along the column."""
    s = np.linspace(0, loop.length / 4, 200)
    aside = np.abs(loop.points(s)[:, 0] - loop.uv[0, 0])
    clear = np.flatnonzero(aside > 1.01 * layout.across(loop.uv[0], layout.aside))
    return s[clear[0]] if len(clear) else None


def _apart(layout, a, b) -> bool:
    """Whether two sites keep clear: beside one another, or (opening to opposite ends) behind one another."""
    gap = abs(a.column - b.column)
    if layout.period is not None:
        gap = abs((gap + layout.period / 2) % layout.period - layout.period / 2)
    if gap > a.reach + b.reach:
        return True
    high, low = (a, b) if a.side > b.side else (b, a)
    return a.side != b.side and high.inner[1] > low.inner[1] + layout.along(low.inner, 2 * layout.aside)


# --- the conductor ------------------------------------------------------------------------------------------


class _Path:
    """The conductor as it grows: uv, lift (in m) of each point and role of each piece."""

    def __init__(self, layout):
        self.layout, self.uv, self.height, self.roles = layout, [], [], []
        self.chord_error = 2e-4 * half_width(layout.former)

    def begin(self, uv, height):
        self.uv, self.height = [np.asarray(uv, float)], [height]

    def lift(self, height, role):
        """Straight up or down to `height`."""
        self._add(self.uv[-1], height, role)

    def follow(self, uv, role):
        """Through points uv (n,2) at the present height."""
        for point in uv:
            self._add(point, self.height[-1], role)

    def go(self, uv, role):
        """Straight in the parameter plane to uv (2,), in pieces short enough for the surface."""
        start, end = self.uv[-1], np.asarray(uv, float)
        if np.allclose(start, end, rtol=0, atol=1e-12):
            return
        share = np.linspace(0, 1, chord_pieces(self.layout.former, start, end, self.chord_error) + 1)[
            1:, None
        ]
        self.follow(start + share * (end - start), role)

    def _add(self, uv, height, role):
        self.uv.append(np.asarray(uv, float))
        self.height.append(height)
        self.roles.append(role)

    def track(self) -> Track:
        uv, height, former = np.array(self.uv), np.array(self.height), self.layout.former
        normals = former.normal(uv)
        return Track(former.at(uv) + height[:, None] * normals, normals, tuple(self.roles))


def _wire(layout, path, sites, azimuth, lead_length):
    """Leads, trunk and every lobe in turn, then the trunk back to the leads."""
    start, stops = _itinerary(layout, _unwrapped(layout, sites))
    lead = _lead(layout, start, azimuth, lead_length)
    path.begin(lead[0], 2 * layout.lift)
    for point in lead[1:]:
        path.go(point, "lead")
    trunk = []
    for i, (site, corridor, sense, detour) in enumerate(stops):
        for point in detour:
            path.go(point, "link")
        entry, exit = _lobe(layout, path, site, corridor, sense)
        last = i == len(stops) - 1
        path.lift((3 if last else 2) * layout.lift, "link")
        if not last:
            path.go([exit[0], corridor], "link")
        trunk += [*detour, [entry[0], corridor], entry, exit, [exit[0], corridor]]
    for point in [*trunk[-3::-1], lead[-1]]:
        path.go(point, "link")
    for point in lead[-2::-1]:
        path.go(point, "lead")


def _lobe(layout, path, site, corridor, sense):
    """From the corridor down into the lobe, round its turns and back up to step 1 at the exit.

    Returns entry and exit (2,) of the trunk; seen along the trunk (`sense` in u) the exit comes after the entry.
    """
    entry = site.loops[0].points([site.enter[0]])[0]
    path.go([entry[0], corridor], "link")
    path.go(entry, "link")
    path.lift(0.0, "link")
    for k, loop in enumerate(site.loops):
        path.follow(loop.opened(site.enter[k], site.leave[k])[1:], "turn")
        if k + 1 < len(site.loops):
            path.follow(_jog(loop, site.loops[k + 1], site.leave[k], site.enter[k + 1]), "jog")
    path.lift(layout.lift, "return")
    path.go(site.inner, "return")
    path.go(site.mouth, "return")
    if site.toward == -sense:
        return entry, site.mouth
    beyond = site.side * max(site.side * entry[1], site.side * site.mouth[1]) + site.side * layout.along(
        site.mouth, layout.aside
    )
    exit = np.array([entry[0] + sense * layout.across(entry, layout.aside), beyond])
    path.go([site.column, beyond], "return")
    path.go(exit, "return")
    return entry, exit


def _jog(outer, inner, before, after):
    """uv of a slide from `outer` at -before m to `inner` at +after m of the column."""
    share = np.linspace(0, 1, 13)[1:]
    along = 2 * share - 1
    return (1 - share[:, None]) * outer.points(along * before) + share[:, None] * inner.points(along * after)


def _unwrapped(layout, sites) -> list:
    """The sites by column, moved by periods so that the widest free stretch of u lies outside them."""
    if layout.period is None:
        return sorted(sites, key=lambda s: s.column)
    low = layout.former.span[0][0]
    sites = [s.moved(low + (s.column - low) % layout.period - s.column) for s in sites]
    sites = sorted(sites, key=lambda s: s.column)
    columns = np.array([s.column for s in sites])
    gaps = np.diff(np.append(columns, columns[0] + layout.period))
    split = int(np.argmax(np.round(gaps, 9))) + 1
    return sites[split:] + [s.moved(layout.period) for s in sites[:split]] if split < len(sites) else sites


def _itinerary(layout, sites):
    """Where the trunk starts (2,), and its stops: (site, v of the corridor, sense in u, detour on the way there)."""
    aside = layout.across(sites[0].mouth, layout.aside)
    start = min(s.column - s.reach for s in sites) - 2 * aside
    end = max(s.column + s.reach for s in sites) + 2 * aside
    near, far = ([s for s in sites if s.side == side] for side in (layout.side, -layout.side))
    near_v, far_v = _corridor(layout, near, layout.side), _corridor(layout, far, -layout.side)
    stops = [(s, near_v, +1, ()) for s in near]
    if far and near:
        _refuse_full_circle(layout, start, end + aside)
        across = [np.array([end, near_v]), np.array([end, far_v])]
        stops += [(s, far_v, -1, across if i == 0 else ()) for i, s in enumerate(far[::-1])]
    elif far:
        stops += [(s, far_v, +1, [np.array([start, far_v])] if i == 0 else ()) for i, s in enumerate(far)]
    return np.array([start, near_v]), stops


def _refuse_full_circle(layout, start, end):
    if layout.period is not None and end - start > layout.period:
        raise JoinError(
            f"the trunk must pass from end to end between two lobes, but {end - start:.3g} of {layout.period:.3g} in u is taken; try a smaller jog or a narrower conductor"
        )


def _corridor(layout, sites, side):
    """v of the corridor that serves the sites of one end: beyond their outermost turns; the rim where there are none."""
    rim = layout.former.span[1][1 if side > 0 else 0]
    if not sites:
        return rim
    reach = max((side * s.loops[0].uv[:, 1]).max() for s in sites)
    return side * (reach + layout.along(sites[0].mouth, 4 * layout.aside))


def _lead(layout, start, azimuth, lead_length):
    """Points (n,2) from the terminals to the start of the trunk; round the end first when the azimuth is given."""
    side, (low, high) = layout.side, layout.former.span[1]
    apart, beyond = layout.along(start, 3 * layout.aside), layout.along(start, lead_length)
    round_v = start[1] + side * apart
    end_v = side * (max(side * (high if side > 0 else low), side * round_v) + beyond)
    if azimuth is None:
        return [np.array([start[0], end_v]), start]
    if layout.period is not None:
        azimuth = start[0] + (azimuth - start[0] + layout.period / 2) % layout.period - layout.period / 2
    return [np.array([azimuth, end_v]), np.array([azimuth, round_v]), np.array([start[0], round_v]), start]


def _refuse_collisions(track, loops, layout, width):
    """JoinError where a lifted conductor comes nearer to another than the layout promises."""
    promised = min(abs(layout.lift), layout.aside, wire_spacing(loops, width).distance)
    found = lifted_spacing([track], width)
    if found.distance < 0.9 * promised:
        raise JoinError(
            f"lifted conductors must stay {promised:.3g} m apart, but a {found.roles[0]} and a {found.roles[1]} come within "
            f"{found.distance:.3g} m at {np.round(found.where, 4).tolist()}; try another azimuth, a smaller jog or a narrower conductor"
        )
