"""Writes cases.json beside it: what transformers (5.13 or later) makes of answers by response
templates for the formats of several model families. Run it only to add templates or answers.

    python make.py
"""

import json
import pathlib

import transformers
from transformers.utils.chat_parsing import parse_response

FUNCTION = {"type": "function", "function": {"name": "{name}", "arguments": "{content}"}}
CONTENT = {"type": "function", "function": "{content}"}

TEMPLATES = {
    "think": (
        {
            "start_anchor": "<|im_start|>assistant\n",
            "fields": {
                "thinking": {"open": "<think>", "close": "</think>"},
                "tool_calls": {"open": "<tool_call>", "close": "</tool_call>", "repeats": True, "content": "json", "transform": CONTENT},
                "content": {"close": "<|im_end|>"},
            },
        },
        [
            ("", "<think>\na\n</think>\n\nb<|im_end|>"),
            ("", "b"),
            ("", "<think>a"),
            ("<|im_start|>assistant\n<think>\n", "a</think>b<|im_end|>"),
            ("", '<think>a</think>\n<tool_call>\n{"name": "f", "arguments": {"x": [1, "}"]}}\n</tool_call>\n<tool_call>{"name": "g", "arguments": {}}</tool_call><|im_end|>'),
        ],
    ),
    "parameters": (
        {
            "start_anchor": "<|im_start|>assistant\n",
            "fields": {
                "thinking": {"open_pattern": r"\s*<think>\s*", "close_pattern": r"\s*</think>\s*"},
                "tool_calls": {
                    "open_pattern": r"<tool_call>\s*<function=(?P<name>\w+)>",
                    "close": "</tool_call>",
                    "repeats": True,
                    "content": "xml-inline",
                    "content_args": {
                        "tag_pattern": r"<parameter=(?P<key>\w+)>\s*(?P<value>.*?)\s*</parameter>",
                        "value_parser": {"name": "json", "args": {"allow_non_json": True}},
                    },
                    "transform": FUNCTION,
                },
                "content": {},
            },
        },
        [
            ("", "<think>\na\n</think>\n\nb"),
            ("", "a <tool_ca"),
            ("", "<tool_call>\n<function=get_weather>\n<parameter=city>\nParis\n</parameter>\n<parameter=days>3</parameter>\n<parameter=zip>\"01\"</parameter>\n</function>\n</tool_call>"),
            ("", "<think>a</think>I look.\n<tool_call><function=größe></function></tool_call><tool_call><function=g></function></tool_call>"),
        ],
    ),
    "channels": (
        {
            "start_anchor": "<|start|>assistant",
            "fields": {
                "thinking": {"open": "<|channel|>analysis<|message|>", "close": ["<|end|>", "<|return|>"]},
                "content": {"open": "<|channel|>final<|message|>", "close": ["<|end|>", "<|return|>"]},
                "tool_calls": {
                    "open_pattern": r"<\|channel\|>commentary to=functions\.(?P<name>\w+).*?<\|message\|>",
                    "close": "<|call|>",
                    "repeats": True,
                    "content": "json",
                    "transform": FUNCTION,
                },
            },
        },
        [
            ("", "<|channel|>analysis<|message|>a<|end|><|start|>assistant<|channel|>final<|message|>b<|return|>"),
            ("", '<|channel|>analysis<|message|>a<|end|><|start|>assistant<|channel|>commentary to=functions.f <|constrain|>json<|message|>{"k": 1}<|call|>'),
            ("<|start|>assistant<|channel|>analysis<|message|>", "a<|end|><|start|>assistant<|channel|>final<|message|>b"),
            ("", "<|channel|>analysis<|message|>a"),
        ],
    ),
    "actions": (
        {
            "start_anchor": "<|CHATBOT_TOKEN|>",
            "fields": {
                "thinking": {"open": "<|START_THINKING|>", "close": "<|END_THINKING|>"},
                "content": {"open": "<|START_RESPONSE|>", "close": "<|END_RESPONSE|>"},
                "tool_calls": {
                    "open": "<|START_ACTION|>",
                    "close": "<|END_ACTION|>",
                    "content": "json",
                    "transform_each": True,
                    "transform": {"type": "function", "function": {"name": "{tool_name}", "arguments": "{parameters}"}},
                },
            },
        },
        [
            ("", "<|START_THINKING|>a<|END_THINKING|>\n<|START_RESPONSE|>b<|END_RESPONSE|><|END_OF_TURN_TOKEN|>"),
            ("", '<|START_THINKING|>a<|END_THINKING|><|START_ACTION|>[\n {"tool_call_id": "0", "tool_name": "f", "parameters": {"x": 1}},\n {"tool_call_id": "1", "tool_name": "g", "parameters": {}}\n]<|END_ACTION|>'),
        ],
    ),
    "blocks": (
        {
            "start_anchor": "<|message_model|>",
            "fields": {
                "thinking": {"open_pattern": r"(?:<\|message_model\|>)?[^<]*<\|content_thinking\|>", "close": "<|end_message|>", "repeats": True, "join": "", "content_args": {"strip": False}},
                "content": {"open_pattern": r"(?:<\|message_model\|>)?[^<]*<\|content_text\|>", "close": "<|end_message|>", "repeats": True, "join": "", "content_args": {"strip": False}},
                "tool_calls": {
                    "open_pattern": r"(?:<\|message_model\|>)?[^<]*<\|content_invoke_tool_json\|>",
                    "close": "<|end_message|>",
                    "repeats": True,
                    "content": "json",
                    "transform": {"type": "function", "function": {"name": "{content.name}", "arguments": "{content.args}"}},
                },
            },
        },
        [
            ("", "<|content_thinking|> a<|end_message|><|message_model|><|content_text|>b <|end_message|>"),
            ("", '<|message_model|><|content_text|>a<|end_message|><|message_model|>f<|content_invoke_tool_json|>{"name": "f", "args": {"x": "<"}}<|end_message|><|message_model|>me<|content_text|> b<|end_message|>'),
        ],
    ),
    "turns": (
        {
            "start_anchor": ["<|turn>model\n", "<tool_response|>"],
            "fields": {
                "thinking": {"open": "<|channel>thought\n", "close": "<channel|>"},
                "tool_calls": {
                    "open_pattern": r"<\|tool_call>call:(?P<name>\w+)",
                    "close": "<tool_call|>",
                    "repeats": True,
                    "content": "json",
                    "content_args": {"unquoted_keys": True, "string_delims": [['<|"|>', '<|"|>']]},
                    "transform": FUNCTION,
                },
                "content": {"close": ["<turn|>", "<|tool_response>", "<eos>"]},
            },
        },
        [
            ("", "<|channel>thought\na<channel|>b<turn|>"),
            ("", '<|channel>thought\na<channel|><|tool_call>call:get_weather{city:<|"|>Paris, {x:1}<|"|>,days:3}<tool_call|><|tool_call>call:f{}<tool_call|><|tool_response>'),
        ],
    ),
    "lines": (
        {
            "start_anchor_pattern": r"Assistant:\s*",
            "fields": {
                "thinking": {"open_pattern": r"(?:<thought>|\[thought\])\n?", "close_pattern": r"\n?(?:</thought>|\[/thought\])"},
                "tool_calls": {"open_pattern": r"^?CALL (?P<name>[\w.]+)\n", "close_pattern": r"\nEND(?:\n|$)", "repeats": True, "content": "kv-lines", "content_args": {"value_parser": {"name": "int"}}, "transform": FUNCTION},
                "content": {},
            },
        },
        [
            ("", "[thought]\na\n\n[/thought]b"),
            ("", "<thought>\na\n</thought> b </thought>"),
            ("", "CALL t.f\nx: 1\ny: 22\nEND"),
            ("", "a\nCALL t.f\nx: 1\nEND\nCALL g\ny: 2\nEND\n"),
        ],
    ),
    "overlap": (
        {
            "start_anchor": "A:",
            "fields": {
                "thinking": {"open": ["<t>", "<t>>"], "close": "</t>"},
                "summary": {"open": "<t><s>", "close": "</t>"},
                "content": {},
            },
        },
        [
            ("", "<t>a</t>b"),
            ("", "<t>>a</t>b"),
            ("", "<t><s>x</t>b"),
            ("", "<t><q>a</t>b"),
            ("", "<t><s"),
        ],
    ),
}


def case(template, prefix, raw):
    message = parse_response(raw, template, prefix=prefix)
    calls = []
    for call in message.get("tool_calls") or []:
        for one in call if isinstance(call, list) else [call]:
            calls.append(one["function"])
    return {
        "open": "yes" if prefix else "no",
        "raw": raw,
        "reasoning": message.get("thinking") or "",
        "content": message.get("content") or "",
        "calls": calls,
    }


def main():
    out = {
        "source": f"transformers {transformers.__version__}, parse_response (make.py); text fields are stripped there",
        "templates": {
            name: {"template": template, "cases": [case(template, *answer) for answer in answers]}
            for name, (template, answers) in TEMPLATES.items()
        },
    }
    path = pathlib.Path(__file__).with_name("cases.json")
    path.write_text(json.dumps(out, indent=1, ensure_ascii=False) + "\n")


main()
