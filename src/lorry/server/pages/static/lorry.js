// What the dashboard's pages do beyond fetching parts of themselves (htmx does that): they listen for news,
// open questions as dialogs, take dropped files, compare two pictures, and draw charts.
"use strict";

(() => {
  const one = (selector, root = document) => root.querySelector(selector);
  const all = (selector, root = document) => [...root.querySelectorAll(selector)];

  // ---- News: the server tells that something changed, and the parts that show it fetch themselves again.
  let source;
  const listen = () => {
    const address = document.body.dataset.live;
    if (!address || source) return;
    source = new EventSource(address);
    source.addEventListener("changed", () => document.body.dispatchEvent(new Event("lorry:changed")));
  };
  const hush = () => { source?.close(); source = undefined; };
  addEventListener("pagehide", hush);
  addEventListener("pageshow", listen);
  // A browser has six connections to a server: pages that nobody sees leave theirs to those that are seen.
  document.addEventListener("visibilitychange", () => {
    if (document.hidden) return hush();
    listen();
    if (document.body.dataset.live) document.body.dispatchEvent(new Event("lorry:changed"));
  });

  // A part that somebody uses right now is not replaced under their hands; it is once they leave it.
  addEventListener("htmx:beforeRequest", (event) => {
    const part = event.detail.elt;
    if (!part.hasAttribute("data-part")) return;
    const busy = part.contains(document.activeElement) && document.activeElement.matches("input, select, textarea");
    if (!busy) return;
    event.preventDefault();
    document.activeElement.addEventListener("blur", () => htmx.trigger(part, "lorry:late"), { once: true });
  });
  // Whoever had the keyboard on something in a part has it there still after the part was replaced.
  let held = "", unfolded = new Map();
  const folds = (root) => all("details", root).map((each) => [one("summary", each).textContent, each]);
  addEventListener("htmx:beforeSwap", (event) => {
    const here = document.activeElement;
    held = here && here !== document.body ? here.dataset.keep || here.id : "";
    for (const [name, each] of folds(event.detail.target)) {
      if (each.open) unfolded.set(name, one(".journal", each)?.scrollTop || 0);
      else unfolded.delete(name);
    }
  });
  addEventListener("htmx:afterSettle", (event) => {
    for (const [name, each] of folds(event.detail.elt)) {
      if (!unfolded.has(name)) continue;
      each.open = true;
      const inside = one(".journal", each);
      if (inside) inside.scrollTop = unfolded.get(name);
    }
    if (!held || document.activeElement !== document.body) return;
    const again = document.getElementById(held) || one(`[data-keep="${CSS.escape(held)}"]`);
    again?.focus({ preventScroll: true });
  });

  // ---- Questions and what is said afterwards
  const dialog = () => one("#ask");
  addEventListener("htmx:afterSwap", (event) => {
    if (event.detail.target === dialog() && !dialog().open) dialog().showModal();
  });
  addEventListener("lorry:done", (event) => {
    if (dialog()?.open) dialog().close();
    const then = event.detail?.then;
    if (then) location.assign(then);
    else document.body.dispatchEvent(new Event("lorry:changed"));
  });
  addEventListener("htmx:responseError", () => { if (dialog()?.open) dialog().close(); });
  addEventListener("htmx:sendError", () => {
    if (dialog()?.open) dialog().close();
    one("#notice").textContent = "";
    const box = document.createElement("div");
    box.className = "error";
    box.textContent = "The server does not answer. It may have been stopped; reload the page once it runs again.";
    one("#notice").append(box);
  });
  addEventListener("click", (event) => {
    const target = event.target.closest("[data-do]");
    if (!target) return;
    const act = target.dataset.do;
    if (act === "close") (target.closest("dialog") ? dialog().close() : target.closest(".notice, .error").remove());
    if (act === "dice") one(`#${target.dataset.of}`).value = Math.floor(Math.random() * 2 ** 31);
    if (act === "again") again(target);
    if (act === "copy") navigator.clipboard?.writeText(target.dataset.text);
  });
  addEventListener("keydown", (event) => {
    const typing = event.target.matches?.("input, textarea, select");
    if (event.key === "/" && !typing && one("[data-search]")) {
      event.preventDefault();
      one("[data-search]").focus();
    }
  });

  // ---- Sliders: over two pictures, and numbers that are shown beside theirs
  addEventListener("input", (event) => {
    const slider = event.target;
    if (slider.dataset.cuts) one(`#${slider.dataset.cuts}`).style.setProperty("--cut", `${slider.value}%`);
    if (slider.dataset.shows) one(`#${slider.dataset.shows}`).textContent = slider.value;
  });

  // ---- The playground: take the numbers of something that was drawn before; choose what fits the kind
  const again = (button) => {
    const fields = JSON.parse(button.dataset.fields);
    for (const [name, value] of Object.entries(fields)) {
      const field = one(`#play [name="${name}"]`);
      if (!field) continue;
      field.value = value;
      field.dispatchEvent(new Event("input", { bubbles: true }));
    }
    kinds();
    one("#play [name=prompt]").focus();
  };
  const kinds = () => {
    const chosen = one("#play [name=model]");
    if (!chosen) return;
    const offer = all("#models option").find((option) => option.value === chosen.value);
    const kind = offer?.dataset.kind || chosen.dataset.kind;
    for (const part of all("#play [data-for]")) {
      part.hidden = part.dataset.for !== (kind === "image-lora" ? "pictures" : "words");
      for (const field of all("input, select", part)) field.disabled = part.hidden;
    }
    const other = one("#play [name=compare]:checked")?.value === "other";
    const second = one("#second");
    if (second) { second.hidden = !other; one("input", second).disabled = !other; }
  };
  addEventListener("change", (event) => { if (event.target.closest("#play")) kinds(); });
  addEventListener("input", (event) => { if (event.target.matches("#play [name=model]")) kinds(); });

  // ---- The playground: what is being drawn, as it looks by now
  let previews = [];
  const noPreviews = () => { for (const each of previews) each.close(); previews = []; };
  const preview = (name, box) => {
    const stream = new EventSource(`/playground/previews/${name}`);
    const shown = document.createElement("img");
    shown.alt = "";
    stream.onmessage = (event) => {
      const frame = JSON.parse(event.data);
      if (!frame.b64_json) return;
      shown.src = `data:image/jpeg;base64,${frame.b64_json}`;
      shown.style.setProperty("--blur", `${Math.round(6 * (1 - frame.step / frame.steps))}px`);
      if (!shown.isConnected) box.append(shown);
    };
    stream.addEventListener("ended", () => stream.close());
    stream.onerror = () => stream.close();
    previews.push(stream);
  };
  addEventListener("htmx:configRequest", (event) => {
    if (event.target.id !== "play" || one("#play [data-for=pictures]").hidden) return;
    const token = random(), box = document.createElement("div");
    event.detail.parameters.preview = token;
    box.className = "previews";
    box.setAttribute("aria-hidden", "true");
    one("#results").replaceChildren(box);
    preview(`${token}-0`, box);
    if (one("#play [name=compare]:checked").value !== "none") preview(`${token}-1`, box);
  });
  addEventListener("htmx:afterRequest", (event) => { if (event.target.id === "play") noPreviews(); });

  // ---- Deliver: files that are dropped or chosen go up one after the other, and are checked then
  const csrf = () => JSON.parse(document.body.getAttribute("hx-headers") || "{}");
  const random = () => [...crypto.getRandomValues(new Uint8Array(12))].map((b) => b.toString(16).padStart(2, "0")).join("");
  const sendFile = (drop, file, told) => new Promise((done, failed) => {
    const call = new XMLHttpRequest();
    call.open("PUT", `/deliver/files/${drop}/${encodeURIComponent(file.name)}`);
    for (const [name, value] of Object.entries(csrf())) call.setRequestHeader(name, value);
    call.upload.addEventListener("progress", (event) => told(event.loaded));
    call.addEventListener("load", () => {
      if (call.status === 201) return done(JSON.parse(call.responseText).source);
      let said = `The server answered ${call.status}.`;
      try { const { error } = JSON.parse(call.responseText); said = `${error.message} ${error.fix}`; } catch { /* not ours */ }
      failed(new Error(said));
    });
    call.addEventListener("error", () => failed(new Error("The connection broke; drop the file again.")));
    call.send(file);
  });
  const take = async (files) => {
    const bar = one("#sent"), said = one("#sending"), field = one("#source");
    const total = files.reduce((sum, file) => sum + file.size, 0), drop = random();
    let before = 0;
    bar.hidden = false;
    try {
      for (const file of files) {
        const told = (sent) => {
          bar.value = total ? (before + sent) / total : 1;
          said.textContent = `${file.name}: ${((before + sent) / 1e6).toFixed(1)} of ${(total / 1e6).toFixed(1)} MB`;
        };
        told(0);
        field.value = await sendFile(drop, file, told);
        before += file.size;
      }
      said.textContent = `${files.map((file) => file.name).join(", ")} is here.`;
      const named = one("#name");
      const nameless = /^(pytorch_lora_weights|adapter_model|model|lora)\.safetensors$/i.test(files[0].name);
      if (named && !named.value && files.length === 1 && !nameless) {
        named.value = files[0].name.toLowerCase().replace(/\.safetensors$/, "").replace(/[^a-z0-9]+/g, "-").replace(/^-+|-+$/g, "").slice(0, 40);
      }
      htmx.trigger("#check", "submit");
    } catch (error) {
      said.textContent = error.message;
    } finally {
      bar.hidden = true;
    }
  };
  for (const kind of ["dragover", "dragleave", "drop"]) {
    addEventListener(kind, (event) => {
      const zone = event.target.closest?.(".drop");
      if (!zone) return;
      event.preventDefault();
      zone.classList.toggle("over", kind === "dragover");
      if (kind === "drop" && event.dataTransfer.files.length) take([...event.dataTransfer.files]);
    });
  }
  addEventListener("change", (event) => {
    if (event.target.id === "files" && event.target.files.length) take([...event.target.files]);
  });

  // ---- Charts: what to draw is in the page, as JSON in an attribute
  const tint = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  const real = (name) => {  // a canvas does not know light-dark()
    const probe = document.createElement("i");
    probe.style.color = `var(${name})`;
    document.body.append(probe);
    const colour = getComputedStyle(probe).color;
    probe.remove();
    return colour || tint(name);
  };
  const units = {
    dollars: (value) => (value == null ? "–" : `$${value >= 0.1 || value === 0 ? value.toFixed(2) : value.toPrecision(2)}`),
    share: (value) => (value == null ? "–" : `${(value * 100).toFixed(value && value < 1 ? 1 : 0)} %`),
    seconds: (value) => (value == null ? "–" : value < 1 ? `${Math.round(value * 1000)} ms` : `${value.toFixed(1)} s`),
    count: (value) => (value == null ? "–" : value.toLocaleString("en")),
  };
  const colours = ["--accent", "--warn", "--bad", "--good", "--soft", "--busy", "--off"];
  const draw = (box) => {
    if (box.chart) { box.chart.destroy(); box.chart = undefined; }
    const given = JSON.parse(box.dataset.chart), width = box.clientWidth;
    if (!width || !given.x.length) return;
    const soft = real("--soft"), grid = { stroke: real("--line"), width: 1 };
    const below = given.x.map(() => 0);  // bars stand on those before them
    const series = [{ value: (_, at) => (at == null ? "–" : given.names[given.x.indexOf(at)]) }], data = [given.x], bands = [];
    given.series.forEach((each, number) => {
      const colour = real(each.colour || colours[number % colours.length]);
      let values = each.values, line = { paths: uPlot.paths.linear(), points: { size: 5, fill: colour } };
      if (each.kind === "bars") {
        values = each.values.map((value, place) => ((below[place] += value || 0), value ? below[place] : null));
        line = { paths: uPlot.paths.bars({ size: [0.7, 40] }), fill: colour, points: { show: false } };
      }
      series.push({ label: each.label, stroke: colour, width: 2, scale: each.unit, spanGaps: true, ...line,
        value: (_, __, ___, place) => units[each.unit](place == null ? null : each.values[place]) });
      data.push(values);
    });
    // Bars are drawn from the tallest down, so that each shows what it adds.
    const bars = given.series.filter((each) => each.kind === "bars").length;
    const order = [0, ...Array.from({ length: bars }, (_, place) => bars - place), ...given.series.slice(bars).map((_, place) => bars + 1 + place)];
    const scales = { x: { time: true, range: (_, low, high) => [low - given.step * 0.6, high + given.step * 0.6] } };
    const named = (at) => {
      const iso = new Date(at * 1000).toISOString();
      return given.step < 86400 ? iso.slice(11, 16) : iso.slice(5, 10);
    };
    const axes = [{ stroke: soft, grid: { show: false }, space: 56, values: (_, splits) => splits.map(named) }];
    [...new Set(given.series.map((each) => each.unit))].forEach((unit, number) => {
      scales[unit] = { range: (_, low, high) => [0, unit === "share" ? 1 : high || 1] };
      axes.push({ scale: unit, side: number ? 1 : 3, stroke: soft, size: 62, grid: number ? { show: false } : grid,
        values: (_, splits) => splits.map((value) => (unit === "share" ? `${Math.round(value * 100)} %` : units[unit](value))) });
    });
    box.chart = new uPlot({ width, height: 240, series: order.map((place) => series[place]), scales, axes, bands,
      tzDate: (at) => uPlot.tzDate(new Date(at * 1000), "UTC"), cursor: { y: false } }, order.map((place) => data[place]), box);
  };
  const drawAll = (root = document) => { if (window.uPlot) all("[data-chart]", root).forEach(draw); };
  let soon;
  addEventListener("resize", () => { clearTimeout(soon); soon = setTimeout(drawAll, 150); });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => drawAll());
  addEventListener("htmx:afterSettle", (event) => { if (event.detail.elt) drawAll(event.detail.elt); });

  addEventListener("DOMContentLoaded", () => { listen(); drawAll(); kinds(); });
  addEventListener("htmx:afterSettle", kinds);
})();
