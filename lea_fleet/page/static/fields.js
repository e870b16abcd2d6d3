// Form fields of what is done with one machine, and with many.

import { el, field, select } from "./dom.js";
import { durationOf } from "./format.js";
import { t, texts } from "./i18n.js";

const LONGEST_REASON = 500;
const LONGEST_NOTE = 2000;
const MUTES = [1, 7, 14, 30, 90]; // days

export function reasonInput() {
  return el("input", { id: "reason", maxlength: LONGEST_REASON, autocomplete: "off", list: "reasons" });
}

// The field of a reason, with some that are offered.
export function reasonField(input) {
  const offered = texts("reason.").map(([, value]) => el("option", { value }));
  return [
    field(t("uninstall.reason"), input, t("uninstall.reason.hint")),
    el("datalist", { id: "reasons" }, offered),
  ];
}

// For how many days to mute.
export function muteDays() {
  return select("days", MUTES.map((n) => [n, durationOf(`${n}d`)]), 14);
}

export function noteArea(attributes, text = "") {
  return el("textarea", { id: "note", maxlength: LONGEST_NOTE, ...attributes }, text);
}
