// A page of the list. The server filters, sorts and counts.

import { go, kept, leadsTo, state } from "./address.js";
import { areUsual, columns } from "./columns.js";
import { button, cell, el, foreign, replaceKeepingFocus } from "./dom.js";
import { timeAgo } from "./format.js";
import { t } from "./i18n.js";
import { badge, cloneMark } from "./presence.js";
import { Selection } from "./selection.js";
import { tagLinks } from "./tags.js";
import { clear, LIMIT, maySortBy, query } from "./wanted.js";
import { mayChange } from "./who.js";

const UNSORTED = ["tags", "note"];
const MANY = 6; // columns, above which all are of the same width
const DATES = ["last_seen_at", "enrolled_at", "uninstalled_at"];

export class MachineList {
  // `act` is called with the name of an action and with the machines that are selected.
  constructor(act) {
    this.agents = [];
    this.selection = new Selection(() => this.#fill(), act);
    this.heads = el("tr", { role: "row" });
    this.rows = el("tbody", { role: "rowgroup" });
    this.table = el(
      "table",
      { class: "list", role: "table", "aria-label": t("list.title") },
      el("thead", { role: "rowgroup" }, this.heads),
      this.rows,
    );
    this.nothing = el("div", { class: "nothing", role: "status" });
    this.pages = el("nav", { class: "pages", "aria-label": t("list.pages") });
    this.element = el(
      "div",
      { class: "listing" },
      this.table,
      this.nothing,
      this.pages,
    );
    this.table.hidden = true;
  }

  // Until the server responds, the old page stays, dimmed.
  showState() {
    this.selection.follow();
    this.#fill();
    const asked = JSON.stringify(query());
    this.element.classList.toggle("old", this.answered !== asked);
  }

  // Show a page of a listing.
  show(listing) {
    const agents = [...listing.active, ...listing.uninstalled];
    this.answered = JSON.stringify(query());
    this.element.classList.remove("old");
    this.table.hidden = agents.length === 0;
    this.agents = agents;
    this.selection.show(agents, listing.totals.total);
    this.#fill();
    this.nothing.replaceChildren(...(agents.length ? [] : nothing()));
    replaceKeepingFocus(this.pages, paging(listing));
  }

  #fill() {
    this.#fillHeads();
    const box = (agent) => mayChange() && cell("select", this.selection.box(agent));
    replaceKeepingFocus(this.rows, this.agents.map((agent) => row(agent, box(agent))));
  }

  #fillHeads() {
    const attributes = { scope: "col", role: "columnheader", class: "select" };
    const box = mayChange() && el("th", attributes, this.selection.pageBox());
    this.table.classList.toggle("selectable", mayChange());
    const shown = columns();
    this.table.classList.toggle("many", shown.length > MANY);
    this.table.classList.toggle("usual", areUsual());
    replaceKeepingFocus(this.heads, box, shown.map(head));
  }
}

function head(name) {
  const column = t(`column.${name}`);
  if (UNSORTED.includes(name) || !maySortBy(name)) {
    return el("th", { scope: "col", role: "columnheader", class: name }, column);
  }
  const sort = state().sort || "-enrolled_at";
  const order = { [name]: "ascending", [`-${name}`]: "descending" }[sort] ?? "none";
  // Dates are sorted descending first, text ascending; the default order has no parameter.
  const first = DATES.includes(name) ? `-${name}` : name;
  const other = first === name ? `-${name}` : name;
  const next = sort === first ? other : first;
  return el(
    "th",
    { scope: "col", role: "columnheader", "aria-sort": order, class: name },
    button(
      column,
      () => go({ sort: next === "-enrolled_at" ? "" : next }),
      { class: "sort", title: t("list.sort.by", { column }), data: { key: name } },
    ),
  );
}

function row(agent, box) {
  const shown = columns();
  const classes = (name) => (name === "version" && !agent.version ? "version none" : name);
  return el(
    "tr",
    { role: "row", class: rowClass(agent) },
    box,
    shown.map((name) => cell(classes(name), CELLS[name](agent, shown))),
  );
}

function rowClass({ machine_id: machine, status }) {
  return [status === "active" ? "" : "gone", machine === state().machine ? "open" : ""].join(" ").trim();
}

// What a column shows of a machine. A detail that has no column of its own is under
// what it belongs to.
const CELLS = {
  machine_id: (agent, shown) => [
    el(
      "a",
      { ...leadsTo({ machine: agent.machine_id }), class: "machine", data: { key: agent.machine_id } },
      foreign(agent.machine_id, { class: "cut" }),
    ),
    cloneMark(agent),
    !shown.includes("hostname") && !isName(agent.hostname, agent) && under(agent.hostname),
  ],
  user_name: (agent, shown) => [text(agent.user_name), !shown.includes("user_email") && under(agent.user_email)],
  user_email: (agent) => text(agent.user_email),
  user_id: (agent) => text(agent.user_id),
  hostname: (agent) => text(agent.hostname),
  os_info: (agent) => text(agent.os_info),
  version: (agent) => text(agent.version),
  presence: (agent) => badge(agent.presence),
  last_seen_at: (agent) => (agent.last_seen_at ? timeAgo(agent.last_seen_at) : t("attention.never_seen")),
  enrolled_at: (agent) => timeAgo(agent.enrolled_at),
  uninstalled_at: (agent) => (agent.uninstalled_at ? timeAgo(agent.uninstalled_at) : t("none")),
  uninstall_reason: (agent) => text(agent.uninstall_reason),
  tags: (agent) => tags(agent) || t("none"),
  note: (agent) => text(agent.note),
};

function isName(hostname, { machine_id: machine }) {
  return hostname?.toLowerCase() === machine.toLowerCase();
}

function tags(agent) {
  return agent.tags.length > 0 && el("span", { class: "tags" }, tagLinks(agent.tags));
}

function text(value) {
  return foreign(value ?? t("none"), { class: "cut" });
}

function under(value) {
  return value && el("span", { class: "under" }, foreign(value));
}

function paging({ totals, next_cursor: cursor }) {
  const page = Number(state().page) || 1;
  const pages = Math.max(1, Math.ceil(totals.total / LIMIT));
  const { before = [] } = kept();
  if (page === 1 && cursor === null) return [];
  const here = state().cursor;
  const open = (changes, before) => {
    go(changes, { keep: { before } });
    document.getElementById("list").scrollIntoView({ block: "start" });
  };
  const previous = () =>
    open({ cursor: before.at(-1), page: page > 2 ? page - 1 : "" }, before.slice(0, -1));
  const next = () => open({ cursor, page: page + 1 }, [...before, here]);
  return [
    button(t("list.first"), () => open({ cursor: "", page: "" }, []), {
      disabled: here === "",
      data: { key: "first" },
    }),
    button(t("list.previous"), previous, {
      disabled: before.length === 0,
      data: { key: "previous" },
    }),
    el("span", { role: "status" }, t("list.page", { page, pages: Math.max(page, pages) })),
    button(t("list.next"), next, { disabled: cursor === null, data: { key: "next" } }),
  ];
}

function nothing() {
  return [
    el("h3", {}, t("list.none.title")),
    el("p", {}, t("list.none.do")),
    button(t("list.clear"), clear, { class: "primary" }),
  ];
}
