// The alerts of the last day and who is told of them: a section of the attention view.

import { el, foreign } from "./dom.js";
import { dateTime, timeAgo } from "./format.js";
import { has, phrase, t } from "./i18n.js";
import { item, machineLink } from "./items.js";

export const alerts = {
  name: "alerts",
  path: "/alerts",
  query: { limit: 50 },
  items: ({ alerts }) => alerts.map(line),
  above: ({ destinations }) =>
    destinations.length > 0 ? destinations.map(told) : [el("p", {}, t("alerts.nobody"))],
};

function line({ alert, machine_id: machine, at, detail }) {
  const name = has(`alert.${alert}`) ? t(`alert.${alert}`) : alert; // a newer server's
  return item(
    [el("strong", {}, name), " ", machine !== null && machineLink(machine, `alert ${at}`)],
    [details(alert, detail), timeAgo(at)],
  );
}

function details(alert, { last_seen_at: seen, code, online, usual, ...detail }) {
  if (seen) return phrase("attention.seen", { when: timeAgo(seen) });
  if (code) return has(`refused.${code}`) ? t(`refused.${code}`) : code;
  if (online !== undefined) return t("alert.online", { online, usual });
  if (detail.enrollment_token === undefined) return null;
  const number = String(detail.enrollment_token);
  if (detail.expires_at) return t("alert.expires", { number, at: dateTime(detail.expires_at) });
  return t("alert.uses", { number, uses: detail.uses, most: detail.max_uses });
}

function told({ destination, looked_at: looked, delivered_at: delivered, fault, waiting }) {
  const name = foreign(destination);
  if (looked === null) return el("p", { class: "notice bad" }, phrase("alerts.never_run", { name }));
  const last = delivered
    ? phrase("alerts.delivered", { name, when: timeAgo(delivered) })
    : phrase("alerts.undelivered", { name });
  const queue = [" ", t("alerts.waiting", { n: waiting })];
  if (fault === null) return el("p", {}, last, queue);
  return el("div", { class: "notice bad" }, el("p", {}, last, queue), el("p", {}, foreign(fault)));
}
