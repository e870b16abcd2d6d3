// The strip above the list: how many machines there are of each kind. Each figure filters
// the list by it.

import { go, state } from "./address.js";
import { el } from "./dom.js";
import { number, shortDuration } from "./format.js";
import { t } from "./i18n.js";

const PRESENCES = ["online", "offline", "stale", "pending"];
const FLAGS = { suspected_clone: "suspected_clones", outdated: "outdated" };

// The filters of all figures but the first, which is pressed if none of them is set.
const NONE = { presence: "", suspected_clone: "", outdated: "" };

// The silence after which a machine is stale, in seconds; NaN for never.
const STALE_AFTER = Number.parseFloat(document.documentElement.dataset.staleAfter);

export class Strip {
  constructor() {
    this.figures = new Map();
    const figure = (name, act) => this.#figure(name, act);
    this.element = el(
      "div",
      { class: "strip", role: "group", "aria-label": t("strip") },
      figure("active", () => go({ status: "", ...NONE })),
      PRESENCES.map((name) => figure(name, () => togglePresence(name))),
      Object.keys(FLAGS).map((name) => figure(name, () => toggleFlag(name))),
    );
  }

  showState() {
    const all = state();
    const isNone = ["", "active"].includes(all.status) && Object.keys(NONE).every((name) => all[name] === "");
    const isPressed = (name) => {
      if (name === "active") return isNone;
      return name in FLAGS ? all[name] === "true" : all.presence.split(",").includes(name);
    };
    for (const [name, { button }] of this.figures) {
      button.setAttribute("aria-pressed", String(isPressed(name)));
    }
  }

  show({ totals, ...summary }) {
    for (const [name, { button, count }] of this.figures) {
      const machines = name in FLAGS ? summary[FLAGS[name]] : totals[name];
      button.classList.toggle("zero", machines === 0);
      count.textContent = number(machines);
    }
  }

  #figure(name, act) {
    const count = el("strong", {}, "–");
    const button = el(
      "button",
      { type: "button", title: t(`strip.${name}.means`), data: { key: `strip-${name}` }, on: { click: act } },
      el(
        "span",
        { class: "label" },
        PRESENCES.includes(name) && el("span", { class: `dot ${name}`, "aria-hidden": "true" }),
        labelOf(name),
      ),
      count,
    );
    this.figures.set(name, { button, count });
    return button;
  }
}

function labelOf(name) {
  if (name !== "stale" || Number.isNaN(STALE_AFTER)) return t(`strip.${name}`);
  return t("strip.stale.after", { silence: shortDuration(STALE_AFTER) });
}

function togglePresence(name) {
  const chosen = new Set(state().presence.split(",").filter(Boolean));
  if (!chosen.delete(name)) chosen.add(name);
  go({ presence: PRESENCES.filter((each) => chosen.has(each)).join(",") });
}

function toggleFlag(name) {
  go({ [name]: state()[name] === "true" ? "" : "true" });
}
