"""FastHenry input: nodes, segments between them, and ports through which the current comes.

The direct current in each segment follows from its resistance (length over section over conductivity) by
Kirchhoff's laws, `current` A entering at the first node of every `.external` and leaving at the second; for a conductor
in series that is just its path.  Syntax: Kamon, Silveira, Smithhisler, White, FastHenry User's Guide (1996).
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from designtools.foreign.reading import Reading, UnreadableWinding, refuse_odd_size, unit_of
from designtools.sources import Filaments

UNITS = {"km": "km", "m": "m", "cm": "cm", "mm": "mm", "um": "um", "in": "in", "mils": "mil", "mil": "mil"}


@dataclass
class _Net:
    """The network as it is read, line by line."""

    nodes: dict[str, np.ndarray] = field(default_factory=dict)
    segments: list[tuple[str, str, float]] = field(default_factory=list)  # from, to, conductivity times section
    equal: list[tuple[str, ...]] = field(default_factory=list)
    ports: list[tuple[str, str]] = field(default_factory=list)
    defaults: dict[str, float] = field(default_factory=dict)
    unit: str | None = None


def read_fasthenry(path: Path, current: float = 1.0, unit: str | None = None) -> Reading:
    """Filaments along the segments of a .inp file; planes are refused."""
    net = _Net()
    for line in _lines(path.read_text(encoding="utf-8-sig")):
        if line.lower() == ".end":
            break
        _take(path, net, line)
    _refuse_incomplete(path, net)
    stated = {"mil": "in"}.get(net.unit or "", net.unit)  # a mil is a thousandth of an inch
    length = unit_of(path, unit, stated, "m")
    scale = 1e-3 if net.unit == "mil" and not unit else 1.0
    ends = np.array([[net.nodes[a], net.nodes[b]] for a, b, _ in net.segments]) * scale
    refuse_odd_size(path, np.abs(ends).max(), length)
    amperes = current * _currents(path, net, np.linalg.norm(ends[:, 1] - ends[:, 0], axis=1))
    source = Filaments(start=ends[:, 0] * length.metre, end=ends[:, 1] * length.metre, current=amperes)
    ports = f"{current:g} A through {len(net.ports)} port{'s' if len(net.ports) > 1 else ''}"
    return Reading(source, f"{len(amperes)} segments as straight lines; {length.words()}; {ports}")


def _lines(text: str) -> list[str]:
    """Logical lines: the first is a title, * comments, + goes on."""
    joined: list[str] = []
    for line in text.splitlines()[1:]:
        line = line.strip()
        if line.startswith("+") and joined:
            joined[-1] += " " + line[1:]
        elif line and not line.startswith("*"):
            joined.append(line)
    return joined


def _values(line: str) -> dict[str, float]:
    return {key.lower(): float(value) for key, value in re.findall(r"(\w+)\s*=\s*([-+.\deE]+)", line)}


def _take(path: Path, net: _Net, line: str) -> None:
    words = re.sub(r"\w+\s*=\s*\S+", "", line).lower().split()
    kind, values = words[0], net.defaults | _values(line)
    if kind == ".units":
        net.unit = _unit(path, words)
    elif kind == ".default":
        net.defaults = values
    elif kind == ".equiv":
        net.equal.append(tuple(words[1:]))
    elif kind == ".external":
        net.ports.append((words[1], words[2]))
    elif kind in (".freq",):
        return
    elif kind[0] == "n":
        _refuse_lacking(path, line, values, "xyz")
        net.nodes[kind] = np.array([values[axis] for axis in "xyz"])
    elif kind[0] == "e":
        _refuse_lacking(path, line, values, "wh")
        net.segments.append((words[1], words[2], values["w"] * values["h"] * _conductivity(values)))
    else:
        raise UnreadableWinding(f"'{path}': must hold nodes, segments and ports alone, got {line[:60]!r}; leave it out")


def _unit(path: Path, words: list[str]) -> str:
    if len(words) < 2 or words[1] not in UNITS:
        raise UnreadableWinding(f"'{path}': .units must be one of {', '.join(UNITS)}, got {' '.join(words[1:]) or 'nothing'!r}")
    return UNITS[words[1]]


def _conductivity(values: dict[str, float]) -> float:
    return values["sigma"] if "sigma" in values else 1 / values["rho"] if "rho" in values else 1.0


def _refuse_lacking(path: Path, line: str, values, keys) -> None:
    lacking = [key for key in keys if key not in values]
    if lacking:
        raise UnreadableWinding(f"'{path}': {line.split()[0]} must state {', '.join(lacking)}, got {line[:60]!r}")


def _refuse_incomplete(path: Path, net: _Net) -> None:
    named = [n for a, b, _ in net.segments for n in (a, b)] + [n for group in net.equal + net.ports for n in group]
    unknown = next((name for name in named if name not in net.nodes), None)
    if unknown is not None:
        raise UnreadableWinding(f"'{path}': every node must be given before it is used, got {unknown!r}")
    if not net.segments or not net.ports:
        raise UnreadableWinding(f"'{path}': must have segments and a line `.external N1 N2` that says where the current enters and leaves")


def _currents(path: Path, net: _Net, lengths: np.ndarray) -> np.ndarray:
    """(S,) A in each segment for 1 A through every port."""
    number = _numbered(net)
    a, b = (np.array([number[name] for name in names]) for names in ([s[0] for s in net.segments], [s[1] for s in net.segments]))
    conductance = np.array([segment[2] for segment in net.segments]) / lengths
    n = max(number.values()) + 1
    incidence = np.zeros((len(a), n))
    np.add.at(incidence, (np.arange(len(a)), a), 1.0)
    np.add.at(incidence, (np.arange(len(a)), b), -1.0)
    injected = np.zeros(n)
    for enters, leaves in net.ports:
        injected[number[enters]] += 1
        injected[number[leaves]] -= 1
    laplace = incidence.T @ (conductance[:, None] * incidence)
    voltage = np.linalg.lstsq(laplace, injected, rcond=None)[0]
    if np.abs(laplace @ voltage - injected).max() > 1e-6:
        raise UnreadableWinding(f"'{path}': segments must join the two nodes of every .external, but they do not")
    return conductance * (incidence @ voltage)


def _numbered(net: _Net) -> dict[str, int]:
    """Node -> number, the same for nodes that .equiv joins."""
    from scipy.sparse import coo_matrix
    from scipy.sparse.csgraph import connected_components

    place = {name: i for i, name in enumerate(net.nodes)}
    pairs = np.array([(place[group[0]], place[name]) for group in net.equal for name in group[1:]]).reshape(-1, 2)
    graph = coo_matrix((np.ones(len(pairs)), pairs.T), shape=(len(place),) * 2)
    labels = connected_components(graph, directed=False)[1]
    return {name: int(labels[i]) for name, i in place.items()}
