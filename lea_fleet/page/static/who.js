// Who is signed in, and what they may do. The server decides; the page only leaves out
// what it would refuse.

import { get } from "./api.js";

// The columns of the list that are personal, or in which somebody may be named.
const PERSONAL = ["user_name", "user_email", "user_id", "hostname", "uninstall_reason", "note"];

let self = null;

export async function learn(signal) {
  self = await get("/whoami", { signal });
}

// Forget it, when somebody else signs in.
export function forget() {
  self = null;
}

export function isKnown() {
  return self !== null;
}

export function name() {
  return self?.name ?? null;
}

export function mayChange() {
  return self !== null && self.role !== "viewer";
}

// Whether names and e-mail addresses are shown, and may be searched for and sorted by.
export function seesPersonal() {
  return self?.personal ?? true;
}

// Whether a column of the list has anything for whoever is signed in.
export function maySee(column) {
  return seesPersonal() || !PERSONAL.includes(column);
}

export function mayMakeOperators() {
  return self?.role === "admin";
}
