/* One run: what became of its blocks, what they cost, its settings. Curves are drawn for all runs together. */

const WORDS = {
  "learnt": { sign: "✓", kind: "good" }, "weak": { sign: "≈", kind: "middling" }, "collapsed": { sign: "✗", kind: "bad" },
  "did not learn": { sign: "✗", kind: "bad" }, "too short to say": { sign: "…", kind: "none" }, "not trained": { sign: "–", kind: "none" }
};

const TERM_NOTES = {
  on_diag: "Barlow Twins: how far the two views are from agreeing, summed over dimensions.",
  off_diag: "Barlow Twins: how much dimensions repeat each other, summed over pairs.",
  grad_norm: "Length of the gradient of each block.", loss: "What each block minimises on its own.",
  embedding_std: "1: embeddings point everywhere; near 0: all are the same.",
  effective_rank: "Directions that the embeddings of a batch use.",
  dead_channels: "Share of a block's output channels that are 0 for every image of a batch.",
  probe_top1: "Test images that a linear classifier on the block gets right while the network is trained.",
  probe_top1_train: "The same on the training images of the step.",
  knn_top1: "Images whose 20 nearest neighbours say the right class: before the first step, at the checkpoints that are kept, at the end."
};

function pair(from, to, show = number) { return `${show(from)} → ${show(to)}`; }

function blocksWord(list) { return (list.length === 1 ? "block " : "blocks ") + list.join(", "); }

/* "Blocks 1, 2 learnt; block 4 is weak." */
function verdictSentence(verdicts) {
  const groups = new Map();
  for (const v of verdicts) groups.set(v.verdict, [...(groups.get(v.verdict) || []), v.block]);
  if (groups.size === 1 && verdicts.length > 1) return `All ${verdicts.length} blocks: ${verdicts[0].verdict}.`;
  const text = [...groups].map(([word, blocks]) => `${blocksWord(blocks)}: ${word}`).join("; ");
  return text ? text[0].toUpperCase() + text.slice(1) + "." : "";
}

function stateSentence(run) {
  const s = run.settings, e = run.environment || {};
  const steps = run.total_steps ? `${number(run.steps)} of ${number(run.total_steps)} steps` : `${number(run.steps)} steps`;
  return `${run.finished ? "Finished after" : run.steps > 0 ? "Not finished:" : "Not begun:"} ${steps}. `
    + `${s["model.arch"]}, width ${s["model.width"]}, ${s["data.image_size"]} px, ${s["train.order"]}, loss ${s["loss.name"]}, batch ${s["train.batch"]}`
    + (e.images ? `, ${number(e.images)} images.` : ".");
}

/* Entries of evaluation for the block that training calls `block` (from 1): end to end there is one, and what it made
 * is seen at the last of the cuts. */
function ofBlock(run, entries, block) {
  const numbers = entries.map(e => e.block).filter(isNumber);
  const wanted = run.settings["train.order"] === "end-to-end" ? Math.max(...numbers) : block;
  return entries.filter(e => e.block === wanted);
}

/* kNN of the block here and in the random network. */
function knnOf(run, block) {
  const knn = run.pictures && run.pictures.knn;
  return knn ? ofBlock(run, knn.blocks, block)[0] : undefined;
}

function probeOf(run, block) {
  const entries = ofBlock(run, Array.isArray(run.probe) ? run.probe : [], block);
  return entries.find(p => p.feature === "head") || entries[0];
}

/* Against random initialisation, in words: a difference of two standard errors (at most) is one. */
function knnSentence(knn, queries) {
  const gain = knn.top1 - knn.random_top1, noise = 2 * Math.sqrt(2 * 2500 / queries);
  return `${percent(knn.top1)}, ${gain > noise ? "better than" : gain < -noise ? "worse than" : "no better than"} random initialisation (${percent(knn.random_top1)})`;
}

function verdictCard(run, v) {
  const word = WORDS[v.verdict] || { sign: "", kind: "none" }, knn = knnOf(run, v.block), probe = probeOf(run, v.block), facts = [];
  facts.push(["Loss", pair(v.loss[0], v.loss[1])]);
  if (knn) facts.push(["kNN", knnSentence(knn, run.pictures.queries)]);
  if (probe) facts.push(["Linear probe", percent(probe.top1)]);
  else if (isNumber(v.probe_top1)) facts.push(["Online probe", percent(v.probe_top1)]);
  facts.push(["Embedding std", pair(v.embedding_std[0], v.embedding_std[1])],
    ["Effective rank", pair(v.effective_rank[0], v.effective_rank[1]) + (isNumber(v.effective_rank_max) ? ` of ${number(v.effective_rank_max)}` : "")],
    ["Dead channels", pair(100 * v.dead_channels[0], 100 * v.dead_channels[1], x => isNumber(x) ? x.toFixed(0) + " %" : "–")]);
  return h("li", { class: "card " + word.kind },
    h("h3", {}, `Block ${v.block} `, h("span", { class: "word" }, h("span", { "aria-hidden": "true" }, word.sign + " "), v.verdict)),
    v.reason ? h("p", {}, v.reason[0].toUpperCase() + v.reason.slice(1) + ".") : null,
    v.advice ? h("p", {}, h("strong", {}, "What to do: "), v.advice + ".") : null,
    h("dl", {}, facts.map(([name, value]) => [h("dt", {}, name), h("dd", {}, value)])));
}

function summaryPart(id, run, heading) {
  const verdicts = run.verdicts || [];
  return section(id + "-summary", heading,
    h("p", { class: "lead" }, verdictSentence(verdicts) || "No step has been made yet."),
    h("p", {}, stateSentence(run)),
    verdicts.length > 0 ? h("ul", { class: "cards" }, verdicts.map(v => verdictCard(run, v))) : null,
    verdicts.length > 0 ? h("p", { class: "note" }, "Arrows go from random initialisation, the first steps of the run, to its last steps. "
      + "“Learnt” says that nothing is plainly wrong; how good the features are, kNN and probe say.") : null,
    run.pictures && run.pictures.knn ? knnTable(run.pictures.knn) : null,
    probeTable(run));
}

function knnTable(knn) {
  return details("Nearest neighbours of each block, and how they were counted",
    table("Nearest neighbours of each block", ["block", "at the end", "at random initialisation"],
      knn.blocks.map(b => [String(b.block), percent(b.top1), percent(b.random_top1)])), h("p", { class: "note" }, knn.protocol));
}

function probeTable(run) {
  if (!Array.isArray(run.probe) || run.probe.length === 0) return null;
  return details("Linear probe, as blockwise probe measured it", table("Linear probe", ["block", "feature", "top-1", "top-5"],
    run.probe.map(p => [String(p.block), p.feature, percent(p.top1), percent(p.top5)])), h("p", { class: "note" }, run.probe[0].protocol || ""));
}

function bar(value, most, text) {
  return h("span", { class: "bar" }, h("span", { class: "fill", "aria-hidden": "true", style: { width: `${most > 0 ? 100 * value / most : 0}%` } }), h("span", { class: "value" }, text));
}

function costPart(id, run) {
  if (!run.cost) return null;
  const most = key => Math.max(...run.cost.map(b => b[key]));
  const all = b => b.trunk_parameters + b.head_parameters + b.projector_parameters;
  const mostParameters = Math.max(...run.cost.map(all));
  return section(id + "-cost", "What does each block cost?",
    h("p", {}, "Counted from the settings, for one step of a batch of ", run.settings["train.batch"], " images in two views: parameters, operations (forward and backward, a "
      + "multiply-add counts as two) and what is saved between forward and backward pass. Within a step the blocks take turns, so memory is that of the largest, not the sum: ",
      `${amount(run.plan.arena_bytes, "B")} of activations and ${amount(run.plan.weight_bytes, "B")} of weights and optimiser state in this run.`),
    table("Cost of each block", ["block", "trunk parameters", "with head and projector", "operations a step", "saved for backward"],
      run.cost.map((b, k) => [String(k + 1), amount(b.trunk_parameters, ""), bar(all(b), mostParameters, amount(all(b), "")),
        bar(b.flops, most("flops"), amount(b.flops, "FLOP")), bar(b.saved_bytes, most("saved_bytes"), amount(b.saved_bytes, "B"))])));
}

function plainValue(v) {
  return v === null ? "–" : typeof v === "object" ? JSON.stringify(v) : String(v);
}

function settingsPart(id, run) {
  const e = run.environment;
  return section(id + "-settings", "Settings and environment",
    h("p", {}, "Folder ", h("code", {}, run.path), e && e.command ? [", made by ", h("code", {}, e.command)] : null, "."),
    details("All settings (config.yaml)", h("pre", { tabindex: "0" }, run.config)),
    e ? details("Environment", table("Environment", ["what", "value"], Object.entries(e).map(([k, v]) => [k, plainValue(v)]))) : null);
}
