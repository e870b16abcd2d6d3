// The enrollment tokens: creating, listing, revoking.

import { Failure, get, post, remove } from "./api.js";
import { confirm, showSecret } from "./dialogs.js";
import { button, el, field, foreign, replaceKeepingFocus, select } from "./dom.js";
import { explain } from "./failures.js";
import { time, timeAgo } from "./format.js";
import { phrase, t } from "./i18n.js";
import { split } from "./tags.js";
import { mayChange } from "./who.js";

const COLUMNS = ["id", "label", "state", "uses", "expires", "created", "action"];
const MOST_USES = 1_000_000;

export class TokensView {
  constructor() {
    this.label = el("input", { id: "label", maxlength: 255, autocomplete: "off" });
    this.expires = select("expires", lifetimes(), "7d");
    this.uses = el("input", { id: "uses", inputmode: "numeric", value: "100" });
    this.tags = el("input", { id: "token-tags", autocomplete: "off", spellcheck: "false" });
    this.said = el("div", { role: "status" });
    this.rows = el("tbody", { role: "rowgroup" });
    this.table = el(
      "table",
      { class: "list", role: "table", "aria-label": t("tokens.title"), hidden: true },
      el(
        "thead",
        { role: "rowgroup" },
        el(
          "tr",
          { role: "row" },
          COLUMNS.map((name) =>
            el("th", { scope: "col", role: "columnheader" }, t(`tokens.column.${name}`)),
          ),
        ),
      ),
      this.rows,
    );
    this.nothing = el("div", { class: "nothing", hidden: true });
    this.form = el(
      "form",
      { class: "card new-token", novalidate: true, on: { submit: (event) => this.#onSubmit(event) } },
      el("h2", {}, t("tokens.new")),
      field(t("tokens.label"), this.label, t("tokens.label.hint")),
      field(t("tokens.expires"), this.expires),
      field(t("tokens.uses"), this.uses),
      field(t("tokens.tags"), this.tags, t("tag.add.hint")),
      el("button", { type: "submit", class: "primary" }, t("tokens.create")),
      this.said,
    );
    this.element = el(
      "div",
      { class: "view" },
      el("h1", {}, t("tokens.title")),
      el("p", { class: "lead" }, t("tokens.lead")),
      this.form,
      el("div", { class: "card tokens" }, this.table, this.nothing),
    );
    this.nothing.append(
      el("h3", {}, t("tokens.empty.title")),
      el("p", {}, t("tokens.empty.do")),
    );
  }

  showState() {}

  async refresh(signal) {
    const { enrollment_tokens: tokens } = await get("/enrollment-tokens", { signal });
    this.form.hidden = !mayChange();
    this.table.hidden = tokens.length === 0;
    this.nothing.hidden = tokens.length > 0;
    replaceKeepingFocus(this.rows, tokens.map((token) => this.#row(token)));
  }

  #row(token) {
    const { id, label, state, uses, max_uses: most } = token;
    const cell = (name, ...content) =>
      el("td", { role: "cell", class: name }, el("span", { class: "cell" }, ...content));
    const cut = { class: "clamp" };
    const name = label ? foreign(label, cut) : t("tokens.unnamed");
    const ends = token.expires_at ? time(token.expires_at) : t("tokens.never");
    const revoke = button(t("tokens.revoke"), () => this.#revoke(token), {
      class: "danger-quiet",
      data: { key: String(id) },
      "aria-label": t("tokens.revoke.named", { number: String(id), label: label || t("tokens.unnamed") }),
    });
    return el(
      "tr",
      { role: "row", class: state === "active" ? "" : "gone" },
      cell("id", String(id)),
      cell("label", name, token.tags.length > 0 && el("span", { class: "under" }, foreign(token.tags.join(", ")))),
      cell("state", el("span", { class: `badge ${state}` }, t(`tokens.state.${state}`))),
      cell("uses", t("tokens.used", { uses, most })),
      cell("expires", ends),
      cell("created", timeAgo(token.created_at)),
      cell("action", state === "revoked" || !mayChange() ? "" : revoke),
    );
  }

  async #onSubmit(event) {
    event.preventDefault();
    this.said.replaceChildren();
    const uses = Number(this.uses.value.replace(/[\s\u00a0\u202f,]/g, ""));
    const isWrong = !Number.isInteger(uses) || uses < 1 || uses > MOST_USES;
    this.uses.setAttribute("aria-invalid", String(isWrong));
    if (isWrong) {
      this.said.replaceChildren(el("p", { class: "notice bad" }, t("tokens.uses.wrong")));
      return this.uses.focus();
    }
    const label = this.label.value.trim();
    try {
      const tags = split(this.tags.value);
      const wanted = { label, expires: this.expires.value, max_uses: uses, tags };
      const { setupPart } = await import("./setup.js"); // seldom needed
      const { token } = await post("/enrollment-tokens", wanted);
      this.label.value = "";
      const title = label
        ? phrase("tokens.made.named", { label: foreign(label) })
        : t("tokens.made");
      await Promise.all([showSecret(title, token, setupPart(token)), this.refresh()]);
    } catch (failure) {
      if (!(failure instanceof Failure)) throw failure;
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

function lifetimes() {
  const days = [1, 7, 30, 90].map((n) => [`${n}d`, t("list.silent.days", { n })]);
  return [["12h", t("list.silent.hours", { n: 12 })], ...days, ["never", t("tokens.never")]];
}
