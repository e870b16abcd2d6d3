// Statistics, which are loaded when they are opened: the versions that are installed, and
// the enrollments and uninstalls of the last days.

import { leadsTo, UNFILTERED } from "./address.js";
import { Chart } from "./chart.js";
import { el, foreign, replaceKeepingFocus, svg } from "./dom.js";
import { number, percent } from "./format.js";
import { t } from "./i18n.js";

const VERSIONS = 8;

export class Statistics {
  constructor() {
    this.chart = new Chart();
    this.versions = el("div", { class: "card versions" });
    this.element = el("div", { class: "statistics" }, this.versions, this.chart.element);
  }

  show(summary) {
    replaceKeepingFocus(this.versions, versions(summary));
    this.chart.show(summary.by_day);
  }
}

function versions({ by_version: counted, totals }) {
  const first = counted.slice(0, VERSIONS);
  const others = counted.slice(VERSIONS);
  const rows = first.map(({ version, machines }) => versionRow(nameOf(version), machines, totals.active));
  if (others.length > 0) {
    const machines = others.reduce((sum, each) => sum + each.machines, 0);
    const label = t("statistics.versions.others", { n: others.length });
    rows.push(versionRow(el("span", {}, label), machines, totals.active));
  }
  return [
    el("h2", {}, t("statistics.versions")),
    rows.length > 0
      ? el("ul", { class: "bars" }, rows)
      : el("p", { class: "hint" }, t("statistics.versions.none")),
  ];
}

function nameOf(version) {
  const filter = version === null ? { without_version: "true" } : { version };
  const link = { ...leadsTo({ ...UNFILTERED, ...filter }), data: { key: version ?? "" } };
  return el("a", link, version === null ? t("statistics.versions.unknown") : foreign(version));
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
