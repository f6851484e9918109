"""Flux density where it is wanted and where it is not."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from types import SimpleNamespace

import jax.numpy as jnp
import numpy as np

from designtools.problem import Quantity
from designtools.regions import Region
from designtools.sources import Sheet
from designtools.sources.sheet_operator import field_operator


@dataclass(frozen=True)
class FieldQuantity(Quantity):
    """A quantity linear in the field at `points` (P,3) m; `read` turns a matrix (P,3,K) from any K to the field into its own (m,K)."""

    points: np.ndarray | None = None
    read: Callable | None = None


def component(region: Region, direction, name: str = "field") -> Quantity:
    """B . direction (P,) T at the points of a region; direction (3,) is a unit vector, usually b0_axis.

    An optimiser cheats between the points: audit on others.
    """
    points, direction = jnp.asarray(region.points), jnp.asarray(direction, float)
    of = lambda design: design.field(points) @ direction
    project = lambda matrix: np.einsum("pcv,c->pv", matrix, direction)
    return _field_quantity(name, "T", of, points, project, cheat="errors between the points")


def mean_component(region: Region, direction, weights, name: str) -> Quantity:
    """Weighted sum (1,) of B . direction over the points of a region; weights (P,) carry the unit (1/m: a gradient, T/m)."""
    points, direction, weights = map(jnp.asarray, (region.points, direction, weights))
    of = lambda design: (weights @ (design.field(points) @ direction))[None]
    project = lambda matrix: np.einsum("p,pcv,c->v", weights, matrix, direction)[None]
    return _field_quantity(name, "T/m", of, points, project)


def flux_density(region: Region, name: str = "stray field") -> Quantity:
    """B (P,3) T at the points of a region, for a limit on |B| as a cone per point.

    An optimiser cheats between the points and beyond the ends of the surface.
    """
    points = jnp.asarray(region.points)
    rows = lambda matrix: matrix.reshape(-1, matrix.shape[2])
    cheat = "between the points; beyond the ends"
    return _field_quantity(name, "T", lambda design: design.field(points), points, rows, cheat)


def _field_quantity(name: str, unit: str, of, points, read, cheat: str = "") -> FieldQuantity:
    return FieldQuantity(name, unit, of, cheat, _sheet_jacobian(points, read), np.asarray(points), read)


def _sheet_jacobian(points, rows):
    """Closed-form derivative with respect to the stream functions; None for a design of other sources."""

    def jacobian(design):
        if not all(isinstance(part, Sheet) for part in design.parts.values()):
            return None
        found = {n: rows(field_operator(p.vertices, p.faces, points)) for n, p in design.parts.items()}
        return SimpleNamespace(parts={n: SimpleNamespace(stream=m) for n, m in found.items()})

    return jacobian
