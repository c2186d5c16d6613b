"""The only home of HTTP libraries: bytes from and to sockets.

asgi.py              the way in: an ASGI application; a Request and a Client for each exchange
server.py            uvicorn, with HTTP/1.1 trailers
client.py            the way out: HttpUpstream opens calls; HttpCall is one, with its time limits
client_request.py    a request's head as bytes, or refused
client_response.py   a response as it is read: bytes in, the head and chunks of the body out; no I/O
connection.py        one connection that carries one request at a time, with backpressure both ways
connection_dial.py   a new connection: name, addresses, TLS
pool.py              the connections being dialled, and the idle ones by origin
"""
