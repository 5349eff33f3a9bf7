// SPDX-License-Identifier: Apache-2.0
import { get } from "../api.js";
import { picture, series } from "../charts.js";
import { bytes, duration, h, long, name, problem, rate, select, time } from "../dom.js";
import { every } from "../live.js";
import { frozenBadge, kind, whyFrozen, word } from "../states.js";

const POINTS = 60;
const BACKLOG = ["waiting", "copying", "failed"];
const SPANS = [["3600", "the last hour"], ["21600", "the last 6 hours"], ["86400", "the last day"]];
const sum = (one, two) => one + two;

function health(region) {
  if (region.gone_at) return ["warn", "‖", "left the catalog"];
  if (region.breaker && region.breaker.state === "open") return ["bad", "✕", "left alone"];
  if (region.problems.length) return ["bad", "!", "not seen whole"];
  if (region.breaker && region.breaker.state === "half_open") return ["warn", "…", "on trial"];
  return ["good", "✓", "well"];
}

function why(region) {
  const told = [...region.problems];
  if (region.breaker && region.breaker.reason && region.breaker.state !== "closed") told.push(region.breaker.reason);
  return told;
}

function share(counts) {
  const all = Object.values(counts).reduce(sum, 0);
  const kinds = ["good", "busy", "idle", "warn", "bad"];
  const told = Object.entries(counts).sort(([, one], [, two]) => two - one)
    .map(([state, count]) => `${count} ${word(state)}`).join(", ");
  if (!all) return h("p", { class: "soft" }, "No images yet.");
  return [h("div", { class: "share", role: "img", "aria-label": told }, kinds.map((each) => {
    const count = Object.entries(counts).filter(([state]) => kind(state) === each).reduce((at, [, n]) => at + n, 0);
    return count ? h("span", { class: each, "width%": (100 * count) / all }) : null;
  })), h("p", { class: "soft" }, told)];
}

function filling(fill) {
  const failed = fill.images_failed ? `, ${fill.images_failed} failed` : "";
  const left = fill.eta_seconds === null ? "" : `, about ${duration(fill.eta_seconds)} left`;
  const told = `${fill.images_done} of ${fill.images_total} images${failed}, `
    + `${bytes(fill.bytes_done)} of ${bytes(fill.bytes_total)}${left}`;
  const part = fill.bytes_total ? fill.bytes_done / fill.bytes_total : fill.images_done / fill.images_total;
  return h("div", { class: "filling" },
    h("div", { class: "share", role: "progressbar", "aria-label": "Being filled", "aria-valuemin": "0",
      "aria-valuemax": "100", "aria-valuenow": String(Math.floor(100 * part)), "aria-valuetext": told },
    h("span", { class: "busy", "width%": 100 * part })),
    h("p", { class: "soft" }, `Being filled: ${told}`));
}

function card(region, history) {
  const [look, mark, text] = health(region);
  const counts = region.images;
  const mine = (point) => point.region === region.name;
  const recent = history ? series(history, POINTS, { pick: (point) => point.bytes, keep: mine, join: sum, empty: 0 }) : [];
  const last = recent.slice(-5).reduce(sum, 0);
  const lags = history ? series(history, POINTS, {
    pick: (point) => point.lag_seconds, keep: mine, join: Math.max, empty: null,
  }).filter((value) => value !== null) : [];
  const backlog = BACKLOG.reduce((at, state) => at + (counts[state] || 0), 0);
  return h("li", { class: "card", "data-region": region.name },
    h("div", { class: "top" }, h("h3", null, name(region.name)),
      h("div", { class: "badges" }, frozenBadge(region),
        h("span", { class: `state ${look}` }, h("span", { "aria-hidden": "true" }, mark), text))),
    region.cascading ? h("p", { class: "soft" }, "Users write here; the others follow.") : [
      h("dl", null,
        h("div", null, h("dt", null, "In sync"), h("dd", null, String(counts.in_sync || 0))),
        h("div", null, h("dt", null, "Backlog"), h("dd", null, h("a", {
          href: `#/tasks?region=${encodeURIComponent(region.name)}`,
        }, String(backlog)))),
        h("div", null, h("dt", null, "Throughput"), h("dd", null,
          history ? rate(last / (5 * history.step_seconds)) : "–")),
        h("div", null, h("dt", null, "Last lag"), h("dd", null, duration(lags.length ? lags[lags.length - 1] : null)))),
      share(counts)],
    region.fill ? filling(region.fill) : null,
    region.frozen ? h("div", { class: "note" }, whyFrozen(region)) : null,
    why(region).map((each) => h("div", { class: "note" }, long(each))),
    region.breaker && region.breaker.state === "open" && region.breaker.next_probe_at
      ? h("p", { class: "soft" }, "Next try: ", time(region.breaker.next_probe_at)) : null);
}

export async function overview(root, context) {
  let regions = [];
  let history = null;
  let seconds = SPANS[0][0];
  const cards = h("ul", { class: "cards" });
  const pictures = h("div", { class: "pictures" });
  const told = h("div");
  root.append(h("h1", null, "Overview"), told, h("h2", null, "Regions"), cards,
    h("h2", { id: "over-time" }, "Throughput and lag"),
    h("div", { class: "bar-of-filters" }, select("Time", SPANS, seconds, (value) => { seconds = value; load(); })), pictures);

  function draw() {
    const opened = new Set([...cards.querySelectorAll("details[open]")].map((each) => each.closest("li").dataset.region));
    cards.replaceChildren(...regions.map((region) => card(region, history)));
    for (const each of cards.querySelectorAll("details")) each.open = opened.has(each.closest("li").dataset.region);
    if (!history) return;
    const step = history.step_seconds;
    const common = { beginsAt: history.begins_at, stepSeconds: step };
    const moved = series(history, POINTS, { pick: (point) => point.bytes, join: sum, empty: 0 });
    const lag = series(history, POINTS, { pick: (point) => point.lag_seconds, join: Math.max, empty: null });
    pictures.replaceChildren(
      picture("Throughput, all regions", {
        ...common, values: moved.map((value) => value / step), format: (value) => `${bytes(value)}/s`, base: 1024,
      }),
      picture("Longest lag", { ...common, values: lag, format: duration, className: "lag" }));
  }

  async function load() {
    try {
      const asked = [get("v1/regions"), context.may("history:get") ? get("v1/history", { seconds, points: POINTS }) : null];
      const [first, second] = await Promise.all(asked);
      regions = first.regions;
      history = second;
      told.replaceChildren();
    } catch (error) {
      if (!regions.length) throw error;
      told.replaceChildren(problem(error));
    }
    draw();
  }

  const onRegions = (event) => { regions = event.detail; draw(); };
  context.live.addEventListener("regions", onRegions);
  const end = every(15, load);
  await load();
  return () => { context.live.removeEventListener("regions", onRegions); end(); };
}
