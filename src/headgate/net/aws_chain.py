"""AWS's credential chain: profiles, SSO, assumed roles, instance metadata. Needs the extra `aws`, which is botocore.

botocore finds and refreshes the credentials; it does so synchronously, so in a thread. It is loaded there too, when a
profile is first asked for: a tenth of a start's time, for what few deployments need.
"""

import asyncio
from collections.abc import Mapping
from importlib import import_module
from importlib.util import find_spec
from typing import Any

from headgate.providers.base import Secret

INSTALLED = find_spec("botocore") is not None


class Chain:
    """The credentials of AWS profiles."""

    def __init__(self) -> None:
        self._found: dict[str, Any] = {}

    async def secrets(self, profile: str) -> Mapping[str, Secret]:
        """What a profile's requests are signed with now. Raises ValueError if there is nothing to be had."""
        if not INSTALLED:
            raise ValueError("profiles need the extra headgate[aws]")
        return await asyncio.to_thread(self._look, profile)

    def _look(self, profile: str) -> Mapping[str, Secret]:
        session, exceptions = import_module("botocore.session"), import_module("botocore.exceptions")
        try:
            if profile not in self._found:
                self._found[profile] = session.Session(profile=profile).get_credentials()
            credentials = self._found[profile]
            frozen = credentials.get_frozen_credentials() if credentials is not None else None
        except exceptions.BotoCoreError as error:
            raise ValueError(f"the profile {profile} gives no credentials") from error
        if frozen is None:
            raise ValueError(f"the profile {profile} gives no credentials")
        names = {"access_key_id": "access_key", "secret_access_key": "secret_key", "session_token": "token"}
        return {ours: Secret(value) for ours, theirs in names.items() if (value := getattr(frozen, theirs))}
