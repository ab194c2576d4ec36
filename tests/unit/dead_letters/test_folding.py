"""A stack trace for people: what was thrown and own frames stay, libraries' frames are folded."""

from __future__ import annotations

import pytest

from pipeline.dead_letters.causes.stacks import Folded, fold
from tests.unit.dead_letters.test_stacks import DOTNET, GO, JAVA, NODE, PYTHON


@pytest.mark.parametrize(
    ("stack", "folded"),
    [
        (
            JAVA,
            "com.acme.StoreException: order 7 was not kept\n\tat com.acme.Store.keep(Store.java:5)\n"
            "    … 1 frame of libraries\n\tat com.acme.Listener.lambda$on$3(Listener.java:12)\n"
            "    … 1 frame of libraries\nCaused by: org.postgresql.util.PSQLException: ERROR: no table\n"
            "    … 1 frame of libraries\n\tat app//com.acme.Dao$Rows.insert(Dao.java:5)\n"
            "\tat com.acme.Store.keep(Store.java:5)\n\tSuppressed: java.io.IOException: not closed\n"
            "\t\tat com.acme.Other.close(Other.java:1)",
        ),
        (
            PYTHON,
            "Traceback (most recent call last):\n    … 1 frame of libraries\n"
            '  File "/app/shop/orders.py", line 5, in read\n'
            "    return json.loads(value)\n    … 1 frame of libraries\nlib.Bad: no json\n\n"
            "The above exception was the direct cause of the following exception:\n\n"
            'Traceback (most recent call last):\n  File "/srv/v5/shop/main.py", line 5, in run\n    read(value)\n'
            "shop.ReadError: record 7 is not read",
        ),
        (
            DOTNET,
            "Acme.StoreException: order 7 was not kept\n"
            ' ---> Npgsql.PostgresException (0x80004005): 42P01: relation "orders" does not exist\n'
            "    … 1 frame of libraries\n   at Acme.Dao.<InsertAsync>d__5.MoveNext() in /src/Dao.cs:line 5\n"
            "   at Acme.Store`1.<>c__DisplayClass3_0.<Keep>b__0(Order o) in /src/Store.cs:line 5\n"
            "   --- End of inner exception stack trace ---\n"
            "   at Acme.Listener.On(Order o) in /src/Listener.cs:line 5",
        ),
        (
            NODE,
            "StoreError: order 7 was not kept\n    at Store.keep (/app/src/store.js:5:9)\n"
            "    at async consume (/app/src/consumer.js:5:5) {\n  [cause]: error: no table\n"
            "    … 2 frames of libraries\n      at async Dao.insert (file:///app/src/dao.js:5:7)\n"
            "      at async Store.keep (/app/src/store.js:5:7)\n}",
        ),
    ],
)
def test_only_frames_of_libraries_are_folded(stack: str, folded: str) -> None:
    assert fold(stack.format(line=5) if stack is not JAVA else stack.replace("{line}", "5")).text == folded


def test_a_frame_of_go_is_two_lines() -> None:
    told = fold(GO.format(line=5))
    assert "acme.com/shop/store.(*Store).keep(0xc0005, {0x1, 0x2})\n\t/app/store/store.go:5 +0x1d" in told.text
    assert "pgx" not in told.text
    assert "runtime/debug" not in told.text
    assert (told.own, told.libraries) == (3, 3)


def test_what_is_no_stack_trace_stays_as_it_is() -> None:
    assert fold("<script>alert(1)</script>\nno frames") == Folded("<script>alert(1)</script>\nno frames", 0, 0)
    assert fold("") == Folded("", 0, 0)


def test_a_stack_of_a_megabyte_is_folded() -> None:
    frames = "\tat org.springframework.kafka.Container.run(Container.java:99)\n" * 16_000
    told = fold(f"com.acme.Bad: x\n{frames}\tat com.acme.Main.main(Main.java:1)\n")
    assert told.text == ("com.acme.Bad: x\n    … 16000 frames of libraries\n\tat com.acme.Main.main(Main.java:1)")
