// Tests of the client against the server at TURNSTILE_URL (dev mode): node --test.

import assert from "node:assert/strict";
import { createHmac, randomUUID } from "node:crypto";
import { connect, createServer } from "node:net";
import { before, describe, it } from "node:test";

import { Refused, Turnstile, TurnstileError, Unverified, verifyWebhook } from "./turnstile.ts";

const url = process.env.TURNSTILE_URL ?? "";
const name = (prefix: string) => `${prefix}-${randomUUID().slice(0, 8)}`;
const as = (user: string) => new Turnstile(url, { user });

describe("against a server", { skip: url ? false : "TURNSTILE_URL is not set" }, () => {
  let schedule = "";

  before(async () => {
    const admin = as("admin");
    const concert = (await admin.post("/v1/concerts", { title: "Requiem" })).id;
    const starts_at = new Date(Date.now() + 86_400_000).toISOString();
    const body = { starts_at, sections: [{ name: "A", seats: 50, price: 1000 }] };
    schedule = (await admin.post(`/v1/concerts/${concert}/schedules`, body)).id;
  });

  it("makes a purchase and meets a refusal", async () => {
    const [alice, bob] = [as(name("alice")), as(name("bob"))];
    const charged = await alice.command("POST", "/v1/wallet/charges", { amount: 5000 });
    assert.deepEqual([charged.command, charged.result.balance], ["charge_wallet", 5000]);
    const held = await alice.command("POST", `/v1/schedules/${schedule}/holds`, { seats: ["A-1", "A-2"] });
    await assert.rejects(
      bob.command("POST", `/v1/schedules/${schedule}/holds`, { seats: ["A-2"] }),
      (error) => error instanceof Refused && error.code === "seat_taken" && error.status === 409,
    );
    const path = `/v1/reservations/${held.result.reservation_id}`;
    const paid = await alice.command("POST", `${path}/payment`, {});
    assert.equal(paid.result.balance, 3000);
    const read = await alice.poll(path, (body) => body.status === "CONFIRMED");
    assert.deepEqual(read.seats, ["A-1", "A-2"]);
  });

  it("repeats with the key take effect once", async () => {
    const [user, key] = [as(name("carol")), randomUUID()];
    const first = await user.command("POST", "/v1/wallet/charges", { amount: 10 }, { key });
    assert.deepEqual(await user.command("POST", "/v1/wallet/charges", { amount: 10 }, { key }), first);
    assert.equal((await user.get("/v1/wallet")).balance, 10);
    await assert.rejects(
      user.command("POST", "/v1/wallet/charges", { amount: 11 }, { key }),
      (error) => error instanceof TurnstileError && error.code === "idempotency_key_reused",
    );
  });

  it("does not repeat what is wrong", async () => {
    const user = as(name("dave"));
    await assert.rejects(
      user.command("POST", "/v1/wallet/charges", { amount: "5" }),
      (error) => error instanceof TurnstileError && error.status === 422 && error.code === "invalid_amount",
    );
    await assert.rejects(
      user.get(`/v1/reservations/${randomUUID()}`),
      (error) => error instanceof TurnstileError && error.status === 404,
    );
  });

  it("asks again after a cut answer", async () => {
    const { hostname, port } = new URL(url);
    let answers = 0;
    const proxy = createServer((client) => {
      const server = connect(Number(port), hostname);
      // Connections that the client keeps do not hold up the end of the tests.
      client.unref();
      server.unref();
      client.pipe(server);
      client.on("error", () => server.destroy());
      server.on("error", () => client.destroy());
      server.on("data", (data) => {
        answers += 1;
        if (answers <= 2) client.destroy();
        else client.write(data);
      });
    });
    await new Promise<void>((done) => proxy.listen(0, "127.0.0.1", done));
    const user = name("erin");
    const cut = new Turnstile(`http://127.0.0.1:${(proxy.address() as { port: number }).port}`, { user });
    const charged = await cut.command("POST", "/v1/wallet/charges", { amount: 7 });
    proxy.close();
    assert.ok(answers > 2);
    assert.equal(charged.result.balance, 7);
    assert.equal((await as(user).get("/v1/wallet")).balance, 7);
  });

  it("follows a stream of seats", async () => {
    const [user, stop] = [as(name("frank")), new AbortController()];
    let first: string | undefined;
    for await (const event of user.events(`/v1/schedules/${schedule}/seats/events`, { signal: stop.signal })) {
      if (first === undefined) {
        first = event.id;
        await user.command("POST", `/v1/schedules/${schedule}/holds`, { seats: ["A-30"] });
      } else if (JSON.stringify(event.data).includes("A-30")) {
        assert.notEqual(event.id, first);
        break;
      }
    }
    stop.abort();
  });
});

describe("webhooks", () => {
  const secret = `whsec_${Buffer.alloc(32, "k").toString("base64")}`;
  const [body, now] = ['{"type":"turnstile.test"}', 1_700_000_000];
  const signed = (key: Buffer) => {
    const signature = createHmac("sha256", key).update(`msg_1.${now}.${body}`).digest("base64");
    return { "Webhook-Id": "msg_1", "Webhook-Timestamp": `${now}`, "Webhook-Signature": `v1a,x v1,${signature}` };
  };
  const headers = signed(Buffer.alloc(32, "k"));

  it("verifies ours and nothing else", () => {
    const other = `whsec_${Buffer.alloc(32, "n").toString("base64")}`;
    assert.equal(verifyWebhook(secret, headers, body, { now }).type, "turnstile.test");
    assert.equal(verifyWebhook([other, secret], new Headers(headers), Buffer.from(body), { now }).type, "turnstile.test");
    const wrong: [any, string, number][] = [
      [headers, `${body} `, now],
      [headers, body, now + 301],
      [headers, body, now - 301],
      [{}, body, now],
      [{ ...headers, "Webhook-Id": "msg_2" }, body, now],
      [{ ...headers, "Webhook-Timestamp": "soon" }, body, now],
      [signed(Buffer.alloc(32, "x")), body, now],
    ];
    for (const [headers, body, now] of wrong) {
      assert.throws(() => verifyWebhook(secret, headers, body, { now }), Unverified);
    }
  });

  it("verifies the example of the specification", () => {
    const headers = {
      "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
      "webhook-timestamp": "1614265330",
      "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    };
    const event = verifyWebhook("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", headers, '{"test": 2432232314}', {
      now: 1_614_265_330,
    });
    assert.deepEqual(event, { test: 2432232314 });
  });
});
