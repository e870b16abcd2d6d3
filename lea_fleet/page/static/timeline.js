// The history of a machine.

import { el, foreign } from "./dom.js";
import { ago, dateTime, time } from "./format.js";
import { has, phrase, t } from "./i18n.js";

// The end of the release of an imported machine: no time limit.
export const NEVER = "9999-12-31T23:59:59+00:00";

// An event; `about` is what leads to its machine, where there are several.
export function eventItem({ event, at, actor, detail }, about) {
  const known = has(`event.${event}`); // a newer server may have others
  return el(
    "li",
    { class: known ? event : "" },
    el(
      "div",
      { class: "row" },
      el("span", {}, el("strong", {}, known ? t(`event.${event}`) : foreign(event)), about),
      time(at),
    ),
    el("p", { class: "under" }, ago(at), " · ", by(actor)),
    details(detail).map((line) => el("p", {}, line)),
  );
}

// The timestamp until which a machine is released, from its latest events.
export function releasedUntil(events, now) {
  const ending = ["enrolled", "reactivated", "reenrolled", "uninstalled", "release_cancelled"];
  const telling = ["imported", "released", ...ending];
  const last = events.find(({ event }) => telling.includes(event));
  if (last?.event === "imported") return NEVER;
  if (last?.event !== "released") return null;
  return Date.parse(last.detail.until) > now ? last.detail.until : null;
}

function by(actor) {
  const from = actor.address
    ? [" ", phrase("actor.from", { address: foreign(actor.address) })]
    : [];
  return [who(actor), from];
}

function who({ role, user, os_user: osUser, enrollment_token: number }) {
  if (role === "operator" && user) return phrase("actor.user", { user: foreign(user) });
  if (role === "cli" && osUser) return phrase("actor.os_user", { user: foreign(osUser) });
  if (role === "installer") return t("actor.installer", { number: String(number ?? "?") });
  return has(`actor.${role}`) ? t(`actor.${role}`) : foreign(role ?? "?");
}

function details(detail) {
  const { former_id, other, version, os_info, reason, because, until, enrollment_token, hostnames, kind, label, name, role, tags, before, after } = detail;
  const lines = [];
  if (former_id) lines.push(phrase("detail.former_id", { id: foreign(former_id) }));
  if (version) lines.push(phrase("detail.version", { version: foreign(version) }));
  if (os_info) lines.push(phrase("detail.os_info", { system: foreign(os_info) }));
  if (reason) lines.push(phrase("detail.reason", { reason: foreign(reason) }));
  if (label) lines.push(phrase("detail.label", { label: foreign(label) }));
  if (name) lines.push(phrase("detail.name", { name: foreign(name) }));
  if (has(`role.${role}`)) lines.push([t("detail.role", { role: t(`role.${role}`) })]);
  if (has(`because.${because}`)) lines.push([t(`because.${because}`)]);
  if (tags) lines.push([foreign(tags.join(", "))]);
  if (other) lines.push(phrase("detail.other", { machine: foreign(other) }));
  if (until && until !== NEVER) lines.push([t("detail.until", { until: dateTime(until) })]);
  if (until && enrollment_token != null) lines.push([ofToken(enrollment_token)]);
  if (hostnames) {
    const names = hostnames.flatMap((name) => [", ", foreign(name)]).slice(1);
    lines.push(phrase("detail.hostnames", { names: el("span", {}, names) }));
  }
  if (has(`event.${kind}`)) lines.push([t("detail.kind", { kind: t(`event.${kind}`) })]);
  for (const field of Object.keys(after ?? {})) lines.push(changed(field, before, after));
  return lines;
}

// The one that a release holds for; 0 stands for the operator's token.
function ofToken(number) {
  return number ? t("detail.enrollment_token", { number: String(number) }) : t("detail.operators_token");
}

function changed(name, before, after) {
  const shown = (value) => (value ? foreign(value) : t("none"));
  return phrase("detail.changed", {
    field: t(`machine.${name}`),
    before: shown(before?.[name]),
    after: shown(after[name]),
  });
}
