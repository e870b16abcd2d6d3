// What the page shows is in its address, so that a link can be shared.

const NAMES = [
  "view",
  "machine",
  "q",
  "presence",
  "version",
  "silent_for",
  "sort",
  "cursor",
  "page",
];

// What makes up a listing: with any of it changed, the first page is shown.
const LISTING = ["q", "presence", "version", "silent_for", "sort"];

let listener = () => {};

// Call `onChange` whenever the address changes.
export function follow(onChange) {
  listener = onChange;
}

export function state() {
  const parameters = new URLSearchParams(location.search);
  return Object.fromEntries(NAMES.map((name) => [name, parameters.get(name) ?? ""]));
}

// Return the address of the present state with `changes`.
export function link(changes) {
  const parameters = new URLSearchParams();
  for (const [name, value] of Object.entries(changed(changes))) {
    if (value !== "") parameters.set(name, value);
  }
  return `${location.pathname}${parameters.size ? "?" : ""}${parameters}`;
}

// Go there; with `replace`, going back leads to before the present state. What is kept
// beside the address stays, unless the listing becomes another one.
export function go(changes, { replace = false, keep } = {}) {
  keep ??= isAnother(changes) ? {} : kept();
  const where = link(changes);
  if (replace) history.replaceState(keep, "", where);
  else history.pushState(keep, "", where);
  listener();
}

// What go() was told to keep with this state, beside the address.
export function kept() {
  return history.state ?? {};
}

// The attributes of a link that goes there without loading the page anew.
export function leadsTo(changes) {
  const click = (event) => {
    if (event.metaKey || event.ctrlKey || event.shiftKey || event.button) return;
    event.preventDefault();
    go(changes);
  };
  return { href: link(changes), on: { click } };
}

function changed(changes) {
  const next = { ...state(), ...changes };
  if (isAnother(changes)) Object.assign(next, { cursor: "", page: "" });
  return next;
}

function isAnother(changes) {
  return LISTING.some((name) => name in changes);
}

window.addEventListener("popstate", () => listener());
