"""Asks a running reasond with tiny-reasoner, by OpenAI's client, in every way to
say whether to think and where the thought goes.

    reasoning.py BASE_URL FIELD

FIELD is what --reasoning-field was: both, reasoning_content or reasoning. Prints
what is wrong and exits with 1.
"""

import sys

from openai import BadRequestError, OpenAI

QUESTION = [{"role": "user", "content": "9.11 and 9.8, which is greater?"}]
OPEN, CLOSE = "<think>", "</think>"

ON = [
    {}, {"enable_thinking": True}, {"thinking": True}, {"think": True}, {"thinking": {"type": "enabled"}}, {"thinking": {"type": "adaptive"}},
    {"reasoning_effort": "low"}, {"reasoning": {"effort": "max"}}, {"reasoning": {"enabled": True}},
    {"chat_template_kwargs": {"enable_thinking": True}}, {"chat_template_kwargs": {"thinking": True}},
]
OFF = [
    {"enable_thinking": False}, {"thinking": False}, {"think": False}, {"thinking": {"type": "disabled"}},
    {"reasoning_effort": "none"}, {"reasoning": {"effort": "none"}}, {"reasoning": {"enabled": False}},
    {"chat_template_kwargs": {"enable_thinking": False}}, {"chat_template_kwargs": {"thinking": False}},
    {"chat_template_kwargs": {"reasoning_effort": "none"}}, {"enable_thinking": True, "chat_template_kwargs": {"enable_thinking": False}},
]
REFUSED = [
    ({"enable_thinking": True, "thinking": False}, ("enable_thinking", "thinking")),
    ({"reasoning": {"enabled": False}, "think": True}, ("reasoning.enabled", "think")),
    ({"reasoning_effort": "high", "enable_thinking": False}, ("reasoning_effort", "enable_thinking")),
    ({"separate_reasoning": True, "reasoning_format": "none"}, ("separate_reasoning", "reasoning_format")),
    ({"separate_reasoning": False, "include_reasoning": False}, ("separate_reasoning", "include_reasoning")),
]


class Asker:
    def __init__(self, base, field):
        self.client = OpenAI(base_url=base, api_key="none", max_retries=0, timeout=120)
        self.names = ["reasoning_content", "reasoning"] if field == "both" else [field]
        self.wrong = []

    def thought(self, part):
        """The reasoning of a message or a delta."""
        texts = {name: getattr(part, name, None) for name in ("reasoning_content", "reasoning")}
        for name, text in texts.items():
            if name not in self.names and text is not None:
                self.wrong.append(f"{name} has {text!r}")
        got = {texts[name] for name in self.names}
        if len(got) > 1:
            self.wrong.append(f"two texts: {texts}")
        return texts[self.names[0]]

    def whole(self, extra, messages=QUESTION):
        answer = self.client.chat.completions.create(model="default", messages=messages, temperature=0, extra_body=extra)
        message = answer.choices[0].message
        return self.thought(message), message.content, answer.usage

    def stream(self, extra):
        reasoning, content, usage = "", "", None
        for chunk in self.client.chat.completions.create(
            model="default", messages=QUESTION, temperature=0, stream=True, stream_options={"include_usage": True}, extra_body=extra
        ):
            if chunk.usage:
                usage = chunk.usage
                continue
            delta = chunk.choices[0].delta
            piece = self.thought(delta)
            if piece == "" or delta.content == "" or (piece and delta.content):
                self.wrong.append(f"{extra}: a chunk with {delta}")
            reasoning, content = reasoning + (piece or ""), content + (delta.content or "")
        return reasoning or None, content or None, usage

    def same(self, what, got, want):
        if got != want:
            self.wrong.append(f"{what}: got {got!r}, want {want!r}")

    def ways(self, extra, reasoning, content, thought=True):
        """Both forms of the answer to a request are as wanted."""
        for way in (self.whole, self.stream):
            got = way(extra)
            self.same(f"{way.__name__} {extra}", got[:2], (reasoning, content))
            tokens = got[2].completion_tokens_details.reasoning_tokens
            self.same(f"{way.__name__} {extra} counts reasoning", tokens > 0, thought)


def check(a):
    reasoning, content, _ = a.whole({})
    if not reasoning or not content:
        a.wrong.append(f"no thought to begin with: {reasoning!r}, {content!r}")
        return
    raw = OPEN + reasoning + CLOSE + content
    straight = a.whole({"enable_thinking": False})[1]
    for extra in ON:
        a.ways(extra, reasoning, content)
    for extra in OFF:
        a.ways(extra, None, straight, thought=False)
    for extra in ({"separate_reasoning": False}, {"reasoning_format": "none"}):
        a.ways(extra, None, raw)
    for extra in ({"reasoning_format": "deepseek"}, {"reasoning_format": "auto"}, {"include_reasoning": True}, {"stream_reasoning": False}):
        a.ways(extra, reasoning, content)
    a.ways({"reasoning_format": "deepseek-legacy"}, reasoning, raw)
    for extra in ({"include_reasoning": False}, {"reasoning": {"exclude": True}}):
        a.ways(extra, None, content)
    for extra, names in REFUSED:
        try:
            a.whole(extra)
            a.wrong.append(f"{extra} was served")
        except BadRequestError as e:
            a.same(f"{extra} names both", [n in str(e) for n in names], [True, True])
    history(a, reasoning, content)
    model = a.client.models.retrieve("default")
    a.same("the model's entry", model.model_extra["reasoning"],
           {"parser": "qwen3", "switch": "enable_thinking", "efforts": None, "default": True})


def history(a, reasoning, content):
    """Past reasoning comes in under either name and means the same."""
    answers = set()
    for name in ("reasoning_content", "reasoning"):
        past = {"role": "assistant", "content": content, name: reasoning}
        answers.add(a.whole({}, QUESTION + [past] + QUESTION)[:2])
    # tiny-reasoner's template leaves the thoughts of past turns out.
    answers.add(a.whole({}, QUESTION + [{"role": "assistant", "content": content}] + QUESTION)[:2])
    a.same("answers after a past thought", len(answers), 1)


def main():
    base, field = sys.argv[1:]
    a = Asker(base, field)
    check(a)
    for line in a.wrong:
        print(line)
    sys.exit(1 if a.wrong else 0)


main()
