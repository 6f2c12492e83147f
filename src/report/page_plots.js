/* Curves and clouds of points, by dygraphs, with what it lacks: keys, words and numbers for those who do not see
 * the picture. */

const plots = []; /* of the page, to draw them anew in other colours */
const views = new Map(); /* by title: what was switched off and looked at closely, when a page is put together anew */

/* How a curve goes, in words. */
function curveInWords(series) {
  const seen = series.values.filter(isNumber);
  if (seen.length === 0) return series.label + ": no values";
  return `${series.label}: from ${number(seen[0])} to ${number(seen[seen.length - 1])}`;
}

/* Rows [x, one value for each series], sorted by x, from series with their own x. `ends`: the least and the largest
 * x that the plot shows at any rate. */
function mergedRows(series, ends) {
  const rows = new Map((ends || []).map(x => [x, [x, ...series.map(() => null)]]));
  series.forEach((s, j) => s.x.forEach((x, i) => {
    if (!rows.has(x)) rows.set(x, [x, ...series.map(() => null)]);
    if (isNumber(s.values[i])) rows.get(x)[j + 1] = s.values[i];
  }));
  return [...rows.values()].sort((a, b) => a[0] - b[0]);
}

function swatch(style) {
  const line = h("span", { class: "swatch", "aria-hidden": "true" }), stops = [];
  let at = 0;
  (style.dash || [1]).forEach((px, i) => {
    const color = i % 2 === 0 ? style.color : "transparent";
    stops.push(`${color} ${at}px`, `${color} ${at += px}px`);
  });
  line.style.background = `repeating-linear-gradient(90deg, ${stops.join(", ")})`;
  return line;
}

function numbersTable(title, series, xName) {
  const rows = mergedRows(series), most = 12, step = Math.max(1, (rows.length - 1) / (most - 1));
  const chosen = [];
  for (let i = 0; i < rows.length && chosen.length < most; i++) {
    const row = rows[Math.min(rows.length - 1, Math.round(i * step))];
    if (row && chosen[chosen.length - 1] !== row) chosen.push(row);
  }
  return table(`${title}: ${chosen.length} of ${rows.length} points`, [xName, ...series.map(s => s.label)],
    chosen.map(row => row.map(v => number(v))));
}

class Plot {
  /* options: title, note, unit, xName, series: [{ label, x, values, index, of }], log, points (a cloud),
   * describe(row, label) for the line below */
  constructor(parent, options) {
    this.options = options;
    const before = views.get(options.title);
    this.visible = options.series.map((s, i) => !before || before.visible[i] !== false);
    this.range = before ? before.range : null;
    this.frame = h("div", {
      class: "plot" + (options.points ? " cloud" : ""), tabindex: "0", role: "group", "aria-roledescription": "plot",
      "aria-label": `${options.title}. ${options.points ? options.note || "" : options.series.map(curveInWords).join("; ")}.`
        + " Arrow keys read values, plus and minus zoom, Escape shows all.",
      onkeydown: e => this.key(e)
    });
    this.readout = h("p", { class: "readout", "aria-live": "polite" }, "\u00a0");
    this.legend = h("div", { class: "legend", role: "group", "aria-label": "Shown in " + options.title });
    this.figure = h("figure", { class: options.wide ? "wide" : null },
      h("figcaption", {}, h("h3", {}, options.title), options.note ? h("p", { class: "note" }, options.note) : null),
      this.frame, options.legend === false ? null : this.legend, this.readout,
      options.points ? null : details("Numbers", numbersTable(options.title, options.series, options.xName)));
    parent.append(this.figure);
    plots.push(this);
  }

  styles() { return this.options.series.map(s => ({ ...stroke(s.index, s.of), ...(s.shape ? { shape: s.shape } : {}) })); }

  draw() {
    const o = this.options, styles = this.styles(), grid = css("--grid"), text = css("--soft");
    const rows = mergedRows(o.series, o.ends);
    const settings = {
      labels: [o.xName, ...o.series.map((s, i) => `${i}`)], /* labels must differ; names are ours to show */
      colors: styles.map(s => s.color), visibility: this.visible, logscale: !!o.log, legend: "never",
      gridLineColor: grid, axisLineColor: text, axisLabelFontSize: 12, strokeWidth: 1.8, highlightCircleSize: 4,
      connectSeparatedPoints: !o.points, includeZero: false, animatedZooms: false, rightGap: 8,
      drawPoints: !!o.points || rows.length < 30, xRangePad: 6, pointSize: o.points ? 3.2 : 2.5,
      highlightCallback: (e, x, points, row) => this.say(row),
      unhighlightCallback: () => this.say(-1),
      axes: { x: { drawGrid: !!o.points, pixelsPerLabel: 70 }, y: { axisLabelWidth: 48, axisLabelFormatter: v => number(v, 3) } },
      series: Object.fromEntries(styles.map((s, i) => ["" + i, o.points
        ? { strokeWidth: 0, drawPointCallback: shapes[s.shape || "circle"], drawHighlightPointCallback: shapes[s.shape || "circle"] }
        : { strokePattern: s.dash }])),
      interactionModel: pageScrolls(Dygraph.defaultInteractionModel, this)
    };
    this.keepRange();
    if (this.range) settings.dateWindow = this.range;
    if (this.graph) this.graph.destroy();
    this.graph = new Dygraph(this.frame, rows, settings);
    this.drawLegend(styles);
  }

  keepRange() {
    if (this.graph) this.range = this.graph.isZoomed("x") ? this.graph.xAxisRange() : null;
  }

  drawLegend(styles) {
    this.legend.replaceChildren(...this.options.series.map((s, i) =>
      h("button", { type: "button", "aria-pressed": this.visible[i] ? "true" : "false", onclick: () => this.toggle(i) },
        this.options.points ? mark(styles[i]) : swatch(styles[i]), s.label)));
  }

  toggle(i) {
    this.visible[i] = !this.visible[i];
    this.graph.setVisibility(i, this.visible[i]);
    this.legend.children[i].setAttribute("aria-pressed", this.visible[i] ? "true" : "false");
  }

  say(row) {
    const o = this.options;
    if (row < 0 || row === false) {
      this.readout.textContent = "\u00a0";
      return;
    }
    const x = this.graph.getValue(row, 0), parts = [];
    o.series.forEach((s, i) => {
      const y = this.graph.getValue(row, i + 1);
      if (this.visible[i] && isNumber(y)) parts.push(o.points ? s.label : `${s.label} ${number(y)}`);
    });
    this.readout.textContent = o.points ? parts.join(", ") : `${o.xName} ${number(x)}: ${parts.join(", ")}${o.unit ? " " + o.unit : ""}`;
  }

  key(e) {
    const g = this.graph, rows = g.numRows(), at = g.getSelection();
    const [from, to] = g.xAxisRange(), middle = (from + to) / 2, half = (to - from) / 2;
    const zoom = by => g.updateOptions({ dateWindow: [middle - half * by, middle + half * by] });
    const stride = Math.max(1, Math.round(rows / 100));
    const go = row => { g.setSelection(Math.min(rows - 1, Math.max(0, row))); this.say(g.getSelection()); };
    if (e.key === "ArrowRight") go(at < 0 ? 0 : at + stride);
    else if (e.key === "ArrowLeft") go(at < 0 ? rows - 1 : at - stride);
    else if (e.key === "Home") go(0);
    else if (e.key === "End") go(rows - 1);
    else if (e.key === "+" || e.key === "=") zoom(0.5);
    else if (e.key === "-") zoom(2);
    else if (e.key === "Escape") { g.clearSelection(); g.resetZoom(); this.say(-1); }
    else return;
    e.preventDefault();
  }
}

/* A finger scrolls the page, as everywhere on it, and a tap reads the nearest value; dygraphs would drag the plot. */
function pageScrolls(model, plot) {
  const own = { ...model };
  delete own.touchmove;
  delete own.touchend;
  own.touchstart = (e, g) => {
    const box = plot.frame.getBoundingClientRect();
    if (e.touches.length !== 1) return;
    const x = g.toDataXCoord(e.touches[0].clientX - box.left);
    let nearest = 0;
    for (let i = 0; i < g.numRows(); i++)
      if (Math.abs(g.getValue(i, 0) - x) < Math.abs(g.getValue(nearest, 0) - x)) nearest = i;
    g.setSelection(nearest);
    plot.say(nearest);
  };
  return own;
}

/* Points of a class have a colour and a shape. */
const shapes = {
  circle: (g, name, c, x, y, color, r) => { c.fillStyle = color; c.beginPath(); c.arc(x, y, r, 0, 2 * Math.PI); c.fill(); },
  square: (g, name, c, x, y, color, r) => { c.fillStyle = color; c.fillRect(x - r, y - r, 2 * r, 2 * r); },
  triangle: (g, name, c, x, y, color, r) => polygon(c, color, [[x, y - 1.3 * r], [x + 1.2 * r, y + r], [x - 1.2 * r, y + r]]),
  diamond: (g, name, c, x, y, color, r) => polygon(c, color, [[x, y - 1.4 * r], [x + 1.4 * r, y], [x, y + 1.4 * r], [x - 1.4 * r, y]]),
  cross: (g, name, c, x, y, color, r) => {
    c.strokeStyle = color; c.lineWidth = 1.6; c.beginPath();
    c.moveTo(x - r, y - r); c.lineTo(x + r, y + r); c.moveTo(x + r, y - r); c.lineTo(x - r, y + r); c.stroke();
  }
};

function polygon(c, color, corners) {
  c.fillStyle = color;
  c.beginPath();
  corners.forEach(([x, y], i) => i === 0 ? c.moveTo(x, y) : c.lineTo(x, y));
  c.fill();
}

/* The same mark beside a name. */
function mark(style) {
  const canvas = h("canvas", { class: "mark", width: "24", height: "24", "aria-hidden": "true" });
  shapes[style.shape || "circle"](null, null, canvas.getContext("2d"), 12, 12, style.color, 8);
  return canvas;
}

function drawPlots() { plots.forEach(p => p.draw()); }
