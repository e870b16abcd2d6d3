// The machines view: overview, filters and list.

import { state } from "./address.js";
import { Failure, get } from "./api.js";
import { el } from "./dom.js";
import { inOneLine } from "./failures.js";
import { Filters } from "./filters.js";
import { need, t } from "./i18n.js";
import { MachineList } from "./list.js";
import { Overview } from "./overview.js";
import { isKnown } from "./saved.js";
import { SavedViews } from "./views.js";
import { query } from "./wanted.js";

export class MachinesView {
  // `refresh` requests all data shown from the server again.
  constructor(refresh) {
    this.refreshAll = refresh;
    this.said = el("div", { class: "said", role: "status" });
    this.overview = new Overview();
    this.views = new SavedViews();
    this.filters = new Filters();
    this.list = new MachineList((name, chosen) => this.#act(name, chosen));
    this.element = el(
      "div",
      { class: "view" },
      el("h1", { class: "unseen" }, t("nav.machines")),
      this.overview.element,
      el(
        "section",
        { class: "card machines", "aria-label": t("list.title") },
        this.views.element,
        this.filters.element,
        this.said,
        this.list.element,
      ),
    );
  }

  showState() {
    this.views.showState();
    this.filters.showState();
    this.list.showState();
  }

  // Act on all machines that are selected. It is loaded when it is needed.
  async #act(name, chosen) {
    this.said.replaceChildren();
    try {
      const [{ actOnAll, exportAll }] = await Promise.all([import("./bulk.js"), need("bulk")]);
      if (name === "csv") return await exportAll(chosen);
      if (!(await actOnAll(name, chosen))) return;
      this.list.selection.clear();
      this.refreshAll();
    } catch (failure) {
      if (!(failure instanceof Failure)) throw failure;
      this.said.replaceChildren(el("p", { class: "notice bad" }, inOneLine(failure)));
    }
  }

  async refresh(signal) {
    const learning = this.views.refresh(signal);
    // Without the view in the address, it is not known what to ask for.
    if (state().saved && !isKnown()) {
      await learning;
      this.showState();
    }
    const [summary, listing] = await Promise.all([
      get("/fleet/summary", { signal }),
      get("/fleet", { query: query(), signal }),
      learning,
    ]);
    if (signal.aborted) return;
    this.overview.show(summary);
    this.filters.show(summary, listing.totals);
    this.list.show(listing, summary.totals.total);
  }
}
