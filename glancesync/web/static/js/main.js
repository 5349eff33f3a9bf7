// SPDX-License-Identifier: Apache-2.0
// Starts the page: who is logged in, which view the address names, what keeps it fresh.
import { logOut, session, whenLoggedOut } from "./api.js";
import { announce, h, name, problem } from "./dom.js";
import { Live } from "./live.js";
import { image } from "./views/image.js";
import { images } from "./views/images.js";
import { login } from "./views/login.js";
import { overview } from "./views/overview.js";
import { sync } from "./views/sync.js";
import { task } from "./views/task.js";
import { tasks } from "./views/tasks.js";

const PAGES = [
  ["overview", "Overview", "regions:list"], ["images", "Images", "images:list"], ["tasks", "Tasks", "tasks:list_all"],
  ["sync", "Sync", "sync:submit"],
];
const VIEWS = { overview, images, tasks, sync, image, task };
const main = document.getElementById("main");
const live = new Live();
let who = null;
let dispose = () => {};
let turn = 0;

function route() {
  const [path, query] = location.hash.replace(/^#\/?/, "").split("?");
  const parts = path.split("/").map(decodeURIComponent);
  const given = new URLSearchParams(query || "");
  if (parts[0] === "images" && parts[1]) return ["image", parts[1], given];
  if (parts[0] === "tasks" && parts[1]) return ["task", parts[1], given];
  const fallback = who.may["regions:list"] ? "overview" : "images";
  return [PAGES.some(([id]) => id === parts[0]) ? parts[0] : fallback, null, given];
}

async function show() {
  if (!who) return;
  turn += 1;
  const mine = turn;
  const [view, id, query] = route();
  for (const link of document.querySelectorAll("#nav a")) {
    const here = link.hash === `#/${view}` || link.hash === `#/${view}s`;
    if (here) link.setAttribute("aria-current", "page"); else link.removeAttribute("aria-current");
  }
  dispose();
  dispose = () => {};
  const root = h("div");
  main.replaceChildren(root);
  const context = { id, query, live, may: (rule) => Boolean(who.may[rule]), user: who };
  try {
    const left = await VIEWS[view](root, context);
    if (mine === turn) dispose = left || dispose; else if (left) left();
  } catch (error) {
    if (mine === turn) root.append(h("h1", { tabindex: "-1" }, "This could not be shown"), problem(error));
  }
  if (mine !== turn) return;
  const heading = root.querySelector("h1");
  document.title = `${heading ? heading.textContent : ""} · Image synchronisation`;
  if (heading) { heading.tabIndex = -1; heading.focus({ preventScroll: true }); }
}

function loggedOut(message) {
  who = null;
  turn += 1;
  dispose();
  dispose = () => {};
  live.stop();
  document.getElementById("banner").hidden = true;
  document.title = "Log in · Image synchronisation";
  login(main, enter, message);
}

async function enter() {
  who = await session();
  document.getElementById("who").replaceChildren(name(who.user), " in ", name(who.project));
  document.getElementById("nav").replaceChildren(...PAGES.filter(([, , rule]) => who.may[rule])
    .map(([id, text]) => h("a", { href: `#/${id}` }, text)));
  document.getElementById("banner").hidden = false;
  const left = new Date(who.ends_at) - Date.now();
  setTimeout(() => { if (who) loggedOut("Your session has ended."); }, Math.min(left, 2 ** 31 - 1));
  live.start();
  await show();
}

live.addEventListener("status", (event) => {
  const told = document.getElementById("live");
  told.classList.toggle("on", event.detail);
  told.textContent = event.detail ? "live" : "not live";
});
window.addEventListener("hashchange", show);
document.getElementById("logout").addEventListener("click", async () => {
  try { await logOut(); } catch (error) { announce(error.message); }
  loggedOut("You are logged out.");
});
document.getElementById("skip").addEventListener("click", (event) => { event.preventDefault(); main.focus(); });
whenLoggedOut(() => loggedOut("Your session has ended."));
enter().catch((error) => (error.status === 401 ? loggedOut() : loggedOut(error.message)));
