// One machine: its details, history and actions.

import { actionButtons } from "./actions.js";
import { go, link, UNFILTERED } from "./address.js";
import { fitsPath, get, machinePath } from "./api.js";
import { copyButton } from "./copy.js";
import { button, el, focusOn, foreign, replaceKeepingFocus } from "./dom.js";
import { inOneLine, tell } from "./failures.js";
import { dateTime, serverTime, time, timeAgo } from "./format.js";
import { seenHours } from "./hours.js";
import { phrase, t } from "./i18n.js";
import { badge, cloneMark } from "./presence.js";
import { blockNotice, stateBadges, stateNotices } from "./states.js";
import { written } from "./written.js";
import { mayChange } from "./who.js";
import { NEVER, eventItem, releasedUntil } from "./timeline.js";

const EVENTS = 20;

// Where the panel is beside the list.
const ROOMY = matchMedia("(min-width: 1440px)");

// The address of the panel alone: others have no business with the filters of the list.
const ALONE = { view: "", columns: "", cursor: "", page: "", ...UNFILTERED };
const WAYS = ["before", "after"]; // in the order of `beside`
const COPIED = ["hostname", "user_email"];
const TEXTS = ["hostname", "user_name", "user_email", "user_id", "version", "os_info"];

export class MachinePanel {
  // `refresh` requests all data shown from the server again; `beside` returns the machines
  // before and after one in the list.
  constructor(refresh, beside) {
    this.refreshAll = refresh;
    this.beside = beside;
    this.machine = "";
    this.heading = el("h2", { id: "machine-title", tabindex: "-1", "aria-live": "polite" });
    this.ways = WAYS.map((name) => this.#way(name));
    this.marks = el("p", { class: "marks" });
    this.said = el("div", { role: "status" });
    this.fault = el("div", { role: "alert" });
    this.facts = el("div", {});
    this.hours = el("div", {});
    this.actions = el("ul", { class: "deeds" });
    this.story = el("ol", { class: "story" });
    this.more = el("p", {});
    this.element = el(
      "dialog",
      {
        class: "panel",
        "aria-labelledby": "machine-title",
        on: {
          close: () => this.#onClose(),
          click: (event) => this.#onClick(event),
          keydown: (event) => this.#onKey(event),
        },
      },
      el(
        "div",
        { class: "panel-body" },
        el(
          "div",
          { class: "panel-head" },
          el(
            "div",
            { class: "ways" },
            this.ways,
            copyButton(t("machine.copy.id"), () => this.machine, "word"),
            copyButton(t("machine.copy.link"), () => new URL(link(ALONE), location.href).href, "word"),
          ),
          button("", () => this.element.close(), {
            class: "icon close",
            "aria-label": t("close"),
            title: t("close"),
          }),
          this.heading,
          this.marks,
        ),
        this.fault,
        this.said,
        this.facts,
        this.hours,
        this.actions,
        el("h3", {}, t("machine.story")),
        this.story,
        this.more,
      ),
    );
  }

  // Show the machine with that id, or none if it is empty.
  show(machine) {
    if (machine === this.machine) return;
    const before = this.machine;
    this.machine = machine;
    if (machine === "") {
      this.element.close();
      return focusOn(before); // its line in the list
    }
    this.heading.replaceChildren(foreign(machine));
    this.limit = EVENTS;
    this.loading = true;
    for (const part of [this.fault, this.marks, this.said, this.hours, this.actions, this.story, this.more]) {
      part.replaceChildren();
    }
    this.facts.replaceChildren(el("p", { class: "hint" }, t("loading")));
    const isOpen = this.element.open;
    if (!isOpen) this.#open();
    this.#showWays();
    // Whoever steps from machine to machine goes on doing so.
    const isOnItsWay = isOpen && document.activeElement.matches(".ways button:enabled");
    if (!isOnItsWay) this.heading.focus({ preventScroll: true });
  }

  // Beside the list where there is room for both, else above it.
  #open() {
    if (ROOMY.matches) this.element.show();
    else this.element.showModal();
    document.body.classList.toggle("beside", ROOMY.matches);
  }

  // A button to the machine before or after this one.
  #way(name) {
    return button("", () => go({ machine: this.beside(this.machine)[WAYS.indexOf(name)] }), {
      class: `icon ${name}`,
      "aria-label": t(`machine.${name}`),
      title: t(`machine.${name}`),
      data: { key: name },
    });
  }

  #showWays() {
    const beside = this.beside(this.machine);
    this.ways.forEach((way, index) => (way.disabled = beside[index] === undefined));
  }

  async refresh(signal) {
    const { machine } = this;
    if (machine === "") return;
    const query = { machine_id: machine, totals: 0 }; // which finds it whatever its name
    const { active, uninstalled } = await get("/fleet", { query, signal });
    const [agent] = [...active, ...uninstalled];
    const [states, story, presence] = agent ? await this.#more(agent, signal) : [];
    if (signal?.aborted || machine !== this.machine) return;
    this.loading = false;
    this.fault.replaceChildren();
    this.#showWays();
    if (!agent) return this.#fillUnknown();
    this.#fill(agent, states, story);
    this.hours.replaceChildren(...(presence ? seenHours(presence) : []));
  }

  // What was decided about a machine, its events, and when it was seen.
  async #more({ machine_id: machine, status }, signal) {
    if (!fitsPath(machine)) return [{}, { events: [], next_cursor: null }];
    const query = { limit: this.limit };
    return Promise.all([
      get(machinePath(machine, ""), { signal }),
      get(machinePath(machine, "/events"), { query, signal }),
      mayChange() && status === "active" && get(machinePath(machine, "/presence"), { signal }),
    ]);
  }

  // Say why it could not be refreshed: the page's own banner is behind the panel.
  failed(failure) {
    if (this.machine === "") return;
    if (this.loading) this.facts.replaceChildren();
    tell(this.fault, failure, () => this.refreshAll());
  }

  #fill(agent, states, { events, next_cursor: older }) {
    const until = releasedUntil(events, serverTime());
    const isActive = agent.status === "active";
    const marks = [badge(agent.presence), cloneMark(agent) || "", ...stateBadges(states)];
    this.marks.replaceChildren(...marks);
    // What has just been said of an action is not said again.
    const decided = this.said.firstChild
      ? []
      : [until && isActive ? el("p", { class: "notice" }, letThrough(until)) : "", ...stateNotices(states)];
    replaceKeepingFocus(
      this.facts,
      agent.suspected_clone ? el("p", { class: "notice" }, t("machine.clone.do")) : "",
      states.block ? blockNotice(states.block) : "",
      ...decided,
      facts(agent, states),
      states.tags ? written(agent, states, (said) => this.#say(said)) : "",
    );
    replaceKeepingFocus(
      this.actions,
      actionButtons(agent, states, until !== null, (said) => this.#say(said)),
    );
    this.story.replaceChildren(...events.map((event) => eventItem(event)));
    replaceKeepingFocus(this.more, this.#below(events, older));
  }

  #below(events, older) {
    if (!fitsPath(this.machine)) return el("span", { class: "hint" }, t("machine.no_path"));
    if (events.length === 0) return el("span", { class: "hint" }, t("machine.story.none"));
    if (older === null || this.limit === 500) return [];
    const show = () => {
      this.limit = Math.min(this.limit * 5, 500); // what the API gives at most
      this.#ask();
    };
    return button(t("machine.story.more"), show, { data: { key: "more" } });
  }

  #fillUnknown() {
    this.facts.replaceChildren(
      el(
        "div",
        { class: "notice bad" },
        el("strong", {}, t("machine.unknown.title")),
        el("p", {}, t("machine.unknown.do")),
      ),
    );
    for (const part of [this.marks, this.hours, this.actions, this.story, this.more]) {
      part.replaceChildren();
    }
  }

  #say(said) {
    this.said.replaceChildren(el("p", { class: "notice good" }, said));
    this.heading.focus();
    this.refreshAll();
  }

  async #ask() {
    const { machine } = this;
    try {
      await this.refresh();
    } catch (failure) {
      if (machine !== this.machine) return;
      this.said.replaceChildren(el("p", { class: "notice bad" }, inOneLine(failure)));
    }
  }

  // A click outside the panel closes it, unless it is beside the list.
  #onClick(event) {
    if (event.target === this.element && this.element.matches(":modal")) this.element.close();
  }

  // The browser closes a modal panel itself.
  #onKey(event) {
    if (event.key === "Escape" && !this.element.matches(":modal")) this.element.close();
  }

  #onClose() {
    const before = this.machine;
    document.body.classList.remove("beside");
    if (before === "") return;
    this.machine = "";
    go({ machine: "" });
    focusOn(before);
  }
}

function letThrough(until) {
  if (until === NEVER) return t("machine.released.never");
  return t("machine.released", { until: dateTime(until) });
}

function facts(agent, { token }) {
  const list = el("dl", {});
  const add = (name, ...value) => list.append(el("dt", {}, t(`machine.${name}`)), el("dd", {}, ...value));
  const copy = (name) => COPIED.includes(name) && [" ", copyButton(t(`machine.copy.${name}`), () => agent[name])];
  for (const name of TEXTS) if (agent[name]) add(name, [foreign(agent[name]), copy(name)]);
  for (const name of ["last_seen_at", "enrolled_at", "uninstalled_at"]) {
    if (agent[name]) add(name, [time(agent[name]), " (", timeAgo(agent[name]), ")"]);
  }
  if (token !== undefined && agent.status === "active") add("token", tokenState(token));
  if (agent.uninstall_reason) add("uninstall_reason", foreign(agent.uninstall_reason));
  return list;
}

function tokenState(token) {
  if (token === null) return t("token.none");
  const { first_used_at: used, rotated_at: rotated } = token;
  if (rotated !== null) return phrase("token.rotated", { when: timeAgo(rotated) });
  return used === null ? t("token.unused") : phrase("token.used", { when: time(used) });
}
