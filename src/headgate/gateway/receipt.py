"""What an exchange cost, told to its client: in headers, in trailers, or in a comment at a stream's end.

Nothing is added to a body unless the client asks for it, and trailers go to those who announce that they take them
(RFC 9110 section 6.5.1), or to all where the operator says so.
"""

from enum import StrEnum

from headgate.gateway.appraise import Appraisal
from headgate.gateway.request import Request
from headgate.gateway.upstream import Headers
from headgate.money import dollars_text

COST = b"x-headgate-cost-usd"
INPUT = b"x-headgate-input-tokens"
OUTPUT = b"x-headgate-output-tokens"
ANNOUNCED = (b"trailer", b", ".join((COST, INPUT, OUTPUT)))
"""The header that names the trailers to come."""

ASK = b"x-headgate-receipt"
"""A client asks for the comment with `x-headgate-receipt: comment`."""


class Trailers(StrEnum):
    """To whom trailers are sent after a stream."""

    ASKED = "asked"
    """To clients that send `TE: trailers`."""
    ALWAYS = "always"
    NEVER = "never"


def takes_trailers(request: Request, setting: Trailers) -> bool:
    """Whether this client is sent trailers."""
    if setting is not Trailers.ASKED:
        return setting is Trailers.ALWAYS
    te = request.header(b"te") or b""
    return any(part.split(b";")[0].strip().lower() == b"trailers" for part in te.split(b","))


def takes_comment(request: Request) -> bool:
    """Whether this client asked for the final comment of a stream."""
    return (request.header(ASK) or b"").strip().lower() == b"comment"


def receipt(appraisal: Appraisal) -> Headers:
    """The cost and the tokens; what is not known is left out, never 0.

    The cost is the account's charge, or the provider's price where no account pays.
    """
    bill, usage = appraisal.bill, appraisal.usage
    nanos = bill.cost_nanos if bill.account is None else bill.charge_nanos
    found = (
        (COST, None if nanos is None else dollars_text(nanos).lstrip("$")),
        (INPUT, usage.input_tokens),
        (OUTPUT, usage.output_tokens),
    )
    return [(name, str(value).encode()) for name, value in found if value is not None]


def comment(appraisal: Appraisal) -> bytes:
    """The receipt as a comment of an event stream, which every parser passes over (WHATWG, server-sent events)."""
    pairs = (b"=".join((name.removeprefix(b"x-headgate-"), value)) for name, value in receipt(appraisal))
    return b": headgate " + b" ".join(pairs) + b"\n\n"
