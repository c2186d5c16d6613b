import json
import stat
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any, ClassVar

import pytest
import typer
from typer.testing import CliRunner, Result

from headgate.cli import prices
from headgate.errors import ConfigError
from headgate.pricing.book import PriceBook, as_bytes
from tests.pricing.books import AT, BOOK, content

GENAI: list[Any] = [
    {"id": "openai", "models": [
        {"id": "gpt-4o", "match": {"equals": "gpt-4o"}, "context_window": 128000,
         "prices": {"input_mtok": {"base": 2.5, "tiers": [{"start": 200000, "price": 5}]}, "output_mtok": 10},
         "price_variants": [{"when": {"service_tier": "flex"}, "prices": {"input_mtok": 1.25}}]},
        {"id": "dated", "match": {"equals": "dated"}, "prices": [
            {"prices": {"input_mtok": 10, "output_mtok": 20}},
            {"constraint": {"start_date": "2026-10-14"}, "prices": {"input_mtok": 1, "output_mtok": 2}}]}]},
    {"id": "azure", "fallback_model_providers": ["openai"], "models": []},
    {"id": "anthropic", "models": [{"id": "claude", "match": {"equals": "claude"}, "prices": {"input_mtok": 3}}]},
]  # fmt: skip
LITELLM = {
    "gpt-4o": {"litellm_provider": "openai", "input_cost_per_token": 9e-06},
    "gpt-extra": {"litellm_provider": "openai", "input_cost_per_token": 1e-06, "output_cost_per_token": 2e-06},
    "gpt-image": {"litellm_provider": "openai", "output_cost_per_image": 0.04},
}


def run(*arguments: str | Path, columns: int = 160) -> Result:
    app = typer.Typer()
    app.callback()(lambda: None)
    prices.register(app)
    return CliRunner().invoke(app, ["prices", *map(str, arguments)], env={"COLUMNS": str(columns)})


def failed(result: Result) -> str:
    assert isinstance(result.exception, ConfigError), result.output
    return result.exception.message


@pytest.fixture
def book(tmp_path: Path) -> Path:
    path = tmp_path / "prices.json"
    result = run("import", written(tmp_path / "data.json", GENAI), "--book", path)
    assert result.exit_code == 0, result.output
    return path


def written(path: Path, what: Any) -> Path:
    path.write_text(json.dumps(what))
    return path


def test_show_has_rates_with_units_steps_terms_source_and_version(book: Path) -> None:
    result = run("show", "gpt-4o", "--book", book)
    assert result.exit_code == 0, result.output
    assert "openai/gpt-4o (book, 128,000 tokens of context)" in result.output
    assert [line.split() for line in result.output.splitlines()[2:6]] == [
        ["standard", "input_mtok", "$2.50", "/", "1000000"],
        ["standard", "input_mtok", "$5.00", "/", "1000000", "200,000"],
        ["standard", "output_mtok", "$10.00", "/", "1000000"],
        ["service_tier", "flex", "input_mtok", "$1.25", "/", "1000000"],
    ]
    assert "azure" not in result.output
    assert PriceBook.from_json(book.read_bytes()).version in result.output


def test_show_for_one_provider_that_falls_back(book: Path) -> None:
    result = run("show", "gpt-4o", "--provider", "azure", "--book", book)
    assert "azure/gpt-4o (book, at the price of openai, 128,000 tokens of context)" in result.output
    assert "flex" not in result.output


def test_show_multiples(book: Path) -> None:
    result = run("show", "claude", "--book", book)
    assert "inference_geo us" in result.output
    assert "x 1.1" in result.output


def test_show_at_a_day(book: Path) -> None:
    assert "$10.00" in run("show", "dated", "--at", "2026-10-13", "--book", book).output
    later = run("show", "dated", "--at", "2026-10-14", "--book", book).output
    assert "$1.00" in later
    assert "Rates change on 2026-10-14; --at shows them." in later
    assert run("show", "dated", "--at", "tomorrow", "--book", book).exit_code == 2


def test_show_says_what_an_unknown_name_means(book: Path) -> None:
    message = failed(run("show", "gpt-4p", "--book", book))
    assert message == "no price for gpt-4p; its use would be recorded as unpriced; did you mean gpt-4o?"
    assert failed(run("show", "gpt-4o", "--provider", "groq", "--book", book)).startswith(
        "no price for gpt-4o of groq;"
    )


def test_the_packaged_book_is_used_until_there_is_another(tmp_path: Path) -> None:
    result = run("check", "--config", written_config(tmp_path))
    assert result.exit_code == 0, result.output
    assert result.output.startswith("genai-prices ")
    assert "No problems found." in result.output
    (tmp_path / "prices.json").write_bytes(as_bytes(content()))
    assert run("check", "--config", written_config(tmp_path)).output.startswith(f"by hand, version {BOOK.version}")


def written_config(folder: Path) -> Path:
    path = folder / "headgate.toml"
    path.write_text(f'database = "{folder}/headgate.db"\n[providers.ollama]\n')
    return path


def test_check_counts_and_finds_a_price_a_token(tmp_path: Path) -> None:
    raw = content()
    path = tmp_path / "book.json"
    path.write_bytes(as_bytes(raw))
    result = run("check", path)
    assert "3 providers, 12 models, 1 of them without rates" in result.output
    assert "newest dated price: 2026-10-14" in result.output
    raw["providers"]["acme"]["models"][0]["prices"][0]["rates"]["input_mtok"] = "0.000002"
    path.write_bytes(as_bytes(raw))
    assert "acme/plain: input_mtok at $0.000002 / 1000000 is outside" in failed(run("check", path))
    path.write_text('{"format": 1}')
    assert 'is no price book: expected an object with "providers"' in failed(run("check", path))
    assert "cannot read" in failed(run("check", tmp_path))


def test_import_tells_what_changes(book: Path, tmp_path: Path) -> None:
    cheaper = json.loads(json.dumps(GENAI))
    cheaper[0]["models"][0]["prices"]["output_mtok"] = 9
    del cheaper[0]["models"][1]
    result = run("import", written(tmp_path / "data.json", cheaper), "--book", book)
    assert "0 new, 1 changed, 1 gone of 2 models\n  gone    openai/dated\n  changed openai/gpt-4o\n" in result.output
    assert stat.S_IMODE(book.stat().st_mode) == 0o644
    assert sorted(path.name for path in tmp_path.iterdir()) == ["data.json", "prices.json"]


def test_litellms_models_come_under_the_books_and_outlive_its_updates(book: Path, tmp_path: Path) -> None:
    result = run("import", written(tmp_path / "litellm.json", LITELLM), "--book", book)
    assert result.exit_code == 0, result.output
    assert "1 new, 0 changed, 0 gone" in result.output
    assert (
        "1 left out, as they have costs of unknown kinds:\n  openai/gpt-image: output_cost_per_image" in result.output
    )
    again = run("import", tmp_path / "data.json", "--book", book)
    assert "0 new, 0 changed, 0 gone" in again.output
    opened = PriceBook.from_json(book.read_bytes())
    for model, dollars in (("gpt-4o", "2.5"), ("gpt-extra", "1")):
        price = opened.find("openai", model, AT)
        assert price is not None
        assert str(price.rates["input_mtok"].base.dollars) == dollars


def test_a_book_that_cannot_be_right_is_not_written(book: Path, tmp_path: Path) -> None:
    before = book.read_bytes()
    wrong = json.loads(json.dumps(GENAI))
    wrong[0]["models"][0]["prices"]["output_mtok"] = 0.00001
    message = failed(run("import", written(tmp_path / "data.json", wrong), "--book", book))
    assert message.startswith("nothing was written: 1 problems in the new prices:\n  openai/gpt-4o: output_mtok at")
    assert book.read_bytes() == before


@pytest.mark.parametrize(
    ("what", "why"),
    [("{", "is not JSON"), ("[1]", "holds neither"), ('[{"id": "x", "models": 3}]', "not genai-prices' data")],
)
def test_files_that_hold_no_prices(tmp_path: Path, what: str, why: str) -> None:
    path = tmp_path / "file.json"
    path.write_text(what)
    assert why in failed(run("import", path, "--book", tmp_path / "prices.json"))


class Served(BaseHTTPRequestHandler):
    body: ClassVar[bytes] = b""

    def do_GET(self) -> None:
        found = self.path == "/data.json"
        self.send_response(200 if found else 404)
        self.send_header("Content-Length", str(len(self.body) if found else 0))
        self.end_headers()
        self.wfile.write(self.body if found else b"")

    def log_message(self, *_: Any) -> None:
        pass


@contextmanager
def serving(body: bytes) -> Iterator[str]:
    Served.body = body
    server = HTTPServer(("127.0.0.1", 0), Served)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_update_downloads_compiles_and_writes(tmp_path: Path) -> None:
    path = tmp_path / "new folder" / "prices.json"
    with serving(json.dumps(GENAI).encode()) as origin:
        result = run("update", "--url", f"{origin}/data.json", "--book", path)
        assert result.exit_code == 0, result.output
        assert f"Wrote {path}, version sha256:" in result.output
        assert "cannot download" in failed(run("update", "--url", f"{origin}/other.json", "--book", path))
    assert PriceBook.from_json(path.read_bytes()).content["source"]["name"] == "genai-prices"
    with serving(b"{}") as origin:
        assert "does not hold genai-prices' data" in failed(
            run("update", "--url", f"{origin}/data.json", "--book", path)
        )
    assert "cannot download" in failed(run("update", "--url", f"{origin}/data.json", "--book", path))
    assert "expected an https address" in failed(run("update", "--url", "file:///etc/passwd", "--book", path))


def test_a_folder_that_cannot_be_written_is_told(book: Path, tmp_path: Path) -> None:
    message = failed(run("import", tmp_path / "data.json", "--book", book / "prices.json"))
    assert message.startswith(f"cannot write {book / 'prices.json'}: ")
