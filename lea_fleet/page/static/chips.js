// The filters that are chosen, each in a chip that removes it.

import { go } from "./address.js";
import { button, el, replaceKeepingFocus, visible } from "./dom.js";
import { durationOf } from "./format.js";
import { t } from "./i18n.js";
import { chosen, clear } from "./wanted.js";

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

function labelOf(name, value) {
  if (value === "true") return t(`filter.${name}`);
  if (value === "false") return t("filter.not", { filter: t(`filter.${name}`) });
  if (name === "presence") return value.split(",").map((each) => t(`presence.${each}`)).join(", ");
  if (name === "status") return t(`filter.status.${value}`);
  const shown = name === "silent_for" ? durationOf(value) : visible(value);
  return t(`filter.${name}`, { value: shown });
}
