(() => {
  const hues = { critical: "critical", high: "high", medium: "medium", low: "low", muted: "dim" };

  // Bokeh's own tools are the mouse's; these are the keyboard's.
  function buttons(plot, name, start, end) {
    const bar = document.createElement("div");
    bar.className = "zoom";
    bar.setAttribute("role", "group");
    bar.setAttribute("aria-label", "Time shown of " + name);
    const range = plot.x_range;
    const to = (a, b) => { const w = Math.min(b - a, end - start); const s = Math.max(start, Math.min(a, end - w)); range.setv({ start: s, end: s + w }); };
    const moves = {
      "zoom in": () => { const w = range.end - range.start; to(range.start + w / 4, range.end - w / 4); },
      "zoom out": () => { const w = range.end - range.start; to(range.start - w / 2, range.end + w / 2); },
      "earlier": () => { const w = (range.end - range.start) / 3; to(range.start - w, range.end - w); },
      "later": () => { const w = (range.end - range.start) / 3; to(range.start + w, range.end + w); },
      "whole": () => to(start, end),
    };
    for (const [words, move] of Object.entries(moves)) {
      const button = document.createElement("button");
      button.type = "button";
      button.textContent = words;
      button.addEventListener("click", move);
      bar.append(button);
    }
    return bar;
  }

  // Traffic is drawn from nothing up, with room to see a line at nothing, unless it stays far above.
  function upright(chart) {
    const seen = [...chart.value, ...chart.lower, ...chart.upper].filter((v) => v !== null);
    const [low, high] = [Math.min(...seen), Math.max(...seen)];
    return new Bokeh.DataRange1d(low >= 0 && low < high / 2 ? { start: -0.05 * high } : {});
  }

  function draw(figure) {
    if (figure.dataset.drawn) return;
    figure.dataset.drawn = "1";
    const chart = data.charts.find((c) => c.id === figure.dataset.chart);
    const place = figure.querySelector(".plot");
    const nan = (row) => row.map((v) => (v === null ? NaN : v));
    const x = chart.value.map((_, n) => chart.start + (n + 0.5) * chart.step);
    const end = chart.start + chart.value.length * chart.step;
    const source = new Bokeh.ColumnDataSource({ data: { x, value: nan(chart.value), expected: nan(chart.expected), lower: nan(chart.lower), upper: nan(chart.upper) } });
    const plot = Bokeh.Plotting.figure({
      height: 220, sizing_mode: "stretch_width", x_axis_type: "datetime",
      x_range: new Bokeh.Range1d({ start: chart.start, end, bounds: [chart.start, end] }), y_range: upright(chart),
      tools: "pan,xwheel_zoom,xbox_zoom,reset,save", y_axis_label: chart.unit, x_axis_label: "UTC",
    });
    const item = figure.closest(".incident");
    const [from, to] = [Date.parse(item.querySelector("time").dateTime), +item.dataset.end]; // the day's others are paler
    for (const [left, right, words] of chart.events.filter(([left, right]) => right > chart.start && left < end)) {
      const mine = left < to && right > from;
      plot.add_layout(new Bokeh.BoxAnnotation({ left, right, fill_color: colour("critical"), fill_alpha: mine ? 0.18 : 0.06, line_color: null }));
      if (mine) plot.add_layout(new Bokeh.Span({ location: left, dimension: "height", line_color: colour("critical"), line_width: 1.5 }));
      if (words) plot.add_layout(new Bokeh.Label({ x: Math.max(left, chart.start), y: 1, y_units: "screen", x_offset: 3, text: words, text_color: colour("ink"), text_font_size: "12px" }));
    }
    plot.varea({ x: { field: "x" }, y1: { field: "lower" }, y2: { field: "upper" }, source, fill_color: colour("link"), fill_alpha: 0.2, legend_label: "usual" });
    plot.line({ x: { field: "x" }, y: { field: "expected" }, source, line_color: colour("link"), line_dash: "dashed", legend_label: "expected" });
    const alone = chart.value.flatMap((v, n, row) => (v !== null && (row[n - 1] ?? null) === null && (row[n + 1] ?? null) === null ? [n] : []));
    plot.scatter(alone.map((n) => x[n]), alone.map((n) => chart.value[n]), { size: 3, color: colour("trace") }); // of which a line shows nothing
    const line = plot.line({ x: { field: "x" }, y: { field: "value" }, source, line_color: colour("trace"), line_width: 1.5, legend_label: "observed" });
    plot.add_tools(new Bokeh.HoverTool({
      renderers: [line], mode: "vline",
      tooltips: [["time", "@x{%F %H:%M}"], ["observed", "@value " + chart.unit], ["expected", "@expected (@lower to @upper)"]],
      formatters: { "@x": "datetime" },
    }));
    const legend = plot.legend;
    legend.setv({ orientation: "horizontal", background_fill_color: null, border_line_color: null, label_text_color: colour("ink"), padding: 2, margin: 2 });
    plot.center = plot.center.filter((part) => part !== legend);
    plot.add_layout(legend, "above"); // not over the line it explains
    dress(plot);
    place.setAttribute("role", "img");
    place.setAttribute("aria-label", chart.name + ": observed, expected and usual band over the day; the words above say what happened.");
    Promise.resolve(Bokeh.Plotting.show(plot, place)).then(() => { passed(place); figure.dataset.ready = "1"; }); // what is not is not printed
    figure.append(buttons(plot, chart.name, chart.start, end));
    figure.plot = plot;
  }

  function timeline() {
    const place = document.getElementById("timeline");
    if (!place || !data.bars.length) return;
    const bars = data.bars;
    const first = Math.min(data.since, ...bars.map((b) => b.start));
    const last = Math.max(data.until, ...bars.map((b) => b.end));
    const narrow = place.clientWidth < 600; // a phone has room for their numbers in the list below
    const names = bars.map((b, n) => (narrow ? n + 1 + "." : b.name));
    const plot = Bokeh.Plotting.figure({
      height: 70 + 16 * bars.length, sizing_mode: "stretch_width", x_axis_type: "datetime", x_axis_label: "UTC",
      x_range: new Bokeh.Range1d({ start: first, end: last }), y_range: new Bokeh.FactorRange({ factors: [...names].reverse() }),
      tools: "xpan,xwheel_zoom,xbox_zoom,reset",
    });
    const source = new Bokeh.ColumnDataSource({ data: {
      y: names, name: bars.map((b) => b.name), left: bars.map((b) => b.start), right: bars.map((b) => Math.max(b.end, b.start + (last - first) / 400)),
      fill: bars.map((b) => colour(hues[b.band])), start: bars.map((b) => b.start), end: bars.map((b) => b.end),
    } });
    const drawn = plot.hbar({ y: { field: "y" }, left: { field: "left" }, right: { field: "right" }, height: 0.7, source, fill_color: { field: "fill" }, line_color: null });
    plot.add_tools(new Bokeh.HoverTool({ renderers: [drawn], tooltips: [["", "@name"], ["from", "@start{%F %H:%M}"], ["to", "@end{%F %H:%M}"]], formatters: { "@start": "datetime", "@end": "datetime" } }));
    if (narrow) for (const axis of plot.xaxis) axis.ticker.setv({ desired_num_ticks: 3 });
    dress(plot);
    plot.on_event("tap", (event) => {
      const bar = bars[bars.length - 1 - Math.floor(event.y)];
      if (bar) location.hash = bar.id;
    });
    Promise.resolve(Bokeh.Plotting.show(plot, place)).then(() => passed(place));
    place.plot = plot;
  }

  // An address that ends in an incident's id opens it, whatever is filtered.
  function follow() {
    const item = document.getElementById(location.hash.slice(1));
    if (!item || !item.classList.contains("incident")) return;
    if (item.hidden) document.getElementById("filters").reset();
    item.hidden = false;
    item.firstElementChild.open = true;
    item.scrollIntoView();
  }

  function filters() {
    const form = document.getElementById("filters");
    if (!form) return;
    const items = [...document.querySelectorAll(".incident")];
    const apply = () => {
      const { severity, nature, state, text, muted } = form.elements;
      const words = text.value.toLowerCase().split(/\s+/).filter(Boolean);
      let shown = 0;
      for (const item of items) {
        const d = item.dataset;
        const fits = +d.severity >= +severity.value && (!nature.value || d.nature === nature.value) && (!state.value || d.state === state.value)
          && (!muted || muted.checked || d.muted === "0") && words.every((w) => d.text.includes(w));
        item.hidden = !fits;
        shown += fits;
      }
      document.getElementById("shown").value = shown + " of " + items.length + " shown";
    };
    form.addEventListener("input", apply);
    form.addEventListener("submit", (event) => event.preventDefault());
    form.addEventListener("reset", () => setTimeout(apply));
    apply();
  }

  function charts() {
    const open = (details) => details.querySelectorAll(":scope > figure").forEach(draw);
    for (const details of document.querySelectorAll(".incident > details")) {
      details.addEventListener("toggle", () => { if (details.open) open(details); });
      if (details.open) open(details);
    }
    window.addEventListener("beforeprint", () => [...document.querySelectorAll(".incident:not([hidden])")].slice(0, 10).forEach((item) => { item.firstElementChild.open = true; }));
  }

  // A page says when; only who opens it knows how long ago that is, and on which clock.
  function ago() {
    for (const time of document.querySelectorAll("time")) {
      const minutes = Math.floor((Date.now() - Date.parse(time.dateTime)) / 60000);
      time.title = new Date(time.dateTime).toString();
      if (minutes < 0) continue;
      const [hours, days] = [Math.floor(minutes / 60), Math.floor(minutes / 1440)];
      time.after(` (${days > 1 ? `${days} days` : hours ? `${hours}h${minutes % 60 ? `${minutes % 60}m` : ""}` : `${minutes}m`} ago)`);
    }
  }

  ago();
  filters();
  if (window.Bokeh) { timeline(); charts(); }
  window.addEventListener("hashchange", follow);
  follow();
})();
