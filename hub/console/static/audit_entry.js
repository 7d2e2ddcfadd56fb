// One entry of the audit log: a sentence, and behind it everything that is on record.

import { el, timeOf } from "./dom.js";

const NAMED_AT_MOST = 3;
const DEEDS = {
  create: "created",
  update: "changed",
  delete: "deleted",
  view: "looked at",
  export: "took out",
  override: "overrode",
};
const AUTHORS = { api_key: "An API key", system: "The hub", anonymous: "Somebody" };
const ROLES = { user: "A user", moderator: "A moderator", admin: "An administrator" };

/** "An administrator", "An API key", "The hub"; a login of the database by its name. */
export const author = ({ actor_kind: kind, actor_role: role }) => ROLES[role] ?? AUTHORS[kind] ?? (kind === "user" ? "A user" : kind);

/** Return the changed fields with what stood there before and after; undefined: not kept. */
export function changes({ old_values: before, new_values: after }) {
  return Object.keys({ ...before, ...after })
    .sort()
    .map((name) => ({ name, before: words(before?.[name]), after: words(after?.[name]) }));
}

const named = (fields) =>
  fields
    .slice(0, NAMED_AT_MOST)
    .map((field) => field.name)
    .join(", ") + (fields.length > NAMED_AT_MOST ? " …" : "");

const words = (value) => (typeof value === "string" ? value : value == null ? "" : JSON.stringify(value));

/** `pick(filter, value)` is called to look for one of its values. */
export function auditEntry(entry, pick) {
  const fact = (term, value, filter) =>
    value
      ? [
          el("dt", {}, term),
          el(
            "dd",
            {},
            el("code", {}, value),
            filter
              ? el(
                  "button",
                  { type: "button", class: "plain small", click: () => pick(filter, value) },
                  "Only this",
                  el("span", { class: "unseen" }, ` ${term.toLowerCase()}: ${value}`),
                )
              : null,
          ),
        ]
      : [];
  const facts = [
    ...fact("Who", entry.actor_id, "actor_id"),
    ...fact("Whose data", entry.owner_id, "owner_id"),
    ...fact("Kind of thing", entry.resource_type, "resource_type"),
    ...fact("Id of the thing", entry.resource_id, "resource_id"),
    ...fact("Request", entry.request_id, "request_id"),
    ...fact("End-point", entry.endpoint),
    ...fact("Address", entry.ip),
    ...fact("Client", entry.user_agent),
  ];
  return el(
    "li",
    { "data-entry": entry.id },
    el(
      "details",
      {},
      el(
        "summary",
        {},
        timeOf(entry.at),
        el(
          "span",
          {},
          `${author(entry)} ${DEEDS[entry.action] ?? entry.action} `,
          el("code", {}, entry.resource_type),
          entry.action === "update" ? `: ${named(changes(entry))}` : "",
        ),
        el("span", { class: "hint" }, entry.endpoint ?? ""),
      ),
      el("dl", { class: "entry-facts" }, ...facts),
      changed(entry),
    ),
  );
}

function changed(entry) {
  const rows = changes(entry);
  if (rows.length === 0) return null;
  // Who looks at something changes nothing; what is kept is what they asked for.
  const isReading = entry.action === "view" || entry.action === "export";
  const columns = isReading ? ["Asked for", "Value"] : ["Field", "Before", "After"];
  return el(
    "div",
    { class: "wide", role: "region", "aria-label": isReading ? "What was asked for" : "What changed", tabindex: "0" },
    el(
      "table",
      {},
      el("thead", {}, el("tr", {}, ...columns.map((name) => el("th", { scope: "col" }, name)))),
      el(
        "tbody",
        {},
        ...rows.map(({ name, before, after }) =>
          el("tr", {}, el("th", { scope: "row" }, el("code", {}, name)), isReading ? null : el("td", {}, before), el("td", {}, after)),
        ),
      ),
    ),
  );
}
