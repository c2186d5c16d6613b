"""Any frames from both ends of a socket: none raises but BadRequest, each turn ends once, and each can be read."""

import json
import sys
from pathlib import Path
from random import Random

sys.path.append(str(Path(__file__).resolve().parent.parent))  # so that it also runs by its path

from fuzz.mutations import main, mutated
from headgate.dialects.conversation import Conversation, SocketDialect, Turn
from headgate.dialects.registry import all_dialects
from headgate.errors import BadRequest

ASKING = (
    b'{"type":"response.create","model":"m","input":"hi","max_output_tokens":9}',
    b'{"type":"response.create","model":"m","stream_id":"a","generate":false}',
    b'{"type":"response.create","event_id":"e","response":{"max_output_tokens":9}}',
    b'{"type":"response.create"}',
    b'{"type":"response.cancel"}',
)
TOLD = (
    b'{"type":"response.created","response":{"id":"r1"}}',
    b'{"type":"response.created","response":{"id":"r2"},"stream_id":"a"}',
    b'{"type":"response.output_text.delta","delta":"hi","response_id":"r1"}',
    b'{"type":"response.completed","response":{"id":"r1","usage":{"input_tokens":1,"output_tokens":2}}}',
    b'{"type":"response.incomplete","response":{"id":"r2","usage":{"input_tokens":1}},"stream_id":"a"}',
    b'{"type":"response.done","response":{"id":"r1","usage":{"input_tokens":1,"output_tokens":2}}}',
    b'{"type":"response.steer.accepted","steer":{"id":"s1","previous_response_id":"r1"}}',
    b'{"type":"error","status":400,"error":{"code":"c","message":"m","event_id":"e"}}',
    b'{"error":{"message":"m"}}',
    b'{"type":"session.updated","session":{"model":"m","audio":{"input":{"transcription":{"model":"w"}}}}}',
    b'{"type":"conversation.item.input_audio_transcription.completed","item_id":"i","usage":{"seconds":1.5}}',
)


def case(random: Random) -> None:
    """Some frames on one socket, most of them mutated."""
    dialect = random.choice([dialect for dialect in all_dialects() if isinstance(dialect, SocketDialect)])
    conversation, ended = dialect.conversation(), set[Turn]()
    for _ in range(random.choice((1, 3, 10, 30))):
        if random.randrange(3):
            heard = conversation.hear(mutated(random.choice(TOLD), random))
            assert heard.turn not in ended
            if heard.ends and heard.turn is not None:
                ended.add(heard.turn)
        else:
            _ask(conversation, mutated(random.choice(ASKING), random))
        assert ended.isdisjoint(conversation.open)
    for turn in (*ended, *conversation.open):
        assert turn.ended == (turn in ended)
        for reading in (turn.so_far(), turn.finish()):
            json.dumps(reading.as_json(), allow_nan=False).encode()


def _ask(conversation: Conversation, frame: bytes) -> None:
    try:
        turn = conversation.ask(frame)
    except BadRequest as error:
        json.loads(conversation.refusal(error, "x", frame))
        return
    if turn is not None:
        json.loads(conversation.refusal(BadRequest("no"), "x", turn))
        conversation.send(turn)


if __name__ == "__main__":
    main(case, __doc__)
