#!/usr/bin/env bash
# Puts into dist/gpu what a machine with a GPU needs to run gpu-check: a test binary,
# reasond and the kernels that both take, all stripped, and the goldens that the suites
# read. The folders are those of the repository, for tests read files by relative paths. Under
# 50 MiB in all. `make gpu-bundle` calls this after building the kernels.
set -euo pipefail
root=$(cd "$(dirname "$0")/../.." && pwd)
cd "$root"
to=$root/dist/gpu
most=$((50 << 20))
eval "$(internal/cuda/toolkit.sh env)"
rm -rf "$to"
mkdir -p "$to/internal/backend/cuda" "$to/testdata"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

go run ./internal/gpucheck/bundle "$work"
go test -c -vet=off -tags cuda -overlay "$work/tests.json" -ldflags '-s -w' -o "$to/gpucheck.test" ./internal/gpucheck
version=$(git describe --tags --always --dirty 2>/dev/null || echo unknown)
go build -tags cuda -overlay "$work/program.json" -ldflags "-s -w -X github.com/reasond/reasond/internal/cli.version=$version -extldflags -Wl,--gc-sections" \
	-o "$to/reasond" ./cmd/reasond
cp kernels/cuda/fatbin/kernels.fatbin internal/gpucheck/gpu-check internal/gpucheck/peer.py "$to/"
cp -r testdata/models "$to/testdata/"
find "$to/testdata" -name '*.py' -delete
rm "$to"/testdata/models/*.gguf # the weights of the folders of these names, once more

size=$(du -sb "$to" | cut -f1)
echo "dist/gpu: $((size >> 20)) MiB; on the GPU machine: gpu/gpu-check"
if [ "$size" -gt $most ]; then
	du -ab "$to" | sort -n | tail >&2
	echo "that is more than $((most >> 20)) MiB" >&2
	exit 1
fi
