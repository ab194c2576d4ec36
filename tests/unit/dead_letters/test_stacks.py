"""What a stack trace tells, in each language: what was thrown innermost, and the program's own functions near it."""

from __future__ import annotations

import pytest

from pipeline.dead_letters.causes import fingerprint
from pipeline.dead_letters.causes.stacks import frames_again_and_again, read_stack
from pipeline.dead_letters.causes.stacks.reading import STACK_LIMIT

JAVA = """com.acme.StoreException: order 7 was not kept
\tat com.acme.Store.keep(Store.java:{line})
\tat com.acme.Listener$$SpringCGLIB$$0.on(<generated>)
\tat com.acme.Listener.lambda$on$3(Listener.java:12)
\tat org.springframework.kafka.listener.Container.run(Container.java:99)
Caused by: org.postgresql.util.PSQLException: ERROR: no table
\tat org.postgresql.core.v3.QueryExecutorImpl.receive(QueryExecutorImpl.java:2713)
\tat app//com.acme.Dao$Rows.insert(Dao.java:{line})
\tat com.acme.Store.keep(Store.java:{line})
\t... 3 more
\tSuppressed: java.io.IOException: not closed
\t\tat com.acme.Other.close(Other.java:1)
"""
PYTHON = """Traceback (most recent call last):
  File "/usr/lib/python3.11/json/decoder.py", line 353, in raw_decode
    obj, end = self.scan_once(s, idx)
  File "/app/shop/orders.py", line {line}, in read
    return json.loads(value)
  File "/venv/lib/python3.11/site-packages/lib/x.py", line 2, in loads
    raise Bad
lib.Bad: no json

The above exception was the direct cause of the following exception:

Traceback (most recent call last):
  File "/srv/v{line}/shop/main.py", line {line}, in run
    read(value)
shop.ReadError: record 7 is not read
"""
DOTNET = """Acme.StoreException: order 7 was not kept
 ---> Npgsql.PostgresException (0x80004005): 42P01: relation "orders" does not exist
   at Npgsql.Internal.NpgsqlConnector.ReadMessageLong(Boolean async)
   at Acme.Dao.<InsertAsync>d__5.MoveNext() in /src/Dao.cs:line {line}
   at Acme.Store`1.<>c__DisplayClass3_0.<Keep>b__0(Order o) in /src/Store.cs:line {line}
   --- End of inner exception stack trace ---
   at Acme.Listener.On(Order o) in /src/Listener.cs:line {line}
"""
NODE = """StoreError: order 7 was not kept
    at Store.keep (/app/src/store.js:{line}:9)
    at async consume (/app/src/consumer.js:{line}:5) {{
  [cause]: error: no table
      at Parser.parse (/app/node_modules/pg-protocol/dist/parser.js:1:2)
      at process.processTicksAndRejections (node:internal/process/task_queues:95:5)
      at async Dao.insert (file:///app/src/dao.js:{line}:7)
      at async Store.keep (/app/src/store.js:{line}:7)
}}
"""
GO = """goroutine {line} [running]:
runtime/debug.Stack()
\t/usr/local/go/src/runtime/debug/stack.go:26 +0x5e
main.attempt.func1()
\t/app/main.go:{line} +0x4a
panic({{0x6a1b40?, 0xc0000{line}}})
\t/usr/local/go/src/runtime/panic.go:770 +0x132
github.com/jackc/pgx/v5.(*Conn).Query(0xc000{line})
\t/root/go/pkg/mod/github.com/jackc/pgx/v5@v5.5.0/conn.go:12 +0x1
acme.com/shop/store.(*Store).keep(0xc000{line}, {{0x1, 0x2}})
\t/app/store/store.go:{line} +0x1d
acme.com/shop/store.(*Store).Each.func2.1(...)
\t/app/store/store.go:{line}
"""


@pytest.mark.parametrize(
    ("stack", "error_class", "message", "frames"),
    [
        (
            JAVA,
            "org.postgresql.util.PSQLException",
            "ERROR: no table",
            ("com.acme.Dao$Rows.insert", "com.acme.Store.keep"),
        ),
        (PYTHON, "lib.Bad", "no json", ("orders.py:read: return json.loads(value)",)),
        (
            DOTNET,
            "Npgsql.PostgresException",
            '42P01: relation "orders" does not exist',
            ("Acme.Dao.InsertAsync", "Acme.Store.Keep"),
        ),
        (NODE, "error", "no table", ("dao.js:Dao.insert", "store.js:Store.keep")),
        (GO, None, None, ("store.(*Store).keep", "store.(*Store).Each")),
    ],
)
def test_the_innermost_cause_and_where_the_program_met_it(stack, error_class, message, frames) -> None:
    told = [read_stack(stack.format(line=line)) for line in (17, 1042)]
    assert told[0] == told[1]
    assert (told[0].error_class, told[0].message, told[0].frames) == (error_class, message, frames)
    assert not told[0].by_program


@pytest.mark.parametrize("stack", [JAVA, PYTHON, DOTNET, NODE, GO])
def test_a_new_line_in_the_source_makes_no_new_group(stack: str) -> None:
    groups = {fingerprint("E", "order 7 was not kept", None, None, stack.format(line=line)) for line in (3, 44, 505)}
    assert len(groups) == 1


@pytest.mark.parametrize("stack", [JAVA, PYTHON, DOTNET, NODE, GO])
def test_another_function_of_the_program_is_another_group(stack: str) -> None:
    stack = stack.format(line=1)
    moved = stack.replace("insert", "update").replace("Insert", "Update").replace(", in read", ", in parse")
    moved = moved.replace(").keep(", ").drop(")
    assert fingerprint("E", "m", None, None, stack).fingerprint != fingerprint("E", "m", None, None, moved).fingerprint


def test_without_own_frames_under_the_cause_those_of_what_it_caused_count() -> None:
    stack = "a.b.Outer: x\n\tat com.acme.A.a(A.java:1)\nCaused by: java.io.IOException: y\n\tat java.io.B.b(B.java:1)\n"
    assert read_stack(stack).frames == ("com.acme.A.a",)


def test_kotlin_s_lambdas_and_numbered_classes_are_their_functions() -> None:
    stack = "kotlin.Unit: x\n\tat com.acme.MainKt$main$1.invokeSuspend(Main.kt:1)\n\tat kotlin.A.b(A.kt:1)\n"
    assert read_stack(stack).frames == ("com.acme.MainKt$main.invokeSuspend",)


def test_what_a_program_looked_up_in_vain_is_not_the_cause_of_what_it_did_then() -> None:
    stack = (
        'Traceback (most recent call last):\n  File "/app/a.py", line 1, in a\n    cache[key]\nKeyError: 7\n\n'
        "During handling of the above exception, another exception occurred:\n\n"
        'Traceback (most recent call last):\n  File "/app/a.py", line 2, in a\n    load()\nOSError: no disk\n'
    )
    assert (read_stack(stack).error_class, read_stack(stack).message) == ("OSError", "no disk")


@pytest.mark.parametrize("depth", [50, 400])
def test_something_that_calls_itself_until_the_stack_is_full_is_one_group(depth: int) -> None:
    steps = ["\tat com.acme.Tree.up(Tree.java:1)\n", "\tat com.acme.Tree.root(Tree.java:2)\n"]
    stack = "java.lang.StackOverflowError\n" + "".join(steps[step % 2] for step in range(depth + depth // 50))
    assert frames_again_and_again(stack) == ("com.acme.Tree.root", "com.acme.Tree.up")
    ends = [stack, stack.replace(steps[0], "\tat java.util.HashMap.get(HashMap.java:1)\n" + steps[0], 1)]
    groups = {fingerprint("java.lang.StackOverflowError", "", None, None, end).fingerprint for end in ends}
    assert len(groups) == 1


def test_of_a_stack_of_a_megabyte_both_ends_count() -> None:
    many = "\tat org.springframework.A.a(A.java:1)\n" * (1_000_000 // 38)
    stack = f"com.acme.Outer: x\n{many}Caused by: com.acme.Inner: y\n\tat com.acme.B.b(B.java:1)\n"
    assert len(stack) > 10 * STACK_LIMIT
    assert read_stack(stack)[:3] == ("com.acme.Inner", "y", ("com.acme.B.b",))


@pytest.mark.parametrize(
    "stack", ["", " ", "\n", "no stack at all", "\n\tat ", "Traceback (most recent call last):", "a.go:1"]
)
def test_what_is_no_stack_tells_nothing_of_frames(stack: str) -> None:
    assert read_stack(stack).frames == ()
