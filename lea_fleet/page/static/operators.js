// The operators with a name: creating, listing, revoking.

import { Failure, get, post, remove } from "./api.js";
import { sending } from "./actions.js";
import { showSecret } from "./dialogs.js";
import { button, el, field, foreign, replaceKeepingFocus, select } from "./dom.js";
import { explain } from "./failures.js";
import { durationOf, time, timeAgo } from "./format.js";
import { phrase, t } from "./i18n.js";
import { item } from "./items.js";

const ROLES = ["viewer", "operator", "admin"];

export class OperatorsView {
  constructor() {
    this.name = el("input", { id: "name", maxlength: 255, autocomplete: "off" });
    const roles = ROLES.map((role) => [role, t(`operators.role.${role}`)]);
    this.role = select("role", roles, "viewer", (role) => this.#onRole(role));
    this.expires = select("expires", lifetimes(), "90d");
    this.personal = el("input", { id: "personal", type: "checkbox", checked: true });
    this.said = el("div", { role: "status" });
    this.list = el("ul", { class: "items" });
    this.nothing = el("p", { class: "hint", hidden: true }, t("operators.none"));
    this.element = el(
      "div",
      { class: "view" },
      el("h1", {}, t("operators.title")),
      el("p", { class: "lead" }, t("operators.lead")),
      el(
        "form",
        { class: "card new-token", novalidate: true, on: { submit: (event) => this.#onSubmit(event) } },
        el("h2", {}, t("operators.new")),
        field(t("operators.name"), this.name, t("operators.name.hint")),
        field(t("operators.role"), this.role),
        field(t("tokens.expires"), this.expires),
        el("button", { type: "submit", class: "primary" }, t("operators.create")),
        el("label", { class: "check" }, this.personal, t("operators.personal")),
        this.said,
      ),
      el("div", { class: "card" }, this.list, this.nothing),
    );
  }

  showState() {}

  async refresh(signal) {
    const { operators } = await get("/operators", { signal });
    this.nothing.hidden = operators.length > 0;
    replaceKeepingFocus(this.list, operators.map((operator) => this.#line(operator)));
  }

  // Whoever changes machines sees whose they are.
  #onRole(role) {
    this.personal.disabled = role !== "viewer";
    if (this.personal.disabled) this.personal.checked = true;
  }

  #line(operator) {
    const { id, name, role, state, created_at: created, expires_at: expires, last_used_at: used } = operator;
    const limit = operator.personal ? "" : ` – ${t("operators.no_personal")}`;
    const revoke = button(t("operators.revoke"), () => this.#revoke(operator), {
      class: "danger-quiet",
      data: { key: String(id) },
      "aria-label": `${t("operators.revoke")}: ${name}`,
    });
    const dates = { created: timeAgo(created), expires: expires && time(expires) };
    return item(
      [el("strong", {}, foreign(name)), " ", el("span", { class: `badge ${state}` }, t(`operators.state.${state}`))],
      [
        t(`operators.role.${role}`) + limit,
        phrase(expires ? "operators.dates" : "operators.never_expires", dates),
        used ? phrase("operators.used", { when: timeAgo(used) }) : t("operators.unused"),
      ],
      state === "revoked" ? [] : revoke,
    );
  }

  async #onSubmit(event) {
    event.preventDefault();
    this.said.replaceChildren();
    const name = this.name.value.trim();
    this.name.setAttribute("aria-invalid", String(name === ""));
    if (name === "") {
      this.said.replaceChildren(el("p", { class: "notice bad" }, t("operators.name.missing")));
      return this.name.focus();
    }
    try {
      const { checked: personal } = this.personal;
      const wanted = { name, role: this.role.value, personal, expires: this.expires.value };
      const { token } = await post("/operators", wanted);
      this.name.value = "";
      await Promise.all([showSecret(phrase("operators.made", { name: foreign(name) }), token), this.refresh()]);
    } catch (failure) {
      if (!(failure instanceof Failure)) throw failure;
      this.said.replaceChildren(explain(failure));
    }
  }

  async #revoke({ id, name }) {
    const send = async () => {
      await remove(`/operators/${id}`);
      await this.refresh();
    };
    const said = await sending("operators.revoke", name, send, { danger: true });
    if (said) this.said.replaceChildren(el("p", { class: "notice good" }, said));
  }
}

function lifetimes() {
  const days = [1, 7, 30, 90, 365].map((n) => [`${n}d`, durationOf(`${n}d`)]);
  return [...days, ["never", t("tokens.never")]];
}
