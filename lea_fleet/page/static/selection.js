// The machines of the list that are selected, and the bar to act on all of them.

import { button, el, replaceKeepingFocus } from "./dom.js";
import { t } from "./i18n.js";
import { wanted } from "./wanted.js";

const ACTIONS = ["release", "tag", "note", "mute", "retire", "uninstall", "block"];
const MENU = "bulk-actions"; // the id of the menu
export const DANGEROUS = ["uninstall", "block"];

export class Selection {
  // `changed` is called when the boxes of the list have to be shown anew, `act` with the
  // name of an action and with what is selected, as the API takes it.
  constructor(changed, act) {
    this.changed = changed;
    this.act = act;
    this.ids = new Set();
    this.isAll = false;
    this.found = 0;
    this.agents = [];
    this.bar = el("div", { class: "chosen" });
    this.element = el("div", {
      class: "selection",
      role: "region",
      "aria-label": t("select.title"),
      hidden: true,
    });
  }

  // Forget what is selected if the list has other filters by now.
  follow() {
    const asked = JSON.stringify(wanted());
    if (asked !== this.asked) this.clear();
    this.asked = asked;
  }

  // `agents` are those on the page, `found` is the number of all that the filters find.
  show(agents, found) {
    this.agents = agents;
    this.found = found;
    this.#fill();
  }

  has({ id }) {
    return this.isAll || this.ids.has(id);
  }

  get hasPage() {
    return this.agents.length > 0 && this.agents.every((agent) => this.has(agent));
  }

  // The box of one machine.
  box(agent) {
    const { id, machine_id: machine } = agent;
    return el("input", {
      type: "checkbox",
      checked: this.has(agent),
      "aria-label": t("select.one", { machine }),
      data: { key: `select-${id}` },
      on: { change: (event) => this.#choose([agent], event.target.checked) },
    });
  }

  // The box of all machines on the page.
  pageBox() {
    return el("input", {
      type: "checkbox",
      checked: this.hasPage,
      "aria-label": t("select.page"),
      data: { key: "select-page" },
      on: { change: (event) => this.#choose(this.agents, event.target.checked) },
    });
  }

  clear() {
    this.ids.clear();
    this.isAll = false;
    this.#fill();
  }

  #choose(agents, isChosen) {
    if (this.isAll) this.ids = new Set(this.agents.map(({ id }) => id));
    this.isAll = false;
    for (const { id } of agents) {
      if (isChosen) this.ids.add(id);
      else this.ids.delete(id);
    }
    this.#fill();
    this.changed();
  }

  #chooseAll() {
    this.isAll = true;
    this.#fill();
    this.changed();
  }

  #fill() {
    const n = this.isAll ? this.found : this.ids.size;
    this.element.hidden = n === 0;
    if (n === 0) return this.element.replaceChildren();
    const rest = !this.isAll && this.hasPage && this.found > n;
    replaceKeepingFocus(
      this.bar,
      el("strong", { role: "status" }, t("select.chosen", { n })),
      rest && button(t("select.all", { n: this.found }), () => this.#chooseAll(), { data: { key: "select-all" } }),
      el("button", { type: "button", class: "opener", popovertarget: MENU, data: { key: "bulk" } }, t("select.act")),
      button(t("select.none"), () => [this.clear(), this.changed()], { class: "quiet", data: { key: "select-none" } }),
    );
    // The menu is not made anew: a refresh of the list would close it.
    if (!this.element.firstChild) this.element.append(this.bar, this.#menu());
  }

  // Above all else, so that a short list does not cut it off. The browser closes it, at
  // Escape or a click elsewhere.
  #menu() {
    const item = (label, name) =>
      button(label, () => [menu.hidePopover(), this.act(name, this.#chosen())], {
        class: DANGEROUS.includes(name) ? "danger-quiet" : "",
        data: { key: `bulk-${name}` },
      });
    const items = [ACTIONS.map((name) => item(t(name), name)), item(t("list.csv"), "csv")];
    const menu = el("div", { class: "menu", id: MENU, popover: "auto" }, items);
    return menu;
  }

  // What is selected, as the API takes it. Beside the ids are the filters, so that a machine
  // that they no longer find is left alone.
  #chosen() {
    return { ...(this.isAll ? {} : { ids: [...this.ids] }), filter: wanted() };
  }
}
