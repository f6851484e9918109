"""Recipes, one per kind of design: from a spec to a Problem, a product and its evidence."""

from __future__ import annotations

from importlib import import_module

from designtools.recipes.product import Evidence, Product, Recipe, Unfinished

_MODULES = {
    "Gradient": "gradient",
    "MatrixCoil": "matrix_coil",
    "Magnet": "magnet",
    "BlockMagnet": "block_magnet",
    "Halbach": "halbach",
    "Shim": "shim",
    "Camera": "camera",
    "RFCoil": "rf_coil",
    "RFShim": "rf_shim",
    "System": "system",
}  # spec model -> module


def recipe(model) -> Recipe:
    """The recipe of a spec model; each module calls its own RECIPE."""
    return import_module(f"designtools.recipes.{_MODULES[type(model).__name__]}").RECIPE


__all__ = ["Evidence", "Product", "Recipe", "Unfinished", "recipe"]
