# SPDX-License-Identifier: MIT
# The functions that headers declare with VMMU_API, one a line: the first name of a declaration that a parenthesis
# follows.
/^[ \t]*#/ {
	next
}
{
	text = text " " $0
}
END {
	# Comments may hold anything: they go first.
	while ((from = index(text, "/*")) && (to = index(substr(text, from + 2), "*/")))
		text = substr(text, 1, from - 1) " " substr(text, from + to + 3)
	count = split(text, part, /VMMU_API[ \t]/)
	for (i = 2; i <= count; i++)
		if (match(part[i], /[a-z_0-9]+\(/))
			print substr(part[i], RSTART, RLENGTH - 1)
}
