#!/usr/bin/env python3
"""Measure reasond and llama.cpp on the same files, machine and threads, in turns.

    peer.py REASOND MODEL CACHE

REASOND is our binary, MODEL the Q4_1 file, CACHE where files of other formats are
made of it, by llama.cpp's own quantiser. It runs in a Python that has llama-cpp-python
(.ci/bench-peer finds or makes one) and prints Markdown. What it does is chosen by
variables, each a list with spaces:

    PEER      prefill decode batch start server    what is measured; all of these
    FORMATS   Q4_1 Q4_0 BF16 Q8_0 Q4_K_M
    THREADS   2                                    the cores that this process may use
    ROUNDS    5                                    turns; medians count
    LLAMA_SERVER                                   a llama-server; llama_cpp.server is taken without it

A turn of ours is `reasond bench`; one of llama.cpp's is llama_decode by its bindings,
as llama-bench and llama-batched-bench call it (without sampling, which ours includes),
in a process that keeps the model.
"""
import ctypes
import json
import os
import pathlib
import platform
import signal
import socket
import statistics
import subprocess
import sys
import time
import urllib.request

PIECES = ("prefill", "decode", "batch", "start", "server")
FORMATS = ("Q4_1", "Q4_0", "BF16", "Q8_0", "Q4_K_M")
PREFILL, DECODE, STEPS, BATCHES = 512, 128, 32, (4, 16)
CLIENTS, REQUESTS, ANSWER, PROMPTS = 16, 16, 64, (120, 611)
# What is aimed at, ours over llama.cpp's: docs/performance.md.
TARGETS = {
    "prefill": {"Q4_1": 10, "Q4_0": 3, "BF16": 2, "Q8_0": 2, "Q4_K_M": 2},
    "decode": {"Q4_1": 2.2, "Q4_0": 1.6, "BF16": 1.2, "Q8_0": 1.3, "Q4_K_M": 1.3},
    "batch 4": {"Q4_1": 7, "Q4_0": 4.5},
    "batch 16": {"Q4_1": 10, "Q4_0": 4},
    "server": {"Q4_1": 7, "Q4_0": 3},
}


def words(name, default, allowed=None):
    chosen = os.environ.get(name, "").split() or list(default)
    for word in chosen:
        if allowed and word not in allowed:
            sys.exit(f"bench-peer: {name}: {word} is none of {' '.join(allowed)}")
        if not allowed and not word.isdigit():
            sys.exit(f"bench-peer: {name}: {word} is no number")
    return chosen


# --- llama.cpp, in a process of its own -------------------------------------------


class Llama:
    """A model and a context of llama.cpp, by its C interface."""

    def __init__(self, path, threads):
        import llama_cpp

        self.c = c = llama_cpp
        c.llama_backend_init()
        self.log = ctypes.CFUNCTYPE(None, ctypes.c_int, ctypes.c_char_p, ctypes.c_void_p)(lambda *_: None)
        c.llama_log_set(self.log, None)
        params = c.llama_model_default_params()
        params.n_gpu_layers = 0
        self.model = c.llama_model_load_from_file(path.encode(), params)
        if not self.model:
            raise RuntimeError(f"llama.cpp cannot open {path}")
        self.threads, self.sequences, self.context, self.whole = threads, 0, None, False
        self.batch = c.llama_batch_init(PREFILL, 0, 1)

    def fill(self, rows):
        """rows: (token, position, sequence, whether logits are wanted)"""
        b = self.batch
        b.n_tokens = len(rows)
        for i, (token, position, sequence, wanted) in enumerate(rows):
            b.token[i], b.pos[i], b.n_seq_id[i], b.seq_id[i][0], b.logits[i] = token, position, 1, sequence, wanted

    def decode(self):
        if self.c.llama_decode(self.context, self.batch):
            raise RuntimeError("llama_decode failed")

    def clear(self, sequences):
        """An empty context of so many sequences, made anew where their number changes."""
        if self.sequences != sequences:
            if self.context:
                self.c.llama_free(self.context)
            params = self.c.llama_context_default_params()
            context = 0 if self.whole else max(1024, 256 * sequences)  # 0: the model's own, as its programs take it
            params.n_ctx, params.n_batch, params.n_ubatch, params.n_seq_max = context, 2048, 512, sequences
            params.n_threads = params.n_threads_batch = self.threads
            self.context, self.sequences = self.c.llama_init_from_model(self.model, params), sequences
            if not self.context:
                raise RuntimeError("llama.cpp makes no context")
        self.c.llama_memory_clear(self.c.llama_get_memory(self.context), True)

    def prefill(self, n):
        self.clear(1)
        self.fill([(3 + i * 7 % 89, i, 0, i == n - 1) for i in range(n)])
        start = time.perf_counter()
        self.decode()
        self.c.llama_synchronize(self.context)
        return n / (time.perf_counter() - start)

    def steps(self, sequences, n):
        self.clear(sequences)
        start = time.perf_counter()
        for step in range(n):
            self.fill([(3 + (step + s) * 7 % 89, step, s, True) for s in range(sequences)])
            self.decode()
            self.c.llama_synchronize(self.context)
        return sequences * n / (time.perf_counter() - start)


def most_memory(pid):
    """The most bytes that a process has had in memory."""
    with open(f"/proc/{pid}/status") as f:
        return next(int(line.split()[1]) * 1024 for line in f if line.startswith("VmHWM"))


def child(path, threads):
    """Answers lines such as ["steps", 4, 32] with tokens a second."""
    start = time.perf_counter()
    llama = Llama(path, threads)
    llama.whole = True
    llama.prefill(8)
    opened = time.perf_counter() - start
    llama.whole, llama.sequences = False, 0
    print(json.dumps({"seconds": opened, "bytes": most_memory("self")}), flush=True)
    for line in sys.stdin:
        name, *arguments = json.loads(line)
        getattr(llama, name)(*arguments[:-1], min(arguments[-1], 8))  # warms up
        print(json.dumps(getattr(llama, name)(*arguments)), flush=True)


class Peer:
    """A child process that holds a model of llama.cpp."""

    def __init__(self, path, threads):
        self.process = subprocess.Popen(
            [sys.executable, __file__, "--child", path, str(threads)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self.opened = json.loads(self.process.stdout.readline())

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.stdin.close()
        self.process.wait()

    def ask(self, *command):
        self.process.stdin.write(json.dumps(command) + "\n")
        self.process.stdin.flush()
        answer = self.process.stdout.readline()
        if not answer:
            sys.exit("bench-peer: llama.cpp failed, see above")
        return json.loads(answer)


# --- both, in turns ----------------------------------------------------------------


class Run:
    def __init__(self, reasond, cache):
        self.reasond, self.cache = reasond, cache
        self.pieces = words("PEER", PIECES, PIECES)
        self.formats = words("FORMATS", FORMATS, FORMATS)
        self.threads = [int(n) for n in words("THREADS", [str(len(os.sched_getaffinity(0)))])]
        self.rounds = int(words("ROUNDS", ["5"])[0])
        self.rows = []  # what, format, threads, ours, theirs, bandwidth, peak
        self.starts = []
        self.servers = []
        self.limits = {}
        self.machine = ""

    def ours(self, path, threads, *flags):
        out = subprocess.run(
            [self.reasond, "bench", path, "--device", "cpu", "-t", str(threads), "-r", "1", "--json", *flags], check=True, capture_output=True, text=True
        )
        result = json.loads(out.stdout)
        for l in result["limits"]:
            self.limits.setdefault(l["threads"], []).append(l)
        m = result["machine"]
        self.machine = f"{m['cpu']}, {m['cores']} cores, {m['isa']}"
        return {(r["test"], r["batch"]): r for r in result["rows"]}

    def speeds(self, name, threads):
        path = self.cache[name]
        calls = []  # our flags, and for each of our rows: its name, its key, their command
        if "prefill" in self.pieces or "decode" in self.pieces:
            prefill, decode = PREFILL if "prefill" in self.pieces else 0, DECODE if "decode" in self.pieces else 0
            rows = [("prefill", ("prefill", 1), ("prefill", PREFILL))] if prefill else []
            rows += [("decode", ("decode", 1), ("steps", 1, DECODE))] if decode else []
            calls.append((["-p", str(prefill), "-n", str(decode), "--batch", "1"], rows))
        if "batch" in self.pieces:
            flags = ["-p", "0", "-n", str(STEPS), "--batch", ",".join(map(str, BATCHES))]
            calls.append((flags, [(f"batch {n}", ("decode", n), ("steps", n, STEPS)) for n in BATCHES]))
        if not calls:
            return
        got = {}
        with Peer(path, threads) as peer:
            for _ in range(self.rounds):
                for flags, rows in calls:
                    ours = self.ours(path, threads, *flags)
                    for what, key, command in rows:
                        got.setdefault(what, []).append((ours[key], peer.ask(*command)))
        for what, pairs in got.items():
            share = lambda field: statistics.median(p[0][field] for p in pairs)
            self.rows.append((
                what, name, threads, statistics.median(p[0]["tokens_per_s"] for p in pairs), statistics.median(p[1] for p in pairs),
                statistics.median(p[0]["tokens_per_s"] / p[1] for p in pairs), share("bandwidth_share"), share("peak_share"),
            ))

    def start(self, name, threads):
        """From the start to the first token, and the most memory until then, of warm
        files: of ours the whole program, of llama.cpp what comes after Python's own start."""
        path, ours, theirs = self.cache[name], [], []
        for _ in range(self.rounds):
            begin = time.perf_counter()
            p = subprocess.Popen(
                [self.reasond, "generate", "--model", path, "--device", "cpu", "-t", str(threads), "--temperature", "0", "--max-tokens", "1", "Once upon a time"],
                stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            )
            _, status, usage = os.wait4(p.pid, 0)
            p.returncode = os.waitstatus_to_exitcode(status)
            if p.returncode:
                raise RuntimeError("reasond generate failed")
            ours.append((time.perf_counter() - begin, usage.ru_maxrss * 1024))
            with Peer(path, threads) as peer:
                theirs.append((peer.opened["seconds"], peer.opened["bytes"]))
        middle = lambda list, i: statistics.median(v[i] for v in list)
        self.starts.append((name, threads, middle(ours, 0), middle(theirs, 0), middle(ours, 1), middle(theirs, 1), os.path.getsize(path)))

    def server(self, name, threads):
        path = self.cache[name]
        commands = {
            "ours": [self.reasond, "serve", path, "--device", "cpu", "-t", str(threads), "--max-num-seqs", str(CLIENTS), "--port"],
            "theirs": [sys.executable, "-m", "llama_cpp.server", "--model", path, "--n_threads", str(threads), "--n_threads_batch", str(threads), "--n_ctx", "2048", "--interrupt_requests", "false", "--port"],
        }
        if binary := os.environ.get("LLAMA_SERVER"):
            commands["theirs"] = [binary, "-m", path, "-t", str(threads), "-np", str(CLIENTS), "-c", str(CLIENTS * 1024), "--port"]
        got = {}
        for _ in range(min(self.rounds, 3)):
            for side, command in commands.items():
                for tokens, level in self.loads(command).items():
                    got.setdefault(tokens, {}).setdefault(side, []).append(level)
        for tokens, sides in got.items():
            self.servers.append((name, threads, tokens, sides["ours"], sides["theirs"]))

    def loads(self, command):
        port = free_port()
        p = subprocess.Popen([*command, str(port)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            wait_for(port, p)
            levels = {}
            for tokens in PROMPTS:
                # llama_cpp.server counts no usage in streams: words, which come to as many tokens.
                out = subprocess.run(
                    [self.reasond, "bench", "--url", f"http://127.0.0.1:{port}", "--concurrency", str(CLIENTS), "--requests", str(REQUESTS), "--max-tokens", str(ANSWER),
                     "--prompt-words", str({120: 74, 611: 568}[tokens]), "--keep-alive=false", "--timeout", "240", "--json"], check=True, capture_output=True, text=True,
                )
                levels[tokens] = json.loads(out.stdout)["levels"][0] | {"bytes": most_memory(p.pid)}
            return levels
        finally:
            p.send_signal(signal.SIGTERM)
            try:
                p.wait(10)
            except subprocess.TimeoutExpired:
                p.kill()
                p.wait()

    # --- the report ---

    def report(self):
        import llama_cpp

        print(f"{self.machine or platform.machine()}; {time.strftime('%Y-%m-%d', time.gmtime())}; llama-cpp-python {llama_cpp.__version__}; medians of {self.rounds} turns.\n")
        for threads, seen in sorted(self.limits.items()):
            middle = lambda f: statistics.median(f(l) for l in seen)
            units = ", ".join(f"{unit} {middle(lambda l: l['multiply_gop_s'][unit]):.0f} Gop/s" for unit in seen[0]["multiply_gop_s"])
            print(f"Limits measured in the same run, {threads} thread{'s' * (threads > 1)}: memory {middle(lambda l: l['read_gb_s']):.1f} GB/s, {units}.\n")
        if self.rows:
            table(["work", "format", "threads", "reasond, tokens/s", "llama.cpp", "ratio", "target", "bandwidth", "multipliers"], [
                [what, name, threads, number(ours), number(theirs), f"{ratio:.2f}", target(what, name, ratio), percent(bandwidth), percent(peak)]
                for what, name, threads, ours, theirs, ratio, bandwidth, peak in self.rows
            ])
        if self.starts:
            table(["start to the first token", "threads", "reasond, s", "llama.cpp", "ratio", "target", "reasond, MB", "llama.cpp", "file"], [
                [name, threads, f"{a:.2f}", f"{b:.2f}", f"{a / b:.2f}", f"0.5 {'reached' if a <= b / 2 else 'missed'}", f"{m / 1e6:.0f}", f"{n / 1e6:.0f}", f"{size / 1e6:.0f}"]
                for name, threads, a, b, m, n, size in self.starts
            ])
        if self.servers:
            table(["server, 16 clients", "format", "threads", "reasond, tokens/s", "llama.cpp", "ratio", "target", "ITL p50, ms", "p99", "llama.cpp p50", "p99", "TTFT p50", "llama.cpp", "memory, MB", "llama.cpp", "errors"], [
                self.server_row(*row) for row in self.servers
            ])

    def server_row(self, name, threads, tokens, ours, theirs):
        middle = lambda levels, f: statistics.median(f(l) for l in levels)
        speed = lambda l: l["output_tokens_s"]
        ratio = statistics.median(speed(a) / max(speed(b), 1e-9) for a, b in zip(ours, theirs))
        time = lambda levels, what, q: f"{middle(levels, lambda l: (l[what] or {}).get(q, float('nan'))):.1f}"
        failed = sum(l["requests"] - l["ok"] for l in ours), sum(l["requests"] - l["ok"] for l in theirs)
        return [f"{tokens} tokens", name, threads, number(middle(ours, speed)), number(middle(theirs, speed)), f"{ratio:.2f}", target("server", name, ratio),
                time(ours, "itl_ms", "p50"), time(ours, "itl_ms", "p99"), time(theirs, "itl_ms", "p50"), time(theirs, "itl_ms", "p99"),
                time(ours, "ttft_ms", "p50"), time(theirs, "ttft_ms", "p50"), *(f"{middle(side, lambda l: l['bytes']) / 1e6:.0f}" for side in (ours, theirs)), f"{failed[0]} / {failed[1]}"]


def table(header, rows):
    for row in [header, ["---"] * len(header), *rows]:
        print("| " + " | ".join(map(str, row)) + " |")
    print()


def number(v):
    return f"{v:.0f}" if v >= 100 else f"{v:.1f}"


def percent(v):
    return f"{100 * v:.0f} %"


def target(what, name, ratio):
    want = TARGETS[what].get(name)
    return "" if want is None else f"{want} {'reached' if ratio >= want else 'missed'}"


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def wait_for(port, process):
    for _ in range(600):
        if process.poll() is not None:
            raise RuntimeError(f"{process.args[0]} ended with {process.returncode}")
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/v1/models", timeout=2) as answer:
                if answer.status == 200:
                    return
        except OSError:
            time.sleep(0.1)
    raise RuntimeError(f"{process.args[0]} does not answer")


def requantised(model, folder, name):
    """The model in another format, made once."""
    if name == "Q4_1":
        return str(model)
    made = folder / model.name.replace("Q4_1", name)
    if made == model:
        sys.exit(f"bench-peer: {model.name} is not named after its format Q4_1")
    if not made.exists():
        import llama_cpp as c

        print(f"bench-peer: making {made.name}", file=sys.stderr)
        params = c.llama_model_quantize_default_params()
        params.ftype, params.allow_requantize = getattr(c, "LLAMA_FTYPE_MOSTLY_" + name), True
        part = made.with_suffix(".part")
        quiet = ctypes.CFUNCTYPE(None, ctypes.c_int, ctypes.c_char_p, ctypes.c_void_p)(lambda *_: None)
        c.llama_log_set(quiet, None)
        if c.llama_model_quantize(str(model).encode(), str(part).encode(), ctypes.byref(params)):
            sys.exit(f"bench-peer: llama.cpp does not make {name} of {model}")
        part.rename(made)
    return str(made)


def main():
    reasond, model, folder = sys.argv[1], pathlib.Path(sys.argv[2]), pathlib.Path(sys.argv[3])
    run = Run(reasond, {})
    run.cache = {name: requantised(model, folder, name) for name in run.formats}
    for threads in run.threads:
        for name in run.formats:
            print(f"bench-peer: {name}, {threads} threads", file=sys.stderr)
            run.speeds(name, threads)
            if "start" in run.pieces and name in ("Q4_1", "BF16"):
                run.start(name, threads)
            if "server" in run.pieces and name in TARGETS["server"]:
                run.server(name, threads)
    run.report()


if __name__ == "__main__":
    if sys.argv[1] == "--child":
        child(sys.argv[2], int(sys.argv[3]))
    else:
        main()
