// What an empty fleet shows: how its first machine comes.

import { leadsTo } from "./address.js";
import { el, replaceKeepingFocus } from "./dom.js";
import { t } from "./i18n.js";
import { mayChange } from "./who.js";

const STEPS = ["token", "setup", "wait"];

export class Start {
  constructor() {
    this.element = el("section", { class: "card start", "aria-labelledby": "start-title", hidden: true });
  }

  show() {
    const leads = { ...leadsTo({ view: "tokens" }), class: "button primary", data: { key: "start" } };
    const link = el("a", leads, t("start.token.action"));
    const step = (name) =>
      el("li", {}, el("h3", {}, t(`start.${name}`)), el("p", {}, t(`start.${name}.how`)), name === "token" && mayChange() && link);
    replaceKeepingFocus(
      this.element,
      el("h2", { id: "start-title" }, t("start.title")),
      el("ol", {}, STEPS.map(step)),
    );
  }
}
