// SPDX-License-Identifier: Apache-2.0
import { get, post } from "../api.js";
import { announce, bytes, h, name, problem, row, select, shown, table, time } from "../dom.js";
import { every } from "../live.js";
import { badge, TASK_STATES, word } from "../states.js";
import { reasonCell, taskButtons } from "../work.js";

const PAGE = 50;
const COLUMNS = ["Task", "Image", "Region", "State", "Reason", "Attempts", "Bytes", "Asked by", "Next run", "Changed", "Do"];
const RESTING = ["failed", "cancelled", "done"];

function textFilter(label, key, filters, reload) {
  const input = h("input", { value: filters[key], spellcheck: "false", autocapitalize: "none", on: {
    change: () => { filters[key] = input.value.trim(); reload(); },
  } });
  return h("label", null, label, input);
}

export async function tasks(root, context) {
  const filters = {};
  for (const key of ["state", "region", "reason_code", "image_id", "request_id"]) filters[key] = context.query.get(key) || "";
  let rows = [];
  let next = null;
  let turn = 0;
  const told = h("div");
  const place = h("div");
  const moreButton = h("button", { type: "button", class: "quiet", on: { click: more } }, "Load more");
  const retryAll = h("button", { type: "button", class: "quiet", on: { click: askRetry } }, "Retry all of these…");
  const confirm = h("div", { class: "note", role: "alertdialog", "aria-label": "Retry all", hidden: true });
  const regions = context.may("regions:list") ? (await get("v1/regions")).regions.filter((each) => !each.cascading) : [];
  root.append(h("h1", null, "Tasks"), h("div", { class: "bar-of-filters" },
    select("State", [["", "any"], ...TASK_STATES.map((state) => [state, word(state)])], filters.state,
      (value) => { filters.state = value; reload(); }),
    select("Region", [["", "any"], ...regions.map((each) => [each.name, shown(each.name)])], filters.region,
      (value) => { filters.region = value; reload(); }),
    textFilter("Reason code", "reason_code", filters, reload), textFilter("Image id", "image_id", filters, reload),
    textFilter("Request id", "request_id", filters, reload), context.may("tasks:retry") ? retryAll : null),
  told, confirm, place, moreButton);

  function draw() {
    retryAll.disabled = filters.state !== "" && !RESTING.includes(filters.state);
    moreButton.hidden = !next;
    place.replaceChildren(rows.length ? table("Tasks", COLUMNS, rows.map((task) => row(COLUMNS, [
      h("a", { class: "id whole", href: `#/tasks/${encodeURIComponent(task.id)}` }, task.id.slice(0, 8)),
      h("a", { class: "id whole", href: `#/images/${encodeURIComponent(task.image_id)}` }, task.image_id.slice(0, 8)),
      name(task.region), badge(task.state), reasonCell(task), String(task.attempts),
      task.bytes_total ? `${bytes(task.bytes_done || 0)} of ${bytes(task.bytes_total)}` : "–", task.trigger,
      task.state === "waiting" ? h("td", null, time(task.run_at)) : "–", h("td", null, time(task.updated_at)),
      h("td", { class: "actions" }, taskButtons(task, `${task.id.slice(0, 8)} in ${shown(task.region)}`, told, reload, context.may))],
    { "data-state": task.state }))) : h("p", { class: "soft" }, "No tasks pass this filter."));
  }

  async function reload() {
    turn += 1;
    const mine = turn;
    confirm.hidden = true;
    try {
      const page = await get("v1/tasks", { ...filters, limit: Math.max(PAGE, Math.min(rows.length, 500)) });
      if (mine !== turn) return;
      rows = page.tasks;
      next = page.next || null;
      told.replaceChildren();
      draw();
    } catch (error) {
      if (mine === turn) told.replaceChildren(problem(error));
    }
  }

  async function more() {
    const mine = turn;
    const page = await get(next);
    if (mine !== turn) return;
    rows = rows.concat(page.tasks);
    next = page.next || null;
    draw();
    announce(`${rows.length} tasks`);
  }

  function askRetry() {
    const state = filters.state || "failed";
    const yes = h("button", { type: "button", class: "small", on: { click: () => doRetry(state) } }, "Retry them");
    const no = h("button", { type: "button", class: "small quiet", on: { click: () => { confirm.hidden = true; retryAll.focus(); } } }, "Do not");
    confirm.replaceChildren(`Every task that is ${word(state)} and passes the filter above runs again, also those not shown here. `, yes, " ", no);
    confirm.hidden = false;
    yes.focus();
  }

  async function doRetry(state) {
    const body = { state };
    for (const [key, value] of Object.entries(filters)) if (value && key !== "state") body[key] = value;
    try {
      const answer = await post("v1/tasks/retry", body);
      announce(`${answer.retried} tasks run again.`);
      confirm.replaceChildren(`${answer.retried} tasks run again.`);
      retryAll.focus();
      const mine = confirm.cloneNode(true);
      await reload();
      told.replaceChildren(...mine.childNodes);
    } catch (error) {
      told.replaceChildren(problem(error));
    }
  }

  await reload();
  return every(5, () => { if (confirm.hidden && !place.contains(document.activeElement)) reload(); });
}
