// What the hub cannot do just now is tried again until it is done, or nobody wants it any more.

import { clearProblem, problem } from "./notices.js";

const RETRY_AFTER_MS = 3_000;

/** Run `action` until it succeeds or `isWanted()` says no; tells what goes wrong. Returns whether it was done. */
export async function persist(action, isWanted) {
  while (isWanted()) {
    try {
      await action();
      clearProblem();
      return isWanted();
    } catch (error) {
      if (!isWanted()) break;
      problem(error);
      await new Promise((done) => setTimeout(done, error.retryAfterSeconds * 1000 || RETRY_AFTER_MS));
    }
  }
  return false;
}
