// What a new enrollment token is for: the installer kit as a ZIP, and the command for Linux
// and macOS. Both name the server's URL, which is set on the server or confirmed here.

import { Failure, api, get, kit } from "./api.js";
import { save } from "./csv.js";
import { copyable } from "./dialogs.js";
import { button, el, field } from "./dom.js";
import { inOneLine } from "./failures.js";
import { t } from "./i18n.js";

// The part of a dialog that offers them for `token`.
export function setupPart(token) {
  const message = el("p", { class: "notice bad", role: "alert", hidden: true });
  const content = el("div", { class: "parts" });
  const show = async (url) => {
    const setup = await attempt(message, () => get("/installer-kit", { query: { url } }));
    if (!setup) return false;
    const offered = setup.url ? offers(token, setup, message) : [question(show)];
    content.replaceChildren(...offered);
    return true;
  };
  show();
  return el(
    "section",
    { class: "setup", "aria-labelledby": "setup-title" },
    el("h3", { id: "setup-title" }, t("setup.title")),
    content,
    message,
  );
}

// What `act` resolves to; undefined if it fails, which `message` then tells.
async function attempt(message, act) {
  message.hidden = true;
  try {
    return await act();
  } catch (failure) {
    if (!(failure instanceof Failure)) throw failure;
    message.textContent = inOneLine(failure);
    message.hidden = false;
  }
}

// Where this page comes from is where an operator reaches the server, and may not be where
// machines do.
function question(show) {
  const url = el("input", { id: "setup-url", value: api(), spellcheck: "false", autocomplete: "off" });
  const onSubmit = async (event) => {
    event.preventDefault();
    const isValid = await show(url.value.trim());
    url.setAttribute("aria-invalid", String(!isValid));
    if (!isValid) url.focus();
  };
  return el(
    "form",
    { novalidate: true, on: { submit: onSubmit } },
    field(t("setup.url"), url, t("setup.url.hint")),
    el("button", { type: "submit" }, t("setup.url.confirm")),
  );
}

function offers(token, { url, command }, message) {
  const said = el("p", { class: "said", role: "status" });
  const download = button(t("setup.kit"), async () => {
    download.disabled = true;
    said.textContent = "";
    const file = await attempt(message, () => kit(token, url));
    download.disabled = false;
    if (!file) return;
    save(file);
    said.textContent = t("setup.kit.done", { name: file.name });
  });
  const text = el(
    "textarea",
    {
      id: "setup-command",
      readonly: true,
      rows: 4,
      spellcheck: "false",
      "aria-describedby": "setup-command-hint",
    },
    command,
  );
  return [
    el("p", {}, t("setup.for", { url })),
    el("p", { class: "hint" }, t("setup.kit.hint")),
    download,
    said,
    el("label", { for: text.id }, t("setup.command")),
    el("p", { class: "hint", id: "setup-command-hint" }, t("setup.command.hint")),
    ...copyable(text, t("setup.command.copy")),
  ];
}
