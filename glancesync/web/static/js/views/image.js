// SPDX-License-Identifier: Apache-2.0
import { get } from "../api.js";
import { bytes, duration, h, name, problem, rate, row, shown, table, time } from "../dom.js";
import { every } from "../live.js";
import { badge, percent } from "../states.js";
import { reasonCell, runTable, taskButtons } from "../work.js";

const COLUMNS = ["Region", "State", "Reason", "Attempts", "Lag", "Rate", "Verified", "Replica", "Do"];

function progress(replica) {
  const part = percent(replica);
  if (part === null) return badge(replica.state);
  return [badge(replica.state), " ", h("progress", { max: 100, value: part, "aria-label": `Progress in ${replica.region}` }),
    ` ${part} % of ${bytes(replica.bytes_total)}`];
}

function copyOf(replica) {
  if (!replica.replica_id) return "–";
  return [h("span", { class: "id" }, replica.replica_id), replica.id_reason ? ` (${replica.id_reason})` : null,
    replica.digest ? h("details", null, h("summary", null, replica.digest.algorithm),
      h("span", { class: "id" }, replica.digest.value)) : null];
}

function facts(image) {
  const told = [["Id", h("span", { class: "id" }, image.id)], ["Owner", image.owner ? shown(image.owner) : "–"],
    ["Status", image.status || "–"], ["Visibility", image.visibility || "–"], ["Size", bytes(image.size)],
    ["Changed", time(image.updated_at)]];
  if (image.removed_at) told.push(["Removed", time(image.removed_at)]);
  return h("dl", { class: "facts sheet" }, told.flatMap(([term, text]) => [h("dt", null, term), h("dd", null, text)]));
}

export async function image(root, context) {
  const told = h("div");
  const title = h("h1", { tabindex: "-1" }, "Image");
  const about = h("div");
  const regions = h("div");
  const runs = h("div");
  const path = `v1/images/${encodeURIComponent(context.id)}`;
  root.append(title, told, about,
    h("p", null, context.may("sync:submit") ? h("a", { href: `#/sync?image=${encodeURIComponent(context.id)}` },
      "Sync this image…") : null),
    h("h2", null, "Regions"), regions, h("h2", null, "Attempts"), runs);

  function draw(found) {
    title.replaceChildren(name(found.name || found.id));
    about.replaceChildren(facts(found));
    regions.replaceChildren(table("The image in each region", COLUMNS, found.regions.map((replica) => {
      const task = { id: replica.task_id, state: replica.next_try_at ? "waiting" : replica.state === "copying" ? "running" : "" };
      return row(COLUMNS, [
        name(replica.region), h("td", null, progress(replica)), reasonCell(replica),
        h("td", null, String(replica.attempts), replica.next_try_at ? [h("br"), "next: ", time(replica.next_try_at)] : null),
        h("td", { class: "short" }, duration(replica.lag_seconds)),
        h("td", { class: "short" }, rate(replica.rate_bytes_per_second)),
        h("td", { class: "short" }, time(replica.verified_at)),
        h("td", null, copyOf(replica)),
        h("td", { class: "actions" }, replica.task_id ? taskButtons(task, `in ${shown(replica.region)}`, told, load, context.may) : null),
      ], { "data-region": replica.region, "data-state": replica.state });
    })));
  }

  async function loadRuns(found) {
    const ids = found.regions.filter((replica) => replica.task_id).map((replica) => [replica.region, replica.task_id]);
    const answers = await Promise.all(ids.map(([, id]) => get(`v1/tasks/${encodeURIComponent(id)}`).catch(() => null)));
    const told = answers.map((answer, index) => [ids[index][0], answer]).filter(([, answer]) => answer && answer.runs.length);
    runs.replaceChildren(...told.map(([region, answer]) => h("details", { open: told.length < 4 },
      h("summary", null, name(region), ` (${answer.runs.length})`),
      runTable(`Attempts in ${shown(region)}`, answer.runs, bytes))));
    if (!told.length) runs.append(h("p", { class: "soft" }, "No attempt has ended yet, or their history was forgotten."));
  }

  async function load() {
    const found = (await get(path)).image;
    draw(found);
    return found;
  }

  const onImages = (event) => {
    const mine = event.detail.find((each) => each.id === context.id);
    if (!mine) return;
    const focused = root.contains(document.activeElement) && document.activeElement.closest("table");
    if (!focused) draw(mine);
    if (!mine.regions.some((replica) => replica.state === "copying")) loadRuns(mine);
  };
  context.live.addEventListener("images", onImages);
  await loadRuns(await load());
  const end = every(10, () => {
    if (document.activeElement && document.activeElement.closest("table")) return;
    load().then(() => told.replaceChildren()).catch((error) => told.replaceChildren(problem(error)));
  });
  return () => { context.live.removeEventListener("images", onImages); end(); };
}
