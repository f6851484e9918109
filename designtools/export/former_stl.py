"""STL of the formers with a groove under every turn: what a printer or a mill makes, in millimetres."""

from __future__ import annotations

from pathlib import Path

from designtools.export.flat import former_of
from designtools.export.names import siblings
from designtools.export.stl import write_meshes
from designtools.units import parse


def refuses(result) -> str:
    """Why there is nothing to write, or ""."""
    if not (result.windings and result.formers):
        return "the design has no winding on a former"
    return (
        ""
        if result.spec.get("former")
        else "the spec asks for no former; add `former: {thickness, groove_depth}`"
    )


def write(result, path: Path) -> tuple[Path, ...]:
    """One file per winding (several: `stem-winding.stl`), sized by the spec's `former`."""
    from designtools.windings.groove import grooved_former

    depth, thickness = (parse(result.spec["former"][key], "length") for key in ("groove_depth", "thickness"))
    files = siblings(path, [winding.name for winding in result.windings])
    for file, winding in zip(files, result.windings):
        former = former_of(winding, result.formers)
        write_meshes([grooved_former(former, winding.tracks, winding.width, depth, thickness - depth)], file)
    return tuple(files)
