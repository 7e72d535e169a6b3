/* SPDX-License-Identifier: MIT */
/* The machine's life, its complaints, its self-check. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "faults/harness.h"

#define FINDINGS_SHOWN 4

/* Of the formats that have groups, which group_test.c is about, one of each engine. */
static bool is_worth_a_run(unsigned index)
{
	const struct vmmu_format_info *info = vmmu_format_info(outside_at(index));

	return outside_is_worth_a_run(index) &&
	       (!info->geometry->group_lg2[1] || !strcmp(info->name, "arm-s2-4k-cont") ||
		!strcmp(info->name, "sv39x4-napot"));
}

struct criterion_test_params machine_formats(void)
{
	static unsigned indexes[32];
	unsigned count = 0;

	for (unsigned i = 0; count < 32 && outside_at(i); i++)
		if (is_worth_a_run(i))
			indexes[count++] = i;
	return cr_make_param_array(unsigned, indexes, count);
}

void machine_op(struct machine *machine, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(machine->ops[machine->op_count % MACHINE_OPS], sizeof(machine->ops[0]), format,
		  args);
	va_end(args);
	machine->op_count++;
}

void machine_fail(struct machine *machine, const char *format, ...)
{
	uint64_t first = machine->op_count > MACHINE_OPS ? machine->op_count - MACHINE_OPS : 0;
	char text[512];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	for (uint64_t op = first; op < machine->op_count; op++)
		fprintf(stderr, "  %s #%llu %s\n", machine->info->name, (unsigned long long)op,
			machine->ops[op % MACHINE_OPS]);
	cr_assert_fail("%s, after operation %llu: %s", machine->info->name,
		       (unsigned long long)machine->op_count, text);
	abort();
}

unsigned machine_leaf_level(const struct machine *machine, unsigned limit)
{
	unsigned level = limit;

	while (level > 1 && !(machine->geometry->leaf_levels & (1u << level)))
		level--;
	return level;
}

static void create_host(struct machine *machine, const struct machine_options *options)
{
	struct host *host = &machine->host;

	host->rest = (struct host_page){
		.pfn = HOST_PFN,
		.level = options->rest_level ? options->rest_level : 1,
		.writable = true,
	};
	host->count = options->host_pages;
	host->pages = calloc(host->count + 1, sizeof(*host->pages));
	cr_assert_not_null(host->pages);
	for (uint64_t i = 0; i < host->count; i++) {
		host->pages[i] = host->rest;
		host->pages[i].pfn += i;
		host->pages[i].level = 1;
	}
}

static void create_vcpus(struct machine *machine, unsigned count)
{
	machine->vcpu_count = count;
	for (unsigned i = 0; i < count; i++)
		cr_assert_eq(vmmu_vcpu_create(machine->vm, i, &machine->vcpu[i].vcpu), 0);
}

struct machine *machine_create(unsigned format_index, const struct machine_options *given)
{
	const struct machine_options defaults = {.address_spaces = 1, .vcpus = 1, .host_pages = 64};
	const struct machine_options *options = given ? given : &defaults;
	struct machine *machine = calloc(1, sizeof(*machine));
	struct vmmu_env env = options->env ? *options->env : machine_env;
	struct vmmu_vm_options vm_options = {.size = sizeof(vm_options), .env = &env};

	cr_assert_not_null(machine);
	vmmu_thread_register();
	machine->format = outside_at(format_index);
	cr_assert_not_null(machine->format);
	machine->info = vmmu_format_info(machine->format);
	machine->geometry = machine->info->geometry;
	machine->page_shift = machine->geometry->page_shift;
	machine->faults_drop_tlb = !strncmp(machine->info->architecture, "x86", 3);
	machine->as_count = options->address_spaces ? options->address_spaces : 1;
	machine->max_level = options->max_level ? options->max_level : VMMU_LEVELS_MAX;
	machine->nx_huge = options->nx_huge;
	machine->dirty_flags = options->dirty_flags;
	machine->has_rings = options->ring_entries;
	machine->dirty_source = options->dirty_source;
	machine->prefetch = options->prefetch;
	machine->span_lg2_max = options->span_lg2_max;
	create_host(machine, options);
	if (options->no_host_level)
		env.host_level = NULL;
	if (!options->span_lg2_max)
		env.host_span = NULL;
	vm_options.format = machine->format;
	vm_options.env_ctx = machine;
	vm_options.address_spaces = options->address_spaces;
	vm_options.max_level = options->max_level;
	vm_options.nx_huge = options->nx_huge;
	vm_options.eager_split = options->eager_split;
	vm_options.resize = options->resize;
	vm_options.policies = options->policies;
	vm_options.tables_bytes = options->tables_bytes;
	vm_options.tables_max = options->tables_max;
	vm_options.dirty_flags = options->dirty_flags;
	vm_options.dirty_ring_entries = options->ring_entries;
	vm_options.dirty_source = options->dirty_source;
	vm_options.root = test_root();
	hardware_create(machine, options, &vm_options);
	cr_assert_eq(vmmu_vm_create(&vm_options, &machine->vm), 0);
	create_vcpus(machine, options->vcpus ? options->vcpus : 1);
	hardware_attach(machine);
	return machine;
}

static void print_finding(void *ctx, const struct vmmu_finding *finding)
{
	struct machine *machine = ctx;

	if (++machine->findings > FINDINGS_SHOWN)
		return;
	fprintf(stderr, "  %s audit: %s: %s (as %u gfn %#llx level %u)\n", machine->info->name,
		finding->invariant, finding->text, finding->as_id, (unsigned long long)finding->gfn,
		finding->level);
}

void machine_audit(struct machine *machine)
{
	struct vmmu_audit audit = {0};

	if (vmmu_audit(machine->vm, &audit, print_finding, machine))
		machine_fail(machine, "vmmu_audit() failed");
	if (audit.violations)
		machine_fail(machine, "audit: %llu violations",
			     (unsigned long long)audit.violations);
	if (machine->bugs)
		machine_fail(machine, "on_bug was called");
}

struct vmmu_stats machine_stats(struct machine *machine)
{
	struct vmmu_stats stats;

	vmmu_vm_stats(machine->vm, &stats);
	return stats;
}

void machine_check_counters(struct machine *machine)
{
	struct vmmu_stats stats = machine_stats(machine);
	uint64_t outcomes = 0;

	for (unsigned i = 0; i < VMMU_OUTCOMES; i++)
		outcomes += stats.faults[i];
	if (outcomes != machine->fault_calls ||
	    machine->events[VMMU_EVENT_FAULT] != machine->fault_calls ||
	    machine->events[VMMU_EVENT_OUTCOME] != machine->fault_calls)
		machine_fail(machine, "%llu faults, %llu outcomes counted, events %llu and %llu",
			     (unsigned long long)machine->fault_calls, (unsigned long long)outcomes,
			     (unsigned long long)machine->events[VMMU_EVENT_FAULT],
			     (unsigned long long)machine->events[VMMU_EVENT_OUTCOME]);
	if (stats.flushes != machine->all_flushes || stats.local_flushes != machine->local_flushes)
		machine_fail(machine, "%llu and %llu flushes counted, %llu and %llu seen",
			     (unsigned long long)stats.flushes,
			     (unsigned long long)stats.local_flushes,
			     (unsigned long long)machine->all_flushes,
			     (unsigned long long)machine->local_flushes);
	if (stats.tables != stats.tables_allocated - stats.tables_freed - stats.tables_awaiting)
		machine_fail(machine, "%llu tables live", (unsigned long long)stats.tables);
	if (machine->events[VMMU_EVENT_MMIO_SET] != stats.mmio_installed)
		machine_fail(machine, "mmio_installed is %llu",
			     (unsigned long long)stats.mmio_installed);
}

void machine_replace(struct machine *machine, const struct vmmu_vm_options *options)
{
	vmmu_vm_destroy(machine->vm);
	hardware_destroy(machine);
	machine->hardware = NULL;
	machine->vcpu_count = 1;
	cr_assert_eq(vmmu_vm_create(options, &machine->vm), 0);
	cr_assert_eq(vmmu_vcpu_create(machine->vm, 0, &machine->vcpu[0].vcpu), 0);
}

void machine_destroy(struct machine *machine)
{
	machine_audit(machine);
	machine_discard(machine);
}

void machine_discard(struct machine *machine)
{
	vmmu_vm_destroy(machine->vm);
	hardware_destroy(machine);
	for (unsigned i = 0; i < MACHINE_SLOTS; i++) {
		free(machine->slots[i].written);
		free(machine->slots[i].touched);
	}
	free(machine->host.pages);
	free(machine->private_pages);
	free(machine);
	vmmu_thread_unregister();
}
