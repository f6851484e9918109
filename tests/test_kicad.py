"""KiCad boards, read back by a reader of S-expressions: copper, layers, vias, outline."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import sexpdata

from designtools.export import FORMATS, export, kicad
from designtools.formers.plate import Plate
from designtools.windings.winding import Track, Winding

PLATE = Plate(0.2, 0.1, frame=np.array([[0, 1.0, 0], [0, 0, 1.0], [1.0, 0, 0]]), centre=np.array([0.05, 0, 0.01]))
WIDTH, THICKNESS, LIFT = 1e-3, 70e-6, 1.5e-3
FLAT = np.array([[-0.03, 0.02], [0.03, 0.02], [0.03, -0.02], [-0.01, -0.02], [-0.01, -0.02], [-0.01, 0.04]])
HEIGHT = np.array([0, 0, 0, 0, LIFT, LIFT])


def winding(height=HEIGHT):
    """Three sides of a turn on the front, a via, a way back over it."""
    points = PLATE.at(FLAT, 0.0) + height[:, None] * PLATE.frame[2]
    roles = ("turn", "turn", "turn", "return", "return")
    return Winding("primary", (Track(points, PLATE.normal(FLAT), roles),), 2.0, WIDTH, THICKNESS)


def read(text: str) -> dict[str, list]:
    """Entries of a board by their first word."""
    found: dict[str, list] = {}
    for entry in sexpdata.loads(text)[1:]:
        found.setdefault(str(entry[0]), []).append({str(e[0]): [v if isinstance(v, (int, float, str)) else str(v) for v in e[1:]] for e in entry[1:] if isinstance(e, list)})
    return found


@pytest.fixture(scope="module")
def entries():
    return read(kicad.board(winding(), PLATE))


def test_copper_lies_where_the_winding_does(entries):
    starts = np.array([s["start"] for s in entries["segment"]]) * [1, -1] / 1e3  # y points down on a board
    layers = [s["layer"][0] for s in entries["segment"]]
    np.testing.assert_allclose(starts, FLAT[[0, 1, 2, 4]], atol=1e-7)
    assert layers == ["F.Cu", "F.Cu", "F.Cu", "B.Cu"]
    assert {s["width"][0] for s in entries["segment"]} == {1.0}
    length = sum(np.linalg.norm(np.subtract(s["end"], s["start"])) for s in entries["segment"])
    assert length == pytest.approx(1e3 * np.linalg.norm(np.diff(FLAT, axis=0), axis=1).sum())


def test_a_step_in_height_is_a_via_through_the_board(entries):
    (via,) = entries["via"]
    np.testing.assert_allclose(via["at"], [-10, 20], atol=1e-6)
    assert via["layers"] == ["F.Cu", "B.Cu"]
    assert via["size"][0] > via["drill"][0] >= 0.3


def test_the_outline_is_closed_and_holds_all_copper(entries):
    edge = np.array([[e["start"], e["end"]] for e in entries["gr_line"]])
    np.testing.assert_allclose(edge[:, 1], np.roll(edge[:, 0], -1, axis=0))
    np.testing.assert_allclose(np.ptp(edge[:, 0], axis=0), [200, 100])


def test_three_heights_make_three_layers_and_blind_vias():
    steps = np.array([0, 0, LIFT, LIFT, 2 * LIFT, 2 * LIFT])
    found = read(kicad.board(winding(steps), PLATE))
    assert [v["layers"] for v in found["via"]] == [["F.Cu", "In1.Cu"], ["In1.Cu", "B.Cu"]]
    assert {s["layer"][0] for s in found["segment"]} == {"F.Cu", "In1.Cu", "B.Cu"}


def test_the_same_design_gives_the_same_file():
    assert kicad.board(winding(), PLATE) == kicad.board(winding(), PLATE)


def test_more_layers_than_a_board_has_are_refused():
    with pytest.raises(ValueError, match="at most 32 copper layers, got 40"):
        kicad.layer_names(40)


def test_it_is_a_format_like_any_other(tmp_path):
    result = SimpleNamespace(name="board", windings=(winding(),), formers={"primary": PLATE})
    assert FORMATS["kicad"].refuses(result) == ""
    (path,) = export(result, "kicad", tmp_path / "board.kicad_pcb")
    assert read(path.read_text())["segment"]
    assert "no winding on a plane" in FORMATS["kicad"].refuses(SimpleNamespace(windings=(), formers={}))
