/* What was made by running the network on images: all optional, and each says what it is made of. */

/* -1 .. 1 as colour: blue, background, orange, by the square root of the size, so that small values show. */
function signedColor(v) {
  const dark = darkScheme.matches, zero = dark ? [22, 24, 29] : [255, 255, 255];
  const end = v < 0 ? (dark ? [86, 180, 233] : [0, 84, 140]) : (dark ? [240, 140, 60] : [190, 75, 0]);
  const t = Math.sqrt(Math.min(1, Math.abs(v)));
  return zero.map((z, i) => Math.round(z + (end[i] - z) * t));
}

function paintMatrix(canvas, values, n) {
  const c = canvas.getContext("2d"), image = c.createImageData(n, n);
  for (let i = 0; i < n * n; i++) {
    const [r, g, b] = signedColor(values[i] / 127);
    image.data.set([r, g, b, 255], 4 * i);
  }
  c.putImageData(image, 0, 0);
}

const painters = []; /* of canvases, called again in other colours */

function matrixFigure(block) {
  const n = block.shown, bytes = atob(block.values);
  const values = Int8Array.from(bytes, b => b.charCodeAt(0) << 24 >> 24);
  const words = `Block ${block.block}: ${number(block.dim)} dimensions, mean of the diagonal ${number(block.on_diagonal, 3)}, `
    + `off the diagonal ${number(block.off_diagonal, 3)} (root mean square)`;
  const canvas = h("canvas", { width: n, height: n, class: "matrix", tabindex: "0", role: "img",
    "aria-label": words + ". Arrow keys read single values." });
  const readout = h("p", { class: "readout", "aria-live": "polite" }, "\u00a0");
  const dimension = i => Math.floor(i * block.dim / n) + 1;
  const at = { row: 0, column: 0 };
  const say = () => {
    readout.textContent = `dimensions ${dimension(at.row)} and ${dimension(at.column)}: ${(values[at.row * n + at.column] / 127).toFixed(2)}`;
  };
  const clamp = i => Math.min(n - 1, Math.max(0, i));
  canvas.addEventListener("mousemove", e => {
    const box = canvas.getBoundingClientRect();
    at.row = clamp(Math.floor((e.clientY - box.top) * n / box.height));
    at.column = clamp(Math.floor((e.clientX - box.left) * n / box.width));
    say();
  });
  canvas.addEventListener("keydown", e => {
    const move = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] }[e.key];
    if (!move) return;
    at.row = clamp(at.row + move[0]);
    at.column = clamp(at.column + move[1]);
    say();
    e.preventDefault();
  });
  const paint = () => paintMatrix(canvas, values, n);
  painters.push(paint);
  paint();
  return h("figure", {}, h("figcaption", {}, h("h3", {}, `Block ${block.block}`),
    h("p", { class: "note" }, `diagonal ${number(block.on_diagonal, 3)}, elsewhere ${number(block.off_diagonal, 3)}`)), canvas, readout);
}

function matrixScale() {
  const steps = [-1, -0.5, -0.25, -0.1, 0, 0.1, 0.25, 0.5, 1];
  const cells = steps.map(v => h("span", {}, String(v)));
  const paint = () => cells.forEach((c, i) => {
    const [r, g, b] = signedColor(steps[i]);
    c.style.backgroundColor = `rgb(${r},${g},${b})`;
    c.style.color = 0.3 * r + 0.59 * g + 0.11 * b > 128 ? "#000" : "#fff";
  });
  painters.push(paint);
  paint();
  return h("p", { class: "scale", "aria-label": "Colours from -1 to 1" }, cells);
}

function correlationPart(id, c) {
  if (!c) return null;
  const some = c.blocks.some(b => b.shown < b.dim);
  return section(id + "-correlation", "Do the dimensions say different things?",
    h("p", {}, "Correlation between the embeddings of two random views of the same images, dimension by dimension. Barlow Twins wants a "
      + "clear diagonal (1: both views agree) and nothing elsewhere (0: no dimension repeats another). Made from ",
      number(c.images), ` images in evaluation mode; so few images alone leave about ${number(c.noise, 2)} off the diagonal.`,
      some ? ` Shown are ${c.blocks[0].shown} dimensions, evenly spaced; the figures are of all.` : ""),
    matrixScale(),
    h("div", { class: "grid" }, c.blocks.map(matrixFigure)),
    table("Correlation of each block", ["block", "dimensions", "mean of the diagonal", "elsewhere (root mean square)"],
      c.blocks.map(b => [String(b.block), number(b.dim), number(b.on_diagonal, 3), number(b.off_diagonal, 3)])));
}

function thumb(p, i, words, attributes) {
  return h("img", { src: p.images[i].picture, alt: words, width: "44", height: "44", ...attributes });
}

function className(p, i) {
  const label = p.images[i].label;
  return label >= 0 ? p.classes[label] : null;
}

function neighbourRow(p, item, row, block) {
  return h("tr", {}, h("th", { scope: "row" }, String(block)), row.map(n => {
    const name = className(p, n.image), same = name !== null && name === className(p, item.query);
    const words = `${name === null ? "image" : name}${name === null ? "" : same ? ", same class" : ", another class"}, cosine ${n.cosine.toFixed(2)}`;
    return h("td", {}, thumb(p, n.image, words, { class: name === null ? null : same ? "same" : "other", title: words }));
  }));
}

function neighboursPart(id, p, unseen) {
  const n = p.neighbours;
  if (!n) return null;
  const labelled = p.classes.length > 0;
  return section(id + "-neighbours", "Which images look alike to each block?",
    h("p", {}, `For ${n.items.length} images, the nearest of ${number(p.bank)} others by the ${p.feature} feature of each block (cosine), nearest first. `,
      labelled ? `A solid frame is the same class, a dashed one another.${unseen ? " The network has never seen a label." : ""}` : ""),
    h("div", { class: "neighbours" }, n.items.map((item, i) => h("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": `Neighbours of image ${i + 1}` },
      h("table", { class: "pictures" },
        h("caption", {}, thumb(p, item.query, `Image ${i + 1}${labelled ? ": " + className(p, item.query) : ""}`, {}),
          h("span", {}, labelled ? className(p, item.query) : `Image ${i + 1}`)),
        h("thead", {}, h("tr", {}, h("th", { scope: "col" }, "block"), h("th", { scope: "colgroup", colspan: String(item.blocks[0].length) }, "nearest"))),
        h("tbody", {}, item.blocks.map((row, b) => neighbourRow(p, item, row, b + 1))))))));
}

function filtersPart(id, f) {
  if (!f) return null;
  const picture = (title, png) => h("figure", {}, h("figcaption", {}, h("h3", {}, title)),
    h("img", { class: "filters", src: png, alt: `${title}: ${f.count} filters of ${f.size} by ${f.size} pixels`, width: f.width * f.zoom, height: f.height * f.zoom }));
  return section(id + "-filters", "What does the first layer look for?",
    h("p", {}, `The ${f.count} filters of the first convolution, each scaled to its own largest weight (grey is 0), beside those the run began with. `
      + "Edges, blobs and colours have been learnt; noise that looks like the right picture has not."),
    h("div", { class: "grid" }, picture("Learnt", f.trained), picture("Random initialisation", f.random)));
}

/* A cloud for each class, by label; one cloud where there are none. */
function mapSeries(p, map) {
  const classes = p.classes.length, shape = Object.keys(shapes), colors = PALETTE.light.length - 1;
  const groups = new Map();
  map.label.forEach((label, i) => {
    const key = classes > 0 ? label : -1;
    if (!groups.has(key)) groups.set(key, { x: [], values: [] });
    groups.get(key).x.push(map.x[i]);
    groups.get(key).values.push(map.y[i]);
  });
  return [...groups.keys()].sort((a, b) => a - b).map(label => ({ label: label < 0 ? "images without a label" : p.classes[label], ...groups.get(label),
    index: Math.max(0, label) % colors, of: colors, shape: shape[Math.max(0, label) % shape.length] }));
}

function mapPart(id, p) {
  if (!p.map) return null;
  const grid = h("div", { class: "grid large" });
  const add = (title, map) => new Plot(grid, {
    title, points: true, xName: "x", series: mapSeries(p, map), legend: p.classes.length <= 20,
    note: `${map.x.length} images; the two directions hold ${percent(100 * map.share[0])} and ${percent(100 * map.share[1])} of the variance.`
  });
  const part = section(id + "-map", "How do the features of the last block lie?",
    h("p", {}, `Principal components of the last block's ${p.feature} features, one point an image`,
      p.classes.length > 0 ? ", coloured by class. Classes that lie apart can be told apart with few labels; two directions show only a part of it." : "."), grid);
  add("Learnt", p.map);
  if (p.random_map) add("Random initialisation", p.random_map);
  return part;
}

function picturesPart(id, run) {
  const p = run.pictures;
  if (!p) return [];
  return [correlationPart(id, p.correlation), neighboursPart(id, p, run.settings["loss.name"] !== "cross-entropy"), mapPart(id, p), filtersPart(id, p.filters),
    p.problem ? section(id + "-missing", "What is missing", h("p", {}, p.problem)) : null];
}
