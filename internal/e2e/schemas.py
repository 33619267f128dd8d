"""Validates: reads a JSON array of {"draft", "schema", "text"} and writes an
array with, for each, null where the text is an instance of the schema, or why
it is not one."""

import json
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
    error = next(DRAFTS[case["draft"]](case["schema"]).iter_errors(instance), None)
    return error and f"{error.message} (at {error.json_path})"


json.dump([verdict(case) for case in json.load(sys.stdin)], sys.stdout)
