"""The only home of HTTP libraries: bytes from and to sockets.

asgi.py              the way in: an ASGI application; a Request and a Client for each exchange
server.py            uvicorn, its graceful stop, and the way to break a connection
websocket_server.py  the client's end of a WebSocket, over ASGI
websocket_protocol.py uvicorn's WebSockets, fit for clients that are slow, break the protocol, or leave
websocket_client.py  the provider's end of a WebSocket
websocket_codes.py   the close codes and reasons that can be sent
client.py            the way out: HttpUpstream opens calls; HttpCall is one, with its time limits
client_request.py    a request's head as bytes, or refused
client_response.py   a response as it is read: bytes in, the head and chunks of the body out; no I/O
connection.py        one connection that carries one request at a time, with backpressure both ways
connection_dial.py   a new connection: name, addresses, TLS
pool.py              the connections being dialled, and the idle ones by origin
tokens.py            the short-lived tokens that some deployments are called with
aws_chain.py         the credential chain, for deployments that name a profile
rs256.py             the signatures that some of these cost
"""
