// The saved views of the list: to choose, save, change, share and delete.

import { go, LISTING, NOTHING, ofView, state } from "./address.js";
import { areChanged } from "./columns.js";
import { button, el, replaceKeepingFocus, select, visible } from "./dom.js";
import { inOneLine } from "./failures.js";
import { need, t } from "./i18n.js";
import { loaded } from "./on_demand.js";
import * as saved from "./saved.js";
import { mayChange, mayMakeOperators } from "./who.js";

export class SavedViews {
  constructor() {
    this.choice = select("saved", [["", t("views.none")]], "", (id) => open(id));
    this.choice.setAttribute("aria-label", t("views"));
    this.actions = el("div", { class: "view-actions" });
    this.notice = el("p", { class: "notice bad", role: "status", hidden: true });
    this.said = el("p", { class: "said", role: "status" });
  }

  async refresh(signal) {
    const { saved: id, cursor } = state();
    const before = saved.filtersOf(id)?.toString();
    await saved.learn(signal);
    const now = saved.filtersOf(id)?.toString();
    // Somebody has changed it: the list is another one, of which this is no cursor.
    if (before !== undefined && now !== before) go(cursor ? { cursor: "", page: "" } : {}, { replace: true });
    this.showState();
  }

  showState() {
    const { saved: id } = state();
    const view = saved.view(id);
    this.#offer(view ? id : "");
    const buttons = [
      button(t("views.save"), () => this.#act("save"), { data: { key: "views.save" } }),
      ...(view && mayEdit(view) ? this.#buttons(view) : []),
    ];
    replaceKeepingFocus(this.actions, buttons);
    const fault = view?.fault ?? null;
    const isUnknown = id !== "" && saved.isKnown() && !view;
    this.notice.hidden = !isUnknown && fault === null;
    const why = isUnknown ? t("views.unknown") : t("views.fault", { fault: visible(fault ?? "") });
    if (this.notice.textContent !== why) this.notice.textContent = this.notice.hidden ? "" : why;
  }

  #offer(chosen) {
    const views = saved.all();
    const option = (view) => el("option", { value: view.id }, visible(label(view)));
    const group = (name, shared) => {
      const members = views.filter((view) => view.shared === shared);
      return members.length > 0 && el("optgroup", { label: t(name) }, members.map(option));
    };
    const offered = [
      el("option", { value: "" }, t("views.none")),
      group("views.private", false),
      group("views.shared", true),
    ].filter(Boolean);
    // A list that is open would close.
    const told = JSON.stringify(views.map((view) => [view.id, label(view), view.shared]));
    if (told !== this.told) this.choice.replaceChildren(...offered);
    this.told = told;
    this.choice.value = chosen;
  }

  #buttons(view) {
    const named = (name, action, attributes) =>
      button(t(name), () => this.#act(action, view), {
        ...attributes,
        "aria-label": `${t(name)}: ${label(view)}`,
        data: { key: name },
      });
    return [
      isChanged(view) && named("views.update", "update"),
      named("views.edit", "edit"),
      named("views.delete", "remove", { class: "danger-quiet" }),
    ].filter(Boolean);
  }

  // Do something with a view, or save a new one. What that needs is loaded then.
  async #act(action, view) {
    try {
      const [actions] = await loaded(Promise.all([import("./view_actions.js"), need("actions")]));
      const done = await actions[action](view);
      if (!done) return;
      this.said.replaceChildren(...done.said);
      await saved.learn();
      if (done.shown !== undefined) open(done.shown, { replace: action !== "remove" });
      this.showState();
    } catch (failure) {
      this.said.replaceChildren(inOneLine(failure));
    }
  }
}

function open(id, how) {
  go({ ...NOTHING, ...ofView(id), saved: id, columns: "" }, how);
}

function isChanged(view) {
  const said = ofView(String(view.id));
  const now = state();
  return areChanged() || !said || LISTING.some((name) => now[name] !== said[name]);
}

function mayEdit({ own, shared }) {
  return shared ? (own && mayChange()) || mayMakeOperators() : own;
}

// Names that others have given are not shown to everybody.
function label({ id, name, fault }) {
  const known = name ?? t("views.unnamed", { number: String(id) });
  return fault === null ? known : t("views.faulty", { name: known });
}
