// SPDX-License-Identifier: Apache-2.0
import { get } from "../api.js";
import { announce, h, name, problem, select, shown } from "../dom.js";
import { Grid } from "../grid.js";
import { every } from "../live.js";
import { frozenMark, kind, percent, REPLICA_STATES, sign, whyFrozen, word } from "../states.js";

const PAGE = 100;
const IN_SIGHT = 60;
const STATES = [["", "any state"], ...REPLICA_STATES.map((state) => [state, word(state)])];
const SORTS = [["updated_at:desc", "last change"], ["name:asc", "name"], ["size:desc", "size"], ["id:asc", "id"]];

function fillName(image, cell) {
  const text = image.name || image.id;
  let link = cell.firstChild;
  if (!link) { link = h("a", { tabindex: "-1" }); cell.append(link); }
  link.href = `#/images/${encodeURIComponent(image.id)}`;
  link.title = shown(text);
  link.replaceChildren(name(text));
}

// The parts of a cell are made once and changed, which costs a tenth of making them anew while one scrolls.
function fillCell(image, region, cell) {
  const replica = image.byRegion.get(region);
  if (!replica) {
    cell.replaceChildren(h("span", { class: "nothing", "aria-hidden": "true" }, "–"));
    cell.setAttribute("aria-label", `${region}: not there`);
    cell.title = "";
    cell.parts = null;
    return;
  }
  const part = percent(replica);
  const text = part === null ? word(replica.state) : `${part} %`;
  if (!cell.parts) {
    const filling = h("span", { class: "fill" });
    const mark = h("span", { "aria-hidden": "true" });
    const label = h("span", { class: "text" });
    const badge = h("span", { class: "state" }, filling, mark, label);
    cell.replaceChildren(badge);
    cell.parts = { filling, mark, label, badge };
  }
  const { filling, mark, label, badge } = cell.parts;
  badge.className = `state ${kind(replica.state)}`;
  filling.style.width = part === null ? "0" : `${part}%`;
  mark.textContent = sign(replica.state);
  label.textContent = text;
  cell.setAttribute("aria-label", `${region}: ${word(replica.state)}${part === null ? "" : `, ${part} %`}`);
  cell.title = replica.reason ? shown(replica.reason) : "";
}

function isDeleted(image) {
  return image.regions.every((replica) => replica.state === "deleted");
}

function ready(image) {
  image.byRegion = new Map(image.regions.map((replica) => [replica.region, replica]));
  return image;
}

export async function images(root, context) {
  const filters = { state: context.query.get("state") || "", region: context.query.get("region") || "", sort: SORTS[0][0],
    deleted: false };
  let rows = [];
  let index = new Map();
  let next = null;
  let loading = false;
  let turn = 0;
  const regions = new Set();
  let cold = new Map();
  let drawn = null;
  const told = h("div");
  const frozen = h("div");
  const count = h("p", { class: "soft", role: "status" });
  const regionFilter = h("div");
  const deleted = h("input", { type: "checkbox", on: { change: () => { filters.deleted = deleted.checked; reload(); } } });
  const grid = new Grid({
    label: "Images and regions", firstColumn: "Image", renderHead: (region) => frozenMark(cold.get(region)),
    renderName: fillName, renderCell: fillCell,
    key: (image) => image.id, open: (image) => { location.hash = `#/images/${encodeURIComponent(image.id)}`; },
    onEnd: () => more(),
  });
  root.append(h("h1", null, "Images"), h("div", { class: "bar-of-filters" },
    select("State", STATES, filters.state, (value) => { filters.state = value; reload(); }), regionFilter,
    select("Order", SORTS, filters.sort, (value) => { filters.sort = value; reload(); }),
    h("label", { class: "check" }, deleted, " Deleted ones, too")), told, frozen, grid.node, count);

  function drawRegions() {
    const names = [...regions].sort();
    if (names.join("\n") === drawn) return; // who is choosing one is not disturbed
    drawn = names.join("\n");
    grid.setColumns(names);
    regionFilter.replaceChildren(select("In region", [["", "any region"], ...names.map((each) => [each, shown(each)])],
      filters.region, (value) => { filters.region = value; reload(); }));
  }

  function take(page, mine) {
    if (mine !== turn) return;
    for (const image of page.images) {
      ready(image);
      if (index.has(image.id)) continue;
      index.set(image.id, rows.length);
      rows.push(image);
      for (const replica of image.regions) regions.add(replica.region);
    }
    next = page.next || null;
    drawRegions();
    grid.setRows(rows, !next);
    tellCount();
  }

  function leavesOut(image) {
    return !filters.deleted && filters.state !== "deleted" && isDeleted(image);
  }

  function query() {
    const [sortKey, sortDirection] = filters.sort.split(":");
    return { limit: PAGE, state: filters.state, region: filters.region, sort_key: sortKey, sort_dir: sortDirection,
      deleted: filters.deleted || filters.state === "deleted" ? "" : "false" };
  }

  async function work(path, parameters, mine) {
    loading = true;
    try {
      take(await get(path, parameters), mine);
      told.replaceChildren();
    } catch (error) {
      if (mine === turn) told.replaceChildren(problem(error));
    } finally {
      if (mine === turn) loading = false;
    }
  }

  async function reload() {
    turn += 1;
    rows = [];
    index = new Map();
    next = null;
    grid.node.scrollTop = 0;
    await work("v1/images", query(), turn);
    announce(`${rows.length} images`);
  }

  function more() {
    if (next && !loading) work(next, {}, turn);
  }

  function tellCount() {
    count.textContent = next ? `${rows.length} images are loaded; more follow as you scroll.` : `${rows.length} images.`;
  }

  function change(list) {
    const gone = new Set();
    for (const image of list) {
      const place = index.get(image.id);
      if (place === undefined) continue;
      rows[place] = ready(image);
      if (leavesOut(image)) gone.add(image.id); else grid.update(image);
    }
    if (!gone.size) return;
    rows = rows.filter((image) => !gone.has(image.id));
    index = new Map(rows.map((image, place) => [image.id, place]));
    grid.setRows(rows, !next);
    tellCount();
  }

  // Without live progress, and for what it does not tell: the rows in sight again; at the top what came and what went.
  async function refresh() {
    if (loading) return;
    const mine = turn;
    const first = grid.firstInSight;
    const marker = first > 0 ? rows[first - 1].id : "";
    const page = await get("v1/images", { ...query(), limit: IN_SIGHT, marker }).catch(() => null);
    if (!page || mine !== turn) return;
    change(page.images);
    const there = new Set(page.images.map((image) => image.id));
    const came = page.images.some((image) => !index.has(image.id));
    const went = rows.slice(0, IN_SIGHT).some((image) => !there.has(image.id));
    if (first === 0 && (came || went) && rows.length <= PAGE) reload();
  }

  const onImages = (event) => {
    change(event.detail);
    const came = event.detail.some((image) => !index.has(image.id) && !leavesOut(image));
    if (came && !filters.state && !next && !loading) refresh();
  };

  function learn(list) {
    for (const region of list.filter((each) => !each.cascading)) regions.add(region.name);
    drawRegions();
    const now = list.filter((each) => each.frozen);
    const looks = JSON.stringify(now.map((each) => [each.name, each.frozen]));
    if (looks === frozen.looks) return;
    frozen.looks = looks;
    cold = new Map(now.map((each) => [each.name, each]));
    frozen.replaceChildren(...now.map((each) => h("div", { class: "note" }, whyFrozen(each))));
    grid.drawHead();
  }

  const onRegions = (event) => learn(event.detail);
  context.live.addEventListener("images", onImages);
  context.live.addEventListener("regions", onRegions);
  if (context.may("regions:list")) learn((await get("v1/regions")).regions);
  else drawRegions();
  await work("v1/images", query(), turn);
  const end = every(10, refresh);
  return () => {
    context.live.removeEventListener("images", onImages);
    context.live.removeEventListener("regions", onRegions);
    end();
    grid.dispose();
  };
}
