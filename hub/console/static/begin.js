// How a page of somebody's begins: with their session, or with the way to sign in.

import { Session } from "./api.js";
import { show } from "./dom.js";
import { persist } from "./persist.js";

/** Return the session of this window; when the hub ends it, the page leads to the sign-in. */
export function sessionHere(options = {}) {
  return new Session({ onEnd: () => location.assign("/console"), ...options });
}

/** Take the session up and `open` the page with it. Returns whether that was done: else nobody is signed in, or may see this. */
export async function begin(session, open) {
  if (!session.stored) {
    show(true, "welcome");
    return false;
  }
  let isForbidden = false;
  const enter = async () => {
    await session.refresh();
    await open();
  };
  const wanted = () => session.stored && !isForbidden;
  const orForbidden = (error) => {
    if (error.status !== 403) throw error;
    isForbidden = true;
    forbid();
  };
  return persist(() => enter().catch(orForbidden), wanted);
}

/** Say that this is not for whoever is signed in. */
export function forbid() {
  show(false, "desk");
  show(true, "forbidden");
}
