"""Drives a running reasond (the built-in model) with the official clients of
Anthropic's and of Ollama's API.

    dialects.py BASE_URL
    dialects.py BASE_URL scripted

Whole and streamed answers must be the same, and what OpenAI's dialect gives.
Scripted is a server whose model "calls" calls two tools and whose model "breaks"
fails in the middle of its answer.
"""

import json
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


def shown(m):
    """The texts of a message's blocks; those of a stream have types of their own."""
    return [(b.type, getattr(b, "thinking", None) or b.text) for b in m.content], m.stop_reason


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

    # The answer by a schema, behind a free thought; budgets; what max_tokens leaves.
    for how in ({"output_config": {"format": {"type": "json_schema", "schema": COUNT}}}, {"output_format": {"type": "json_schema", "schema": COUNT}}):
        asked = {**common, "extra_body": {"temperature": 0, **how}}
        m = client.messages.create(messages=QUESTION, **asked)
        assert (m.content[0].thinking, m.content[1].text, m.stop_reason) == (thought, '{"count": 3}', "end_turn"), m
        with client.messages.stream(messages=QUESTION, **asked) as s:
            assert shown(s.get_final_message()) == shown(m), m
    limited = {"thinking": {"type": "enabled", "budget_tokens": 5}, "stop_sequences": ["zzz"], **common}
    m = client.messages.create(messages=QUESTION, **limited)
    with client.messages.stream(messages=QUESTION, **limited) as s:
        assert shown(s.get_final_message()) == shown(m), m
    m = client.messages.create(model="default", messages=QUESTION, max_tokens=24, extra_body={"temperature": 0, "reserve_answer_tokens": 12})
    assert [b.type for b in m.content] == ["thinking", "text"] and m.content[1].text, m
    with client.messages.stream(messages=QUESTION, stop_sequences=["appears"], **common) as s:
        final = s.get_final_message()
    assert (final.stop_reason, final.stop_sequence) == ("stop_sequence", "appears"), final

    tools = [{"name": "get_weather", "description": "w", "input_schema": SCHEMA}]
    m = client.messages.create(messages=QUESTION, tools=tools, tool_choice={"type": "tool", "name": "get_weather", "disable_parallel_tool_use": True}, **common)
    assert [b.type for b in m.content] == ["thinking", "tool_use"] and set(m.content[1].input) == {"city"}, m
    m = client.messages.create(messages=WEATHER, tools=tools, tool_choice={"type": "none"}, **common)
    assert "tool_use" not in [b.type for b in m.content], m
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
        ({"thinking": {"type": "enabled", "budget_tokens": -5}}, "invalid_request_error", "thinking.budget_tokens"),
        ({"stop_sequences": [""]}, "invalid_request_error", "stop_sequences"),
        ({"tools": [{"input_schema": {}}]}, "invalid_request_error", "tools[0].name"),
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
    pieces = list(client.chat(messages=QUESTION, format=COUNT, stream=True, **common))
    assert "".join(p.message.content or "" for p in pieces) == '{"count": 3}' and "".join(p.message.thinking or "" for p in pieces) == thought, pieces
    r = client.chat(messages=QUESTION, model="tiny-reasoner", options={"temperature": 0, "stop": ["appears"]})
    assert r.message.content and text.startswith(r.message.content) and "appears" not in r.message.content and r.done_reason == "stop", r
    r = client.chat(messages=QUESTION, model="tiny-reasoner", options={"temperature": 0, "num_predict": 9})
    assert (r.eval_count, r.done_reason, r.message.thinking) == (9, "length", thought[:len(r.message.thinking)]), r
    r = client.generate(prompt=QUESTION[0]["content"], format=COUNT, think=False, **common)
    assert r.thinking is None and set(json.loads(r.response)) == {"count"}, r

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


def scripted_messages():
    client = anthropic.Anthropic(base_url=BASE, api_key="none", max_retries=0)
    asked = {"model": "calls", "max_tokens": 300, "messages": WEATHER, "tools": [{"name": "get_weather", "input_schema": SCHEMA}]}
    with client.messages.stream(**asked) as s:
        streamed = s.get_final_message()
    for m in (client.messages.create(**asked), streamed):
        assert [(b.type, getattr(b, "input", None)) for b in m.content[-2:]] == [("tool_use", {"city": "Paris"}), ("tool_use", {"city": "Rome"})], m
        assert m.content[-1].id != m.content[-2].id and m.stop_reason == "tool_use", m
    m = client.messages.create(tool_choice={"type": "auto", "disable_parallel_tool_use": True}, **asked)
    assert [b.input for b in m.content if b.type == "tool_use"] == [{"city": "Paris"}], m

    asked["model"] = "breaks"
    came = []
    for way in (lambda: client.messages.create(**asked), lambda: came.extend(client.messages.create(stream=True, **asked))):
        try:
            way()
        except anthropic.APIStatusError as e:
            assert (e.body["type"], e.body["error"]["type"]) == ("error", "api_error"), e.body
            assert "secret" not in str(e.body), e.body
        else:
            raise AssertionError("a broken answer looks whole")
    assert [e.type for e in came[:2]] == ["message_start", "content_block_start"] and came[-1].type == "content_block_delta", came


def scripted_ollama():
    client = ollama.Client(host=BASE)
    asked = {"model": "calls", "messages": WEATHER, "tools": [FUNCTION]}
    want = [("get_weather", {"city": "Paris"}), ("get_weather", {"city": "Rome"})]
    whole = client.chat(**asked).message.tool_calls
    streamed = [c for p in client.chat(stream=True, **asked) for c in p.message.tool_calls or []]
    for calls in (whole, streamed):
        assert [(c.function.name, c.function.arguments) for c in calls] == want, calls

    asked["model"] = "breaks"
    came = []
    for way in (lambda: client.chat(**asked), lambda: came.extend(client.chat(stream=True, **asked))):
        try:
            way()
        except ollama.ResponseError as e:
            assert e.error and "secret" not in e.error, e
        else:
            raise AssertionError("a broken answer looks whole")
    assert came and not came[-1].done, came


if sys.argv[2:] == ["scripted"]:
    scripted_messages()
    scripted_ollama()
else:
    want = expected()
    messages_api(*want)
    ollama_api(*want)
