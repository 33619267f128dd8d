"""Stands reasond in front of llama.cpp's server as llama-cpp-python has it, and
asks through it with OpenAI's client.

    upstream.py LLAMA_PYTHON MODEL.gguf REASOND

LLAMA_PYTHON is a Python that has llama-cpp-python[server]. At temperature 0 the
answer must be the same whole, streamed, and asked of the upstream itself, and
errors must come through. Its streams have no usage, so tokens are counted
here, by its events, and those of the prompt are not. Prints a summary; exits
with 1 where something is wrong.
"""

import os
import re
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from contextlib import contextmanager

import openai

QUESTIONS = ["What is the capital of France?", "Count from one to five.", "Name a colour. 日本 é 😀"]
CONTEXT = 512


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


@contextmanager
def running(name, command, ready):
    """Runs a server while the block runs, once the URL ready answers."""
    with tempfile.TemporaryFile() as log:
        server = subprocess.Popen(command, stdout=log, stderr=log)
        try:
            wait(server, ready)
            yield
        except BaseException:
            log.seek(0)
            print(f"--- {name} wrote last:\n{log.read().decode(errors='replace')[-4000:]}", file=sys.stderr)
            raise
        finally:
            server.terminate()
            server.wait(timeout=30)


def wait(server, ready, patience=180):
    limit = time.monotonic() + patience
    while time.monotonic() < limit:
        if server.poll() is not None:
            raise RuntimeError(f"it ended with {server.returncode}")
        try:
            with urllib.request.urlopen(ready, timeout=5):
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.2)
    raise RuntimeError(f"{ready} does not answer")


def ask(client, question, **further):
    messages = [{"role": "user", "content": question}]
    return client.chat.completions.create(
        model=further.pop("model", "default"), messages=messages, temperature=0, max_tokens=40, **further
    )


def whole(client, question, **further):
    answer = ask(client, question, **further)
    choice = answer.choices[0]
    return {"content": choice.message.content, "finish": choice.finish_reason, "usage": counts(answer.usage)}


def streamed(client, question):
    got = {"content": "", "finish": None, "usage": None}
    for chunk in ask(client, question, stream=True, stream_options={"include_usage": True}):
        if chunk.usage:
            got["usage"] = counts(chunk.usage)
        for choice in chunk.choices:
            got["content"] += choice.delta.content or ""
            got["finish"] = choice.finish_reason or got["finish"]
    return got


def counts(usage):
    return usage.prompt_tokens, usage.completion_tokens


def refusal(client, question, **further):
    try:
        for _ in ask(client, question, **further):
            pass
    except openai.APIStatusError as e:
        return e
    raise AssertionError(f"{question[:40]!r} is answered")


def check(direct, front, model):
    """Asks both servers; returns the lines of a summary."""
    lines = []
    for question in QUESTIONS:
        itself = whole(direct, question, model=model)
        got, stream = whole(front, question), streamed(front, question)
        assert got["content"] and got["usage"][1] > 0, f"an empty answer: {got}"
        assert got == stream, f"whole {got}, streamed {stream}"
        assert (got["content"], got["finish"]) == (itself["content"], itself["finish"]), f"here {got}, there {itself}"
        lines.append(f"{question!r}: {got['content'][:60]!r}…, {got['finish']}, usage {got['usage']}, upstream's own {itself['usage']}")
    assert [m.id for m in front.models.list()] == [model], "the list of models"
    for how, further in {"whole": {}, "streamed": {"stream": True}}.items():
        # This server fails with 500 for what it refuses, and breaks a stream off
        # without a word where the prompt is too long. Neither may look like an
        # answer, nor outlive the request.
        failed = [
            refusal(front, QUESTIONS[0], tools=[{"type": "function", "function": {"name": "f"}}], **further),
            refusal(front, "word " * 3 * CONTEXT, **further),
        ]
        assert all(e.status_code == 500 for e in failed), failed
        lines.append(f"a tool without parameters, a prompt that is too long, {how}: {[e.status_code for e in failed]}")
    assert whole(front, QUESTIONS[0])["content"], "no answer after the errors"
    return lines


def main():
    python, gguf, reasond = sys.argv[1:]
    there, here = f"http://127.0.0.1:{free_port()}", f"http://127.0.0.1:{free_port()}"
    model = re.sub(r"\.gguf$", "", os.path.basename(gguf))
    # Without the last option this server breaks a stream off for any other
    # request, be it a look at its health.
    llama = [python, "-m", "llama_cpp.server", "--model", gguf, "--model_alias", model, "--n_ctx", str(CONTEXT)]
    llama += ["--interrupt_requests", "false"]
    front = [reasond, "serve", "--upstream", there, "--upstream-kind", "openai", "--port", here.rpartition(":")[2]]
    with (
        running("llama_cpp.server", [*llama, "--port", there.rpartition(":")[2]], there + "/v1/models"),
        running("reasond", front, here + "/readyz"),
    ):
        clients = [openai.OpenAI(base_url=base + "/v1", api_key="none", max_retries=0, timeout=120) for base in (there, here)]
        print("\n".join(check(*clients, model)))


main()
