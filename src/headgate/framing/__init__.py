"""Bytes in, frames out. No JSON meaning, no I/O, and every buffer bounded.

    base.py         Frame, the Framing protocol, the one bound
    sse.py          server-sent events: raw blocks, and the (event, data) inside one
    eventstream.py  AWS event streams: binary messages under two checksums, and the making of one
    ndjson.py       one JSON text a line
    json_array.py   a JSON array that is sent element by element
    document.py     a whole body as one frame
    opaque.py       a body in which nothing can be read
    inflate.py      content-encodings undone: beside the relay for the meter, whole for a request's body

A framing watches a relay: it may lose a frame that is over the bound (and says so), never a byte of the relay's, and it
finds the next frame again, unless corrupt lengths leave nothing to find it by (and says that too).
"""
