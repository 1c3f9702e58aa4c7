#!/bin/sh
# Builds the image of Windlass with buildah, for each architecture that is named:
#
#   deploy/image/build.sh registry.example.com/windlass:0.1.0 [amd64] [arm64]
#
# Without one, for this machine's. The same commit, toolchain and certificates give the
# same image: time stamps are those of the commit (or SOURCE_DATE_EPOCH), paths are taken
# out of the binary. Further architectures need the target's standard library (rustup
# target add) and a linker (Debian: gcc-aarch64-linux-gnu, gcc-x86-64-linux-gnu).
# WINDLASS_BINARIES names a folder with <architecture>/windlass to take instead of building.
set -eu

image=${1:?an image to build}
shift
root=$(cd "$(dirname "$0")/../.." && pwd)
certificates=${CERTIFICATES:-/etc/ssl/certs/ca-certificates.crt}
SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git -C "$root" log -1 --format=%ct)}
export SOURCE_DATE_EPOCH
context=$(mktemp -d)
trap 'rm -rf "$context"' EXIT

here() {
    case $(uname -m) in
    x86_64) echo amd64 ;;
    aarch64) echo arm64 ;;
    *) echo "no recipe for $(uname -m)" >&2 && exit 1 ;;
    esac
}

# Builds the binary of one architecture, with libc inside.
compile() {
    case $1 in
    amd64) target=x86_64-unknown-linux-gnu linker=x86_64-linux-gnu-gcc ;;
    arm64) target=aarch64-unknown-linux-gnu linker=aarch64-linux-gnu-gcc ;;
    *) echo "no recipe for $1" >&2 && exit 1 ;;
    esac
    variable=CARGO_TARGET_$(echo "$target" | tr a-z- A-Z_)_LINKER
    cargo_home=${CARGO_HOME:-$HOME/.cargo}
    (
        cd "$root"
        make guests
        env "$variable=$linker" "CC_$(echo "$target" | tr - _)=$linker" \
            RUSTFLAGS="-C target-feature=+crt-static -C strip=symbols --remap-path-prefix=$root=/windlass --remap-path-prefix=$cargo_home=/cargo" \
            cargo build --release --locked --target "$target" --package windlass --bin windlass
    )
    install -D -m 0755 "$root/target/$target/release/windlass" "$context/$1/windlass"
}

[ $# -gt 0 ] || set -- "$(here)"
cp "$certificates" "$context/ca-certificates.crt"
for architecture in "$@"; do
    if [ -n "${WINDLASS_BINARIES:-}" ]; then
        install -D -m 0755 "$WINDLASS_BINARIES/$architecture/windlass" "$context/$architecture/windlass"
    else
        compile "$architecture"
    fi
done

buildah manifest rm "$image" 2>/dev/null || true
buildah manifest create "$image" >/dev/null
for architecture in "$@"; do
    buildah build --platform "linux/$architecture" --timestamp "$SOURCE_DATE_EPOCH" --identity-label=false \
        --manifest "$image" --file "$root/deploy/image/Containerfile" "$context"
done
echo "push it: buildah manifest push --all $image docker://$image"
