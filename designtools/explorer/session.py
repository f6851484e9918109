"""One design while it is looked at: what the page shows, what it asks, and the one folder that may be written to."""

from __future__ import annotations

import contextlib
import io
import os
import re
import threading
import time
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from designtools.explorer import models, scene
from designtools.explorer.design import BROKEN, opened
from designtools.explorer.live import Answer, OutOfRange, checked
from designtools.report import figures as draw
from designtools.report import page
from designtools.result import Figure, evaluate_requirements
from designtools.spec import SpecError

NAME = re.compile(r"[^A-Za-z0-9._ -]+")
CAVEAT = "Design estimate, not conformity evidence."


class Refused(ValueError):
    """A request that is not answered: one sentence and an HTTP status."""

    def __init__(self, sentence: str, status: int = 400):
        super().__init__(sentence)
        self.status = status


class Session:
    """A finished design, its live model once that is prepared (in the background), and answers to the page."""

    SHOWN = {"design": "design", "live": "live", "planes": "planes", "five_gauss": "five_gauss"}  # address -> method, to read
    ASKED = {"turn": "turn", "exact": "exact", "spec": "spec", "save": "save"}  # address -> method, with a state

    def __init__(self, folder, save_to=None):
        self.result = opened(folder)
        self.save_to = None if save_to is None else Path(save_to).absolute()
        self._live, self._model, self._words, self._ready = None, None, "preparing", False
        self._locks = {exact: threading.Lock() for exact in (False, True)}

    def begin(self) -> None:
        """Prepare the live model in the background."""
        threading.Thread(target=self._prepare, daemon=True).start()

    def _prepare(self) -> None:
        try:
            live, self._model = models.prepared(self.result.spec, self._say)
            self._say("trying the sliders")
            live.answer(checked(live.knobs, {}))
            self._live, self._words = live, live.limits
        except (models.NoSliders, SpecError, RuntimeError, MemoryError, *BROKEN) as error:
            self._words = f"No sliders: {(str(error).splitlines() or [type(error).__name__])[0][:300]}"
        self._ready = True
        if hasattr(self._live, "exact"):
            with contextlib.suppress(Refused):  # what takes longest is done before it is asked for
                self._answer({}, exact=True)

    def _say(self, sentence: str) -> None:
        self._words = sentence

    # --- shown

    def design(self) -> dict:
        """Names, figures, requirements and the scene of the design as it was built."""
        r = self.result
        return {
            "name": r.name, "kind": r.kind, "status": r.status, "message": r.message, "caveat": CAVEAT,
            "axes": [page._axis(r.frame.get(name, "z")) for name in ("b0_axis", "bore_axis")], "tone": page.TONES.get(r.status, "muted"),
            "figures": _figure_rows(r.figures), "requirements": _requirement_rows(r.requirements, r.figures),
            "scene": {"data": [*_traces(scene.design_traces, r), *_traces(scene.person, r)], "layout": draw._space("mm")},
            "saves": self.save_to is not None,
        }  # fmt: skip

    def live(self) -> dict:
        """Whether sliders are there, and which."""
        knobs = self._live.knobs if self._live else ()
        return {"ready": self._ready, "words": self._words, "exact": hasattr(self._live, "exact"), "knobs": [k._asdict() | {"unit": _unit(k)} for k in knobs]}

    def report(self) -> str:
        """The report, made anew from the data of the folder: a page that lies in it is never served."""
        return page.render(self.result)

    def planes(self) -> dict:
        """The field of the design in three planes."""
        return {"data": _traces(scene.field_planes, self.result)}

    def five_gauss(self) -> dict:
        """The surface of 0.5 mT."""
        return {"data": _traces(scene.five_gauss, self.result)}

    # --- asked

    def turn(self, body: Mapping) -> dict:
        """What the sliders give: figures, requirements, curves, plots."""
        return self._turned(body, exact=False)

    def exact(self, body: Mapping) -> dict:
        """The same by the recipe's own solver, where that is not live."""
        return self._turned(body, exact=True)

    def _turned(self, body: Mapping, exact: bool) -> dict:
        began = time.perf_counter()
        state, answer = self._answer(body, exact)
        with_state = {k.key: k.shown(state[k.key]) for k in self._live.knobs}
        return _shown(answer, self.result.requirements) | {"values": with_state, "exact": exact, "seconds": time.perf_counter() - began}

    def spec(self, body: Mapping) -> dict:
        """The spec of the state, as YAML that `designtools check` accepts."""
        return {"yaml": self._yaml(self._state(body)), "name": f"{_stem(self.result.name)}-explored.yaml"}

    def save(self, body: Mapping) -> dict:
        """Write that spec into the folder named at the start, over nothing."""
        if self.save_to is None:
            raise Refused("must be started with --save-to FOLDER to write there; use the download", 403)
        name = body.get("name")
        if not isinstance(name, str) or not _stem(name):
            raise Refused("must have a name of letters, digits, blanks, dots and dashes")
        text = self._yaml(self._state(body))
        return {"path": str(_written(self.save_to, f"{_stem(name.removesuffix('.yaml'))}.yaml", text))}

    def _state(self, body: Mapping) -> dict[str, float]:
        if self._live is None:
            raise Refused(self._words, 409)
        try:
            return checked(self._live.knobs, body.get("state", {}))
        except OutOfRange as error:
            raise Refused(str(error)) from None

    def _answer(self, body: Mapping, exact: bool) -> tuple[dict, Answer]:
        state = self._state(body)
        try:
            with self._locks[exact]:
                return state, self._live.exact(state) if exact else self._live.answer(state)
        except (ValueError, ArithmeticError, AttributeError, RuntimeError) as error:  # such as a matrix that is not definite
            raise Refused(f"no answer at this setting: {str(error)[:200]}", 422) from None

    def _yaml(self, state) -> str:
        from ruamel.yaml import YAML

        try:
            data = models.changed_spec(self._live, self._model, state)
        except SpecError as error:
            raise Refused(f"this setting is no valid spec: {str(error)[:300]}", 422) from None
        yaml, out = YAML(typ="safe"), io.StringIO()
        yaml.default_flow_style, yaml.sort_base_mapping_type_on_output, yaml.allow_unicode = False, False, True
        yaml.dump(data, out)
        return out.getvalue()


# --- as the page takes them -----------------------------------------------------------------------


def _traces(make, result) -> list[dict]:
    """The traces, or none where what the folder holds cannot be drawn."""
    try:
        return make(result)
    except BROKEN:
        return []


def _shown(answer: Answer, requirements) -> dict:
    asked = [{"quantity": r["quantity"], "op": r["op"], "limit": r["limit"]} for r in requirements]
    rows = evaluate_requirements(asked, answer.figures)
    traces = [scene.curve_trace(curve, k) for k, curve in enumerate(answer.curves)]
    traces += scene.product_traces(answer.product)
    placed = [record for record in answer.plots.values() if getattr(record, "origin", None) is not None]
    plots = {name: {"title": r.title, "caption": r.caption, "figure": _marked(r, draw.drawn(r))} for name, r in answer.plots.items()}
    return {
        "figures": _figure_rows(answer.figures), "requirements": _requirement_rows(rows, answer.figures), "counts": page._counts(rows),
        "traces": [*traces, *(scene.plane_trace(record) for record in placed)], "plots": plots, "notes": answer.notes,
    }  # fmt: skip


def _marked(record, figure: dict) -> dict:
    """The figure, with a dot where a curve has one point only."""
    alone = [k for k, curve in enumerate(getattr(record, "curves", {}).values()) if np.isfinite(curve).sum() == 1]
    for k in alone:
        figure["data"][k] |= {"mode": "markers", "marker": {"size": 12, "color": "#d55e00"}}
    return figure


def _figure_rows(figures: Mapping[str, Figure]) -> list[dict]:
    return [{"key": name} | page._figure_row(name, figure) for name, figure in figures.items()]


def _requirement_rows(rows, figures) -> list[dict]:
    return [page._requirement_row(row, figures) for row in rows]


def _unit(knob) -> str:
    from designtools.units import DIMENSIONS

    return DIMENSIONS[knob.dimension].si if knob.dimension else ""


# --- the one folder -------------------------------------------------------------------------------


def _stem(name: str) -> str:
    """A plain file name: no separators, no leading dots."""
    return NAME.sub("-", name).strip(" .-")[:80]


def _written(folder: Path, name: str, text: str) -> Path:
    """A new file in `folder`; a name that is taken gets a number."""
    folder.mkdir(parents=True, exist_ok=True)
    for count in range(1, 1000):
        path = folder / (name if count == 1 else f"{Path(name).stem}-{count}.yaml")
        try:
            handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0), 0o644)
        except FileExistsError:
            continue
        except OSError as error:
            raise Refused(f"cannot write there: {error.strerror}", 500) from None
        with os.fdopen(handle, "w", encoding="utf-8") as out:
            out.write(text)
        return path
    raise Refused("has too many files of that name", 409)
