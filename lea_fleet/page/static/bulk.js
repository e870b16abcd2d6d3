// Acting on all machines of a selection: a question, then one step after the other.

import { csv, Failure, post } from "./api.js";
import { delimiter, save } from "./csv.js";
import { modal } from "./dialogs.js";
import { button, el, field, foreign } from "./dom.js";
import { inOneLine } from "./failures.js";
import { muteDays, noteArea, reasonField, reasonInput } from "./fields.js";
import { language, t } from "./i18n.js";
import { DANGEROUS } from "./selection.js";
import { split } from "./tags.js";

const TYPED = 20; // more machines than these are confirmed by typing their number
const UNCLEAR = ["away", "later"]; // failures after which a step may have been done

// The form fields of each action, what the API is sent, and what is lacking if something is.
const FORMS = {
  release: () => [[], () => ({})],
  retire: () => [[], () => ({})],
  uninstall: reasoned,
  block: reasoned,
  mute: () => {
    const days = muteDays();
    const until = () => new Date(Date.now() + days.value * 86_400_000).toISOString();
    return [[field(t("mute.for"), days)], () => ({ until: until() })];
  },
  tag: () => {
    const add = el("input", { id: "add", autocomplete: "off", spellcheck: "false" });
    const less = el("input", { id: "remove", autocomplete: "off", spellcheck: "false" });
    return [
      [field(t("tag.add"), add, t("tag.add.hint")), field(t("tag.remove"), less, t("tag.remove.hint"))],
      () => ({ add: split(add.value), remove: split(less.value) }),
      () => split(`${add.value},${less.value}`).length === 0 && t("tag.neither"),
    ];
  },
  note: () => {
    const text = noteArea({ rows: 4, required: true });
    return [[field(t("note.label"), text, t("bulk.note.hint"))], () => ({ text: text.value })];
  },
};

// Ask what to do, do it, and resolve once the dialog is closed: to whether it was begun.
export async function actOnAll(name, chosen) {
  const selection = await post("/selections", chosen);
  const [fields, members, lacks] = FORMS[name]();
  const gone = chosen.ids ? chosen.ids.length - selection.machines : 0;
  const how = { fields, members, lacks, gone };
  return new Promise((resolve) => new BulkDialog(name, selection, how, resolve));
}

// Download the machines as CSV.
export async function exportAll(chosen) {
  const { id } = await post("/selections", chosen);
  save(await csv(`/selections/${id}/csv`, { delimiter: delimiter(), language: language() }));
}

// Its parts, one after the other: the question; the steps; the question again, if a step
// failed; and the report, unless nothing was begun.
class BulkDialog {
  constructor(name, selection, { fields, members, lacks, gone }, resolve) {
    Object.assign(this, { name, selection, members, lacks });
    Object.assign(this, { isBegun: false, isRunning: false, isStopping: false });
    Object.assign(this, { step: 0, sent: undefined, done: 0, judged: 0, failed: [] });
    const { machines: n } = selection;
    this.number = el("input", { id: "number", inputmode: "numeric", autocomplete: "off" });
    this.submit = el(
      "button",
      { type: "submit", class: DANGEROUS.includes(name) ? "danger" : "primary", disabled: n === 0 },
      t("bulk.do", { action: t(name), n }),
    );
    this.cancel = button(t("cancel"), () => this.#onCancel());
    this.message = el("p", { class: "notice bad", role: "alert", hidden: true });
    this.bar = el("progress", { max: n || 1, value: 0, "aria-label": t("bulk.progress"), hidden: true });
    this.fields = el("fieldset", { class: "plain" }, fields, n > TYPED && field(t("bulk.type", { n }), this.number));
    this.form = el(
      "form",
      { on: { submit: (event) => this.#onSubmit(event) } },
      el("p", {}, t(`bulk.text.${name}`)),
      el("p", { class: "names" }, names(selection)),
      gone > 0 && el("p", { class: "notice" }, t("bulk.gone", { n: gone })),
      this.fields,
      this.message,
      this.bar,
      el("div", { class: "actions" }, this.cancel, this.submit),
    );
    this.dialog = modal("bulk", t("bulk.title", { action: t(name), n }), [this.form]);
    this.dialog.addEventListener("keydown", (event) => this.#onKey(event));
    this.dialog.addEventListener("cancel", (event) => this.#onEscape(event));
    this.dialog.addEventListener("close", () => resolve(this.isBegun));
    this.cancel.focus();
  }

  // Enter in a field confirms nothing. Browsers close a dialog at a second Escape whatever
  // its cancel event is answered, but not if the key itself is.
  #onKey(event) {
    if (event.key === "Enter" && event.target.tagName === "INPUT") event.preventDefault();
    if (event.key === "Escape" && this.isRunning) this.#onEscape(event);
  }

  #onEscape(event) {
    event.preventDefault();
    this.#onCancel();
  }

  #onCancel() {
    if (this.isRunning) return this.#stop();
    if (this.isBegun && !this.isReported) return this.#report();
    this.dialog.close();
  }

  #stop() {
    this.isStopping = true;
    this.cancel.textContent = t("bulk.stopping");
    this.cancel.focus();
  }

  async #onSubmit(event) {
    event.preventDefault();
    if (this.isRunning) return;
    const { machines: n } = this.selection;
    const typed = this.number.value.replace(/[\s\u00a0\u202f.,]/g, "");
    if (n > TYPED && typed !== String(n)) return this.#say(t("bulk.type.wrong", { n }));
    const lack = this.lacks?.();
    if (lack) return this.#say(lack);
    const wasBegun = this.isBegun;
    this.#run(true);
    try {
      await this.#act();
    } catch (failure) {
      if (!(failure instanceof Failure)) throw failure;
      this.#onFailure(failure, wasBegun);
    }
  }

  // While it runs, what is sent stays as it is.
  #run(isRunning) {
    this.isRunning = isRunning;
    this.submit.disabled = isRunning;
    this.fields.disabled = this.isBegun || isRunning;
    this.cancel.textContent = t(isRunning ? "bulk.stop" : "cancel");
    if (!isRunning) return;
    this.isBegun = true;
    this.why = undefined;
    this.message.hidden = true;
    this.bar.hidden = false;
    this.cancel.focus();
  }

  // From the step that failed, if one did, and as it was begun.
  async #act() {
    this.sent ??= this.members();
    while (this.step !== null && !this.isStopping) {
      const body = { action: this.name, step: this.step, ...this.sent };
      this.#count(await post(`/selections/${this.selection.id}`, body));
    }
    this.#report();
  }

  #count({ done, failed, unmatched, next_step: next }) {
    this.done += done.length;
    this.failed.push(...failed.map(({ machine_id: machine, detail }) => [machine, detail]));
    this.failed.push(...unmatched.map((machine) => [machine, t("bulk.unmatched")]));
    this.judged += done.length + failed.length + unmatched.length;
    this.bar.value = this.judged;
    this.step = next;
  }

  // A first step that the server has refused did nothing: it may be asked for otherwise.
  #onFailure(failure, wasBegun) {
    const isNothing = this.step === 0 && !wasBegun && !UNCLEAR.includes(failure.kind);
    if (isNothing) Object.assign(this, { isBegun: false, sent: undefined });
    this.bar.hidden = isNothing;
    this.#run(false);
    const why = (this.why = inOneLine(failure));
    this.#say(isNothing ? why : t("bulk.stopped", { why, n: this.done }));
    if (!this.isStopping) return;
    this.isStopping = false;
    this.#onCancel();
  }

  #say(why) {
    this.message.textContent = why;
    this.message.hidden = false;
  }

  #report() {
    Object.assign(this, { isRunning: false, isReported: true });
    const left = this.step === null ? 0 : this.selection.machines - this.judged;
    const lines = this.failed.map(([machine, why]) => el("li", {}, foreign(machine), ` – ${why}`));
    const parts = [
      el("p", { role: "status" }, t("bulk.done", { n: this.done })),
      this.why && el("p", { class: "notice bad" }, this.why),
      left > 0 && el("p", { class: "notice" }, t("bulk.left", { n: left })),
      lines.length > 0 && el("p", { class: "notice" }, t("bulk.failed", { n: lines.length })),
      lines.length > 0 && el("ul", { class: "failed" }, lines),
      el("div", { class: "actions" }, button(t("close"), () => this.dialog.close(), { class: "primary" })),
    ];
    this.form.replaceChildren(...parts.filter(Boolean));
    this.form.querySelector("button").focus();
  }
}

function names({ machines: n, sample }) {
  if (n === 0) return t("bulk.nobody");
  const listed = sample.flatMap(({ machine_id: machine }) => [", ", foreign(machine)]).slice(1);
  return n > sample.length ? [listed, t("bulk.rest", { n: n - sample.length })] : listed;
}

function reasoned() {
  const reason = reasonInput();
  return [reasonField(reason), () => ({ reason: reason.value })];
}
