// The toolbar, which stays in sight: what is searched for and filtered by, the age of the
// data, and why it could not be refreshed.

import { Chips } from "./chips.js";
import { el } from "./dom.js";
import { Filters } from "./filters.js";
import { t } from "./i18n.js";
import { More } from "./more.js";

// Below this width, in pixels, there is no room for the filters beside the search: they are
// in the menu.
const ROOMY = 980;

export class Toolbar {
  // `views` are the saved views, `selection` is the bar of the selected machines.
  constructor(views, selection) {
    this.filters = new Filters();
    this.chips = new Chips();
    this.said = el("p", { class: "said", role: "status" });
    this.more = new More(views.actions, (said) => (this.said.textContent = said));
    this.filters.element.prepend(views.choice);
    this.status = el("div", { class: "status" });
    this.row = el(
      "form",
      { class: "tools", role: "search", on: { submit: (event) => event.preventDefault() } },
      this.filters.search,
      this.more.element,
      this.status,
    );
    this.element = el(
      "div",
      { class: "toolbar" },
      this.row,
      views.notice,
      views.said,
      this.said,
      this.chips.element,
      selection,
    );
    this.more.element.before(this.filters.element);
    new ResizeObserver(() => this.#fit()).observe(this.element);
  }

  showState() {
    this.filters.showState();
    this.more.showState();
    this.chips.showState();
  }

  show(summary, totals) {
    this.filters.show(summary);
    this.chips.show(totals.total);
  }

  // Place the filters where there is room for them, and tell the style sheet the height: the
  // head of the list sticks below the toolbar, and what has the focus is not under it.
  #fit() {
    const { element } = this.filters;
    const isRoomy = this.element.offsetWidth >= ROOMY;
    if (isRoomy !== (element.parentElement === this.row)) {
      if (isRoomy) this.more.element.before(element);
      else this.more.menu.prepend(element);
      this.more.opener.textContent = t(isRoomy ? "list.more" : "list.filters");
    }
    document.documentElement.style.setProperty("--toolbar", `${this.element.offsetHeight}px`);
  }
}
