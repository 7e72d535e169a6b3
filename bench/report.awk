# SPDX-License-Identifier: MIT
# Reads times (subject, workload, median ns, ..., levels) and other figures (subject, workload, which, figure), tab-separated, and
# targets (see docs/performance.md); says what `what` asks for: "table", "json" or "check".
BEGIN {
	FS = "\t"
	# Figures that a floor has no call of its own for stand beside those of its nearest relative.
	beside["translate-once"] = "translate-hot"
	beside["translate-batch"] = "translate-cold"
	beside["fault-fresh-tdp"] = "map-4k-ascending"
	beside["fault-random-tdp"] = "map-4k-random"
	beside["fault-fast-fix-tdp"] = "fix-ascending"
	beside["fault-2m-tdp"] = "map-2m"
	beside["prefault-each-tdp"] = "map-range"
	beside["prefault-tdp"] = "map-range"
	beside["prefault-2m-tdp"] = "map-2m"
	beside["log-tdp"] = "write-protect"
	beside["map-4k-ascending-shared"] = "map-4k-ascending"
	beside["map-4k-random-shared"] = "map-4k-random"
	beside["map-range-shared"] = "map-range"
	beside["map-2m-shared"] = "map-2m"
	beside["fix-ascending-shared"] = "fix-ascending"
	beside["fix-random-shared"] = "fix-random"
}
FILENAME ~ /[.]md$/ {
	# A row of the table of targets: | workload | figure | at most | ...
	if (split($0, cell, / *[|] */) >= 4 && cell[3] ~ /^(ratio_f|ratio_c|ratio_ept|instructions|ns|gain_c|table_bytes|more_bytes)$/ &&
	    cell[4] ~ /^(at least )?[0-9.]+$/) {
		target_workload[++targets] = cell[2]
		target_figure[targets] = cell[3]
		target_limit[targets] = cell[4]
		target_is_least[targets] = sub(/^at least /, "", target_limit[targets])
		has_own[cell[2], cell[3]] = 1
	}
	next
}
{
	if (!($2 in known)) {
		known[$2] = ++workloads
		workload[workloads] = $2
	}
	if ($1 !~ /^floor/ && !($1 in is_format)) {
		is_format[$1] = 1
		format[++formats] = $1
	}
}
$3 !~ /^[0-9]/ {
	value[$1, $2, $3] = $4
	has[$3] = 1
	next
}
{
	value[$1, $2, "ns"] = $3
	levels[$1] = $7
}

function ratio(subject, name, other, other_name) {
	if (!((subject, name, "ns") in value) || !((other, other_name, "ns") in value))
		return ""
	return value[subject, name, "ns"] / value[other, other_name, "ns"]
}
# EPT with as many levels as SUBJECT, or four where that is more.
function ept_of(subject) {
	return levels[subject] > 4 ? "ept" levels[subject] : "ept4"
}
# A figure of a format's workload, or "".
function figure(subject, name, which, other_name) {
	other_name = name in beside ? beside[name] : name
	if (which == "ratio_f")
		return ratio(subject, name, "floor", other_name)
	if (which == "ratio_c")
		return ratio(subject, name, "floor-cas", other_name)
	if (which == "ratio_ept")
		return ratio(subject, name, ept_of(subject), name)
	return (subject, name, which) in value ? value[subject, name, which] : ""
}
function shown(number, form) {
	return number == "" ? "" : sprintf(form, number)
}
function digits(number) {
	if (number == "")
		return ""
	return sprintf(number < 0.1 ? "%.4f" : number < 10 ? "%.2f" : "%.0f", number)
}

# To F where F has the workload, else to EPT.
function relative(subject, name, to_floor) {
	to_floor = figure(subject, name, "ratio_f")
	return to_floor == "" ? ratio(subject, name, "ept4", name) : to_floor
}

# Not what is measured in bytes alone.
function has_time(name) {
	return figure("ept4", name, "ns") != ""
}

function print_threads(i, name) {
	print ""
	print "By how much several threads are faster than one:"
	print ""
	print "| workload | ept4 | C | ept4 / C |"
	print "|---|---|---|---|"
	for (i = 1; i <= workloads; i++) {
		name = workload[i]
		if (figure("ept4", name, "gain") != "")
			printf "| %s | %s | %s | %s |\n", name, shown(figure("ept4", name, "gain"), "%.2f"),
				shown(figure("floor-cas", name, "gain"), "%.2f"),
				shown(figure("ept4", name, "gain_c"), "%.2f")
	}
}

function print_memory(i, name) {
	print ""
	print "Bytes for each GiB mapped by 4K pages:"
	print ""
	print "| root | tables | more |"
	print "|---|---|---|"
	for (i = 1; i <= workloads; i++) {
		name = workload[i]
		if (figure("ept4", name, "table_bytes") != "")
			printf "| %s | %d | %d |\n", substr(name, index(name, "-") + 1),
				figure("ept4", name, "table_bytes"), figure("ept4", name, "more_bytes")
	}
}

function print_table(i, f, name, line) {
	print "| workload | ns | F, ns | C, ns | ns / F | ns / C | instructions | F's | C's |"
	print "|---|---|---|---|---|---|---|---|---|"
	for (i = 1; i <= workloads; i++) {
		name = workload[i]
		if (!has_time(name))
			continue
		printf "| %s | %s | %s | %s | %s | %s | %s | %s | %s |\n", name, digits(figure("ept4", name, "ns")),
			digits(figure("floor", name, "ns")), digits(figure("floor-cas", name, "ns")),
			shown(figure("ept4", name, "ratio_f"), "%.2f"), shown(figure("ept4", name, "ratio_c"), "%.2f"),
			digits(figure("ept4", name, "instructions")), digits(figure("floor", name, "instructions")),
			digits(figure("floor-cas", name, "instructions"))
	}
	if (has["gain"])
		print_threads()
	if (has["table_bytes"])
		print_memory()
	if (formats < 2)
		return
	print ""
	print "The formats, each relative to F (faults and replay: to EPT):"
	print ""
	line = "| workload |"
	for (f = 1; f <= formats; f++)
		line = line " " format[f] " |"
	print line
	gsub(/[^|]+/, "---", line)
	print line
	for (i = 1; i <= workloads; i++) {
		name = workload[i]
		if (!has_time(name))
			continue
		line = "| " name " |"
		for (f = 1; f <= formats; f++)
			line = line " " shown(relative(format[f], name), "%.2f") " |"
		print line
	}
}

function print_workloads(subject, indent, i, k, count, name, got, line, separator) {
	separator = ""
	count = split("ns ratio_f ratio_c instructions gain gain_c table_bytes more_bytes", which, " ")
	for (i = 1; i <= workloads; i++) {
		name = workload[i]
		line = ""
		for (k = 1; k <= count; k++) {
			got = figure(subject, name, which[k])
			if (k > 4 && got == "")
				continue
			line = line (k > 1 ? ", " : "") "\"" which[k] "\": " (got == "" ? "null" : sprintf("%.4f", got))
		}
		printf "%s\n%s\"%s\": {%s}", separator, indent, name, line
		separator = ","
	}
}
function print_json(f) {
	printf "{\n  \"schema\": \"vmmu-bench/1\",\n  \"workloads\": {"
	print_workloads("ept4", "    ")
	printf "\n  },\n  \"formats\": {"
	for (f = 1; f <= formats; f++) {
		printf "%s\n    \"%s\": {", (f > 1 ? "," : ""), format[f]
		print_workloads(format[f], "      ")
		printf "\n    }"
	}
	print "\n  }\n}"
}

# One target, one format. Returns 1 when it falls short.
function miss(t, subject, name, got) {
	got = figure(subject, name, target_figure[t])
	if (got == "" && target_figure[t] == "instructions" && !has["instructions"]) {
		left_out++
		return 0
	}
	if (got != "" && (target_is_least[t] ? got >= target_limit[t] + 0 : got <= target_limit[t] + 0))
		return 0
	printf "falls short: %s %s: %s %s, at %s %s\n", subject, name, target_figure[t],
		got == "" ? "not measured" : sprintf("%.3f", got), target_is_least[t] ? "least" : "most", target_limit[t]
	return 1
}
# Which formats a target is for: EPT and NPT, or, relative to EPT, the others.
function applies(t, subject) {
	if (target_figure[t] == "ratio_ept")
		return subject !~ /^ept/
	return subject == "ept4" || subject == "npt4"
}
function check(t, f, i, checked, missed) {
	for (t = 1; t <= targets; t++) {
		for (f = 1; f <= formats; f++) {
			if (!applies(t, format[f]))
				continue
			if (target_workload[t] != "all") {
				checked++
				missed += miss(t, format[f], target_workload[t])
				continue
			}
			for (i = 1; i <= workloads; i++) {
				if (!has_time(workload[i]) || (workload[i], target_figure[t]) in has_own)
					continue
				checked++
				missed += miss(t, format[f], workload[i])
			}
		}
	}
	if (left_out)
		printf "skipped: %d targets of instructions: no valgrind\n", left_out
	printf "targets: %d checked, %d fall short\n", checked - left_out, missed
	return !checked || missed
}

END {
	if (what == "table")
		print_table()
	else if (what == "json")
		print_json()
	else
		exit check()
}
