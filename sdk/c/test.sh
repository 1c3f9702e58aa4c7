#!/bin/sh
# Runs the SDK's tests and those of its examples with the system's C compiler (or $CC), under
# the sanitizers for addresses and undefined behaviour where it has them.
set -eu
cd "$(dirname "$0")"

cc=${CC:-cc}
out=target/tests
mkdir -p "$out"

flags="-std=c11 -D_POSIX_C_SOURCE=200809L -O1 -g -Wall -Wextra -Werror -Iinclude"
sanitizers="-fsanitize=address,undefined -fno-sanitize-recover=all"
echo 'int main(void) { return 0; }' >"$out/empty.c"
if $cc $sanitizers "$out/empty.c" -o "$out/empty" 2>/dev/null && "$out/empty"; then
  # Each allocation alone, so that one byte too far is seen.
  flags="$flags $sanitizers -DWL_CHUNK_SIZE=1"
else
  echo "without sanitizers: $cc has none"
fi

# run NAME SOURCES: compiles and runs one program.
run() {
  name=$1
  shift
  # shellcheck disable=SC2086
  $cc $flags "$@" src/*.c src/testing/*.c -lm -o "$out/$name"
  echo "# $name"
  "$out/$name"
}

for test in tests/*_test.c; do
  run "$(basename "$test" .c)" "$test"
done
# Once more as a guest has it.
flags=$(echo "$flags" | sed 's/ -DWL_CHUNK_SIZE=1//')
run object_test_in_chunks tests/object_test.c
# The README's controller, and its test.
awk -v out="$out" '/^```/ { inside = $0 == "```c"; number += inside; next }
  inside { print > (out "/readme_" number ".c") }' README.md
run readme "$out"/readme_1.c "$out"/readme_2.c
for example in examples/*/; do
  name=$(basename "$example")
  run "$name" "-I${example}src" "$example"src/*.c "$example"tests/*.c
done
