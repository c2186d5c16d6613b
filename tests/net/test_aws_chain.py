from pathlib import Path

import pytest

from headgate.net import aws_chain
from headgate.net.aws_chain import Chain

PROFILES = """
[team]
aws_access_key_id = AKIDEXAMPLE
aws_secret_access_key = wJalr
aws_session_token = token
[plain]
aws_access_key_id = AKIDPLAIN
aws_secret_access_key = plain
"""


@pytest.fixture(autouse=True)
def profiles(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "credentials").write_text(PROFILES)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)


async def test_a_profiles_credentials() -> None:
    chain = Chain()
    for profile, expected in (
        ("team", {"access_key_id": "AKIDEXAMPLE", "secret_access_key": "wJalr", "session_token": "token"}),
        ("plain", {"access_key_id": "AKIDPLAIN", "secret_access_key": "plain"}),
    ):
        found = await chain.secrets(profile)
        assert {name: secret.reveal() for name, secret in found.items()} == expected


async def test_a_profile_that_is_not_there() -> None:
    with pytest.raises(ValueError, match="nobody"):
        await Chain().secrets("nobody")


async def test_without_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(aws_chain, "INSTALLED", False)
    with pytest.raises(ValueError, match="aws"):
        await Chain().secrets("team")
