// The administrators' page: the audit log, searched by what is typed or picked in an entry.

import { auditEntry } from "./audit_entry.js";
import { begin, forbid, sessionHere } from "./begin.js";
import { busy, byId, show } from "./dom.js";
import { clearProblem, problem } from "./notices.js";
import { count } from "./words.js";

const TIMES = ["since", "until"];
const session = sessionHere();
const form = byId("filter");
const names = [...form.elements].map((field) => field.name).filter(Boolean);

let cursor = null;
let asked = 0;

/** Put what the address says into the fields: it can be kept and handed on. */
function fill(given) {
  for (const name of names) form.elements[name].value = given.get(name) ?? "";
}

function typed() {
  const given = new URLSearchParams();
  for (const name of names) {
    const value = form.elements[name].value.trim();
    if (value) given.set(name, value);
  }
  return given;
}

/** What is asked of the hub: fields are in local time, the hub's times carry their zone. */
function query(given) {
  const asked = new URLSearchParams(given);
  for (const name of TIMES) if (asked.has(name)) asked.set(name, new Date(asked.get(name)).toISOString());
  return asked;
}

/** Show entries from the latest on, or those after the ones that are shown. */
async function search({ older = false } = {}) {
  const given = typed();
  const number = (asked += 1);
  const wanted = query(given);
  if (older) wanted.set("cursor", cursor);
  let page;
  try {
    page = await session.get(`/v1/admin/audit?${wanted}`);
  } catch (error) {
    if (number === asked) refused(error);
    return;
  }
  if (number !== asked) return;
  clearProblem();
  show(true, "desk");
  if (!older) {
    byId("entries").replaceChildren();
    history.replaceState(null, "", given.size ? `?${given}` : location.pathname);
  }
  const rows = page.items.map((entry) => auditEntry(entry, pick));
  byId("entries").append(...rows);
  cursor = page.next_cursor;
  const shown = byId("entries").children.length;
  byId("entries-count").textContent = page.has_more ? `the latest ${shown}` : count(shown, "on record", "");
  show(shown === 0, "entries-empty");
  show(page.has_more, "older");
  // The button may be gone: whoever pressed it goes on reading where the new ones begin.
  if (older) rows[0]?.querySelector("summary").focus();
}

function refused(error) {
  if (error.status === 403) return forbid();
  show(true, "desk");
  return problem(error);
}

/** Look for one value of an entry, whatever was looked for before. */
function pick(name, value) {
  fill(new URLSearchParams({ [name]: value }));
  void search();
  byId("entries-title").focus();
}

form.addEventListener("submit", (event) => {
  event.preventDefault();
  void busy(byId("search"), () => search());
});
// The fields are empty only after this event.
form.addEventListener("reset", () => setTimeout(search));
byId("older").addEventListener("click", () => busy(byId("older"), () => search({ older: true })));

if (await begin(session, () => fill(new URLSearchParams(location.search)))) await search();
