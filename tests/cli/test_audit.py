"""`headgate audit` on a real database: lists, filters, files, and that looking is kept as well."""

import asyncio
import json
import os
import pwd
from pathlib import Path

from headgate.audit.transcripts import SCANNED, Body, Transcript
from headgate.stores.sqlite import SqliteStore
from tests.cli.commands import Commands
from tests.stores.audit_conformance import SAID, a_transcript

ME = f"cli:{pwd.getpwuid(os.getuid()).pw_name}"


def with_transcripts(path: Path, *transcripts: Transcript) -> None:
    async def fill() -> None:
        store = SqliteStore(path)
        await store.keep_transcripts(transcripts)
        await store.aclose()

    asyncio.run(fill())


def test_who_did_what(headgate: Commands) -> None:
    assert "Nothing was done." in headgate.good("audit").out
    headgate.good("account", "open", "acme")
    headgate.good("credit", "add", "acme", "12.50", "--note", "invoice Seven")
    headgate.refused("credit", "add", "nobody", "1")
    words = headgate.good("audit").words
    for word in (ME, "put_account", "top_up", "account/acme", "account/nobody", "404", '"note":"invoice Seven"'):
        assert word in words
    newest, paid, opened = headgate.good("audit", "--json").json
    assert (newest["subject"], newest["status"], newest["detail"]["error"]["code"]) == (
        "account/nobody",
        404,
        "not_found",
    )
    assert (paid["actor"], paid["action"], paid["status"]) == (ME, "top_up", 200)
    assert opened["serial"] < paid["serial"] < newest["serial"]
    for filters, found in (
        (["--subject", "account/acme"], [paid, opened]),
        (["--action", "top_up", "--text", "SEVEN"], [paid]),
        (["--actor", "someone"], []),
        (["--since", "1h", "--limit", "1"], [newest]),
        (["--until", "2020-01-01"], []),
    ):
        assert headgate.good("audit", *filters, "--json").json == found


def test_deeds_as_a_file(headgate: Commands, tmp_path: Path) -> None:
    headgate.good("account", "open", "acme")
    path = tmp_path / "deeds.jsonl"
    assert headgate.good("audit", "--action", "put_account", "--export", str(path)).out == ""
    (line,) = path.read_text().splitlines()
    assert json.loads(line)["subject"] == "account/acme"
    newest, *_ = headgate.good("audit", "--json").json
    assert (newest["action"], newest["detail"]) == ("export_deeds", {"action": "put_account"})


def test_what_was_said(headgate: Commands) -> None:
    odd = Transcript("ex_2", 2_000, None, None, None, None, "/p/x", Body("a\x1b[2Jb", 5, 5), Body())
    with_transcripts(headgate.database, SAID, odd)
    words = headgate.good("audit", "show", "ex_1").words
    for word in ("ex_1", "team a", "openai.chat/create", "/v1/chat/completions", "30 bytes, cut", "Straße", "HELLO"):
        assert word in words
    assert "\x1b" not in headgate.good("audit", "show", "ex_2").out, "nothing that was said steers the terminal"
    said = headgate.good("audit", "show", "ex_1", "--json").json
    assert said["request"] == {"text": SAID.request.text, "bytes": 30, "kept_bytes": 23, "truncated": True}
    assert "No bodies are kept" in headgate.refused("audit", "show", "ex_9")
    looked = headgate.good("audit", "--action", "get_transcript", "--json").json
    assert [(deed["actor"], deed["subject"]) for deed in looked] == [
        (ME, "exchange/ex_1"), (ME, "exchange/ex_2"), (ME, "exchange/ex_1"),
    ]  # fmt: skip


def test_where_bodies_are_kept(headgate: Commands, tmp_path: Path) -> None:
    assert "[[audit.bodies]]" in headgate.good("audit", "transcripts").out
    hay = [a_transcript(n + 10) for n in range(SCANNED + 5)]
    with_transcripts(headgate.database, SAID, *hay, a_transcript(3, response=Body("needle", 6, 6)))
    assert "ex_000012" in headgate.good("audit", "transcripts", "--limit", "1000").words
    found = headgate.good("audit", "transcripts", "--text", "NEEDLE", "--json").json
    assert [one["exchange_id"] for one in found] == ["ex_000003"], "it looks on behind those it looks at first"
    path = tmp_path / "said.jsonl"
    headgate.good("audit", "transcripts", "--text", "needle", "--key", "key_1", "--export", str(path))
    (line,) = path.read_text().splitlines()
    assert json.loads(line)["response"]["text"] == "needle"
    newest, *_ = headgate.good("audit", "--json").json
    assert (newest["action"], newest["detail"]) == ("export_transcripts", {"key": "key_1", "text": "needle"})


def test_standard_output_takes_json_lines(headgate: Commands) -> None:
    headgate.good("account", "open", "acme")
    headgate.good("account", "open", "zeta")
    lines = headgate.good("audit", "--action", "put_account", "--export", "-").out.splitlines()
    assert [json.loads(line)["subject"] for line in lines] == ["account/zeta", "account/acme"]
