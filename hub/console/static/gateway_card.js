// One gateway: how it does, what is wrong, and what can be done about it.

import { ask } from "./ask.js";
import { codeShown } from "./claim_command.js";
import { busy, el, timeOf } from "./dom.js";
import { configure } from "./gateway_config.js";
import { clearProblem, notice, problem } from "./notices.js";
import { alertWords, count, duration, ringName } from "./words.js";

export function card(gateway, { session, rings, changed, isOpen }) {
  const { id, name } = gateway;
  const path = `/v1/gateways/${id}`;
  const button = (label, act, run) =>
    el("button", { type: "button", class: "plain", "aria-label": `${label}: ${name}`, "data-act": `${act} ${id}`, click: (event) => run(event.currentTarget) }, label);
  const call = (method, body, done) => (pressed) =>
    busy(pressed, async () => {
      try {
        done(await session.post(`${path}/rpc/${method}`, body));
        clearProblem();
      } catch (error) {
        problem(error);
      }
    });

  const log = el("pre", { class: "log", tabindex: 0, role: "region", "aria-label": `Log of ${name}`, hidden: true });
  const showLog = ({ lines }) => {
    log.textContent = lines.length ? lines.join("\n") : "The log is empty.";
    log.hidden = false;
    log.focus();
  };
  const online = gateway.status === "online";
  return el(
    "li",
    { class: "ring gateway", "data-gateway": id },
    el(
      "div",
      { class: "ring-head" },
      el("h3", {}, name),
      el("span", { class: "badge", "data-state": online ? "active" : "offline" }, online ? "Online" : gateway.claimed_at || gateway.last_seen_at ? "Offline" : "Not claimed"),
    ),
    gateway.alerts.length ? el("ul", { class: "alerts", "aria-label": `Alerts of ${name}` }, ...gateway.alerts.map((alert) => el("li", { "data-alert": alert }, alertWords(alert)))) : null,
    el("p", { class: "facts" }, ...facts(gateway).map((fact) => el("span", {}, fact))),
    el("p", { class: "seen" }, ...(gateway.last_seen_at ? [online ? "Online since " : "Away since ", timeOf(gateway.last_seen_at)] : ["Never seen"])),
    el(
      "details",
      { "data-gateway": id, open: isOpen },
      el("summary", {}, "Details and actions"),
      details(gateway),
      online ? el("div", { class: "actions" }, identify(gateway, rings, call), button("Rescan", "rescan", call("rescan", undefined, () => notice(`${name} scans anew.`))), button("Collect log", "collect", call("collect", {}, showLog))) : null,
      log,
      el(
        "div",
        { class: "actions" },
        button("Configure", "configure", () => configure(gateway, session, changed)),
        button("New claim code", "code", () => newCode(gateway, session, path, changed)),
        button("Cast out", "revoke", () => revoke(gateway, session, path, changed)),
      ),
    ),
  );
}

function facts({ version, health, clock_error_ms: clock, certificate_expires_at: ends, adapters }) {
  const spool = health?.spool;
  return [
    version ? `Version ${version}` : null,
    spool ? `${count(spool.pending ?? 0, "tap")} waiting` : null,
    clock === null ? null : `Clock ${clock < 0 ? "ahead" : "behind"} ${Math.abs(clock)} ms`,
    ends ? `Certificate ends in ${duration(Math.max(0, (new Date(ends) - Date.now()) / 1000))}` : null,
    adapters.length ? count(adapters.length, "adapter") : null,
  ].filter(Boolean);
}

function details({ health, health_at: at, config, config_rev: wanted, reported }) {
  const rows = [];
  const row = (term, ...values) => rows.push(el("div", {}, el("dt", {}, term), el("dd", {}, ...values)));
  row("Configuration", `revision ${wanted}: ${Object.entries(config).map(([key, value]) => `${key} ${value}`).join(", ") || "its own settings"}`);
  if (wanted > 0) row("In effect", reported.rejected_rev === wanted ? `refused: ${reported.reason}` : `revision ${reported.rev ?? 0}`);
  for (const item of health?.adapters ?? []) row(item.adapter, item.problem && !item.scanning ? item.problem : `${count(item.links ?? 0, "link")}`);
  for (const item of health?.readers ?? []) row(item.reader, item.problem && !item.up ? item.problem : `${count(item.reads ?? 0, "read")}`);
  if (health) {
    const { dropped = 0, quarantined = 0 } = health.spool ?? {};
    row("Spool", `${dropped} dropped, ${quarantined} quarantined`);
    row("Running for", duration(health.uptime_s));
    row("Told", timeOf(at));
  }
  return el("dl", { class: "details" }, ...rows);
}

function identify(gateway, rings, call) {
  const select = el("select", { "aria-label": `Ring to blink, over ${gateway.name}` }, ...rings.all.map((ring) => el("option", { value: ring.id }, ringName(ring))));
  const press = (event) => call("identify", { ring_id: select.value }, () => notice(`${rings.name(select.value)} blinks.`))(event.currentTarget);
  return el("span", { class: "blink" }, select, el("button", { type: "button", class: "plain", "data-act": `identify ${gateway.id}`, click: press }, "Let it blink"));
}

function newCode(gateway, session, path, changed) {
  ask({
    title: `New claim code for ${gateway.name}?`,
    content: [el("p", {}, "The device that uses it takes the place of the present one.")],
    confirm: "Make a claim code",
    yes: async () => {
      const made = await session.post(`${path}/credentials`);
      changed();
      return codeShown(gateway.name, made.claim_code, made.claim_expires_at);
    },
  });
}

function revoke(gateway, session, path, changed) {
  ask({
    title: `Cast ${gateway.name} out?`,
    content: [el("p", {}, "Its certificates end at once, and it can never come back. What it carried stays.")],
    confirm: "Cast out",
    tone: "danger",
    yes: async () => {
      await session.remove(path);
      changed();
    },
  });
}
