// Verifies webhooks with the library of the specification: verify.mjs SECRET < lines of {"headers", "body"}.
// TURNSTILE_TEST_WEBHOOKS_MODULES is where it is installed.
import { createRequire } from "node:module";
import { createInterface } from "node:readline";

const { Webhook } = createRequire(`${process.env.TURNSTILE_TEST_WEBHOOKS_MODULES}/x.js`)("standardwebhooks");
const hook = new Webhook(process.argv[2]);
let count = 0;
for await (const line of createInterface({ input: process.stdin })) {
  const { headers, body } = JSON.parse(line);
  hook.verify(body, headers);
  count += 1;
  if (count === 1) {
    let other = true;
    try {
      hook.verify(`${body} `, headers);
    } catch {
      other = false;
    }
    if (other) throw new Error("another body was verified");
  }
}
console.log(`${count} verified`);
