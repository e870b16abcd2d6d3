// The history of the whole fleet: who did what, when.

import { go, goSoon, HISTORY, kept, leadsTo, state } from "./address.js";
import { get } from "./api.js";
import { csvButton } from "./csv.js";
import { button, el, field, foreign, replaceKeepingFocus, select } from "./dom.js";
import { durationOf } from "./format.js";
import { t, texts } from "./i18n.js";
import { eventItem } from "./timeline.js";
import { seesPersonal } from "./who.js";

const LIMIT = 50;
const PERIODS = ["1h", "12h", "1d", "7d", "30d", "90d"];
const ROLES = ["operator", "installer", "agent", "cli", "host"];
const PAUSE = 300; // milliseconds after the last key

export class HistoryView {
  constructor() {
    this.event = select("event", events(), "", (event) => go({ event }));
    this.since = select("since", periods(), "", (since) => go({ since }));
    this.until = el("input", { id: "until", type: "date", on: { change: () => go({ until: this.until.value }) } });
    this.about = searchField("about");
    this.actor = searchField("actor", { list: "roles" });
    this.acting = field(t("history.actor"), this.actor);
    this.clear = button(t("list.clear"), clear, { class: "quiet clear" });
    this.said = el("p", { class: "said", role: "status" });
    this.story = el("ol", { class: "story fleet" });
    this.nothing = el("p", { class: "nothing", role: "status", hidden: true }, t("history.none"));
    this.pages = el("nav", { class: "pages", "aria-label": t("list.pages") });
    this.element = el(
      "div",
      { class: "view history" },
      el("h1", {}, t("history.title")),
      el("p", { class: "lead" }, t("history.lead")),
      el(
        "div",
        { class: "card" },
        el(
          "form",
          { class: "row", role: "search", on: { submit: (event) => event.preventDefault() } },
          field(t("history.event"), this.event),
          field(t("history.about"), this.about),
          this.acting,
          el("datalist", { id: "roles" }, ROLES.map((value) => el("option", { value }))),
          field(t("history.since"), this.since),
          field(t("history.until"), this.until),
          this.clear,
          csvButton("/events", query, (said) => (this.said.textContent = said)),
        ),
        this.said,
        this.story,
        this.nothing,
        this.pages,
      ),
    );
  }

  showState() {
    const all = state();
    this.event.value = all.event;
    this.since.value = all.since;
    this.until.value = all.until;
    for (const input of [this.about, this.actor]) {
      if (input.value.trim() !== all[input.id]) input.value = all[input.id];
    }
    this.clear.hidden = [...HISTORY, "cursor"].every((name) => all[name] === "");
    this.story.classList.toggle("old", this.answered !== JSON.stringify(query()));
  }

  async refresh(signal) {
    const asked = query();
    const page = await get("/events", { query: { ...asked, limit: LIMIT }, signal });
    if (signal?.aborted) return;
    this.answered = JSON.stringify(asked);
    this.acting.hidden = !seesPersonal();
    this.story.classList.remove("old");
    replaceKeepingFocus(this.story, page.events.map((event) => eventItem(event, about(event))));
    this.nothing.hidden = page.events.length > 0;
    replaceKeepingFocus(this.pages, paging(page.next_cursor));
  }
}

// A field of the filter with that name, which is applied soon after it was typed.
function searchField(name, attributes = {}) {
  const input = el("input", {
    id: name,
    type: "search",
    maxlength: 255,
    autocomplete: "off",
    spellcheck: "false",
    on: { input: () => goSoon({ [name]: input.value.trim() }, PAUSE) },
    ...attributes,
  });
  return input;
}

// The parameters for the API.
function query() {
  const { event, about, actor, since, until, cursor } = state();
  return { event, machine_id: about, actor, since, until: endOf(until), cursor };
}

// The end of a day where the reader is; what is no day is left for the API to refuse.
function endOf(day) {
  const end = new Date(`${day}T00:00`);
  if (Number.isNaN(end.valueOf())) return day;
  end.setDate(end.getDate() + 1);
  return end.toISOString();
}

function clear() {
  go(Object.fromEntries(HISTORY.map((name) => [name, ""])));
}

// A link to the event's machine.
function about({ machine_id: machine }) {
  if (machine === null) return null;
  return [" ", el("a", { ...leadsTo({ machine }), data: { key: machine } }, foreign(machine))];
}

function paging(cursor) {
  const here = state().cursor;
  const { before = [] } = kept();
  if (here === "" && cursor === null) return [];
  const open = (to, before) => go({ cursor: to }, { keep: { before } });
  return [
    button(t("history.newest"), () => open("", []), {
      disabled: here === "",
      data: { key: "first" },
    }),
    button(t("history.newer"), () => open(before.at(-1), before.slice(0, -1)), {
      disabled: before.length === 0,
      data: { key: "previous" },
    }),
    button(t("history.older"), () => open(cursor, [...before, here]), {
      disabled: cursor === null,
      data: { key: "next" },
    }),
  ];
}

function events() {
  const named = texts("event.").sort(([, one], [, other]) => one.localeCompare(other));
  return [["", t("history.event.any")], ...named];
}

function periods() {
  return [["", t("history.since.any")], ...PERIODS.map((each) => [each, durationOf(each)])];
}
