// SPDX-License-Identifier: Apache-2.0
// A grid of any number of rows of which only those in sight exist. Arrow keys move in it, Enter opens a row.
import { h, name, shown } from "./dom.js";

const OVERSCAN = 8;

export class Grid {
  #rows = [];
  #columns = [];
  #nodes = new Map();
  #spare = [];
  #at = { row: 0, column: 0 };
  #frame = 0;

  // renderHead(column) makes what a column's name begins with; renderName(row, cell), renderCell(row, column, cell)
  // fill a cell; key(row) tells rows apart; onEnd asks for more.
  constructor({ label, firstColumn, renderHead, renderName, renderCell, key, open, onEnd }) {
    Object.assign(this, { firstColumn, renderHead, renderName, renderCell, key, open, onEnd });
    this.head = h("div", { class: "head", role: "row", "aria-rowindex": "1" });
    this.body = h("div", { class: "body", role: "rowgroup" });
    this.node = h("div", { class: "grid", role: "grid", "aria-label": label, "aria-readonly": "true", on: {
      scroll: () => this.#later(), keydown: (event) => this.#onKey(event), focusin: (event) => this.#onFocus(event),
      click: (event) => this.#onClick(event),
    } }, h("div", { role: "rowgroup" }, this.head), this.body);
    this.node.firstChild.style.display = "contents";
    this.resizes = new ResizeObserver(() => this.#later());
    this.resizes.observe(this.node);
  }

  get rowHeight() {
    return this.head.offsetHeight || 36;
  }

  get firstInSight() {
    return Math.max(0, Math.min(this.#rows.length - 1, Math.floor(this.node.scrollTop / this.rowHeight)));
  }

  setColumns(columns) {
    if (columns.join("\n") === this.#columns.join("\n") && this.head.firstChild) return;
    this.#columns = columns;
    this.drawHead();
    this.node.setAttribute("aria-colcount", columns.length + 1);
    this.node.style.setProperty("--columns", columns.length);
    for (const node of [...this.#nodes.values()]) node.remove();
    this.#nodes.clear();
    this.#spare = [];
    this.draw();
  }

  drawHead() {
    this.head.replaceChildren(...[this.firstColumn, ...this.#columns].map((text, index) => h("div", {
      role: "columnheader", class: index ? null : "name", "aria-colindex": index + 1, title: shown(text),
    }, index ? this.renderHead(text) : null, h("span", null, name(text)))));
  }

  setRows(rows, complete) {
    this.#rows = rows;
    this.node.setAttribute("aria-rowcount", complete ? rows.length + 1 : -1);
    this.body.style.height = `${rows.length * this.rowHeight}px`;
    this.#at.row = Math.max(0, Math.min(this.#at.row, rows.length - 1));
    for (const node of this.#nodes.values()) node.rendered = null;
    this.draw();
  }

  // A row has other contents now; drawn only where it is in sight.
  update(row) {
    for (const node of this.#nodes.values()) {
      if (node.rendered && this.key(node.rendered) === this.key(row)) { node.rendered = null; this.#render(node, row); }
    }
  }

  dispose() {
    cancelAnimationFrame(this.#frame);
    this.resizes.disconnect();
  }

  draw() {
    const height = this.rowHeight;
    const first = Math.max(0, Math.floor(this.node.scrollTop / height) - OVERSCAN);
    const last = Math.min(this.#rows.length,
      Math.ceil((this.node.scrollTop + this.node.clientHeight) / height) + OVERSCAN);
    const focused = document.activeElement && this.body.contains(document.activeElement);
    for (const [index, node] of this.#nodes) {
      const keep = index >= first && index < last;
      if (keep || (focused && index === this.#at.row && index < this.#rows.length)) continue;
      this.#nodes.delete(index);
      this.#spare.push(node);
    }
    for (let index = first; index < last; index += 1) {
      if (!this.#nodes.has(index)) this.#place(index, height);
      const node = this.#nodes.get(index);
      if (node.rendered !== this.#rows[index]) this.#render(node, this.#rows[index]);
    }
    for (const node of this.#spare) if (node.isConnected && this.#spare.length > 30) node.remove();
    this.#spare.forEach((node) => { node.hidden = true; });
    this.#markActive();
    if (last >= this.#rows.length - OVERSCAN) this.onEnd();
  }

  #later() {
    if (this.#frame) return;
    this.#frame = requestAnimationFrame(() => { this.#frame = 0; this.draw(); });
  }

  #place(index, height) {
    const node = this.#spare.pop() || this.#make();
    node.hidden = false;
    node.rendered = null;
    node.index = index;
    node.setAttribute("aria-rowindex", index + 2);
    node.style.transform = `translateY(${index * height}px)`;
    if (!node.isConnected) this.body.append(node);
    this.#nodes.set(index, node);
  }

  #make() {
    return h("div", { role: "row" },
      h("div", { role: "rowheader", class: "name", "aria-colindex": "1", tabindex: "-1" }),
      this.#columns.map((_name, index) => h("div", { role: "gridcell", "aria-colindex": index + 2, tabindex: "-1" })));
  }

  #render(node, row) {
    node.rendered = row;
    this.renderName(row, node.children[0]);
    this.#columns.forEach((column, index) => this.renderCell(row, column, node.children[index + 1]));
  }

  #cell(at) {
    const node = this.#nodes.get(at.row);
    return node ? node.children[at.column] : null;
  }

  #markActive() {
    const before = this.body.querySelector('[tabindex="0"]');
    const now = this.#cell(this.#at);
    if (before && before !== now) before.tabIndex = -1;
    if (now) now.tabIndex = 0;
    else if (this.#nodes.size && !this.body.querySelector('[tabindex="0"]')) {
      // Scrolled away by hand: Tab enters at the first row in sight.
      this.#at = { row: Math.min(...this.#nodes.keys()), column: 0 };
      this.#cell(this.#at).tabIndex = 0;
    }
  }

  #onFocus(event) {
    const cell = event.target.closest('[role="gridcell"], [role="rowheader"]');
    if (!cell) return;
    this.#at = { row: cell.parentNode.index, column: [...cell.parentNode.children].indexOf(cell) };
    this.#markActive();
  }

  #onClick(event) {
    const row = event.target.closest(".body [role=row]");
    if (row && !event.target.closest("a")) this.open(row.rendered);
  }

  #onKey(event) {
    if (event.altKey || event.metaKey) return;
    const page = Math.max(1, Math.floor(this.node.clientHeight / this.rowHeight) - 2);
    const last = this.#rows.length - 1;
    const { row, column } = this.#at;
    const moves = {
      ArrowUp: [row - 1, column], ArrowDown: [row + 1, column], ArrowLeft: [row, column - 1],
      ArrowRight: [row, column + 1], PageUp: [row - page, column], PageDown: [row + page, column],
      Home: [event.ctrlKey ? 0 : row, 0], End: [event.ctrlKey ? last : row, this.#columns.length],
    };
    if (event.key === "Enter" && this.#rows[row]) { event.preventDefault(); this.open(this.#rows[row]); return; }
    const to = moves[event.key];
    if (!to) return;
    event.preventDefault();
    this.#at = { row: Math.max(0, Math.min(last, to[0])), column: Math.max(0, Math.min(this.#columns.length, to[1])) };
    this.#reveal();
  }

  #reveal() {
    const height = this.rowHeight;
    const top = this.#at.row * height;
    const view = this.node.clientHeight - height;
    if (top < this.node.scrollTop) this.node.scrollTop = top;
    else if (top + height > this.node.scrollTop + view) this.node.scrollTop = top + height - view;
    this.draw();
    const cell = this.#cell(this.#at);
    if (!cell) return;
    cell.focus({ preventScroll: true });
    if (this.#at.column === 0) { this.node.scrollLeft = 0; return; }
    const name = cell.parentNode.children[0].offsetWidth;
    const left = cell.offsetLeft;
    if (left - name < this.node.scrollLeft) this.node.scrollLeft = left - name;
    else if (left + cell.offsetWidth > this.node.scrollLeft + this.node.clientWidth) {
      this.node.scrollLeft = left + cell.offsetWidth - this.node.clientWidth;
    }
  }
}
