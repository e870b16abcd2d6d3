// Which machines the list is of, by the address.

import { go, state } from "./address.js";

// Machines on a page.
export const LIMIT = 50;

// What the API is asked for.
export function query() {
  const { q, presence, version, silent_for, sort, cursor } = state();
  return { q, presence, version, silent_for, sort, cursor, limit: LIMIT };
}

export function clear() {
  go({ q: "", presence: "", version: "", silent_for: "", sort: "" });
}
