// Follows one channel through `POST /api/tail`: a line of JSON for each publication, as it passes.

const RETRY_AFTER_MS = 1_000;

/**
 * Follow until `stop()` is called; comes back by itself. Calls back with
 * - onState(words), onPublication({ offset, data, time, … });
 * - onGap(): lines may be missing here, because the stream was cut.
 */
export function follow(channel, { key, onState, onPublication, onGap }) {
  const leaving = new AbortController();
  let followed = false;

  async function run() {
    while (!leaving.signal.aborted) {
      onState("connecting…");
      try {
        await read();
        onState("interrupted, trying again…");
      } catch (error) {
        if (leaving.signal.aborted) return;
        onState(error instanceof Refused ? error.message : "not reached, trying again…");
        if (error instanceof Refused && error.isFinal) return;
      }
      await new Promise((done) => setTimeout(done, RETRY_AFTER_MS));
    }
  }

  async function read() {
    const response = await fetch("/api/tail", {
      method: "POST",
      headers: { "Content-Type": "application/json", "X-API-Key": key },
      body: JSON.stringify({ channel }),
      credentials: "omit",
      signal: leaving.signal,
    });
    if (!response.ok) throw new Refused(response.status);
    onState("live");
    if (followed) onGap();
    followed = true;
    let rest = "";
    for await (const text of chunks(response.body.pipeThrough(new TextDecoderStream()))) {
      const lines = (rest + text).split("\n");
      rest = lines.pop();
      for (const line of lines.filter(Boolean)) {
        const said = JSON.parse(line);
        // The next try begins after the last line; why it ended is in the log of the hub.
        if (!said.end) onPublication(said);
      }
    }
  }

  void run();
  return { stop: () => leaving.abort() };
}

class Refused extends Error {
  constructor(status) {
    super(status === 503 ? "the hub is not ready, trying again…" : `refused (${status})`);
    this.isFinal = status !== 503;
  }
}

async function* chunks(stream) {
  const reader = stream.getReader();
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    yield value;
  }
}
