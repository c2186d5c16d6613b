"""Answers of the gateway's own: errors, in the client's dialect."""

import json

from headgate.dialects.base import Dialect
from headgate.errors import HeadgateError
from headgate.gateway.headers import EXCHANGE_ID
from headgate.gateway.request import Client, ClientGone


async def answer_error(client: Client, error: HeadgateError, dialect: Dialect | None, exchange_id: str) -> int:
    """Answer with an error, whole. Returns the body bytes sent: 0 if the client has left.

    An answer that has begun cannot become an error: then the connection is broken.
    """
    if client.started:
        client.abort()
        return 0
    body = dialect.error_body(error, exchange_id) if dialect is not None else _plain(error, exchange_id)
    headers = [
        (b"content-type", b"application/json"),
        (b"content-length", str(len(body)).encode()),
        (EXCHANGE_ID, exchange_id.encode()),
        *error.headers,
    ]
    try:
        await client.start(error.status, headers)
        await client.write(body)
        await client.end()
    except ClientGone:
        return 0
    return len(body)


async def tell_failure(client: Client, told: bytes | None) -> None:
    """Tell a failure after the answer has begun: in the dialect's own in-stream form where that can follow.

    Where nothing can (None), in the middle of a frame or of a document, the connection is broken, so that the part
    cannot pass for the whole. Raises ClientGone.
    """
    if told is not None:
        await client.write(told)
        await client.end()
    else:
        client.abort()


def _plain(error: HeadgateError, exchange_id: str) -> bytes:
    """The shape for requests that speak no dialect that we know: OpenAI's, which most clients can read."""
    body = {"message": error.message, "type": error.code, "param": error.param, "code": error.code}
    return json.dumps({"error": body, "exchange_id": exchange_id}).encode()
