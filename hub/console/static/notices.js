// What the page tells beside its content: the connection, what was recovered, what went wrong.

import { byId, show } from "./dom.js";
import { count } from "./words.js";

const ANNOUNCE_AFTER_MS = 400;
const ANNOUNCE_AT_MOST = 3;

let pending = [];

/** Say something to screen readers, politely; a burst becomes one sentence. */
export function announce(words) {
  pending.push(words);
  if (pending.length > 1) return;
  setTimeout(() => {
    const said = pending;
    pending = [];
    byId("announcer").textContent =
      said.length > ANNOUNCE_AT_MOST ? `${count(said.length, "new event")}. Latest: ${said.at(-1)}` : said.join(". ");
  }, ANNOUNCE_AFTER_MS);
}

/** Show what happened until it is dismissed or replaced. Tone: "good", "warn" or "bad". */
export function notice(words, tone = "good") {
  byId("notice-words").textContent = words;
  byId("notice").dataset.tone = tone;
  show(true, "notice");
}

/** Show a failure in words, with the id under which the hub's log knows it. */
export function problem(error) {
  byId("problem-title").textContent = sentence(error.title ?? "The page failed");
  // Fields say more than the general advice to look at them.
  const details = error.fields?.length ? error.fields : [error.detail ?? error.message].filter(Boolean);
  byId("problem-detail").textContent = details.map(sentence).join(" ");
  byId("problem-request-id").textContent = error.requestId ?? "";
  show(Boolean(error.requestId), "problem-request");
  show(true, "problem");
}

export function clearProblem() {
  show(false, "problem");
}

export function clearNotices() {
  show(false, "notice", "problem", "link", "connection");
}

const sentence = (words) => (/[.!?]$/u.test(words) ? words : `${words}.`);

let countdown = 0;

/** Show the state of the connection; a countdown runs while the next attempt is awaited. */
export function connection({ kind, until, reason }) {
  clearInterval(countdown);
  const tick = () => {
    const seconds = Math.max(0, Math.ceil((until - Date.now()) / 1000));
    const [state, words, banner] = describe(kind, seconds, reason);
    const pill = byId("connection");
    const changed = pill.dataset.state !== state;
    pill.dataset.state = state;
    byId("connection-words").textContent = words;
    byId("link-words").textContent = banner;
    if (changed && state !== "connected") announce(banner || words);
    if (seconds === 0) clearInterval(countdown);
  };
  tick();
  if (until > Date.now()) countdown = setInterval(tick, 250);
  show(true, "connection");
  show(kind === "waiting" || kind === "ended", "link");
  if (kind === "waiting") show(false, "notice");
}

function describe(kind, seconds, reason) {
  const because = reason ? ` (${reason})` : "";
  switch (kind) {
    case "connected":
      return ["connected", "Connected", ""];
    case "connecting":
      return ["connecting", "Connecting…", ""];
    case "ended":
      return ["offline", "Offline", `The hub closed the connection for good${because}.`];
    default: {
      const next = seconds > 0 ? `Reconnecting in ${seconds} s` : "Reconnecting…";
      if (!navigator.onLine) return ["offline", "Offline", "This device has no network."];
      const promise = "What happens meanwhile is delivered afterwards.";
      return ["reconnecting", next, `Connection to the hub lost${because}. ${promise}`];
    }
  }
}

byId("notice-close").addEventListener("click", () => show(false, "notice"));
byId("problem-close").addEventListener("click", clearProblem);
