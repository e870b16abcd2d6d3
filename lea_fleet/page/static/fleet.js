// The page of a signed-in operator: header, views and periodic refresh.

import { follow, leadsTo, state } from "./address.js";
import { Failure } from "./api.js";
import { button, el, visible } from "./dom.js";
import { tick } from "./format.js";
import { Freshness } from "./freshness.js";
import { need, t } from "./i18n.js";
import { languageSwitch } from "./languages.js";
import { MachinePanel } from "./machine.js";
import { MachinesView } from "./machines.js";
import { token } from "./session.js";
import * as who from "./who.js";

const EVERY = 30_000; // milliseconds

// Failures that require signing in again.
const IDENTITY = ["token", "session", "scope"];

// The views that are loaded when they are first opened.
const LOADED = {
  attention: async (refresh) => new (await import("./attention.js")).AttentionView(refresh),
  history: async () => new (await import("./history.js")).HistoryView(),
  tokens: async () => new (await import("./tokens.js")).TokensView(),
  operators: async () => new (await import("./operators.js")).OperatorsView(),
};

// Show the fleet. `start` rebuilds the page, `leave` goes to the sign-in. Returns a
// function that stops the refresh.
export function showFleet(start, leave) {
  const freshness = new Freshness(() => refresh());
  const views = { machines: new MachinesView(() => refresh()) };
  const panel = new MachinePanel(() => refresh());
  const main = el("main", { id: "content", tabindex: "-1" });
  const nav = el("nav", { "aria-label": t("nav") });
  const person = el("span", { class: "person" });
  let asked = new AbortController();
  let shown = null;

  document.body.replaceChildren(
    el("a", { class: "skip", href: "#content" }, t("skip")),
    el(
      "header",
      { class: "bar" },
      el(
        "div",
        { class: "brand" },
        el("span", { class: "logo", "aria-hidden": "true" }),
        el("span", {}, t("title")),
      ),
      nav,
      freshness.element,
      person,
      languageSwitch(start),
      token() !== null && button(t("sign_out"), () => leave(), { class: "quiet" }),
    ),
    freshness.banner,
    main,
    panel.element,
  );

  function offered() {
    const others = Object.keys(LOADED).filter((each) => each !== "operators" || who.mayMakeOperators());
    return ["machines", ...others];
  }

  // Show what the address says; its view is loaded before, if that has not been done.
  async function showState() {
    const { view } = state();
    const name = offered().includes(view) ? view : "machines";
    if (!(name in views)) {
      await need("others");
      views[name] = await LOADED[name](() => refresh());
    }
    if (state().view === view) show(name);
  }

  function show(name) {
    const { machine } = state();
    person.textContent = who.name() === null ? "" : t("signed_in", { name: visible(who.name()) });
    if (name !== shown) main.replaceChildren(views[name].element);
    shown = name;
    nav.replaceChildren(
      ...offered().map((each) =>
        el(
          "a",
          { ...tab(each), "aria-current": each === name ? "page" : null },
          t(`nav.${each}`),
        ),
      ),
    );
    panel.show(machine);
    const title = name === "machines" ? t("title") : t(`title.${name}`);
    document.title = machine ? t("title.machine", { machine: visible(machine) }) : title;
    views[name].showState();
  }

  // Request all data shown from the server again.
  async function refresh() {
    asked.abort();
    asked = new AbortController();
    const { signal } = asked;
    freshness.asking();
    try {
      if (!who.isKnown()) {
        await who.learn(signal);
        await showState();
      }
      await Promise.all([views[shown].refresh(signal), panel.refresh(signal)]);
      if (!signal.aborted) freshness.answered();
    } catch (failure) {
      if (signal.aborted) return;
      if (!(failure instanceof Failure)) throw failure;
      if (IDENTITY.includes(failure.kind)) return leave(failure);
      freshness.failed(failure);
      panel.failed(failure);
    }
  }

  const onChange = async () => {
    try {
      await showState();
    } catch {
      return freshness.failed(new Failure("away")); // the view could not be loaded
    }
    refresh();
  };
  const onVisible = () => {
    if (!document.hidden && freshness.isOlderThan(EVERY)) refresh();
  };
  follow(onChange);
  onChange();
  document.addEventListener("visibilitychange", onVisible);
  const timers = [
    setInterval(() => document.hidden || refresh(), EVERY),
    setInterval(() => [tick(), freshness.tick()], 1000),
  ];
  return () => {
    asked.abort();
    timers.forEach(clearInterval);
    document.removeEventListener("visibilitychange", onVisible);
  };
}

function tab(view) {
  const shown = view === "machines" ? "" : view;
  return leadsTo({ view: shown, machine: "", cursor: "", page: "" });
}
