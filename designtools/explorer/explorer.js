"use strict";
(function () {
  const $ = function (id) { return document.getElementById(id); };
  const config = { responsive: true, plotGlPixelRatio: window.devicePixelRatio || 1, displaylogo: false, showLink: false, plotlyServerURL: "",
    modeBarButtonsToRemove: ["sendChartToCloud", "sendDataToCloud", "lasso2d", "select2d"], toImageButtonOptions: { scale: 2 } };
  const LATE = { "5-gauss surface": "five_gauss", "field of the design": "planes" };  // layers that are computed when first asked for
  const HIDDEN = ["formers", "stream function", "current direction", "body", "field plane"];
  let knobs = [], designed = {}, still = [], liveTraces = [], layout = {}, shown = {}, late = {}, busy = false, waiting = null, telling = 0, settling = 0, settles = false, turned = 0;

  // ---- words: every text of a design goes through textContent ----
  function make(tag, text, attributes) {
    const element = document.createElement(tag);
    if (text !== undefined && text !== null) element.textContent = text;
    Object.entries(attributes || {}).forEach(function (pair) { element.setAttribute(pair[0], pair[1]); });
    return element;
  }
  function trouble(words) { $("trouble").textContent = words || ""; }
  async function ask(place, body) {
    const options = body ? { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) } : {};
    let answer;
    try { answer = await fetch(place, options); } catch (error) { throw new Error("The explorer no longer answers: was it ended with Ctrl-C?"); }
    const data = await answer.json();
    if (!answer.ok) throw new Error(data.error || "no answer");
    return data;
  }

  // ---- tables ----
  function requirements(rows) {
    $("requirements").replaceChildren.apply($("requirements"), rows.map(function (row) {
      const line = make("tr"), status = make("td");
      line.append(make("th", row.name, { scope: "row" }), make("td", row.limit, { class: "number" }), make("td", row.value, { class: "number" }), make("td", row.margin, { class: "number" }));
      status.append(make("span", row.status, { class: "badge " + row.tone }));
      line.append(status);
      return line;
    }));
  }
  function figures(rows) {
    const now = {};
    rows.forEach(function (row) { now[row.key] = row; });
    const keys = Object.keys(now).concat(Object.keys(designed).filter(function (key) { return !(key in now); }));
    $("figures").replaceChildren.apply($("figures"), keys.map(function (key) {
      const live = now[key], old = designed[key], line = make("tr"), name = make("th", (live || old).name, { scope: "row" });
      if ((live || old).meaning) name.append(make("small", (live || old).meaning));
      const fixed = !rows.length;  // no sliders: the design is all there is
      line.append(name, make("td", live ? live.value : fixed ? old.value : "not followed", { class: "number" }), make("td", old ? old.value : "–", { class: "number" }),
        make("td", live ? live.method : fixed ? old.method : "only by a full design"));
      return line;
    }));
  }

  // ---- sliders ----
  function position(knob, value) {
    if (knob.scale === "whole") return value;
    if (knob.scale === "log") return 1000 * Math.log(value / knob.low) / Math.log(knob.high / knob.low);
    return 1000 * (value - knob.low) / (knob.high - knob.low);
  }
  function value(knob, place) {
    if (Number(place) === knob.start) return knob.value;
    if (knob.scale === "whole") return Number(place);
    if (knob.scale === "log") return knob.low * Math.pow(knob.high / knob.low, place / 1000);
    return knob.low + (knob.high - knob.low) * place / 1000;
  }
  function slider(knob, index) {
    const id = "knob-" + index, box = make("div", null, { class: "knob" }), row = make("div", null, { class: "row" });
    const whole = knob.scale === "whole";
    knob.input = make("input", null, { type: "range", id: id, min: whole ? knob.low : 0, max: whole ? knob.high : 1000, step: whole ? 1 : "any", "aria-describedby": id + "-meaning", "data-key": knob.key });
    knob.output = make("output", "", { for: id });
    row.append(make("label", knob.label, { for: id }), knob.output);
    box.append(row, knob.input, make("small", knob.meaning + (knob.meaning ? " · " : "") + knob.key, { id: id + "-meaning" }));
    knob.input.value = position(knob, knob.value);
    knob.start = Number(knob.input.value);
    knob.input.addEventListener("input", function (event) { turn(event.timeStamp); });
    knob.input.addEventListener("keydown", function (event) {  // a hundredth of the range per key, a tenth with Page Up and Page Down
      const steps = { ArrowLeft: -1, ArrowDown: -1, ArrowRight: 1, ArrowUp: 1, PageDown: -10, PageUp: 10 };
      if (whole || !(event.key in steps)) return;
      event.preventDefault();
      knob.input.value = Number(knob.input.value) + 10 * steps[event.key];
      turn(event.timeStamp);
    });
    return box;
  }
  function state() {
    const values = {};
    knobs.forEach(function (knob) { values[knob.key] = value(knob, Number(knob.input.value)); });
    return values;
  }

  // ---- turning: one question at a time, always the newest ----
  function turn(since) {
    turned += 1;
    $("spec-area").hidden = true;  // it shows another state
    settle();
    if (busy) { waiting = since; return; }
    busy = true;
    const sent = performance.now();
    ask("turn", { state: state() }).then(function (answer) {
      const heard = performance.now();
      trouble("");
      return apply(answer).then(function () {
        return new Promise(requestAnimationFrame).then(function () {
          const done = performance.now();
          window.explorer.turns.push({ all: done - since, server: 1000 * answer.seconds, wire: heard - sent, draw: done - heard });
          document.body.dataset.turns = window.explorer.turns.length;
        });
      });
    }).catch(function (error) { trouble(error.message); }).finally(function () {
      busy = false;
      if (waiting !== null) { const next = waiting; waiting = null; turn(next); }
    });
  }
  // when the sliders rest, the recipe's own solver answers once more
  function settle() {
    clearTimeout(settling);
    if (!settles) return;
    $("basis").textContent = "Live numbers, approximate; the exact optimum follows.";
    const asked = turned;
    settling = setTimeout(function () {
      ask("exact", { state: state() }).then(function (answer) {
        if (asked !== turned) return null;  // moved on meanwhile
        const there = Object.keys(answer.figures).length > 0;
        $("basis").textContent = there ? "Exact optimum of the continuous sheet under these limits." : "";
        if (!there) { notes(answer.notes); return null; }
        return apply(answer).then(function () { document.body.dataset.exact = String(turned); });
      }).catch(function (error) { $("basis").textContent = "Live numbers, approximate: " + error.message; });
    }, 500);
  }
  function notes(lines) { $("notes").replaceChildren.apply($("notes"), lines.map(function (note) { return make("li", note); })); }
  function apply(answer) {
    knobs.forEach(function (knob) {
      knob.output.textContent = answer.values[knob.key];
      knob.input.setAttribute("aria-valuetext", answer.values[knob.key]);
    });
    figures(answer.figures);
    requirements(answer.requirements);
    $("counts").textContent = answer.counts;
    notes(answer.notes);
    liveTraces = answer.traces;
    tell(answer);
    return Promise.all([drawScene()].concat(Object.entries(answer.plots).map(drawPlot)));
  }
  function tell(answer) {
    clearTimeout(telling);
    telling = setTimeout(function () {
      const words = knobs.length > 5 ? [] : knobs.map(function (knob) { return knob.label + " " + answer.values[knob.key]; });
      $("told").textContent = words.concat([answer.counts], answer.notes).join("; ");
    }, 700);
  }

  // ---- pictures ----
  function drawPlot(pair) {
    const id = "plot-" + pair[0], plot = pair[1];
    if (!$(id)) {
      const card = make("section", null, { class: "card" });
      card.append(make("h3", plot.title), make("div", null, { class: "plot", id: id, role: "group", "aria-label": plot.title }));
      if (plot.caption) card.append(make("p", plot.caption, { class: "caption" }));
      $("plots").append(card);
    }
    plot.figure.layout.uirevision = "kept";
    return Plotly.react(id, plot.figure.data, plot.figure.layout, config);
  }
  function layerOf(trace) { return trace.meta && trace.meta.layer || "other"; }
  function traces() {
    const replaced = new Set(liveTraces.map(layerOf));
    const base = still.filter(function (trace) { return !(replaced.has(layerOf(trace)) && layerOf(trace) === "windings and magnets"); });
    const more = Object.keys(late).reduce(function (all, name) { return all.concat(late[name]); }, []);
    return base.concat(liveTraces, more).filter(function (trace) { return shown[layerOf(trace)] !== false; })
      .map(function (trace) { return Object.assign({}, trace, { visible: true, showlegend: false }); });
  }
  function drawScene() {
    addLayers();
    layout.uirevision = "kept";
    return Plotly.react("scene", traces(), layout, config).catch(function () {
      $("scene").textContent = "This view needs WebGL, which this browser does not offer.";
    });
  }
  function addLayers() {
    const names = new Set(still.concat(liveTraces).map(layerOf));
    names.add("5-gauss surface"); names.add("field of the design");
    names.forEach(function (name) {
      if (document.querySelector('[data-layer="' + CSS.escape(name) + '"]')) return;
      if (!(name in shown)) shown[name] = !(HIDDEN.includes(name) || name in LATE);
      const label = make("label"), box = make("input", null, { type: "checkbox", "data-layer": name });
      box.checked = shown[name];
      box.addEventListener("change", function () { toggle(name, box); });
      label.append(box, " " + name);
      $("layers").append(label);
    });
  }
  function toggle(name, box) {
    shown[name] = box.checked;
    if (!(name in LATE) || name in late || !box.checked) { drawScene(); return; }
    box.disabled = true;
    ask(LATE[name]).then(function (answer) {
      late[name] = answer.data.map(function (trace) { return Object.assign(trace, { meta: { layer: name } }); });
      if (!answer.data.length) $("told").textContent = "There is no " + name + " to show for this design.";
      box.disabled = !answer.data.length;
      if (!answer.data.length) { box.checked = false; box.parentElement.append(" (none)"); }
      return drawScene();
    }).catch(function (error) { box.disabled = false; trouble(error.message); });
  }
  document.querySelectorAll("[data-eye]").forEach(function (button) {
    button.addEventListener("click", function () {
      const eye = button.dataset.eye.split(",").map(Number), up = Math.abs(eye[2]) > 2 ? { x: 0, y: 1, z: 0 } : { x: 0, y: 0, z: 1 };
      Plotly.relayout("scene", { "scene.camera": { eye: { x: eye[0], y: eye[1], z: eye[2] }, up: up, center: { x: 0, y: 0, z: 0 } } });
    });
  });

  // ---- a new spec ----
  $("reset").addEventListener("click", function (event) {
    knobs.forEach(function (knob) { knob.input.value = knob.start; });
    turn(event.timeStamp);
  });
  $("make-spec").addEventListener("click", function () {
    ask("spec", { state: state() }).then(function (answer) {
      $("yaml").value = answer.yaml;
      $("file-name").value = answer.name;
      $("spec-area").hidden = false;
      $("yaml").focus();
    }).catch(function (error) { trouble(error.message); });
  });
  $("download").addEventListener("click", function () {
    const link = make("a", null, { download: $("file-name").value, href: URL.createObjectURL(new Blob([$("yaml").value], { type: "application/yaml" })) });
    document.body.append(link);
    link.click();
    link.remove();
    setTimeout(function () { URL.revokeObjectURL(link.href); }, 10000);
  });
  $("save").addEventListener("click", function () {
    ask("save", { state: state(), name: $("file-name").value }).then(function (answer) { $("told").textContent = "written: " + answer.path; $("words").textContent = "Written: " + answer.path; })
      .catch(function (error) { trouble(error.message); });
  });

  // ---- the beginning ----
  function wait() {
    ask("live").then(function (answer) {
      $("words").textContent = answer.words;
      if (!answer.ready) { setTimeout(wait, 300); return; }
      knobs = answer.knobs;
      settles = answer.exact;
      document.body.dataset.live = knobs.length ? "yes" : "no";
      if (!knobs.length) return;
      $("knobs").replaceChildren.apply($("knobs"), knobs.map(slider));
      $("reset").disabled = $("make-spec").disabled = false;
      turn(performance.now());
    }).catch(function (error) { trouble(error.message); });
  }
  window.explorer = { turns: [] };
  ask("design").then(function (design) {
    document.title = design.name + " · designtools explorer";
    $("name").textContent = design.name;
    $("kind").textContent = design.kind + " design";
    $("status").textContent = design.status;
    $("status").className = "badge " + design.tone;
    $("caveat").textContent = design.caveat + " B0 along " + design.axes[0] + ", bore along " + design.axes[1] + ".";
    $("message").textContent = design.message;
    $("save-area").hidden = !design.saves;
    design.figures.forEach(function (row) { designed[row.key] = row; });
    figures([]);
    requirements(design.requirements);
    still = design.scene.data;
    layout = design.scene.layout;
    layout.scene.uirevision = "kept";
    return drawScene();
  }).then(function () { document.body.dataset.drawn = "yes"; wait(); }).catch(function (error) { trouble(error.message); });
})();
