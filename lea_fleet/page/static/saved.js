// The saved views that the reader may see, as the server has them.

import { get } from "./api.js";

let known = null;

export async function learn(signal) {
  const { views } = await get("/views", { signal });
  known = new Map(views.map((view) => [String(view.id), view]));
}

// Forget them, when somebody else signs in.
export function forget() {
  known = null;
}

export function isKnown() {
  return known !== null;
}

export function all() {
  return [...(known?.values() ?? [])];
}

// The view with that id, if the reader may see it.
export function view(id) {
  return known?.get(id);
}

// The filters of a view, as parameters of the list; undefined if it cannot be used.
export function filtersOf(id) {
  const found = view(id);
  return found && found.fault === null ? new URLSearchParams(found.filters) : undefined;
}
