"""Produces what standard input says, as a service in Python would; Producer.java describes a line."""

import os
import sys
import uuid

from confluent_kafka import Producer


def acknowledged(error, _message):
    if error is not None:
        sys.exit(f"not on the log: {error}")


def produce(brokers, topic, codec, mode, header, header_bytes, key, value):
    settings = {"bootstrap.servers": brokers, "compression.type": codec, "message.max.bytes": 4_000_000}
    if mode != "plain":
        settings["transactional.id"] = f"stranger-{uuid.uuid4()}"
    if mode == "open":
        settings["transaction.timeout.ms"] = 45_000
    producer = Producer(settings)
    if mode != "plain":
        producer.init_transactions()
        producer.begin_transaction()
    headers = [] if header_bytes == "-" else [(bytes.fromhex(header).decode(), b"\0" * int(header_bytes))]
    producer.produce(topic, key=key, value=None if value == "-" else value, headers=headers, callback=acknowledged)
    if producer.flush(60) > 0:
        sys.exit("not on the log in time")
    if mode == "commit":
        producer.commit_transaction()
    elif mode == "abort":
        producer.abort_transaction()
    elif mode == "open":
        # As if killed: nothing tells the broker.
        sys.stdout.flush()
        os._exit(0)


for line in sys.stdin:
    produce(*sys.argv[1:3], *line.rstrip("\n").split("\t"))
