// The account page: the ways to sign in, listed, added, named and taken away.

import { call, Problem } from "./api.js";
import { ask, field } from "./ask.js";
import { begin, sessionHere } from "./begin.js";
import { byId, el, show, timeOf } from "./dom.js";
import { clearProblem, notice, problem } from "./notices.js";
import { add, obstacle, said, signIn } from "./passkeys.js";
import { leave, returned, withPages } from "./providers.js";

const session = sessionHere({ signInAgain });
const back = returned();
// How this person can sign in here.
let canUsePasskeys = false;
let pages = [];
let hasPasskey = false;
let providersOfTheirs = [];

async function signInAgain(refreshToken) {
  if (hasPasskey) return signIn(refreshToken);
  if (providersOfTheirs.length === 0) {
    throw new Problem({ title: "You signed in a while ago", detail: "Sign out and in again, then repeat this." });
  }
  await leave(providersOfTheirs[0], { again: true });
  return new Promise(() => undefined); // the page is gone
}

async function open(methods) {
  const hindrance = obstacle(methods.passkeys_of);
  byId("passkeys-obstacle").replaceChildren(...(hindrance ? said(hindrance) : []));
  show(hindrance !== null, "passkeys-obstacle");
  show(hindrance === null, "passkey-add");
  byId("passkey-add").onclick = addPasskey;
  const providers = withPages(methods);
  pages = providers.map(({ name }) => name);
  canUsePasskeys = hindrance === null;
  byId("login-add").replaceChildren(
    ...providers.map(({ name }) => el("button", { type: "button", class: "plain", click: () => confirmLeaving(name) }, `Add ${name}`)),
  );
  show(providers.length > 0, "login-add");
  await load();
  show(true, "desk");
}

async function load() {
  const [passkeys, logins] = await Promise.all([session.get("/v1/me/passkeys?limit=200"), session.get("/v1/me/logins?limit=200")]);
  const others = logins.items.filter((login) => login.provider !== "passkey");
  hasPasskey = canUsePasskeys && passkeys.items.length > 0;
  providersOfTheirs = others.map((login) => login.provider).filter((name) => pages.includes(name));
  byId("passkeys").replaceChildren(...passkeys.items.map(passkeyRow));
  byId("logins").replaceChildren(...others.map(loginRow));
  show(passkeys.items.length === 0, "passkeys-empty");
  show(others.length === 0, "logins-empty");
}

function passkeyRow(passkey) {
  const name = passkey.name ?? "Passkey";
  const path = `/v1/me/passkeys/${passkey.id}`;
  return row(name, passkey, {
    badge: passkey.suspected_at ? el("span", { class: "badge", "data-state": "offline" }, "Maybe copied") : null,
    facts: [
      passkey.is_backed_up ? "On several devices" : "On one device",
      passkey.is_user_verified ? "Verifies who uses it" : "Only asks for a touch",
    ],
    actions: [
      button("Rename", name, () => rename(passkey, path)),
      button("Remove", name, () => remove(name, path)),
    ],
  });
}

function loginRow(login) {
  return row(login.provider, login, {
    facts: [login.issuer],
    actions: [button("Remove", login.provider, () => remove(login.provider, `/v1/me/logins/${login.id}`))],
  });
}

function row(name, { created_at: created, last_used_at: used }, { badge = null, facts, actions }) {
  return el(
    "li",
    { class: "ring" },
    el("div", { class: "ring-head" }, el("h3", {}, name), badge),
    el("p", { class: "facts" }, ...facts.map((fact) => el("span", {}, fact))),
    el("p", { class: "seen" }, "Added ", timeOf(created), ...(used ? [", last used ", timeOf(used)] : [", never used yet"])),
    el("div", { class: "actions" }, ...actions),
  );
}

function button(label, name, run) {
  return el("button", { type: "button", class: "plain", "aria-label": `${label}: ${name}`, click: run }, label);
}

function addPasskey() {
  const name = field("passkey-name", "What to call it (optional)", { maxlength: 120, placeholder: "Phone" });
  ask({
    title: "Add a passkey",
    content: [name.row],
    confirm: "Go on",
    yes: async () => {
      await add(session, name.input.value.trim());
      await load();
      notice("The passkey was added.");
    },
  });
}

function rename(passkey, path) {
  const name = field("passkey-name", "Name", { maxlength: 120, value: passkey.name ?? "" });
  ask({
    title: "Rename this passkey",
    content: [name.row],
    confirm: "Save",
    yes: async () => {
      await session.patch(path, { name: name.input.value.trim() || null });
      await load();
    },
  });
}

function remove(name, path) {
  ask({
    title: `Remove ${name}?`,
    content: [el("p", {}, "It will no longer sign in to this account. Remove it on the device too.")],
    confirm: "Remove",
    tone: "danger",
    yes: async () => {
      await session.remove(path);
      await load();
      notice(`${name} was removed.`);
    },
  });
}

function confirmLeaving(provider) {
  ask({
    title: `Add ${provider} to this account?`,
    content: [el("p", {}, `You sign in at ${provider} next. Whoever can do that will be able to sign in to this account.`)],
    confirm: "Go on",
    yes: () => leave(provider),
  });
}

async function finishAgain() {
  const { code, code_verifier: verifier, error: refusal } = back;
  try {
    if (refusal) throw new Problem({ title: "You have not signed in again", detail: refusal });
    await session.renew((token) =>
      call("POST", "/v1/auth/token", { body: { code, code_verifier: verifier, refresh_token: token } }),
    );
    clearProblem();
    notice("You have signed in again. Repeat what you were about to do.");
  } catch (error) {
    problem(error);
  }
}

async function finishLogin() {
  try {
    if (back.error) throw new Problem({ title: "The login was not added", detail: back.error });
    await session.post("/v1/me/logins", { by: "code", code: back.code, code_verifier: back.code_verifier });
    await load();
    clearProblem();
    notice("The login was added.");
  } catch (error) {
    problem(error);
  }
}

const begun = await begin(session, async () => open(await call("GET", "/v1/auth/methods")));
if (begun && back) await (back.again ? finishAgain() : finishLogin());
