// DOM helpers. Values from the API become text nodes: nothing here parses markup.

const SVG = "http://www.w3.org/2000/svg";

// Invisible characters, and characters that change the direction of text.
const HIDDEN =
  /[\u0000-\u001f\u007f-\u009f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]/g;

// Create an element. `on` contains listeners, `data` data- attributes. Among the other
// attributes, true means no value, and false, null and undefined are left out.
export function el(tag, attributes = {}, ...children) {
  return fill(document.createElement(tag), attributes, children);
}

export function svg(tag, attributes = {}, ...children) {
  return fill(document.createElementNS(SVG, tag), attributes, children);
}

function fill(element, { on = {}, data = {}, ...attributes }, children) {
  for (const [name, listener] of Object.entries(on)) {
    element.addEventListener(name, listener);
  }
  Object.assign(element.dataset, data);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === true) element.setAttribute(name, "");
    else if (value !== false && value != null) element.setAttribute(name, value);
  }
  element.append(...children.flat(Infinity).filter((child) => child != null && child !== false));
  return element;
}

// Text from a machine or a person, with invisible characters made visible and isolated,
// so that it cannot change the direction of the text around it.
export function foreign(text, attributes = {}) {
  return el("bdi", attributes, visible(text));
}

export function visible(text) {
  const escaped = (hidden) =>
    `\\u${hidden.charCodeAt(0).toString(16).padStart(4, "0")}`;
  return String(text).replace(HIDDEN, escaped);
}

export function button(label, onClick, attributes = {}) {
  return el("button", { type: "button", ...attributes, on: { click: onClick } }, label);
}

// A cell of a list.
export function cell(name, ...content) {
  return el("td", { role: "cell", class: name }, el("span", { class: "cell" }, ...content));
}

// A field with its label, for a form.
export function field(label, control, hint) {
  const hintId = hint && `${control.id}-hint`;
  if (hint) control.setAttribute("aria-describedby", hintId);
  return el(
    "div",
    { class: "field" },
    el("label", { for: control.id }, label),
    control,
    hint && el("p", { class: "hint", id: hintId }, hint),
  );
}

export function select(id, options, chosen, onChange) {
  const made = options.map(([value, label]) =>
    el("option", { value, selected: value === chosen }, label),
  );
  const change = (event) => onChange(event.target.value);
  return el("select", { id, on: onChange ? { change } : {} }, made);
}

// Replace the children of an element; the focus stays on the same data-key.
export function replaceKeepingFocus(parent, ...children) {
  const focused = document.activeElement;
  const key = parent.contains(focused) ? focused.dataset.key : undefined;
  parent.replaceChildren(...children.flat(Infinity).filter(Boolean));
  if (key !== undefined) focusOn(key, parent);
}

// Focus the element with that data-key, if there is one.
export function focusOn(key, parent = document) {
  const candidates = [...parent.querySelectorAll("[data-key]")];
  candidates.find(({ dataset }) => dataset.key === key)?.focus({ preventScroll: true });
}
