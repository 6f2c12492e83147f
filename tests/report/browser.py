"""Looks at pages of `blockwise report` in Chromium. Called by browser.sh:

    browser.py ONE_RUN.html TWO_RUNS.html END_TO_END.html ADDRESS METRICS GROWING WORK

ADDRESS serves the run folder GROWING, whose metrics.jsonl has the first lines of METRICS. With the environment variable
BW_SCREENSHOTS set to a folder, pictures of the pages go there."""
import base64
import os
import sys
import time
import urllib.error
import urllib.request

from selenium import webdriver
from selenium.webdriver.chrome.options import Options
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

mistakes = []


def check(holds, what):
    if not holds:
        mistakes.append(what)
        print("MISTAKE:", what, file=sys.stderr)


def open_browser(work):
    options = Options()
    options.binary_location = "/usr/bin/chromium"
    for flag in ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
                 "--disable-background-networking", "--disable-component-update", "--disable-sync", "--hide-scrollbars",
                 "--disable-dev-shm-usage", "--user-data-dir=" + os.path.join(work, "profile")):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    return webdriver.Chrome(service=Service("/usr/bin/chromedriver"), options=options)


def show(browser, url, width, dark=False):
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride",
                            {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 500})
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [
        {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}]})
    if url:
        browser.get(url)
    time.sleep(0.3)


def no_errors(browser, where):
    for entry in browser.get_log("browser"):
        check(False, f"{where}: console: {entry['level']} {entry['message']}")


def picture(browser, name):
    folder = os.environ.get("BW_SCREENSHOTS")
    if not folder:
        return
    size = browser.execute_script("const e = document.documentElement; return [e.scrollWidth, e.scrollHeight]")
    shot = browser.execute_cdp_cmd("Page.captureScreenshot", {"captureBeyondViewport": True, "clip": {
        "x": 0, "y": 0, "width": size[0], "height": min(size[1], 12000), "scale": 1}})
    with open(os.path.join(folder, name + ".png"), "wb") as file:
        file.write(base64.b64decode(shot["data"]))


# Of each plot: title, rows, series with a value, and pixels that are drawn on it.
PLOTS = """return plots.map(p => {
  const rows = p.graph.numRows(), n = p.options.series.length;
  let filled = 0;
  for (let j = 1; j <= n; j++) {
    let has = false;
    for (let i = 0; i < rows; i++) has = has || typeof p.graph.getValue(i, j) === "number";
    filled += has;
  }
  const pixels = [...p.frame.querySelectorAll("canvas")].map(c =>
    c.getContext("2d").getImageData(0, 0, c.width, c.height).data.filter((v, i) => i % 4 === 3 && v > 0).length);
  return { title: p.options.title, rows, series: n, filled, pixels: Math.max(...pixels) };
})"""


def check_plots(browser, where, titles):
    plots = browser.execute_script(PLOTS)
    found = [p["title"] for p in plots]
    for title in titles:
        check(any(t.startswith(title) for t in found), f"{where}: no plot {title!r} among {found}")
    for p in plots:
        check(p["rows"] > 0 and p["filled"] == p["series"] > 0 and p["pixels"] > 100, f"{where}: empty plot {p}")


# What a screen reader and a keyboard need of a page; a list of what is wrong.
STRUCTURE = """const wrong = [];
if (document.documentElement.lang !== "en") wrong.push("no language");
for (const tag of ["h1", "main", "header", "footer", "nav"])
  if (document.querySelectorAll(tag).length !== 1) wrong.push(`${document.querySelectorAll(tag).length} of ${tag}`);
let level = 0;
for (const e of document.querySelectorAll("h1, h2, h3, h4")) {
  const own = Number(e.tagName[1]);
  if (own > level + 1) wrong.push(`heading "${e.textContent}" skips a level`);
  level = own;
}
const ids = [...document.querySelectorAll("[id]")].map(e => e.id);
if (new Set(ids).size !== ids.length) wrong.push("an id twice");
for (const e of document.querySelectorAll("[aria-labelledby]"))
  if (!document.getElementById(e.getAttribute("aria-labelledby"))) wrong.push("a label that is not there");
for (const e of document.querySelectorAll("img"))
  if (!e.alt || !e.complete || e.naturalWidth === 0) wrong.push(`picture ${e.alt || "without words"} is not shown`);
for (const e of document.querySelectorAll("nav a"))
  if (!document.getElementById(e.getAttribute("href").slice(1))) wrong.push(`${e.textContent} leads nowhere`);
for (const e of document.querySelectorAll(".plot, canvas.matrix"))
  if (e.tabIndex !== 0 || !e.getAttribute("aria-label")) wrong.push("a picture that keys cannot reach or that has no words");
for (const e of document.querySelectorAll("main canvas.matrix")) {
  const data = e.getContext("2d").getImageData(0, 0, e.width, e.height).data;
  if (new Set(Array.from(data).map((v, i) => i % 4 === 0 ? v : -1)).size < 4) wrong.push("a matrix without values");
}
for (const e of document.querySelectorAll("table")) if (!e.caption || !e.querySelector("th[scope]")) wrong.push("a table without caption or headings");
if (performance.getEntriesByType("resource").some(r => !r.name.startsWith("data:") && !r.name.endsWith("/data.json"))) wrong.push("something was fetched");
return wrong;"""

# Least contrast (WCAG) of the colours of text against both backgrounds.
CONTRAST = """const light = name => {
  const c = document.createElement("canvas").getContext("2d");
  c.fillStyle = css(name); c.fillRect(0, 0, 1, 1);
  const [r, g, b] = Array.from(c.getImageData(0, 0, 1, 1).data).map(v => v / 255).map(v => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
};
let least = 99;
for (const text of ["--text", "--soft", "--link", "--good", "--middling", "--bad"])
  for (const ground of ["--page", "--panel"]) {
    const a = light(text), b = light(ground);
    least = Math.min(least, (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05));
  }
return least;"""

LOSS = "plots.find(p => p.options.title === 'Loss')"
TITLES = ["Loss", "Term on_diag", "Term off_diag", "Gradient norm", "Online probe, test", "Online probe, training",
          "Embedding std", "Effective rank", "Dead channels", "Learning rate", "Speed", "Peak memory"]


def look_at_one_run(browser, path):
    url = "file://" + path
    for dark in (False, True):
        for width in (1200, 390):
            where = f"one run, {width} px, {'dark' if dark else 'light'}"
            show(browser, url, width, dark)
            check_plots(browser, where, TITLES + ["Learnt", "Random initialisation"])
            wide = browser.execute_script("return document.documentElement.scrollWidth")
            check(wide <= width, f"{where}: the page is {wide} px wide")
            for wrong in browser.execute_script(STRUCTURE):
                check(False, f"{where}: {wrong}")
            picture(browser, f"one-{width}-{'dark' if dark else 'light'}")
        contrast = browser.execute_script(CONTRAST)
        check(contrast >= 4.5, f"contrast of text is {contrast:.2f}")
    # Without opening it again: colours of page, plots and matrices follow.
    looks = f"return [getComputedStyle(document.body).backgroundColor, {LOSS}.graph.getColors()[0]," \
            " document.querySelector('canvas.matrix').toDataURL().length, signedColor(0)[0]]"
    dark = browser.execute_script(looks)
    show(browser, None, 1200, False)
    light = browser.execute_script(looks)
    check(all(a != b for a, b in zip(dark, light)), f"the same in light and dark: {light} {dark}")
    dashes = browser.execute_script(f"return [...{LOSS}.figure.querySelectorAll('.swatch')]"
                                    ".map(e => e.style.background.replace(/rgb[^)]*\\)/g, ''))")
    check(len(set(dashes)) == 4, f"swatches of the four blocks look alike: {dashes}")
    no_errors(browser, "one run")


def look_at_end_to_end(browser, path):
    """Training has one block, evaluation sees four: the card of the one has the figures of the last."""
    show(browser, "file://" + path, 1200)
    rows = browser.execute_script("return [...reportData.runs[0].pictures.knn.blocks].map(b => percent(b.top1))")
    card = browser.find_element(By.CSS_SELECTOR, ".card").text.replace("\u00a0", " ")
    check(len(rows) == 4 and rows[3].replace("\u00a0", " ") in card, f"{rows} at the cuts, the card says {card!r}")
    check("40.0 %" in card, f"the probe of the last block is not on the card: {card!r}")
    for wrong in browser.execute_script(STRUCTURE):
        check(False, f"end to end: {wrong}")
    no_errors(browser, "end to end")


def use_keys(browser, path):
    show(browser, "file://" + path, 1200)
    reached = set()
    for _ in range(60):
        browser.switch_to.active_element.send_keys(Keys.TAB)
        e = browser.switch_to.active_element
        reached.add("skip" if e.get_attribute("class") == "skip" else "plot" if e.get_attribute("role") == "group" else e.tag_name)
    for what in ("skip", "a", "input", "plot", "button", "summary"):
        check(what in reached, f"keys do not reach {what}: {reached}")
    plot = browser.find_element(By.CSS_SELECTOR, ".plot")
    readout = browser.find_element(By.CSS_SELECTOR, "figure .readout")
    plot.send_keys(Keys.END)
    check("step 24: block 1" in readout.text, f"the plot says {readout.text!r} at its end")
    plot.send_keys("+")
    zoomed = browser.execute_script(f"return {LOSS}.graph.xAxisRange()")
    plot.send_keys(Keys.ESCAPE)
    whole = browser.execute_script(f"return {LOSS}.graph.xAxisRange()")
    check(zoomed[1] - zoomed[0] < 0.6 * (whole[1] - whole[0]), f"plus does not zoom: {zoomed} of {whole}")
    button = browser.find_element(By.CSS_SELECTOR, ".legend button")
    button.send_keys(Keys.ENTER)
    check(button.get_attribute("aria-pressed") == "false" and
          browser.execute_script(f"return {LOSS}.graph.visibility()[0]") is False, "Enter does not switch a curve off")
    matrix = browser.find_element(By.CSS_SELECTOR, "canvas.matrix")
    matrix.send_keys(Keys.ARROW_DOWN)
    said = browser.execute_script("return arguments[0].parentElement.querySelector('.readout').textContent", matrix)
    check("dimensions 2 and 1:" in said, f"the matrix says {said!r}")
    browser.find_element(By.ID, "log").send_keys(Keys.SPACE)
    check(browser.execute_script("return plots.some(p => p.options.log)"), "no logarithmic plot")
    no_errors(browser, "keys")


def look_at_two_runs(browser, path):
    show(browser, "file://" + path, 1200)
    check_plots(browser, "two runs", TITLES)
    for wrong in browser.execute_script(STRUCTURE):
        check(False, f"two runs: {wrong}")
    labels = browser.execute_script(f"return {LOSS}.options.series.map(s => s.label)")
    check(labels == ["run", '<b>other & "quoted"'], f"curves of two runs are called {labels}")
    check("optimizer.lr" in browser.find_element(By.ID, "runs").text, "the setting that differs is not shown")
    values = f"return {LOSS}.graph.getValue(2, 1)"
    last = browser.execute_script(values)
    browser.find_element(By.ID, "block").send_keys("1")
    first = browser.execute_script(values)
    check(last != first, f"choosing a block changes nothing: {last}")
    picture(browser, "two-1200-light")
    show(browser, "file://" + path, 390)
    wide = browser.execute_script("return document.documentElement.scrollWidth")
    check(wide <= 390, f"two runs: the page is {wide} px wide on a phone")
    no_errors(browser, "two runs")


def look_at_other_blocks(browser, path):
    """A run of four blocks beside one end to end, whose curves are those of the last block; kNN is of all its cuts."""
    show(browser, "file://" + path, 1200)
    names = "return Object.fromEntries(plots.map(p => [p.options.title, p.options.series.map(s => s.label)]))"
    both = ["Loss", "Term on_diag", "Gradient norm", "Effective rank", "Embedding std", "Dead channels, %", "kNN, %"]
    found = browser.execute_script(names)
    for title in both:
        check(found.get(title) == ["run", "whole"], f"last block: curves of {title} are {found.get(title)}")
    browser.find_element(By.ID, "block").send_keys("1")
    found = browser.execute_script(names)
    for title in both:
        wanted = ["run", "whole"] if title.startswith("kNN") else ["run"]
        check(found.get(title) == wanted, f"block 1: curves of {title} are {found.get(title)}")
    no_errors(browser, "end to end beside blocks")


def status_of(url, method="GET", host=None, known=None):
    request = urllib.request.Request(url, method=method, data=b"x" if method == "POST" else None)
    if host:
        request.add_header("Host", host)
    if known:
        request.add_header("If-None-Match", known)
    try:
        with urllib.request.urlopen(request, timeout=20) as answer:
            return answer.status, answer.headers.get("ETag")
    except urllib.error.HTTPError as error:
        return error.code, None


def watch(browser, address, metrics, growing):
    show(browser, address, 1200)
    rows = f"const g = {LOSS}.graph;" \
           " return [g.getValue(g.numRows() - 1, 0), document.getElementById('live').textContent]"
    time.sleep(2.5)
    step, said = browser.execute_script(rows)
    check(step == 10 and "step 10 of 24" in said, f"watched: step {step}, {said!r}")
    with open(metrics) as lines, open(os.path.join(growing, "metrics.jsonl"), "a") as file:
        file.writelines(lines.readlines()[10:])
    open(os.path.join(growing, "finished"), "w").close()
    until = time.time() + 30
    while time.time() < until and browser.execute_script(rows)[0] != 24:
        time.sleep(0.5)
    time.sleep(0.5)
    step, said = browser.execute_script(rows)
    check(step == 24 and "finished" in said, f"watched, after 14 more steps: step {step}, {said!r}")
    check_plots(browser, "watched", TITLES)
    picture(browser, "watched")
    no_errors(browser, "watched")
    code, version = status_of(address + "data.json")
    check(code == 200 and version, f"data.json: {code} {version}")
    for want, got in ((304, status_of(address + "data.json", known=version)), (404, status_of(address + "etc/passwd")),
                      (403, status_of(address, host="evil.example")), (200, status_of(address, host="localhost")),
                      (405, status_of(address, method="POST")), (200, status_of(address, method="HEAD"))):
        check(got[0] == want, f"status {got[0]} instead of {want}")
    with open(os.path.join(growing, "metrics.jsonl"), "a") as file:
        file.write("nonsense\n")
    check(status_of(address + "data.json")[0] == 500, "damaged metrics are served")


def main():
    one, two, mixed, end_to_end, address, metrics, growing, work = sys.argv[1:]
    browser = open_browser(work)
    try:
        look_at_one_run(browser, one)
        look_at_end_to_end(browser, end_to_end)
        use_keys(browser, one)
        look_at_two_runs(browser, two)
        look_at_other_blocks(browser, mixed)
        watch(browser, address.strip(), metrics, growing)
    finally:
        browser.quit()
    print(f"{len(mistakes)} mistakes")
    sys.exit(1 if mistakes else 0)


main()
