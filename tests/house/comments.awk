# SPDX-License-Identifier: MIT
# Room for comments, before and after clang-format:
#  - a comment behind code that does not fit into 100 columns goes on lines of its own above the code;
#  - a comment of its own that takes several lines becomes a block, with its opening and closing on their own lines.
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
# The text of one line of a block, without its star; what is indented more stays so.
function text_of(line) {
	sub(/^[ \t]*\*? ?/, "", line)
	return line
}
block {
	if (!sub(/[ \t]*\*\/[ \t]*$/, "")) {
		print indent " *" (text_of($0) == "" ? "" : " " text_of($0))
		next
	}
	if (text_of($0) != "")
		print indent " * " text_of($0)
	print indent " */"
	block = 0
	next
}
/^[ \t]*\/\* [^ ]/ && !/\*\// {
	indent = indent_of($0)
	print indent "/*"
	sub(/^[ \t]*\/\*/, "*")
	print indent " * " text_of($0)
	block = 1
	next
}
/^[ \t]*[^ \t\/#*].*[;,{] *\/\* [^*]*\*\/$/ && columns($0) > 100 {
	at = index($0, "/*")
	code = substr($0, 1, at - 1)
	sub(/[ \t]+$/, "", code)
	print indent_of($0) substr($0, at)
	print code
	next
}
{ print }
