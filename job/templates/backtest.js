(() => {
  const dark = matchMedia("(prefers-color-scheme: dark)").matches;
  // Okabe and Ito's colours, which tell apart for everyone, and dashes for those who see none of them.
  const hues = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", dark ? "#f0e442" : "#6b6b00"];
  const dashes = [[], [8, 3], [2, 2], [8, 3, 2, 3], [4, 4], [12, 4], [1, 3]];

  function draw(chart) {
    const figure = document.createElement("figure");
    const caption = document.createElement("figcaption");
    caption.textContent = chart.name;
    const place = document.createElement("div");
    place.setAttribute("role", "img");
    place.setAttribute("aria-label", chart.name + ", by size, for each of the detectors; the table below says the same in numbers.");
    figure.append(caption, place);
    document.getElementById("charts").append(figure);
    const names = data.sizes.map((size) => size + "x");
    const plot = Bokeh.Plotting.figure({
      height: 240, sizing_mode: "stretch_width", tools: "save", x_axis_label: data.sizing, y_axis_label: "%",
      x_range: new Bokeh.FactorRange({ factors: names }), y_range: new Bokeh.Range1d({ start: -3, end: 103 }),
    });
    chart.shares.forEach((shares, number) => {
      const hue = hues[number % hues.length];
      const y = shares.map((share) => (share === null ? NaN : 100 * share));
      const source = new Bokeh.ColumnDataSource({ data: { x: names, y, of: chart.counts[number], name: names.map(() => data.detectors[number]) } });
      plot.line({ x: { field: "x" }, y: { field: "y" }, source, line_color: hue, line_width: 2, line_dash: dashes[number % dashes.length] });
      const dots = plot.scatter({ x: { field: "x" }, y: { field: "y" }, source, size: 6, fill_color: hue, line_color: null });
      plot.add_tools(new Bokeh.HoverTool({ renderers: [dots], tooltips: [["", "@name"], [chart.name, "@y{0} % of @of at @x"]] }));
    });
    dress(plot);
    Promise.resolve(Bokeh.Plotting.show(plot, place)).then(() => passed(place));
    place.plot = plot;
  }

  function key() {
    data.detectors.forEach((name, number) => {
      const item = document.createElement("li");
      const hue = hues[number % hues.length];
      item.innerHTML = '<svg viewBox="0 0 28 10" aria-hidden="true"><line x1="0" y1="5" x2="28" y2="5" stroke-width="3"/></svg>';
      const line = item.querySelector("line");
      line.setAttribute("stroke", hue);
      line.setAttribute("stroke-dasharray", dashes[number % dashes.length].join(" "));
      item.append(name);
      document.getElementById("key").append(item);
    });
  }

  if (window.Bokeh && document.getElementById("charts")) {
    key();
    data.charts.forEach(draw);
  }
})();
