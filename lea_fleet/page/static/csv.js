// Downloads, as CSV and others.

import { csv, Failure } from "./api.js";
import { button, el } from "./dom.js";
import { inOneLine } from "./failures.js";
import { language, t } from "./i18n.js";

// A button that downloads all that `query()` selects; `say` is called with what came of it.
export function csvButton(path, query, say) {
  const download = button(t("list.csv"), async () => {
    download.disabled = true;
    download.textContent = t("list.csv.busy");
    say("");
    try {
      const file = await csv(path, { ...query(), limit: "", cursor: "", format: "csv", delimiter: delimiter(), language: language() });
      save(file);
      say(t("list.csv.done", { name: file.name }));
    } catch (failure) {
      if (!(failure instanceof Failure)) throw failure;
      say(inOneLine(failure));
    } finally {
      download.disabled = false;
      download.textContent = t("list.csv");
    }
  });
  return download;
}

// Excel in French expects semicolons.
export function delimiter() {
  return language() === "fr" ? "semicolon" : "comma";
}

// Have the browser save a file.
export function save({ name, bytes }) {
  const href = URL.createObjectURL(bytes);
  el("a", { href, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(href), 60_000);
}
