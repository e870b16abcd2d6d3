// The columns of the list: which there are, and which of them are shown.

import { go, state } from "./address.js";
import { el } from "./dom.js";
import { t } from "./i18n.js";
import { view } from "./saved.js";
import { maySee } from "./who.js";

const COLUMNS = [
  "machine_id",
  "user_name",
  "user_email",
  "user_id",
  "hostname",
  "os_info",
  "version",
  "presence",
  "last_seen_at",
  "enrolled_at",
  "uninstalled_at",
  "uninstall_reason",
  "tags",
  "note",
];
const USUAL = ["machine_id", "user_name", "version", "presence", "last_seen_at", "enrolled_at"];
const KEPT = "lea_fleet_columns";

// Those that are shown: as the address says, else the saved view in it, else this browser.
export function columns() {
  const { columns: named } = state();
  return named ? valid(named.split(",")) : otherwise();
}

// Whether nobody has chosen other columns than those that there are at first.
export function areUsual() {
  return areSame(columns(), USUAL);
}

// Whether other columns are shown than those of the saved view in the address.
export function areChanged() {
  return !areSame(columns(), otherwise());
}

// What lets them be chosen. A machine's id is always shown: it leads to the machine.
export class ColumnChooser {
  constructor() {
    this.boxes = [];
    this.element = el("fieldset", { class: "columns" });
  }

  showState() {
    const shown = columns();
    for (const box of this.boxes) box.checked = shown.includes(box.value);
  }

  // Make the boxes, or remove them.
  offer(isSeen) {
    const offered = isSeen ? COLUMNS.slice(1).filter(maySee) : [];
    this.boxes = offered.map((name) =>
      el("input", { type: "checkbox", value: name, on: { change: () => this.#onChange() } }),
    );
    this.element.replaceChildren(
      el("legend", {}, t("columns")),
      ...this.boxes.map((box) => el("label", { class: "check" }, box, t(`column.${box.value}`))),
    );
    this.showState();
  }

  // What is shown keeps its place, and what is added comes last.
  #onChange() {
    const chosen = this.boxes.filter((box) => box.checked).map((box) => box.value);
    const before = columns().filter((name) => name === "machine_id" || chosen.includes(name));
    choose([...before, ...chosen.filter((name) => !before.includes(name))]);
  }
}

function choose(chosen) {
  if (!view(state().saved)) keep(areSame(chosen, USUAL) ? null : chosen);
  go({ columns: areSame(chosen, otherwise()) ? "" : chosen.join(",") });
}

function otherwise() {
  const named = view(state().saved)?.columns ?? kept();
  return named ? valid(named) : USUAL;
}

// Of a view that was saved elsewhere, or a link, not all may be known here.
function valid(named) {
  const known = [...new Set(named)].filter((name) => COLUMNS.includes(name));
  return known.includes("machine_id") ? known : ["machine_id", ...known];
}

function areSame(some, others) {
  return some.join() === others.join();
}

function keep(chosen) {
  if (chosen === null) localStorage.removeItem(KEPT);
  else localStorage.setItem(KEPT, chosen.join());
}

function kept() {
  return localStorage.getItem(KEPT)?.split(",") ?? null;
}
