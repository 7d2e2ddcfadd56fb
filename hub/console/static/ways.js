// The ways to sign in that this hub offers, beside demo users: passkeys and identity providers.

import { call, Problem } from "./api.js";
import { busy, byId, el, show } from "./dom.js";
import { problem } from "./notices.js";
import { obstacle, said, signIn, signUp } from "./passkeys.js";
import { leave, returned, withPages } from "./providers.js";

const back = returned();

/** Offer them; `take(tokens)` is called when one of them has led to an account. */
export async function offer(take) {
  const methods = await call("GET", "/v1/auth/methods");
  const hindrance = obstacle(methods.passkeys_of);
  const providers = withPages(methods);
  byId("passkey-sign-in").onclick = (event) => attempt(event.currentTarget, take, () => signIn());
  byId("passkey-sign-up").onsubmit = (event) => {
    event.preventDefault();
    attempt(event.submitter, take, () => signUp(byId("sign-up-name").value.trim()));
  };
  byId("provider-sign-in").replaceChildren(
    ...providers.map(({ name }) => el("button", { type: "button", class: "plain", click: () => leave(name) }, `Sign in with ${name}`)),
  );
  byId("passkey-hint").replaceChildren(...(hindrance ? said(hindrance) : []));
  show(hindrance === null, "passkey-sign-in");
  show(hindrance === null && methods.passkey_sign_up, "passkey-sign-up");
  show(hindrance !== null, "passkey-hint");
  show(hindrance === null || providers.length > 0, "ways");
}

/** Finish what a provider led back with; returns whether that was tried. */
export async function finish(take) {
  if (!back) return false;
  await attempt(byId("passkey-sign-in"), take, async () => {
    if (back.error) throw new Problem({ title: "The sign-in did not succeed", detail: back.error });
    return call("POST", "/v1/auth/token", { body: { code: back.code, code_verifier: back.code_verifier } });
  });
  return true;
}

function attempt(button, take, way) {
  return busy(button, async () => {
    try {
      await take(await way());
    } catch (error) {
      problem(error);
    }
  });
}
