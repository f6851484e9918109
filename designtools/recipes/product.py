"""What a recipe hands on: the thing that can be built, and the evidence of what it is worth."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple


@dataclass(frozen=True)
class Product:
    """The wound design.

    `source` is the discrete source that is built and audited; `stages` name -> source of each step on the way
    (continuous, discrete, joined), whose differences the audit states; `windings`, `formers` (by winding
    name) and `sheets` are geometry for the exporters; `parts` name -> result folder of what it is made of.
    """

    source: Any
    stages: Mapping[str, Any] = field(default_factory=dict)
    windings: tuple = ()
    formers: Mapping[str, Any] = field(default_factory=dict)
    sheets: Mapping[str, Any] = field(default_factory=dict)
    parts: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Evidence:
    """Figures (name -> result.Figure), the audit record, plots and maps for the report, requirements implied, and arrays that exporters write."""

    figures: Mapping[str, Any]
    audit: Mapping[str, Any]
    plots: Mapping[str, Any] = field(default_factory=dict)
    maps: tuple = ()
    implied: tuple[Mapping[str, Any], ...] = ()
    arrays: Mapping[str, Any] = field(default_factory=dict)


class Unfinished(Exception):
    """A part for which there is no design: `status` in the words of a result, and a sentence."""

    def __init__(self, status: str, message: str):
        self.status = status
        super().__init__(message)


class Recipe(NamedTuple):
    """The hops of one kind of design, each a plain function of what the hop before it made.

    prepare(spec) -> setting; start(setting) -> the Design before it is solved; solve(setting, progress) -> Solution; wind(setting, solution) -> Product;
    evidence(setting, solution, product, progress) -> Evidence; relax(setting, solution) -> sentence for an
    infeasible solution, naming the keys of the spec to relax and by how much.
    Where a design is made of others: parts(spec, store, design, progress) designs those first, and prepare takes what it
    returns as second argument.  formats: the exports of the result folder, None for all.
    """

    prepare: Any
    start: Any
    solve: Any
    wind: Any
    evidence: Any
    relax: Any
    parts: Any = None
    formats: tuple[str, ...] | None = None
