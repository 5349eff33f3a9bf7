// SPDX-License-Identifier: Apache-2.0
// Buttons that ask the server for something about a task, and tables of runs. Used by several views.
import { post } from "./api.js";
import { announce, duration, h, long, problem, row, shown, table, time } from "./dom.js";
import { badge } from "./states.js";

// `told` is where an error is shown, `done` is called after it went well.
export function taskButton(text, about, path, told, done) {
  const button = h("button", { type: "button", class: "small quiet", "aria-label": `${text} ${about}`, on: { click: act } }, text);
  async function act() {
    button.disabled = true;
    try {
      await post(path, {});
      told.replaceChildren();
      announce(`${text} ${about}: asked for.`);
      await done();
    } catch (error) {
      told.replaceChildren(problem(error));
    } finally {
      button.disabled = false;
    }
  }
  return button;
}

export function taskButtons(task, about, told, done, may) {
  const path = `v1/tasks/${encodeURIComponent(task.id)}`;
  const live = task.state === "waiting" || task.state === "running";
  return [
    may("tasks:retry") && task.state !== "running" ? taskButton("Retry", about, `${path}/retry`, told, done) : null,
    may("tasks:cancel") && live ? taskButton("Cancel", about, `${path}/cancel`, told, done) : null];
}

const RUN_COLUMNS = ["Ended", "Outcome", "Reason", "Attempt", "Took", "Bytes", "Asked by", "Request", "Server"];

export function runTable(caption, runs, bytes) {
  if (!runs.length) return h("p", { class: "soft" }, "No run has ended yet, or its history was forgotten.");
  return table(caption, RUN_COLUMNS, runs.map((run) => row(RUN_COLUMNS, [
    time(run.finished_at), badge(run.outcome), reasonCell(run), String(run.attempt),
    h("td", { class: "short" }, duration((new Date(run.finished_at) - new Date(run.started_at)) / 1000)),
    h("td", { class: "short" }, bytes(run.bytes_moved)), run.trigger,
    h("span", { class: "id" }, run.request_id ? shown(run.request_id) : "–"), run.server ? shown(run.server) : "–"])));
}

export function reasonCell(thing) {
  if (!thing.reason_code) return h("td", { class: "reason" }, "–");
  return h("td", { class: "reason" }, h("code", null, shown(thing.reason_code)),
    thing.reason ? h("div", null, long(thing.reason)) : null);
}
