#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# Looks at the source without running it. One line per check, 'ok ...' or 'FAIL ...', with what is
# wrong below the line; the exit status is not 0 when a check failed.
set -euo pipefail
# shellcheck source=devtools/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
cd "$ROOT"

MAX_LINES=600
SUPPRESSIONS=devtools/cppcheck-suppressions.txt

usage() {
	cat <<-END
		usage: devtools/check.sh [--fix]
		  --fix   brings the layout of the C files in order instead of checking
	END
}

# files PATTERN...: our files of these names, committed or not, except what git ignores.
files() {
	local pattern match=()

	if git -c safe.directory="$ROOT" rev-parse --is-inside-work-tree >/dev/null 2>&1; then
		git -c safe.directory="$ROOT" ls-files -co --exclude-standard -- "$@" |
			while read -r file; do [[ ! -f $file ]] || say "$file"; done
		return
	fi
	# A source archive: no git to ask.
	for pattern in "$@"; do
		match+=(-o -name "$pattern")
	done
	find . \( -path './build*' -o -path ./deps -o -name __pycache__ \) -prune -o \
		-type f \( "${match[@]:1}" \) -printf '%P\n' | sort
}

# scripts: shell scripts, by name or by first line.
scripts() {
	files '*.sh'
	files '.ci/*' 'run' 'devtools/*' | while read -r file; do
		[[ $file == *.sh ]] || ! head -n 1 "$file" | grep -q '^#!.*bash' || say "$file"
	done | sort -u
}

need() {
	command -v "$1" >/dev/null || {
		say "$1 is not installed; run devtools/setup.sh"
		return 1
	}
}

# Each check prints what is wrong and returns non-zero then.

check_layout() {
	need clang-format
	local places

	places=$(files '*.c' '*.h' | xargs -r clang-format --dry-run -Werror 2>&1) && return
	# Where is enough: what it should look like, --fix shows.
	awk -F: '/: error: / && !seen[$1]++ { print $1 ", first in line " $2 }' <<<"$places" |
		grep . || say "$places"
	say "devtools/check.sh --fix brings it in order"
	return 1
}

check_cppcheck() {
	need cppcheck
	local queue

	# It reads no system headers, but cannot guess what the macros of this one make.
	queue=$(find /usr/include -path '*sys/queue.h' | sed -n 1p)
	files '*.c' | xargs -r cppcheck --quiet --std=c11 --error-exitcode=1 -j "$(nproc)" \
		--enable=warning,performance,portability --inline-suppr \
		--suppressions-list="$SUPPRESSIONS" ${queue:+"--include=$queue"} \
		-I drivers/net/memif -I drivers/net/memif/base
}

# In the first three lines: below #! and an encoding or XML line.
check_spdx() {
	local file wrong=0

	while read -r file; do
		head -n 3 "$file" | grep -q 'SPDX-License-Identifier: BSD-3-Clause' || {
			say "$file: no line 'SPDX-License-Identifier: BSD-3-Clause' at its top"
			wrong=1
		}
	done < <(files '*.c' '*.h' '*.py' '*.sh' '*.map' '*meson.build' '*meson_options.txt' \
		'.ci/*' | sort -u)
	return $wrong
}

check_length() {
	local file lines wrong=0

	while read -r file; do
		lines=$(wc -l <"$file")
		((lines <= MAX_LINES)) || {
			say "$file: $lines lines, at most $MAX_LINES are wanted; divide it"
			wrong=1
		}
	done < <(files '*.c' '*.h' '*.py' '*.sh')
	return $wrong
}

check_shell() {
	local file wrong=0

	while read -r file; do
		bash -n "$file" || wrong=1
		[[ -x $file || $file == */lib.sh ]] || {
			say "$file: not executable"
			wrong=1
		}
	done < <(scripts)
	return $wrong
}

# Compiled in memory: py_compile would leave files behind.
check_python() {
	files '*.py' | "$PYTHON" -W error -c '
import sys
wrong = False
for path in sys.stdin.read().split("\n"):
    if not path:
        continue
    try:
        with open(path, encoding="utf-8") as source:
            compile(source.read(), path, "exec", dont_inherit=True)
    except (SyntaxError, ValueError, Warning) as error:
        print(f"{path}: {error}")
        wrong = True
sys.exit(wrong)'
}

# The table of mutations: each text is in the source, each test exists.
check_mutations() {
	"$PYTHON" devtools/mutate.py --check
}

fix() {
	need clang-format
	files '*.c' '*.h' | xargs -r clang-format -i
}

# run NAME FUNCTION
run() {
	local output

	# In a shell of its own, or the condition would switch its set -e off.
	if output=$(bash -c 'source "$0" --functions && "$1"' "$0" "$2" 2>&1); then
		say "ok $1"
		return
	fi
	say "FAIL $1"
	failed=1
	sed 's/^/    /' <<<"$output"
}

case ${1-} in
--functions) return 0 ;;
--fix)
	fix
	exit 0
	;;
'') ;;
*)
	usage
	[[ $1 == -h || $1 == --help ]] && exit 0
	exit 1
	;;
esac

failed=0
run "layout (clang-format)" check_layout
run "cppcheck" check_cppcheck
run "SPDX lines" check_spdx
run "files of at most $MAX_LINES lines" check_length
run "shell scripts (bash -n)" check_shell
run "Python files compile" check_python
run "mutations fit the source" check_mutations
exit $failed
