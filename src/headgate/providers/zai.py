"""Z.ai, the GLM models (facts/wire.md section 8).

Usage comes on the chunk that finishes.
"""

from headgate.providers.base import Provider

PROVIDER = Provider(
    name="zai",
    title="Z.ai",
    base_url="https://api.z.ai/api/paas/v4",
    dialects=("openai.chat",),
    api_key_env="ZAI_API_KEY",
    base_url_env="ZAI_BASE_URL",
    model_patterns=("glm-*",),
)
