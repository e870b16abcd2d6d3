// Numbers, dates and durations in the reader's locale and time zone.

import { el, visible } from "./dom.js";
import { locale } from "./i18n.js";

// Units, with their length in seconds and the minimum number to use the unit for:
// "60 days ago" is more precise than "2 months ago".
const UNITS = [
  ["year", 31557600, 2],
  ["month", 2629800, 3],
  ["day", 86400, 2],
  ["hour", 3600, 1],
  ["minute", 60, 1],
];

// Units of a setting, in seconds.
const LENGTHS = [
  ["day", 86400],
  ["hour", 3600],
  ["minute", 60],
];

// How far the server's clock is ahead of this one, in milliseconds.
let ahead = 0;

// Adjust to the server's clock. Its `Date` header has whole seconds.
export function readClock(header) {
  const told = Date.parse(header);
  if (Number.isFinite(told)) ahead = told - Date.now();
}

export function serverTime() {
  return Date.now() + ahead;
}

export function number(value) {
  return value.toLocaleString(locale());
}

export function percent(part, whole) {
  const share = whole === 0 ? 0 : part / whole;
  const style = { style: "percent", maximumFractionDigits: share < 0.1 ? 1 : 0 };
  return share.toLocaleString(locale(), style);
}

export function dateTime(iso) {
  const style = { dateStyle: "medium", timeStyle: "short" };
  return dated(iso, style);
}

export function date(iso) {
  return dated(iso, { dateStyle: "medium" });
}

// A day of the summary, in UTC.
export function day(iso, style = { day: "numeric", month: "short" }) {
  return dated(`${iso}T00:00:00Z`, { ...style, timeZone: "UTC" });
}

// The age of a timestamp, such as "5 minutes ago".
export function ago(iso, style = "long") {
  const seconds = (Date.parse(iso) - serverTime()) / 1000;
  if (!Number.isFinite(seconds)) return String(iso);
  const relative = new Intl.RelativeTimeFormat(locale(), { numeric: "auto", style });
  for (const [unit, length, least] of UNITS) {
    if (Math.abs(seconds) >= length * least) {
      return relative.format(Math.trunc(seconds / length), unit);
    }
  }
  return relative.format(Math.trunc(seconds / 10) * 10, "second");
}

// An element that shows the age of a timestamp and is kept up to date.
export function timeAgo(iso) {
  return el("time", { datetime: iso, title: dateTime(iso), data: { ago: iso } }, ago(iso));
}

export function time(iso) {
  return el("time", { datetime: iso }, dateTime(iso));
}

// Update the age in every timeAgo() on the page.
export function tick() {
  for (const shown of document.querySelectorAll("time[data-ago]")) {
    const text = ago(shown.dataset.ago);
    if (shown.textContent !== text) shown.textContent = text;
  }
}

// A duration of the API, such as 14d. What is none, as an address may have, stays as it is.
export function durationOf(text) {
  const [, value, letter] = /^([\d.]+)([smhd])$/.exec(text) ?? [];
  const unit = { s: "second", m: "minute", h: "hour", d: "day" }[letter];
  return unit ? inUnit(Number(value), unit, "long") : visible(text);
}

// Seconds, in the largest unit that needs no fraction, as short as possible.
export function shortDuration(seconds) {
  const [unit, length] = LENGTHS.find(([, length]) => seconds % length === 0) ?? ["second", 1];
  return inUnit(seconds / length, unit, "short");
}

function inUnit(value, unit, unitDisplay) {
  return value.toLocaleString(locale(), { style: "unit", unit, unitDisplay });
}

function dated(iso, style) {
  const date = new Date(iso);
  // An older server may have stored any text.
  if (Number.isNaN(date.getTime())) return String(iso);
  return new Intl.DateTimeFormat(locale(), style).format(date);
}
