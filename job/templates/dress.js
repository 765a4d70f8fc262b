"use strict";
// What every page of ours that draws begins with.
const data = JSON.parse(document.getElementById("data").textContent);
const style = getComputedStyle(document.documentElement);
const colour = (name) => style.getPropertyValue("--" + name).trim();

function dress(plot) {
  plot.background_fill_color = null;
  plot.border_fill_color = null;
  plot.outline_line_color = colour("line");
  for (const axis of [...plot.below, ...plot.left]) {
    for (const part of ["axis_label_text_color", "major_label_text_color", "axis_line_color", "major_tick_line_color", "minor_tick_line_color"]) axis[part] = colour("dim");
  }
  for (const axis of plot.below) {
    // A day and a month that nobody takes for each other, and hours as clocks have them.
    if (axis.formatter.type === "DatetimeTickFormatter") axis.formatter.setv({ months: "%b %Y", days: "%d %b", hours: "%H:%M", hourmin: "%H:%M", minutes: "%H:%M", minsec: "%H:%M:%S", seconds: "%H:%M:%S" });
  }
  for (const grid of plot.center) if ("grid_line_color" in grid) grid.grid_line_color = colour("line");
  plot.toolbar.logo = null;
  if (matchMedia("(pointer: coarse)").matches) plot.toolbar.active_drag = null; // a finger on it scrolls the page
}

// What only a mouse can use is no stop for the keyboard: six of Bokeh's in each chart stood between its buttons.
function passed(place) {
  for (const part of place.querySelectorAll("*")) {
    if (part.tabIndex >= 0) part.tabIndex = -1;
    if (part.shadowRoot) passed(part.shadowRoot);
  }
}
