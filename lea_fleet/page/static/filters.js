// The controls of the toolbar that filter the list.

import { go, goSoon, isWaiting, state } from "./address.js";
import { Failure, get } from "./api.js";
import { el, select, visible } from "./dom.js";
import { durationOf } from "./format.js";
import { t } from "./i18n.js";
import { presenceNames } from "./presence.js";
import { seesPersonal } from "./who.js";

const PRESENCES = ["online", "offline", "stale", "pending", "uninstalled"];
const SILENCES = ["1h", "12h", "1d", "7d", "14d", "30d", "90d"];
const PAUSE = 300; // milliseconds after the last key

export class Filters {
  constructor() {
    this.search = el("input", {
      id: "search",
      type: "search",
      maxlength: 255,
      autocomplete: "off",
      spellcheck: "false",
      placeholder: t("list.search"),
      title: t("list.search.hint"),
      "aria-label": t("list.search"),
      "aria-keyshortcuts": "/",
      on: { input: () => goSoon({ q: this.search.value.trim() }, PAUSE) },
    });
    this.presence = choice("presence", "list.presence", presences());
    this.version = choice("version", "list.version", []);
    this.silence = choice("silent_for", "list.silent", silences());
    this.tag = el("input", {
      id: "tag",
      list: "tags-in-use",
      autocomplete: "off",
      spellcheck: "false",
      placeholder: t("list.tag"),
      "aria-label": t("list.tag"),
      on: { change: () => go({ tag: this.tag.value.trim() }), focus: () => this.#offerTags() },
    });
    this.tags = el("datalist", { id: "tags-in-use" });
    this.versions = [];
    this.element = el(
      "div",
      { class: "filters" },
      this.presence,
      this.version,
      this.silence,
      this.tag,
      this.tags,
    );
  }

  showState() {
    const { q, presence, tag, version, silent_for } = state();
    this.search.hidden = !seesPersonal();
    if (this.search.value.trim() !== q && !isWaiting("q")) this.search.value = q;
    offer(this.presence, presence, presenceNames);
    this.#offerVersions(version);
    offer(this.silence, silent_for, durationOf);
    this.tag.value = tag;
  }

  show(summary) {
    this.search.hidden = !seesPersonal();
    this.versions = summary.by_version.map((each) => each.version).filter(Boolean);
    this.#offerVersions(state().version);
  }

  #offerVersions(chosen) {
    const names = [...new Set([...this.versions, chosen].filter(Boolean))];
    const wanted = ["", ...names.sort(newestFirst)];
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

  // The slash leads to the search, if it may be used, unless it is typed in a field.
  onKey(event) {
    const isTyping = event.target.closest("input, select, textarea, dialog") !== null;
    if (event.key !== "/" || event.ctrlKey || event.metaKey || isTyping || this.search.hidden) return;
    event.preventDefault();
    this.search.focus();
  }
}

const { compare } = new Intl.Collator("en", { numeric: true });

function newestFirst(version, other) {
  return compare(other, version);
}

function choice(name, label, options) {
  const made = select(name, options, "", (value) => go({ [name]: value }));
  made.setAttribute("aria-label", t(label));
  return made;
}

// Show a choice; one that is not among the options is added, as long as it is chosen.
function offer(control, chosen, labelOf) {
  control.querySelector("[data-other]")?.remove();
  const isKnown = [...control.options].some((option) => option.value === chosen);
  if (!isKnown) control.append(el("option", { value: chosen, data: { other: "" } }, labelOf(chosen)));
  control.value = chosen;
}

function presences() {
  const all = [PRESENCES.join(","), t("list.presence.all")];
  return [["", t("list.presence.active")], ...PRESENCES.map((each) => [each, t(`presence.${each}`)]), all];
}

function silences() {
  return [["", t("list.silent.any")], ...SILENCES.map((each) => [each, t("list.silent.for", { duration: durationOf(each) })])];
}
