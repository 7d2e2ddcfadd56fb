// REST with a session: the access token lives in memory, the refresh token in this window only.

const STORED = "pinghub.refresh_token";
const NOT_RECENT = "auth.recent_sign_in_required";

/** A refusal in words: what the hub says in its problem details, or why it could not be asked. */
export class Problem extends Error {
  constructor({ title, detail = "", status = 0, code = "", requestId = "", fields = [], retryAfterSeconds = 0 }) {
    super(title);
    Object.assign(this, { title, detail, status, code, requestId, fields, retryAfterSeconds });
  }

  static async from(response) {
    const body = await response.json().catch(() => ({}));
    return new Problem({
      title: body.title ?? `The hub answered ${response.status}`,
      detail: body.detail,
      status: response.status,
      code: body.code,
      requestId: body.request_id ?? response.headers.get("x-request-id") ?? "",
      fields: (body.errors ?? []).map((field) => [field.field ?? field.key, field.message].filter(Boolean).join(": ")),
      retryAfterSeconds: Number(response.headers.get("retry-after")) || 0,
    });
  }
}

export class Session {
  #access = "";
  #refreshing = null;
  #onEnd;
  #signInAgain;

  /**
   * `onEnd(problem)` is called when the hub no longer accepts this session. `signInAgain(refreshToken)`
   * returns the tokens of a new sign-in to it, for what only a recent one may do.
   */
  constructor({ onEnd, signInAgain = null }) {
    this.#onEnd = onEnd;
    this.#signInAgain = signInAgain;
  }

  get token() {
    return this.#access;
  }

  get stored() {
    return sessionStorage.getItem(STORED) !== null;
  }

  async signIn(userId) {
    return this.begin(await call("POST", "/v1/auth/development/sign-in", { body: { user_id: userId } }));
  }

  /** Take the tokens of a sign-in that has ended, whichever it was; returns who signed in. */
  begin(answer) {
    this.#keep(answer);
    return answer.user;
  }

  /** Forget the tokens here at once, and tell the hub as far as it can be reached. */
  async signOut() {
    const token = this.#access;
    const body = { refresh_token: sessionStorage.getItem(STORED) };
    this.forget();
    const logOut = (accessToken) => call("POST", "/v1/auth/logout", { token: accessToken });
    try {
      await logOut(token);
    } catch (problem) {
      if (problem.status !== 401) return;
      const renewed = await call("POST", "/v1/auth/refresh", { body }).catch(() => null);
      if (renewed) await logOut(renewed.access_token).catch(() => undefined);
    }
  }

  forget() {
    this.#access = "";
    sessionStorage.removeItem(STORED);
  }

  /** Return another token than `used`, which no longer serves: REST may have renewed it already. */
  async tokenAfter(used) {
    if (this.#access === used || !this.#access) await this.refresh();
    return this.#access;
  }

  /** Renew the tokens; all who ask at the same time share one request, as a refresh token works once. */
  refresh() {
    this.#refreshing ??= this.#refresh().finally(() => (this.#refreshing = null));
    return this.#refreshing;
  }

  /** Sign in to this session anew: `way(refreshToken)` returns its tokens. */
  async renew(way) {
    await this.#refreshing;
    this.#keep(await way(sessionStorage.getItem(STORED)));
  }

  async #refresh() {
    const refreshToken = sessionStorage.getItem(STORED);
    try {
      this.#keep(await call("POST", "/v1/auth/refresh", { body: { refresh_token: refreshToken ?? "" } }));
    } catch (problem) {
      if (problem.status >= 400 && problem.status < 500 && problem.status !== 429) {
        this.forget();
        this.#onEnd(problem);
      }
      throw problem;
    }
  }

  #keep(answer) {
    this.#access = answer.access_token;
    sessionStorage.setItem(STORED, answer.refresh_token);
  }

  get(path) {
    return this.#request("GET", path);
  }

  post(path, body, headers) {
    return this.#request("POST", path, { body, headers });
  }

  put(path, body) {
    return this.#request("PUT", path, { body });
  }

  patch(path, body) {
    return this.#request("PATCH", path, { body });
  }

  remove(path) {
    return this.#request("DELETE", path);
  }

  async #request(method, path, options = {}) {
    const token = this.#access;
    try {
      return await call(method, path, { ...options, token });
    } catch (problem) {
      if (problem.status !== 401) throw problem;
      if (problem.code === NOT_RECENT) {
        if (!this.#signInAgain) throw problem;
        await this.renew(this.#signInAgain);
      }
      // Another request may have renewed it while this one was under way.
      else if (this.#access === token) await this.refresh();
      return call(method, path, { ...options, token: this.#access });
    }
  }
}

/** Send one request; returns the decoded body, or throws a Problem. */
export async function call(method, path, { body, headers = {}, token = "" } = {}) {
  const sent = { Accept: "application/json", ...headers };
  // A file goes as it is.
  const isFile = body instanceof Blob;
  if (body !== undefined) sent["Content-Type"] = isFile ? "application/octet-stream" : "application/json";
  if (token) sent.Authorization = `Bearer ${token}`;
  let response;
  try {
    response = await fetch(path, {
      method,
      headers: sent,
      body: body === undefined || isFile ? body : JSON.stringify(body),
      credentials: "omit",
      signal: AbortSignal.timeout(15_000),
    });
  } catch {
    throw new Problem({ title: "The hub did not answer.", detail: "Check that it is running, then try again." });
  }
  if (!response.ok) throw await Problem.from(response);
  return response.status === 204 ? undefined : response.json();
}
