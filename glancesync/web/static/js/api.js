// SPDX-License-Identifier: Apache-2.0
// Speaks to the server that this page came from, and to nobody else.

const BASE = new URL("..", document.baseURI);
let csrf = null;
let onLoggedOut = () => {};

export class ApiError extends Error {
  constructor(status, code, message, requestId, retryAfter) {
    super(message);
    this.status = status;
    this.code = code;
    this.requestId = requestId;
    this.retryAfter = retryAfter;
  }
}

export function whenLoggedOut(handler) {
  onLoggedOut = handler;
}

export function url(path, query) {
  const found = path.startsWith("/") ? new URL(path, location.origin) : new URL(path, BASE);
  for (const [name, value] of Object.entries(query || {})) {
    if (value !== "" && value !== null && value !== undefined) found.searchParams.set(name, value);
  }
  return found;
}

async function ask(method, path, { query, body, signal } = {}) {
  const headers = { Accept: "application/json" };
  if (path.startsWith("v1/") || path.startsWith("/")) headers["OpenStack-API-Version"] = "image-sync 1.0";
  if (method !== "GET" && csrf) headers["X-CSRF-Token"] = csrf;
  if (body !== undefined) headers["Content-Type"] = "application/json";
  let response;
  try {
    response = await fetch(url(path, query), {
      method, headers, signal, body: body === undefined ? undefined : JSON.stringify(body),
      credentials: "same-origin", redirect: "error", cache: "no-store",
    });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new ApiError(0, "unreachable", "The server does not answer; it is asked again.");
  }
  const text = await response.text();
  let answer = {};
  try { answer = JSON.parse(text); } catch { /* a proxy's own words */ }
  if (response.ok) return answer;
  const told = answer.error || {};
  if (response.status === 401 && csrf) { csrf = null; onLoggedOut(); }
  throw new ApiError(response.status, told.code || "", told.message || `The server answered ${response.status}.`,
    told.request_id, Number(response.headers.get("Retry-After")) || null);
}

export const get = (path, query, signal) => ask("GET", path, { query, signal });
export const post = (path, body, query) => ask("POST", path, { body, query });

export async function session() {
  const found = await get("web/session");
  csrf = found.csrf;
  return found;
}

export const logIn = (credentials) => post("web/login", credentials);

export async function logOut() {
  await post("web/logout", {});
  csrf = null;
}
