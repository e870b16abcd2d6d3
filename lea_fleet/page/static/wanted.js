// The query for the list, from the URL.

import { go, state } from "./address.js";

// Machines per page.
export const LIMIT = 50;

// The parameters for the API.
export function query() {
  const { q, presence, version, silent_for, sort, cursor } = state();
  return { q, presence, version, silent_for, sort, cursor, limit: LIMIT };
}

export function clear() {
  go({ q: "", presence: "", version: "", silent_for: "", sort: "" });
}
