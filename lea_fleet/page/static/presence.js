// Presence as text and color.

import { el, visible } from "./dom.js";
import { has, t } from "./i18n.js";

export function badge(presence) {
  return el(
    "span",
    { class: `badge ${presence}`, title: t(`presence.${presence}.means`) },
    el("span", { class: `dot ${presence}`, "aria-hidden": "true" }),
    t(`presence.${presence}`),
  );
}

export function cloneMark({ suspected_clone: suspected }) {
  return suspected && el("span", { class: "badge clone" }, t("presence.clone"));
}

// The names of several presences, as an address has them, where they may be anything.
export function presenceNames(presences) {
  const name = (presence) => (has(`presence.${presence}`) ? t(`presence.${presence}`) : visible(presence));
  return presences.split(",").map(name).join(", ");
}
