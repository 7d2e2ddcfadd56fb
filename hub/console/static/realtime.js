// The operators' page: connections, channels, message rates and a live tail, through the server API.

import { call } from "./api.js";
import { arrange, byId, el, show, timeOf } from "./dom.js";
import { glob, perSecond, Rates } from "./rates.js";
import { follow } from "./tail.js";
import { count, duration } from "./words.js";

const STORED = "pinghub.server_api_key";
const EVERY_MS = 2_000;
// Listing channels asks every process to walk through all of its own.
const CHANNELS_EVERY = 2;
const CHANNELS_AT_MOST = 500;
const TAIL_AT_MOST = 200;
const NOT_AVAILABLE = 108;

// Channels whose namespace keeps none.
const withoutPresence = new Set();

let rates = new Rates();
let rounds = 0;
let asked = 0;
let timer = 0;
let tailed = "";
let tail = null;

// Its words change seldom and are said to those who hear the page.
byId("connection").setAttribute("role", "status");

const key = () => sessionStorage.getItem(STORED);
const sum = (nodes, field) => nodes.reduce((total, node) => total + (node[field] ?? 0), 0);

/** Call one method of the server API; throws a Problem, or what the API refused with. */
async function ask(method, body = {}) {
  const answer = await call("POST", `/api/${method}`, { body, headers: { "X-API-Key": key() } });
  if (answer.error) throw Object.assign(new Error(`The hub refused: ${answer.error.message}.`), answer.error);
  return answer.result;
}

/** Look once; whoever looks later wins. `all` also lists the channels. */
async function look(all = rounds % CHANNELS_EVERY === 0) {
  clearTimeout(timer);
  const number = (asked += 1);
  const isCurrent = () => number === asked && key() !== null;
  try {
    const [info, found, present] = await Promise.all([
      ask("info"),
      all ? ask("channels", { pattern: glob(byId("pattern").value.trim()) }) : null,
      all && tailed ? whoIsThere(tailed) : null,
    ]);
    if (!isCurrent()) return;
    rounds += 1;
    showNow(info.nodes);
    if (found) showChannels(found.channels);
    if (all) showPresence(present);
    state("connected", "Live");
    show(false, "problem", "welcome");
    show(true, "board", "account", "connection");
  } catch (error) {
    if (!isCurrent()) return;
    if (error.status === 401) {
      leave("The hub does not know this key.");
      return;
    }
    state("reconnecting", "Not reached");
    complain(error.status === 0 ? "The hub did not answer. This page keeps asking; the numbers are old." : error.message);
    show(true, "connection", "account");
    if (byId("board").hidden) show(true, "welcome");
  }
  timer = setTimeout(look, EVERY_MS);
}

async function whoIsThere(channel) {
  if (withoutPresence.has(channel)) return null;
  try {
    return (await ask("presence", { channel })).presence;
  } catch (error) {
    if (error.code === NOT_AVAILABLE) {
      // Each refusal is a line in the hub's log, so one is enough.
      withoutPresence.add(channel);
      return null;
    }
    throw error;
  }
}

function state(kind, words) {
  byId("connection").dataset.state = kind;
  // Said again only when it is new: screen readers listen here.
  if (byId("connection-words").textContent !== words) byId("connection-words").textContent = words;
}

function complain(words) {
  if (byId("problem-words").textContent !== words) byId("problem-words").textContent = words;
  show(true, "problem");
}

function showNow(nodes) {
  byId("clients").textContent = sum(nodes, "num_clients").toLocaleString("en");
  byId("users").textContent = sum(nodes, "num_users").toLocaleString("en");
  byId("subscriptions").textContent = sum(nodes, "num_subs").toLocaleString("en");
  byId("now-hint").textContent = `over ${count(nodes.length, "process", "es")}`;
  const now = rates.add(nodes, performance.now() / 1000);
  if (now) {
    byId("sent").textContent = perSecond(now.sent);
    byId("received").textContent = perSecond(now.received);
    byId("line-sent").setAttribute("points", rates.line("sent"));
    byId("line-received").setAttribute("points", rates.line("received"));
    byId("peak").textContent = `two minutes, peak ${perSecond(rates.highest)}`;
  }
  byId("nodes").replaceChildren(
    ...nodes.map((node) =>
      el(
        "tr",
        { "data-node": node.uid },
        el("td", {}, node.name),
        el("td", {}, el("code", {}, node.uid)),
        el("td", {}, node.version),
        ...[node.num_clients, node.num_users, node.num_subs, node.num_channels].map((value) =>
          el("td", {}, value.toLocaleString("en")),
        ),
        el("td", {}, duration(node.uptime ?? 0)),
      ),
    ),
  );
}

function showChannels(channels) {
  const names = Object.keys(channels).sort();
  const shown = names.slice(0, CHANNELS_AT_MOST);
  const list = byId("channels");
  arrange(list, shown.map((name) => [name, () => channelRow(name)]));
  for (const row of list.children) {
    row.querySelector(".channel-clients").textContent = count(channels[row.dataset.key].num_clients ?? 0, "client");
  }
  markTailed();
  const typed = byId("pattern").value.trim();
  byId("channels-number").textContent = typed ? byId("channels-number").textContent : names.length.toLocaleString("en");
  const words = names.length > shown.length ? `the first ${shown.length} of ${names.length}` : count(names.length, "channel");
  if (byId("channels-count").textContent !== words) byId("channels-count").textContent = words;
  byId("channels-empty").textContent = typed
    ? "No channel with a subscriber has such a name."
    : "No channel has a subscriber right now.";
  show(names.length === 0, "channels-empty");
}

function channelRow(name) {
  const button = el(
    "button",
    { type: "button", click: () => pick(name) },
    el("code", {}, name),
    el("span", { class: "channel-clients" }),
  );
  return el("li", {}, button);
}

function markTailed() {
  for (const row of byId("channels").children) {
    row.firstChild.setAttribute("aria-pressed", String(row.dataset.key === tailed));
  }
}

function showPresence(present) {
  show(present !== null, "presence");
  if (present === null) return;
  const clients = Object.values(present);
  const users = new Set(clients.map((client) => client.user));
  byId("presence-count").textContent = `${count(clients.length, "client")} of ${count(users.size, "user")} present`;
  byId("presence-list").replaceChildren(
    ...clients.map((client) =>
      el("li", {}, client.user || "anonymous", " ", el("code", { class: "hint" }, client.client)),
    ),
  );
}

function pick(channel) {
  unpick();
  tailed = channel;
  byId("tail-channel").textContent = channel;
  show(false, "tail-empty");
  show(true, "tail-of", "tail-stop");
  markTailed();
  const rows = byId("tail");
  const add = (row) => {
    rows.prepend(row);
    while (rows.children.length > TAIL_AT_MOST) rows.lastChild.remove();
  };
  tail = follow(channel, {
    key: key(),
    onState: (words) => (byId("tail-state").textContent = words),
    onGap: () => add(el("li", { class: "gap" }, "The stream was cut here; something may be missing.")),
    onPublication: (publication) => add(tailRow(publication)),
  });
  void look(true);
}

function tailRow({ time, offset, info, tags, data }) {
  const facts = [
    timeOf(new Date(time ?? Date.now()).toISOString()),
    offset ? el("span", {}, `offset ${offset}`) : null,
    info?.user ? el("span", {}, `by ${info.user}`) : null,
    ...Object.entries(tags ?? {}).map(([name, value]) => el("span", {}, `${name}=${value}`)),
  ];
  return el(
    "li",
    {},
    el("p", { class: "tail-facts" }, ...facts),
    el("code", {}, JSON.stringify(data)),
  );
}

function unpick() {
  tail?.stop();
  [tail, tailed] = [null, ""];
  byId("tail").replaceChildren();
  byId("tail-state").textContent = "";
  show(false, "tail-of", "tail-stop", "presence");
  show(true, "tail-empty");
  markTailed();
}

/** Forget the key and all that was shown with it. */
function leave(words = "") {
  clearTimeout(timer);
  sessionStorage.removeItem(STORED);
  unpick();
  rates = new Rates();
  rounds = 0;
  byId("channels").replaceChildren();
  byId("nodes").replaceChildren();
  show(false, "board", "account", "connection", "problem");
  show(true, "welcome");
  if (words) complain(words);
  byId("key").focus();
}

byId("key-form").addEventListener("submit", (event) => {
  event.preventDefault();
  sessionStorage.setItem(STORED, byId("key").value.trim());
  byId("key").value = "";
  void look(true);
});
byId("filter").addEventListener("submit", (event) => event.preventDefault());
byId("pattern").addEventListener("input", () => look(true));
byId("tail-stop").addEventListener("click", () => {
  unpick();
  byId("tail-title").focus();
});
byId("leave").addEventListener("click", () => leave());

if (key() === null) show(true, "welcome");
else void look(true);
