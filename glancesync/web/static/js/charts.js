// SPDX-License-Identifier: Apache-2.0
// Pictures of something over time, drawn as SVG. What they show stands in words beside them.
import { h, svg } from "./dom.js";

const WIDTH = 560;
const HEIGHT = 170;
const LEFT = 62;
const BOTTOM = 22;
const TOP = 10;

// A number of the form 1, 2 or 5 times a power of the base that is not below the value.
function ceiling(value, base) {
  if (value <= 0) return 1;
  const power = base ** Math.floor(Math.log(value) / Math.log(base));
  const steps = base === 1024 ? [1, 2, 5, 10, 20, 50, 100, 200, 500, 1024] : [1, 2, 5, 10];
  return power * steps.find((step) => step * power >= value);
}

// values: one number or null (nothing known) for each step. format: number to text.
export function picture(caption, { values, beginsAt, stepSeconds, format, base = 10, className = "" }) {
  const known = values.filter((value) => value !== null);
  const most = ceiling(Math.max(0, ...known), base);
  const x = (index) => LEFT + ((WIDTH - LEFT - 8) * (index + 0.5)) / values.length;
  const y = (value) => TOP + (HEIGHT - TOP - BOTTOM) * (1 - value / most);
  const runs = [];
  values.forEach((value, index) => {
    if (value === null) return;
    if (!runs.length || values[index - 1] === null) runs.push([]);
    runs[runs.length - 1].push([x(index), y(value)]);
  });
  const marks = [];
  for (const run of runs) {
    const line = run.map(([left, top]) => `${left.toFixed(1)},${top.toFixed(1)}`).join(" L");
    if (run.length === 1) marks.push(svg("circle", { class: "dot", cx: run[0][0], cy: run[0][1], r: 3 }));
    else {
      marks.push(svg("path", { class: "area", d: `M${run[0][0]},${y(0)} L${line} L${run[run.length - 1][0]},${y(0)} Z` }),
        svg("path", { class: "stroke", d: `M${line}` }));
    }
  }
  const grid = [0, 0.5, 1].flatMap((part) => [
    svg("line", { class: "axis", x1: LEFT, x2: WIDTH - 8, y1: y(most * part), y2: y(most * part) }),
    svg("text", { x: LEFT - 6, y: y(most * part) + 4, "text-anchor": "end" }, format(most * part))]);
  const from = new Date(beginsAt).getTime();
  const clock = [0, 0.5, 1].map((part) => svg("text", {
    x: LEFT + (WIDTH - LEFT - 8) * part, y: HEIGHT - 5,
    "text-anchor": ["start", "middle", "end"][part * 2],
  }, new Date(from + part * values.length * stepSeconds * 1000).toLocaleTimeString([], { timeStyle: "short" })));
  const summary = known.length ? `most ${format(Math.max(...known))}` : "nothing in this time";
  return h("figure", null, h("figcaption", null, `${caption} `, h("span", { class: "soft" }, `(${summary})`)),
    svg("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "img", "aria-label": `${caption}: ${summary}`, class: className },
      grid, marks, clock));
}

// Adds up or takes the most of the points of each step. keep: whether a point counts.
export function series(history, count, { pick, keep = () => true, join, empty }) {
  const values = new Array(count).fill(empty);
  const begin = new Date(history.begins_at).getTime();
  for (const point of history.points) {
    const value = pick(point);
    if (!keep(point) || value === null) continue;
    const index = Math.round((new Date(point.at).getTime() - begin) / (history.step_seconds * 1000));
    if (index < 0 || index >= count) continue;
    values[index] = values[index] === null ? value : join(values[index], value);
  }
  return values;
}
