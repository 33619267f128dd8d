"""Validates: reads a JSON array of {"draft", "schema", "text"} and writes an
array with, for each, null where the text is an instance of the schema, why it is
not one, or "" where Python's regular expressions do not know a pattern."""

import json
import re
import sys

import jsonschema

DRAFTS = {
    "draft6": jsonschema.Draft6Validator,
    "draft7": jsonschema.Draft7Validator,
    "draft2019-09": jsonschema.Draft201909Validator,
    "draft2020-12": jsonschema.Draft202012Validator,
}


def verdict(case):
    try:
        instance = json.loads(case["text"])
    except ValueError as e:
        return f"no JSON: {e}"
    try:
        error = next(DRAFTS[case["draft"]](case["schema"]).iter_errors(instance), None)
    except re.error:
        return ""
    return error and f"{error.message} (at {error.json_path})"


json.dump([verdict(case) for case in json.load(sys.stdin)], sys.stdout)
