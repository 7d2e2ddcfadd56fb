// Prints a demo user's taps as they happen, in Node 22 or newer:
//   node docs/examples/taps.mjs [hub address] [user's full name]
import { Centrifuge } from "centrifuge";

const [hub = "http://127.0.0.1:8000", name = "Ada Lovelace"] = process.argv.slice(2);

async function signIn() {
  const users = await (await fetch(`${hub}/v1/auth/development/users`)).json();
  const answer = await fetch(`${hub}/v1/auth/development/sign-in`, {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify({ user_id: users.items.find((user) => user.full_name === name).id }),
  });
  return (await answer.json()).access_token;
}

const client = new Centrifuge(`${hub.replace("http", "ws")}/connection/websocket`, { getToken: signIn });
client.on("connected", () => console.log(`Following the taps of ${name}; Ctrl-C ends.`));
client.on("publication", ({ data: { type, data } }) => {
  if (type === "ring.tapped") console.log(data.tapped_at, data.kind, `ring ${data.ring_id}`, `tap ${data.seq}`);
});
client.connect();
