"""Asks a running reasond for the goldens of every reasoning parser with OpenAI's
client.

    parsers.py BASE_URL <CASES.json

Each case is asked for in five ways: whole, streamed, streamed with
stream_reasoning=false, and whole and streamed with separate_reasoning=false.
Reasoning, content, calls and finish must be the case's, byte for byte, and each stream
must keep the contract of chunks. Prints what differs and exits with 1.
"""

import json
import sys
from concurrent.futures import ThreadPoolExecutor

from openai import OpenAI


def thought(message):
    """The reasoning of a message or delta, None without."""
    got = getattr(message, "reasoning_content", None)
    assert got == getattr(message, "reasoning", None), "two names, two texts"
    return got


def ask(client, case, **further):
    extra = {k: v for k, v in case["request"].items() if k == "chat_template_kwargs"}
    named = {k: v for k, v in case["request"].items() if k != "chat_template_kwargs"}
    extra.update(further.pop("extra", {}))
    messages = [{"role": "user", "content": case["ask"]}]
    return client.chat.completions.create(model=case["model"], messages=messages, extra_body=extra, **named, **further)


def meaning(arguments):
    """What a call's arguments say; a call that was cut off has them as they are."""
    try:
        return json.loads(arguments)
    except ValueError:
        return arguments


def called(got):
    return [{"name": c["name"], "arguments": meaning(c["arguments"])} for c in got]


def whole(client, case, **extra):
    answer = ask(client, case, extra=extra)
    (choice,) = answer.choices
    assert choice.message.role == "assistant"
    # One event of the upstream is one token, and one character.
    counted = answer.usage.completion_tokens_details.reasoning_tokens
    assert counted == len(case["reasoning"]), f"{counted} tokens of reasoning"
    return {
        "reasoning": thought(choice.message) or "",
        "content": choice.message.content or "",
        "calls": called([c.function.model_dump() for c in choice.message.tool_calls or []]),
        "finish": choice.finish_reason,
        "tokens": answer.usage.completion_tokens,
    }


def streamed(client, case, **extra):
    got = {"reasoning": "", "content": "", "calls": [], "finish": None}
    kinds = []  # of each delta with text
    first = True
    for chunk in ask(client, case, extra=extra, stream=True, stream_options={"include_usage": True}):
        if chunk.usage:
            assert got["finish"] and not chunk.choices, "usage comes last, alone"
            assert "tokens" not in got, "usage twice"
            got["tokens"] = chunk.usage.completion_tokens
            continue
        assert "tokens" not in got, "a chunk after the usage"
        assert got["finish"] is None, "a delta after the finish"
        (choice,) = chunk.choices
        delta, reasoning = choice.delta, thought(choice.delta)
        assert (delta.role == "assistant") == first, "the role comes first, once"
        assert reasoning is None or delta.content is None, "reasoning and content in one delta"
        assert reasoning != "" and delta.content != "", "an empty string"
        assert not (first or choice.finish_reason) or reasoning is delta.content, "role and finish come alone"
        first = False
        if reasoning is not None:
            got["reasoning"] += reasoning
            kinds.append("reasoning")
        if delta.content is not None:
            got["content"] += delta.content
            kinds.append("content")
        for piece in delta.tool_calls or []:
            assert reasoning is delta.content, "a call comes alone"  # both None
            if piece.index == len(got["calls"]):
                assert piece.id and piece.type == "function", "a call begins with its id"
                got["calls"].append({"name": piece.function.name, "arguments": ""})
            got["calls"][piece.index]["arguments"] += piece.function.arguments
        got["finish"] = choice.finish_reason
    got["calls"] = called(got["calls"])
    if not case["blocks"]:
        assert kinds == sorted(kinds, reverse=True), "reasoning after content"
    return got, kinds


def check(client, case):
    """What is wrong with a case, as lines."""
    apart = {k: case[k] for k in ("reasoning", "content", "calls", "finish", "tokens")}
    apart["calls"] = called(apart["calls"] or [])
    inline = {**apart, "reasoning": "", "content": case["raw"], "calls": []}
    if case["calls"]:
        inline["finish"] = "stop"
    wrong = []

    def same(how, want, got):
        if got != want:
            wrong.append(f"{case['ask']}, {how}:\n raw {case['raw']!r}\n got {got!r}\nwant {want!r}")

    def one(how, want, way, **extra):
        try:
            got = way(client, case, **extra)
            kinds = []
            if way is streamed:
                got, kinds = got
            same(how, want, got)
            return kinds
        except Exception as e:
            wrong.append(f"{case['ask']}, {how}: {type(e).__name__}: {e}")
            return []

    one("whole", apart, whole)
    one("streamed", apart, streamed)
    kinds = one("streamed, stream_reasoning=false", apart, streamed, stream_reasoning=False)
    if case["blocks"]:
        twice = [1 for a, b in zip(kinds, kinds[1:]) if a == b == "reasoning"]
        same("blocks of reasoning in more than one chunk", 0, len(twice))
    else:
        same("chunks of reasoning", 1 if case["reasoning"] else 0, kinds.count("reasoning"))
    one("whole, separate_reasoning=false", inline, whole, separate_reasoning=False)
    one("streamed, separate_reasoning=false", inline, streamed, separate_reasoning=False)
    return wrong


def main():
    (base,) = sys.argv[1:]
    cases = json.load(sys.stdin)
    client = OpenAI(base_url=base, api_key="none", max_retries=0, timeout=60)
    with ThreadPoolExecutor(8) as pool:
        wrong = [line for lines in pool.map(lambda case: check(client, case), cases) for line in lines]
    for line in wrong:
        print(line)
    if wrong:
        sys.exit(1)
    print(f"{len(cases)} cases, {5 * len(cases)} answers, all equal")


main()
