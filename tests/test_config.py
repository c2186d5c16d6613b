import json
import re
from pathlib import Path

import pytest

from headgate.config import access_secret, default_database, load, price_data
from headgate.errors import ConfigError
from headgate.pricing.markup import Markup
from headgate.providers.base import OnClientGone, TimeLimits
from headgate.sections import AuditSection, BodiesRule


def write(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "headgate.toml"
    path.write_text(text)
    return path


def test_the_environment_alone_is_enough() -> None:
    settings = load(None, {"OPENAI_API_KEY": "sk-1", "XDG_DATA_HOME": "/data"})
    assert [d.name for d in settings.deployments] == ["openai"]
    assert (settings.host, settings.port) == ("127.0.0.1", 8080)


def test_a_whole_file(tmp_path: Path) -> None:
    text = """
listen = "0.0.0.0:9000"
database = "here.db"
fallback = "local"
# a comment may name ${ANYTHING}
[keys]
team-a = "${TEAM_A_KEY}"
[providers.openai]
api_key = "${OPENAI_API_KEY}"
on_client_gone = "drain"
[providers.local]
kind = "openai_compatible"
base_url = "http://127.0.0.1:8000"
models = ["my-model"]
[limits]
idle_seconds = 5
"""
    env = {"TEAM_A_KEY": "k" * 20, "OPENAI_API_KEY": 'sk-"quoted"\\'}
    settings = load(write(tmp_path, text), env)
    assert (settings.host, settings.port, settings.database) == ("0.0.0.0", 9000, Path("here.db"))
    openai, local = settings.deployments
    assert openai.credential is not None
    assert openai.credential.reveal() == 'sk-"quoted"\\'
    assert openai.on_client_gone is OnClientGone.DRAIN
    assert local.base_url == "http://127.0.0.1:8000/v1"
    assert settings.extra_models == {"local": ("my-model",)}
    assert settings.limits.idle_seconds == 5
    assert "k" * 20 not in repr(settings)
    assert "sk-" not in repr(settings)


def test_keys_of_the_clients_own_are_off_unless_asked_for(tmp_path: Path) -> None:
    settings = load(write(tmp_path, "[providers.openai]\nclient_keys = true\n[providers.groq]\napi_key = 'k'"), {})
    assert [(d.client_keys, d.credential is None) for d in settings.deployments] == [(True, True), (False, False)]


def test_a_providers_own_limits_stand_in_for_the_general_ones(tmp_path: Path) -> None:
    text = """
[limits]
connect_seconds = 3
total_seconds = 900.5
keep_alive_seconds = 15
[providers.openai]
[providers.groq.limits]
connect_seconds = 1
idle_seconds = 7
keep_alive_seconds = 0
"""
    limits = {deployment.name: deployment.limits for deployment in load(write(tmp_path, text), {}).deployments}
    assert limits == {
        "openai": TimeLimits(connect=3, first_byte=600, idle=300, total=900.5, keep_alive=15),
        "groq": TimeLimits(connect=1, first_byte=600, idle=7, total=900.5),
    }


def test_options_and_secrets(tmp_path: Path) -> None:
    text = """
[providers.frankfurt]
kind = "bedrock"
options = { region = "eu-central-1" }
secrets = { access_key_id = "AKID", secret_access_key = "${SECRET}" }
"""
    settings = load(write(tmp_path, text), {"SECRET": "s3cr3t"})
    (deployment,) = settings.deployments
    assert deployment.base_url == "https://bedrock-runtime.eu-central-1.amazonaws.com"
    assert deployment.options == {"region": "eu-central-1"}
    assert deployment.secrets["secret_access_key"].reveal() == "s3cr3t"
    assert "s3cr3t" not in repr(settings)


@pytest.mark.parametrize(
    ("section", "told"),
    [
        ("", "base_url`: expected the option 'region', or a base URL of your own"),
        ("options = { regoin = 'x' }\nbase_url = 'http://h'", "options.regoin`: expected one of region"),
        ("options = { region = 'a b' }", "options.region`: expected"),
        ("options = { region = 'x' }\nsecrets = { token = 'x' }", "secrets.token`: expected one of access_key_id, "),
        (
            "options = { region = 'x' }\nsecrets = { access_key_id = 'x' }",
            "secrets`: expected access_key_id and secret_access_key",
        ),
        (
            "base_url = 'http://h'\nsecrets = { access_key_id = 'x', secret_access_key = 's3cr3t' }",
            "options`: expected region",
        ),
    ],
)
def test_options_and_secrets_that_are_wrong(tmp_path: Path, section: str, told: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load(write(tmp_path, "[providers.bedrock]\n" + section), {})
    assert told in str(caught.value)
    assert "s3cr3t" not in str(caught.value)


def test_without_a_file_the_environment_may_have_an_admin_key(tmp_path: Path) -> None:
    env = {"HEADGATE_ADMIN_KEY": "an admin key, long enough"}
    assert load(None, env).admin_keys == {"admin": "an admin key, long enough"}
    assert load(None, {"HEADGATE_ADMIN_KEY": ""}).admin_keys == {}
    with pytest.raises(ConfigError, match=r"admin\.keys\.admin.*16 characters"):
        load(None, {"HEADGATE_ADMIN_KEY": "short"})
    path = tmp_path / "headgate.toml"
    path.write_text("")
    assert load(path, env).admin_keys == {}, "a file says for itself who is let in"


def test_a_file_without_providers_leaves_the_environments(tmp_path: Path) -> None:
    settings = load(write(tmp_path, 'listen = "127.0.0.1:1"'), {"GROQ_API_KEY": "k"})
    assert [d.name for d in settings.deployments] == ["groq"]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("bogus = 1", "bogus"),
        ('listen = "8080"', "`listen`: expected HOST:PORT"),
        ('listen = "127.0.0.1:70000"', "`listen`"),
        ("listen = ", "expected TOML"),
        ('fallback = "nobody"', "`fallback`: no provider is named 'nobody'"),
        ("[providers.openai]\nkey = 'x'", "`providers.openai`: Object contains unknown field `key`"),
        ("[providers.mine]\nbase_url = 'http://x'", "`providers.mine.kind`"),
        ("[providers.openai]\nbase_url = 'ftp://x'", "`providers.openai.base_url`: expected an http"),
        ("[providers.mine]\nkind = 'openai_compatible'", "`providers.mine.base_url`: expected an address"),
        ("[providers.openai]\napi_key = '${UNSET}'", "`providers.openai.api_key`: the environment variable UNSET"),
        ("[providers.openai]\non_client_gone = 'never'", "`providers.openai`"),
        (
            "[providers.openai]\nclient_keys = true\napi_key = 'k'",
            "`providers.openai.client_keys`: expected no key of ours",
        ),
        ("[limits]\nidle_seconds = 'long'", "$.limits.idle_seconds"),
        ("[limits]\ntotal_seconds = 0", "$.limits.total_seconds"),
        ("[limits]\nidle_seconds = nan", "$.limits.idle_seconds"),
        ("[limits]\nconnect_seconds = 1e9", "$.limits.connect_seconds"),
        ("[providers.openai.limits]\nidle = 1", "`providers.openai`: Object contains unknown field `idle`"),
        ("[providers.openai.limits]\nidle_seconds = -1", "$.limits.idle_seconds"),
        ("[keys]\na = 'short'", "`keys.a`: expected at least 16 characters"),
        ("[providers.'a/b']\nkind = 'openai'", "`providers.a/b`: expected a name"),
        (
            "[providers.local]\nkind = 'openai_compatible'\nbase_url = 'http://localhost:8080/v1'",
            "is where headgate itself listens",
        ),
        ("providers = 1", "`providers`: expected tables"),
    ],
)
def test_errors_name_the_file_the_key_and_what_was_expected(tmp_path: Path, text: str, told: str) -> None:
    path = write(tmp_path, text)
    with pytest.raises(ConfigError) as raised:
        load(path, {})
    assert str(path) in raised.value.message
    assert told in raised.value.message


def test_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read"):
        load(tmp_path / "none.toml", {})


def test_a_public_address_must_be_protected(tmp_path: Path) -> None:
    public = 'listen = "0.0.0.0:8080"\n'
    with pytest.raises(ConfigError, match="can be reached from outside"):
        load(write(tmp_path, public), {})
    assert load(write(tmp_path, public + "allow_unprotected = true"), {}).allow_unprotected
    assert load(write(tmp_path, public + f"[keys]\na = '{'k' * 16}'"), {}).keys
    with pytest.raises(ConfigError, match="--listen"):
        load(None, {}, listen="192.0.2.1:80")


def test_the_default_database_does_not_depend_on_the_current_folder() -> None:
    assert default_database({"XDG_DATA_HOME": "/data"}) == Path("/data/headgate/headgate.db")
    assert default_database({}).is_absolute()


def test_a_service_accounts_key_is_read_from_its_file(tmp_path: Path) -> None:
    key = {"token_uri": "https://t", "client_email": "a@b", "private_key_id": "k", "private_key": "PEM"}
    (tmp_path / "key.json").write_text(json.dumps(key))
    text = f"[providers.vertex.options]\nservice_account_file = '{tmp_path}/key.json'"
    (vertex,) = load(write(tmp_path, text), {}).deployments
    assert vertex.grant is not None
    assert vertex.grant.token_url == "https://t"
    assert "PEM" not in repr(vertex)


@pytest.mark.parametrize("content", [None, "{}", '{"private_key":"SECRET"}'])
def test_a_service_accounts_key_that_is_none_stops_the_start(tmp_path: Path, content: str | None) -> None:
    if content is not None:
        (tmp_path / "key.json").write_text(content)
    text = f"[providers.vertex.options]\nservice_account_file = '{tmp_path}/key.json'"
    with pytest.raises(ConfigError, match=r"providers\.vertex\.options") as raised:
        load(write(tmp_path, text), {})
    assert "SECRET" not in str(raised.value)


def test_a_credential_of_ours_beside_the_clients_own_is_refused(tmp_path: Path) -> None:
    text = (
        "[providers.bedrock]\nclient_keys = true\n[providers.bedrock.options]\nregion = 'eu-west-1'\nprofile = 'team'"
    )
    with pytest.raises(ConfigError, match="whose key pays must be plain"):
        load(write(tmp_path, text), {})


def test_entra_id(tmp_path: Path) -> None:
    text = """
[providers.azure]
base_url = "https://mine.openai.azure.com"
[providers.azure.options]
tenant_id = "tenant"
client_id = "client"
[providers.azure.secrets]
client_secret = "s3cret"
"""
    (azure,) = load(write(tmp_path, text), {}).deployments
    assert azure.grant is not None
    assert azure.grant.token_url == "https://login.microsoftonline.com/tenant/oauth2/v2.0/token"


def test_a_price_book_that_cannot_be_read_stops_the_start(tmp_path: Path) -> None:
    book = json.loads(price_data())
    model = next(m for m in book["providers"]["openai"]["models"] if m["id"] == "chatgpt-4o-latest")
    model["prices"][0]["rates"]["input_mtok"] = "cheap"
    (tmp_path / "prices.json").write_text(json.dumps(book))
    config = tmp_path / "headgate.toml"
    config.write_text(f'[prices]\nbook = "{tmp_path}/prices.json"\n')
    with pytest.raises(ConfigError, match=r"`prices\.book`.*openai/chatgpt-4o-latest"):
        load(config, {})


def test_a_price_book_beside_the_database_is_taken(tmp_path: Path) -> None:
    config = tmp_path / "headgate.toml"
    config.write_text(f'database = "{tmp_path}/books.db"\n')
    packaged = load(config, {}).book
    book = json.loads(price_data())
    del book["providers"]["openai"]["models"][0]
    (tmp_path / "prices.json").write_text(json.dumps(book))
    newer = load(config, {}).book
    assert packaged is not None
    assert newer is not None
    assert packaged.version != newer.version


def test_prices_of_the_operators_own(tmp_path: Path) -> None:
    config = tmp_path / "headgate.toml"
    config.write_text('[prices]\nmarkup = "20%"\n[prices.override."openai/mine"]\ninput_mtok = "1"\n')
    settings = load(config, {"XDG_DATA_HOME": str(tmp_path)})
    assert settings.book is not None
    price = settings.book.find("openai", "mine", 0)
    assert price is not None
    assert price.source == "operator"
    assert settings.markups.of("openai", "mine") == Markup(6, 5)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ('[prices]\nmarkup = "20"\n', "prices"),
        ('[prices.override."openai/x"]\ninput_mtok = 1.5\n', "prices.override"),
        ("[prices.override.openai]\ninput_mtok = 1\n", "prices.override"),
        ('[access]\nsecret = "short"\n', "access.secret"),
        ('[admin.keys]\nme = "short"\n', "admin.keys.me"),
        ('[holds]\non_upstream_failure = "sometimes"\n', "on_upstream_failure"),
    ],
)
def test_wrong_settings_of_money_are_told_with_their_path(text: str, told: str, tmp_path: Path) -> None:
    config = tmp_path / "headgate.toml"
    config.write_text(text)
    with pytest.raises(ConfigError, match=re.escape(told)):
        load(config, {"XDG_DATA_HOME": str(tmp_path)})


def test_a_postgresql_address_is_a_database_and_never_shown(tmp_path: Path) -> None:
    config = tmp_path / "headgate.toml"
    config.write_text('database = "postgresql://me:hush@db/books"\n')
    settings = load(config, {"XDG_DATA_HOME": str(tmp_path)})
    assert settings.postgres == "postgresql://me:hush@db/books"
    assert "hush" not in repr(settings)
    with pytest.raises(ConfigError, match=r"access\.secret"):
        access_secret(settings)


def test_the_secret_of_the_virtual_keys_is_made_once_and_for_its_owner(tmp_path: Path) -> None:
    settings = load(None, {"XDG_DATA_HOME": str(tmp_path)})
    secret = access_secret(settings)
    assert len(secret) >= 32
    assert access_secret(settings) == secret
    (kept,) = settings.database.parent.glob("*.secret")
    assert kept.stat().st_mode & 0o777 == 0o600


def test_who_requires_keys_may_listen_to_the_outside(tmp_path: Path) -> None:
    config = tmp_path / "headgate.toml"
    config.write_text('listen = "0.0.0.0:8080"\n[access]\nrequire_keys = true\n')
    assert load(config, {"XDG_DATA_HOME": str(tmp_path)}).access.require_keys


@pytest.mark.parametrize(
    ("text", "at"),
    [
        ("", None),
        ('[metrics]\nlisten = "127.0.0.1:9464"', ("127.0.0.1", 9464)),
        ('[metrics]\nlisten = "[::1]:9464"', ("::1", 9464)),
        ('[metrics]\nlisten = "0.0.0.0:9464"\nopen = true', ("0.0.0.0", 9464)),
        ('[metrics]\nlisten = "0.0.0.0:9464"\nkey = "a key that reads metrics"', ("0.0.0.0", 9464)),
        ('[metrics]\nlisten = "0.0.0.0:9464"\n[admin.keys]\nops = "an admin key, long enough"', ("0.0.0.0", 9464)),
        ('[metrics]\nlisten = "0.0.0.0:9464"\nenabled = false', None),
    ],
)
def test_where_the_metrics_are(tmp_path: Path, text: str, at: tuple[str, int] | None) -> None:
    settings = load(write(tmp_path, text), {})
    assert settings.metrics_at == at
    assert "a key that reads metrics" not in repr(settings)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ('listen = "0.0.0.0:9464"', "`metrics.listen`: 0.0.0.0 can be reached from outside, and no key is set"),
        ('listen = "9464"', "`metrics.listen`: expected HOST:PORT"),
        ('key = "short"', "`metrics.key`: expected at least 16 characters"),
    ],
)
def test_metrics_that_nobody_could_read_or_everybody(tmp_path: Path, text: str, told: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(told)):
        load(write(tmp_path, f"[metrics]\n{text}"), {})


@pytest.mark.parametrize(("days", "said"), [("0", ">= 1"), ("-1", ">= 1"), ("40000", "<= 36500"), ('"30d"', "int")])
def test_records_are_kept_for_a_day_at_least(tmp_path: Path, days: str, said: str) -> None:
    path = tmp_path / "headgate.toml"
    path.write_text(f"[retention]\nrecords_days = {days}\n")
    with pytest.raises(ConfigError, match=r"retention.records_days") as told:
        load(path, {})
    assert said in str(told.value)


def test_whose_bodies_are_kept(tmp_path: Path) -> None:
    assert load(write(tmp_path, ""), {}).audit == AuditSection()
    text = """
        [audit]
        max_bytes = 1000
        retention_days = 7
        redact = ['ACME-\\d+']
        [[audit.bodies]]
        keys = ["ci"]
        [[audit.bodies]]
        tags = ["audited"]
        routes = ["openai.chat", "anthropic.messages/create", "/v1/embeddings"]
    """
    assert load(write(tmp_path, text), {}).audit == AuditSection(
        bodies=(
            BodiesRule(keys=("ci",)),
            BodiesRule(tags=("audited",), routes=("openai.chat", "anthropic.messages/create", "/v1/embeddings")),
        ),
        max_bytes=1_000,
        retention_days=7,
        redact=("ACME-\\d+",),
    )


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("[[audit.bodies]]", "`audit.bodies[0]`: expected `keys`, `tags` or `routes`"),
        (
            '[[audit.bodies]]\nroutes = ["openai.chatt"]',
            "`audit.bodies[0].routes`: no dialect is called 'openai.chatt'",
        ),
        ('[[audit.bodies]]\nroutes = ["openai.chat/x"]', "`audit.bodies[0].routes`: openai.chat has no operation 'x'"),
        ('[[audit.bodies]]\nroutes = [""]', "`audit.bodies[0].routes`: no dialect is called ''"),
        ("[audit]\nmax_bytes = 0", "Expected `int` >= 1 - at `$.audit.max_bytes`"),
        ("[audit]\nmax_bytes = 16777217", "Expected `int` <= 16777216 - at `$.audit.max_bytes`"),
        ("[audit]\nretention_days = 0", "Expected `int` >= 1 - at `$.audit.retention_days`"),
        ("[audit]\nretention_days = 36501", "Expected `int` <= 36500 - at `$.audit.retention_days`"),
        ('[audit]\nredact = ["("]', "`audit.redact[0]`: expected a regular expression"),
        (
            '[audit]\nredact = ["x", ".*"]',
            "`audit.redact[1]`: expected a regular expression that",
        ),
    ],
)
def test_a_rule_that_could_never_fit_stops_the_start(tmp_path: Path, text: str, told: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(told)):
        load(write(tmp_path, text), {})


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (
            'endpoint = "collector:4318"',
            "`endpoint`: expected an address, such as http://127.0.0.1:4318 - at `$.tracing`",
        ),
        ('endpoint = "http://"', "`endpoint`: expected an address"),
        ('endpoint = "http://ours:a[b@c"', "`endpoint`: expected an address"),
        ('endpoint = "http://c"\nsample = 1.5', "<= 1.0 - at `$.tracing.sample`"),
        ('endpoint = "http://c"\nsample = -1', ">= 0.0 - at `$.tracing.sample`"),
        ('endpoint = "http://c"\nsemconv = "2"', "tracing.semconv"),
        ('endpoint = "http://c"\nheaders = {a = "x\\ny"}', "`headers.'a'`: expected visible ASCII"),
        ("sample = 1", "`endpoint`"),
        ('endpoint = "http://c"\ncolour = 1', "unknown field `colour`"),
    ],
)
def test_wrong_settings_of_tracing_are_told_with_their_path(tmp_path: Path, text: str, told: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(told)):
        load(write(tmp_path, f"[tracing]\n{text}"), {})


def test_tracing_is_off_unless_it_is_asked_for_and_its_headers_are_not_shown(tmp_path: Path) -> None:
    assert load(write(tmp_path, ""), {}).tracing is None
    text = '[tracing]\nendpoint = "http://127.0.0.1:4318"\nheaders = {authorization = "Bearer ${KEY}"}'
    settings = load(write(tmp_path, text), {"KEY": "collectors-secret"})
    assert settings.tracing is not None
    assert settings.tracing.headers == {"authorization": "Bearer collectors-secret"}
    assert "collectors-secret" not in repr(settings)


MODELS = """
[providers.eu]
kind = "openai"
api_key = "an-openai-key"
[providers.us]
kind = "openai"
api_key = "an-openai-key"
"""


def test_aliases(tmp_path: Path) -> None:
    text = """
[models."team/smart"]
targets = [{ provider = "eu", model = "gpt-5-mini", weight = 3, context = 128_000, lacks = ["images"] },
           { provider = "us" }]
fallbacks = ["small", { provider = "us", model = "gpt-5" }]
choose = "latency"
hold_back_ms = 300
[models.small]
targets = [{ provider = "eu", model = "gpt-5-nano" }]
attempts = 1
sticky = false
"""
    smart, small = load(write(tmp_path, MODELS + text), {}).aliases
    assert [[str(target) for target in tier.targets] for tier in smart.tiers] == [
        ["eu/gpt-5-mini", "us/team/smart"], ["eu/gpt-5-nano"], ["us/gpt-5"],
    ]  # fmt: skip
    assert (smart.hold_back_seconds, smart.attempts, small.attempts, small.sticky) == (0.3, 3, 1, False)
    assert smart.targets[0].lacks == {"images"}


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ('targets = [{ provider = "nobody" }]', "`models`: a: expected a configured provider (eu, us), not 'nobody'"),
        ('targets = [{ provider = "eu", weight = 0 }]', "`models.a`: Expected `int` >= 1 - at `$.targets[0].weight`"),
        ('targets = [{ provider = "eu", context = 0 }]', "Expected `int` >= 1"),
        ('targets = [{ provider = "eu", lacks = ["wings"] }]', "Invalid enum value 'wings'"),
        ('targets = [{ provider = "eu", colour = 1 }]', "unknown field `colour` - at `$.targets[0]`"),
        ('targets = [{ provider = "eu" }, { provider = "eu" }]', "expected each target once"),
        ('targets = [{ provider = "eu" }]\ncolour = 1', "unknown field `colour`; known are targets, fallbacks"),
        ('targets = [{ provider = "eu" }]\nchoose = "best"', "Invalid enum value 'best'"),
        ('targets = [{ provider = "eu" }]\nattempts = 0', "Expected `int` >= 1"),
        ('targets = [{ provider = "eu" }]\nhold_back_ms = 60_000', "Expected `int` <= 10000"),
        ('targets = [{ provider = "eu" }]\nfallbacks = ["a"]', "expected fallbacks without a circle, not a -> a"),
        ('targets = [{ provider = "eu" }]\nfallbacks = ["b"]', "expected another model's name (none), not 'b'"),
        ("targets = []", "expected a name and at least one target"),
        ("", "missing required field `targets`"),
    ],
)
def test_wrong_aliases_stop_the_start(tmp_path: Path, text: str, told: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(told)):
        load(write(tmp_path, f"{MODELS}[models.a]\n{text}"), {})


def test_the_example_of_the_documentation_is_taken_as_it_stands(tmp_path: Path) -> None:
    text = Path(__file__).parent.parent.joinpath("docs/failover.md").read_text(encoding="utf-8")
    example = text.split("```toml\n")[1].split("```")[0]
    env = {"OPENAI_EU_KEY": "a-key", "OPENAI_US_KEY": "a-key", "GROQ_API_KEY": "a-key"}
    smart, other = load(write(tmp_path, example), env).aliases
    assert ([len(tier.targets) for tier in smart.tiers], other.name) == ([2, 1, 1], "open")
