// Tags as people type them.

// The tags in a text, with commas or semicolons between them.
export function split(text) {
  return text
    .split(/[,;]/)
    .map((each) => each.trim())
    .filter(Boolean);
}

// What only one tag of a machine may have: key for key=value.
export function keyOf(tag) {
  return tag.split("=")[0].trim().toLowerCase();
}
