// The administrators' page of feature flags: each is switched and rolled out where it stands.

import { begin, sessionHere } from "./begin.js";
import { busy, byId, el, show } from "./dom.js";
import { clearProblem, notice, problem } from "./notices.js";

const session = sessionHere();

let cursor = null;

/** Show the flags from the first on, or those after the ones that are shown. */
async function list({ more = false } = {}) {
  const page = await session.get(`/v1/admin/flags${more ? `?cursor=${encodeURIComponent(cursor)}` : ""}`);
  if (!more) byId("flags").replaceChildren();
  byId("flags").append(...page.items.map(row));
  cursor = page.next_cursor;
  show(true, "desk");
  show(byId("flags").children.length === 0, "flags-empty");
  show(page.has_more, "more");
}

function row(flag) {
  const id = `flag-${flag.key}`;
  const item = el("li", { id });
  const change = (wanted) => save(flag, wanted, item);
  const turn = el("button", {
    type: "button",
    role: "switch",
    "aria-checked": String(flag.enabled),
    "aria-label": `${flag.key} is enabled`,
    class: flag.enabled ? "primary" : "plain",
    click: () => busy(turn, () => change({ enabled: !flag.enabled })),
  }, flag.enabled ? "On" : "Off");
  const share = el("input", {
    id: `${id}-share`,
    type: "number",
    min: 0,
    max: 100,
    step: 1,
    required: true,
    value: flag.percentage,
    change: () => share.reportValidity() && change({ percentage: share.valueAsNumber }),
  });
  const cohorts = flag.cohorts.length ? `and ${flag.cohorts.join(", ")}` : "";
  item.append(
    el("div", {}, el("h2", {}, flag.key), el("p", { class: "hint" }, [flag.description, cohorts].filter(Boolean).join(" · "))),
    el("p", { class: "share" }, share, el("label", { for: share.id }, "% of all users")),
    turn,
  );
  return item;
}

/** Change a flag and show it as it is then; a refusal leaves what the hub has. */
async function save(flag, wanted, item) {
  const path = `/v1/admin/flags/${encodeURIComponent(flag.key)}`;
  const focused = document.activeElement?.matches("[role=switch]") ? "[role=switch]" : "input";
  let present = flag;
  try {
    present = await session.patch(path, wanted);
    clearProblem();
    notice(`${flag.key} is ${present.enabled ? `on for ${present.percentage} % of all users` : "off"}.`);
  } catch (error) {
    problem(error);
  }
  const renewed = row(present);
  const had = item.contains(document.activeElement);
  item.replaceWith(renewed);
  if (had) renewed.querySelector(focused).focus();
}

byId("more").addEventListener("click", () =>
  busy(byId("more"), () => list({ more: true }).catch(problem)));

begin(session, () => list());
