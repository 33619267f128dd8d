#!/usr/bin/env bash
# Compiles every .cu file here for every GPU architecture and puts the fatbins behind
# each other into fatbin/kernels.fatbin, which a build with the tag cuda embeds.
#
#   KERNEL_ARCHS  sm numbers (80 86 89 90 100 120); PTX of the first one is added, for
#                 GPUs that are none of them
#   KERNEL_JOBS   compilers at a time (the machine's cores)
#
# A file is compiled anew only if it, what it includes, this script or the
# architectures changed. ptxas's figures are kept in .cuda/kernels/*/registers.txt; a kernel that
# spills registers is named.
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
archs=${KERNEL_ARCHS:-80 86 89 90 100 120}
jobs=${KERNEL_JOBS:-$(nproc)}
CUDA_HOME=$("$root/internal/cuda/toolkit.sh" home)
set -- $archs
first=$1
out=$root/.cuda/kernels/$(echo "sm $archs" | tr ' ' _)
mkdir -p "$out"
start=$SECONDS
if command -v flock >/dev/null; then # one build at a time
	exec 9>"$out/lock"
	flock 9
fi

targets=(-gencode "arch=compute_$first,code=[sm_$first,compute_$first]")
shift
for sm in "$@"; do
	targets+=(-gencode "arch=compute_$sm,code=sm_$sm")
done

stale() { # its fatbin; beside that lies the list of what it was made of
	local part list=${1%.fatbin}.d
	[ -s "$1" ] && [ -s "$list" ] && [ ! "$here/build.sh" -nt "$1" ] || return 0
	for part in $(sed 's/^[^:]*://; s/\\$//' "$list"); do
		[ -e "$part" ] && [ ! "$part" -nt "$1" ] || return 0
	done
	return 1
}

compile() { # source, its fatbin; which is not there where the compiler refused
	local log=${2%.fatbin}.log
	rm -f "$2"
	if ! "$CUDA_HOME/bin/nvcc" -std=c++17 -O3 -fatbin "${targets[@]}" -Xfatbin -compress-all \
		-Xptxas -v -I "$here" -MMD -MF "${2%.fatbin}.d" -o "$2.new" "$1" >"$log" 2>&1; then
		grep -v '^ptxas info\|^    [0-9]* bytes\|^$' "$log" >&2 || true
		rm -f "$2.new"
		return
	fi
	grep 'warning' "$log" | sort -u >&2 || true # once, not once a target
	mv "$2.new" "$2"
}

# figures turns ptxas's words into lines: kernel, sm, registers, static shared bytes,
# stack bytes, spilled bytes.
figures() {
	awk '
		/Compiling entry function/ { split($0, q, "\047"); kernel = q[2]; sm = q[4]; entry = 1 }
		/Compiling function|Function properties for/ && !/entry/ { if ($NF != kernel) entry = 0; else entry = 1 }
		/bytes stack frame/ && entry { stack = $1; spill = $5 + $9 }
		/Used [0-9]+ registers/ && entry {
			regs = shared = 0
			for (i = 1; i < NF; i++) {
				if ($i == "Used") regs = $(i + 1)
				if ($(i + 1) ~ /^bytes/ && $(i + 2) ~ /^smem/) shared = $i
			}
			print kernel, sm, regs, shared, stack, spill
		}' "$@"
}

sources=("$here"/*.cu)
[ -e "${sources[0]}" ] || { echo "kernels: no .cu files in ${here#"$root/"}" >&2; exit 1; }
compiled=0 broken=0 wanted=()
for source in "${sources[@]}"; do
	fatbin=$out/$(basename "$source" .cu).fatbin
	wanted+=("$fatbin")
	stale "$fatbin" || continue
	compiled=$((compiled + 1))
	while [ "$(jobs -pr | wc -l)" -ge "$jobs" ]; do
		wait -n || true # what did not compile left no file
	done
	compile "$source" "$fatbin" &
done
wait
for fatbin in "${wanted[@]}"; do
	[ -s "$fatbin" ] || broken=$((broken + 1))
done
[ "$broken" -eq 0 ] || { echo "kernels: $broken of ${#wanted[@]} files do not compile" >&2; exit 1; }

figures "${wanted[@]/%.fatbin/.log}" | sort >"$out/registers.txt"
awk '$6 > 0 { print "kernels: warning: " $1 " spills " $6 " bytes on " $2 " (" $3 " registers)" }
	$5 > 0 && $6 == 0 { print "kernels: warning: " $1 " keeps " $5 " bytes of arrays in memory on " $2 }' "$out/registers.txt"
cat "${wanted[@]}" >"$out/all"
cmp -s "$out/all" "$here/fatbin/kernels.fatbin" || cp "$out/all" "$here/fatbin/kernels.fatbin"
rm "$out/all"
echo "kernels: ${#wanted[@]} files ($compiled compiled), $(cut -d' ' -f1 "$out/registers.txt" | sort -u | wc -l) kernels for sm $archs and PTX, $(($(stat -c %s "$here/fatbin/kernels.fatbin") / 1024)) KiB in fatbin/kernels.fatbin, $((SECONDS - start)) s"
