// The filters of the list, and its CSV download.

import { go, goSoon, LISTING, state } from "./address.js";
import { Failure, get } from "./api.js";
import { csvButton } from "./csv.js";
import { button, el, field, select, visible } from "./dom.js";
import { t } from "./i18n.js";
import { clear, maySortBy, query } from "./wanted.js";
import { seesPersonal } from "./who.js";

const PRESENCES = ["online", "offline", "stale", "pending", "uninstalled"];
const SILENCES = ["1h", "12h", "1d", "7d", "14d", "30d", "90d"];
const SORTS = [
  "enrolled_at",
  "last_seen_at",
  "machine_id",
  "hostname",
  "user_name",
  "user_email",
  "version",
];
const PAUSE = 300; // milliseconds after the last key

export class Filters {
  constructor() {
    this.search = el("input", {
      id: "search",
      type: "search",
      maxlength: 255,
      autocomplete: "off",
      spellcheck: "false",
      placeholder: t("list.search.hint"),
      on: { input: () => this.#onInput() },
    });
    this.searching = field(t("list.search"), this.search);
    this.presences = PRESENCES.map((name) =>
      button(t(`presence.${name}`), () => togglePresence(name), {
        class: "chip",
        title: t(`presence.${name}.means`),
        data: { name },
      }),
    );
    this.tag = el("input", {
      id: "tag",
      list: "tags-in-use",
      autocomplete: "off",
      spellcheck: "false",
      placeholder: t("list.tag.any"),
      on: { change: () => go({ tag: this.tag.value.trim() }), focus: () => this.#offerTags() },
    });
    this.tags = el("datalist", { id: "tags-in-use" });
    this.version = select("version", [], "", (version) => go({ version }));
    this.silence = select("silence", silences(), "", (silent_for) => go({ silent_for }));
    this.sort = select("sort", sorts(), "", (sort) => go({ sort }));
    this.clear = button(t("list.clear"), clear, { class: "quiet clear" });
    this.said = el("p", { class: "said", role: "status" });
    this.download = csvButton("/fleet", query, (said) => (this.said.textContent = said));
    this.found = el("p", { class: "found", role: "status" });
    this.versions = [];
    this.element = el(
      "div",
      { class: "filters" },
      el(
        "div",
        { class: "row" },
        el("h2", {}, t("list.title")),
        this.found,
        this.clear,
        this.download,
      ),
      el(
        "form",
        { role: "search", on: { submit: (event) => event.preventDefault() } },
        this.searching,
        el(
          "div",
          { class: "field" },
          el("span", { class: "label", id: "presence-label" }, t("list.presence")),
          el(
            "div",
            { class: "chips", role: "group", "aria-labelledby": "presence-label" },
            this.presences,
          ),
        ),
        field(t("list.tag"), this.tag),
        this.tags,
        field(t("list.version"), this.version),
        field(t("list.silent"), this.silence),
        field(t("list.sort"), this.sort),
      ),
      this.said,
    );
  }

  showState() {
    const all = state();
    const { q, presence, tag, version, silent_for, sort } = all;
    if (this.search.value.trim() !== q) this.search.value = q;
    const chosen = presence.split(",");
    for (const chip of this.presences) {
      chip.setAttribute("aria-pressed", String(chosen.includes(chip.dataset.name)));
    }
    this.#offerVersions(version);
    this.tag.value = tag;
    this.silence.value = silent_for;
    this.sort.value = sort;
    this.clear.hidden = [...LISTING, "saved", "cursor"].every((name) => all[name] === "");
  }

  show(summary, totals) {
    this.searching.hidden = !seesPersonal();
    for (const option of this.sort.options) option.hidden = !maySortBy(option.value);
    this.versions = summary.by_version.map((each) => each.version).filter(Boolean);
    this.#offerVersions(state().version);
    const found = t("list.found", { n: totals.total });
    if (this.found.textContent !== found) this.found.textContent = found;
  }

  #offerVersions(chosen) {
    const names = new Set([...this.versions, chosen].filter(Boolean));
    const wanted = ["", ...names];
    const offered = [...this.version.options].map((option) => option.value);
    if (JSON.stringify(wanted) !== JSON.stringify(offered)) {
      const option = (value) =>
        el("option", { value }, value ? visible(value) : t("list.version.any"));
      this.version.replaceChildren(...wanted.map(option));
    }
    this.version.value = chosen;
  }

  // The tags in use, asked for when they are needed; without them, one can be typed.
  async #offerTags() {
    try {
      const { tags } = await get("/tags");
      this.tags.replaceChildren(...tags.map(({ tag }) => el("option", { value: tag })));
    } catch (failure) {
      if (!(failure instanceof Failure)) throw failure;
    }
  }

  #onInput() {
    goSoon({ q: this.search.value.trim() }, PAUSE);
  }
}

function togglePresence(name) {
  const chosen = new Set(state().presence.split(",").filter(Boolean));
  if (!chosen.delete(name)) chosen.add(name);
  go({ presence: PRESENCES.filter((each) => chosen.has(each)).join(",") });
}

function silences() {
  const label = (silence) => {
    const unit = silence.endsWith("h") ? "hours" : "days";
    return t(`list.silent.${unit}`, { n: parseInt(silence, 10) });
  };
  return [["", t("list.silent.any")], ...SILENCES.map((each) => [each, label(each)])];
}

// Without `sort`, the latest enrollment comes first.
function sorts() {
  return SORTS.flatMap((name) => {
    const column = t(`column.${name}`);
    const down = name === "enrolled_at" ? "" : `-${name}`;
    return [
      [down, t("list.sort.down", { column })],
      [name, t("list.sort.up", { column })],
    ];
  });
}
