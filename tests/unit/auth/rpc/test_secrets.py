"""What auth writes and answers holds no secret, also when it fails."""

import sqlite3
from contextlib import closing
from pathlib import Path

import grpc
import pytest
from f2h.auth.v1 import key_pb2, key_pb2_grpc
from f2h.edge.v1 import authorization_pb2_grpc

from services.auth.keys.secret import generate
from services.runtime.access import Audience
from tests.unit.auth.rpc.conftest import ServeAuth, new_database
from tests.unit.auth.rpc.test_authorization import new_key, question, reason
from tests.unit.serving import new_address, signed


def test_no_secret_is_in_a_log_an_answer_or_the_database(
    tmp_path: Path, serve_auth: ServeAuth, capfd: pytest.CaptureFixture[str]
) -> None:
    file, address = tmp_path / "auth.db", new_address()
    new_database(f"sqlite:///{file}")
    noc = signed(audience=Audience.NOC)
    answers: list[object] = []
    with serve_auth(f"sqlite:///{file}", address), grpc.insecure_channel(address) as channel:
        edge = authorization_pb2_grpc.AuthorizationStub(channel)
        keys = key_pb2_grpc.KeyServiceStub(channel)
        made, unknown = new_key(channel), str(generate())
        texts = [made.secret, unknown, made.secret[:-1], f"{unknown}x"]
        answers += [edge.Check(question(text)) for text in texts]
        answers.append(keys.GetKey(key_pb2.GetKeyRequest(id=made.key.id), metadata=noc))
        answers.append(keys.ListKeys(key_pb2.ListKeysRequest(account="demo"), metadata=noc))
        answers.append(keys.RevokeKey(key_pb2.RevokeKeyRequest(id=made.key.id), metadata=noc))
        kept = file.read_bytes() + file.with_name("auth.db-wal").read_bytes()

        with closing(sqlite3.connect(file)) as database:
            database.execute("DROP TABLE api_key")
        failed = edge.Check(question(made.secret))
        assert reason(failed) == "DEPENDENCY_UNAVAILABLE"
        answers.append(failed)
        with pytest.raises(grpc.RpcError) as refused:
            new_key(channel)
        answers.append(refused.value)

    written = "".join(capfd.readouterr())
    assert "unavailable" in written, "the failures were logged, and the log was seen"
    assert made.key.id.encode() in kept
    for text in texts:
        secret = text.rpartition(".")[2]
        assert secret not in written
        assert secret.encode() not in kept
        assert not [answer for answer in answers if secret in repr(answer)]
