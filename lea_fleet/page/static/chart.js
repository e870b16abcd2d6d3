// A chart with a column for each day: enrollments above the line, uninstalls below.

import { el, svg } from "./dom.js";
import { day, number } from "./format.js";
import { t } from "./i18n.js";

const HEIGHT = 208; // pixels, as all that follows
const TOP = 12;
const BOTTOM = 24; // for the days
const DIGIT = 7.5; // the width of one
const GAP = 0.3; // of a column
const WEEK = 7;

export class Chart {
  constructor() {
    this.days = [];
    this.drawing = el("div", { class: "drawing" });
    this.table = el("tbody", {});
    this.element = el(
      "div",
      { class: "card chart" },
      el(
        "div",
        { class: "row" },
        el("h2", {}, t("chart.title")),
        el("p", { class: "key" }, key("enrollments"), key("uninstalls")),
      ),
      this.drawing,
      el(
        "details",
        {},
        el("summary", {}, t("chart.table")),
        el(
          "div",
          { class: "scroll", tabindex: "0", role: "region", "aria-label": t("chart.title") },
          el(
            "table",
            {},
            el("thead", {}, el("tr", {}, head("date"), head("enrollments"), head("uninstalls"))),
            this.table,
          ),
        ),
      ),
    );
    new ResizeObserver(() => this.#draw()).observe(this.drawing);
  }

  show(days) {
    this.days = days;
    const rows = days.map(({ date, enrollments, uninstalls }) =>
      el(
        "tr",
        {},
        el("th", { scope: "row" }, day(date)),
        el("td", {}, number(enrollments)),
        el("td", {}, number(uninstalls)),
      ),
    );
    this.table.replaceChildren(...rows.reverse());
    this.#draw();
  }

  #draw() {
    const width = this.drawing.clientWidth;
    if (width === 0 || this.days.length === 0) return;
    this.drawing.replaceChildren(draw(this.days, width));
  }
}

function key(name) {
  return el(
    "span",
    {},
    el("span", { class: `dot ${name}`, "aria-hidden": "true" }),
    t(`chart.${name}`),
  );
}

function head(name) {
  return el("th", { scope: "col" }, t(`chart.${name}`));
}

function draw(days, width) {
  const down = nice(Math.max(...days.map((each) => each.uninstalls)));
  // Without uninstalls, the line is at the bottom.
  const up = nice(Math.max(...days.map((each) => each.enrollments))) || (down ? 0 : 2);
  const unit = (HEIGHT - TOP - BOTTOM) / (up + down);
  const zero = TOP + up * unit;
  const left = 12 + DIGIT * Math.max(number(up).length, number(down).length); // for the numbers
  const step = (width - left) / days.length;
  const sum = (name) => days.reduce((total, each) => total + each[name], 0);
  const drawing = svg("svg", {
    width,
    height: HEIGHT,
    viewBox: `0 0 ${width} ${HEIGHT}`,
    role: "img",
    "aria-label": t("chart.label", {
      enrollments: sum("enrollments"),
      uninstalls: sum("uninstalls"),
    }),
  });
  for (const [value, y] of marks(up, down, zero, unit)) {
    const shape = value === 0 ? "zero" : "grid";
    drawing.append(
      svg("line", { class: shape, x1: left, x2: width, y1: y, y2: y }),
      svg("text", { class: "number", x: left - 8, y: y + 4 }, number(value)),
    );
  }
  days.forEach((each, index) => {
    drawing.append(column(each, left + index * step, step, zero, unit));
    if ((days.length - 1 - index) % WEEK === 0) {
      // The last label, today, is aligned with the right edge.
      const last = index === days.length - 1;
      const x = last ? width : left + (index + 0.5) * step;
      const at = { class: last ? "day last" : "day", x, y: HEIGHT - 4 };
      drawing.append(svg("text", at, day(each.date)));
    }
  });
  return drawing;
}

function column({ date, enrollments, uninstalls }, left, step, zero, unit) {
  const bar = { x: left + (step * GAP) / 2, width: step * (1 - GAP), rx: 1.5 };
  return svg(
    "g",
    { class: "column" },
    svg("title", {}, t("chart.day", { day: day(date), enrollments, uninstalls })),
    svg("rect", { class: "hit", x: left, y: 0, width: step, height: HEIGHT - BOTTOM }),
    svg("rect", {
      ...bar,
      class: "enrollments",
      y: zero - enrollments * unit,
      height: enrollments * unit,
    }),
    svg("rect", { ...bar, class: "uninstalls", y: zero, height: uninstalls * unit }),
  );
}

// The numbers of the axis, far enough apart not to overlap.
function marks(up, down, zero, unit) {
  const found = [[0, zero]];
  if (up * unit > 14) found.push([up, zero - up * unit]);
  if (up >= 2 && up * unit > 60) found.push([up / 2, zero - (up / 2) * unit]);
  if (down * unit > 18) found.push([down, zero + down * unit]);
  return found;
}

// Round up to a number of two digits and zeros that can be halved; 0 stays 0.
function nice(most) {
  const unit = 2 * 10 ** Math.max(0, Math.floor(Math.log10(most || 1)) - 1);
  return Math.ceil(most / unit) * unit;
}
