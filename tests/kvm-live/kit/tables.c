/* SPDX-License-Identifier: MIT */
/*
 * Second-stage tables read back from the running kernel. KVM on arm64 and riscv64 has no
 * tracepoint that says which entry it wrote, so after every step the tables are read through
 * /proc/kcore and each entry that changed goes into the trace:
 *   entry level L gpa GPA at ADDRESS-OF-THE-ENTRY old OLD new NEW
 * Entries under a pointer that went away get no lines of their own.
 */
#include "vmm.h"
#include <elf.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct table {
	unsigned long address;
	unsigned int count;
	unsigned long *entry;
	struct table **below;
};

static int kcore = -1;
static Elf64_Phdr ranges[64];
static int range_count;

static void open_kcore(void)
{
	Elf64_Ehdr head;

	if (kcore >= 0)
		return;
	kcore = open("/proc/kcore", O_RDONLY);
	if (kcore < 0 || pread(kcore, &head, sizeof(head), 0) != sizeof(head))
		die("/proc/kcore");
	range_count = head.e_phnum < 64 ? head.e_phnum : 64;
	if (pread(kcore, ranges, range_count * sizeof(*ranges), head.e_phoff) < 0)
		die("/proc/kcore");
}

static int is_ram(const Elf64_Phdr *r)
{
	return r->p_type == PT_LOAD && r->p_paddr != (Elf64_Addr)-1;
}

static int read_physical(unsigned long address, void *to, unsigned long bytes)
{
	open_kcore();
	for (int i = 0; i < range_count; i++)
		if (is_ram(&ranges[i]) && address - ranges[i].p_paddr < ranges[i].p_memsz)
			return pread(kcore, to, bytes,
				     ranges[i].p_offset + (address - ranges[i].p_paddr)) ==
					       (ssize_t)bytes
				       ? 0
				       : -1;
	return -1;
}

int tables_read_virtual(unsigned long address, void *to, unsigned long bytes)
{
	open_kcore();
	for (int i = 0; i < range_count; i++)
		if (ranges[i].p_type == PT_LOAD && address - ranges[i].p_vaddr < ranges[i].p_memsz)
			return pread(kcore, to, bytes,
				     ranges[i].p_offset + (address - ranges[i].p_vaddr)) > 0
				       ? 0
				       : -1;
	return -1;
}

unsigned long tables_physical(unsigned long kernel_address)
{
	open_kcore();
	for (int i = 0; i < range_count; i++)
		if (is_ram(&ranges[i]) && kernel_address - ranges[i].p_vaddr < ranges[i].p_memsz)
			return ranges[i].p_paddr + (kernel_address - ranges[i].p_vaddr);
	return 0;
}

unsigned long tables_trace_value(const char *name)
{
	char line[512], key[32];
	unsigned long value = 0;
	FILE *trace = fopen("/sys/kernel/tracing/trace", "r");

	if (!trace)
		return 0;
	snprintf(key, sizeof(key), " %s=", name);
	while (!value && fgets(line, sizeof(line), trace)) {
		char *at = strstr(line, key);

		if (at)
			value = strtoul(at + strlen(key), 0, 0);
	}
	fclose(trace);
	return value;
}

unsigned long tables_symbol(const char *name)
{
	char line[512], found[128];
	unsigned long at, value = 0;
	FILE *symbols = fopen("/proc/kallsyms", "r");

	if (!symbols)
		return 0;
	while (!value && fgets(line, sizeof(line), symbols))
		if (sscanf(line, "%lx %*c %127s", &at, found) == 2 && !strcmp(found, name))
			value = at;
	fclose(symbols);
	return value;
}

static void forget(struct table *t)
{
	if (!t)
		return;
	for (unsigned int i = 0; i < t->count; i++)
		forget(t->below[i]);
	free(t->below);
	free(t->entry);
	free(t);
}

static struct table *new_table(unsigned long address, unsigned int count)
{
	struct table *t = calloc(1, sizeof(*t));

	t->address = address;
	t->count = count;
	t->entry = calloc(count, sizeof(*t->entry));
	t->below = calloc(count, sizeof(*t->below));
	return t;
}

/* Compare one table with what it was; the tables under it after it. */
static void report(struct table *t, unsigned long gpa, int shift, const struct table_format *f)
{
	unsigned long *now = malloc(t->count * sizeof(*now));

	if (read_physical(t->address, now, t->count * sizeof(*now)))
		die("reading a table");
	for (unsigned int i = 0; i < t->count; i++) {
		unsigned long below = f->next(now[i], shift);
		unsigned long entry_gpa = gpa + ((unsigned long)i << shift);
		char line[160];

		if (now[i] != t->entry[i]) {
			snprintf(line, sizeof(line),
				 "entry level %d gpa %lx at %lx old %lx new %lx", f->level(shift),
				 entry_gpa, t->address + 8UL * i, t->entry[i], now[i]);
			mark(line);
			t->entry[i] = now[i];
		}
		if (t->below[i] && t->below[i]->address != below) {
			forget(t->below[i]);
			t->below[i] = 0;
		}
		if (below && !t->below[i])
			t->below[i] = new_table(below, 512);
		if (below)
			report(t->below[i], entry_gpa, shift - 9, f);
	}
	free(now);
}

void tables_report(unsigned long root, const struct table_format *format)
{
	static struct table *top;

	if (!top)
		top = new_table(root, 1U << format->root_bits);
	report(top, 0, format->root_shift, format);
}
