// The query for the list, from the URL.

import { go, LISTING, state, UNFILTERED } from "./address.js";
import { maySee } from "./who.js";

// Machines per page.
export const LIMIT = 50;

// The filters that are chosen, with their values.
export function chosen() {
  const { sort, ...filters } = listing();
  return Object.entries(filters).filter(([, value]) => value !== "");
}

// The filters for the API: only active machines, unless others are asked for.
export function wanted() {
  const filters = Object.fromEntries(chosen());
  const isAny = "presence" in filters || "machine_id" in filters;
  return isAny ? filters : { status: "active", ...filters };
}

// The parameters for the API.
export function query() {
  const { cursor, sort } = state();
  return { ...wanted(), sort, cursor, limit: LIMIT };
}

// Whether the list may be sorted so by whoever is signed in.
export function maySortBy(sort) {
  return maySee(sort.replace("-", ""));
}

export function clear() {
  go(UNFILTERED);
}

function listing() {
  const all = state();
  return Object.fromEntries(LISTING.map((name) => [name, all[name]]));
}
