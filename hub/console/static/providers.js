// Signing in with an identity provider: the page leaves, and comes back with a code for its verifier.

const STORED = "pinghub.leaving";
const RECENT_SECONDS = 600;

/** Those of the hub's providers that have a page to go to. */
export const withPages = (methods) => methods.providers.filter((provider) => provider.kind !== "supabase");

/** Go to a provider; it leads back to this page. `again`: to sign in anew to the session of this window. */
export async function leave(provider, { again = false } = {}) {
  const verifier = random();
  const state = random();
  sessionStorage.setItem(STORED, JSON.stringify({ verifier, state, again }));
  const digest = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(verifier));
  const asked = new URLSearchParams({
    redirect_uri: location.origin + location.pathname,
    code_challenge: encoded(new Uint8Array(digest)),
    state,
    ...(again && { max_age: RECENT_SECONDS }),
  });
  location.assign(`/v1/auth/${encodeURIComponent(provider)}/start?${asked}`);
}

/** What a provider led back with, once: `{ code, code_verifier, again }`, `{ error, again }`, or null. */
export function returned() {
  const told = new URLSearchParams(location.search);
  const left = JSON.parse(sessionStorage.getItem(STORED) ?? "null");
  sessionStorage.removeItem(STORED);
  if (!told.has("code") && !told.has("error")) return null;
  // Neither in the history nor in what is copied from the address bar.
  history.replaceState(null, "", location.pathname);
  // Somebody else's link, which would sign this window in as them.
  if (!left || told.get("state") !== left.state) return null;
  if (told.has("error")) return { error: told.get("error"), again: left.again };
  return { code: told.get("code"), code_verifier: left.verifier, again: left.again };
}

const random = () => encoded(crypto.getRandomValues(new Uint8Array(32)));

const encoded = (bytes) => btoa(String.fromCharCode(...bytes)).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
