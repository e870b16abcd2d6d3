// The language switch.

import { button, el } from "./dom.js";
import { LANGUAGES, language, speak, t } from "./i18n.js";

// `rebuild` renders the page again.
export function languageSwitch(rebuild) {
  const choose = async (code) => {
    try {
      await speak(code);
    } catch {
      return; // the server is away, which the bar says
    }
    rebuild();
    document.querySelector(`[lang="${code}"][aria-pressed]`)?.focus();
  };
  const buttons = Object.entries(LANGUAGES).map(([code, name]) =>
    button(code.toUpperCase(), () => choose(code), {
      lang: code,
      title: name,
      "aria-label": name,
      "aria-pressed": String(code === language()),
    }),
  );
  return el("div", { class: "switch", role: "group", "aria-label": t("language") }, buttons);
}
