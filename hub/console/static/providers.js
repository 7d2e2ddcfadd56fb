// Signing in with an identity provider: the page leaves, and comes back with a code for its verifier.

const STORED = "pinghub.leaving";

/** Those of the hub's providers that have a page to go to. */
export const withPages = (methods) => methods.providers.filter((provider) => provider.kind !== "supabase");

/** Go to a provider; it leads back to this page. */
export async function leave(provider) {
  const verifier = random();
  const state = random();
  sessionStorage.setItem(STORED, JSON.stringify({ verifier, state }));
  const digest = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(verifier));
  const asked = new URLSearchParams({
    redirect_uri: location.origin + location.pathname,
    code_challenge: encoded(new Uint8Array(digest)),
    state,
  });
  location.assign(`/v1/auth/${encodeURIComponent(provider)}/start?${asked}`);
}

/** What a provider led back with, once: `{ code, code_verifier }`, `{ error }`, or null. */
export function returned() {
  const told = new URLSearchParams(location.search);
  const left = JSON.parse(sessionStorage.getItem(STORED) ?? "null");
  sessionStorage.removeItem(STORED);
  if (!told.has("code") && !told.has("error")) return null;
  // Neither in the history nor in what is copied from the address bar.
  history.replaceState(null, "", location.pathname);
  // Somebody else's link, which would sign this window in as them.
  if (!left || told.get("state") !== left.state) return null;
  return told.has("error") ? { error: told.get("error") } : { code: told.get("code"), code_verifier: left.verifier };
}

const random = () => encoded(crypto.getRandomValues(new Uint8Array(32)));

const encoded = (bytes) => btoa(String.fromCharCode(...bytes)).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
