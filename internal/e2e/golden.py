"""Asks a running reasond every case of a golden file with OpenAI's client.

    golden.py BASE_URL GOLDEN.json SEED

Each case is asked alone, alone as a stream, and then all of them in random
order, 16 at once, half of them as streams. Reasoning and content must equal the
golden's text split at its think tags, byte for byte, and its tool calls theirs. Prints what differs and
exits with 1.
"""

import json
import random
import sys
from concurrent.futures import ThreadPoolExecutor

from openai import OpenAI

END = "<|im_end|>"


def split(case):
    """The golden's reasoning (None without a thought), content and tool calls."""
    reasoning, content = None, case["output_text"].removesuffix(END)
    if content.startswith("<think>"):
        reasoning, closed, content = content.removeprefix("<think>").partition("</think>")
        assert closed, case["name"]
    if "<tool_call>" not in content:
        return reasoning, content, []
    before, _, call = content.partition("<tool_call>")
    assert before.strip() == "", case["name"]
    call = json.loads(call.removesuffix("</tool_call>"))
    return reasoning, None, [(call["name"], call["arguments"])]


def read(calls):
    """Names and arguments of whole tool calls."""
    assert all(c.id.startswith("call_") and c.type == "function" for c in calls), calls
    return [(c.function.name, json.loads(c.function.arguments)) for c in calls]


def request(case):
    kwargs = dict(case["kwargs"])
    asked = {
        "model": "default",
        "messages": case["messages"],
        "temperature": 0,
        "extra_body": {"separate_reasoning": True},
    }
    if "tools" in kwargs:
        asked["tools"] = kwargs.pop("tools")
    if kwargs:
        asked["extra_body"]["chat_template_kwargs"] = kwargs
    return asked


def whole(client, case):
    answer = client.chat.completions.create(**request(case))
    choice = answer.choices[0]
    assert choice.message.reasoning == choice.message.reasoning_content, "two names, two texts"
    return {
        "reasoning": choice.message.reasoning_content,
        "content": choice.message.content,
        "calls": read(choice.message.tool_calls or []),
        "finish": choice.finish_reason,
        "prompt": answer.usage.prompt_tokens,
        "tokens": answer.usage.completion_tokens,
    }


def streamed(client, case):
    got = {"reasoning": None, "content": None, "calls": [], "finish": None}
    calls = []
    stream = client.chat.completions.create(**request(case), stream=True, stream_options={"include_usage": True})
    for chunk in stream:
        if chunk.usage:
            got["prompt"] = chunk.usage.prompt_tokens
            got["tokens"] = chunk.usage.completion_tokens
        for choice in chunk.choices:
            assert got["finish"] is None, "a delta after the finish"
            reasoning = getattr(choice.delta, "reasoning_content", None)
            if reasoning is not None:
                assert got["content"] is None, "reasoning after content"
                got["reasoning"] = (got["reasoning"] or "") + reasoning
            if choice.delta.content is not None:
                got["content"] = (got["content"] or "") + choice.delta.content
            for piece in choice.delta.tool_calls or []:
                if piece.id:
                    assert piece.index == len(calls) and piece.type == "function", piece
                    calls.append([piece.function.name, ""])
                calls[piece.index][1] += piece.function.arguments or ""
            got["finish"] = choice.finish_reason
    got["calls"] = [(name, json.loads(arguments)) for name, arguments in calls]
    return got


def main():
    base, path, seed = sys.argv[1:]
    with open(path, encoding="utf-8") as f:
        cases = json.load(f)["cases"]
    client = OpenAI(base_url=base, api_key="none", max_retries=0, timeout=120)
    wrong = 0

    def check(how, case, got):
        nonlocal wrong
        reasoning, content, calls = split(case)
        want = {
            "reasoning": reasoning,
            "content": content,
            "calls": calls,
            "finish": "tool_calls" if calls else "stop",
            "prompt": len(case["prompt_ids"]),
            "tokens": len(case["output_ids"]),
        }
        if got != want:
            wrong += 1
            print(f"{case['name']}, {how}:\n got {got!r}\nwant {want!r}")

    for case in cases:
        check("alone", case, whole(client, case))
        check("alone, streamed", case, streamed(client, case))

    crowd = [(how, case) for case in cases for how in (whole, streamed)]
    random.Random(int(seed)).shuffle(crowd)
    with ThreadPoolExecutor(16) as pool:
        answers = pool.map(lambda one: one[0](client, one[1]), crowd)
        for (how, case), got in zip(crowd, answers):
            check(f"one of 16, {how.__name__}, seed {seed}", case, got)
    if wrong:
        sys.exit(1)
    print(f"{len(cases)} cases, {4 * len(cases)} answers, all equal")


main()
