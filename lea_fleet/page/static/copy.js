// A small button that copies a text.

import { button, el } from "./dom.js";
import { t } from "./i18n.js";

const SAID = 2000; // milliseconds

// A button and what is said of it. `look` is "icon", or "word" to show the label.
export function copyButton(label, text, look = "icon") {
  const said = el("span", { class: "unseen", role: "status" });
  const say = (word, result) => {
    said.textContent = word;
    copy.dataset.result = result;
    setTimeout(() => [(said.textContent = ""), delete copy.dataset.result], SAID);
  };
  const onClick = async () => {
    if (await copyText(text(), copy)) say(t("secret.copied"), "copied");
    else say(t("secret.failed"), "failed");
  };
  const copy = button(look === "word" ? label : "", onClick, {
    class: `copier quiet ${look}`,
    "aria-label": label,
    title: label,
    data: { key: label },
  });
  return [copy, said];
}

// Copy a text; resolves to whether that was possible. Browsers keep their clipboard from
// pages without HTTPS: there, the text is selected in a field beside `place`.
export async function copyText(text, place) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    return copySelected(text, place);
  }
}

function copySelected(text, place) {
  const before = document.activeElement;
  const copied = el("textarea", { class: "unseen", readonly: true }, text);
  place.after(copied);
  copied.focus({ preventScroll: true });
  copied.select();
  const isDone = document.execCommand("copy");
  copied.remove();
  before?.focus({ preventScroll: true });
  return isDone;
}
