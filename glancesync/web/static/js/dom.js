// SPDX-License-Identifier: Apache-2.0
// Makes elements and texts. Texts of others (names, reasons) only ever become text nodes and attribute values: nothing
// in this page parses HTML, and the Content-Security-Policy forbids it (require-trusted-types-for).

const SVG = "http://www.w3.org/2000/svg";
const LONG = 130;

function fill(node, props, children) {
  for (const [name, value] of Object.entries(props || {})) {
    if (value === null || value === undefined || value === false) continue;
    if (name === "on") for (const [event, handler] of Object.entries(value)) node.addEventListener(event, handler);
    else if (name === "width%") node.style.width = `${value}%`;
    else node.setAttribute(name, value === true ? "" : String(value));
  }
  node.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false));
  return node;
}

export function h(tag, props, ...children) {
  return fill(document.createElement(tag), props, children);
}

export function svg(tag, props, ...children) {
  return fill(document.createElementNS(SVG, tag), props, children);
}

export function announce(text) {
  document.getElementById("announcer").textContent = text;
}

// A name may steer the direction of the text around it; <bdi> keeps that to itself. What nobody sees is shown.
export function shown(text) {
  return [...String(text)].map((each) => (/[\p{C}\p{Zl}\p{Zp}]/u.test(each)
    ? `\\u{${each.codePointAt(0).toString(16)}}` : each)).join("");
}

export function name(text) {
  return h("bdi", null, shown(text));
}

// A long text begins short; who wants to reads it whole.
export function long(text) {
  const whole = shown(text);
  if (whole.length <= LONG) return whole;
  return h("details", { class: "long" }, h("summary", null, `${whole.slice(0, LONG - 20).trimEnd()}…`), whole);
}

const UNITS = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];

export function bytes(count) {
  if (count === null || count === undefined) return "–";
  let unit = 0;
  let value = count;
  while (value >= 1024 && unit < UNITS.length - 1) { value /= 1024; unit += 1; }
  return `${unit === 0 || value >= 100 ? Math.round(value) : value.toFixed(1)} ${UNITS[unit]}`;
}

export function rate(bytesPerSecond) {
  return bytesPerSecond === null || bytesPerSecond === undefined ? "–" : `${bytes(bytesPerSecond)}/s`;
}

export function duration(seconds) {
  if (seconds === null || seconds === undefined) return "–";
  if (seconds < 9.95) return `${seconds.toFixed(1)} s`;
  if (seconds < 120) return `${Math.round(seconds)} s`;
  if (seconds < 7200) return `${Math.round(seconds / 60)} min`;
  return `${Math.round(seconds / 360) / 10} h`;
}

export function time(iso) {
  if (!iso) return "–";
  const when = new Date(iso);
  const local = when.toLocaleString([], { dateStyle: "short", timeStyle: "medium" });
  return h("time", { datetime: iso, title: iso }, local);
}

export function table(caption, columns, rows) {
  return h("div", { class: "scroll" }, h("table", null,
    h("caption", { class: "unseen" }, caption),
    h("thead", null, h("tr", null, columns.map((column) => h("th", { scope: "col" }, column)))),
    h("tbody", null, rows)));
}

// A row whose cells know their columns' names, for phones.
export function row(columns, cells, props) {
  return h("tr", props, cells.map((cell, index) => {
    const isNode = cell instanceof HTMLTableCellElement;
    const node = isNode ? cell : h("td", null, cell);
    node.dataset.label = columns[index];
    return node;
  }));
}

export function option(value, text, chosen) {
  return h("option", { value, selected: value === chosen }, text);
}

export function select(label, options, chosen, onChange) {
  const field = h("select", { on: { change: () => onChange(field.value) } },
    options.map(([value, text]) => option(value, text, chosen)));
  return h("label", null, label, field);
}

export function problem(error) {
  const id = error.requestId ? ` (request ${error.requestId})` : "";
  return h("p", { class: "problem", role: "alert" }, `${error.message}${id}`);
}
