// The menu of the toolbar: what is seldom needed.

import { go, state } from "./address.js";
import { ColumnChooser } from "./columns.js";
import { csvButton } from "./csv.js";
import { el, field, select } from "./dom.js";
import { t } from "./i18n.js";
import { maySortBy, query } from "./wanted.js";

const MENU = "more"; // the id of the menu
const KEPT = "lea_fleet_density";
const SORTS = [
  "enrolled_at",
  "last_seen_at",
  "machine_id",
  "hostname",
  "user_name",
  "user_email",
  "version",
  "user_id",
  "os_info",
  "presence",
  "uninstalled_at",
  "uninstall_reason",
];

export class More {
  // `actions` are those on saved views; `say` is called with what came of a download.
  constructor(actions, say) {
    this.sort = select("sort", sorts(), "", (sort) => go({ sort }));
    this.columns = new ColumnChooser();
    this.compact = el("input", { type: "checkbox", checked: isCompact(), on: { change: () => this.#onDensity() } });
    this.menu = el(
      "div",
      { class: "menu more", id: MENU, popover: "auto", on: { toggle: (event) => this.#onToggle(event) } },
      actions,
      field(t("list.sort"), this.sort),
      this.columns.element,
      el("label", { class: "check" }, this.compact, t("list.compact")),
      csvButton("/fleet", query, say),
    );
    this.opener = el("button", { type: "button", class: "more-opener", popovertarget: MENU }, t("list.more"));
    this.element = el("div", { class: "more-place" }, this.opener, this.menu);
    showDensity();
  }

  showState() {
    this.sort.value = state().sort;
    // Safari shows an option that is hidden.
    for (const option of this.sort.options) option.hidden = option.disabled = !maySortBy(option.value);
    this.columns.showState();
  }

  // The boxes are there while they are seen: their labels are also those of filters.
  #onToggle({ newState }) {
    this.columns.offer(newState === "open");
  }

  #onDensity() {
    if (this.compact.checked) localStorage.setItem(KEPT, "compact");
    else localStorage.removeItem(KEPT);
    showDensity();
  }
}

function isCompact() {
  return localStorage.getItem(KEPT) === "compact";
}

function showDensity() {
  document.documentElement.classList.toggle("compact", isCompact());
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
