// The machines view: the strip, what to do, the toolbar and the list.

import { state } from "./address.js";
import { Failure, get } from "./api.js";
import { el } from "./dom.js";
import { inOneLine } from "./failures.js";
import { Foldable } from "./foldable.js";
import { need, t } from "./i18n.js";
import { MachineList } from "./list.js";
import { loaded } from "./on_demand.js";
import { isKnown } from "./saved.js";
import { Start } from "./start.js";
import { Strip } from "./strip.js";
import { ToDo } from "./todo.js";
import { Toolbar } from "./toolbar.js";
import { SavedViews } from "./views.js";
import { query } from "./wanted.js";

export class MachinesView {
  // `refresh` requests all data shown from the server again.
  constructor(refresh) {
    this.refreshAll = refresh;
    this.said = el("div", { class: "said", role: "status" });
    this.strip = new Strip();
    this.foldable = new Foldable();
    this.todo = new ToDo();
    this.views = new SavedViews();
    this.start = new Start();
    this.list = new MachineList((name, chosen) => this.#act(name, chosen));
    this.toolbar = new Toolbar(this.views, this.list.selection.element);
    this.figures = el("div", { class: "figures" }, this.strip.element, this.foldable.button);
    this.fleet = el(
      "section",
      { class: "machines", id: "list", tabindex: "-1", "aria-label": t("list.title") },
      this.toolbar.element,
      this.said,
      this.list.element,
    );
    this.element = el(
      "div",
      { class: "view" },
      el("h1", { class: "unseen" }, t("nav.machines")),
      this.figures,
      this.foldable.place,
      this.todo.element,
      this.start.element,
      this.fleet,
    );
  }

  showState() {
    this.views.showState();
    this.strip.showState();
    this.toolbar.showState();
    this.list.showState();
  }

  onKey(event) {
    if (!this.fleet.hidden) this.toolbar.filters.onKey(event);
  }

  // Where the age of the data is shown, if it is in the toolbar.
  get status() {
    return this.fleet.hidden ? undefined : this.toolbar.status;
  }

  // The machines before and after one in the list, if there are any.
  beside(machine) {
    const names = this.list.agents.map((agent) => agent.machine_id);
    const at = names.indexOf(machine);
    return at < 0 ? [] : [names[at - 1], names[at + 1]];
  }

  // Act on all machines that are selected. It is loaded when it is needed.
  async #act(name, chosen) {
    this.said.replaceChildren();
    try {
      const parts = Promise.all([import("./bulk.js"), need("actions", "bulk")]);
      const [{ actOnAll, exportAll }] = await loaded(parts);
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
    this.#show(summary, listing);
    await this.todo.refresh(signal);
  }

  // Whoever asks for a refresh means what is to do, too.
  expire() {
    this.todo.expire();
  }

  #show(summary, listing) {
    const isEmpty = summary.totals.total === 0;
    this.start.element.hidden = !isEmpty;
    for (const part of [this.figures, this.fleet]) part.hidden = isEmpty;
    if (isEmpty) {
      this.foldable.place.hidden = true;
      return this.start.show();
    }
    this.strip.show(summary);
    this.foldable.show(summary);
    this.toolbar.show(summary, listing.totals);
    this.list.show(listing);
  }
}
