"""Drives a running reasond (the built-in model) with OpenAI's client of the
Responses API: whole and streamed, thoughts, tools, structured output, and what is
kept of responses.

    responses.py BASE_URL

Whole and streamed answers must be the same, and what the chat API gives.
"""

import json
import sys

from openai import BadRequestError, NotFoundError, OpenAI
from openai.types.responses import Response
from pydantic import BaseModel

client = OpenAI(base_url=sys.argv[1] + "/v1", api_key="none", max_retries=0, timeout=120)
QUESTION = "How many times does the letter r appear in strawberry?"
WEATHER = "Tell me the weather in Paris"
SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"], "additionalProperties": False}
TOOL = {"type": "function", "name": "get_weather", "description": "w", "parameters": SCHEMA, "strict": True}


class Count(BaseModel):
    count: int


def create(**more):
    return client.responses.create(**{"model": "default", "input": QUESTION, "temperature": 0, **more})


def plain(r):
    """A response without what is its own: ids and times."""
    d = r.to_dict()
    for name in ("id", "created_at", "completed_at"):
        d.pop(name)
    for item in d["output"]:
        item.pop("id")
        item.pop("call_id", None)
    return d


def streamed(**more):
    """The last event's response of a stream, and all events."""
    events = list(create(stream=True, **more))
    assert [e.sequence_number for e in events] == list(range(len(events))), events
    assert [e.type for e in events[:2]] == ["response.created", "response.in_progress"], events
    return events[-1].response, events


def texts():
    chat = client.chat.completions.create(model="default", messages=[{"role": "user", "content": QUESTION}], temperature=0)
    message, usage = chat.choices[0].message, chat.usage
    r = create()
    assert Response.model_validate(r.to_dict(), strict=False), r
    assert [i.type for i in r.output] == ["reasoning", "message"], r
    assert (r.output[0].content[0].text, r.output_text) == (message.reasoning_content, message.content), r
    assert (r.status, r.error, r.incomplete_details, r.model) == ("completed", None, None, "tiny-reasoner"), r
    got = (r.usage.input_tokens, r.usage.output_tokens, r.usage.output_tokens_details.reasoning_tokens)
    assert got == (usage.prompt_tokens, usage.completion_tokens, usage.completion_tokens_details.reasoning_tokens), r.usage
    last, events = streamed()
    a, b = plain(last), plain(r)
    for d in (a, b):
        d["usage"].pop("input_tokens_details")
    assert a == b, (a, b)
    joined = {kind: "".join(e.delta for e in events if e.type == f"response.{kind}.delta") for kind in ("reasoning_text", "output_text")}
    assert joined == {"reasoning_text": message.reasoning_content, "output_text": message.content}, joined
    with client.responses.stream(model="default", input=QUESTION, temperature=0) as s:
        for _ in s:
            pass
        assert s.get_final_response().output_text == message.content
    short = create(max_output_tokens=5)
    assert (short.status, short.incomplete_details.reason) == ("incomplete", "max_output_tokens"), short
    assert [(i.type, i.status) for i in short.output] == [("reasoning", "incomplete")], short
    straight = create(reasoning={"effort": "none", "summary": "auto"})
    assert [i.type for i in straight.output] == ["message"] and straight.reasoning.effort == "none", straight
    parts = [{"role": "user", "content": [{"type": "input_text", "text": QUESTION}]}]
    assert create(input=parts).output_text == message.content
    probs = create(include=["message.output_text.logprobs"], top_logprobs=2).output[1].content[0]
    assert "".join(t.token for t in probs.logprobs) == probs.text and len(probs.logprobs[0].top_logprobs) == 2, probs
    budget = create(extra_body={"thinking_token_budget": 8})
    assert budget.usage.output_tokens_details.reasoning_tokens < got[2] and budget.output_text, budget


def tools():
    r = create(input=WEATHER, tools=[TOOL])
    last, events = streamed(input=WEATHER, tools=[TOOL])
    calls = [i for i in r.output if i.type == "function_call"]
    assert len(calls) == 1 and calls[0].name == "get_weather" and json.loads(calls[0].arguments)["city"] == "Paris", r
    assert [i.to_dict().get("arguments") for i in last.output] == [i.to_dict().get("arguments") for i in r.output], last
    pieces = "".join(e.delta for e in events if e.type == "response.function_call_arguments.delta")
    assert pieces == calls[0].arguments, (pieces, calls)
    with client.responses.stream(model="default", input=WEATHER, temperature=0, tools=[TOOL]) as s:
        done = [e for e in s if e.type == "response.output_item.done" and e.item.type == "function_call"]
        assert done[0].item.call_id == s.get_final_response().output[-1].call_id
    result = {"type": "function_call_output", "call_id": calls[0].call_id, "output": "18 degrees and sunny"}
    # The result goes back with all items, with references to them, or to the response that asked.
    by_items = create(input=[{"role": "user", "content": WEATHER}, *r.output, result], tools=[TOOL])
    references = [{"type": "item_reference", "id": i.id} for i in r.output]
    by_reference = create(input=[{"role": "user", "content": WEATHER}, *references, result], tools=[TOOL])
    by_id = create(input=[result], previous_response_id=r.id, tools=[TOOL])
    for answer in (by_items, by_reference, by_id):
        assert answer.usage.input_tokens == by_items.usage.input_tokens and answer.output_text == by_items.output_text, answer
    assert by_id.output_text and by_id.previous_response_id == r.id, by_id
    for choice in ("required", {"type": "function", "name": "get_weather"}):
        forced = create(tools=[TOOL], tool_choice=choice, max_output_tokens=400)
        assert [i.type for i in forced.output].count("function_call") >= 1, forced
        json.loads(forced.output[-1].arguments)
    assert not [i for i in create(input=WEATHER, tools=[TOOL], tool_choice="none").output if i.type == "function_call"]


def structured():
    r = client.responses.parse(model="default", input=QUESTION, temperature=0, text_format=Count)
    assert isinstance(r.output_parsed, Count) and r.output[0].type == "reasoning", r
    with client.responses.stream(model="default", input=QUESTION, temperature=0, text_format=Count) as s:
        for _ in s:
            pass
        assert s.get_final_response().output_parsed == r.output_parsed
    json.loads(create(text={"format": {"type": "json_object"}}, max_output_tokens=300).output_text)


def kept():
    r = create(instructions="Be brief.", metadata={"a": "b"})
    got = client.responses.retrieve(r.id)
    assert got.to_dict() == r.to_dict(), (got, r)
    items = client.responses.input_items.list(r.id)
    assert [i.content[0].text for i in items] == [QUESTION], items
    chain = create(input="And in raspberry?", previous_response_id=r.id)
    again = create(input=[{"role": "user", "content": QUESTION}, *r.output, {"role": "user", "content": "And in raspberry?"}])
    assert (chain.output_text, chain.usage.input_tokens) == (again.output_text, again.usage.input_tokens), (chain, again)
    client.responses.delete(r.id)
    for gone in (lambda: client.responses.retrieve(r.id), lambda: create(previous_response_id=r.id), lambda: client.responses.delete(r.id)):
        refused(NotFoundError, gone)
    unkept = create(store=False)
    refused(NotFoundError, lambda: client.responses.retrieve(unkept.id))
    refused(BadRequestError, lambda: client.responses.cancel(chain.id))
    for name, value in (("background", True), ("conversation", "conv_1"), ("prompt", {"id": "p"})):
        assert refused(BadRequestError, lambda: create(**{name: value})).param == name
    assert refused(BadRequestError, lambda: create(tools=[{"type": "web_search"}])).param == "tools[0].type"
    with create(input=QUESTION, stream=True) as stream:
        created = next(iter(stream))
        ended = client.responses.cancel(created.response.id)
        assert ended.status in ("cancelled", "completed"), ended
        rest = list(stream)
        assert rest[-1].response.to_dict() == ended.to_dict() == client.responses.retrieve(ended.id).to_dict(), rest[-1]


def refused(kind, ask):
    try:
        ask()
    except kind as e:
        return e
    raise AssertionError(f"no {kind.__name__}")


for check in (texts, tools, structured, kept):
    check()
