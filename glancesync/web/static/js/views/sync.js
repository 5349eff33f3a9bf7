// SPDX-License-Identifier: Apache-2.0
// First what it would do, then the same in earnest. What was not shown cannot be run.
import { get, post } from "../api.js";
import { announce, bytes, h, long, name, problem, row, shown, table } from "../dom.js";
import { badge } from "../states.js";
import { reasonCell } from "../work.js";

const PAGE = 100;
const COLUMNS = ["Image", "Region", "State", "What would be done", "Bytes", "Why"];

function planRow(plan) {
  return row(COLUMNS, [h("a", { class: "id", href: `#/images/${encodeURIComponent(plan.image_id)}` }, plan.image_id),
    name(plan.region), badge(plan.state), plan.actions.map((each) => shown(each.action)).join(", ") || "nothing",
    plan.bytes ? bytes(plan.bytes) : "–", reasonCell(plan)]);
}

export async function sync(root, context) {
  let plan = [];
  let next = null;
  let leftOut = new Map();
  let wanted = null;
  const regions = context.may("regions:list") ? (await get("v1/regions")).regions
    .filter((each) => !each.cascading && !each.gone_at) : [];
  const images = h("textarea", { rows: 3, cols: 42, spellcheck: "false", "aria-describedby": "images-help", on: { input: forget } });
  images.value = context.query.get("image") || "";
  const filter = h("input", { type: "text", size: 42, spellcheck: "false", autocomplete: "off", "aria-describedby": "filter-help", on: { input: forget } });
  const boxes = regions.map((each) => h("input", { type: "checkbox", value: each.name, on: { change: forget } }));
  const told = h("div");
  const place = h("div");
  const look = h("button", { type: "submit" }, "Show what would be done");
  const run = h("button", { type: "button", disabled: true, on: { click: doRun } }, "Sync now");
  const moreButton = h("button", { type: "button", class: "quiet", hidden: true, on: { click: more } }, "Load more of the plan");
  root.append(h("h1", null, "Sync"), h("form", { class: "sheet", on: { submit: dryRun } },
    h("label", null, "Images", images),
    h("p", { class: "soft", id: "images-help" }, "Ids of images, one a line. Without any, all images are compared."),
    h("label", null, "Filter", filter),
    h("p", { class: "soft", id: "filter-help" }, "Instead of ids: only images that meet all of these, such as visibility=public tag=web \"name=my *\" size<=1GiB property:os=linux"),
    h("fieldset", null, h("legend", null, "Regions (none ticked: all of them)"),
      h("div", { class: "checks" }, regions.map((each, index) => h("label", null, boxes[index], " ", name(each.name))))),
    h("p", null, look, " ", run)), told, place, moreButton);

  function asked() {
    const ids = images.value.split(/[\s,]+/).filter(Boolean);
    const chosen = boxes.filter((box) => box.checked).map((box) => box.value);
    const rule = filter.value.trim();
    return { ...(ids.length ? { image_ids: [...new Set(ids)] } : {}), ...(rule ? { filter: rule } : {}), ...(chosen.length ? { regions: chosen } : {}) };
  }

  function forget() {
    if (!wanted) return;
    wanted = null;
    run.disabled = true;
    place.replaceChildren(h("p", { class: "soft" }, "The choice has changed: look again at what would be done."));
    moreButton.hidden = true;
  }

  function learn(answer) {
    for (const each of answer.left_out || []) leftOut.set(each.region, each.reason);
  }

  function draw() {
    const toDo = plan.filter((each) => each.actions.length);
    const total = toDo.reduce((at, each) => at + each.bytes, 0);
    const text = toDo.length ? `${toDo.length} of ${plan.length} pairs of image and region would change; ${total ? bytes(total) : "no bytes"} would be copied${next ? ", and there is more" : ""}.`
      : `Nothing would change${next ? " so far; there is more" : ""}.`;
    place.replaceChildren(h("div", null, h("h2", { tabindex: "-1", id: "plan" }, "The plan"),
      h("p", { role: "status" }, text),
      [...leftOut].map(([region, reason]) => h("div", { class: "problem" }, name(region),
        " could not be compared to its end and may differ: ", long(reason))), plan.length ? table("The plan", COLUMNS, plan.map(planRow)) : null));
    moreButton.hidden = !next;
    announce(text);
  }

  async function guarded(button, work) {
    button.disabled = true;
    told.replaceChildren();
    try {
      await work();
    } catch (error) {
      told.replaceChildren(problem(error));
    } finally {
      button.disabled = button === run ? !wanted : false;
    }
  }

  function dryRun(event) {
    event.preventDefault();
    const body = asked();
    place.replaceChildren(h("p", { class: "soft", role: "status" }, "Comparing…"));
    guarded(look, async () => {
      const answer = await post("v1/sync", { ...body, dry_run: true }, body.image_ids ? {} : { limit: PAGE });
      plan = answer.plan;
      leftOut = new Map();
      learn(answer);
      next = answer.next || null;
      wanted = body;
      run.disabled = false;
      draw();
      document.getElementById("plan").focus();
    }).then(() => { if (!wanted) place.replaceChildren(); });
  }

  function more() {
    guarded(moreButton, async () => {
      const answer = await post(next, { ...wanted, dry_run: true });
      plan = plan.concat(answer.plan);
      learn(answer);
      next = answer.next || null;
      draw();
    });
  }

  function doRun() {
    guarded(run, async () => {
      const answer = await post("v1/sync", wanted);
      wanted = null;
      const text = `${answer.tasks.length} tasks were started.`;
      place.replaceChildren(h("p", { class: "note", role: "status" }, text, " ", h("a", { href: "#/tasks" }, "Follow them"), " or watch the ", h("a", { href: "#/images" }, "images"), "."));
      moreButton.hidden = true;
      announce(text);
    });
  }

  return () => {};
}
