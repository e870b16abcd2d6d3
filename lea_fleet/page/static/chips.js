// The filters that are chosen, each in a chip that removes it.

import { go } from "./address.js";
import { button, el, replaceKeepingFocus, visible } from "./dom.js";
import { durationOf } from "./format.js";
import { has, t } from "./i18n.js";
import { presenceNames } from "./presence.js";
import { chosen, clear } from "./wanted.js";

// The filters whose text names their value; the others are true or false.
const VALUED = ["machine_id", "q", "tag", "version", "enrollment_token"];

export class Chips {
  constructor() {
    this.found = el("p", { class: "found", role: "status" });
    this.chips = el("div", { class: "chips" });
    this.element = el("div", { class: "chosen-filters", hidden: true }, this.found, this.chips);
  }

  showState() {
    const filters = chosen();
    this.element.hidden = filters.length === 0;
    const remove = ([name, value]) => {
      const label = labelOf(name, value);
      const how = { class: "chip", "aria-label": t("filter.remove", { filter: label }), data: { key: `chip-${name}` } };
      return button(el("span", {}, label), () => go({ [name]: "" }), how);
    };
    replaceKeepingFocus(
      this.chips,
      filters.map(remove),
      button(t("list.clear"), clear, { class: "quiet", data: { key: "chip-clear" } }),
    );
  }

  show(n) {
    const found = t("list.found", { n });
    if (this.found.textContent !== found) this.found.textContent = found;
  }
}

// An address may have any value: what cannot be, the server refuses, and it can be removed.
function labelOf(name, value) {
  if (name === "presence") return presenceNames(value);
  if (name === "status") return has(`filter.status.${value}`) ? t(`filter.status.${value}`) : visible(value);
  if (name === "silent_for") return t("filter.silent_for", { value: durationOf(value) });
  if (VALUED.includes(name)) return t(`filter.${name}`, { value: visible(value) });
  const filter = t(`filter.${name}`);
  return value === "false" ? t("filter.not", { filter }) : filter;
}
