"""Windings in the files of others: what flows where, from whatever a neighbour wrote.

    ending              read as
    .csv .txt .dat      tables of points or segments; our own tables; text curves of COMSOL (lines that open with %)
    .inp                FastHenry: nodes, segments, ports
    .stl .obj           the surface of one swept conductor; OBJ with lines: its lines
    .json               magpylib objects

A file that does not say its unit of lengths is taken at the custom of its kind when the size is that of a coil, and
refused otherwise; what was taken is said in the `note`.
"""

from __future__ import annotations

from pathlib import Path

from designtools.foreign.comsol import is_comsol, read_comsol
from designtools.foreign.fasthenry import read_fasthenry
from designtools.foreign.magpylib_json import read_magpylib
from designtools.foreign.reading import Reading, UnreadableWinding
from designtools.foreign.surfaces import read_obj, read_stl
from designtools.foreign.tables import read_table

__all__ = ["READERS", "Reading", "UnreadableWinding", "read"]


def _read_text(path: Path, current: float, unit: str | None) -> Reading:
    return (read_comsol if is_comsol(path) else read_table)(path, current, unit)


READERS = {
    ".csv": _read_text, ".txt": _read_text, ".dat": _read_text, ".inp": read_fasthenry, ".stl": read_stl, ".obj": read_obj, ".json": read_magpylib,
}  # fmt: skip


def read(path: Path, current: float = 1.0, unit: str | None = None) -> Reading:
    """What is in a file; `current` A where it states none, `unit` of lengths where it states none.

    Raises UnreadableWinding.
    """
    if not path.is_file():
        raise UnreadableWinding(f"FILE must be an existing file, got '{path}'")
    reader = READERS.get(path.suffix.lower())
    if reader is None:
        raise UnreadableWinding(f"'{path}': must be one of {', '.join(READERS)}, got '{path.suffix}'")
    try:
        return reader(path, current, unit)
    except UnreadableWinding:
        raise
    except UnicodeDecodeError as error:
        raise UnreadableWinding(f"'{path}': must be text in UTF-8, got the byte 0x{error.object[error.start]:02x}") from None
    except Exception as error:  # parsers of foreign files raise whatever they stumble over
        reason = " ".join(str(error).split()).removeprefix(f"'{path}': ").removeprefix("from_magpylib: ")[:300]
        raise UnreadableWinding(f"'{path}': must be a sound {path.suffix} file, got: {type(error).__name__}: {reason}") from None
