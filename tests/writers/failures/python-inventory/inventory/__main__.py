"""Takes records on standard input and answers each with its failure, or with null. Whatever fails is a dead letter."""

import asyncio
import base64
import json
import sys
import traceback

from inventory.router import Router


async def main() -> None:
    router = Router()
    for line in sys.stdin:
        asked = json.loads(line)
        failure = None
        try:
            await router.dispatch(asked["topic"], base64.b64decode(asked["value"]))
        except Exception as error:  # noqa: BLE001
            failure = {
                "error_class": type(error).__name__,
                "message": str(error),
                "stacktrace": "".join(traceback.format_exception(error)),
            }
        sys.stdout.write(json.dumps(failure) + "\n")
        sys.stdout.flush()


asyncio.run(main())
