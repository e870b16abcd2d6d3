// What needs an operator, a section for each kind, and the alerts of the last day.

import { alerts } from "./alerts.js";
import { get } from "./api.js";
import { el, replaceKeepingFocus } from "./dom.js";
import { number } from "./format.js";
import { t } from "./i18n.js";
import { blocked, muted, replaced, retiring } from "./kept.js";
import { refused } from "./refused.js";

// Each has a `name`, the `path` and `query` of what it lists, and `items`, which makes the
// answer into list items. `above`, if it has one, makes what stands above them. Both get
// `act`, which runs one of the operator's actions.
const SECTIONS = [refused, replaced, blocked, retiring, muted, alerts];

export class AttentionView {
  // `refresh` requests all data shown from the server again.
  constructor(refresh) {
    this.refreshAll = refresh;
    this.heading = el("h1", { tabindex: "-1" }, t("attention.title"));
    this.said = el("div", { role: "status" });
    this.sections = el("div", { class: "view" }, el("p", { class: "hint" }, t("loading")));
    this.element = el(
      "div",
      { class: "view attention" },
      this.heading,
      el("p", { class: "lead" }, t("attention.lead")),
      this.said,
      this.sections,
    );
  }

  showState() {}

  async refresh(signal) {
    const answers = await Promise.all(
      SECTIONS.map(({ path, query }) => get(path, { query, signal })),
    );
    if (signal.aborted) return;
    const act = (action) => this.#act(action);
    const shown = SECTIONS.map((section, index) => card(section, answers[index], act));
    const calm = el("p", { class: "card calm" }, t("attention.calm"));
    const isCalm = shown.slice(0, -1).every((each) => each === null);
    replaceKeepingFocus(this.sections, isCalm && calm, shown);
  }

  async #act(action) {
    const said = await action();
    if (!said) return;
    this.said.replaceChildren(el("div", { class: "notice good" }, said));
    this.heading.focus();
    this.refreshAll();
  }
}

// A section with its items, or null if it has neither items nor anything above them.
function card({ name, items, above }, answer, act) {
  const lines = items(answer, act);
  const first = above?.(answer, act) ?? [];
  if (lines.length === 0 && first.length === 0) return null;
  const isCut = Boolean(answer.next_cursor);
  const title = `${name}-title`;
  return el(
    "section",
    { class: "card", "aria-labelledby": title },
    el(
      "h2",
      { id: title },
      t(`attention.${name}`),
      lines.length > 0 && el("span", { class: "share" }, ` ${number(lines.length)}${isCut ? "+" : ""}`),
    ),
    el("p", { class: "hint" }, t(`attention.${name}.means`)),
    first,
    el("ul", { class: "items" }, lines),
    isCut && el("p", { class: "hint" }, t("attention.more", { n: lines.length })),
  );
}
