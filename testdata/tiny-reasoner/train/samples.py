"""One assistant turn: how it is rendered and encoded."""

import json
from dataclasses import dataclass
from pathlib import Path

import jinja2.sandbox

TEMPLATE_FILE = Path(__file__).with_name("chat_template.jinja")

# Text between two SPELL marks is encoded one character at a time.  Reversed
# words are written this way, so the model can copy them from its own spelling.
SPELL = "\ue000"


@dataclass
class Sample:
    skill: str
    messages: list
    thought: str
    answer: str
    tools: list | None = None
    thinking: bool = True

    @property
    def completion(self) -> str:
        """What the model writes after the generation prompt."""
        if self.thinking:
            return f"<think>\n{self.thought}\n</think>\n\n{self.answer}<|im_end|>"
        return f"{self.answer}<|im_end|>"

    @property
    def plain_answer(self) -> str:
        return self.answer.replace(SPELL, "")


def _compile_template():
    """Jinja set up the way transformers does it."""
    env = jinja2.sandbox.ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True)
    env.filters["tojson"] = lambda value: json.dumps(value, ensure_ascii=False)
    return env.from_string(TEMPLATE_FILE.read_text())


_TEMPLATE = _compile_template()


def render_prompt(sample: Sample) -> str:
    return _TEMPLATE.render(
        messages=sample.messages,
        tools=sample.tools,
        add_generation_prompt=True,
        enable_thinking=sample.thinking,
    )


def encode_sample(sample: Sample, tokenizer) -> tuple[list[int], list[int]]:
    """(prompt ids, completion ids); `tokenizer` is a tokenizers.Tokenizer."""
    prompt = tokenizer.encode(render_prompt(sample), add_special_tokens=False).ids
    completion = []
    for i, part in enumerate(sample.completion.split(SPELL)):
        pieces = list(part) if i % 2 else [part]
        for piece in pieces:
            completion += tokenizer.encode(piece, add_special_tokens=False).ids
    return prompt, completion
