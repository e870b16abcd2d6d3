// The page of a signed-in operator: header, views and periodic refresh.

import { follow, leadsTo, state } from "./address.js";
import { Failure } from "./api.js";
import { button, el, visible } from "./dom.js";
import { tick } from "./format.js";
import { Freshness } from "./freshness.js";
import { t } from "./i18n.js";
import { languageSwitch } from "./languages.js";
import { MachinesView } from "./machines.js";
import { loadPanel, loadView, OTHERS } from "./on_demand.js";
import { HOST, isThroughHost, token } from "./session.js";
import * as who from "./who.js";

const EVERY = 30_000; // milliseconds

// Failures that require signing in again.
const IDENTITY = ["token", "session", "scope"];

// Show the fleet. `start` rebuilds the page, `leave` goes to the sign-in. Returns a
// function that stops the refresh.
export function showFleet(start, leave) {
  const freshness = new Freshness(() => [views[shown]?.expire?.(), refresh()]);
  const views = { machines: new MachinesView(() => refresh()) };
  const status = el("section", { class: "status-line", "aria-label": t("status") }, freshness.element);
  const main = el("main", { id: "content", tabindex: "-1" });
  const nav = el("nav", { "aria-label": t("nav") });
  const toList = skip("list", "skip.list");
  const person = el("span", { class: "person" });
  let asked = new AbortController();
  let panel = null;
  let shown = null; // the name of the view
  let isShown = false; // whether all is shown that the address says

  document.body.replaceChildren(
    skip("content", "skip"),
    toList,
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
      person,
      languageSwitch(start),
      isThroughHost() && el("a", { class: "button quiet", href: HOST }, t("host.back")),
      token() !== null && button(t("sign_out"), () => leave(), { class: "quiet" }),
    ),
    status,
    main,
  );

  function offered() {
    const others = OTHERS.filter((each) => each !== "operators" || who.mayMakeOperators());
    return ["machines", ...others];
  }

  // Show what the address says; what that needs is loaded before.
  async function showState() {
    const { view, machine } = state();
    const name = offered().includes(view) ? view : "machines";
    if (!(name in views)) views[name] = await loadView(name, () => refresh());
    if (machine && panel === null) await openPanel();
    if (state().view !== view) return;
    show(name);
    isShown = true;
  }

  async function openPanel() {
    const made = await loadPanel(() => refresh(), (machine) => views[shown].beside?.(machine) ?? []);
    if (panel !== null) return;
    panel = made;
    document.body.append(panel.element);
  }

  function show(name) {
    const { machine } = state();
    person.textContent = who.name() === null ? "" : t("signed_in", { name: visible(who.name()) });
    if (name !== shown) main.replaceChildren(views[name].element);
    shown = name;
    placeStatus();
    toList.hidden = name !== "machines";
    nav.replaceChildren(
      ...offered().map((each) =>
        el(
          "a",
          { ...tab(each), "aria-current": each === name ? "page" : null },
          t(`nav.${each}`),
        ),
      ),
    );
    panel?.show(machine);
    const title = name === "machines" ? t("title") : t(`title.${name}`);
    document.title = machine ? t("title.machine", { machine: visible(machine) }) : title;
    views[name].showState();
  }

  function placeStatus() {
    const place = views[shown].status ?? status;
    if (freshness.element.parentElement !== place) place.append(freshness.element);
  }

  // Request all data shown from the server again.
  async function refresh() {
    asked.abort();
    asked = new AbortController();
    const { signal } = asked;
    freshness.asking();
    try {
      if (!isShown) await showState();
      if (!who.isKnown()) {
        await who.learn(signal);
        await showState();
      }
      await Promise.all([views[shown].refresh(signal), panel?.refresh(signal)]);
      if (signal.aborted) return;
      freshness.answered();
      placeStatus();
    } catch (failure) {
      if (signal.aborted) return;
      if (!(failure instanceof Failure)) throw failure;
      const judged = await judge(failure, signal);
      if (signal.aborted) return;
      if (IDENTITY.includes(judged.kind)) return leave(judged);
      freshness.failed(judged);
      panel?.failed(judged);
    }
  }

  const onChange = () => {
    isShown = false;
    refresh();
  };
  const onVisible = () => {
    if (!document.hidden && freshness.isOlderThan(EVERY)) refresh();
  };
  const onKey = (event) => views[shown]?.onKey?.(event);
  follow(onChange);
  onChange();
  document.addEventListener("visibilitychange", onVisible);
  document.addEventListener("keydown", onKey);
  const timers = [
    setInterval(() => document.hidden || refresh(), EVERY),
    setInterval(() => [tick(), freshness.tick()], 1000),
  ];
  return () => {
    asked.abort();
    timers.forEach(clearInterval);
    document.removeEventListener("visibilitychange", onVisible);
    document.removeEventListener("keydown", onKey);
  };
}

// Who is an operator stays signed in where one request is refused: a link may search for
// personal data, which not every viewer sees.
async function judge(failure, signal) {
  if (failure.kind !== "scope" || !who.isKnown()) return failure;
  try {
    await who.learn(signal);
  } catch (other) {
    return other instanceof Failure && !IDENTITY.includes(other.kind) ? other : failure;
  }
  return new Failure("refused", failure);
}

function tab(view) {
  const shown = view === "machines" ? "" : view;
  return leadsTo({ view: shown, machine: "", cursor: "", page: "" });
}

// A link past what comes before. The address stays: going there would be another page.
function skip(id, text) {
  const click = (event) => {
    event.preventDefault();
    document.getElementById(id).focus();
  };
  return el("a", { class: "skip", href: `#${id}`, on: { click } }, t(text));
}
