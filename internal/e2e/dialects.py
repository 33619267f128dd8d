"""Drives a running reasond (the built-in model) with the official clients of
Anthropic's and of Ollama's API.

    dialects.py BASE_URL

Whole and streamed answers must be the same, and what OpenAI's dialect gives.
"""

import sys

import anthropic
import ollama
from openai import OpenAI

BASE = sys.argv[1]
QUESTION = [{"role": "user", "content": "How many times does the letter r appear in strawberry?"}]
WEATHER = [{"role": "user", "content": "Tell me the weather in Paris"}]
SCHEMA = {
    "type": "object",
    "properties": {"city": {"type": "string"}},
    "required": ["city"],
}
COUNT = {
    "type": "object",
    "properties": {"count": {"type": "integer"}},
    "required": ["count"],
    "additionalProperties": False,
}
FUNCTION = {"type": "function", "function": {"name": "get_weather", "description": "w", "parameters": SCHEMA}}


def expected():
    """What OpenAI's dialect says: thought, answer, prompt and completion tokens."""
    client = OpenAI(base_url=BASE + "/v1", api_key="none", max_retries=0)
    answer = client.chat.completions.create(model="default", messages=QUESTION, temperature=0)
    message = answer.choices[0].message
    return message.reasoning_content, message.content, answer.usage.prompt_tokens, answer.usage.completion_tokens


def messages_api(thought, text, prompt, tokens):
    client = anthropic.Anthropic(base_url=BASE, api_key="none", max_retries=0)
    common = {"model": "default", "max_tokens": 300, "extra_body": {"temperature": 0}}

    m = client.messages.create(messages=QUESTION, **common)
    assert [b.type for b in m.content] == ["thinking", "text"], m
    assert (m.content[0].thinking, m.content[1].text, m.stop_reason) == (thought, text, "end_turn"), m
    assert "signature" not in m.content[0].model_fields_set, "an empty signature is worse than none"
    assert (m.usage.input_tokens + m.usage.cache_read_input_tokens, m.usage.output_tokens) == (prompt, tokens), m.usage

    with client.messages.stream(messages=QUESTION, thinking={"type": "enabled", "budget_tokens": 1024}, **common) as s:
        kinds = [e.type for e in s]
        final = s.get_final_message()
    assert kinds[0] == "message_start" and kinds[-1] == "message_stop", kinds
    assert (final.content[0].thinking, final.content[1].text) == (thought, text), final

    m = client.messages.create(messages=QUESTION, thinking={"type": "disabled"}, **common)
    assert [b.type for b in m.content] == ["text"], m
    m = client.messages.create(messages=QUESTION, thinking={"type": "enabled", "budget_tokens": 8}, **common)
    assert len(m.content[0].thinking) < len(thought) and m.content[1].text, m
    m = client.messages.create(messages=QUESTION, stop_sequences=["appears"], **common)
    assert (m.stop_reason, m.stop_sequence) == ("stop_sequence", "appears"), m
    m = client.messages.create(messages=QUESTION, model="default", max_tokens=9, extra_body={"temperature": 0})
    assert m.stop_reason == "max_tokens" and m.usage.output_tokens == 9, m

    tools = [{"name": "get_weather", "description": "w", "input_schema": SCHEMA}]
    m = client.messages.create(messages=WEATHER, tools=tools, **common)
    call = m.content[-1]
    assert (m.stop_reason, call.type, call.name, call.input) == ("tool_use", "tool_use", "get_weather", {"city": "Paris"}), m
    with client.messages.stream(messages=WEATHER, tools=tools, tool_choice={"type": "any"}, **common) as s:
        for _ in s:
            pass
        final = s.get_final_message()
    assert (final.content[-1].name, final.content[-1].input, final.stop_reason) == ("get_weather", {"city": "Paris"}, "tool_use"), final
    history = WEATHER + [
        {"role": "assistant", "content": [b.model_dump(exclude_none=True) for b in m.content]},
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": call.id, "content": "21 degrees"}]},
    ]
    m = client.messages.create(messages=history, tools=tools, **common)
    assert "21 degrees" in m.content[-1].text, m
    assert client.messages.count_tokens(model="default", messages=QUESTION).input_tokens == prompt

    for wrong, kind, param in [
        ({"max_tokens": 0}, "invalid_request_error", "max_tokens"),
        ({"messages": []}, "invalid_request_error", "messages"),
        ({"messages": [{"role": "user", "content": [{"type": "image", "source": {}}]}]}, "invalid_request_error", "messages[0].content[0].type"),
        ({"tool_choice": {"type": "sometimes"}}, "invalid_request_error", "tool_choice.type"),
        ({"model": "nobody"}, "not_found_error", "model"),
    ]:
        try:
            client.messages.create(**{**common, "messages": QUESTION, **wrong})
        except anthropic.APIStatusError as e:
            assert (e.body["type"], e.body["error"]["type"], e.body["error"]["param"]) == ("error", kind, param), e.body
        else:
            raise AssertionError(wrong)


def ollama_api(thought, text, prompt, tokens):
    client = ollama.Client(host=BASE)
    common = {"model": "tiny-reasoner", "options": {"temperature": 0}}

    r = client.chat(messages=QUESTION, **common)
    assert (r.message.thinking, r.message.content, r.done_reason) == (thought, text, "stop"), r
    assert (r.prompt_eval_count, r.eval_count) == (prompt, tokens), r
    pieces = list(client.chat(messages=QUESTION, stream=True, think=True, **{**common, "model": "tiny-reasoner:latest"}))
    assert "".join(p.message.thinking or "" for p in pieces) == thought
    assert "".join(p.message.content or "" for p in pieces) == text
    assert [p.done for p in pieces] == [False] * (len(pieces) - 1) + [True]
    r = client.chat(messages=QUESTION, think=False, **common)
    assert r.message.thinking is None and r.message.content, r
    r = client.chat(messages=QUESTION, format=COUNT, **common)
    assert r.message.content == '{"count": 3}', r

    whole = client.chat(messages=WEATHER, tools=[FUNCTION], **common).message
    assert [(c.function.name, c.function.arguments) for c in whole.tool_calls] == [("get_weather", {"city": "Paris"})], whole
    streamed = [p.message.tool_calls for p in client.chat(messages=WEATHER, tools=[FUNCTION], stream=True, **common) if p.message.tool_calls]
    assert streamed == [whole.tool_calls], streamed
    history = WEATHER + [whole.model_dump(exclude_none=True), {"role": "tool", "tool_name": "get_weather", "content": "21 degrees"}]
    assert "21 degrees" in client.chat(messages=history, tools=[FUNCTION], **common).message.content

    r = client.generate(prompt=QUESTION[0]["content"], **common)
    assert (r.thinking, r.response) == (thought, text), r
    r = client.generate(prompt="Hello", raw=True, model="tiny-reasoner", options={"temperature": 0, "num_predict": 5})
    assert r.eval_count == 5 and r.done_reason == "length", r
    assert [m.model for m in client.list().models] == ["tiny-reasoner"]
    assert set(client.show("tiny-reasoner").capabilities) == {"completion", "tools", "thinking"}

    for wrong, status in [
        (lambda: client.chat(model="nobody", messages=QUESTION), 404),
        (lambda: client.chat(model="tiny-reasoner", messages=QUESTION, options={"temperature": 9}), 400),
        (lambda: client.embed(model="tiny-reasoner", input="x"), 400),
    ]:
        try:
            wrong()
        except ollama.ResponseError as e:
            assert e.status_code == status and e.error, e
        else:
            raise AssertionError(status)


want = expected()
messages_api(*want)
ollama_api(*want)
print("both dialects agree")
