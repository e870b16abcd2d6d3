// Presence as text and color.

import { el } from "./dom.js";
import { t } from "./i18n.js";

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
