// The page of a signed-in operator: header, views and periodic refresh.

import { follow, leadsTo, state } from "./address.js";
import { Failure } from "./api.js";
import { AttentionView } from "./attention.js";
import { button, el, visible } from "./dom.js";
import { tick } from "./format.js";
import { Freshness } from "./freshness.js";
import { HistoryView } from "./history.js";
import { t } from "./i18n.js";
import { languageSwitch } from "./languages.js";
import { MachinePanel } from "./machine.js";
import { MachinesView } from "./machines.js";
import { OperatorsView } from "./operators.js";
import { token } from "./session.js";
import { TokensView } from "./tokens.js";
import * as who from "./who.js";

const EVERY = 30_000; // milliseconds

// Failures that require signing in again.
const IDENTITY = ["token", "session", "scope"];

// Show the fleet. `start` rebuilds the page, `leave` goes to the sign-in. Returns a
// function that stops the refresh.
export function showFleet(start, leave) {
  const freshness = new Freshness(() => refresh());
  const views = {
    machines: new MachinesView(),
    attention: new AttentionView(() => refresh()),
    history: new HistoryView(),
    tokens: new TokensView(),
    operators: new OperatorsView(),
  };
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

  function showState() {
    const { view, machine } = state();
    person.textContent = who.name() === null ? "" : t("signed_in", { name: visible(who.name()) });
    const offered = Object.keys(views).filter((each) => each !== "operators" || who.mayMakeOperators());
    const name = offered.includes(view) ? view : "machines";
    if (name !== shown) main.replaceChildren(views[name].element);
    shown = name;
    nav.replaceChildren(
      ...offered.map((each) =>
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
        showState();
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

  const onChange = () => {
    showState();
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
