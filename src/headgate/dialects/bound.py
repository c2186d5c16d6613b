"""The most tokens that a request may use, before it is sent: what a hold is made for (docs/decisions/0016)."""

from msgspec import Struct

from headgate.dialects.base import Ask
from headgate.dialects.reading import MAX_COUNT

TEMPLATE_TOKENS = 1_024
"""What a provider adds to every prompt: turns, dates, a system prompt of its own. The longest recorded has some
650 tokens, Grok 4's; most models' is shorter than the JSON around the text."""
TOOLS_TOKENS = 2_048
"""What it adds where there are tools: of Claude up to some 800 tokens to explain their use and up to 1,200 for the
schemas that its own tools name by type only, of Cohere some 1,400 (platform.claude.com, "Pricing"; recordings)."""
DEFAULT_OUTPUT = 32_768
"""Tokens of output where neither the request nor the model says how many there may be."""
DEFAULT_WINDOW = 1_048_576
"""Tokens of a context window that is not known: as large as any of today's common models."""


class ModelLimits(Struct, frozen=True):
    """What is known of a model's limits, in tokens; None is unknown."""

    context_window: int | None = None
    max_output: int | None = None


class Bound(Struct, frozen=True):
    """The most tokens that a request may use."""

    input_tokens: int
    output_tokens: int
    unbounded: str | None = None
    """Why it may still become more; see `Ask.unbounded`."""


def worst_case(
    ask: Ask,
    limits: ModelLimits,
    *,
    default_output: int = DEFAULT_OUTPUT,
    default_window: int = DEFAULT_WINDOW,
    prompt_tokens: int | None = None,
) -> Bound:
    """The bound of a request. `prompt_tokens` is the text of its body, counted; without it its bytes stand.

    `limits.max_output` and then `default_output` stand in for a cap that was not named; a cap that was named is cut
    only by the context window. Both sides are at most MAX_COUNT, so that no client's number overflows an account.
    """
    return Bound(
        min(_prompt(ask, limits.context_window, default_window, prompt_tokens), MAX_COUNT),
        min(_output(ask, limits, default_output), MAX_COUNT),
        ask.unbounded,
    )


def _prompt(ask: Ask, window: int | None, default_window: int, counted: int | None) -> int:
    """A token is at least a byte of text, and JSON never spells a text in fewer bytes than UTF-8 has."""
    told = ask.input_bytes if ask.prompt_bytes is None else ask.prompt_bytes
    if counted is not None:
        told = min(told, counted + max(0, told - ask.input_bytes))
    told += TEMPLATE_TOKENS + ask.attachments * ask.attachment_tokens
    if ask.has_tools:
        told += TOOLS_TOKENS
    if ask.stored_context:
        return max(told, default_window) if window is None else window * ask.prompts
    return told if window is None else min(told, window * ask.prompts)


def _output(ask: Ask, limits: ModelLimits, default_output: int) -> int:
    if ask.output_cap == 0:
        return 0
    most = ask.output_cap or limits.max_output or default_output
    if limits.context_window is not None:
        most = min(most, limits.context_window)
    return (most + ask.thinking_budget) * ask.choices
