// The parts of the page that are loaded when they are first needed.

import { Failure } from "./api.js";
import { need } from "./i18n.js";

// The views besides the machines; `refresh` requests all data shown again.
const VIEWS = {
  attention: async (refresh) => new (await import("./attention.js")).AttentionView(refresh),
  history: async () => new (await import("./history.js")).HistoryView(),
  tokens: async () => new (await import("./tokens.js")).TokensView(),
  operators: async () => new (await import("./operators.js")).OperatorsView(),
};

export const OTHERS = Object.keys(VIEWS);

export async function loadView(name, refresh) {
  return loaded(need("actions", "events", "others").then(() => VIEWS[name](refresh)));
}

// The panel of a machine; `beside` returns the machines before and after one in the list.
export async function loadPanel(refresh, beside) {
  const [{ MachinePanel }] = await loaded(
    Promise.all([import("./machine.js"), need("actions", "events")]),
  );
  return new MachinePanel(refresh, beside);
}

// What a promise of files resolves to, such as that of import(). Raises a Failure if they
// cannot be loaded.
export async function loaded(promise) {
  try {
    return await promise;
  } catch {
    throw new Failure("away");
  }
}
