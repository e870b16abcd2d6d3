// The saved views above the list: to choose, save, change, share and delete.

import { sending } from "./actions.js";
import { go, LISTING, ofView, others, state } from "./address.js";
import { post, put, remove } from "./api.js";
import { areChanged, ColumnChooser, columns } from "./columns.js";
import { confirm } from "./dialogs.js";
import { button, el, field, foreign, replaceKeepingFocus, select, visible } from "./dom.js";
import { phrase, t } from "./i18n.js";
import * as saved from "./saved.js";
import { mayChange, mayMakeOperators } from "./who.js";

const LONGEST = 64;
const NOTHING = Object.fromEntries(LISTING.map((name) => [name, ""]));

export class SavedViews {
  constructor() {
    this.choice = select("saved", [["", t("views.none")]], "", (id) => open(id));
    this.chooser = new ColumnChooser();
    this.actions = el("div", { class: "actions" });
    this.notice = el("p", { class: "notice bad", role: "status", hidden: true });
    this.also = el("p", { class: "hint", hidden: true });
    this.said = el("p", { class: "said", role: "status" });
    this.element = el(
      "div",
      { class: "views" },
      el(
        "div",
        { class: "row" },
        field(t("views"), this.choice),
        this.actions,
        this.chooser.element,
      ),
      this.notice,
      this.also,
      this.said,
    );
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
    this.chooser.showState();
    const buttons = [
      button(t("views.save"), () => this.#save(), { data: { key: "views.save" } }),
      ...(view && mayEdit(view) ? this.#buttons(view) : []),
    ];
    replaceKeepingFocus(this.actions, buttons);
    const fault = view?.fault ?? null;
    const isUnknown = id !== "" && saved.isKnown() && !view;
    this.notice.hidden = !isUnknown && fault === null;
    const why = isUnknown ? t("views.unknown") : t("views.fault", { fault: visible(fault ?? "") });
    if (this.notice.textContent !== why) this.notice.textContent = this.notice.hidden ? "" : why;
    const more = Object.entries(others()).flatMap(([name, values]) => values.map((value) => `${name}=${value}`));
    this.also.hidden = more.length === 0;
    this.also.replaceChildren(...(more.length ? phrase("views.also", { filters: foreign(more.join(", ")) }) : []));
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
    const named = (name, act, attributes) =>
      button(t(name), act, { ...attributes, "aria-label": `${t(name)}: ${label(view)}`, data: { key: name } });
    return [
      isChanged(view) && named("views.update", () => this.#update(view)),
      named("views.edit", () => this.#edit(view)),
      named("views.delete", () => this.#delete(view), { class: "danger-quiet" }),
    ].filter(Boolean);
  }

  async #save() {
    const form = new Form("", false, mayChange());
    const made = await confirm({
      title: t("views.save.title"),
      text: t("views.save.text"),
      label: t("views.save.do"),
      extra: form.element,
      act: () => post("/views", { ...form.values(), filters: filtersNow(), columns: columns() }),
    });
    if (made) await this.#shown(made, "views.save.done");
  }

  async #edit(view) {
    const form = new Form(view.name, view.shared, view.own && mayChange());
    const { filters, columns: kept } = view;
    const made = await confirm({
      title: phrase("views.edit.title", { name: foreign(view.name) }),
      text: t("views.edit.text"),
      label: t("views.edit.do"),
      extra: form.element,
      act: () => put(`/views/${view.id}`, { ...form.values(), filters, columns: kept }),
    });
    if (!made) return;
    await saved.learn();
    this.#say("views.update.done", made);
    this.showState();
  }

  async #update(view) {
    const { name, shared } = view;
    const send = () => put(`/views/${view.id}`, { name, shared, filters: filtersNow(), columns: columns() });
    const how = { text: t(shared ? "views.update.shared" : "views.update.text") };
    const done = await sending("views.update", name, send, how);
    if (done) await this.#shown(view, "views.update.done");
  }

  async #delete(view) {
    const send = () => remove(`/views/${view.id}`);
    const how = { text: t(view.shared ? "views.delete.shared" : "views.delete.text"), danger: true };
    const done = await sending("views.delete", view.name, send, how);
    if (!done) return;
    await saved.learn();
    open("");
    this.said.replaceChildren(...done);
  }

  // Show a view as it is stored now.
  async #shown(view, text) {
    await saved.learn();
    open(String(view.id), { replace: true });
    this.#say(text, view);
  }

  #say(text, { name }) {
    this.said.replaceChildren(...phrase(text, { machine: foreign(name) }));
  }
}

// The name of a view and, for those who may, whether it is shared.
class Form {
  constructor(name, shared, maySayShared) {
    this.name = el("input", { id: "view-name", maxlength: LONGEST, required: true, autocomplete: "off", value: name });
    this.shared = el("input", { id: "view-shared", type: "checkbox", checked: shared });
    this.element = [
      field(t("views.name"), this.name),
      maySayShared && el("label", { class: "check" }, this.shared, t("views.share")),
    ];
  }

  values() {
    return { name: this.name.value, shared: this.shared.checked };
  }
}

function open(id, how) {
  go({ ...NOTHING, ...ofView(id), saved: id, columns: "" }, how);
}

// What the list shows now, as a view keeps it.
function filtersNow() {
  const parameters = new URLSearchParams();
  const all = { ...state(), ...others() };
  for (const name of [...LISTING, ...Object.keys(others())]) {
    for (const value of [all[name]].flat()) if (value !== "") parameters.append(name, value);
  }
  return parameters.toString();
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
