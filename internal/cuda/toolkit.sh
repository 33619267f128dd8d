#!/usr/bin/env bash
# Finds a CUDA toolkit, or fetches a compiler and headers into .cuda.
#
#   toolkit.sh home          print the toolkit's folder; fails where there is none
#   toolkit.sh get [PYTHON]  see that there is one; fetches it with PYTHON's pip
#   toolkit.sh env           print the shell lines that building with the tag cuda needs
#
# In this order: $CUDA_HOME, .cuda, nvcc on the PATH, /usr/local/cuda. A toolkit
# older than 12.8 does not know every GPU that kernels are compiled for and is
# passed over, unless CUDA_HOME names it.
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
fetched=$root/.cuda/toolkit

release() { # folder → "13.0"; nothing where it holds no toolkit
	[ -f "$1/include/cuda.h" ] || return 0
	"$1/bin/nvcc" --version 2>/dev/null | sed -n 's/.*release \([0-9]*\.[0-9]*\),.*/\1/p' || true
}

new_enough() { # "12.9" → yes
	local major=${1%%.*} minor=${1##*.}
	[ -n "$1" ] && { [ "$major" -gt 12 ] || { [ "$major" -eq 12 ] && [ "$minor" -ge 8 ]; }; }
}

on_path() { # the folder of nvcc on the PATH
	local nvcc
	nvcc=$(command -v nvcc) || return 0
	dirname "$(dirname "$(readlink -f "$nvcc")")"
}

home() {
	local folder
	if [ -n "${CUDA_HOME:-}" ]; then
		[ -n "$(release "$CUDA_HOME")" ] || { echo "CUDA_HOME=$CUDA_HOME holds no toolkit (bin/nvcc, include/cuda.h)" >&2; return 1; }
		echo "$CUDA_HOME"
		return
	fi
	for folder in "$fetched" "$(on_path)" /usr/local/cuda; do
		if [ -n "$folder" ] && new_enough "$(release "$folder")"; then
			echo "$folder"
			return
		fi
	done
	echo "no CUDA toolkit: make cuda-toolkit" >&2
	return 1
}

fetch() {
	local python=$1 start=$SECONDS work=$root/.cuda/fetching
	rm -rf "$work"
	mkdir -p "$work"
	"$python" -m pip download --quiet --disable-pip-version-check --no-deps --only-binary :all: \
		--dest "$work/wheels" --requirement "$here/toolkit.txt"
	local size
	size=$(du -sm "$work/wheels" | cut -f1)
	for wheel in "$work"/wheels/*.whl; do
		"$python" -m zipfile -e "$wheel" "$work/tree"
	done
	local found=("$work"/tree/nvidia/cu*)
	chmod +x "${found[0]}"/bin/* "${found[0]}"/nvvm/bin/*
	rm -rf "$fetched"
	mv "${found[0]}" "$fetched"
	rm -rf "$work"
	cp "$here/toolkit.txt" "$fetched/toolkit.txt"
	echo "cuda-toolkit: fetched $size MB in $((SECONDS - start)) s"
}

get() {
	local folder
	if [ -d "$fetched" ] && ! cmp -s "$here/toolkit.txt" "$fetched/toolkit.txt"; then
		rm -rf "$fetched" # of other versions
	fi
	if ! folder=$(home 2>/dev/null); then
		[ -z "${CUDA_HOME:-}" ] || home >/dev/null
		fetch "$1"
		folder=$(home)
	fi
	echo "cuda-toolkit: nvcc $(release "$folder") in ${folder#"$root/"}"
}

case "${1:-}" in
home) home ;;
get) get "${2:-python3}" ;;
env)
	folder=$(home)
	echo "export CUDA_HOME='$folder'"
	echo "export CGO_CFLAGS='-O2 -g -I$here/compat -I$folder/include'"
	;;
*)
	echo "usage: toolkit.sh home|get|env" >&2
	exit 2
	;;
esac
