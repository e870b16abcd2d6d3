// The button that opens the statistics, and their place. This browser remembers whether
// they are open.

import { button, el } from "./dom.js";
import { explain } from "./failures.js";
import { need, t } from "./i18n.js";
import { loaded } from "./on_demand.js";

const KEPT = "lea_fleet_statistics";
const PLACE = "statistics";

export class Foldable {
  constructor() {
    this.statistics = null;
    this.place = el("section", { id: PLACE, "aria-label": t("statistics"), hidden: true });
    this.button = button(t("statistics"), () => this.#toggle(), {
      class: "fold",
      "aria-controls": PLACE,
      "aria-expanded": "false",
    });
    this.isOpen = localStorage.getItem(KEPT) === "open";
  }

  async show(summary) {
    this.summary = summary;
    this.button.setAttribute("aria-expanded", String(this.isOpen));
    this.place.hidden = !this.isOpen;
    if (!this.isOpen) return;
    if (this.statistics === null) {
      const parts = await this.#load();
      if (parts === undefined) return;
      const [{ Statistics }] = parts;
      this.statistics ??= new Statistics();
      this.place.replaceChildren(this.statistics.element);
    }
    this.statistics.show(summary);
  }

  // Resolves to nothing, and says so, if the server is away; the next refresh tries again.
  async #load() {
    try {
      return await loaded(Promise.all([import("./statistics.js"), need("statistics")]));
    } catch (failure) {
      this.place.replaceChildren(explain(failure));
    }
  }

  #toggle() {
    this.isOpen = !this.isOpen;
    if (this.isOpen) localStorage.setItem(KEPT, "open");
    else localStorage.removeItem(KEPT);
    if (this.summary) this.show(this.summary);
  }
}
