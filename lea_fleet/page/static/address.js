// The state of the page is in its URL, so that a link can be shared. A saved view in it
// stands for its filters, as long as none are beside it.

import { filtersOf } from "./saved.js";

// The filters of the list and its order: if one changes, the first page is shown.
export const LISTING = [
  "machine_id",
  "status",
  "presence",
  "q",
  "tag",
  "version",
  "silent_for",
  "blocked",
  "muted",
  "retiring",
  "ignores_retire",
  "released",
  "duplicate",
  "suspected_clone",
  "outdated",
  "without_version",
  "enrollment_token",
  "sort",
];

// All of them without a value.
export const NOTHING = Object.fromEntries(LISTING.map((name) => [name, ""]));

// The list without any of them, nor a saved view.
export const UNFILTERED = { saved: "", ...NOTHING };

// The filters of the history, likewise.
export const HISTORY = ["event", "about", "actor", "since", "until"];

const NAMES = ["view", "machine", "saved", "columns", ...LISTING, ...HISTORY, "cursor", "page"];

let listener = () => {};

// What goSoon() waits with.
let waiting = {};
let timer;

// Call `onChange` whenever the URL changes.
export function follow(onChange) {
  listener = onChange;
}

export function state() {
  const all = read(new URLSearchParams(location.search), NAMES);
  return isPlain(all) ? { ...all, ...ofView(all.saved) } : all;
}

// The filters of a saved view and the order; undefined if it cannot be used.
export function ofView(id) {
  const parameters = filtersOf(id);
  return parameters && read(parameters, LISTING);
}

// Return the URL of the current state with `changes`.
export function link(changes) {
  const parameters = new URLSearchParams();
  for (const [name, value] of Object.entries(shortened(changed(changes)))) {
    if (value !== "") parameters.set(name, value);
  }
  return `${location.pathname}${parameters.size ? "?" : ""}${parameters}`;
}

// Go there after a pause without another such change, in the same history entry; or
// before, with whatever else leads elsewhere: what was typed is not lost.
export function goSoon(changes, milliseconds) {
  clearTimeout(timer);
  Object.assign(waiting, changes);
  timer = setTimeout(() => go({}, { replace: true }), milliseconds);
}

// Whether goSoon() waits with a change of that name.
export function isWaiting(name) {
  return name in waiting;
}

// Go there; `replace` replaces the current history entry. The state kept beside the URL
// stays unless the listing changes.
export function go(wanted, { replace = false, keep } = {}) {
  clearTimeout(timer);
  const changes = { ...waiting, ...wanted };
  waiting = {};
  keep ??= isAnother(changes) ? {} : kept();
  const where = link(changes);
  if (replace) history.replaceState(keep, "", where);
  else history.pushState(keep, "", where);
  listener();
}

// The state that go() keeps in the history entry, beside the URL.
export function kept() {
  return history.state ?? {};
}

// The attributes of a link that goes there without reloading the page.
export function leadsTo(changes) {
  const open = (event) => {
    const isElsewhere = event.metaKey || event.ctrlKey || event.shiftKey || event.button === 1;
    if (event.altKey || event.button > 1) return;
    event.preventDefault();
    // A tab that this one opens has its sign-in; one that the browser opens has not.
    if (isElsewhere) window.open(link(changes));
    else go(changes);
  };
  return { href: link(changes), on: { click: open, auxclick: open } };
}

// Leave out what the saved view says. Where all its filters are cleared, it is not meant.
function shortened(next) {
  const said = ofView(next.saved);
  if (said === undefined) return next;
  if (LISTING.every((name) => next[name] === said[name])) {
    return { ...next, ...NOTHING };
  }
  return isPlain(next) ? { ...next, saved: "" } : next;
}

function isPlain(all) {
  return LISTING.every((name) => all[name] === "");
}

function read(parameters, names) {
  return Object.fromEntries(names.map((name) => [name, parameters.getAll(name).join(",")]));
}

function changed(changes) {
  const next = { ...state(), ...changes };
  if (isAnother(changes)) Object.assign(next, { cursor: "", page: "" });
  return next;
}

function isAnother(changes) {
  return [...LISTING, ...HISTORY].some((name) => name in changes);
}

// What waits was meant for the entry that the reader has left.
window.addEventListener("popstate", () => {
  clearTimeout(timer);
  waiting = {};
  listener();
});
