// What was decided about a machine: blocked, muted, to be uninstalled by its agent.

import { el, foreign } from "./dom.js";
import { dateTime, time, timeAgo } from "./format.js";
import { phrase, t } from "./i18n.js";

export function stateBadges({ block, muted_until: muted, retirement }) {
  return [
    block && el("span", { class: "badge stale" }, t("state.blocked")),
    muted && el("span", { class: "badge" }, t("state.muted")),
    retirement && el("span", { class: "badge pending" }, t("state.retiring")),
  ].filter(Boolean);
}

// Since when a machine is blocked, and why.
export function blockNotice({ blocked_at: at, reason }) {
  const since = phrase("state.blocked.since", { when: time(at) });
  const why = reason ? [" ", phrase("detail.reason", { reason: foreign(reason) })] : [];
  return el("p", { class: "notice" }, since, why);
}

export function stateNotices({ muted_until: muted, retirement }) {
  const notices = [];
  if (muted) notices.push(t("state.muted.until", { until: dateTime(muted) }));
  if (retirement) {
    const { told_at: told } = retirement;
    notices.push(told ? phrase("state.retiring.told", { when: timeAgo(told) }) : t("state.retiring.waits"));
  }
  return notices.map((notice) => el("p", { class: "notice" }, notice));
}
