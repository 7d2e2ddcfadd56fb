// Runs an action a moment after the last of many requests for it, and never twice at once.

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
