// An app's use of the client that @hey-api/openapi-ts makes of the document; argv: address, user.
// It prints what it has seen, for test_client_typescript.py to compare.

import {
  getConversation,
  listMessages,
  listRings,
  type Message,
  type MessagePage,
  openConversation,
  type Problem,
  sendMessage,
  signInForDevelopment,
} from "./pinghub/index.js";
import { client } from "./pinghub/client.gen.js";

declare const process: { argv: string[] };
const [, , baseUrl = "", user_id = "", partner_id = ""] = process.argv;

client.setConfig({ baseUrl });
const { data: signedIn } = await signInForDevelopment({ body: { user_id }, throwOnError: true });
client.setConfig({
  // An API key would be another credential: the hub takes one of the two.
  auth: (scheme) => (scheme.type === "http" ? signedIn.access_token : undefined),
});

const { data: rings } = await listRings({ throwOnError: true });
const { data: conversation } = await openConversation({
  body: { partner_id },
  throwOnError: true,
});
for (const body of ["one", "two", "three"]) {
  await sendMessage({
    path: { conversation_id: conversation.id },
    headers: { "Idempotency-Key": crypto.randomUUID() },
    body: { body },
    throwOnError: true,
  });
}

const messages: Message[] = [];
let cursor: string | null = null;
do {
  const answer: { data: MessagePage } = await listMessages({
    path: { conversation_id: conversation.id },
    query: cursor === null ? { limit: 1 } : { limit: 1, cursor },
    throwOnError: true,
  });
  const page = answer.data;
  messages.push(...page.items);
  cursor = page.next_cursor;
} while (cursor !== null);

const refused = await getConversation({ path: { conversation_id: crypto.randomUUID() } });
const problem: Problem | undefined = refused.error;

console.log(
  JSON.stringify({
    user: signedIn.user.full_name,
    rings: rings.items.length,
    texts: messages.map((message) => message.body),
    status: refused.response?.status,
    code: problem?.code,
  }),
);
