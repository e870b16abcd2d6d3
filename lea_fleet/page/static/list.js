// A page of the list. The server filters, sorts and counts.

import { go, kept, leadsTo, state } from "./address.js";
import { button, el, foreign, replaceKeepingFocus } from "./dom.js";
import { timeAgo } from "./format.js";
import { t } from "./i18n.js";
import { badge, cloneMark } from "./presence.js";
import { clear, LIMIT, maySortBy, query } from "./wanted.js";

const COLUMNS = ["machine_id", "user_name", "version", "presence", "last_seen_at", "enrolled_at"];
const DATES = ["last_seen_at", "enrolled_at"];

export class MachineList {
  constructor() {
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
    replaceKeepingFocus(this.heads, COLUMNS.map(head));
    const asked = JSON.stringify(query());
    this.element.classList.toggle("old", this.answered !== asked);
  }

  // Show a page of a listing; `everyone` is the number of all machines.
  show(listing, everyone) {
    const agents = [...listing.active, ...listing.uninstalled];
    this.answered = JSON.stringify(query());
    this.element.classList.remove("old");
    this.table.hidden = agents.length === 0;
    replaceKeepingFocus(this.rows, agents.map(row));
    this.nothing.replaceChildren(...(agents.length ? [] : nothing(everyone)));
    replaceKeepingFocus(this.pages, paging(listing));
  }
}

function head(name) {
  const column = t(`column.${name}`);
  if (name === "presence" || !maySortBy(name)) return el("th", { scope: "col", role: "columnheader" }, column);
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

function row(agent) {
  const cell = (name, ...content) =>
    el("td", { role: "cell", class: name }, el("span", { class: "cell" }, ...content));
  const under = (text) => text && el("span", { class: "under" }, foreign(text));
  const { machine_id: machine } = agent;
  return el(
    "tr",
    { role: "row", class: agent.status === "active" ? "" : "gone" },
    cell(
      "machine_id",
      el(
        "a",
        { ...leadsTo({ machine }), class: "machine", data: { key: machine } },
        foreign(machine, { class: "clamp" }),
      ),
      cloneMark(agent),
      under(agent.hostname),
    ),
    cell(
      "user_name",
      foreign(agent.user_name ?? t("none"), { class: "clamp" }),
      under(agent.user_email),
    ),
    cell(
      agent.version ? "version" : "version none",
      foreign(agent.version ?? t("none"), { class: "clamp" }),
    ),
    cell("presence", badge(agent.presence)),
    cell("last_seen_at", agent.last_seen_at ? timeAgo(agent.last_seen_at) : t("attention.never_seen")),
    cell("enrolled_at", timeAgo(agent.enrolled_at)),
  );
}

function paging({ totals, next_cursor: cursor }) {
  const page = Number(state().page) || 1;
  const pages = Math.max(1, Math.ceil(totals.total / LIMIT));
  const { before = [] } = kept();
  if (page === 1 && cursor === null) return [];
  const here = state().cursor;
  const open = (changes, before) => {
    go(changes, { keep: { before } });
    document.querySelector(".machines").scrollIntoView({ block: "start" });
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

function nothing(everyone) {
  const empty = everyone === 0;
  const about = empty ? "list.empty" : "list.none";
  return [
    el("h3", {}, t(`${about}.title`)),
    el("p", {}, t(`${about}.do`)),
    empty
      ? el("a", { ...leadsTo({ view: "tokens" }), class: "button primary" }, t("list.empty.action"))
      : button(t("list.clear"), clear, { class: "primary" }),
  ];
}
