/* Puts the page together from its data, and keeps it up to date where a run is watched. */

function mostBlocks(runs) { return Math.max(0, ...runs.map(run => run.curves ? run.curves.blocks : 0)); }

/* Curves: of one run, a curve for each block; of several, a curve for each run and one block at a time. What a run end
 * to end has, one curve or one for each of its cuts, ends with the last block, as in ofBlock(). */
function curveSeries(runs, set, name, block) {
  const series = [];
  runs.forEach((run, r) => {
    const curves = set === "knn" ? run.pictures && run.pictures.knn_over_time : run.curves && run.curves[set];
    if (!curves || !curves.block) return;
    const last = run.settings["train.order"] === "end-to-end" ? mostBlocks(runs) : curves.block.length;
    curves.block.forEach((values, k) => {
      const several = runs.length > 1, has = values[name] && values[name].some(isNumber);
      if (!has || (several && k + 1 + last - curves.block.length !== block)) return;
      series.push({ label: several ? run.label : `block ${k + 1}`, x: curves.step, values: values[name],
        index: several ? r : k, of: several ? runs.length : curves.block.length });
    });
  });
  return series;
}

function runSeries(runs, name) {
  return runs.map((run, r) => ({ run, r })).filter(({ run }) => run.curves && run.curves.every_step.run[name]).map(({ run, r }) => ({
    label: runs.length > 1 ? run.label : "run", x: run.curves.every_step.step, values: run.curves.every_step.run[name], index: r, of: Math.max(2, runs.length) }));
}

const KNOWN = ["loss", "grad_norm", "probe_top1_train"];

/* Names of the loss's terms, in the order of the metrics. */
function termNames(runs) {
  const names = new Set();
  for (const run of runs)
    for (const values of (run.curves && run.curves.every_step.block) || [])
      for (const [name, v] of Object.entries(values)) if (!KNOWN.includes(name) && v.some(isNumber)) names.add(name);
  return [...names];
}

function titleOf(name) {
  const words = { grad_norm: "Gradient norm", embedding_std: "Embedding std", effective_rank: "Effective rank", dead_channels: "Dead channels",
    probe_top1: "Online probe, test images", probe_top1_train: "Online probe, training images", knn_top1: "kNN", loss: "Loss" };
  return words[name] || `Term ${name}`;
}

function scaled(series, factor) { return series.map(s => ({ ...s, values: s.values.map(v => isNumber(v) ? v * factor : null) })); }

let logScale = false, chosenBlock = 0; /* 0: the last one */

function drawCurves(place, runs, block) {
  plots.splice(0, plots.length, ...plots.filter(p => !place.contains(p.figure)));
  const groups = [
    ["Loss and its terms", [["every_step", "loss"], ...termNames(runs).map(t => ["every_step", t]), ["every_step", "grad_norm"]]],
    ["Probe and kNN over time", [["probe", "probe_top1"], ["every_step", "probe_top1_train"], ["knn", "knn_top1"]]],
    ["Health of the embeddings", [["health", "embedding_std"], ["health", "effective_rank"], ["health", "dead_channels"]]]
  ];
  const ends = [0, Math.max(...runs.map(run => run.steps))];
  place.replaceChildren();
  for (const [title, list] of groups) {
    const grid = h("div", { class: "grid" });
    for (const [set, name] of list) {
      let series = curveSeries(runs, set, name, block), unit = /^(probe|knn)/.test(name) || name === "dead_channels" ? "%" : "";
      if (name === "dead_channels") series = scaled(series, 100);
      if (series.length > 0) new Plot(grid, { title: titleOf(name) + (unit ? `, ${unit}` : ""), unit, note: TERM_NOTES[name], xName: "step", ends, series,
        log: logScale && set === "every_step" && !name.startsWith("probe") && series.every(s => s.values.every(v => !isNumber(v) || v > 0)) });
    }
    if (grid.childElementCount > 0) place.append(h("h3", { class: "group" }, title), grid);
  }
  const grid = h("div", { class: "grid" });
  for (const [name, title, unit] of [["lr", "Learning rate", ""], ["samples_per_s", "Speed, images a second", ""], ["peak_rss_mb", "Peak memory, MB", "MB"]]) {
    const series = runSeries(runs, name);
    if (series.length > 0) new Plot(grid, { title, unit, xName: "step", ends, series, legend: series.length > 1 });
  }
  if (grid.childElementCount > 0) place.append(h("h3", { class: "group" }, "Learning rate, speed, memory"), grid);
  const joined = Math.max(...runs.map(run => run.curves ? run.curves.every_step.per_point : 1));
  if (joined > 1) place.append(h("p", { class: "note" }, `A point is the mean of ${joined} steps${runs.length > 1 ? " at most" : ""}.`));
}

function curvesPart(runs) {
  const blocks = mostBlocks(runs);
  if (blocks === 0) return null;
  const place = h("div", { id: "curve-plots" }), several = runs.length > 1;
  let block = chosenBlock > 0 && chosenBlock <= blocks ? chosenBlock : blocks;
  const redraw = () => { drawCurves(place, runs, block); plots.filter(p => place.contains(p.figure)).forEach(p => p.draw()); };
  const choice = !several ? null : h("label", {}, "Block ", h("select", { id: "block", onchange: e => { block = chosenBlock = Number(e.target.value); redraw(); } },
    Array.from({ length: blocks }, (_, k) => h("option", { value: String(k + 1), selected: k + 1 === block }, String(k + 1)))));
  const log = h("label", {}, h("input", { type: "checkbox", id: "log", checked: logScale, onchange: e => { logScale = e.target.checked; redraw(); } }), " logarithmic loss");
  drawCurves(place, runs, block);
  return section("curves", "How did it go?", h("div", { class: "controls" }, choice, log),
    h("p", { class: "note" }, "Drag over a plot to look closer, double-click to see all again. The names below a plot switch its curves."), place);
}

function lastOf(list) { return list && list.length > 0 ? list[list.length - 1] : null; }

function meanSpeed(run) {
  const v = run.curves && run.curves.every_step.run.samples_per_s ? run.curves.every_step.run.samples_per_s.filter(isNumber).sort((a, b) => a - b) : [];
  return v.length > 0 ? v[Math.floor(v.length / 2)] : null;
}

/* Runs beside each other: what came out, and the settings in which they differ. */
function comparisonPart(runs) {
  const keys = Object.keys(runs[0].settings).filter(k => runs.some(run => run.settings[k] !== runs[0].settings[k]));
  const rows = runs.map(run => {
    const v = lastOf(run.verdicts), knn = v && knnOf(run, v.block), probe = v && probeOf(run, v.block);
    return [run.label, run.finished ? "finished" : "not finished", number(run.steps), verdictSentence(run.verdicts || []), v ? number(v.loss[1]) : "–",
      probe ? percent(probe.top1) : v && isNumber(v.probe_top1) ? percent(v.probe_top1) + " (online)" : "–", knn ? percent(knn.top1) : "–", number(meanSpeed(run), 3),
      run.curves && run.curves.every_step.run.peak_rss_mb ? number(Math.round(Math.max(...run.curves.every_step.run.peak_rss_mb.filter(isNumber)))) : "–"];
  });
  return section("runs", "Runs beside each other",
    table("Runs; loss, probe and kNN are of the last block", ["run", "state", "steps", "verdict", "loss", "probe", "kNN", "images a second (median)", "peak MB"], rows),
    keys.length > 0 ? table("Settings in which they differ", ["setting", ...runs.map(r => r.label)], keys.map(k => [k, ...runs.map(r => r.settings[k] === undefined ? "–" : r.settings[k])]))
      : h("p", {}, "Their settings are the same."));
}

/* Names of the folders, and whole paths where two are alike. */
function labelRuns(runs) {
  for (const run of runs) run.label = runs.filter(r => r.name === run.name).length > 1 ? run.path : run.name;
}

function runParts(run, i, several) {
  const id = "run" + (i + 1);
  const parts = [several ? null : summaryPart(id, run, "What became of the blocks?"), costPart(id, run), ...picturesPart(id, run), settingsPart(id, run)].filter(Boolean);
  if (!several) return parts;
  return [h("article", { class: "run", id, "aria-label": "Run " + run.label }, h("h2", { class: "runname" }, run.label), summaryPart(id, run, "What became of the blocks?"), parts)];
}

function build(data) {
  const runs = data.runs, several = runs.length > 1, main = document.getElementById("main");
  labelRuns(runs);
  for (const p of plots) {
    p.keepRange();
    views.set(p.options.title, { visible: p.visible, range: p.range });
  }
  plots.length = painters.length = 0;
  const title = data.title || (several ? `${runs.length} runs: ${runs.map(r => r.label).join(", ")}` : `Run ${runs[0].label}`);
  document.title = title;
  document.getElementById("title").textContent = title;
  document.getElementById("footer").textContent = `Made by blockwise ${data.version}.`;
  const scrolled = window.scrollY, opened = new Set([...main.querySelectorAll("details[open] > summary")].map(s => s.textContent));
  const parts = several ? [comparisonPart(runs), curvesPart(runs), ...runs.flatMap((run, i) => runParts(run, i, true))]
    : (() => { const [summary, ...rest] = runParts(runs[0], 0, false); return [summary, curvesPart(runs), ...rest]; })();
  main.replaceChildren(...parts.filter(Boolean));
  for (const s of main.querySelectorAll("details > summary")) s.parentElement.open = opened.has(s.textContent);
  document.getElementById("contents").replaceChildren(h("ul", {}, [...main.children].map(part => h("li", {}, h("a", { href: "#" + part.id }, part.querySelector("h2").textContent)))));
  drawPlots();
  window.scrollTo({ top: scrolled, behavior: "instant" });
}

/* --- a run that is watched --- */

const REFRESH_MS = 2000;

async function watch(data) {
  const live = document.getElementById("live");
  let version = null;
  live.hidden = false;
  live.textContent = "Watching.";
  const look = async () => {
    try {
      const answer = await fetch("data.json", { cache: "no-store", headers: version ? { "If-None-Match": version } : {} });
      if (answer.status === 304) return;
      if (!answer.ok) throw new Error((await answer.text()).trim() || answer.statusText);
      version = answer.headers.get("ETag");
      const news = await answer.json();
      news.runs.forEach((run, i) => { data.runs[i] = { ...data.runs[i], ...run }; });
      if (!document.activeElement || !document.activeElement.closest("#main") || document.activeElement.id === "main") build(data);
      else refreshLater = true;
      const run = data.runs[0];
      live.textContent = data.runs.length > 1 ? "Watching." : run.finished ? "The run has finished." : `Watching: step ${number(run.steps)}${run.total_steps ? " of " + number(run.total_steps) : ""}.`;
    } catch (e) {
      live.textContent = `No news from the program (${e.message}); what is shown is from before.`;
    }
  };
  let refreshLater = false;
  /* Whoever reads with the keyboard keeps the place: the page is drawn anew when the focus leaves it. */
  document.getElementById("main").addEventListener("focusout", () => setTimeout(() => {
    if (refreshLater && !document.activeElement.closest("#main")) { refreshLater = false; build(data); }
  }));
  for (;;) {
    if (!document.hidden) await look();
    await new Promise(done => setTimeout(done, REFRESH_MS));
  }
}

const reportData = JSON.parse(document.getElementById("data").textContent);
build(reportData);
darkScheme.addEventListener("change", () => { drawPlots(); painters.forEach(paint => paint()); });
if (reportData.live) watch(reportData);
