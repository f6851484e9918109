"""Specs: what a person asks for, as validated plain data."""

from designtools.spec.load import (
    KINDS,
    LATER,
    Mistake,
    SpecError,
    fingerprint,
    json_schema,
    load,
    resolved,
    to_yaml,
    write_json_schemas,
)

__all__ = [
    "KINDS",
    "LATER",
    "Mistake",
    "SpecError",
    "fingerprint",
    "json_schema",
    "load",
    "resolved",
    "to_yaml",
    "write_json_schemas",
]
