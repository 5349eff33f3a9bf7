// SPDX-License-Identifier: Apache-2.0
// What changes while you look: server-sent events, and from time to time the views themselves where those are missing.
import { session, url } from "./api.js";

const AGAIN_MS = 15000;

export class Live extends EventTarget {
  #source = null;
  #timer = null;
  on = false;

  start() {
    this.stop();
    const source = new EventSource(url("web/events"));
    this.#source = source;
    source.addEventListener("open", () => this.#tell(true));
    for (const name of ["images", "regions"]) {
      source.addEventListener(name, (event) => {
        this.dispatchEvent(new CustomEvent(name, { detail: JSON.parse(event.data) }));
      });
    }
    source.addEventListener("error", () => {
      this.#tell(false);
      if (source.readyState !== EventSource.CLOSED) return; // the browser comes back by itself
      session().catch(() => {}); // an ended session shows the login
      this.#timer = setTimeout(() => this.start(), AGAIN_MS);
    });
  }

  stop() {
    clearTimeout(this.#timer);
    if (this.#source) this.#source.close();
    this.#source = null;
    this.#tell(false);
  }

  #tell(on) {
    this.on = on;
    this.dispatchEvent(new CustomEvent("status", { detail: on }));
  }
}

// Calls `work` every so often while the page is seen; the function that it returns ends it.
export function every(seconds, work) {
  const timer = setInterval(() => { if (!document.hidden) work(); }, seconds * 1000);
  return () => clearInterval(timer);
}
