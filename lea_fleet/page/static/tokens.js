// The enrollment tokens: those that are valid, or all.

import { leadsTo, UNFILTERED } from "./address.js";
import { get, remove } from "./api.js";
import { confirm } from "./dialogs.js";
import { button, cell, el, foreign, replaceKeepingFocus } from "./dom.js";
import { explain } from "./failures.js";
import { time, timeAgo } from "./format.js";
import { phrase, t } from "./i18n.js";
import { loaded } from "./on_demand.js";
import { mayChange } from "./who.js";

const COLUMNS = ["id", "label", "state", "uses", "expires", "created", "action"];
const NEARLY = 0.9; // of the machines

export class TokensView {
  constructor() {
    this.tokens = [];
    this.said = el("div", { role: "status" });
    this.rows = el("tbody", { role: "rowgroup" });
    this.table = el(
      "table",
      { class: "list", role: "table", "aria-label": t("tokens.title"), hidden: true },
      el("thead", { role: "rowgroup" }, el("tr", { role: "row" }, COLUMNS.map(head))),
      this.rows,
    );
    this.nothing = el("p", { class: "nothing", hidden: true });
    this.all = el("input", { type: "checkbox", on: { change: () => this.#fill() } });
    this.create = button(t("tokens.new"), () => this.#create(), {
      class: "primary",
      hidden: true,
      data: { key: "create" },
    });
    this.element = el(
      "div",
      { class: "view" },
      el(
        "div",
        { class: "row" },
        el("h1", {}, t("tokens.title")),
        el("label", { class: "check" }, this.all, t("tokens.all")),
        this.create,
      ),
      el("p", { class: "lead" }, t("tokens.lead")),
      this.said,
      el("div", { class: "card tokens" }, this.table, this.nothing),
    );
  }

  showState() {}

  async refresh(signal) {
    const { enrollment_tokens: tokens } = await get("/enrollment-tokens", { signal });
    if (signal?.aborted) return;
    this.tokens = tokens;
    this.create.hidden = !mayChange();
    this.#fill();
  }

  #fill() {
    const shown = this.tokens.filter(({ state }) => this.all.checked || state === "active");
    this.table.hidden = shown.length === 0;
    this.nothing.hidden = shown.length > 0;
    this.nothing.textContent = t(this.tokens.length > 0 ? "tokens.none" : "tokens.empty");
    replaceKeepingFocus(this.rows, shown.map((token) => this.#row(token)));
  }

  #row(token) {
    const { label, state, created_at: created, expires_at: expires } = token;
    const name = label ? foreign(label, { class: "clamp" }) : t("tokens.unnamed");
    const tags = token.tags.length > 0 && el("span", { class: "under" }, foreign(token.tags.join(", ")));
    return el(
      "tr",
      { role: "row", class: state === "active" ? "" : "gone" },
      cell("id", String(token.id)),
      cell("label", name, tags),
      cell("state", el("span", { class: `badge ${state}` }, t(`tokens.state.${state}`))),
      cell("uses", usage(token)),
      cell("expires", expires ? [time(expires), el("span", { class: "under" }, timeAgo(expires))] : t("tokens.never")),
      cell("created", timeAgo(created)),
      cell("action", state === "active" && mayChange() && this.#revokeButton(token)),
    );
  }

  #revokeButton(token) {
    const { id, label } = token;
    return button(t("tokens.revoke"), () => this.#revoke(token), {
      class: "danger-quiet",
      data: { key: String(id) },
      "aria-label": t("tokens.revoke.named", { number: String(id), label: label || t("tokens.unnamed") }),
    });
  }

  // The dialog is loaded when it is needed.
  async #create() {
    this.said.replaceChildren();
    try {
      const { createToken } = await loaded(import("./new_token.js"));
      if (await createToken()) await this.refresh();
    } catch (failure) {
      this.said.replaceChildren(explain(failure));
    }
  }

  async #revoke({ id, label }) {
    const number = String(id);
    const done = await confirm({
      title: phrase("tokens.revoke.title", {
        number,
        label: label ? foreign(label) : t("tokens.unnamed"),
      }),
      text: t("tokens.revoke.text"),
      label: t("tokens.revoke.do", { number }),
      danger: true,
      act: async () => {
        await remove(`/enrollment-tokens/${id}`);
        await this.refresh();
        return true;
      },
    });
    if (!done) return;
    const said = t("tokens.revoke.done", { number });
    this.said.replaceChildren(el("p", { class: "notice good" }, said));
  }
}

function head(name) {
  return el("th", { scope: "col", role: "columnheader" }, t(`tokens.column.${name}`));
}

// How many machines it has enrolled: a bar, and a link to those that still are.
function usage({ id, uses, max_uses: most }) {
  const text = t("tokens.used", { uses, most });
  const machines = { view: "", machine: "", ...UNFILTERED, enrollment_token: String(id) };
  const bar = el("meter", { value: uses, max: most, high: most * NEARLY, optimum: 0, "aria-label": text });
  return [uses > 0 ? el("a", { ...leadsTo(machines), data: { key: `uses-${id}` } }, text) : text, bar];
}
