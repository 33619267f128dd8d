#!/bin/sh
# Builds lib/libtokenizers.a, the static library that internal/native links.
#
#   build.sh [fast|release]    fast is the default; release takes longer (LTO)
#   build.sh test              runs the crate's own tests
#
# It does nothing when the inputs (the crate, its lock file, the version of
# daulet/tokenizers in go.mod, the compiler, the profile) are those of the
# library that is there.
set -eu
profile=${1:-fast}
case $profile in fast | release | test) ;; *)
	echo "build.sh: unknown argument '$profile': fast, release or test" >&2
	exit 2
	;;
esac

here=$(cd "$(dirname "$0")" && pwd)
crate=$here/rust
library=$here/lib/libtokenizers.a
stamp=$here/lib/stamp

missing=
for tool in cargo go cc c++; do
	command -v "$tool" >/dev/null 2>&1 || missing="$missing $tool"
done
if [ -n "$missing" ]; then
	echo "build.sh: missing:$missing (needed to build the native library)" >&2
	exit 1
fi

# What the library is made of, as one hash.
inputs() {
	echo "$profile ${CARGO_BUILD_TARGET:-} ${RUSTFLAGS:-}"
	cargo -V
	grep 'github.com/daulet/tokenizers ' "$here/../../go.mod"
	cd "$crate"
	cat "$here/build.sh" Cargo.toml Cargo.lock .cargo/config.toml
	find src -type f | LC_ALL=C sort | xargs cat
}
want=$(inputs | cksum)
if [ "$profile" != test ] && [ -f "$library" ] && [ -f "$here/library.h" ] && [ "$(cat "$stamp" 2>/dev/null)" = "$want" ]; then
	exit 0
fi

# daulet/tokenizers' Rust half lies in the Go module cache. Three lines of its
# manifest change: it becomes a plain library, takes tiktoken-rs from the
# registry (not from a branch of a git fork), and loses its benchmarks.
copy_daulet() {
	cd "$here/../.."
	go mod download github.com/daulet/tokenizers
	from=$(go list -m -f '{{.Dir}}' github.com/daulet/tokenizers)
	mkdir -p "$crate/daulet/src"
	update "$crate/daulet/src/lib.rs" <"$from/src/lib.rs"
	awk '
		/^\[/ { keep = ($0 == "[package]" || $0 == "[lib]" || $0 == "[dependencies]") }
		!keep { next }
		/^crate-type/ { print "crate-type = [\"rlib\"]"; next }
		/^tiktoken-rs/ { print "tiktoken-rs = \"0.7\""; next }
		{ print }
	' "$from/Cargo.toml" | update "$crate/daulet/Cargo.toml"
}

# Writes standard input to a file unless it holds just that: cargo goes by time.
update() {
	cat >"$1.new"
	if cmp -s "$1.new" "$1"; then rm "$1.new"; else mv "$1.new" "$1"; fi
}

if [ "$profile" = test ]; then
	copy_daulet
	cd "$crate"
	exec cargo test --quiet --locked --lib --profile fast --target-dir target
fi

echo "building the native library ($profile); the first time takes minutes" >&2
copy_daulet
cd "$crate"
cargo build --quiet --locked --lib --profile "$profile" --target-dir target
mkdir -p "$here/lib"
# A rename, so that a linker never sees half a file.
cp "target/${CARGO_BUILD_TARGET:+$CARGO_BUILD_TARGET/}$profile/libreasond_native.a" "$library.new"
mv "$library.new" "$library"
# Go does not look into a library that it links: this header tells it that the
# library has changed.
echo "#define NATIVE_LIBRARY \"$profile $want\"" >"$here/library.h"
echo "$want" >"$stamp"
