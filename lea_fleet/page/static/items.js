// The items of the attention view: a machine, what is said of it, and the actions.

import { leadsTo } from "./address.js";
import { button, el, foreign } from "./dom.js";
import { mayChange } from "./who.js";

// `main` and `lines` are lists of text and elements.
export function item(main, lines, buttons = []) {
  return el(
    "li",
    {},
    el("div", {}, el("p", {}, main), lines.map((line) => line && el("p", { class: "under" }, line))),
    el("div", { class: "actions" }, buttons),
  );
}

// A link to a machine of the fleet; `key` tells it from other links to it.
export function machineLink(machine, key) {
  return el(
    "a",
    { ...leadsTo({ machine }), class: "machine", data: { key: `${key} ${machine}` } },
    foreign(machine),
  );
}

// A button that runs an action on a machine, for those who may change it.
export function actionButton(label, machine, act, action, attributes = {}) {
  if (!mayChange()) return [];
  return button(label, () => act(() => action(machine)), {
    ...attributes,
    "aria-label": `${label}: ${machine}`,
    data: { key: `${label} ${machine}` },
  });
}
