// What operators have written about a machine: its tags, and a note.

import { fitsPath, machinePath, post, remove } from "./api.js";
import { confirm } from "./dialogs.js";
import { button, el, field, foreign } from "./dom.js";
import { noteArea } from "./fields.js";
import { timeAgo } from "./format.js";
import { phrase, t } from "./i18n.js";
import { keyOf, split, tagLinks } from "./tags.js";
import { mayChange } from "./who.js";

// The section about a machine; `done` is called with a message after a change.
export function written(agent, { tags, note }, done) {
  const { machine_id: machine } = agent;
  const may = mayChange() && fitsPath(machine);
  const act = (action) => async () => {
    const said = await action();
    if (said) done(said);
  };
  return el(
    "div",
    { class: "written" },
    el(
      "p",
      { class: "tags" },
      tags.length ? tagLinks(tags) : el("span", { class: "hint" }, t("tags.none")),
      may && button(t("tags.edit"), act(() => editTags(machine, tags)), { class: "quiet", data: { key: "tags" } }),
    ),
    el(
      "p",
      { class: "note" },
      note && [lines(note.text), " ", el("span", { class: "hint" }, by(note))],
      may &&
        button(t(note ? "note.edit" : "note.write"), act(() => editNote(machine, note)), {
          class: "quiet",
          data: { key: "note" },
        }),
    ),
  );
}

function lines(text) {
  return text.split(/\r\n|\r|\n/).flatMap((line) => [el("br"), foreign(line)]).slice(1);
}

function by({ author, noted_at: at }) {
  return author === null
    ? phrase("note.when", { when: timeAgo(at) })
    : phrase("note.by", { author: foreign(author), when: timeAgo(at) });
}

function editTags(machine, tags) {
  const input = el("input", { id: "tags", autocomplete: "off", spellcheck: "false", value: tags.join(", ") });
  return confirm({
    title: phrase("tags.title", { machine: foreign(machine, { class: "named" }) }),
    text: t("tag.text"),
    label: t("tags.do"),
    extra: field(t("tags.label"), input, t("tag.add.hint")),
    lacks: () => tags.length + split(input.value).length === 0 && t("tag.neither"),
    act: async () => {
      const add = split(input.value);
      const kept = new Set(add.map(keyOf));
      const less = tags.map(keyOf).filter((key) => !kept.has(key));
      await post(machinePath(machine, "/tags"), { add, remove: less });
      return [t("tags.done")];
    },
  });
}

function editNote(machine, note) {
  const text = noteArea({ rows: 5 }, note?.text);
  return confirm({
    title: phrase("note.title", { machine: foreign(machine, { class: "named" }) }),
    text: t("note.text"),
    label: t("note.do"),
    extra: field(t("note.label"), text),
    act: async () => {
      const path = machinePath(machine, "/note");
      if (text.value.trim() === "") await remove(path);
      else await post(path, { text: text.value });
      return [t("note.done")];
    },
  });
}
