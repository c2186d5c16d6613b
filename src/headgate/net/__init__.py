"""The only home of HTTP libraries: bytes from and to sockets.

asgi.py              the gateway as an ASGI application: what is mounted, and a Request and a Client under any server
editions.py          what serves requests, replaced as a whole when the settings are read anew
server.py            uvicorn, its graceful stop, and the way to break a connection
http_protocol.py     uvicorn's HTTP protocol, fit for clients that are slow or break HTTP
wire_protocol.py     the short way in, without ASGI: a Request from the parser, one task for its exchange
wire_client.py       the short way back: an answer in HTTP/1.1, straight to its connection
stall.py             an end for connections whose client takes nothing
listener.py          a listener of its own for /metrics
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
