/* Small things that everything below uses. Text goes into the page as text, never as HTML. */

function h(tag, attributes, ...children) {
  const e = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes || {})) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) e.addEventListener(name.slice(2), value);
    else if (name === "style") Object.assign(e.style, value);
    else e.setAttribute(name, value === true ? "" : value);
  }
  e.append(...children.flat(Infinity).filter(c => c !== null && c !== undefined));
  return e;
}

function isNumber(x) { return typeof x === "number" && isFinite(x); }

/* Four significant digits, thousands grouped, "–" for what is not there. */
function number(x, digits = 4) {
  if (!isNumber(x)) return "–";
  if (Number.isInteger(x) && Math.abs(x) < 1e15) return x.toLocaleString("en-GB");
  if (x !== 0 && (Math.abs(x) < 1e-3 || Math.abs(x) >= 1e6)) return x.toExponential(2);
  return Number(x.toPrecision(digits)).toLocaleString("en-GB", { maximumFractionDigits: 6 });
}

function percent(x) { return isNumber(x) ? x.toFixed(1) + "\u00a0%" : "–"; }

/* 1,234,567 as "1.23 M". */
function amount(x, unit) {
  if (!isNumber(x)) return "–";
  for (const [size, prefix] of [[1e12, "T"], [1e9, "G"], [1e6, "M"], [1e3, "k"]])
    if (Math.abs(x) >= size) return Number((x / size).toPrecision(3)) + " " + prefix + unit;
  return Number(x.toPrecision(3)) + (unit ? " " + unit : "");
}

/* rows: arrays of strings or nodes; the first cell of each is its heading. */
function table(caption, head, rows, attributes) {
  return h("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": caption },
    h("table", attributes,
      h("caption", {}, caption),
      h("thead", {}, h("tr", {}, head.map(c => h("th", { scope: "col" }, c)))),
      h("tbody", {}, rows.map(row =>
        h("tr", {}, row.map((c, i) => h(i === 0 ? "th" : "td", i === 0 ? { scope: "row" } : {}, c)))))));
}

/* A part of the page that the contents list. */
function section(id, title, ...children) {
  return h("section", { id, "aria-labelledby": id + "-title" }, h("h2", { id: id + "-title" }, title), children);
}

function details(summary, ...children) {
  return h("details", {}, h("summary", {}, summary), children);
}

/* Colours that people with any kind of colour vision tell apart (Okabe and Ito 2008), in an order that contrasts
 * with the background. */
const PALETTE = {
  light: ["#0072b2", "#d55e00", "#009e73", "#b0528a", "#a87400", "#3a9bd0", "#222222"],
  dark: ["#56b4e9", "#e69f00", "#2fc59b", "#e29bc5", "#f0e442", "#ff8a4a", "#eeeeee"]
};
/* viridis, from dark to bright, for what has an order and is longer than the palette. */
const VIRIDIS = ["#440154", "#482878", "#3e4989", "#31688e", "#26828e", "#1f9e89", "#35b779", "#6ece58", "#b5de2b"];
const DASHES = [null, [8, 4], [2, 3], [10, 3, 2, 3]];

const darkScheme = window.matchMedia("(prefers-color-scheme: dark)");

function css(name) { return getComputedStyle(document.documentElement).getPropertyValue(name).trim(); }

/* Colour and dash of number i of n. */
function stroke(i, n) {
  const palette = PALETTE[darkScheme.matches ? "dark" : "light"];
  if (n > palette.length) {
    const usable = darkScheme.matches ? VIRIDIS.slice(2) : VIRIDIS.slice(0, -1);
    return { color: usable[Math.round(i * (usable.length - 1) / (n - 1))], dash: DASHES[i % DASHES.length] };
  }
  return { color: palette[i], dash: DASHES[i % DASHES.length] };
}
