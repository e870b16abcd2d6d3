// Messages for failures: what happened, and what to do.

import { Failure } from "./api.js";
import { button, el, visible } from "./dom.js";
import { t } from "./i18n.js";

export function explain(failure) {
  const { title, advice } = words(failure);
  return el("div", { class: "notice bad" }, el("strong", {}, title), el("p", {}, advice));
}

// Show a failure in a live region, with a button that tries again. One of its kind that is
// there stays: screen readers would read it out every time.
export function tell(region, failure, retry, more = "") {
  if (region.firstChild?.dataset.kind === failure.kind) return;
  const notice = explain(failure);
  notice.dataset.kind = failure.kind;
  notice.append(more, button(t("failure.retry"), retry));
  region.replaceChildren(notice);
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
