// The operator's actions on a machine, each with a dialog that names the machine.

import { fitsPath, machinePath, post, remove } from "./api.js";
import { confirm, showSecret } from "./dialogs.js";
import { button, el, field, foreign } from "./dom.js";
import { dateTime } from "./format.js";
import { phrase, t } from "./i18n.js";

const LONGEST_REASON = 500;

// The buttons for an active machine. `released` says whether it may be re-enrolled;
// `done` is called with a message after an action.
export function actionButtons({ machine_id: machine }, released, done) {
  const release = released ? ["unrelease", unrelease] : ["release", allow];
  const offered = fitsPath(machine) ? [["rotate", rotate], release] : [];
  offered.push(["uninstall", uninstall]);
  return offered.map(([name, act]) =>
    button(t(name), async () => {
      const said = await act(machine);
      if (said) done(said);
    }, { class: name === "uninstall" ? "danger-quiet" : "", data: { key: name } }),
  );
}

function uninstall(machine) {
  const reason = el("input", { id: "reason", maxlength: LONGEST_REASON, autocomplete: "off" });
  return ask("uninstall", machine, {
    danger: true,
    extra: field(t("uninstall.reason"), reason, t("uninstall.reason.hint")),
    act: async () => {
      await post("/uninstall", { machine_id: machine, reason: reason.value });
      return said("uninstall", machine);
    },
  });
}

function allow(machine) {
  return ask("release", machine, {
    act: async () => {
      const { released_until: until } = await post(machinePath(machine, "/release"));
      return said("release", machine, { until: dateTime(until) });
    },
  });
}

function unrelease(machine) {
  return ask("unrelease", machine, {
    act: async () => {
      await remove(machinePath(machine, "/release"));
      return said("unrelease", machine);
    },
  });
}

async function rotate(machine) {
  const token = await ask("rotate", machine, {
    act: async () => (await post(machinePath(machine, "/token"))).api_token,
  });
  if (!token) return undefined;
  await showSecret(said("rotate", machine), token);
  return [t("event.token_rotated")];
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
