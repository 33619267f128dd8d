"""Drives a running reasond (the built-in model) with OpenAI's client:
log-probabilities of the content, the reasoning, completions and prompts.

    logprobs.py BASE_URL

Tokens must add up to the text that they are of, whole and streamed; the
log-probabilities of a prompt must be those that its own tokens had when they were
generated. Prints what is wrong and exits with 1.
"""

import json
import sys
import urllib.request

from openai import BadRequestError, OpenAI

BASE = sys.argv[1] + "/v1"
client = OpenAI(base_url=BASE, api_key="none", max_retries=0, timeout=60)
QUESTION = [{"role": "user", "content": "How many times does the letter r appear in strawberry?"}]
PROMPT = "<|im_start|>user\nStrawberries, höre 🍓?<|im_end|>\n<|im_start|>assistant\n"


def joined(tokens):
    """The text of a chat's tokens."""
    return b"".join(bytes(t["bytes"]) for t in tokens).decode()


def unescaped(tokens):
    """The text of a completion's tokens: bytes of a character are bytes:\\xe6."""
    out = b""
    for t in tokens:
        out += bytes.fromhex(t[len("bytes:"):].replace("\\x", "")) if t.startswith("bytes:\\x") else t.encode()
    return out.decode()


def chats():
    extra = {"reasoning_logprobs": True, "return_token_ids": True}
    request = {"model": "default", "messages": QUESTION, "temperature": 0, "logprobs": True, "top_logprobs": 2}
    for more in {}, {"stop": ["answer", "."]}, {"stop": ["3"]}, {"max_tokens": 30}:
        whole = client.chat.completions.create(extra_body={**extra, "prompt_logprobs": 1}, **request, **more)
        choice = whole.choices[0]
        said = [t.model_dump() for t in choice.logprobs.content] if choice.logprobs else []
        thought = choice.reasoning_logprobs["content"]
        assert joined(said) == (choice.message.content or ""), (said, choice.message.content)
        assert joined(thought) == choice.message.reasoning_content, (thought, choice.message.reasoning_content)
        assert all(len(t["top_logprobs"]) == 2 and t["logprob"] <= 0 for t in said + thought)
        assert len(choice.token_ids) == whole.usage.completion_tokens
        assert len(whole.prompt_token_ids) == len(whole.prompt_logprobs) == whole.usage.prompt_tokens
        assert whole.prompt_logprobs[0] is None
        for token, scored in zip(whole.prompt_token_ids[1:], whole.prompt_logprobs[1:]):
            own = scored[str(token)]
            assert len(scored) == (1 if own["rank"] == 1 else 2) and own["logprob"] <= 0, scored

        got = {"said": [], "thought": [], "ids": [], "prompt": None, "content": "", "reasoning": ""}
        for chunk in client.chat.completions.create(extra_body=extra, stream=True, **request, **more):
            got["prompt"] = getattr(chunk, "prompt_token_ids", got["prompt"])
            for c in chunk.choices:
                got["said"] += [t.model_dump() for t in c.logprobs.content] if c.logprobs else []
                got["thought"] += (getattr(c, "reasoning_logprobs", None) or {"content": []})["content"]
                got["ids"] += getattr(c, "token_ids", None) or []
                got["content"] += c.delta.content or ""
                got["reasoning"] += getattr(c.delta, "reasoning_content", None) or ""
        assert got == {"said": said, "thought": thought, "ids": choice.token_ids, "prompt": whole.prompt_token_ids,
                       "content": choice.message.content or "", "reasoning": choice.message.reasoning_content}, got


def texts():
    request = {"model": "default", "prompt": PROMPT, "max_tokens": 40, "temperature": 0, "logprobs": 3}
    for more in {}, {"stop": ["r", "e t"]}, {"n": 2}:
        for echo in False, True:
            extra = {"return_token_ids": True}
            whole = client.completions.create(echo=echo, extra_body={**extra, "prompt_logprobs": 0}, **request, **more)
            streamed = [{"text": "", "tokens": [], "offsets": [], "logprobs": [], "top": [], "ids": []} for _ in whole.choices]
            for chunk in client.completions.create(echo=echo, stream=True, extra_body=extra, **request, **more):
                for c in chunk.choices:
                    add(streamed[c.index], c)
            for c in whole.choices:
                one = {"text": "", "tokens": [], "offsets": [], "logprobs": [], "top": [], "ids": []}
                add(one, c)
                assert one == streamed[c.index], (one, streamed[c.index])
                assert unescaped(one["tokens"]) == c.text and c.text.startswith(PROMPT) == echo, one
                at = 0
                for token, offset in zip(one["tokens"], one["offsets"]):
                    if not token.startswith("bytes:"):
                        assert c.text[offset:offset + len(token)] == token, (token, offset, c.text)
                    assert offset >= at
                    at = offset
                for i, (token, own, top) in enumerate(zip(one["tokens"], one["logprobs"], one["top"])):
                    if echo and i == 0:
                        assert own is None and top is None
                    else:
                        assert own <= 0 and token in top and 3 <= len(top) <= 4, (token, own, top)
                assert len(c.prompt_logprobs) == len(c.prompt_token_ids)
                if echo:
                    for own, token, scored in zip(one["logprobs"][1:], c.prompt_token_ids[1:], c.prompt_logprobs[1:]):
                        assert own == scored[str(token)]["logprob"]


def add(to, choice):
    """What a choice, whole or in a stream, adds."""
    to["text"] += choice.text
    to["ids"] += getattr(choice, "token_ids", None) or []
    if choice.logprobs:
        to["tokens"] += choice.logprobs.tokens
        to["offsets"] += choice.logprobs.text_offset
        to["logprobs"] += choice.logprobs.token_logprobs
        to["top"] += choice.logprobs.top_logprobs


def prompts():
    """A prompt of what was generated has the log-probabilities of its generation."""
    first = client.completions.create(model="default", prompt=PROMPT, max_tokens=50, temperature=0, logprobs=0,
                                      extra_body={"return_token_ids": True, "skip_special_tokens": False}).choices[0]
    ids = first.prompt_token_ids + first.token_ids
    again = client.completions.create(model="default", prompt=ids, max_tokens=1, temperature=0,
                                      extra_body={"prompt_logprobs": 0}).choices[0]
    scored = [s[str(i)] for i, s in zip(ids[1:], again.prompt_logprobs[1:])][len(first.prompt_token_ids) - 1:]
    assert len(first.logprobs.tokens) > 20
    for s, own in zip(scored, first.logprobs.token_logprobs):
        assert abs(s["logprob"] - own) < 1e-3 and s["rank"] == 1, (s, own)


def generate():
    """SGLang's endpoint says the same."""
    sampling = {"temperature": 0, "max_new_tokens": 30, "skip_special_tokens": False}
    body = {"text": PROMPT, "sampling_params": sampling, "return_logprob": True, "logprob_start_len": 2, "top_logprobs_num": 2,
            "return_text_in_logprobs": True}
    answers = []
    for stream in False, True:
        request = urllib.request.Request(sys.argv[1] + "/generate", json.dumps({**body, "stream": stream}).encode(),
                                         {"content-type": "application/json"})
        with urllib.request.urlopen(request) as r:
            text = r.read().decode()
        answers.append(json.loads(text.split("data: ")[-2] if stream else text))
    whole, last = answers
    for a in answers:
        del a["meta_info"]["id"]
        a["meta_info"].pop("cached_tokens")
    assert whole == last, (whole, last)
    meta = whole["meta_info"]
    ids = client.completions.create(model="default", prompt=PROMPT, max_tokens=30, temperature=0, logprobs=2,
                                    extra_body={"return_token_ids": True, "skip_special_tokens": False, "prompt_logprobs": 0}).choices[0]
    assert whole["output_ids"] == ids.token_ids and len(ids.token_ids) == meta["completion_tokens"]
    shown = meta["output_token_logprobs"]
    assert [(p, t) for p, _, t in shown] == list(zip(ids.logprobs.token_logprobs, ids.logprobs.tokens)), shown
    assert [i for _, i, _ in shown] == ids.token_ids[:len(shown)]
    assert [(p, i) for p, i, _ in meta["input_token_logprobs"]] == [
        (s[str(i)]["logprob"], i) for i, s in zip(ids.prompt_token_ids[2:], ids.prompt_logprobs[2:])]
    assert all(len(top) == 2 for top in meta["input_top_logprobs"] + meta["output_top_logprobs"])


def refusals():
    for where, wrong in [
        ("reasoning_logprobs", {"extra_body": {"reasoning_logprobs": True}}),
        ("prompt_logprobs", {"extra_body": {"prompt_logprobs": 1}, "stream": True}),
        ("prompt_logprobs", {"extra_body": {"prompt_logprobs": 21}}),
    ]:
        try:
            client.chat.completions.create(model="default", messages=QUESTION, **wrong)
        except BadRequestError as e:
            assert e.param == where, (e.param, wrong)
        else:
            raise AssertionError(f"{wrong} is accepted")


chats()
texts()
prompts()
generate()
refusals()
