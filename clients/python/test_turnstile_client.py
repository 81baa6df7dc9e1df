"""Tests of the client against the server at TURNSTILE_URL (dev mode): python3 -m unittest."""

import base64
import hashlib
import hmac
import json
import os
import socket
import threading
import time
import unittest
import uuid

from turnstile_client import Refused, Turnstile, TurnstileError, Unverified, verify_webhook

URL = os.environ.get("TURNSTILE_URL", "")


def name(prefix: str) -> str:
    return f"{prefix}-{uuid.uuid4().hex[:8]}"


@unittest.skipUnless(URL, "TURNSTILE_URL is not set")
class AgainstAServer(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        admin = Turnstile(URL, user="admin")
        concert = admin.post("/v1/concerts", {"title": "Requiem"})["id"]
        starts = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 86_400))
        body = {"starts_at": starts, "sections": [{"name": "A", "seats": 50, "price": 1000}]}
        cls.schedule = admin.post(f"/v1/concerts/{concert}/schedules", body)["id"]

    def test_a_purchase_and_a_refusal(self):
        alice, bob = Turnstile(URL, user=name("alice")), Turnstile(URL, user=name("bob"))
        charged = alice.command("POST", "/v1/wallet/charges", {"amount": 5000})
        self.assertEqual((charged.command, charged.result["balance"]), ("charge_wallet", 5000))
        held = alice.command("POST", f"/v1/schedules/{self.schedule}/holds", {"seats": ["A-1", "A-2"]})
        with self.assertRaises(Refused) as refused:
            bob.command("POST", f"/v1/schedules/{self.schedule}/holds", {"seats": ["A-2"]})
        self.assertEqual((refused.exception.code, refused.exception.status), ("seat_taken", 409))
        reservation = held.result["reservation_id"]
        paid = alice.command("POST", f"/v1/reservations/{reservation}/payment", {})
        self.assertEqual(paid.result["balance"], 3000)
        read = alice.poll(f"/v1/reservations/{reservation}", lambda body: body["status"] == "CONFIRMED")
        self.assertEqual(read["seats"], ["A-1", "A-2"])

    def test_a_repeat_with_the_key_takes_effect_once(self):
        user = Turnstile(URL, user=name("carol"))
        key = str(uuid.uuid4())
        first = user.command("POST", "/v1/wallet/charges", {"amount": 10}, key=key)
        self.assertEqual(user.command("POST", "/v1/wallet/charges", {"amount": 10}, key=key), first)
        self.assertEqual(user.get("/v1/wallet")["balance"], 10)
        with self.assertRaises(TurnstileError) as reused:
            user.command("POST", "/v1/wallet/charges", {"amount": 11}, key=key)
        self.assertEqual(reused.exception.code, "idempotency_key_reused")

    def test_what_is_wrong_is_not_repeated(self):
        user = Turnstile(URL, user=name("dave"))
        with self.assertRaises(TurnstileError) as wrong:
            user.command("POST", "/v1/wallet/charges", {"amount": "5"})
        self.assertEqual((wrong.exception.status, wrong.exception.code), (422, "invalid_amount"))
        with self.assertRaises(TurnstileError) as unknown:
            user.get(f"/v1/reservations/{uuid.uuid4()}")
        self.assertEqual(unknown.exception.status, 404)

    def test_a_cut_answer_is_asked_for_again(self):
        """A proxy that cuts the first two answers: the charge takes effect once."""
        host, port = URL.removeprefix("http://").split(":")
        listener = socket.create_server(("127.0.0.1", 0))

        def serve():
            for count in range(10):
                try:
                    client, _ = listener.accept()
                except OSError:
                    return
                with client, socket.create_connection((host, int(port))) as server:
                    request = client.recv(65536)
                    while b"\r\n\r\n" not in request or not request.endswith(b"}"):
                        request += client.recv(65536)
                    server.sendall(request)
                    answer = server.recv(65536)
                    if count >= 2:
                        client.sendall(answer)

        threading.Thread(target=serve, daemon=True).start()
        user = name("erin")
        cut = Turnstile(f"http://127.0.0.1:{listener.getsockname()[1]}", user=user)
        charged = cut.command("POST", "/v1/wallet/charges", {"amount": 7})
        listener.close()
        self.assertEqual(charged.result["balance"], 7)
        self.assertEqual(Turnstile(URL, user=user).get("/v1/wallet")["balance"], 7)

    def test_a_stream_of_seats(self):
        user = Turnstile(URL, user=name("frank"))
        stream = user.events(f"/v1/schedules/{self.schedule}/seats/events")
        first = next(stream)
        user.command("POST", f"/v1/schedules/{self.schedule}/holds", {"seats": ["A-30"]})
        for event in stream:
            if "A-30" in json.dumps(event.data):
                self.assertNotEqual(event.id, first.id)
                break


class Webhooks(unittest.TestCase):
    secret = "whsec_" + base64.b64encode(b"k" * 32).decode()

    def signed(self, body: bytes, timestamp: int, key: bytes = b"k" * 32) -> dict[str, str]:
        mac = hmac.digest(key, f"msg_1.{timestamp}.".encode() + body, hashlib.sha256)
        signature = f"v1a,x v1,{base64.b64encode(mac).decode()}"
        return {"Webhook-Id": "msg_1", "Webhook-Timestamp": str(timestamp), "Webhook-Signature": signature}

    def test_ours_is_verified_and_nothing_else(self):
        body, now = b'{"type":"turnstile.test"}', 1_700_000_000
        headers = self.signed(body, now)
        verify = lambda **change: verify_webhook(
            change.get("secret", self.secret), change.get("headers", headers), change.get("body", body), now=change.get("now", now)
        )
        self.assertEqual(verify(), {"type": "turnstile.test"})
        self.assertEqual(verify(secret=["whsec_" + base64.b64encode(b"n" * 32).decode(), self.secret])["type"], "turnstile.test")
        for change in [
            {"body": body + b" "},
            {"now": now + 301},
            {"now": now - 301},
            {"headers": {}},
            {"headers": {**headers, "Webhook-Id": "msg_2"}},
            {"headers": self.signed(body, now, b"x" * 32)},
            {"headers": {**headers, "Webhook-Timestamp": "soon"}},
        ]:
            with self.subTest(change), self.assertRaises(Unverified):
                verify(**change)

    def test_the_example_of_the_specification(self):
        headers = {
            "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
            "webhook-timestamp": "1614265330",
            "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
        }
        body = b'{"test": 2432232314}'
        event = verify_webhook("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", headers, body, now=1_614_265_330)
        self.assertEqual(event, {"test": 2432232314})


if __name__ == "__main__":
    unittest.main()
