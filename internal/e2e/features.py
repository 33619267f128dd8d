"""Drives a running reasond (the built-in model) with OpenAI's client: tools,
structured outputs, the thought under control, log-probabilities, completions.

    features.py BASE_URL

Every feature is asked for whole and as a stream, which must agree; every error
must name its field. Prints what is wrong and exits with 1.
"""

import json
import re
import sys
import threading
import traceback
from typing import Literal

import openai
from openai import BadRequestError, LengthFinishReasonError, NotFoundError, OpenAI
from openai.lib.streaming.chat import ChatCompletionStreamState
from pydantic import BaseModel

BASE = sys.argv[1] + "/v1"
client = OpenAI(base_url=BASE, api_key="none", max_retries=0, timeout=60)
QUESTION = [{"role": "user", "content": "How many times does the letter r appear in strawberry?"}]
WEATHER = [{"role": "user", "content": "Tell me the weather in Paris"}]
PARAMETERS = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"], "additionalProperties": False}
TOOL = {"type": "function", "function": {"name": "get_weather", "description": "w", "parameters": PARAMETERS}}
CLOCK = {"type": "function", "function": {"name": "get_time", "parameters": {
    "type": "object", "properties": {"zone": {"enum": ["UTC", "CET"]}}, "required": ["zone"], "additionalProperties": False}}}


class Count(BaseModel):
    """The answer as a client wants it."""

    letter: Literal["r"]
    count: int


class Forecast(BaseModel):
    """w"""

    city: str
    unit: Literal["C", "F"]
    days: int | None


SCHEMA = {"type": "json_schema", "json_schema": {"name": "count", "strict": True, "schema": {
    **Count.model_json_schema(), "additionalProperties": False}}}


def thought(part):
    """The reasoning of a message: it has it under two names."""
    texts = part.reasoning_content, part.reasoning
    assert texts[0] == texts[1], texts
    return texts[0] or ""


def flat(choice):
    """A choice, whole or put together by the client, as what can be compared."""
    message = choice.message
    calls = [(c.function.name, c.function.arguments) for c in message.tool_calls or []]
    return {"thought": thought(message), "content": message.content or "", "calls": calls,
            "finish": choice.finish_reason, "stop": getattr(choice, "reasoning_stop", None)}


def create(messages=QUESTION, **request):
    """The whole answer, and a stream put together by the client's own accumulator."""
    extra = request.pop("extra", None)
    common = {"model": "default", "messages": messages, "temperature": 0, "extra_body": extra, **request}
    return client.chat.completions.create(**common), streamed(**common)


def streamed(**request):
    tools = request.get("tools") or []
    state = ChatCompletionStreamState(input_tools=tools)
    pieces, why = {}, {}
    for chunk in client.chat.completions.create(stream=True, stream_options={"include_usage": True}, **request):
        state.handle_chunk(chunk)
        for choice in chunk.choices:
            delta = choice.delta
            if choice.finish_reason:
                why[choice.index] = getattr(choice, "reasoning_stop", None)
            given = [bool(thought(delta)), bool(delta.content), bool(delta.tool_calls), choice.finish_reason is not None]
            assert sum(given) <= 1, f"two things in one chunk: {chunk}"
            assert "" not in (delta.content, delta.reasoning_content), f"an empty piece: {chunk}"
            for call in delta.tool_calls or []:
                begun = call.index in pieces.setdefault(choice.index, set())
                assert begun == (call.id is None and call.function.name is None), f"begun once, then fragments: {call}"
                pieces[choice.index].add(call.index)
    try:
        answer = state.get_final_completion()
    except LengthFinishReasonError as e:
        answer = e.completion  # what is cut off the client hands out by an error
    for choice in answer.choices:
        choice.reasoning_stop = why[choice.index]  # the accumulator drops members of a choice that it does not know
    return answer


def both(messages=QUESTION, **request):
    """Asks both ways; both must say the same. Returns the choices' flat forms."""
    whole, stream = create(messages, **request)
    a, b = [flat(c) for c in whole.choices], [flat(c) for c in stream.choices]
    assert a == b, f"whole  {a}\nstream {b}"
    assert counted(whole.usage) == counted(stream.usage), (whole.usage, stream.usage)
    for choice in whole.choices:
        ids = [c.id for c in choice.message.tool_calls or []]
        assert len(set(ids)) == len(ids) and all(ids), ids
    return a


def one(messages=QUESTION, **request):
    (answer,) = both(messages, **request)
    return answer


def counted(usage):
    return usage.prompt_tokens, usage.completion_tokens, usage.completion_tokens_details.reasoning_tokens


def refused(param, messages=QUESTION, kind=BadRequestError, **request):
    """The request is refused, whole and streamed, by an error that names param."""
    for stream in (False, True):
        try:
            extra = request.get("extra")
            rest = {k: v for k, v in request.items() if k != "extra"}
            client.chat.completions.create(model="default", messages=messages, stream=stream, extra_body=extra, **rest)
        except kind as e:
            assert e.body["param"] == param and param in e.body["message"], f"{param}: {e.body}"
        else:
            raise AssertionError(f"{request} is served")


def tools():
    a = one(WEATHER, tools=[TOOL])
    assert (a["calls"], a["finish"], a["content"]) == ([("get_weather", '{"city": "Paris"}')], "tool_calls", ""), a
    assert a["thought"], a
    assert one(WEATHER, tools=[TOOL], tool_choice="auto") == a
    assert one(WEATHER, tools=[TOOL], parallel_tool_calls=False) == a
    none = one(WEATHER, tools=[TOOL], tool_choice="none")
    assert not none["calls"] and none["finish"] != "tool_calls", none

    # The model would answer this; with "required" it calls, and thinks before it.
    free = one(QUESTION, tools=[TOOL, CLOCK])
    assert not free["calls"], free
    for choice in ("required", {"type": "function", "function": {"name": "get_time"}}):
        forced = one(QUESTION, tools=[TOOL, CLOCK], tool_choice=choice, parallel_tool_calls=False, max_tokens=200)
        ((name, arguments),) = forced["calls"]
        assert forced["finish"] == "tool_calls" and forced["thought"] == free["thought"], forced
        if choice != "required":
            assert name == "get_time" and json.loads(arguments)["zone"] in ("UTC", "CET"), forced
        assert set(json.loads(arguments)) == ({"city"} if name == "get_weather" else {"zone"}), forced
    off = one(QUESTION, tools=[TOOL], tool_choice="required", parallel_tool_calls=False, max_tokens=200, extra={"enable_thinking": False})
    assert not off["thought"] and len(off["calls"]) == 1, off

    strict = {"type": "function", "function": {**TOOL["function"], "strict": True}}
    assert one(WEATHER, tools=[strict])["calls"] == a["calls"]
    # By itself the model gives a city and no more; strict, it gives all that the schema asks for.
    loose = json.loads(json.dumps(openai.pydantic_function_tool(Forecast, name="get_weather")))
    loose["function"]["strict"] = False
    left_out = one(WEATHER, tools=[loose])
    assert json.loads(left_out["calls"][0][1]).keys() < Forecast.model_fields.keys(), left_out
    request = {"model": "default", "messages": WEATHER, "temperature": 0, "tools": [openai.pydantic_function_tool(Forecast, name="get_weather")]}
    (call,) = client.chat.completions.parse(**request).choices[0].message.tool_calls
    assert call.function.parsed_arguments.city == "Paris", call
    assert one(**{k: v for k, v in request.items() if k not in ("model", "temperature")})["calls"] == [("get_weather", call.function.arguments)]
    free_text = one(QUESTION, tools=request["tools"])
    assert not free_text["calls"] and free_text["content"] == one(QUESTION, tools=[loose])["content"], free_text

    # The second turn.
    whole, stream = create(WEATHER, tools=[TOOL])
    for answer in (whole, stream):
        message = answer.choices[0].message
        past = [{"role": "assistant", "tool_calls": [c.model_dump(exclude={"index"}) for c in message.tool_calls], "reasoning_content": thought(message)},
                {"role": "tool", "tool_call_id": message.tool_calls[0].id, "content": "21 degrees"}]
        told = one(WEATHER + past, tools=[TOOL])
        assert "21 degrees" in told["content"] and told["finish"] == "stop", told
    as_given = one(WEATHER, tools=[TOOL], extra={"separate_reasoning": False})
    assert "<tool_call>" in as_given["content"] and not as_given["calls"], as_given

    refused("tool_choice", tool_choice="sometimes", tools=[TOOL])
    refused("tool_choice", tool_choice="required")
    refused("tool_choice", tool_choice={"type": "function", "function": {"name": "get_rich"}}, tools=[TOOL])
    refused("tools[0].function.name", tools=[{"type": "function", "function": {}}])
    for how in ({"tool_choice": "required"}, {}):
        bad = {"type": "function", "function": {"name": "f", "strict": True, "parameters": {"type": "object", "properties": {"a": {"type": "nothing"}}}}}
        refused("tools[1].function.parameters", tools=[TOOL, bad], **how)
    refused("tools[1].type", tools=[TOOL, {"type": "web_search"}])
    refused("parallel_tool_calls", parallel_tool_calls="no", tools=[TOOL])


def structured():
    free = one()
    for how in (
        {"response_format": SCHEMA},
        {"extra": {"structured_outputs": {"json": SCHEMA["json_schema"]["schema"]}}},
        {"extra": {"guided_json": SCHEMA["json_schema"]["schema"]}},
        {"extra": {"json_schema": json.dumps(SCHEMA["json_schema"]["schema"])}},
    ):
        a = one(**how, max_tokens=300)
        assert a["finish"] == "stop" and a["thought"] == free["thought"], (how, a)
        Count.model_validate_json(a["content"])
    answer = client.chat.completions.parse(model="default", messages=QUESTION, temperature=0, response_format=Count)
    assert answer.choices[0].message.parsed.letter == "r", answer
    with client.chat.completions.stream(model="default", messages=QUESTION, temperature=0, response_format=Count) as stream:
        for _ in stream:
            pass
        assert stream.get_final_completion().choices[0].message.parsed == answer.choices[0].message.parsed
    both_at_once = one(WEATHER, tools=[TOOL], response_format=SCHEMA, max_tokens=300)
    assert both_at_once["calls"] or Count.model_validate_json(both_at_once["content"]), both_at_once

    a = one(response_format={"type": "json_object"}, max_tokens=400, seed=3, temperature=0.2)
    assert a["finish"] == "length" or isinstance(json.loads(a["content"]), dict), a
    for how, pattern in (
        ({"regex": "[0-9]{2,4} times"}, "[0-9]{2,4} times"),
        ({"guided_regex": "(yes|no)!"}, "(yes|no)!"),
        ({"structured_outputs": {"regex": "[a-c]{3}"}}, "[a-c]{3}"),
        ({"structured_outputs": {"choice": ["three", "four"]}}, "three|four"),
        ({"guided_choice": ["red", "green"]}, "red|green"),
        ({"structured_outputs": {"grammar": 'root ::= "a" digit+ "z"\ndigit ::= "1" | "2"'}}, "a[12]+z"),
        ({"guided_grammar": 'root ::= "ab" | "ac"'}, "ab|ac"),
        ({"grammar": 'root ::= "x" [0-9] "y"'}, "x[0-9]y"),
        ({"ebnf": 'root ::= ("p" | "q") "!"'}, "[pq]!"),
    ):
        a = one(extra=how, max_tokens=150)
        assert (a["finish"] == "stop" or "+" in pattern) and a["thought"] == free["thought"], (how, a)
        assert a["finish"] != "stop" or re.fullmatch(pattern, a["content"]), (how, a)
        a = one(extra={**how, "enable_thinking": False}, max_tokens=60)
        assert not a["thought"] and (a["finish"] == "length" or re.fullmatch(pattern, a["content"])), (how, a)

    # The thought has its own grammar, and the answer too.
    a = one(extra={"reasoning_regex": "hm+\\.", "regex": "[0-9]"}, max_tokens=100)
    assert re.fullmatch("\\s*hm+\\.\\s*", a["thought"]) and re.fullmatch("[0-9]", a["content"]), a
    a = one(extra={"reasoning_grammar": 'root ::= "so" " it" " is"'}, max_tokens=100)
    assert a["thought"].strip() == "so it is" and a["content"], a

    refused("response_format.type", response_format={"type": "yaml"})
    refused("response_format.json_schema", response_format={"type": "json_schema"})
    refused("response_format.json_schema.schema", response_format={"type": "json_schema", "json_schema": {"name": "x", "schema": {"type": "nothing"}}})
    refused("structured_outputs.regex", extra={"structured_outputs": {"regex": "("}})
    refused("structured_outputs.json", extra={"structured_outputs": {"json": 3}})
    refused("guided_json", extra={"regex": "[0-9]", "guided_json": {}})
    refused("guided_choice[1]", extra={"guided_choice": ["a", 1]})
    refused("grammar", extra={"grammar": "root ::= nowhere"})
    refused("reasoning_regex", extra={"reasoning_regex": "("})


def budgets():
    free = one()
    assert free["stop"] == "natural", free
    free_tokens = client.chat.completions.create(model="default", messages=QUESTION, temperature=0).usage.completion_tokens_details.reasoning_tokens
    for name in ("thinking_token_budget", "thinking_budget", "reasoning_budget", "thinking_budget_tokens", "reasoning_budget_tokens"):
        a = one(extra={name: 8, "thinking_budget_grace": 0})
        assert a["stop"] == "budget" and a["content"] and a["finish"] == "stop", a
        assert a["thought"] and free["thought"].startswith(a["thought"].rstrip()), a
    for extra in ({"thinking": {"type": "enabled", "budget_tokens": 8}}, {"reasoning": {"max_tokens": 8}}):
        assert one(extra={**extra, "thinking_budget_grace": 0})["thought"] == a["thought"]
    roomy = one(extra={"thinking_token_budget": free_tokens + 50, "thinking_budget_grace": 0})
    assert roomy == free, roomy
    for limit in (1, 5, 11, 20):
        whole, _ = create(extra={"thinking_token_budget": limit})
        assert whole.usage.completion_tokens_details.reasoning_tokens <= limit, whole
        assert whole.choices[0].message.content, whole
    nothing = one(extra={"thinking_token_budget": 0})
    assert not nothing["thought"] and nothing["content"] and nothing["stop"] == "budget", nothing

    kept = one(max_tokens=30, extra={"reserve_answer_tokens": 15})
    assert kept["stop"] == "length" and kept["content"], kept
    assert one(max_tokens=12)["content"] == ""

    # What a grammar leaves no choice about is bounded too.
    forced = {"reasoning_regex": "(over and ){40}", "thinking_budget_grace": 0}
    whole, _ = create(extra={**forced, "thinking_token_budget": 10}, max_tokens=60)
    assert whole.usage.completion_tokens_details.reasoning_tokens <= 10 and whole.choices[0].reasoning_stop == "budget", whole
    kept = one(extra={**forced, "reserve_answer_tokens": 15}, max_tokens=40)
    assert kept["stop"] == "length" and kept["content"], kept

    # A thought that repeats itself is ended.
    stuck = {"reasoning_regex": "[ab]{900,}"}
    a = one(max_tokens=400, extra={**stuck, "break_reasoning_loops": True})
    assert a["stop"] == "loop" and a["content"], a
    a = one(max_tokens=400, extra=stuck)
    assert a["stop"] == "length" and not a["content"], a

    # The thought is sampled by parameters of its own.
    hot = {"reasoning": {"temperature": 2, "top_p": 1, "top_k": 0}}
    runs = [one(seed=s, extra=hot, max_tokens=60)["thought"] for s in (1, 2, 3)]
    assert len(set(runs)) > 1, runs
    cold = one(temperature=2, seed=5, extra={"reasoning": {"temperature": 0}}, max_tokens=200)
    assert cold["thought"] == free["thought"], cold

    for field in ("thinking_token_budget", "thinking_budget", "reserve_answer_tokens", "thinking_budget_grace"):
        refused(field, extra={field: -2})
        refused(field, extra={field: "many"})
    refused("thinking_budget", extra={"thinking_token_budget": 5, "thinking_budget": 6})
    refused("reserve_answer_tokens", max_tokens=10, extra={"reserve_answer_tokens": 10})
    refused("break_reasoning_loops", extra={"break_reasoning_loops": 1})
    refused("reasoning.temperature", extra={"reasoning": {"temperature": 3}})
    refused("reasoning.heat", extra={"reasoning": {"heat": 1}})


def answer_now():
    """A client ends the thought of a running stream."""
    wordy = {"reasoning_regex": "[a-z ]{1500,}", "reasoning_control": True}
    stream = client.chat.completions.create(model="default", messages=QUESTION, temperature=0, stream=True, extra_body=wordy)
    text, reason, content, told = 0, None, "", False
    for chunk in stream:
        for choice in chunk.choices:
            text += len(thought(choice.delta))
            content += choice.delta.content or ""
            reason = getattr(choice, "reasoning_stop", None) or reason
        if text > 10 and not told:
            told = True
            reply = client.post(f"/chat/completions/{chunk.id}/answer_now", cast_to=object)
            assert reply["accepted"] is True and reply["id"] == chunk.id, reply
    assert told and reason == "client" and content, (reason, content)
    try:
        client.post("/chat/completions/chatcmpl-none/answer_now", cast_to=object)
    except NotFoundError as e:
        assert e.body["code"] == "chat_not_found", e.body
    else:
        raise AssertionError("a chat that is not there is told")

    stream = client.chat.completions.create(model="default", messages=QUESTION, stream=True)
    try:
        client.post(f"/chat/completions/{next(iter(stream)).id}/answer_now", cast_to=object)
    except (BadRequestError, NotFoundError):
        pass  # it did not ask, or has ended
    else:
        raise AssertionError("a chat that did not ask is told")
    stream.close()


def logprobs():
    for extra in ({}, {"regex": "[0-9]{3}"}, {"thinking_token_budget": 6}):
        whole, stream = create(logprobs=True, top_logprobs=2, extra=extra)
        for answer in (whole, stream):
            tokens = answer.choices[0].logprobs.content
            text = b"".join(bytes(t.bytes) for t in tokens).decode()
            assert text == answer.choices[0].message.content, (text, answer.choices[0].message.content)
            assert all(len(t.top_logprobs) == 2 and t.logprob <= 0 for t in tokens), tokens
        shown = [[(t.token, t.logprob) for t in a.choices[0].logprobs.content] for a in (whole, stream)]
        assert shown[0] == shown[1], shown
    refused("top_logprobs", top_logprobs=3)
    refused("top_logprobs", logprobs=True, top_logprobs=50)


def choices():
    answers = both(WEATHER, n=3, tools=[TOOL], extra={"thinking_token_budget": 40})
    assert len(answers) == 3 and all(a == answers[0] for a in answers), answers
    answers = both(n=3, seed=7, temperature=1, response_format=SCHEMA, max_tokens=400)
    for a in answers:
        assert a["finish"] == "length" or Count.model_validate_json(a["content"]), a
    answers = both(n=3, seed=7, temperature=1.5, tools=[TOOL], tool_choice="required", parallel_tool_calls=False, max_tokens=400)
    assert all(a["finish"] == "length" or len(a["calls"]) == 1 for a in answers), answers
    refused("n", n=0)


def completions():
    whole = client.completions.create(model="default", prompt="The sky is", max_tokens=12, temperature=0)
    pieces = list(client.completions.create(model="default", prompt="The sky is", max_tokens=12, temperature=0, stream=True))
    assert whole.choices[0].text == "".join(c.text for p in pieces for c in p.choices), (whole, pieces)
    assert whole.choices[0].finish_reason == [c for p in pieces for c in p.choices][-1].finish_reason
    many = client.completions.create(model="default", prompt=["One", "Two"], n=2, max_tokens=4, temperature=0)
    assert [c.index for c in many.choices] == [0, 1, 2, 3], many
    for wrong, param in (({"prompt": []}, "prompt"), ({"best_of": 0}, "best_of"), ({"suffix": "x"}, "suffix"), ({"max_tokens": 0}, "max_tokens"),
                         ({"extra_body": {"tools": [TOOL]}}, "tools"), ({"extra_body": {"thinking_token_budget": 3}}, "thinking_token_budget")):
        try:
            client.completions.create(**{"model": "default", "prompt": "x", **wrong})
        except BadRequestError as e:
            assert e.body["param"] == param, e.body
        else:
            raise AssertionError(f"{wrong} is served")


def main():
    wrong = []

    def run(part):
        try:
            part()
        except Exception:
            wrong.append(f"{part.__name__}: {traceback.format_exc(limit=-4)}")

    parts = [tools, structured, budgets, answer_now, logprobs, choices, completions]
    if len(sys.argv) > 2:
        parts = [p for p in parts if p.__name__ in sys.argv[2:]]
    threads = [threading.Thread(target=run, args=(part,)) for part in parts]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    print("\n".join(wrong))
    sys.exit(1 if wrong else 0)


main()
