"""Renders a chat template with jinja2 as transformers sets it up.

    templates.py TOKENIZER_CONFIG.json... < conversations.json

Prints a JSON array: for each file and each conversation (an object with
messages, tools and options) the input for `reasond render`, the template, and
the prompt, or null where the template refuses the conversation.
"""

import json
import sys

import jinja2
from jinja2.ext import Extension, loopcontrols
from jinja2.sandbox import ImmutableSandboxedEnvironment


class Generation(Extension):
    """{% generation %} … {% endgeneration %} marks a span and adds no text."""

    tags = {"generation"}

    def parse(self, parser):
        line = next(parser.stream).lineno
        body = parser.parse_statements(("name:endgeneration",), drop_needle=True)
        return jinja2.nodes.Scope(body).set_lineno(line)


def to_json(value, ensure_ascii=False, indent=None, separators=None, sort_keys=False):
    return json.dumps(value, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys)


def refuse(message):
    raise jinja2.exceptions.TemplateError(message)


def environment():
    env = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True, extensions=[Generation, loopcontrols])
    env.filters["tojson"] = to_json
    env.globals["raise_exception"] = refuse
    # The date is an input: reasond renders with the day's, and so must this.
    import datetime

    env.globals["strftime_now"] = lambda form: datetime.datetime.now().strftime(form)
    return env


def token(value):
    return value["content"] if isinstance(value, dict) else value


def main():
    conversations = json.load(sys.stdin)
    env, out = environment(), []
    for path in sys.argv[1:]:
        with open(path, encoding="utf-8") as f:
            config = json.load(f)
        special = {k: token(config.get(k)) for k in ("bos_token", "eos_token") if config.get(k) is not None}
        template = config["chat_template"]
        compiled = env.from_string(template)
        for conversation in conversations:
            given = {"add_generation_prompt": True, **special, **conversation}
            try:
                # What is absent is None to the template, as in transformers.
                prompt = compiled.render(**{"tools": None, "documents": None, **given})
            except (jinja2.exceptions.TemplateError, TypeError):
                prompt = None
            out.append({"file": path, "template": template, "input": given, "prompt": prompt})
    json.dump(out, sys.stdout, ensure_ascii=False)


main()
