// SPDX-License-Identifier: Apache-2.0
import { get } from "../api.js";
import { bytes, h, name, problem, shown, time } from "../dom.js";
import { every } from "../live.js";
import { badge } from "../states.js";
import { runTable, taskButtons } from "../work.js";

export async function task(root, context) {
  const told = h("div");
  const about = h("div");
  const runs = h("div");
  root.append(h("h1", null, `Task ${context.id.slice(0, 8)}`), told, about, h("h2", null, "Runs"), runs);

  async function load() {
    const found = await get(`v1/tasks/${encodeURIComponent(context.id)}`);
    const each = found.task;
    const facts = [["State", badge(each.state)],
      ["Image", h("a", { class: "id", href: `#/images/${encodeURIComponent(each.image_id)}` }, each.image_id)],
      ["Region", name(each.region)], ["Reason", each.reason_code ? [h("code", null, shown(each.reason_code)), " ", shown(each.reason || "")] : "–"],
      ["Step", each.step || "–"], ["Bytes", each.bytes_total ? `${bytes(each.bytes_done || 0)} of ${bytes(each.bytes_total)}` : "–"],
      ["Attempts", String(each.attempts)], ["Asked by", each.trigger],
      ["Request", h("span", { class: "id" }, each.request_id ? shown(each.request_id) : "–")],
      ["Next run", each.state === "waiting" ? time(each.run_at) : "–"], ["Created", time(each.created_at)],
      ["Server", each.server ? shown(each.server) : "–"]];
    about.replaceChildren(h("dl", { class: "facts sheet" }, facts.flatMap(([term, text]) => [h("dt", null, term), h("dd", null, text)])),
      h("p", null, taskButtons(each, `task in ${shown(each.region)}`, told, load, context.may).filter(Boolean).flatMap((button) => [button, " "])));
    runs.replaceChildren(runTable("Runs of this task", found.runs, bytes));
  }

  await load();
  return every(3, () => {
    if (about.contains(document.activeElement)) return;
    load().then(() => told.replaceChildren()).catch((error) => told.replaceChildren(problem(error)));
  });
}
