// The console: sign in as a demo user, then rings, taps and messages, live.

import { call, Session } from "./api.js";
import { hasSdk, openDesk } from "./desk.js";
import { busy, byId, el, show } from "./dom.js";
import { Messages } from "./messages.js";
import { clearNotices, clearProblem, notice, problem } from "./notices.js";
import { persist } from "./persist.js";
import { Rings } from "./rings.js";
import { Taps } from "./taps.js";
import { finish, offer } from "./ways.js";
import { initials } from "./words.js";

const RETRY_AFTER_MS = 3_000;

const session = new Session({ onEnd: () => leave("Your session has ended. Please sign in again.") });
let desk = null;

async function start() {
  if (!hasSdk()) return;
  await (session.stored ? resume() : welcome());
  await finish(take);
}

function resume() {
  return persist(async () => {
    await session.refresh();
    await enter(await session.get("/v1/me"));
  }, () => session.stored);
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
  desk = await openLists(me);
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

async function openLists(me) {
  const users = await listPeople();
  const rings = new Rings(session, { onChange: () => taps.rename() });
  const taps = new Taps(session, rings);
  const messages = new Messages(session, me, users);
  const live = openDesk(session, {
    load: async (options) => {
      await rings.load();
      await Promise.all([taps.load(options), messages.load()]);
    },
    apply: (event) => {
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
  });
  return {
    stop() {
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
