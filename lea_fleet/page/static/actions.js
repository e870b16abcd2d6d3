// The operator's actions on a machine, each with a dialog that names the machine. They
// resolve to what is then said, or to undefined if the operator cancels.

import { fitsPath, machinePath, post, remove } from "./api.js";
import { confirm, showSecret } from "./dialogs.js";
import { button, el, field, foreign } from "./dom.js";
import { muteDays, reasonField, reasonInput } from "./fields.js";
import { dateTime } from "./format.js";
import { phrase, t } from "./i18n.js";
import { mayChange } from "./who.js";

const DANGEROUS = ["cut_off", "uninstall", "block"];

// The buttons for a machine, each with what it does and does not do. `released` says
// whether it may be re-enrolled, `states` what was decided about it; `done` is called with
// a message after an action.
export function actionButtons(agent, states, released, done) {
  const { machine_id: machine } = agent;
  return offered(agent, states, released).map(([name, act]) => {
    const line = `${name}-line`;
    const how = { class: DANGEROUS.includes(name) ? "danger-quiet" : "", "aria-describedby": line, data: { key: name } };
    const run = async () => {
      const said = await act(machine);
      if (said) done(said);
    };
    return el("li", {}, button(t(name), run, how), el("p", { class: "under", id: line }, t(`${name}.line`)));
  });
}

function offered({ machine_id: machine, status }, states, released) {
  if (!mayChange()) return [];
  const isActive = status === "active";
  const bye = isActive ? [["uninstall", uninstall]] : [];
  if (!fitsPath(machine)) return bye;
  const gate = states.block ? ["unblock", unblock] : ["block", block];
  if (!isActive) return [gate];
  return [
    ["rotate", rotate],
    ["cut_off", cutOff],
    released ? ["unrelease", unrelease] : ["release", (name) => allow(name)],
    states.muted_until ? ["unmute", unmute] : ["mute", mute],
    states.retirement ? ["unretire", unretire] : ["retire", retire],
    ...bye,
    gate,
  ];
}

function uninstall(machine) {
  return becauseOf("uninstall", machine, (reason) => post("/uninstall", { machine_id: machine, reason }));
}

export function block(machine, how = {}) {
  return becauseOf("block", machine, (reason) => post(machinePath(machine, "/block"), { reason }), how);
}

// Let a machine be enrolled once more; with the id of an enrollment token, only with that
// one. `isAlive` warns that the machine itself was heard since it was refused.
export function allow(machine, enrollment_token, isAlive = false) {
  return ask("release", machine, {
    ...(isAlive && { text: t("release.alive"), danger: true }),
    act: async () => {
      const { released_until: until } = await post(machinePath(machine, "/release"), { enrollment_token });
      return said("release", machine, { until: dateTime(until) });
    },
  });
}

function mute(machine) {
  const days = muteDays();
  return ask("mute", machine, {
    extra: field(t("mute.for"), days),
    act: async () => {
      const { muted_until: until } = await post(machinePath(machine, "/mute"), { for: `${days.value}d` });
      return said("mute", machine, { until: dateTime(until) });
    },
  });
}

// Uninstall a machine that another one has replaced.
export function replace(machine, by) {
  const values = { machine: foreign(machine), by: foreign(by) };
  return ask("replace", machine, {
    text: phrase("replace.text", values),
    danger: true,
    act: async () => {
      await post(machinePath(machine, "/replace"), { by });
      return said("replace", machine);
    },
  });
}

function cutOff(machine) {
  return ask("cut_off", machine, {
    danger: true,
    act: async () => {
      const { released_until: until } = await post(machinePath(machine, "/cut-off"));
      return said("cut_off", machine, { until: dateTime(until) });
    },
  });
}

function retire(machine) {
  return sending("retire", machine, () => post(machinePath(machine, "/retire")));
}

export function unretire(machine) {
  return sending("unretire", machine, () => remove(machinePath(machine, "/retire")));
}

export function unblock(machine) {
  return sending("unblock", machine, () => remove(machinePath(machine, "/block")));
}

export function unmute(machine) {
  return sending("unmute", machine, () => remove(machinePath(machine, "/mute")));
}

function unrelease(machine) {
  return sending("unrelease", machine, () => remove(machinePath(machine, "/release")));
}

async function rotate(machine) {
  const token = await ask("rotate", machine, {
    act: async () => (await post(machinePath(machine, "/token"))).api_token,
  });
  if (!token) return undefined;
  await showSecret(said("rotate", machine), token);
  return [t("event.token_rotated")];
}

function becauseOf(name, machine, send, how = {}) {
  const reason = reasonInput();
  const asked = { danger: true, extra: reasonField(reason), ...how };
  return sending(name, machine, () => send(reason.value), asked);
}

// Ask, send, and resolve to what is then said of `machine`.
export function sending(name, machine, send, how = {}) {
  const act = async () => {
    await send();
    return said(name, machine);
  };
  return ask(name, machine, { ...how, act });
}

function ask(name, machine, how) {
  const values = () => ({ machine: foreign(machine, { class: "named" }) });
  return confirm({
    title: phrase(`${name}.title`, values()),
    text: t(`${name}.text`),
    label: phrase(`${name}.do`, values()),
    ...how,
  });
}

function said(name, machine, values = {}) {
  return phrase(`${name}.done`, { machine: foreign(machine), ...values });
}
