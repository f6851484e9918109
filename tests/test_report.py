"""The page: complete, offline, and nothing of the spec's text becomes markup."""

import json
import re
from html.parser import HTMLParser

import numpy as np
import pytest
import synthetic

from designtools import result as r
from designtools.report import figures, render, write_report

FETCHING = {"src", "href", "action", "data", "poster", "srcset", "background", "formaction", "xlink:href"}
PAIRED = {
    "div",
    "table",
    "thead",
    "tbody",
    "section",
    "main",
    "header",
    "nav",
    "figure",
    "script",
    "style",
    "pre",
    "span",
}


class Page(HTMLParser):
    """What a browser would see: addresses it would follow, text it would show, balance of the tags."""

    def __init__(self, text: str):
        super().__init__(convert_charrefs=True)
        self.addresses, self.tags, self.open, self.words, self.blocks = [], [], [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))
        self.addresses += [value for name, value in attributes if name in FETCHING]
        if tag in PAIRED:
            self.open.append(tag)
            self.blocks.append("") if tag in ("script", "style") else None

    def handle_endtag(self, tag):
        if tag in PAIRED:
            assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and self.open[-1] in ("script", "style"):
            self.blocks[-1] += data
        else:
            self.words.append(data)

    @property
    def shown(self) -> str:
        return " ".join(" ".join(self.words).split())


@pytest.fixture(scope="module")
def text():
    return render(synthetic.gradient())


@pytest.fixture(scope="module")
def page(text):
    return Page(text)


def test_page_is_well_formed_and_small_enough(text, page):
    assert page.open == []
    assert len(text.encode()) < 8e6


def test_page_follows_no_address(page):
    assert all(address.startswith("#") for address in page.addresses)
    policy = next(a["content"] for t, a in page.tags if a.get("http-equiv") == "Content-Security-Policy")
    assert "default-src 'none'" in policy and "http" not in policy and "unsafe-eval" not in policy
    css = page.blocks[0]
    assert "url(" not in css and "@import" not in css


def test_scripts_are_the_ones_the_policy_admits(text, page):
    import base64
    import hashlib

    policy = next(a["content"] for t, a in page.tags if a.get("http-equiv") == "Content-Security-Policy")
    bodies = re.findall(r"<script>(.*?)</script>", text, re.DOTALL)
    assert len(bodies) == 2
    for body in bodies:
        assert base64.b64encode(hashlib.sha256(body.encode()).digest()).decode() in policy


def test_every_figure_and_requirement_is_shown(page):
    shown = page.shown
    for words in (
        "123.4 µT/m/A",
        "± 20 nT/m/A",
        "310 µH",
        "discrete wires, at the centre",
        "torque torque on the coil in the magnet's field not evaluated",
    ):
        assert words in shown
    for words in (
        "linearity error max ≤ 5 % 4.3 % +14.0 % MET",
        "stray field max ≤ 5 µT 8 µT -60.0 % MISSED",
    ):
        assert words in shown
    assert "torque ≤ 1 N·m – – NOT EVALUATED" in shown
    assert "Design estimate, not conformity evidence" in shown and "compliant" not in shown
    assert "2 of 4 requirements met, 1 not evaluated" in shown


def test_audit_spec_provenance_and_timing_are_shown(page):
    shown = page.shown
    for words in ("continuous discrete joined", "efficiency 124 µT/m/A 123.5 µT/m/A 123.4 µT/m/A", "largest difference T 3e-13",
                  "duality gap 4e-09", "radius: 150 mm", "assemble 1.2 s", "spec sha256 ab12"):  # fmt: skip
        assert words in shown


def test_every_plot_record_has_a_place_and_data(text, page):
    data = json.loads(next(b for b in page.blocks if b.startswith("{")))
    places = [a["data-plot"] for _, a in page.tags if "data-plot" in a]
    assert sorted(places) == sorted(data)
    assert {"space", "pattern-0", "pattern-1"} < set(data)
    records = synthetic.gradient().plots.values()
    assert all(record.title in page.shown for record in records if not isinstance(record, r.Ball))
    names = [trace["name"] for trace in data["space"]["data"]]
    assert names == ["primary (100 A)", "shield (100 A)", "current direction", "former primary", "former shield",
                     "region of interest", "Linearity error in the plane y = 0"]  # fmt: skip


def test_hostile_text_stays_text():
    evil = synthetic.HOSTILE
    result = synthetic.gradient(
        evil, kind=evil, message=evil, spec={evil: [evil]}, provenance={evil: evil}, audit={evil: {"x": evil}},
        timing_s={evil: 1.0}, figures={evil: r.Figure(1.0, "T", evil)}, frame={"b0_axis": evil},
        requirements=[{"quantity": evil, "op": evil, "limit": 1.0, "value": 1.0, "margin": 0.0, "status": evil}],
        plots={evil: r.Lines(evil, np.arange(3.0), {evil: np.arange(3.0)}, evil, x_label=evil, caption=evil, marks={evil: 1.0}),
               "ball": r.Ball(evil, 0.1), "table": r.Table(evil, (evil,), ((evil,),), evil)},
    )  # fmt: skip
    text = render(result)
    page = Page(text)
    assert page.open == [] and "<script>alert" not in text
    assert [tag for tag, _ in page.tags].count("script") == 3
    data = json.loads(next(b for b in page.blocks if b.startswith("{")))
    labels = [trace["name"] for plot in data.values() for trace in plot["data"] if "name" in trace]
    assert labels and not any("<" in label for label in labels)


@pytest.mark.parametrize("status", r.STATUSES)
def test_the_smallest_result_of_every_status_renders(status, tmp_path):
    page = Page(
        write_report(r.Result("magnet", "x", status), tmp_path / "report.html").read_text(encoding="utf-8")
    )
    assert page.open == [] and status in page.shown
    assert "states no requirement" in page.shown


def test_readable_scales():
    assert figures.scale_for([0.15, -0.2], "m") == (1e3, "mm")
    assert figures.scale_for([3e-6], "T") == (pytest.approx(1e6), "µT")
    assert figures.scale_for([0.05], "1") == (pytest.approx(100), "%")
    assert figures.scale_for([0.0, np.nan], "T") == (1.0, "T")
    assert figures.scale_for([12.0], "1") == (1.0, "")


def unpacked(record) -> np.ndarray:
    import base64

    return np.frombuffer(
        base64.b64decode(record["bdata"]), {"f4": np.float32, "i4": np.int32}[record["dtype"]]
    ).reshape([int(n) for n in record.get("shape", "-1").split(",")])


def test_a_plane_map_keeps_its_orientation():
    x, y = np.linspace(0, 1, 4), np.linspace(0, 2, 6)
    record = r.PlaneMap("t", x, y, x[:, None] + 10 * y[None], "T", levels=(5.0,), circle=(0.5, 1.0, 0.25))
    drawn = figures.drawn(record)
    heat = drawn["data"][0]
    assert unpacked(heat["z"]).shape == (6, 4)
    assert unpacked(heat["z"])[5, 1] == pytest.approx(x[1] + 10 * y[5])
    line = drawn["data"][-1]
    on_line = unpacked(line["x"]) / 1e3 + 10 * unpacked(line["y"]) / 1e3
    assert np.allclose(on_line, 5.0, atol=1e-4) and line["name"] == "5 T"
    assert drawn["layout"]["shapes"][0]["x1"] == pytest.approx(750.0)


@pytest.mark.parametrize("per_face", [True, False])
def test_an_unrolled_surface_is_complete_over_its_seam(per_face):
    former = synthetic.winding()[1]
    mesh = former.mesh(0.02)
    arc = former.unroll(mesh.uv)
    height = mesh.vertices[:, 2] if not per_face else mesh.vertices[mesh.faces][..., 2].mean(1)
    record = r.SurfaceMap("t", arc, mesh.faces, height, "m", period=2 * np.pi * former.radius)
    heat = figures.drawn(record)["data"][0]
    values = unpacked(heat["z"])
    assert np.isfinite(values).all()
    expected = np.broadcast_to(unpacked(heat["y"])[:, None], values.shape)
    assert np.abs(values - expected).max() < (11 if per_face else 1e-2)  # mm; half a triangle, or rounding


def test_long_windings_are_thinned_for_the_browser():
    lines = [np.random.default_rng(0).normal(size=(5000, 3)) for _ in range(30)]
    joined = figures._joined(lines, 60_000)
    assert len(joined) < 61_000 and np.isnan(joined).any(axis=1).sum() == 29
    assert np.array_equal(joined[0], lines[0][0]) and np.array_equal(joined[-1], lines[-1][-1])
