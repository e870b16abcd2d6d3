// What is done with saved views. Each resolves to what is then said, and to the view that
// is shown, if another one is; or to nothing, if the operator cancels.

import { sending } from "./actions.js";
import { LISTING, state } from "./address.js";
import { post, put, remove as send } from "./api.js";
import { columns } from "./columns.js";
import { confirm } from "./dialogs.js";
import { el, field, foreign } from "./dom.js";
import { phrase, t } from "./i18n.js";
import { mayChange } from "./who.js";

const LONGEST = 64;

export async function save() {
  const form = new Form("", false, mayChange());
  const made = await confirm({
    title: t("views.save.title"),
    text: t("views.save.text"),
    label: t("views.save.do"),
    extra: form.element,
    act: () => post("/views", { ...form.values(), filters: filtersNow(), columns: columns() }),
  });
  return made && { said: told("views.save.done", made), shown: String(made.id) };
}

export async function edit(view) {
  const form = new Form(view.name, view.shared, view.own && mayChange());
  const { filters, columns: kept } = view;
  const made = await confirm({
    title: phrase("views.edit.title", { name: foreign(view.name) }),
    text: t("views.edit.text"),
    label: t("views.edit.do"),
    extra: form.element,
    act: () => put(`/views/${view.id}`, { ...form.values(), filters, columns: kept }),
  });
  return made && { said: told("views.update.done", made) };
}

export async function update(view) {
  const { id, name, shared } = view;
  const change = () => put(`/views/${id}`, { name, shared, filters: filtersNow(), columns: columns() });
  const how = { text: t(shared ? "views.update.shared" : "views.update.text") };
  const said = await sending("views.update", name, change, how);
  return said && { said, shown: String(id) };
}

export async function remove({ id, name, shared }) {
  const how = { text: t(shared ? "views.delete.shared" : "views.delete.text"), danger: true };
  const said = await sending("views.delete", name, () => send(`/views/${id}`), how);
  return said && { said, shown: "" };
}

function told(text, { name }) {
  return phrase(text, { machine: foreign(name) });
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

// What the list shows now, as a view keeps it.
function filtersNow() {
  const parameters = new URLSearchParams();
  const all = state();
  for (const name of LISTING) if (all[name] !== "") parameters.set(name, all[name]);
  return parameters.toString();
}
