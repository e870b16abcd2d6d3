// Tags as people type them.

import { leadsTo } from "./address.js";
import { el, foreign } from "./dom.js";

// Tags as links to the list of their machines.
export function tagLinks(tags) {
  return tags.map((tag) =>
    el("a", { ...leadsTo({ view: "", machine: "", tag }), class: "tag" }, foreign(tag)),
  );
}

// The tags in a text, with commas or semicolons between them.
export function split(text) {
  return text
    .split(/[,;]/)
    .map((each) => each.trim())
    .filter(Boolean);
}

// What only one tag of a machine may have: key for key=value.
export function keyOf(tag) {
  return tag.split("=")[0].trim().toLowerCase();
}
