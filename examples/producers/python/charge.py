"""Charges a wallet by Kafka: charge.py BROKERS PREFIX USER AMOUNT REQUEST_ID. Needs confluent-kafka."""

import json
import sys
import uuid

from confluent_kafka import KafkaError, Message, Producer


def acknowledged(error: KafkaError | None, message: Message) -> None:
    if error is not None:
        sys.exit(f"not on the log: {error}")
    print(f"{message.topic()} {message.partition()} {message.offset()}")


brokers, prefix, user, amount, request_id = sys.argv[1:]
command = {
    "type": "charge_wallet",
    "version": 1,
    # The same id takes effect once.
    "request_id": str(uuid.UUID(request_id)),
    "user_id": user,
    "amount": int(amount),
}
producer = Producer(
    {
        "bootstrap.servers": brokers,
        # Acknowledged by all replicas in sync, never twice on the log by a retry of the client.
        "enable.idempotence": True,
        # Java's. librdkafka's own is another one, whose records take a hop more.
        "partitioner": "murmur2_random",
    }
)
producer.produce(f"{prefix}.wallets", key=user, value=json.dumps(command), callback=acknowledged)
if producer.flush(30) > 0:
    sys.exit("not on the log in time: run it again with the same request id")
