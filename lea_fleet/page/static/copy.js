// A small button that copies a text.

import { button, el } from "./dom.js";
import { t } from "./i18n.js";

const SAID = 2000; // milliseconds

// `look` is "icon", or "word" to show the label.
export function copyButton(label, text, look = "icon") {
  const said = el("span", { class: "unseen", role: "status" });
  const say = (word, result) => {
    said.textContent = word;
    copy.dataset.result = result;
    setTimeout(() => [(said.textContent = ""), delete copy.dataset.result], SAID);
  };
  const onClick = async () => {
    try {
      await navigator.clipboard.writeText(text());
      say(t("secret.copied"), "copied");
    } catch {
      say(t("secret.failed"), "failed");
    }
  };
  const copy = button(look === "word" ? label : "", onClick, {
    class: `copier quiet ${look}`,
    "aria-label": label,
    title: label,
    data: { key: label },
  });
  copy.append(said);
  return copy;
}
