"""Recipes, one per kind of design: from a spec to a Problem, a product and its evidence."""

from __future__ import annotations

from importlib import import_module

from designtools.recipes.product import Evidence, Product, Recipe

_MODULES = {"gradient": "gradient", "magnet": "magnet", "shim": "shim"}


def recipe(kind: str) -> Recipe:
    """The recipe of a kind of design; each module calls its own RECIPE."""
    return import_module(f"designtools.recipes.{_MODULES[kind]}").RECIPE


__all__ = ["Evidence", "Product", "Recipe", "recipe"]
