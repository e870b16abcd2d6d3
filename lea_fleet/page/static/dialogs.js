// Confirmation dialogs, and dialogs that show a secret once.

import { Failure } from "./api.js";
import { copyText } from "./copy.js";
import { button, el, focusOn } from "./dom.js";
import { inOneLine } from "./failures.js";
import { t } from "./i18n.js";

// Ask for confirmation. `title`, `text` and `label` are lists of text and elements, and
// `extra` is a form field. `act` performs the action; if it fails, the dialog stays open,
// and so it does if `lacks` returns a text: what is lacking in the form.
// Resolves to the result of `act`, or to undefined if the user cancels.
export function confirm({ title, text, label, act, extra, lacks, danger = false }) {
  const { promise, resolve } = settled();
  const message = el("p", { class: "notice bad", role: "alert", hidden: true });
  const submit = el(
    "button",
    { type: "submit", class: danger ? "danger" : "primary" },
    label,
  );
  const cancel = button(t("cancel"), () => dialog.close());
  const dialog = modal("confirm", title, [
    el(
      "form",
      { on: { submit: (event) => onSubmit(event) } },
      el("p", {}, text),
      extra,
      message,
      el("div", { class: "actions" }, cancel, submit),
    ),
  ]);
  dialog.addEventListener("close", () => resolve(undefined));
  // What cannot be undone is confirmed by its own button alone.
  if (danger) dialog.addEventListener("keydown", holdEnter);
  (danger ? cancel : (dialog.querySelector("input, select") ?? cancel)).focus();
  return promise;

  async function onSubmit(event) {
    event.preventDefault();
    const lack = lacks?.();
    if (lack) return say(lack);
    submit.disabled = true;
    try {
      resolve((await act()) ?? null);
      dialog.close();
    } catch (failure) {
      if (!(failure instanceof Failure)) throw failure;
      say(t("action.failed", { why: inOneLine(failure) }));
      submit.disabled = false;
    }
  }

  function say(why) {
    message.textContent = why;
    message.hidden = false;
  }
}

function holdEnter(event) {
  if (event.key === "Enter" && event.target.tagName === "INPUT") event.preventDefault();
}

// Show a token, which cannot be shown again, and below it `more`, such as what it is for.
// Resolves when the dialog is closed.
export function showSecret(title, secret, more) {
  const { promise, resolve } = settled();
  const input = el("input", {
    id: "secret",
    readonly: true,
    value: secret,
    spellcheck: "false",
    "aria-label": t("secret.label"),
  });
  const dialog = modal("secret", title, [
    el("p", { class: "notice" }, t("secret.once")),
    ...copyable(input, t("secret.copy"), { class: "primary" }),
    more,
    el("div", { class: "actions" }, button(t("secret.done"), () => dialog.close())),
  ]);
  // Only the button closes this dialog, so that the token is not lost by accident.
  dialog.addEventListener("cancel", (event) => event.preventDefault());
  dialog.addEventListener("close", resolve);
  input.select();
  return promise;
}

// A readonly field with a button that copies it, and a line that says so.
export function copyable(control, label, attributes = {}) {
  const said = el("p", { class: "said", role: "status" });
  const copy = async () => {
    const isDone = await copyText(control.value, control);
    said.textContent = t(isDone ? "secret.copied" : "secret.failed");
    if (!isDone) control.select();
  };
  return [el("div", { class: "copy" }, control, button(label, copy, attributes)), said];
}

export function modal(name, title, content) {
  const heading = el("h2", { id: `${name}-title` }, title);
  const dialog = el(
    "dialog",
    { class: "question", "aria-labelledby": heading.id },
    heading,
    content,
  );
  const before = document.activeElement;
  dialog.addEventListener("close", () => {
    dialog.remove();
    // The browser has given the focus back, unless a refresh has replaced the element.
    if (document.activeElement !== document.body) return;
    if (before.dataset.key !== undefined) focusOn(before.dataset.key);
  });
  document.body.append(dialog);
  dialog.showModal();
  return dialog;
}

function settled() {
  let resolve;
  const promise = new Promise((done) => (resolve = done));
  return { promise, resolve };
}
