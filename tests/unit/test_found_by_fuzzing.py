"""What `make fuzz` found, one test for each: it must not come back."""

import base64
import os

import pytest
from google.protobuf.descriptor_pb2 import FileDescriptorProto

from pipeline.__main__ import main
from pipeline.buffer import open_buffer
from pipeline.errors import SettingsError, TransientError
from pipeline.orders.avro_schemas import SchemaStore
from pipeline.orders.formats.protobuf_files import types_of
from pipeline.orders.formats.protobuf_values import DescriptorError
from pipeline.orders.formats.schemas import Schemas
from pipeline.orders.proposing.guess import FILL_IN
from pipeline.orders.proposing.propose import propose
from pipeline.orders.proposing.sample import look_through
from pipeline.orders.whole_reader import WholeReader
from pipeline.schema_source import RegisteredSchema
from pipeline.settings import PROJECT_DIR, describe, load_settings
from tests.support.buffer_rows import collect_many
from tests.support.order_shapes import record

LONG_NAME = "a" * 300


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder to be in, which is the data folder too."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ORDERPULSE_DATA_DIR", str(tmp_path))
    with open_buffer(tmp_path / "orderpulse.db") as buffer:
        collect_many(buffer, 1)
    return tmp_path


def test_a_dotenv_file_that_is_not_utf8_is_refused_in_words(folder):
    (folder / ".env").write_bytes(b"ORDERPULSE_GROUP_ID=\x80\n")
    with pytest.raises(SettingsError, match=r"\.env cannot be read"):
        load_settings()


def test_a_list_in_a_dotenv_file_is_shown_by_config(folder, capsys):
    (folder / ".env").write_text("ORDERPULSE_DLQ_TOPICS=a,b\nORDERPULSE_ALERT_URLS=\n")
    [line] = [line for line in describe(load_settings()) if line.variable == "ORDERPULSE_DLQ_TOPICS"]
    assert (line.value, line.source) == ("a,b", ".env")
    assert main(["config"]) == 0


def test_a_handlers_reason_with_half_of_a_surrogate_pair_can_be_stored():
    assert TransientError("no \ud800 today").reason == "no \\ud800 today"


def test_of_amounts_that_are_longer_than_any_no_price_is_proposed():
    records = [record(number, {"order_id": f"o{number}", "total": 10**30 + number}) for number in range(30)]
    sample = look_through("shop", records, WholeReader(Schemas(SchemaStore(PROJECT_DIR / "schemas"), None)))
    assert propose(sample).table["price"] == FILL_IN


def test_a_registered_descriptor_that_imports_a_name_that_is_no_utf8_is_refused_in_words():
    schema = RegisteredSchema("PROTOBUF", base64.b64encode(b"\x0a\x01o\x1a\x01\xff").decode())
    with pytest.raises(DescriptorError, match="its files cannot be put together"):
        types_of(schema)


def test_a_registered_descriptor_without_a_file_name_is_read():
    file = FileDescriptorProto(package="shop", syntax="proto3")
    file.message_type.add(name="Order")
    schema = RegisteredSchema("PROTOBUF", base64.b64encode(file.SerializeToString()).decode())
    assert types_of(schema).at([0]).full_name == "shop.Order"


def test_a_group_that_is_not_utf8_is_wrong_use(folder, capsys):
    with pytest.raises(SystemExit) as end:
        main(["replay", "--group", os.fsdecode(b"\xff"), "--dry-run"])
    assert end.value.code == 2
    assert "not UTF-8" in capsys.readouterr().err


@pytest.mark.parametrize("command", ["backup", "restore"])
def test_a_file_name_that_is_too_long_is_refused_in_words(folder, capsys, command):
    assert main([command, LONG_NAME]) == 1
    assert "too long" in capsys.readouterr().err
