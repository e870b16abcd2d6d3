// What needs an operator, above the list: only what there is, each a link to it.

import { leadsTo, UNFILTERED } from "./address.js";
import { changes, get } from "./api.js";
import { el, replaceKeepingFocus } from "./dom.js";
import { number } from "./format.js";
import { t } from "./i18n.js";

// Counting reads the whole fleet, so it is asked for again only after this many
// milliseconds, or after the operator has changed something.
const EVERY = 300_000;

const LIST = { view: "", machine: "", ...UNFILTERED };
const LEADS = {
  refused: { view: "attention" },
  suspected_clones: { ...LIST, suspected_clone: "true" },
  duplicates: { view: "attention" },
  stale: { ...LIST, presence: "stale", muted: "false" },
  enrollment_tokens: { view: "tokens" },
  releases: { ...LIST, released: "true" },
  messages: { view: "attention" },
};

export class ToDo {
  constructor() {
    this.items = el("ul", {});
    this.element = el(
      "section",
      { class: "todo", "aria-labelledby": "todo-title", hidden: true },
      el("h2", { id: "todo-title" }, t("todo")),
      this.items,
    );
  }

  // Count anew at the next refresh, however soon that is.
  expire() {
    this.at = -Infinity;
  }

  async refresh(signal) {
    const isKnown = this.changes === changes() && performance.now() - this.at < EVERY;
    if (isKnown) return;
    const [before, at] = [changes(), performance.now()];
    const counts = await get("/attention", { signal });
    if (signal.aborted) return;
    Object.assign(this, { at, changes: before });
    const items = Object.keys(LEADS).filter((name) => counts[name] > 0);
    this.element.hidden = items.length === 0;
    replaceKeepingFocus(this.items, items.map((name) => item(name, counts[name])));
  }
}

function item(name, n) {
  const link = { ...leadsTo(LEADS[name]), data: { key: `todo-${name}` } };
  return el("li", {}, el("a", link, el("strong", {}, number(n)), " ", t(`todo.${name}`, { n })));
}
