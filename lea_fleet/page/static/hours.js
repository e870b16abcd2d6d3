// On which of the last days a machine was seen, and for how many hours of each.

import { el, svg } from "./dom.js";
import { day, serverTime } from "./format.js";
import { t } from "./i18n.js";

const DAY = 86_400_000; // milliseconds
const HEIGHT = 24; // a pixel for each hour
const STEP = 10;

// `days` and `most` are what the API gives: the days with their hours, and how many days
// are kept. Empty if none are.
export function seenHours({ days, presence_days: most }) {
  if (most === 0) return [];
  const hours = new Map(days.map((each) => [each.day, each.hours]));
  const dates = Array.from({ length: most }, (_, n) => dateBefore(most - 1 - n));
  const label = t("hours.seen", { n: dates.filter((date) => hours.has(date)).length, days: most });
  const drawing = svg("svg", {
    viewBox: `0 0 ${most * STEP} ${HEIGHT}`,
    preserveAspectRatio: "none",
    role: "img",
    "aria-label": label,
  });
  dates.forEach((date, n) => drawing.append(column(date, hours.get(date) ?? [], n * STEP)));
  return [el("h3", {}, t("hours")), el("div", { class: "hours" }, drawing), el("p", { class: "under" }, label)];
}

function dateBefore(days) {
  return new Date(serverTime() - days * DAY).toISOString().slice(0, 10);
}

function column(date, hours, x) {
  const told = hours.length === 0 ? t("hours.none", { day: day(date) }) : t("hours.day", { day: day(date), hours: spans(hours) });
  return svg(
    "g",
    {},
    svg("title", {}, told),
    svg("rect", { class: "track", x, width: STEP - 2, height: HEIGHT }),
    svg("rect", { class: "value", x, y: HEIGHT - hours.length, width: STEP - 2, height: hours.length }),
  );
}

// Hours in a row as one span: 8–12, 14–18.
function spans(hours) {
  const found = [];
  for (const hour of hours) {
    if (found.at(-1)?.[1] === hour) found.at(-1)[1] = hour + 1;
    else found.push([hour, hour + 1]);
  }
  return found.map(([from, to]) => `${from}–${to}`).join(", ");
}
