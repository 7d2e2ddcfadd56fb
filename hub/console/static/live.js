// Follows the signed-in user's channels through the official SDK: the hub subscribes the connection
// by itself when it connects, and the SDK asks for what was missed when it comes back.

const TOKEN_INVALID = 3500;

/**
 * Connect and stay connected. Calls back with
 * - onState({ kind, until, reason }): "connecting", "connected", "waiting" until a time, "ended";
 * - onPublication(channel, event), which returns whether the event was new to the page;
 * - onStart(): the channels are followed, now is the moment to load the lists;
 * - onReturn({ missed, lost }): connected again; `missed` events were new, `lost` tells of a gap.
 */
export function follow({ token, tokenAfter, onState, onPublication, onStart, onReturn }) {
  const { Centrifuge } = globalThis;
  const url = new URL("/connection/websocket", location.href);
  url.protocol = url.protocol === "https:" ? "wss:" : "ws:";
  const getToken = async () => {
    try {
      return (token = await tokenAfter(token));
    } catch (problem) {
      throw problem.status === 401 ? new Centrifuge.UnauthorizedError(problem.title) : problem;
    }
  };
  const client = new Centrifuge(url.href, {
    token,
    getToken,
    name: "console",
    minReconnectDelay: 500,
    maxReconnectDelay: 5_000,
  });

  let reason = "";
  let leaving = false;
  let renewing = false;
  let connectedBefore = false;
  let tally = null;

  // The SDK tells nobody how long it will wait. Should it one day compute the delay elsewhere, the
  // page says "reconnecting" without a countdown.
  const delayOf = client._getReconnectDelay;
  if (typeof delayOf === "function") {
    client._getReconnectDelay = () => {
      const delay = delayOf.call(client);
      onState({ kind: "waiting", until: Date.now() + delay, reason });
      return delay;
    };
  }

  client.on("connecting", (context) => {
    reason = context.reason;
    onState({ kind: connectedBefore ? "waiting" : "connecting", until: 0, reason });
  });

  client.on("connected", () => {
    renewing = false;
    tally = { missed: 0, lost: false };
    onState({ kind: "connected", until: 0, reason: "" });
    // Subscriptions and recovered publications follow in the same turn; then the sum is complete.
    queueMicrotask(() => {
      const sum = tally;
      tally = null;
      if (connectedBefore) onReturn(sum);
      else onStart();
      connectedBefore = true;
    });
  });

  client.on("subscribed", (context) => {
    if (!connectedBefore || context.recovered) return;
    if (tally) tally.lost = true;
    else onReturn({ missed: 0, lost: true });
  });

  client.on("publication", (context) => {
    const isNew = onPublication(context.channel, context.data);
    if (tally && isNew) tally.missed += 1;
  });

  client.on("disconnected", (context) => {
    if (context.code === TOKEN_INVALID && !renewing) {
      // The hub may have changed its keys while it was away: ask once for a new token.
      renewing = true;
      client.setToken("");
      client.connect();
      return;
    }
    if (!leaving) onState({ kind: "ended", until: 0, reason: context.reason });
  });

  client.connect();
  return {
    /** Do not wait any longer. */
    retry() {
      leaving = true;
      client.disconnect();
      leaving = false;
      client.connect();
    },
    stop() {
      leaving = true;
      client.disconnect();
    },
  };
}
