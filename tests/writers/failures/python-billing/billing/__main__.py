"""A consumer: takes records on standard input and answers each with its failure, or with null."""

import base64
import json
import sys
import traceback

from billing.consumer import Consumer


def main() -> None:
    consumer = Consumer()
    for line in sys.stdin:
        asked = json.loads(line)
        print(json.dumps(attempt(consumer, asked["topic"], base64.b64decode(asked["value"]))), flush=True)


def attempt(consumer: Consumer, topic: str, value: bytes) -> dict[str, str] | None:
    """What goes into a dead letter's headers; whatever fails is one."""
    try:
        consumer.on_record(topic, value)
    except Exception as error:  # noqa: BLE001
        kind = type(error)
        name = kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"
        return {"error_class": name, "message": str(error), "stacktrace": traceback.format_exc()}
    return None


main()
