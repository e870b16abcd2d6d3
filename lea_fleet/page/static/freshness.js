// The age of the data shown, and the failure that prevents a refresh.

import { button, el } from "./dom.js";
import { tell } from "./failures.js";
import { ago, serverTime } from "./format.js";
import { t } from "./i18n.js";

const NOW = 10_000; // milliseconds that still are "just now"

export class Freshness {
  // `refresh` requests the data again.
  constructor(refresh) {
    this.refresh = refresh;
    this.at = null;
    this.said = el("span", {});
    this.short = el("span", { class: "short" });
    this.button = button("", refresh, {
      class: "icon refresh",
      "aria-label": t("refresh"),
      title: t("refresh"),
    });
    this.banner = el("div", { class: "banner", role: "alert" });
    this.element = el(
      "div",
      { class: "freshness" },
      el("div", { class: "age" }, this.said, this.short, this.button),
      this.banner,
    );
  }

  asking() {
    this.button.classList.add("busy");
  }

  answered() {
    this.at = serverTime();
    this.element.classList.remove("failed");
    this.banner.replaceChildren();
    this.#done();
  }

  // The old data stays visible, with its age, which is red.
  failed(failure) {
    this.element.classList.add("failed");
    const old = this.at === null ? "" : el("p", { class: "old" }, this.#old());
    tell(this.banner, failure, this.refresh, old);
    this.#done();
  }

  isOlderThan(milliseconds) {
    return this.at === null || serverTime() - this.at > milliseconds;
  }

  tick() {
    this.said.textContent = this.at === null ? t("loading") : t("updated", { when: this.#when() });
    this.short.textContent = this.at === null ? "" : this.#when("narrow");
    const old = this.banner.querySelector(".old");
    if (old) old.textContent = this.#old();
  }

  #done() {
    this.button.classList.remove("busy");
    this.tick();
  }

  #old() {
    return t("failure.old", { when: this.#when() });
  }

  #when(style) {
    const age = serverTime() - this.at;
    return age < NOW ? t("updated.now") : ago(new Date(this.at).toISOString(), style);
  }
}
