// The dialog that creates an enrollment token.

import { post } from "./api.js";
import { confirm, showSecret } from "./dialogs.js";
import { el, field, foreign, select } from "./dom.js";
import { durationOf } from "./format.js";
import { phrase, t } from "./i18n.js";
import { setupPart } from "./setup.js";
import { split } from "./tags.js";

const MOST_USES = 1_000_000;
const NEVER = "never";

// Create one, and show it; resolves to whether one was created, once it has been copied.
export async function createToken() {
  const form = new Form();
  let made;
  let token;
  // Whoever does not confirm comes back to the form.
  do {
    made = await askFor(form);
    token = made === "ask" ? await confirmEndless(form) : made;
  } while (made === "ask" && !token);
  if (!token) return false;
  await showSecret(phrase("tokens.made", { label: foreign(token.label) }), token.token, setupPart(token.token));
  return true;
}

function askFor(form) {
  return confirm({
    title: t("tokens.new"),
    text: t("tokens.new.text"),
    label: t("tokens.create"),
    extra: form.element,
    lacks: () => form.lack(),
    act: () => (form.isEndless ? "ask" : form.send()),
  });
}

function confirmEndless(form) {
  return confirm({
    title: t("tokens.endless.title"),
    text: t("tokens.endless.text"),
    label: t("tokens.endless.do"),
    danger: true,
    act: () => form.send(),
  });
}

class Form {
  constructor() {
    this.label = el("input", { id: "label", maxlength: 255, autocomplete: "off" });
    this.expires = select("expires", lifetimes(), "7d");
    this.uses = el("input", { id: "uses", inputmode: "numeric", value: "100" });
    this.tags = el("input", { id: "token-tags", autocomplete: "off", spellcheck: "false" });
    this.element = [
      field(t("tokens.label"), this.label, t("tokens.label.hint")),
      field(t("tokens.expires"), this.expires),
      field(t("tokens.uses"), this.uses),
      field(t("tokens.tags"), this.tags, t("tag.add.hint")),
    ];
  }

  get isEndless() {
    return this.expires.value === NEVER;
  }

  // What is wrong with it, if something is.
  lack() {
    const uses = this.#number();
    const isCounted = Number.isInteger(uses) && uses >= 1 && uses <= MOST_USES;
    const wrong = this.label.value.trim() === "" ? this.label : isCounted ? null : this.uses;
    for (const input of [this.label, this.uses]) input.setAttribute("aria-invalid", String(input === wrong));
    wrong?.focus();
    return wrong && t(wrong === this.label ? "tokens.label.missing" : "tokens.uses.wrong");
  }

  send() {
    return post("/enrollment-tokens", {
      label: this.label.value.trim(),
      expires: this.expires.value,
      max_uses: this.#number(),
      tags: split(this.tags.value),
    });
  }

  #number() {
    const digits = this.uses.value.replace(/[\s\u00a0\u202f,]/g, "");
    return /^\d+$/.test(digits) ? Number(digits) : NaN; // 1.000 is not 1
  }
}

function lifetimes() {
  const days = [1, 7, 30, 90].map((n) => [`${n}d`, durationOf(`${n}d`)]);
  return [["12h", durationOf("12h")], ...days, [NEVER, t("tokens.never")]];
}
