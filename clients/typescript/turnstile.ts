/**
 * A small client of Turnstile's HTTP API. No dependency and no build: Node 22.18 or later runs it as it is (22.6 with
 * `--experimental-strip-types`).
 */

import { createHmac, randomUUID, timingSafeEqual } from "node:crypto";

/** Longest time the server is asked to wait for a decision, in seconds. */
const WAIT = 20;
/** Statuses after which the same request may succeed. */
const PASSING = new Set([429, 503]);

export type Json = null | boolean | number | string | Json[] | { [name: string]: Json };
export type Fields = { [name: string]: any };

/** A decided command. */
export interface Outcome {
  request_id: string;
  command: string;
  result: Fields;
  /** Lane, partition, offset and time of the decision. */
  decided: Fields;
}

/** An event of a stream. */
export interface StreamEvent {
  name: string;
  id: string;
  data: any;
}

export interface Options {
  /** Where the server runs in dev mode. */
  user?: string;
  token?: string;
  /** Seconds for which a command is repeated while the server is away, and waited for until it is decided. */
  patience?: number;
}

/** The request was not taken; `problem` as RFC 9457 has it. */
export class TurnstileError extends Error {
  readonly status: number;
  readonly problem: Fields;
  readonly code: string;

  constructor(status: number, problem: Fields) {
    super(`${status} ${problem.code ?? ""}: ${problem.detail ?? ""}`);
    this.name = new.target.name;
    this.status = status;
    this.problem = problem;
    this.code = problem.code ?? "";
  }
}

/** The command was decided, and refused. Final for its key: another try needs another one. */
export class Refused extends TurnstileError {}

/** Patience is over. A command may still be decided: the same call with the same key says how. */
export class TimedOut extends Error {}

/** A webhook that is not ours, too old, or damaged. */
export class Unverified extends Error {}

interface Answer {
  status: number;
  headers: Headers;
  body: any;
}

const sleep = (seconds: number) => new Promise((done) => setTimeout(done, seconds * 1000));
const now = () => performance.now() / 1000;

/** Speaks for one user. */
export class Turnstile {
  readonly base: string;
  readonly patience: number;
  readonly #headers: Record<string, string>;

  constructor(base: string, { user, token, patience = 60 }: Options = {}) {
    this.base = base.replace(/\/$/, "");
    this.patience = patience;
    this.#headers = { accept: "application/json" };
    if (token !== undefined) this.#headers.authorization = `Bearer ${token}`;
    else if (user !== undefined) this.#headers["x-user-id"] = user;
  }

  /**
   * Sends a command and waits for its decision. Whatever happens in between, it takes effect once: each attempt has the
   * same Idempotency-Key. Give `key` to repeat a command after a restart of your own.
   *
   * Throws Refused if it was refused, TurnstileError if it was not taken, TimedOut if nobody knows.
   */
  async command(
    method: string,
    path: string,
    body?: Fields,
    { key = randomUUID() as string, headers = {} as Record<string, string> } = {},
  ): Promise<Outcome> {
    const deadline = now() + this.patience;
    const wait = { prefer: `wait=${WAIT}` };
    const sent = { "idempotency-key": key, ...wait, ...headers };
    let answer = await this.#until(deadline, () => this.#send(method, path, body, sent));
    let location = answer.headers.get("location") ?? path;
    while (answer.status === 202 || answer.body.status === "PENDING") {
      if (now() >= deadline) throw new TimedOut(`request ${answer.body.request_id} is not decided yet`);
      answer = await this.#until(deadline, () => this.#send("GET", location, undefined, wait));
      location = answer.headers.get("location") ?? location;
    }
    const decided = answer.body;
    if (decided.status === "REJECTED") {
      const { request_id, problem } = decided;
      throw new Refused(409, { ...problem, request_id, decided: decided.decided });
    }
    if (answer.status >= 400) {
      throw "decided" in decided ? new Refused(answer.status, decided) : new TurnstileError(answer.status, decided);
    }
    const { request_id, command, result = {} } = decided;
    return { request_id, command, result, decided: decided.decided ?? {} };
  }

  /** Reads a resource; again while the server is away. */
  get(path: string): Promise<any> {
    return this.#plain("GET", path);
  }

  /** Makes a resource that is no command: a concert, a date, a webhook. */
  post(path: string, body: Fields, { key = randomUUID() as string } = {}): Promise<any> {
    return this.#plain("POST", path, body, { "idempotency-key": key });
  }

  /** Reads a resource until `done` says so, at the pace that the server asks for (`poll_after_ms`). */
  async poll(path: string, done: (body: any) => boolean, { every = 1 } = {}): Promise<any> {
    const deadline = now() + this.patience;
    for (;;) {
      const body = await this.get(path);
      if (done(body)) return body;
      const pause = (body.poll_after_ms ?? every * 1000) / 1000;
      if (now() + pause > deadline) throw new TimedOut(`${path} did not become what was waited for`);
      await sleep(pause);
    }
  }

  /** Follows a stream of server-sent events; goes on where it was after a break. Ends with the stream's `end`. */
  async *events(
    path: string,
    { lastId = "", headers = {} as Record<string, string>, signal = undefined as AbortSignal | undefined } = {},
  ): AsyncGenerator<StreamEvent> {
    for (let failures = 0; !signal?.aborted; failures += 1) {
      const sent: Record<string, string> = { ...this.#headers, ...headers, accept: "text/event-stream" };
      if (lastId) sent["last-event-id"] = lastId;
      try {
        const response = await fetch(this.base + path, { headers: sent, signal });
        if (response.status !== 200 && !PASSING.has(response.status)) {
          throw new TurnstileError(response.status, await json(response));
        }
        if (response.status === 200 && response.body) {
          for await (const event of read(response.body)) {
            failures = 0;
            lastId = event.id || lastId;
            if (event.name === "end") return;
            yield event;
          }
        } else await response.body?.cancel();
      } catch (error) {
        if (error instanceof TurnstileError) throw error;
      }
      if (!signal?.aborted) await sleep(Math.min(0.1 * 2 ** failures, 5) * (0.5 + Math.random() / 2));
    }
  }

  async #plain(method: string, path: string, body?: Fields, headers: Record<string, string> = {}): Promise<any> {
    const answer = await this.#until(now() + this.patience, () => this.#send(method, path, body, headers));
    if (answer.status >= 400) throw new TurnstileError(answer.status, answer.body);
    return answer.body;
  }

  /** Sends until there is an answer that another attempt would not change. */
  async #until(deadline: number, send: () => Promise<Answer>): Promise<Answer> {
    for (let pause = 0.1; ; pause = Math.min(pause * 2, 5)) {
      let answer: Answer | undefined;
      let failure: unknown;
      try {
        answer = await send();
        if (!PASSING.has(answer.status)) return answer;
        pause = Math.max(pause, Number(answer.headers.get("retry-after") ?? 0));
      } catch (error) {
        failure = error;
      }
      if (now() + pause > deadline) {
        if (answer) return answer;
        throw new TimedOut("no answer", { cause: failure });
      }
      await sleep(answer ? pause : pause * (0.5 + Math.random() / 2));
    }
  }

  async #send(method: string, path: string, body: Fields | undefined, headers: Record<string, string>): Promise<Answer> {
    const sent: Record<string, string> = { ...this.#headers, ...headers };
    if (body !== undefined) sent["content-type"] = "application/json";
    const url = path.startsWith("http") ? path : this.base + path;
    const signal = AbortSignal.timeout((WAIT + 10) * 1000);
    const response = await fetch(url, {
      method,
      headers: sent,
      body: body === undefined ? undefined : JSON.stringify(body),
      signal,
    });
    return { status: response.status, headers: response.headers, body: await json(response) };
  }
}

async function json(response: Response): Promise<any> {
  const text = await response.text();
  try {
    return text ? JSON.parse(text) : {};
  } catch {
    return { detail: text.slice(0, 200) };
  }
}

/** The events of a body. */
async function* read(body: ReadableStream<Uint8Array>): AsyncGenerator<StreamEvent> {
  const decoder = new TextDecoder();
  let text = "";
  for await (const chunk of body) {
    text += decoder.decode(chunk, { stream: true });
    const parts = text.split(/\r?\n\r?\n/);
    text = parts.pop() ?? "";
    for (const part of parts) {
      const event = { name: "message", id: "" };
      const data: string[] = [];
      for (const line of part.split(/\r?\n/)) {
        const at = line.indexOf(":");
        const field = at < 0 ? line : line.slice(0, at);
        const value = at < 0 ? "" : line.slice(at + 1).replace(/^ /, "");
        if (field === "event") event.name = value;
        else if (field === "id") event.id = value;
        else if (field === "data") data.push(value);
      }
      if (data.length > 0) yield { ...event, data: JSON.parse(data.join("\n")) };
    }
  }
}

/** Headers as Node, fetch or a plain object have them. */
export type WebhookHeaders = Headers | Record<string, string | string[] | undefined>;

/**
 * Verifies a webhook (Standard Webhooks 1.0.0) and gives its event; throws Unverified. `body`: the bytes as they came.
 * `tolerance`: how old or early it may be, in seconds. The key for dropping repeats is the header `webhook-id`.
 */
export function verifyWebhook(
  secrets: string | string[],
  headers: WebhookHeaders,
  body: string | Uint8Array,
  { tolerance = 300, now = Date.now() / 1000 } = {},
): any {
  const pairs = headers instanceof Headers ? [...headers] : Object.entries(headers);
  const sent = new Map(pairs.map(([name, value]) => [name.toLowerCase(), String(value ?? "")]));
  const [id, timestamp, signatures] = ["id", "timestamp", "signature"].map((name) => sent.get(`webhook-${name}`) ?? "");
  if (!id || !/^\d+$/.test(timestamp) || !signatures) throw new Unverified("headers are missing or damaged");
  if (Math.abs(now - Number(timestamp)) > tolerance) throw new Unverified("the timestamp is too old or too early");
  const bytes = Buffer.from(body as string);
  const signed = Buffer.concat([Buffer.from(`${id}.${timestamp}.`), bytes]);
  const given = signatures.split(" ").filter((entry) => entry.startsWith("v1,")).map((entry) => entry.slice(3));
  for (const secret of [secrets].flat()) {
    const key = Buffer.from(secret.replace(/^whsec_/, ""), "base64");
    const expected = Buffer.from(createHmac("sha256", key).update(signed).digest("base64"));
    const fits = (entry: string) => {
      const bytes = Buffer.from(entry);
      return bytes.length === expected.length && timingSafeEqual(bytes, expected);
    };
    if (given.some(fits)) return JSON.parse(bytes.toString("utf8"));
  }
  throw new Unverified("no signature fits");
}
