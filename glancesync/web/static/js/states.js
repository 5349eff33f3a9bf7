// SPDX-License-Identifier: Apache-2.0
// How states look: a word and a sign beside the colour, for who sees no colours.
import { h, long, name, time } from "./dom.js";

const STATES = {
  in_sync: ["good", "✓", "in sync"], copying: ["busy", "▸", "copying"], waiting: ["idle", "…", "waiting"],
  usable_unverified: ["warn", "◌", "usable, unverified"],
  failed: ["bad", "✕", "failed"], conflict: ["warn", "!", "conflict"], contested: ["warn", "!", "contested"],
  source_missing: ["warn", "?", "source missing"], deleted: ["idle", "–", "deleted"],
  unwanted: ["idle", "·", "unwanted"], cannot_travel: ["idle", "⊘", "cannot travel"], parked: ["warn", "‖", "parked"],
  running: ["busy", "▸", "running"], done: ["good", "✓", "done"], cancelled: ["idle", "–", "cancelled"],
  retry: ["warn", "↻", "retry"], waited: ["idle", "…", "waited"], released: ["idle", "…", "released"],
  lost: ["bad", "✕", "lost"],
};
export const REPLICA_STATES = ["in_sync", "copying", "usable_unverified", "waiting", "failed", "conflict", "contested",
  "source_missing",
  "unwanted", "cannot_travel", "parked", "deleted"];
export const TASK_STATES = ["waiting", "running", "done", "failed", "cancelled"];

export function kind(state) {
  return (STATES[state] || ["idle"])[0];
}

export function word(state) {
  return (STATES[state] || ["", "", state])[2];
}

export function sign(state) {
  return (STATES[state] || ["", "·"])[1];
}

export function badge(state) {
  return h("span", { class: `state ${kind(state)}` }, h("span", { "aria-hidden": "true" }, sign(state)), word(state));
}

const ICE = "❄";

// What an operator decided about a region, beside how well it is; null where it is not frozen.
export function frozenBadge(region) {
  return region.frozen ? h("span", { class: "state frozen" }, h("span", { "aria-hidden": "true" }, ICE), "frozen") : null;
}

// Before the region's name at the head of its column.
export function frozenMark(region) {
  return region && region.frozen ? h("span", { class: "ice" }, h("span", { "aria-hidden": "true" }, `${ICE}\u00a0`),
    h("span", { class: "unseen" }, "frozen: ")) : null;
}

export function whyFrozen(region) {
  const { since, reason } = region.frozen;
  return [name(region.name), " is frozen since ", time(since), ": nothing is written there, its tasks wait. ",
    reason ? ["Reason: ", long(reason)] : null];
}

// 0 to 100, null where it says nothing.
export function percent(replica) {
  if (replica.state !== "copying" || !replica.bytes_total) return null;
  return Math.min(100, Math.floor((100 * (replica.bytes_done || 0)) / replica.bytes_total));
}
