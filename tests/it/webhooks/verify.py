"""Verifies webhooks with the library of the specification: verify.py SECRET < lines of {"headers", "body"}."""
import json
import sys

from standardwebhooks import Webhook, WebhookVerificationError

hook = Webhook(sys.argv[1])
count = 0
for line in sys.stdin:
    record = json.loads(line)
    hook.verify(record["body"], record["headers"])
    count += 1
    if count == 1:
        try:
            hook.verify(record["body"] + " ", record["headers"])
            sys.exit("another body was verified")
        except WebhookVerificationError:
            pass
print(f"{count} verified")
