"""What each section of a system's evidence hands on."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple


class Found(NamedTuple):
    """Figures, plots and tables, requirements that the spec implies, the audit record, heat (W) by the name of what makes it."""

    figures: Mapping[str, Any] = {}
    plots: Mapping[str, Any] = {}
    implied: tuple[Mapping[str, Any], ...] = ()
    audit: Mapping[str, Any] = {}
    heat: Mapping[str, float] = {}


def together(found: Iterable[Found]) -> Found:
    """All of them as one; heat of one name adds up."""
    found = list(found)
    heat: dict[str, float] = {}
    for piece in found:
        for name, watts in piece.heat.items():
            heat[name] = heat.get(name, 0.0) + watts
    merged = lambda key: {k: v for piece in found for k, v in getattr(piece, key).items()}
    return Found(merged("figures"), merged("plots"), tuple(row for piece in found for row in piece.implied), merged("audit"), heat)


def implied(quantity: str, op: str, limit: float, source: str = "this spec") -> dict[str, Any]:
    """A requirement that follows from the spec, with where it comes from."""
    return {"quantity": quantity, "op": op, "limit": limit, "source": source, "edition": ""}
