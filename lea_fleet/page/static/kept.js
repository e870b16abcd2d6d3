// Machines that others have replaced, and those that are blocked, muted or to be
// uninstalled by their agents: sections of the attention view.

import { replace, unblock, unmute, unretire } from "./actions.js";
import { fitsPath } from "./api.js";
import { el, foreign } from "./dom.js";
import { time, timeAgo } from "./format.js";
import { phrase, t } from "./i18n.js";
import { actionButton, item, machineLink } from "./items.js";

const LIMIT = 50;

export const replaced = {
  name: "replaced",
  path: "/duplicates",
  query: { limit: LIMIT },
  items: ({ duplicates }, act) =>
    duplicates.map(({ machine_id: machine, by, because }) =>
      item(
        phrase("replaced.by", {
          machine: machineLink(machine, "replaced"),
          by: machineLink(by, "replaces"),
        }),
        [t(`replaced.${because}`)],
        fitsPath(machine) && actionButton(t("replace"), machine, act, () => replace(machine, by)),
      ),
    ),
};

export const blocked = {
  name: "blocked",
  path: "/blocks",
  query: { limit: LIMIT },
  items: ({ blocks }, act) =>
    blocks.map(({ machine_id: machine, blocked_at: at, reason, in_fleet: isKnown }) =>
      item(
        isKnown ? machineLink(machine, "blocked") : el("strong", {}, foreign(machine)),
        [
          reason && phrase("detail.reason", { reason: foreign(reason) }),
          phrase("state.blocked.since", { when: time(at) }),
          !isKnown && t("blocked.unknown"),
        ],
        fitsPath(machine) && actionButton(t("unblock"), machine, act, unblock),
      ),
    ),
};

export const retiring = listed("retiring", "unretire", unretire);
export const muted = listed("muted", "unmute", unmute);

// Machines that a filter of the list finds, with the action that ends that.
function listed(name, label, action) {
  return {
    name,
    path: "/fleet",
    query: { [name]: true, totals: 0, limit: LIMIT },
    items: ({ active, uninstalled }, act) =>
      [...active, ...uninstalled].map(({ machine_id: machine, user_name: user, last_seen_at: seen }) =>
        item(
          machineLink(machine, name),
          [
            user && foreign(user),
            seen ? phrase("attention.seen", { when: timeAgo(seen) }) : t("attention.never_seen"),
          ],
          fitsPath(machine) && actionButton(t(label), machine, act, action),
        ),
      ),
  };
}
