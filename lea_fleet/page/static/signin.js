// The sign-in form. The token is verified before it is stored.

import { Failure, get } from "./api.js";
import { button, el, field } from "./dom.js";
import { explain } from "./failures.js";
import { t } from "./i18n.js";
import { languageSwitch } from "./languages.js";
import { HOST, isStranger, signIn, signOut } from "./session.js";

// Show the form, with the Failure that is the reason. `start` is called after signing in.
export function showSignIn(start, reason) {
  const input = el("input", {
    id: "token",
    type: "password",
    autocomplete: "off",
    spellcheck: "false",
    required: true,
  });
  const submit = el("button", { type: "submit", class: "primary" }, t("sign_in.submit"));
  const message = el("div", { role: "alert" });
  const isUnasked = isStranger() && !(reason instanceof Failure);
  const form = el(
    "form",
    { novalidate: true, hidden: isUnasked, on: { submit: (event) => onSubmit(event) } },
    field(t("sign_in.token"), input, t("sign_in.hint")),
    message,
    submit,
  );
  document.body.replaceChildren(
    el(
      "div",
      { class: "sign-in" },
      el("header", {}, languageSwitch(start)),
      el(
        "main",
        { class: "card" },
        el("div", { class: "logo", "aria-hidden": "true" }),
        el("h1", {}, t(isUnasked ? "sign_in.stranger" : "sign_in.title")),
        el("p", { class: "lead" }, t(isUnasked ? "sign_in.stranger.lead" : "sign_in.lead")),
        isUnasked && stranger(),
        form,
      ),
    ),
  );
  if (reason instanceof Failure) message.append(explain(reason));
  if (!isUnasked) input.focus();
  return () => {};

  // Who is signed in to the host without being an operator is not asked for a token, but
  // may have one.
  function stranger() {
    const use = button(t("sign_in.stranger.token"), () => {
      form.hidden = false;
      use.hidden = true;
      input.focus();
    });
    return el("div", { class: "actions" }, el("a", { class: "button primary", href: HOST }, t("host.back")), use);
  }

  async function onSubmit(event) {
    event.preventDefault();
    const told = input.value.trim();
    message.replaceChildren();
    input.removeAttribute("aria-invalid");
    if (told === "") return refuse(el("p", { class: "notice bad" }, t("sign_in.empty")));
    submit.disabled = true;
    submit.textContent = t("sign_in.checking");
    try {
      signIn(told);
      await get("/fleet", { query: { limit: 1, totals: 0 } });
      start();
    } catch (failure) {
      signOut();
      submit.disabled = false;
      submit.textContent = t("sign_in.submit");
      refuse(explain(failure));
    }
  }

  function refuse(why) {
    message.replaceChildren(why);
    input.setAttribute("aria-invalid", "true");
    input.focus();
  }
}
