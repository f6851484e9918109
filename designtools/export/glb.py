"""GLB (binary glTF 2.0): the whole design in colour, in metres as the format prescribes, one named node per part."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from designtools.export import bodies

FORMER_COLOUR, FORMER_RESOLUTION = (
    (190, 195, 205, 90),
    1 / 40,
)  # RGBA; edge length relative to the former's size


def refuses(result) -> str:
    """Why there is nothing to write, or ""."""
    drawable = bodies.has_solids(result) or result.formers or _wires(result)
    return "" if drawable else "nothing in the design can be drawn"


def write(result, path: Path) -> tuple[Path, ...]:
    """Conductors and magnets as solids, thin wires as lines, formers translucent."""
    import trimesh

    scene = trimesh.Scene()
    for body in bodies.solids(result):
        mesh = body.mesh.copy()
        mesh.visual = trimesh.visual.TextureVisuals(material=_material(body.colour, 255))
        _add(scene, mesh, body.name)
    for index, wire in enumerate(_wires(result)):
        segments = np.stack([np.asarray(wire.start), np.asarray(wire.end)], axis=1)
        _add(scene, trimesh.load_path(segments), f"filaments {index + 1}")
    for name, former in result.formers.items():
        _add(scene, _former_mesh(former), f"former {name}")
    path.write_bytes(scene.export(file_type="glb"))
    return (path,)


def _add(scene, geometry, name: str) -> None:
    scene.add_geometry(geometry, node_name=name, geom_name=name)


def _wires(result) -> list:
    return [leaf for leaf in bodies.bare_sources(result) if type(leaf).__name__ == "Filaments"]


def _material(colour: str, alpha: int):
    from trimesh.visual.material import PBRMaterial

    rgb = [int(colour[i : i + 2], 16) for i in (1, 3, 5)]
    return PBRMaterial(baseColorFactor=[*rgb, alpha], metallicFactor=0.6, roughnessFactor=0.45)


def _former_mesh(former):
    import trimesh
    from trimesh.visual.material import PBRMaterial

    rough = former.mesh(former_resolution(former))
    mesh = trimesh.Trimesh(rough.vertices, rough.faces, process=False)
    material = PBRMaterial(
        baseColorFactor=FORMER_COLOUR, alphaMode="BLEND", doubleSided=True, metallicFactor=0.0
    )
    mesh.visual = trimesh.visual.TextureVisuals(material=material)
    return mesh


def former_resolution(former) -> float:
    """An edge length in m that shows the shape of a former without weight."""
    spread = np.ptp(former.at(_corners(former)), axis=0).max()
    return float(spread) * FORMER_RESOLUTION


def _corners(former) -> np.ndarray:
    (u0, u1), (v0, v1) = former.span
    return np.stack(np.meshgrid(np.linspace(u0, u1, 9), np.linspace(v0, v1, 5)), axis=-1).reshape(-1, 2)
