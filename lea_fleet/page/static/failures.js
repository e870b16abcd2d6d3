// Messages for failures: what happened, and what to do.

import { Failure } from "./api.js";
import { el, visible } from "./dom.js";
import { t } from "./i18n.js";

export function explain(failure) {
  const { title, advice } = words(failure);
  return el("div", { class: "notice bad" }, el("strong", {}, title), el("p", {}, advice));
}

export function inOneLine(failure) {
  const { title, advice } = words(failure);
  return `${title} ${advice}`;
}

function words(failure) {
  if (!(failure instanceof Failure)) throw failure;
  const { kind } = failure;
  const detail = visible(failure.detail ?? "");
  return { title: t(`failure.${kind}`), advice: t(`failure.${kind}.do`, { detail }) };
}
