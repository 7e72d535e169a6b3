# SPDX-License-Identifier: MIT
# Room for comments, which clang-format leaves alone (it would run lists and tables together):
#  - a comment behind code that does not fit into 100 columns goes above the code;
#  - a comment of its own that takes several lines becomes a block, with its opening and closing on their own lines;
#  - a line of such a block that is too long is broken, and what is left over joins the lines of its paragraph.
# Applied to its own output it changes nothing.
function columns(line, at) {
	while ((at = index(line, "\t")))
		line = substr(line, 1, at - 1) substr("        ", 1 + (at - 1) % 8) substr(line, at + 1)
	return length(line)
}
function indent_of(line) {
	match(line, /^[ \t]*/)
	return substr(line, 1, RLENGTH)
}
function pad(count) {
	return sprintf("%" count "s", "")
}
# The text of one line of a block, without its star; what is indented more stays so.
function text_of(line) {
	sub(/^[ \t]*\*? ?/, "", line)
	sub(/[ \t]+$/, "", line)
	return line
}
function is_item(text) {
	return text ~ /^ *(-E[A-Z]|[-*] )/
}
# Where the lines go on that follow a line of a paragraph or list item.
function hang_of(text) {
	if (!match(text, /^ *-E[A-Z]+ +/) && !match(text, /^ *[-*] +/))
		match(text, /^ */)
	return RLENGTH
}
function put_line(text) {
	print indent " *" (text == "" ? "" : " " text)
}
# The last blank of TEXT before which it fits; 0: none behind its first word.
function break_at(text, from, at, i) {
	for (i = from + 1; i <= length(text); i++) {
		if (columns(indent " * " substr(text, 1, i - 1)) > 100)
			break
		if (substr(text, i, 1) == " ")
			at = i
	}
	return at + 0
}
function flush_carry() {
	if (carry != "")
		put_line(pad(carry_hang) carry)
	carry = ""
}
function put(text, hang, at) {
	if (carry != "" && text != "" && !is_item(text) && hang_of(text) == carry_hang)
		text = pad(carry_hang) carry " " substr(text, carry_hang + 1)
	else
		flush_carry()
	carry = ""
	hang = hang_of(text)
	while (columns(indent " * " text) > 100 && (at = break_at(text, hang))) {
		put_line(substr(text, 1, at - 1))
		carry = substr(text, at + 1)
		carry_hang = hang
		text = pad(hang) carry
	}
	if (carry == "")
		put_line(text)
}
function open_block(line) {
	indent = indent_of(line)
	print indent "/*"
	sub(/^[ \t]*\/\*/, "*", line)
	return line
}
# LINE, which may be the block's last.
function in_block(line, last) {
	last = sub(/[ \t]*\*\/[ \t]*$/, "", line)
	line = text_of(line)
	if (!last || line != "")
		put(line)
	if (!last)
		return
	flush_carry()
	print indent " */"
	block = 0
}
block {
	in_block($0)
	next
}
/^[ \t]*\/\*/ && !/\*\/./ && (/^[ \t]*\/\*$/ || !/\*\// || columns($0) > 100) {
	block = 1
	if (/^[ \t]*\/\*$/) {
		indent = indent_of($0)
		print
	} else {
		in_block(open_block($0))
	}
	next
}
/^([ \t]*[^ \t\/#*].*[;,{]|#define .*) *\/\* [^*]*\*\/$/ && columns($0) > 100 {
	at = index($0, "/*")
	code = substr($0, 1, at - 1)
	sub(/[ \t]+$/, "", code)
	comment = indent_of($0) substr($0, at)
	if (columns(comment) > 100)
		in_block(open_block(comment))
	else
		print comment
	print code
	next
}
{ print }
