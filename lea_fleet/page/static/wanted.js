// The query for the list, from the URL.

import { go, LISTING, state } from "./address.js";

// Machines per page.
export const LIMIT = 50;

// The parameters for the API.
export function query() {
  const { cursor, ...all } = state();
  const chosen = Object.fromEntries(LISTING.map((name) => [name, all[name]]));
  return { ...chosen, cursor, limit: LIMIT };
}

export function clear() {
  go(Object.fromEntries(LISTING.map((name) => [name, ""])));
}
