"use strict";
// Draws the figures and bands of a page and keeps them on one stretch of time. Sends nothing anywhere.
(() => {
  const page = JSON.parse(document.getElementById("page-data").textContent);
  const plots = [...document.querySelectorAll(".plot")];
  const bands = [...document.querySelectorAll("svg.band")];
  const axes = [...document.querySelectorAll("svg.axis")];
  // Heights are known before the library is read, so that nothing jumps when it is.
  const figures = new Map(plots.map((p) => [p, JSON.parse(document.getElementById(p.dataset.figure).textContent)]));
  for (const [plot, figure] of figures) plot.style.minHeight = figure.layout.height + "px";
  // A phone has no room for all that hovering says; what is left out stands beside the plot or in another line of it.
  const hovers = new Map([...figures.values()].flatMap((f) => f.data).map((trace) => [trace, trace.hovertemplate]));
  const brief = (text) => text.replace("apparent ", "").replace(/, n = [^<]*/, "");
  const drawn = new Set();
  const LEFT = 46, NARROW_RIGHT = 10, PAPER = 680, APART = 0.085;
  const ORIGIN = 864e6; // time zero of the figures, ms
  const SVG = "http://www.w3.org/2000/svg";
  // How strongly a state is drawn that leads below 50 %, from there, from 60 % and from 70 % on.
  const LEVELS = [0.2, 0.42, 0.7, 1];
  const touch = matchMedia("(pointer: coarse)").matches;
  const shortest = Math.min(2, page.duration);
  let view = [0, page.duration];
  let printing = false;

  // The page is laid out for the screen until it is on paper, so paper has one fixed width.
  const widthOf = (element) => (printing ? PAPER : element.clientWidth);
  const narrow = () => innerWidth <= 760 || printing;
  const rem = () => parseFloat(getComputedStyle(document.documentElement).fontSize);
  // Wide screens have room for labels at the ends of lines.
  const rightMargin = () => (narrow() ? NARROW_RIGHT : Math.round(6.8 * rem()));
  const clock = (s, fine) => {
    const whole = fine ? Math.floor(s) : Math.round(s);
    const two = (n) => String(n).padStart(2, "0");
    const h = Math.floor(whole / 3600), m = Math.floor(whole / 60) % 60;
    const tail = fine ? (s % 1).toFixed(1).slice(1) : "";
    return (page.duration >= 3600 ? h + ":" + two(m) : String(m + 60 * h)) + ":" + two(whole % 60) + tail;
  };

  // ---- the one axis of time ----
  const position = (s) => ORIGIN + s * 1000;
  const seconds = (value) => (typeof value === "number" ? value : Date.parse(String(value).replace(" ", "T") + "Z")) / 1000 - ORIGIN / 1000;
  const STEPS = [0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200];
  function times(width) {
    const length = view[1] - view[0];
    const most = Math.max(2, (width - LEFT - rightMargin()) / 78);
    const step = STEPS.find((s) => length / s <= most) || 14400;
    const found = [];
    // A time that lies beyond the end by less than can be seen stands at the end: sessions are 15.999 s long.
    const unseen = length / Math.max(width, 1);  // a hidden plot has no width
    for (let t = Math.ceil(view[0] / step - 1e-6) * step; t <= view[1] + unseen; t += step) found.push([Math.min(t, view[1]), clock(t, step < 1)]);
    return found;
  }
  function ticks(width) {
    const found = times(width);
    return { tickvals: found.map(([t]) => position(t)), ticktext: found.map(([, text]) => text) };
  }

  // ---- figures ----
  function fitted(plot, figure) {
    const layout = structuredClone(figure.layout);
    layout.margin.r = rightMargin();
    layout.font = { size: 0.76 * rem(), family: getComputedStyle(document.body).fontFamily };
    Object.assign(layout.xaxis, { range: view.map(position), tickmode: "array", ...ticks(widthOf(plot)) });
    if (printing) layout.width = PAPER;
    layout.dragmode = touch ? false : "zoom";
    layout.annotations = notes(plot);
    layout.hoverdistance = reach(plot);
    return layout;
  }

  // Hovering tells of the point that is there: half a step away at most, or else two lines speak of different times.
  function reach(plot) {
    const xs = (plot.calcdata || []).filter((line) => line[0].trace.hovertemplate).map((line) => line.map((p) => p.x));
    const steps = xs.flatMap((x) => x.slice(1).map((v, i) => v - x[i])).filter((d) => d > 0).sort((a, b) => a - b);
    if (!steps.length) return 20;
    const width = widthOf(plot) - LEFT - rightMargin();
    return Math.max(2, Math.ceil((steps[steps.length >> 1] / 2000 / (view[1] - view[0])) * width));
  }

  // Labels at the ends of lines stand where the lines end in the stretch that is shown.
  function notes(plot) {
    const all = structuredClone(figures.get(plot).layout.annotations || []).filter((note) => note.name !== "end" || !narrow());
    if (whole() || !plot.calcdata) return all;
    const [from, to] = view.map(position), ends = [];
    for (const note of all.filter((n) => n.name === "end" && n.yref === "y")) {
      const name = note.text.split("</span> ")[1];
      const points = plot.calcdata.filter((line) => line[0].trace.meta === name).flat()
        .filter((p) => Number.isFinite(p.y) && p.x >= from && p.x <= to);
      note.visible = points.length > 0;
      if (!points.length) continue;
      note.y = points.reduce((last, p) => (p.x > last.x ? p : last)).y;
      ends.push(note);
    }
    ends.sort((a, b) => a.y - b.y);
    for (let i = 1; i < ends.length; i += 1) ends[i].y = Math.max(ends[i].y, ends[i - 1].y + APART);
    const excess = ends.length ? Math.max(0, ends[ends.length - 1].y - 0.97) : 0;
    for (const note of ends) note.y -= excess;
    return all;
  }

  function draw(plot) {
    const figure = figures.get(plot);
    for (const trace of figure.data) {
      if (trace.mode === "markers") trace.marker.size = narrow() ? 1.4 : 2.6;
      if (trace.hovertemplate) trace.hovertemplate = narrow() ? brief(hovers.get(trace)) : hovers.get(trace);
    }
    // No buttons of the library: one of them offers to put the chart on a server.
    const config = { displayModeBar: false, displaylogo: false, responsive: false, doubleClick: false, scrollZoom: false };
    return Plotly.react(plot, figure.data, fitted(plot, figure), config);
  }

  function start(plot) {
    drawn.add(plot);
    draw(plot);
    Plotly.relayout(plot, { annotations: notes(plot), hoverdistance: reach(plot) });
    plot.on("plotly_relayout", (change) => {
      const range = change["xaxis.range"] || [change["xaxis.range[0]"], change["xaxis.range[1]"]];
      if (range[0] !== undefined && !busy) moveTo(seconds(range[0]), seconds(range[1]));
    });
    plot.on("plotly_doubleclick", () => moveTo(0, page.duration));
  }

  // ---- bands ----
  function drawBand(svg) {
    const lane = page.lanes[svg.dataset.lane];
    const width = widthOf(svg), height = svg.clientHeight;
    const left = LEFT, right = Math.max(left + 10, width - rightMargin());
    const scale = (right - left) / (view[1] - view[0]);
    const x = (tenths) => Math.min(right, Math.max(left, left + (tenths / 10 - view[0]) * scale));
    const parts = new Map();
    const add = (name, from, to, top, tall) => {
      const a = x(from), b = x(to);
      if (b <= left || a >= right) return;
      const piece = `M${a.toFixed(1)} ${top}h${Math.max(b - a, 0.4).toFixed(1)}v${tall}h${(-Math.max(b - a, 0.4)).toFixed(1)}z`;
      parts.set(name, (parts.get(name) || "") + piece);
    };
    const middle = height / 2;
    for (let i = 0; i < lane.seen.length; i += 2) add("seen", lane.seen[i], lane.seen[i + 1], middle - 1.5, 3);
    for (let i = 0; i < lane.followed.length; i += 2) add("followed", lane.followed[i], lane.followed[i + 1], middle - 3, 6);
    for (let i = 0; i < lane.events.length; i += 4) {
      const [from, to, state, percent] = lane.events.slice(i, i + 4);
      const level = LEVELS[[50, 60, 70].filter((least) => percent >= least).length];
      if (state !== 3) add("under", from, to, middle - 2, 4);
      if (state === 3) add("3/1", from, to, middle - 3, 6);
      else add(`${state}/${level}`, from, to, 2, height - 4);
    }
    for (const list of [lane.poor, lane.frozen]) {
      for (let i = 0; i < list.length; i += 2) add("unusable", list[i], list[i + 1], 2, height - 4);
    }
    svg.replaceChildren();
    const line = document.createElementNS(SVG, "path");
    line.setAttribute("d", `M${left} ${middle}H${right}`);
    line.setAttribute("stroke", "var(--grid)");
    svg.append(line);
    const order = ["followed", "seen", "under", "3/1", ...[0, 1, 2].flatMap((state) => LEVELS.map((level) => `${state}/${level}`)), "unusable"];
    const plain = { seen: "var(--uncertain)", under: "var(--paper)" };
    for (const name of order.filter((key) => parts.has(key))) {
      const [fill, opacity] = name.split("/");
      const path = document.createElementNS(SVG, "path");
      path.setAttribute("d", parts.get(name));
      path.setAttribute("fill", plain[fill] || `url(#fill-${fill})`);
      path.setAttribute("fill-opacity", opacity || 1);
      svg.append(path);
    }
  }

  function drawAxis(svg) {
    const left = LEFT, right = Math.max(left + 10, widthOf(svg) - rightMargin());
    svg.replaceChildren();
    for (const [t, label] of times(widthOf(svg))) {
      const text = document.createElementNS(SVG, "text");
      const x = left + ((t - view[0]) / (view[1] - view[0])) * (right - left);
      text.setAttribute("x", x);
      if (x + 1.6 * rem() > widthOf(svg)) text.style.textAnchor = "end";
      text.setAttribute("y", 18);
      text.textContent = label;
      svg.append(text);
    }
  }

  // ---- one stretch of time for everything ----
  let busy = false;
  function show(from, to) {
    const length = Math.min(page.duration, Math.max(shortest, to - from));
    const begin = Math.min(Math.max(0, from), page.duration - length);
    view = [begin, begin + length];
    busy = true;
    const changes = [...drawn].map((p) => {
      const { tickvals, ticktext } = ticks(widthOf(p));
      return Plotly.relayout(p, { "xaxis.range": view.map(position), "xaxis.tickvals": tickvals, "xaxis.ticktext": ticktext, annotations: notes(p), hoverdistance: reach(p) });
    });
    Promise.all(changes)
      .finally(() => { busy = false; });
    bands.forEach(drawBand);
    axes.forEach(drawAxis);
    label();
  }

  // Away from where a link led: the address forgets it, so that the same link works again.
  function moveTo(from, to) {
    show(from, to);
    if (location.hash.startsWith("#t=")) history.replaceState(null, "", location.pathname + location.search);
  }

  const whole = () => view[1] - view[0] >= page.duration - 0.05;
  function label() {
    const shown = document.querySelector(".toolbar .range");
    if (!shown) return;
    shown.textContent = (whole() ? "Whole session, " : "Shown: ") + clock(view[0]) + "–" + clock(view[1]);
    // Not "disabled", which would take the focus away from who pressed the button.
    const atEnd = {
      all: whole(), out: whole(), in: view[1] - view[0] <= shortest + 0.05,
      back: view[0] <= 0.05, on: view[1] >= page.duration - 0.05,
    };
    for (const [kind, there] of Object.entries(atEnd)) {
      document.querySelector(`[data-zoom="${kind}"]`).setAttribute("aria-disabled", String(there));
    }
    const hash = whole() ? "" : `#t=${view[0].toFixed(0)}-${view[1].toFixed(0)}`;
    for (const link of document.querySelectorAll("a.who, a[data-keeps-time]")) link.hash = hash;
  }

  function zoom(kind) {
    const [a, b] = view, middle = (a + b) / 2, half = (b - a) / 2;
    if (kind === "all") moveTo(0, page.duration);
    else if (kind === "in") moveTo(middle - half / 2, middle + half / 2);
    else if (kind === "out") moveTo(middle - half * 2, middle + half * 2);
    else moveTo(...(kind === "back" ? [a - half, b - half] : [a + half, b + half]));
  }

  function followHash(clicked) {
    const found = /^#t=(\d+)-(\d+)$/.exec(location.hash);
    if (!found) return false;
    show(Number(found[1]), Number(found[2]));
    // The first plot comes into view; the bar above it is sticky and always is.
    const first = document.querySelector("main > section"), top = first.getBoundingClientRect().top;
    if (clicked && (top < document.querySelector(".toolbar").offsetHeight || top > innerHeight * 0.7)) first.scrollIntoView();
    return true;
  }

  // ---- hovering and clicking on bands ----
  const tip = document.createElement("div");
  tip.className = "tip";
  tip.hidden = true;
  document.body.append(tip);
  const inside = (list, t, size) => {
    for (let i = 0; i < list.length; i += size) if (t >= list[i] && t < list[i + 1]) return i;
    return -1;
  };
  function point(event) {
    const svg = event.currentTarget, box = svg.getBoundingClientRect();
    const lane = page.lanes[svg.dataset.lane];
    const t = view[0] + ((event.clientX - box.left - LEFT) / (box.width - LEFT - rightMargin())) * (view[1] - view[0]);
    tip.hidden = t < view[0] || t > view[1];
    const tenths = t * 10;
    let text = "not seen";
    const at = inside(lane.events, tenths, 4);
    if (inside(lane.frozen, tenths, 2) >= 0) text = "the picture stands still: a photograph, a video that hangs?";
    else if (inside(lane.poor, tenths, 2) >= 0) text = "picture too poor to use";
    else if (at >= 0 && lane.events[at + 2] === 3) text = `uncertain: none leads clearly (highest about ${lane.events[at + 3]} %)`;
    else if (at >= 0) {
      const absent = lane.events[at + 3] < 50 ? ", but is more likely absent than present" : "";
      text = `apparent ${page.states[lane.events[at + 2]]} leads${absent}, about ${lane.events[at + 3]} %`;
    }
    else if (inside(lane.seen, tenths, 2) >= 0) text = "seen, nothing estimated";
    else if (inside(lane.followed, tenths, 2) >= 0) text = "present, but no face to read: the head was followed";
    tip.textContent = `${clock(Math.floor(t))}  ${text}`; // as the plots write a time
    tip.style.left = Math.min(event.clientX + 12, innerWidth - tip.offsetWidth - 8) + "px";
    const below = box.bottom + 6, room = innerHeight - tip.offsetHeight - 4;
    tip.style.top = (below <= room ? below : Math.max(4, box.top - tip.offsetHeight - 6)) + "px";
  }
  for (const band of bands) {
    band.addEventListener("pointermove", point);
    band.addEventListener("pointerleave", () => { tip.hidden = true; });
    const link = band.parentElement.querySelector("a.who");
    if (!link) continue;
    band.dataset.href = link.getAttribute("href");
    band.addEventListener("click", () => link.click());
  }

  // ---- begin ----
  function refit() {
    drawn.forEach(draw);
    bands.forEach(drawBand);
    axes.forEach(drawAxis);
  }
  let waiting = 0;
  addEventListener("resize", () => { clearTimeout(waiting); waiting = setTimeout(refit, 120); });
  // Without one it was the whole session: what Back returns to after a click on a moment.
  addEventListener("hashchange", () => { if (!followHash(true) && !location.hash) show(0, page.duration); });
  document.querySelectorAll('a[href^="#t="]').forEach((link) => link.addEventListener("click", () => {
    if (link.hash === location.hash) followHash(true); // no change of the address, and yet a wish to go there
  }));
  let folded = [];
  addEventListener("beforeprint", () => {
    printing = true;
    folded = [...document.querySelectorAll("details:not([open])")];
    folded.forEach((d) => { d.open = true; });
    refit();
  });
  addEventListener("afterprint", () => {
    printing = false;
    folded.forEach((d) => { d.open = false; });
    refit();
  });
  // A click selects all of what is to be copied; so does whoever comes there by the keyboard.
  document.querySelectorAll(".copy").forEach((c) => c.addEventListener("focus", () => getSelection().selectAllChildren(c)));
  document.querySelectorAll("[data-zoom]").forEach((b) => b.addEventListener("click", () => zoom(b.dataset.zoom)));

  document.querySelectorAll(".toolbar").forEach((t) => { t.hidden = false; });
  if (!followHash()) { bands.forEach(drawBand); axes.forEach(drawAxis); label(); }

  // The library is large: text and bands stand before it is read, and figures come one after another.
  const done = () => {
    // Where the library measures texts: nothing for a screen reader.
    document.getElementById("js-plotly-tester")?.setAttribute("aria-hidden", "true");
    document.documentElement.dataset.ready = "yes";
  };
  function startNext() {
    const plot = plots.find((p) => !drawn.has(p));
    if (!plot) return done();
    start(plot);
    setTimeout(startNext, 0);
  }
  const library = document.getElementById("plotly");
  library.addEventListener("load", startNext);
  library.addEventListener("error", () => {
    for (const plot of plots) {
      // In its place, not inside: a plot is a picture with a name and a height, and this is neither.
      const note = document.createElement("p");
      note.className = "empty";
      note.textContent = "The folder report_assets is missing beside these pages; copy the whole output folder.";
      plot.replaceWith(note);
    }
    done();
  });
})();
