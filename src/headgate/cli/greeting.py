"""The first lines of `headgate serve`."""

from headgate.config import Settings


def greeting(settings: Settings) -> str:
    """What the gateway serves, where, and three lines to try, as text for a terminal."""
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    address = f"http://{host}:{settings.port}"
    database = "PostgreSQL" if settings.postgres is not None else settings.database
    lines = [f"headgate serves {address}   (records and ledger in {database})"]
    if settings.keys:
        lines.append(f"  clients need one of {len(settings.keys)} gateway keys, or a virtual key")
    elif settings.access.require_keys:
        lines.append("  clients need a virtual key: headgate key create NAME --account ACCOUNT")
    elif settings.allow_unprotected:
        lines.append("  OPEN: no gateway keys, and allow_unprotected is set: whoever reaches it spends your credit")
    else:
        lines.append("  no gateway keys are set: serving this machine only (loopback), until a virtual key is made")
    if settings.admin_keys:
        lines.append(f"  dashboard at {address}/dashboard, admin API at {address}/admin/v1")
    else:
        lines.append(
            f"  dashboard at {address}/dashboard, once there is an admin key: HEADGATE_ADMIN_KEY or [admin.keys]"
        )
    if not settings.deployments:
        lines.append("  no provider yet: set OPENAI_API_KEY, ANTHROPIC_API_KEY, ... or write a headgate.toml")
        lines.append("  or see it work without any key: headgate demo")
        return "\n".join(lines)
    lines.extend(f"  {deployment.name:<14} {deployment.base_url}" for deployment in settings.deployments)
    lines += ["", "Try:", *examples(settings, address)]
    return "\n".join(lines)


_MODELS = {"openai": "gpt-4o-mini", "anthropic": "claude-haiku-4-5", "groq": "llama-3.3-70b-versatile"}


def examples(settings: Settings, address: str) -> list[str]:
    """Three curl lines for a gateway at this address, with a provider that it really has."""
    locked = bool(settings.keys) or settings.access.require_keys
    key = " -H 'Authorization: Bearer YOUR_GATEWAY_KEY'" if locked else ""
    first = settings.deployments[0]
    model = f"{first.name}/{_MODELS.get(first.provider.name, 'MODEL')}"
    anthropic = "anthropic.messages" in first.provider.dialects and "openai.chat" not in first.provider.dialects
    path = "/v1/messages" if anthropic else "/v1/chat/completions"
    cap = '"max_tokens": 100, ' if anthropic else ""
    body = f'{{"model": "{model}", {cap}"stream": true, "messages": [{{"role": "user", "content": "Say hello."}}]}}'
    return [
        f"  curl {address}/v1/models{key}",
        f"  curl -N {address}{path}{key} -H 'content-type: application/json' \\\n    -d '{body}'",
        f"  curl {address}/p/{first.name}/v1/models{key}",
    ]
