"""What operators type or script: settings, rules files, command lines. Refused in words, never by a crash."""

import contextlib
import io
import os
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.__main__ import main
from pipeline.buffer import open_buffer
from pipeline.commands import NOT_COMPARED
from pipeline.errors import RuleBrokenError, RulesFileError, SettingsError
from pipeline.orders.rules_file import load_rules
from pipeline.records import Order
from pipeline.settings import Settings, describe, load_settings, variable_of
from tests.fuzz.cases import cases
from tests.support.buffer_rows import NOW_MS, accept, collect_many, processor

RULE_WORDS = st.sampled_from(
    [
        "required", "price_min", "price_max", "max_ahead_s", "max_age_s", "products", "=", "[", "]", "{", "}", '"', "'",
        "\n", ",", ".", "0.01", "100000", "600", "-1", "1e400", "nan", "inf", "true", "[[", "]]", '"order_id"', "#",
        '"""', "1979-05-27", "0x10", "1_0", "\\u0000", "\r",
    ]
)  # fmt: skip
GOOD_RULES = b'required = ["order_id"]\nprice_min = 0.01\nprice_max = 100000\nmax_ahead_s = 600\n'
RULE_VALUES = st.sampled_from(
    ["0.01", '"1"', "1e400", "-0", "nan", "[1]", "{a=1}", "true", "10000000000", "[]", '[""]']
)
RULES_FILES = st.one_of(
    st.binary(max_size=100),
    st.lists(RULE_WORDS | st.text(max_size=3), max_size=40).map(
        lambda words: " ".join(words).encode("utf-8", "replace")
    ),
    st.tuples(st.sampled_from(["max_age_s", "products", "price_max", "extra"]), RULE_VALUES).map(
        lambda line: GOOD_RULES + f"{line[0]} = {line[1]}\n".encode()
    ),
    st.lists(
        st.tuples(st.sampled_from(["required", "price_min", "price_max", "max_ahead_s", "max_age_s"]), RULE_VALUES)
    ).map(lambda lines: "".join(f"{name} = {value}\n" for name, value in dict(lines).items()).encode()),
)


def says(error, *words):
    """Whether an error names what it is about, in one line."""
    assert any(word in str(error) for word in words)


ORDER = Order("A-1", "C-1", "tea", 250, NOW_MS)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """An empty folder to be in: `.env` and relative file names mean files there."""
    path = tmp_path_factory.mktemp("operator")
    before = os.getcwd()
    os.chdir(path)
    yield path
    os.chdir(before)


@cases(6_000)
@given(content=RULES_FILES)
def test_any_rules_file_gives_rules_or_says_what_is_wrong_with_it(folder, content):
    path = folder / "rules.toml"
    path.write_bytes(content)
    try:
        rules = load_rules(path)
    except RulesFileError as error:
        says(error, "rules.toml")
        return
    with contextlib.suppress(RuleBrokenError):
        rules.check(ORDER, NOW_MS)


NUMBERS = st.sampled_from(
    ["0", "1", "-1", "3600", "1e3", "nan", "inf", "99999999999999999999", " 7 ", "0x10", "1.5", "on"]
)
ENVIRONMENT_TEXT = st.text(st.characters(exclude_characters="\x00", exclude_categories=["Cs"]), max_size=20)
SETTING_TEXT = st.one_of(
    NUMBERS,
    ENVIRONMENT_TEXT,
    st.sampled_from(
        ["", "{", "{}", '{"a": {"b": 1}}', "[1]", "^(", "^.*-dlt$", ",,,", "~nobody/x", "a:b", "a.b:c", "DEBUG",
         "fixed", "processor", "processor,broker",
         os.fsdecode(b"\xed\xa0\x80")]
    ),
)  # fmt: skip
VARIABLES = st.dictionaries(
    st.sampled_from([variable_of(name) for name in Settings.model_fields])
    | st.sampled_from([f"{variable_of(name)}_FILE" for name in Settings.model_fields]),
    SETTING_TEXT,
    max_size=5,
)


@contextlib.contextmanager
def environment(variables):
    """The process's environment with these of our variables and no others."""
    before = dict(os.environ)
    for name in before:
        if name.startswith("ORDERPULSE_"):
            del os.environ[name]
    os.environ.update(variables)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


def read_settings():
    try:
        settings = load_settings()
    except SettingsError as error:
        says(error, "ORDERPULSE_", ".env")
        return
    assert all(line.variable for line in describe(settings))


@cases(4_000)
@given(variables=VARIABLES)
def test_any_environment_gives_settings_or_names_the_wrong_one(folder, variables):
    with environment(variables):
        read_settings()


DOTENV_LINES = st.tuples(
    st.sampled_from([*(variable_of(name) for name in Settings.model_fields), "OTHER", "export X"]), SETTING_TEXT
).map(lambda line: f"{line[0]}={line[1]}\n".encode("utf-8", "surrogateescape"))


@cases(2_000)
@given(content=st.lists(DOTENV_LINES | st.binary(max_size=20), max_size=5).map(b"".join))
def test_any_dotenv_file_gives_settings_or_says_what_is_wrong_with_it(folder, content):
    path = folder / ".env"
    path.write_bytes(content)
    try:
        with environment({}):
            read_settings()
    finally:
        path.unlink()


@pytest.fixture(scope="module")
def data_folder(tmp_path_factory):
    """A data folder with a few orders and dead letters, and no pipeline."""
    path = tmp_path_factory.mktemp("data")
    with open_buffer(path / "orderpulse.db") as buffer:
        accept(buffer, processor(buffer), 0, 3)
        collect_many(buffer, 3)
    return path


WORDS = st.sampled_from(
    """
    produce replay status export check config backup restore --count --rate --seed --invalid-share --transient-share
    --malformed-share --scenario shop reference --no-wait --all --id --group --status --dry-run --force open discarded
    replaying --json orders dead-letters --format csv jsonl parquet --out - one two --repair --help -h -- 0 1 -1 2 0.5
    nan inf 1e400 99999999999999999999 price group --bogus =
    """.split()
)
# Bytes that are not UTF-8 come as halves of surrogate pairs.
ARGUMENT = (
    st.binary(max_size=6)
    .map(os.fsdecode)
    .filter(lambda text: not {"\x00", "/"} & set(text))
    .filter(lambda text: text not in (".", "..") and not text.startswith("-"))
)
BROKEN_TEXT = st.sampled_from([os.fsdecode(b"\xff"), os.fsdecode(b"=\x80")])
COMMANDS = {
    "produce": [[], ["--count", "2"], ["--rate", "nan"], ["--seed", "-1"], ["--invalid-share", "2"]],
    "replay": [["--all"], ["--id", "1"], ["--id", "99999999999999999999"], ["--group", "price"], ["--status", "open"]],
    "export": [["orders", "--out", "-"], ["dead-letters", "--format", "jsonl", "--out", "one"]],
    "check": [[], ["--repair"]],
    "status": [[], ["--json"]],
    "backup": [["one"], ["two"]],
    "restore": [["one"], ["two"]],
    "config": [[]],
}
ROLES = ("up", "broker", "processor", "collector", "worker")


@st.composite
def command_lines(draw):
    """A command with what belongs to it, and a few words that may not."""
    command = draw(st.sampled_from(sorted(COMMANDS)))
    words = [
        command,
        *draw(st.sampled_from(COMMANDS[command])),
        *draw(st.lists(WORDS | ARGUMENT | BROKEN_TEXT, max_size=4)),
    ]
    if draw(st.integers(0, 5)) == 0:
        words = draw(st.lists(WORDS | ARGUMENT | BROKEN_TEXT, max_size=6))
    # Roles run until they are ended, and jobs until a worker has done them.
    words = [word for word in words if word not in ROLES]
    return [*words, "--no-wait"] if words[:1] in (["produce"], ["replay"]) else words


@cases(2_000)
@given(words=command_lines())
def test_any_command_line_ends_with_an_exit_code_of_ours(folder, data_folder, words):
    with environment({"ORDERPULSE_DATA_DIR": str(data_folder)}):
        out = io.TextIOWrapper(io.BytesIO(), encoding="utf-8")
        errors = io.TextIOWrapper(io.BytesIO(), encoding="utf-8", errors="backslashreplace")
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(errors):
            try:
                code = main(words)
            except SystemExit as end:
                code = end.code
    for name in ("one", "two"):
        (folder / name).unlink(missing_ok=True)
    assert code in (0, 1, 2) or (code, words[0]) == (NOT_COMPARED, "check")
    if code == 1:
        errors.flush()
        assert errors.buffer.getvalue()
    assert sys.stdout is not None
