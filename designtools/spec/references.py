"""Values that follow from other values: "= shared.bore - 6 mm", "= 0.5 * magnet.region.radius + gradient.conductor.spacing".

A text that begins with "=" is a sum: terms with " + " or " - " between them, each a quantity, a name, or a number times a
name.  A name alone may stand for anything (an axis, a path, a list); in a sum it must be a number with a unit.
Names are dotted key paths of the spec they stand in.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from designtools import units

_NAME = re.compile(r"[A-Za-z_]\w*(\.[\w-]+)*$")
_PRODUCT = re.compile(r"([+-]?[\d.]+(?:[eE][+-]?\d+)?)\s*\*\s*(.+)$")
_UNIT = re.compile(r"\s*[+-]?[\d.]+(?:[eE][+-]?\d+)?\s*(.*?)\s*$")
_FORM = 'must be a sum such as "= shared.bore - 6 mm" or "= 0.5 * shared.bore", of quantities, names and numbers times names'


class ReferenceProblem(ValueError):
    """A reference that leads nowhere or cannot be added up; the message is one sentence."""


class Term(NamedTuple):
    """`factor` times what `text` is: a name, or a quantity."""

    factor: float
    text: str
    named: bool


def is_reference(value: Any) -> bool:
    """Whether a value is a text that begins with "="."""
    return isinstance(value, str) and value.lstrip().startswith("=")


def terms_of(text: str) -> tuple[Term, ...]:
    """The terms of a reference; raises ReferenceProblem."""
    pieces = re.split(r"\s+([+-])\s+", text.strip()[1:].strip())
    signs = [1.0, *(1.0 if sign == "+" else -1.0 for sign in pieces[1::2])]
    return tuple(_term(sign, piece.strip(), text) for sign, piece in zip(signs, pieces[::2]))


def _term(sign: float, piece: str, text: str) -> Term:
    product = _PRODUCT.match(piece)
    factor, piece = (float(product[1]), product[2].strip()) if product else (1.0, piece)
    named = bool(_NAME.match(piece))
    if not named and (product or not re.match(r"[+-]?[\d.]", piece)):
        raise ReferenceProblem(f"{_FORM}, got {text!r}")
    return Term(sign * factor, piece, named)


def names_in(value: Any) -> Iterator[str]:
    """Every name that the references anywhere in plain data mention; texts that are no sound reference mention none."""
    if isinstance(value, dict):
        for item in value.values():
            yield from names_in(item)
    elif isinstance(value, (list, tuple)):
        for item in value:
            yield from names_in(item)
    elif is_reference(value):
        try:
            yield from (term.text for term in terms_of(value) if term.named)
        except ReferenceProblem:
            return


def value_of(text: str, look_up: Callable[[str], Any]) -> Any:
    """What a reference stands for: the named value as it is, or the sum in SI.  Raises ReferenceProblem."""
    terms = terms_of(text)
    if len(terms) == 1 and terms[0].named and terms[0].factor == 1.0:
        return look_up(terms[0].text)
    values = [(t, look_up(t.text) if t.named else t.text) for t in terms]
    kinds = {kind for _, value in values if (kind := _dimension(value)) is not None}
    if len(kinds) > 1:
        raise ReferenceProblem(f"must add quantities of one dimension, got {text!r}")
    bare = [t.text for t, value in values if not t.named and _dimension(value) is None and units.parse(value, "any") != 0]
    if kinds and bare:
        raise ReferenceProblem(f"must give {bare[0]} a unit, since the others have one, got {text!r}")
    total = sum(term.factor * _number(term, value) for term, value in values)
    return float(f"{total:.15g}")  # 0.1 + 0.006 is 0.106


def _number(term: Term, value) -> float:
    try:
        return units.parse(value, "any")
    except units.UnitError as error:
        raise ReferenceProblem(f"{term.text} {error}") from None


def _dimension(value):
    """Exponents of the base units of a text with a unit, None for a bare number."""
    found = _UNIT.match(value) if isinstance(value, str) else None
    if not found or not found[1]:
        return None
    try:
        return units.read_unit(found[1])[1]
    except KeyError:
        return None


def replaced(value: Any, look_up: Callable[[str], Any], path: tuple = (), problems: list | None = None) -> Any:
    """Plain data with every reference replaced; what cannot be is kept and its (path, sentence) put into `problems`.

    `look_up` may raise ReferenceProblem, or return `WAIT` for a value that is not known yet: the text then stays.
    """
    if isinstance(value, dict):
        return {key: replaced(item, look_up, (*path, key), problems) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [replaced(item, look_up, (*path, index), problems) for index, item in enumerate(value)]
    if not is_reference(value):
        return value
    try:
        if any(look_up(t.text) is WAIT for t in terms_of(value) if t.named):
            return value
        return value_of(value, look_up)
    except ReferenceProblem as problem:
        if problems is None:
            raise
        problems.append((".".join(map(str, path)), str(problem)))
        return value


WAIT = object()


def at(data: Any, name: str) -> Any:
    """The value at a dotted key path of plain data; raises KeyError(the first step that is not there, the keys that are)."""
    for step in name.split("."):
        if isinstance(data, dict) and step in data:
            data = data[step]
        elif isinstance(data, (list, tuple)) and step.isdigit() and int(step) < len(data):
            data = data[int(step)]
        else:
            raise KeyError(step, tuple(data) if isinstance(data, dict) else ())
    return data
