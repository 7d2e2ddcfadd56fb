import assert from "node:assert/strict";
import { beforeEach, test } from "node:test";

import { Problem, Session } from "../../../hub/console/static/api.js";

let stored;
let asked;
let answers;

// The page's surroundings: storage of one window, and a hub that answers from a list of functions.
beforeEach(() => {
  stored = new Map();
  asked = [];
  answers = {};
  globalThis.sessionStorage = {
    getItem: (key) => stored.get(key) ?? null,
    setItem: (key, value) => stored.set(key, value),
    removeItem: (key) => stored.delete(key),
  };
  globalThis.fetch = async (path, { method, headers, body }) => {
    const request = { method, path, headers, body: body && JSON.parse(body) };
    asked.push(request);
    const answer = answers[path]?.(request);
    if (answer === undefined) throw new TypeError("fetch failed");
    return Response.json(answer.body ?? {}, { status: answer.status ?? 200, headers: answer.headers });
  };
});

const tokens = (number) => ({
  access_token: `access-${number}`,
  refresh_token: `refresh-${number}`,
  user: { id: "ada", full_name: "Ada" },
});

async function signedIn(onEnd = () => assert.fail("the session ended")) {
  answers["/v1/auth/development/sign-in"] = () => ({ body: tokens(1) });
  const session = new Session({ onEnd });
  assert.equal((await session.signIn("ada")).full_name, "Ada");
  asked.length = 0;
  return session;
}

const onlyWith = (token, body) => ({ headers }) =>
  headers.Authorization === `Bearer ${token}` ? { body } : { status: 401, body: { code: "auth.token_expired" } };

test("the access token is never stored, the refresh token only in this window", async () => {
  await signedIn();
  assert.deepEqual([...stored.values()], ["refresh-1"]);
});

test("requests that meet an expired token share one refresh and are repeated", async () => {
  const session = await signedIn();
  answers["/v1/rings"] = onlyWith("access-2", { items: [] });
  answers["/v1/auth/refresh"] = ({ body }) => (body.refresh_token === "refresh-1" ? { body: tokens(2) } : { status: 401 });
  const all = await Promise.all([1, 2, 3].map(() => session.get("/v1/rings")));
  assert.deepEqual(all, [{ items: [] }, { items: [] }, { items: [] }]);
  assert.equal(asked.filter(({ path }) => path === "/v1/auth/refresh").length, 1);
  assert.deepEqual([...stored.values()], ["refresh-2"]);
});

test("a refused refresh ends the session and forgets the tokens", async () => {
  let ended = null;
  const session = await signedIn((problem) => (ended = problem));
  answers["/v1/rings"] = () => ({ status: 401 });
  answers["/v1/auth/refresh"] = () => ({ status: 401, body: { code: "auth.token_invalid", title: "Invalid token" } });
  await assert.rejects(session.get("/v1/rings"), Problem);
  assert.equal(ended.code, "auth.token_invalid");
  assert.equal(session.token, "");
  assert.equal(stored.size, 0);
});

test("a hub that is away or busy does not end the session", async () => {
  const session = await signedIn();
  for (const answer of [() => ({ status: 503 }), () => ({ status: 429, headers: { "retry-after": "7" } }), undefined]) {
    answers["/v1/auth/refresh"] = answer;
    await assert.rejects(session.refresh(), Problem);
    assert.equal(session.stored, true);
  }
});

test("the websocket gets another token than the one it used, renewed only if there is none", async () => {
  const session = await signedIn();
  answers["/v1/auth/refresh"] = () => ({ body: tokens(2) });
  assert.equal(await session.tokenAfter("access-1"), "access-2");
  assert.equal(asked.length, 1);
  assert.equal(await session.tokenAfter("access-1"), "access-2");
  assert.equal(asked.length, 1);
});

test("signing out forgets at once and tells the hub, with a renewed token if need be", async () => {
  const session = await signedIn();
  answers["/v1/auth/refresh"] = () => ({ body: tokens(2) });
  const told = [];
  answers["/v1/auth/logout"] = (request) => {
    told.push(request.headers.Authorization);
    return onlyWith("access-2", {})(request);
  };
  const done = session.signOut();
  assert.equal(stored.size, 0);
  assert.equal(session.token, "");
  await done;
  assert.deepEqual(told, ["Bearer access-1", "Bearer access-2"]);
  assert.equal(stored.size, 0);
});

test("a problem carries the hub's words, its fields and the request id", async () => {
  const session = await signedIn();
  answers["/v1/rings/1"] = () => ({
    status: 422,
    body: {
      title: "Invalid value",
      detail: "Correct the field that `errors` names.",
      code: "request.invalid",
      request_id: "req-1",
      errors: [{ source: "body", field: "label", message: "Too long" }],
    },
  });
  await assert.rejects(session.patch("/v1/rings/1", { label: "x" }), (problem) => {
    assert.deepEqual(
      [problem.title, problem.status, problem.requestId, problem.fields],
      ["Invalid value", 422, "req-1", ["label: Too long"]],
    );
    return true;
  });
});

test("no answer at all is a problem in words too", async () => {
  const session = await signedIn();
  await assert.rejects(session.get("/v1/rings"), { title: "The hub did not answer.", status: 0 });
});
