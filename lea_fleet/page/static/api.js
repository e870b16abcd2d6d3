// Requests to the API. Errors are reported as a Failure of one of a few kinds.

import { readClock } from "./format.js";
import { token } from "./session.js";

const PREFIX = document.documentElement.dataset.api;
const PATIENCE = 30_000; // milliseconds

// Why a request failed. `kind` is
//   away     no response, or one that is not from lea-fleet
//   token    the token is not known
//   session  the session in the host has ended
//   scope    the token is valid, but not the operator's
//   refused  the request is not valid, or not allowed now
//   later    the server is temporarily not able to do it
export class Failure extends Error {
  constructor(kind, problem = {}) {
    super(problem.detail ?? kind);
    this.kind = kind;
    this.code = problem.code;
    this.detail = problem.detail;
  }
}

let changed = 0;

// How often this page has changed something on the server.
export function changes() {
  return changed;
}

export const get = (path, options) => json("GET", path, options);
export const post = (path, body = {}) => json("POST", path, { body });
export const put = (path, body) => json("PUT", path, { body });
export const remove = (path) => json("DELETE", path, { body: {} });

// Return the list at `path` as CSV: its content and file name.
export async function csv(path, query) {
  return file(await send("GET", path, { query }));
}

// Return the installer kit with an enrollment token, for the API at `url`: a ZIP.
export async function kit(token, url) {
  return file(await send("POST", "/installer-kit", { body: { token, url } }));
}

// Where this page reaches the API.
export function api() {
  return new URL(PREFIX, location.origin).href;
}

// Whether a machine id can be used in a path; one from an older server may not.
export function fitsPath(machineId) {
  return !machineId.includes("/") && machineId !== "." && machineId !== "..";
}

export function machinePath(machineId, rest) {
  return `/machines/${encodeURIComponent(machineId)}${rest}`;
}

async function file(response) {
  const offered = response.headers.get("Content-Disposition") ?? "";
  const [, name = "fleet"] = /filename=([\w.-]+)/.exec(offered) ?? [];
  try {
    return { name, bytes: await response.blob() };
  } catch {
    throw new Failure("away"); // the connection broke off
  }
}

async function json(method, path, options) {
  const response = await send(method, path, options);
  try {
    return await response.json();
  } catch {
    throw new Failure("away"); // the connection broke off
  }
}

async function send(method, path, { query = {}, body, signal } = {}) {
  const url = new URL(PREFIX + path, location.origin);
  for (const [name, value] of Object.entries(query)) {
    for (const each of [value].flat()) {
      if (each !== undefined && each !== "") url.searchParams.append(name, each);
    }
  }
  let response;
  try {
    response = await fetch(url, {
      method,
      headers: headers(body),
      body: body && JSON.stringify(body),
      redirect: "manual", // to the host's login, say: that is no answer
      cache: "no-store",
      signal: AbortSignal.any([AbortSignal.timeout(PATIENCE), ...(signal ? [signal] : [])]),
    });
  } catch (error) {
    if (signal?.aborted) throw error;
    throw new Failure("away");
  }
  readClock(response.headers.get("Date"));
  if (response.ok && !isPage(response)) {
    if (method !== "GET") changed += 1;
    return response;
  }
  throw await failure(response);
}

function headers(body) {
  const sent = { Accept: "application/json", "X-Lea-Fleet": "1" };
  if (token() !== null) sent.Authorization = `Bearer ${token()}`;
  if (body) sent["Content-Type"] = "application/json";
  return sent;
}

function isPage(response) {
  return (response.headers.get("Content-Type") ?? "").startsWith("text/html");
}

async function failure(response) {
  const problem = await response.json().catch(() => ({}));
  const { status, type } = response;
  if (status === 401 || type === "opaqueredirect") {
    return new Failure(token() === null ? "session" : "token", problem);
  }
  if (problem.code === "insufficient_scope") return new Failure("scope", problem);
  if (problem.code === undefined) return new Failure("away");
  return new Failure(status >= 500 ? "later" : "refused", problem);
}
