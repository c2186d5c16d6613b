"""A GGUF model of about 100 KB with random weights: enough for a real inference server to answer, count and stream.

Llama's architecture, one layer, a byte-level vocabulary. What it writes is nonsense made of letters; what matters is
that the server, which nobody here wrote, tokenises, generates and reports usage as it does with any model.
"""

import argparse
from pathlib import Path

import gguf
import numpy as np

WIDTH, HIDDEN, HEADS, CONTEXT = 32, 64, 2, 2048

CHAT_TEMPLATE = (
    "{% for message in messages %}<|{{ message['role'] }}|>{{ message['content'] }}\n{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>{% endif %}"
)


def byte_alphabet() -> list[str]:
    """A printable character for each byte, as GPT-2's byte-level vocabularies have it."""
    plain = {*range(ord("!"), ord("~") + 1), *range(0xA1, 0xAD), *range(0xAE, 0x100)}
    others = iter(range(0x100, 0x200))
    return [chr(byte if byte in plain else next(others)) for byte in range(256)]


def vocabulary() -> tuple[list[str], list[int]]:
    """Tokens and their types: 256 bytes, one merged pair (the loader refuses a vocabulary without merges), an end."""
    tokens = [*byte_alphabet(), "th", "<|end|>"]
    types = [gguf.TokenType.NORMAL] * 257 + [gguf.TokenType.CONTROL]
    return tokens, [int(kind) for kind in types]


def output_weights(random: np.random.Generator, tokens: list[str]) -> np.ndarray:
    """Rows for letters are large, all others are zero: the model writes letters, never half a UTF-8 sequence."""
    weights = np.zeros((len(tokens), WIDTH), dtype=np.float32)
    letters = [index for index, token in enumerate(tokens) if token.isascii() and token.isalpha()]
    weights[letters] = random.normal(0, 3, (len(letters), WIDTH))
    return weights


def write_model(path: Path) -> None:
    """Write the model; the same bytes each time."""
    random = np.random.default_rng(20261120)
    tokens, types = vocabulary()

    def matrix(rows: int, columns: int) -> np.ndarray:
        return random.normal(0, 0.1, (rows, columns)).astype(np.float32)

    writer = gguf.GGUFWriter(path, "llama")
    writer.add_name("tiny")
    writer.add_context_length(CONTEXT)
    writer.add_embedding_length(WIDTH)
    writer.add_block_count(1)
    writer.add_feed_forward_length(HIDDEN)
    writer.add_head_count(HEADS)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_rope_dimension_count(WIDTH // HEADS)
    writer.add_vocab_size(len(tokens))
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("gpt-2")
    writer.add_token_list(tokens)
    writer.add_token_types(types)
    writer.add_token_merges(["t h"])
    writer.add_eos_token_id(len(tokens) - 1)
    writer.add_chat_template(CHAT_TEMPLATE)
    ones = np.ones(WIDTH, dtype=np.float32)
    writer.add_tensor("token_embd.weight", random.normal(0, 1, (len(tokens), WIDTH)).astype(np.float32))
    writer.add_tensor("output_norm.weight", ones)
    writer.add_tensor("output.weight", output_weights(random, tokens))
    writer.add_tensor("blk.0.attn_norm.weight", ones)
    writer.add_tensor("blk.0.ffn_norm.weight", ones)
    for name in ("attn_q", "attn_k", "attn_v", "attn_output"):
        writer.add_tensor(f"blk.0.{name}.weight", matrix(WIDTH, WIDTH))
    writer.add_tensor("blk.0.ffn_gate.weight", matrix(HIDDEN, WIDTH))
    writer.add_tensor("blk.0.ffn_up.weight", matrix(HIDDEN, WIDTH))
    writer.add_tensor("blk.0.ffn_down.weight", matrix(WIDTH, HIDDEN))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("path", type=Path)
    write_model(parser.parse_args().path)
