// The few things the page needs of the DOM. Text always goes in as text, never as HTML.

export const byId = (id) => document.getElementById(id);

/** Make an element; functions among the attributes are listeners (`{ click: press }`). */
export function el(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === "function") element.addEventListener(name, value);
    else if (value === true) element.setAttribute(name, "");
    else if (value !== false && value != null) element.setAttribute(name, value);
  }
  element.append(...children.filter((child) => child != null));
  return element;
}

/** Make an element of a drawing. */
export function svg(tag, attributes = {}, ...children) {
  const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

/**
 * Let a list have a row for each `[key, make]`, in this order. Rows that are there already stay: a
 * finger on one of them, or the focus, is not lost to news of others.
 */
export function arrange(list, wanted) {
  const known = new Map([...list.children].map((row) => [row.dataset.key, row]));
  const rows = wanted.map(([key, make]) => {
    const row = known.get(key) ?? make();
    row.dataset.key = key;
    return row;
  });
  const kept = new Set(rows);
  for (const row of [...list.children]) if (!kept.has(row)) row.remove();
  rows.forEach((row, index) => {
    if (list.children[index] !== row) list.insertBefore(row, list.children[index] ?? null);
  });
}

/** Show or hide elements by id. */
export function show(visible, ...ids) {
  for (const id of ids) byId(id).hidden = !visible;
}

/** The day of a time, in as few words as are clear; the time of day alone when it was today. */
export function dayOf(iso, attributes = {}) {
  const at = new Date(iso);
  const now = new Date();
  const words =
    at.toDateString() === now.toDateString()
      ? at.toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" })
      : at.toLocaleDateString([], { day: "numeric", month: "short", ...(at.getFullYear() !== now.getFullYear() && { year: "numeric" }) });
  return el("time", { datetime: iso, title: at.toLocaleString(), ...attributes }, words);
}

/** A time of day; the date too when it was not today. */
export function timeOf(iso, attributes = {}) {
  const at = new Date(iso);
  const today = at.toDateString() === new Date().toDateString();
  const words = today
    ? at.toLocaleTimeString([], { hour: "2-digit", minute: "2-digit", second: "2-digit" })
    : at.toLocaleString([], { dateStyle: "medium", timeStyle: "short" });
  return el("time", { datetime: iso, title: at.toLocaleString(), ...attributes }, words);
}

/** Run an action of a button: it cannot be pressed twice, and keeps the focus meanwhile. */
export async function busy(button, action) {
  if (button.getAttribute("aria-disabled") === "true") return;
  button.setAttribute("aria-disabled", "true");
  try {
    await action();
  } finally {
    button.removeAttribute("aria-disabled");
  }
}
