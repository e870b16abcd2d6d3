// The texts of the page in the reader's language.

const KEPT = "lea_fleet_language";

export const LANGUAGES = { en: "English", fr: "Français" };

// The files of a language that are loaded: the texts of the first screen.
const parts = new Set(["", "_views"]);

let chosen = kept() ?? preferred();
let catalogue = await load(chosen);

export function language() {
  return chosen;
}

// The locale for dates, with the reader's country if the browser names one.
export function locale() {
  return navigator.languages.find((tag) => tag.split("-")[0] === chosen) ?? chosen;
}

// Switch to another language, also for later visits.
export async function speak(code) {
  catalogue = await load(code);
  chosen = code;
  localStorage.setItem(KEPT, code);
}

// Load the texts of more files, for what is not on the first screen.
export async function need(...more) {
  const lacking = more.map((part) => `_${part}`).filter((part) => !parts.has(part));
  if (lacking.length === 0) return;
  const texts = await load(chosen, lacking);
  for (const part of lacking) parts.add(part);
  catalogue = { ...catalogue, ...texts };
}

// Only one language is loaded.
async function load(code, wanted = parts) {
  const files = await Promise.all([...wanted].map((part) => import(`./${code}${part}.js`)));
  return Object.assign({}, ...files.map((file) => file.default));
}

// Return the text of a key as a string. `values` replace its {placeholders}; `n` selects
// singular or plural.
export function t(key, values = {}) {
  return phrase(key, values).join("");
}

// The same as a list of nodes, for values that are elements.
export function phrase(key, values = {}) {
  const parts = wording(key, values).split(/\{(\w+)\}/);
  return parts.map((part, index) => (index % 2 ? shown(values[part]) : part));
}

// Tell whether there is a text for a key.
export function has(key) {
  return key in catalogue;
}

// The texts whose keys begin so: the rest of each key, and its text.
export function texts(beginning) {
  return Object.keys(catalogue)
    .filter((key) => key.startsWith(beginning))
    .map((key) => [key.slice(beginning.length), t(key)]);
}

function wording(key, { n }) {
  const found = catalogue[key];
  if (found === undefined) throw new Error(`no text for ${key}`);
  if (typeof found === "string") return found;
  return found[new Intl.PluralRules(chosen).select(n)] ?? found.other;
}

function shown(value) {
  return typeof value === "number" ? value.toLocaleString(locale()) : value;
}

function kept() {
  const code = localStorage.getItem(KEPT);
  return code in LANGUAGES ? code : null;
}

function preferred() {
  const codes = navigator.languages.map((tag) => tag.slice(0, 2).toLowerCase());
  return codes.find((code) => code in LANGUAGES) ?? "en";
}
