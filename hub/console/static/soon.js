// Runs an action a moment after the last of many requests for it, and never twice at once; again
// after a while where the hub could not do it just now.

const RETRY_AFTER_MS = 3_000;
const canPass = ({ status }) => status === 0 || status === 429 || status >= 500;

export function soon(action, onError, delayMs = 80) {
  let timer = 0;
  let running = false;
  let again = false;
  const run = async () => {
    timer = 0;
    if (running) {
      again = true;
      return;
    }
    running = true;
    try {
      await action();
    } catch (error) {
      onError(error);
      if (canPass(error)) setTimeout(request, error.retryAfterSeconds * 1000 || RETRY_AFTER_MS);
    }
    running = false;
    if (again) {
      again = false;
      request();
    }
  };
  const request = () => {
    if (timer === 0) timer = setTimeout(run, delayMs);
  };
  return request;
}
