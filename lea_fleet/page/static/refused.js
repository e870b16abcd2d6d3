// Machines whose enrollment was refused: a section of the attention view.

import { allow, block, unblock } from "./actions.js";
import { leadsTo } from "./address.js";
import { Failure, fitsPath, machinePath, post } from "./api.js";
import { confirm } from "./dialogs.js";
import { button, el, foreign } from "./dom.js";
import { inOneLine } from "./failures.js";
import { timeAgo } from "./format.js";
import { phrase, t } from "./i18n.js";
import { actionButton, item, machineLink } from "./items.js";
import { mayChange } from "./who.js";

const OPERATOR = 0; // stands for the operator's token
const NAMED = 10; // machines that a question names

export const refused = {
  name: "refused",
  path: "/refusals",
  query: { limit: 100 },
  items: ({ refusals }, act) => refusals.map((each) => line(each, act)),
  above: ({ refusals }, act) => {
    const waiting = releasable(refusals);
    if (waiting.length < 2 || !mayChange()) return [];
    const label = t("refused.all", { n: waiting.length });
    return [button(label, () => act(() => allowAll(waiting)), { class: "primary", data: { key: "all" } })];
  },
};

function line(refusal, act) {
  const { machine_id: machine, hostname, address, code, refused: n, last_at: last } = refusal;
  const name = machine ?? t("refused.unnamed");
  const isKnown = refusal.agent_status !== null;
  return item(
    [
      isKnown ? machineLink(machine, "refused") : el("strong", {}, foreign(name)),
      " ",
      mark(refusal),
    ],
    [
      t(`refused.${code}`),
      [t("refused.times", { n }), " · ", timeAgo(last), " · ", withToken(refusal)],
      (hostname || address) && foreign([hostname, address].filter(Boolean).join(" · ")),
    ],
    fitting(refusal) ? buttons(refusal, act) : [],
  );
}

function buttons(refusal, act) {
  const { machine_id: machine, code } = refusal;
  if (code === "machine_blocked") return [actionButton(t("unblock"), machine, act, unblock)];
  if (isWaiting(refusal)) {
    const action = () => allow(machine, tokenOf(refusal), refusal.still_alive);
    return [actionButton(t("release"), machine, act, action)];
  }
  const needsToken = ["enrollment_token_exhausted", "token_expired", "token_revoked"].includes(code);
  return [
    needsToken && el("a", { ...leadsTo({ view: "tokens" }), class: "button" }, t("tokens.new")),
    refusal.agent_status !== "active" && actionButton(t("block"), machine, act, keepOut),
  ];
}

// Block a machine that is not in the fleet.
function keepOut(machine) {
  return block(machine, { text: t("refused.block") });
}

function mark({ released_until: released, still_alive: isAlive, agent_status: status, code }) {
  if (released) return el("span", { class: "badge active" }, t("refused.released"));
  if (isAlive) return el("span", { class: "badge offline" }, t("refused.alive"));
  if (code === "already_enrolled" && status !== "active") {
    return el("span", { class: "badge" }, t("presence.uninstalled"));
  }
  return null;
}

// Whether a release would let the machine in.
function isWaiting({ code, agent_status: status, released_until: released }) {
  return code === "already_enrolled" && status === "active" && released === null;
}

// The machines to release at once, each by its last refusal: none that was heard since.
// Whoever has an enrollment token could have named it.
function releasable(refusals) {
  const last = new Map();
  for (const each of refusals) {
    if (each.code === "already_enrolled" && fitting(each) && !last.has(each.machine_id)) {
      last.set(each.machine_id, each);
    }
  }
  return [...last.values()].filter((each) => isWaiting(each) && !each.still_alive);
}

function allowAll(waiting) {
  const n = waiting.length;
  const names = waiting.slice(0, NAMED).flatMap(({ machine_id: machine }) => [", ", foreign(machine)]);
  const rest = n > NAMED ? t("refused.all.rest", { n: n - NAMED }) : "";
  return confirm({
    title: t("refused.all.title", { n }),
    text: [t("refused.all.text"), el("span", { class: "names" }, names.slice(1), rest)],
    label: t("refused.all", { n }),
    act: () => eachAllowed(waiting),
  });
}

// Allow one after the other; say how many could be, and which could not.
async function eachAllowed(waiting) {
  const failed = [];
  let n = 0;
  for (const each of waiting) {
    try {
      const body = { enrollment_token: tokenOf(each) };
      await post(machinePath(each.machine_id, "/release"), body);
      n += 1;
    } catch (failure) {
      if (!(failure instanceof Failure)) throw failure;
      failed.push(el("p", {}, foreign(each.machine_id), " – ", inOneLine(failure)));
      if (failure.kind !== "refused") break; // so would the others
    }
  }
  return [el("p", {}, t("refused.all.done", { n })), failed];
}

function fitting({ machine_id: machine }) {
  return machine !== null && fitsPath(machine);
}

function tokenOf({ enrollment_token: number }) {
  return number ?? OPERATOR;
}

function withToken({ enrollment_token: number }) {
  return number === null
    ? t("refused.operators_token")
    : t("refused.token", { number: String(number) });
}
