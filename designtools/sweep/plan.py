"""Which designs a sweep consists of, each checked before the first one runs."""

from __future__ import annotations

import hashlib
import itertools
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any

from designtools.spec import fingerprint, load, resolved
from designtools.spec.base import did_you_mean
from designtools.sweep.ranges import BadSweep, Range, Tolerance, read_range, read_tolerance

MOST_DESIGNS = 100_000
EDGE = 4.0  # how wide a gap beside an infeasible design counts: figures are steepest there, but nobody knows yet how steep


@dataclass(frozen=True)
class Plan:
    """A spec file and, for each design, the overrides that make it.

    `method` is grid, latin, epsilon, scatter or as built; `epsilon` the range whose values are chosen as the
    figures come in, so that `designs` holds only the first of `total`; `tolerances` those of a scatter.
    """

    spec: Path
    kind: str
    varied: tuple[str, ...]
    designs: tuple[dict[str, Any], ...]
    fingerprints: tuple[str, ...]
    method: str = "grid"
    seed: int = 0
    total: int = 0
    fixed: Mapping[str, Any] = field(default_factory=dict)
    epsilon: Range | None = None
    tolerances: tuple[Tolerance, ...] = ()

    @property
    def identity(self) -> str:
        """What another sweep does not share: the first designs, and what those that follow depend on."""
        about = [self.method, self.seed, self.total, repr(self.epsilon), repr(self.tolerances), self.fingerprints]
        return hashlib.sha256(json.dumps(about).encode()).hexdigest()


def plan(
    spec: str | Path,
    vary: Sequence[str] = (),
    overrides: Mapping[str, Any] | None = None,
    *,
    epsilon: str | None = None,
    scatter: Sequence[str] = (),
    samples: int | None = None,
    seed: int = 0,
) -> Plan:
    """The designs asked for by texts such as vary=["key.path=a:b:n"]; see the table in `designtools.sweep`.

    `samples` designs of a Latin hypercube or a scatter, drawn with `seed`.
    Raises BadSweep for a text that cannot be read and SpecError for a value that the spec refuses.
    """
    fixed = dict(overrides or {})
    if sum(map(bool, (vary, epsilon, scatter))) != 1:
        raise BadSweep("one of --vary, --epsilon and --scatter must be given, and only one; they are different questions")
    if epsilon:
        return _epsilon(Path(spec), fixed, read_range(epsilon, "--epsilon"))
    if scatter:
        return _scatter(Path(spec), fixed, [read_tolerance(text) for text in scatter], _wanted(samples, "--scatter"), seed)
    ranges = _distinct([read_range(text) for text in vary])
    open_ended = [r.key for r in ranges if not r.count and not r.listed]
    if samples is None and open_ended:
        raise BadSweep(f"--vary must be KEY.PATH=A:B:N with a number N of values, or --samples given, got no N for {open_ended[0]!r}")
    if samples is None:
        return _grid(Path(spec), fixed, ranges)
    if len(open_ended) + sum(bool(r.listed) for r in ranges) < len(ranges):
        raise BadSweep("with --samples every --vary must be KEY.PATH=A:B without a number of values, or a list of values")
    return _latin(Path(spec), fixed, ranges, _wanted(samples, "--vary"), seed)


def _distinct(ranges: list[Range]) -> list[Range]:
    keys = [r.key for r in ranges]
    twice = next((key for key in keys if keys.count(key) > 1), None)
    if twice:
        raise BadSweep(f"--vary must name each key once, got {twice!r} twice")
    return ranges


def _wanted(samples: int | None, option: str) -> int:
    if samples is None or not 2 <= samples <= MOST_DESIGNS:
        raise BadSweep(f"{option} needs --samples from 2 to {MOST_DESIGNS}, such as --samples 100, got {samples}")
    return samples


def _checked(spec: Path, fixed, keys, designs: list[dict], method: str, **more) -> Plan:
    models = [load(spec, design) for design in designs]
    prints = tuple(fingerprint(model) for model in models)
    given = {"total": len(designs)} | more
    return Plan(spec, models[0].kind, tuple(keys), tuple(designs), prints, method, fixed=fixed, **given)


def _grid(spec: Path, fixed, ranges: list[Range]) -> Plan:
    values = [r.values() for r in ranges]
    count = 1
    for group in values:
        count *= len(group)
    if count > MOST_DESIGNS:
        raise BadSweep(f"a grid must have at most {MOST_DESIGNS} designs, got {count}; try --samples")
    keys = [r.key for r in ranges]
    designs = [fixed | dict(zip(keys, row)) for row in itertools.product(*values)]
    return _checked(spec, fixed, keys, designs, "grid")


def _latin(spec: Path, fixed, ranges: list[Range], samples: int, seed: int) -> Plan:
    """McKay, Beckman, Conover (1979): every range is cut into `samples` equal slices, one design in each."""
    keys = [r.key for r in ranges]
    rows = _hypercube(len(ranges), samples, seed)
    designs = [fixed | {r.key: r.between(Fraction(float(u)).limit_denominator(10**9)) for r, u in zip(ranges, row)} for row in rows]
    return _checked(spec, fixed, keys, designs, "latin", seed=seed)


def _hypercube(dimensions: int, samples: int, seed: int):
    from scipy.stats.qmc import LatinHypercube

    return LatinHypercube(dimensions, rng=seed).random(samples)


def _scatter(spec: Path, fixed, tolerances: list[Tolerance], samples: int, seed: int) -> Plan:
    """Design 0 is the spec itself, `samples` others have the keys normally distributed about its values."""
    built = [t.built for t in tolerances]
    if any(built) and not all(built):
        raise BadSweep("--scatter must name keys of the spec, which are designed anew, or built.WORD of one design, not both")
    if all(built):
        _refuse_no_field(load(spec, fixed))
        plan = _checked(spec, fixed, ("sample",), [fixed], "as built", seed=seed, tolerances=tuple(tolerances))
        return _with_total(plan, samples + 1)
    from scipy.stats import norm

    model = load(spec, fixed)
    nominal = [_nominal(resolved(model), tolerance.key) for tolerance in tolerances]
    rows = norm.ppf(_hypercube(len(tolerances), samples, seed))
    keys = [t.key for t in tolerances]
    designs = [fixed] + [fixed | {t.key: float(n + z * _sigma(t, n)) for t, n, z in zip(tolerances, nominal, row)} for row in rows]
    return _checked(spec, fixed, keys, designs, "scatter", seed=seed, tolerances=tuple(tolerances))


def _refuse_no_field(model) -> None:
    from designtools.evaluate import UnreadableWinding, refuse_other_kinds

    try:
        refuse_other_kinds(model)
    except UnreadableWinding as error:
        raise BadSweep(str(error).replace("--spec", "a spec swept with --scatter built", 1)) from None


def _with_total(plan: Plan, total: int) -> Plan:
    from dataclasses import replace

    return replace(plan, total=total)


def _sigma(tolerance: Tolerance, nominal: float) -> float:
    return tolerance.sigma * abs(nominal) if tolerance.relative else tolerance.sigma


def _nominal(spec: Any, key: str) -> float:
    """The SI value that the resolved spec has at a key."""
    from designtools.units import UnitError, parse

    node = spec
    for word in key.split("."):
        inside: dict[str | int, Any]
        inside = node if isinstance(node, dict) else dict(enumerate(node)) if isinstance(node, list) else {}
        step = int(word) if isinstance(node, list) and word.isdecimal() else word
        if step not in inside:
            raise BadSweep(f"--scatter must name keys of the spec, got {key!r}{did_you_mean(str(step), map(str, inside))}")
        node = inside[step]
    try:
        return parse(node, "any")
    except UnitError:
        raise BadSweep(f"--scatter must name a number, got {key!r}, which is {str(node)[:60]!r}") from None


# --- trade-offs ------------------------------------------------------------------------------------------------


def _epsilon(spec: Path, fixed, limit: Range) -> Plan:
    """The two ends of the limit and its middle first; `further` chooses the others."""
    if limit.listed or limit.count < 3:
        raise BadSweep(f"--epsilon must be KEY.PATH=A:B:N with N of at least 3 designs, such as target.error='3 %:15 %:9', got N = {limit.count}")
    designs = [fixed | {limit.key: limit.at(t)} for t in (Fraction(0), Fraction(1), Fraction(1, 2))]
    return _checked(spec, fixed, (limit.key,), designs, "epsilon", epsilon=limit, total=limit.count)


def further(plan: Plan, runs: Sequence[Mapping[str, Any]], axes: tuple[str, str]) -> list[dict[str, Any]]:
    """Overrides of the designs that follow those that have ended; nothing when the sweep is whole.

    A trade-off is halved where its two figures leave the widest gap; as built, the samples follow the design.
    """
    left = plan.total - len(runs)
    if left <= 0:
        return []
    if plan.method == "as built":
        return [dict(plan.fixed) | {"sample": i} for i in range(len(runs), plan.total)]
    if plan.epsilon is None:
        return []
    places = sorted((_place(plan.epsilon, run), _point(run, axes)) for run in runs)
    gaps = _gaps(places)
    widest = sorted((-size, t) for t, size in gaps if size > 0)[: max(1, len(runs) // 3)]
    taken = {str(run["overrides"][plan.epsilon.key]) for run in runs}
    values = [plan.epsilon.between(t) if _whole(plan.epsilon) else plan.epsilon.at(t) for _, t in widest]
    fresh = list(dict.fromkeys(value for value in values if str(value) not in taken))
    return [dict(plan.fixed) | {plan.epsilon.key: value} for value in fresh[:left]]


def _whole(limit: Range) -> bool:
    return not limit.unit and limit.low.denominator == limit.high.denominator == 1


def _place(limit: Range, run: Mapping[str, Any]) -> Fraction:
    """How far along its range the limit of a design lies."""
    value = Fraction(str(run["overrides"][limit.key]).partition(" ")[0])
    return (value - limit.low) / (limit.high - limit.low) if limit.high != limit.low else Fraction(0)


def _point(run, axes) -> tuple[float, ...]:
    values = [(run["figures"].get(axis) or {}).get("value") for axis in axes]
    return tuple(value for value in values if value is not None) if None not in values else ()


def _gaps(places) -> list[tuple[Fraction, float]]:
    """(middle, size) between neighbours: the distance of their figures in units of their spans; beside an infeasible design the distance of the limits."""
    points = [point for _, point in places if point]
    spans = [max(column) - min(column) for column in zip(*points)] or [0.0, 0.0]
    size = lambda p, q: sum(abs(a - b) / span for a, b, span in zip(p, q, spans) if span > 0)
    middle = lambda s, t: (s + t) / 2
    found = []
    for (s, p), (t, q) in itertools.pairwise(places):
        found.append((middle(s, t), size(p, q) if p and q else EDGE * float(t - s) if p or q else 0.0))
    return found
