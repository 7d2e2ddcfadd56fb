// The console: sign in as a demo user, then rings, taps and messages, live.

import { call, Problem, Session } from "./api.js";
import { busy, byId, el, show } from "./dom.js";
import { follow } from "./live.js";
import { Messages } from "./messages.js";
import { clearNotices, clearProblem, connection, notice, problem } from "./notices.js";
import { Rings } from "./rings.js";
import { Taps } from "./taps.js";
import { finish, offer } from "./ways.js";
import { count, initials } from "./words.js";

const RETRY_AFTER_MS = 3_000;
const pause = (milliseconds) => new Promise((done) => setTimeout(done, milliseconds));

const session = new Session({ onEnd: () => leave("Your session has ended. Please sign in again.") });
let desk = null;

async function start() {
  if (!globalThis.Centrifuge) {
    problem(
      new Problem({
        title: "The JavaScript SDK is not installed",
        detail: "Run “make up”, or “npm ci” in the project folder, then reload this page.",
      }),
    );
    return;
  }
  await (session.stored ? resume() : welcome());
  await finish(take);
}

async function resume() {
  try {
    await session.refresh();
    await enter(await session.get("/v1/me"));
  } catch (error) {
    if (!session.stored) return;
    problem(error);
    setTimeout(resume, error.retryAfterSeconds * 1000 || RETRY_AFTER_MS);
  }
}

async function listUsers() {
  const answer = await call("GET", "/v1/auth/development/users");
  return answer.items;
}

// Whom to write to: the demo users, where there are any.
async function listPeople() {
  try {
    return await listUsers();
  } catch (error) {
    if (error.code !== "auth.development_only") throw error;
    return [];
  }
}

async function welcome() {
  show(true, "welcome");
  try {
    await offer(take);
    const users = await listUsers();
    byId("users").replaceChildren(
      ...users.map((user) => {
        const button = el(
          "button",
          { type: "button", class: "user", "data-user": user.id, click: () => busy(button, () => pick(user)) },
          el("span", { class: "avatar", "aria-hidden": "true" }, initials(user.full_name)),
          el("span", {}, user.full_name),
        );
        return el("li", {}, button);
      }),
    );
    byId("welcome-hint").textContent = "There are no demo users yet: run “pinghub db seed”.";
    show(users.length === 0, "welcome-hint");
    clearProblem();
  } catch (error) {
    const isForDevelopment = error.code === "auth.development_only";
    if (!isForDevelopment) problem(error);
    byId("welcome-hint").textContent = "Demo users are for development only: start “pinghub up”.";
    show(isForDevelopment, "welcome-hint");
    show(!isForDevelopment, "demo-words");
    // A hub that is just starting is asked again; a refusal stays one.
    if (error.status === 0 || error.status >= 500) {
      setTimeout(() => !byId("welcome").hidden && welcome(), RETRY_AFTER_MS);
    }
  }
}

async function pick(user) {
  try {
    await enter(await session.signIn(user.id));
    byId("main").focus();
  } catch (error) {
    problem(error);
  }
}

async function take(tokens) {
  await enter(session.begin(tokens));
  byId("main").focus();
}

async function enter(me) {
  clearNotices();
  desk?.stop();
  byId("desk").setAttribute("aria-busy", "true");
  desk = await openDesk(me);
  byId("account-name").textContent = me.full_name;
  byId("account-avatar").textContent = initials(me.full_name);
  document.title = `${me.full_name} · Ping Hub console`;
  show(false, "welcome");
  show(true, "desk", "account", "second-window");
}

function leave(words) {
  desk?.stop();
  desk = null;
  session.forget();
  clearNotices();
  document.title = "Ping Hub console";
  show(false, "desk", "account", "second-window");
  if (words) notice(words, "warn");
  byId("main").focus();
  return welcome();
}

async function openDesk(me) {
  const users = await listPeople();
  const rings = new Rings(session, { onChange: () => taps.rename() });
  const taps = new Taps(session, rings);
  const messages = new Messages(session, me, users);
  let stopped = false;
  let loads = 0;

  // The channels are already followed when this runs, so nothing falls between list and live.
  const load = async (options) => {
    const desk = byId("desk");
    const number = (loads += 1);
    const isCurrent = () => !stopped && number === loads;
    desk.setAttribute("aria-busy", "true");
    while (isCurrent()) {
      try {
        await rings.load();
        await Promise.all([taps.load(options), messages.load()]);
        clearProblem();
        desk.removeAttribute("aria-busy");
        return;
      } catch (error) {
        if (isCurrent()) problem(error);
        await pause(error.retryAfterSeconds * 1000 || RETRY_AFTER_MS);
      }
    }
  };

  const live = follow({
    token: session.token,
    tokenAfter: (used) => session.tokenAfter(used),
    onState: (state) => !stopped && connection(state),
    onPublication: (_channel, event) => {
      switch (event.type) {
        case "ring.tapped":
          return taps.arrive(event);
        case "message.sent":
          return messages.arrive(event);
        case "conversation.opened":
          return messages.opened(event);
        case "ring.claimed":
        case "ring.renamed":
        case "ring.lost":
        case "ring.found":
        case "ring.released":
        case "ring.revoked":
          return rings.apply(event);
        default:
          return false;
      }
    },
    onStart: () => load(),
    onReturn: async ({ missed, lost }) => {
      if (!lost) {
        notice(missed ? `Connected again: recovered ${count(missed, "missed event")}.` : "Connected again: nothing was missed.");
        return;
      }
      await load({ afresh: true });
      if (!stopped) notice("Connected again, but the history was lost: the lists were reloaded.", "warn");
    },
  });
  byId("retry").onclick = () => live.retry();

  return {
    stop() {
      stopped = true;
      live.stop();
      rings.clear();
      taps.clear();
      messages.clear();
    },
  };
}

byId("sign-out").addEventListener("click", () => {
  session.signOut();
  leave("");
});

start();
