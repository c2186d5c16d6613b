"""Secrets of every shape, to be planted in bodies and looked for in what is kept. None of them opens anything."""

SECRETS = {
    "openai": "sk-proj-Zx81kQpR5tUvWyAbCdEfGhIj",
    "anthropic": "sk-ant-api03-Zx81kQpR-5tUvWyAbCdEf_GhIjAA",
    "headgate": "hg-Zx81kQpR5tUvWyAbCdEfGhIjKlMnOpQr",
    "groq": "gsk_Zx81kQpR5tUvWyAbCdEfGhIjKl",
    "xai": "xai-Zx81kQpR5tUvWyAbCdEfGhIjKl",
    "huggingface": "hf_Zx81kQpR5tUvWyAbCdEfGhIjKl",
    "github": "ghp_Zx81kQpR5tUvWyAbCdEfGhIjKlMnOpQrStUv",
    "google": "AIzaSyZx81kQpR5tUvWyAbCdEfGhIjKlMnOpQrS",
    "google token": "ya29.a0AfZx81kQpR5tUvWyAbCdEf",
    "aws id": "AKIAZX81KQPR5TUVWYAB",
    "aws secret": "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY",
    "jwt": "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhbm4ifQ.Zx81kQpR5tUvWyAb",
    "slack": "xoxb-123456789012-Zx81kQpR5tUv",
    "stripe": "sk_live_Zx81kQpR5tUvWyAbCd",
}
PEM = (
    "-----BEGIN RSA PRIVATE KEY-----\n"
    "MIIEpAIBAAKCAQEAZx81kQpR5tUvWyAbCdEfGhIjKlMnOpQrStUvWxYz01234567\n"
    "Zx81kQpR5tUvWyAbCdEfGhIjKlMnOpQrStUv==\n"
    "-----END RSA PRIVATE KEY-----"
)
