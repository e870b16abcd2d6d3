// One machine: its details, history and actions.

import { actionButtons } from "./actions.js";
import { go } from "./address.js";
import { fitsPath, get, machinePath } from "./api.js";
import { button, el, focusOn, foreign, replaceKeepingFocus } from "./dom.js";
import { explain, inOneLine } from "./failures.js";
import { dateTime, serverTime, time, timeAgo } from "./format.js";
import { t } from "./i18n.js";
import { badge, cloneMark } from "./presence.js";
import { stateBadges, stateNotices } from "./states.js";
import { written } from "./written.js";
import { NEVER, eventItem, releasedUntil } from "./timeline.js";

const EVENTS = 20;
const TEXTS = ["hostname", "user_name", "user_email", "user_id", "version", "os_info"];

export class MachinePanel {
  // `refresh` requests all data shown from the server again.
  constructor(refresh) {
    this.refreshAll = refresh;
    this.machine = "";
    this.heading = el("h2", { id: "machine-title", tabindex: "-1" });
    this.marks = el("p", { class: "marks" });
    this.said = el("div", { role: "status" });
    this.fault = el("div", { role: "alert" });
    this.facts = el("div", {});
    this.actions = el("div", { class: "actions" });
    this.story = el("ol", { class: "story" });
    this.more = el("p", {});
    this.element = el(
      "dialog",
      {
        class: "panel",
        "aria-labelledby": "machine-title",
        on: { close: () => this.#onClose(), click: (event) => this.#onClick(event) },
      },
      el(
        "div",
        { class: "panel-body" },
        el(
          "header",
          {},
          el("p", { class: "over" }, t("machine")),
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
    for (const part of [this.fault, this.marks, this.said, this.actions, this.story, this.more]) {
      part.replaceChildren();
    }
    this.facts.replaceChildren(el("p", { class: "hint" }, t("loading")));
    if (!this.element.open) this.element.showModal();
    this.heading.focus();
  }

  async refresh(signal) {
    const { machine } = this;
    if (machine === "") return;
    const query = { machine_id: machine, totals: 0 }; // which finds it whatever its name
    const { active, uninstalled } = await get("/fleet", { query, signal });
    const [agent] = [...active, ...uninstalled];
    const [states, story] = agent ? await this.#more(machine, signal) : [];
    if (signal?.aborted || machine !== this.machine) return;
    this.loading = false;
    this.fault.replaceChildren();
    if (agent) this.#fill(agent, states, story);
    else this.#fillUnknown();
  }

  // What was decided about a machine, and its events.
  async #more(machine, signal) {
    if (!fitsPath(machine)) return [{}, { events: [], next_cursor: null }];
    const query = { limit: this.limit };
    return Promise.all([
      get(machinePath(machine, ""), { signal }),
      get(machinePath(machine, "/events"), { query, signal }),
    ]);
  }

  // Say why it could not be refreshed: the page's own banner is behind the panel.
  failed(failure) {
    if (this.machine === "") return;
    if (this.loading) this.facts.replaceChildren();
    const retry = button(t("failure.retry"), () => this.refreshAll());
    this.fault.replaceChildren(explain(failure), retry);
  }

  #fill(agent, states, { events, next_cursor: older }) {
    const until = releasedUntil(events, serverTime());
    const isActive = agent.status === "active";
    const marks = [badge(agent.presence), cloneMark(agent) || "", ...stateBadges(states)];
    this.marks.replaceChildren(...marks);
    this.facts.replaceChildren(
      agent.suspected_clone ? el("p", { class: "notice" }, t("machine.clone.do")) : "",
      until && isActive ? el("p", { class: "notice" }, letThrough(until)) : "",
      ...stateNotices(states),
      facts(agent),
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
    for (const part of [this.marks, this.actions, this.story, this.more]) {
      part.replaceChildren();
    }
  }

  #say(said) {
    this.said.replaceChildren(el("p", { class: "notice good" }, said));
    this.heading.focus();
    this.refreshAll();
  }

  async #ask() {
    try {
      await this.refresh();
    } catch (failure) {
      this.said.replaceChildren(el("p", { class: "notice bad" }, inOneLine(failure)));
    }
  }

  // A click outside the panel closes it.
  #onClick(event) {
    if (event.target === this.element) this.element.close();
  }

  #onClose() {
    const before = this.machine;
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

function facts(agent) {
  const list = el("dl", {});
  const add = (name, value) => list.append(el("dt", {}, t(`machine.${name}`)), el("dd", {}, value));
  for (const name of TEXTS) if (agent[name]) add(name, foreign(agent[name]));
  for (const name of ["last_seen_at", "enrolled_at", "uninstalled_at"]) {
    if (agent[name]) add(name, [time(agent[name]), " (", timeAgo(agent[name]), ")"]);
  }
  if (agent.uninstall_reason) add("uninstall_reason", foreign(agent.uninstall_reason));
  return list;
}
