// The query for the list, from the URL.

import { go, LISTING, others, state } from "./address.js";
import { seesPersonal } from "./who.js";

const PERSONAL = ["user_name", "user_email", "hostname"];

// Machines per page.
export const LIMIT = 50;

// The parameters for the API.
export function query() {
  const { cursor, ...all } = state();
  const chosen = Object.fromEntries(LISTING.map((name) => [name, all[name]]));
  return { ...others(), ...chosen, cursor, limit: LIMIT };
}

// The filters alone, those that are set.
export function wanted() {
  const { sort, ...filters } = Object.fromEntries(LISTING.map((name) => [name, state()[name]]));
  const chosen = Object.entries(filters).filter(([, value]) => value !== "");
  return { ...others(), ...Object.fromEntries(chosen) };
}

// Whether the list may be sorted so by whoever is signed in.
export function maySortBy(sort) {
  return seesPersonal() || !PERSONAL.includes(sort.replace("-", ""));
}

export function clear() {
  go({ saved: "", ...Object.fromEntries(LISTING.map((name) => [name, ""])) });
}
