// Passkeys: the browser makes and signs what the hub asks for, in the W3C's own JSON.

import { call, Problem } from "./api.js";
import { el } from "./dom.js";

const ADDRESS = /^(\d+\.){3}\d+$|^\[/u;
const LOOPBACK = /^127\.|^\[::1\]$/u;

/** Why passkeys cannot be used on this page, `{ words, href }`; null where they can. */
export function obstacle(domain) {
  if (!domain) return { words: "Passkeys need a domain: this hub is only known by an address." };
  if (!globalThis.isSecureContext) return { words: "Passkeys need https." };
  if (!globalThis.PublicKeyCredential?.parseCreationOptionsFromJSON) return { words: "This browser is too old for passkeys." };
  const { hostname, port, pathname, protocol } = location;
  if (hostname === domain || hostname.endsWith(`.${domain}`)) return null;
  const words = `Passkeys of this hub belong to ${domain}.`;
  if (!ADDRESS.test(hostname) || !LOOPBACK.test(hostname) || domain !== "localhost") return { words };
  return { words, href: `${protocol}//localhost${port && `:${port}`}${pathname}` };
}

/** An obstacle as content of the page. */
export function said({ words, href }) {
  return href ? [`${words} `, el("a", { href }, "Open this page there"), "."] : [words];
}

/** Sign in with a passkey of this device, or of one nearby, anew to a session or to none; returns the tokens. */
export async function signIn(refreshToken) {
  const options = await call("POST", "/v1/auth/passkeys/sign-in/options");
  const publicKey = PublicKeyCredential.parseRequestOptionsFromJSON(options);
  const credential = await asked(() => navigator.credentials.get({ publicKey }));
  return call("POST", "/v1/auth/passkeys/sign-in", { body: { credential, refresh_token: refreshToken } });
}

/** Make an account whose login is a passkey; returns the tokens. */
export async function signUp(fullName) {
  const options = await call("POST", "/v1/auth/passkeys/sign-up/options", { body: { full_name: fullName } });
  return call("POST", "/v1/auth/passkeys/sign-up", { body: { credential: await made(options) } });
}

/** Add a passkey to the account that is signed in. */
export async function add(session, name) {
  const credential = await made(await session.post("/v1/me/passkeys/options"));
  return session.post("/v1/me/passkeys", { credential, name: name || null });
}

function made(options) {
  const publicKey = PublicKeyCredential.parseCreationOptionsFromJSON(options);
  return asked(() => navigator.credentials.create({ publicKey }));
}

async function asked(ceremony) {
  try {
    return (await ceremony()).toJSON();
  } catch (error) {
    throw new Problem(described(error));
  }
}

function described(error) {
  switch (error.name) {
    case "NotAllowedError":
      return { title: "No passkey was used", detail: "It was declined, or took too long. Try again." };
    case "InvalidStateError":
      return { title: "This device has a passkey of your account already", detail: "Use another device." };
    case "SecurityError":
      return { title: "Passkeys do not work at this address", detail: error.message };
    default:
      return { title: "The device could not do this", detail: error.message };
  }
}
