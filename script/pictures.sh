#!/usr/bin/env bash
# Makes the pictures of docs/ and README.md: reports of an audit of /usr, in a
# browser and in a spreadsheet. Needs chromium, soffice, pdftoppm and convert.
set -euo pipefail
cd "$(dirname "$0")/.."
out=docs/pictures
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
mkdir -p "$out"

go run ./cmd/hydra audit -q --report "$tmp/usr.html" --report "$tmp/usr.xlsx" /usr >"$tmp/summary"

# shot NAME WIDTH HEIGHT SCHEME, which is 0 for dark and 1 for light
shot() {
	chromium --headless --no-sandbox --disable-gpu --disable-quic --no-first-run \
		--disable-background-networking --disable-component-update --disable-sync \
		--user-data-dir="$tmp/profile" --hide-scrollbars --window-size="$2,$3" \
		--blink-settings=preferredColorScheme="$4" --screenshot="$tmp/$1.png" "file://$tmp/usr.html" 2>"$tmp/log" ||
		{ cat "$tmp/log" >&2; exit 1; }
	convert "$tmp/$1.png" -colors 200 -strip "$out/$1.png"
}
shot page-light 1280 1250 1
shot page-dark 1280 1250 0
shot page-phone 500 1250 1

(cd "$tmp" && soffice --headless --convert-to pdf usr.xlsx >"$tmp/log" 2>&1) || { cat "$tmp/log" >&2; exit 1; }
pdftoppm -r 80 -png -f 2 -l 3 "$tmp/usr.pdf" "$tmp/sheet"
convert "$tmp"/sheet-*.png -trim +repage -resize 1280x -append -colors 200 -strip "$out/workbook.png"
ls -l "$out"
