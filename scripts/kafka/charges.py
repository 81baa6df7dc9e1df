"""Charges wallets over HTTP at a fixed rate, and says how long each took until it was decided.

charges.py HOST:PORT[,HOST:PORT...] SECONDS RATE [FILE]

A client that is answered 503, or not at all, sends the charge again with its key, to the next address. Prints one line
of figures: requests, median, 99th percentile and maximum in ms, and how many were never decided. Writes those slower
than a second to FILE: when the charge was begun, how long it took, its user, and each attempt with its end and answer.
"""

import http.client
import json
import sys
import threading
import time
import uuid

CLIENTS = 50
GIVE_UP_SECONDS = 60

addresses = sys.argv[1].split(",")
seconds, rate = float(sys.argv[2]), float(sys.argv[3])
begun = time.monotonic()
lock = threading.Lock()
took, slow, undecided = [], [], 0


class Client(threading.Thread):
    def __init__(self, number):
        super().__init__()
        self.number, self.at = number, number
        self.connect()

    def connect(self):
        host, port = addresses[self.at % len(addresses)].split(":")
        self.connection = http.client.HTTPConnection(host, int(port), timeout=40)

    def try_once(self, user, key):
        headers = {"X-User-Id": user, "Idempotency-Key": key, "Prefer": "wait=30", "Content-Type": "application/json"}
        try:
            self.connection.request("POST", "/v1/wallet/charges", json.dumps({"amount": 1}), headers)
            answer = self.connection.getresponse()
            body = answer.read()
            self.answers.append(str(answer.status) if answer.status < 300 else f"{answer.status} {json.loads(body)['code']}")
            return answer.status == 200
        except (OSError, http.client.HTTPException) as error:
            self.answers.append(type(error).__name__)
            return False
        finally:
            self.answers[-1] = f"{time.monotonic() - begun:.2f}: {self.answers[-1]}"

    def charge(self, user):
        global undecided
        since, key, self.answers = time.monotonic(), str(uuid.uuid4()), []
        decided = self.try_once(user, key)
        while not decided and time.monotonic() - since < GIVE_UP_SECONDS:
            self.connection.close()
            self.at += 1
            self.connect()
            time.sleep(0.05)
            decided = self.try_once(user, key)
        seconds = time.monotonic() - since
        with lock:
            took.append(seconds * 1000)
            if seconds > 1:
                slow.append((since - begun, seconds, user, "; ".join(self.answers)))
            undecided += not decided

    def run(self):
        # Each at times of its own, also behind a slow one: who waits does not hide others' waits.
        due, count = begun + self.number / rate, 0
        while due < begun + seconds:
            time.sleep(max(0.0, due - time.monotonic()))
            self.charge(f"user-{self.number}-{count % 7}")
            count += 1
            due = max(due + CLIENTS / rate, time.monotonic())


clients = [Client(number) for number in range(CLIENTS)]
for client in clients:
    client.start()
for client in clients:
    client.join()
if len(sys.argv) > 4:
    with open(sys.argv[4], "w") as file:
        for since, lasted, user, answers in sorted(slow):
            print(f"{since:.2f} {lasted:.2f} {user} {answers}", file=file)
took.sort()
at = lambda share: round(took[min(int(len(took) * share), len(took) - 1)])
print(len(took), at(0.5), at(0.99), at(1.0), undecided)
