// The machines view: overview, filters and list.

import { get } from "./api.js";
import { el } from "./dom.js";
import { Filters } from "./filters.js";
import { t } from "./i18n.js";
import { MachineList } from "./list.js";
import { Overview } from "./overview.js";
import { query } from "./wanted.js";

export class MachinesView {
  constructor() {
    this.overview = new Overview();
    this.filters = new Filters();
    this.list = new MachineList();
    this.element = el(
      "div",
      { class: "view" },
      el("h1", { class: "unseen" }, t("nav.machines")),
      this.overview.element,
      el(
        "section",
        { class: "card machines", "aria-label": t("list.title") },
        this.filters.element,
        this.list.element,
      ),
    );
  }

  showState() {
    this.filters.showState();
    this.list.showState();
  }

  async refresh(signal) {
    const [summary, listing] = await Promise.all([
      get("/fleet/summary", { signal }),
      get("/fleet", { query: query(), signal }),
    ]);
    if (signal.aborted) return;
    this.overview.show(summary);
    this.filters.show(summary, listing.totals);
    this.list.show(listing, summary.totals.total);
  }
}
