// The overview: totals, presence, versions, enrollments and uninstalls.

import { leadsTo } from "./address.js";
import { Chart } from "./chart.js";
import { el, foreign, replaceKeepingFocus, svg } from "./dom.js";
import { number, percent } from "./format.js";
import { t } from "./i18n.js";

const PRESENCES = ["online", "offline", "stale", "pending"];
const VERSIONS = 5;

export class Overview {
  constructor() {
    this.chart = new Chart();
    this.presence = el("div", { class: "card presence" });
    this.versions = el("div", { class: "card versions" });
    this.element = el(
      "section",
      { class: "overview", "aria-label": t("overview") },
      this.presence,
      this.versions,
      this.chart.element,
    );
  }

  show(summary) {
    replaceKeepingFocus(this.presence, presence(summary.totals));
    replaceKeepingFocus(this.versions, versions(summary));
    this.chart.show(summary.by_day);
  }
}

function presence(totals) {
  const { active, total, uninstalled } = totals;
  return [
    el("h2", {}, t("overview.presence")),
    el(
      "p",
      { class: "figure" },
      el("strong", {}, number(active)),
      " ",
      el("span", {}, t("overview.active", { n: active })),
    ),
    bar(totals),
    el(
      "ul",
      { class: "legend" },
      [...PRESENCES, "uninstalled"].map((name) => legend(name, totals)),
    ),
    el("p", { class: "hint" }, t("overview.of_total", { total, uninstalled })),
  ];
}

// The presence bar, unless there are no active machines.
function bar(totals) {
  const label = t("overview.bar", totals);
  const shape = svg("svg", {
    class: "stack",
    role: "img",
    "aria-label": label,
    viewBox: "0 0 1000 10",
    preserveAspectRatio: "none",
  });
  let left = 0;
  for (const name of PRESENCES) {
    const width = totals.active ? (totals[name] / totals.active) * 1000 : 0;
    shape.append(svg("rect", { class: name, x: left, width, height: 10 }));
    left += width;
  }
  return shape;
}

function legend(name, totals) {
  const share = name === "uninstalled" ? "" : percent(totals[name], totals.active);
  return el(
    "li",
    {},
    el(
      "a",
      {
        ...leadsTo({ presence: name }),
        title: t(`presence.${name}.means`),
        data: { key: name },
      },
      el("span", { class: `dot ${name}`, "aria-hidden": "true" }),
      el("span", { class: "name" }, t(`presence.${name}`)),
      " ",
      el("strong", {}, number(totals[name])),
      " ",
      el("span", { class: "share" }, share),
    ),
  );
}

function versions({ by_version: counted, totals }) {
  const first = counted.slice(0, VERSIONS);
  const others = counted.slice(VERSIONS);
  const rows = first.map(({ version, machines }) =>
    versionRow(
      version === null
        ? el("span", {}, t("overview.versions.unknown"))
        : el(
            "a",
            { ...leadsTo({ version }), data: { key: version } },
            foreign(version),
          ),
      machines,
      totals.active,
    ),
  );
  if (others.length > 0) {
    const machines = others.reduce((sum, each) => sum + each.machines, 0);
    const label = t("overview.versions.others", { n: others.length });
    rows.push(versionRow(el("span", {}, label), machines, totals.active));
  }
  return [
    el("h2", {}, t("overview.versions")),
    rows.length > 0
      ? el("ul", { class: "bars" }, rows)
      : el("p", { class: "hint" }, t("overview.versions.none")),
  ];
}

function versionRow(name, machines, whole) {
  return el(
    "li",
    {},
    el("span", { class: "name" }, name),
    el(
      "span",
      { class: "count" },
      el("strong", {}, number(machines)),
      " ",
      el("span", { class: "share" }, percent(machines, whole)),
    ),
    svg(
      "svg",
      { viewBox: "0 0 100 4", preserveAspectRatio: "none", "aria-hidden": "true" },
      svg("rect", { class: "track", width: 100, height: 4 }),
      svg("rect", { class: "value", width: (machines / whole) * 100, height: 4 }),
    ),
  );
}
