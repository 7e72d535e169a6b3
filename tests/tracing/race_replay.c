/* SPDX-License-Identifier: MIT */
/*
 * A trace of four vCPUs, written here, replayed one event after the other and by 1, 2 and 4
 * threads, on both kinds of roots. Where each vCPU has pages of its own (but tables in common) all
 * that can be seen is the same: tables, outcomes, dirty pages. Where they share pages, the same
 * pages are mapped.
 */
#include <string.h>
#include <unistd.h>
#include <vmmu/vmmu.h>

#include "base/race.h"

#define VCPUS  4
#define PAGES  2048u /* of memory; the last eighth logs writes */
#define LOGGED (PAGES / 8)
#define FAULTS 6000u
#define GPA    UINT64_C(0x80000000)
#define HVA    UINT64_C(0x7f0000000000)

static struct vmmu_trace_options trace_options = {.size = sizeof(trace_options),
						  .semantics = VMMU_SEMANTICS_EPT};

static void write_x86(FILE *out, unsigned vcpu, uint64_t gpa, unsigned access)
{
	fprintf(out, "kvm_page_fault: vcpu %u rip 0x1 address 0x%016llx error_code 0x%x\n", vcpu,
		(unsigned long long)gpa, 0x180 | access);
}

static void write_arm64(FILE *out, unsigned vcpu, uint64_t gpa, unsigned access)
{
	unsigned hsr = access == VMMU_EXEC    ? 0x82000007
		       : access == VMMU_WRITE ? 0x92000047
					      : 0x92000007;

	(void)vcpu;
	fprintf(out, "kvm_guest_fault: ipa 0x%llx, hsr 0x%x, hxfar 0x%llx, pc 0x1\n",
		(unsigned long long)gpa, hsr, (unsigned long long)gpa);
}

static void write_riscv64(FILE *out, unsigned vcpu, uint64_t gpa, unsigned access)
{
	unsigned cause = access == VMMU_EXEC ? 20 : access == VMMU_WRITE ? 23 : 21;

	(void)vcpu;
	fprintf(out, "kvm_exit: SEPC:0x1, SCAUSE:0x%x, STVAL:0x%llx, HTVAL:0x%llx, HTINST:0x0\n",
		cause, (unsigned long long)gpa, (unsigned long long)gpa >> 2);
}

static const struct {
	const char *format;
	void (*write)(FILE *out, unsigned vcpu, uint64_t gpa, unsigned access);
} kinds[] = {{"ept4", write_x86}, {"arm-s2-4k", write_arm64}, {"sv48x4", write_riscv64}};

static void write_slot(FILE *out, unsigned id, unsigned first, unsigned count)
{
	fprintf(out,
		"tracing_mark_write: kvm_set_user_memory Slot#%u flags=0x%x gpa=0x%llx size=0x%x "
		"ua=0x%llx ret=0\n",
		id, id ? VMMU_SLOT_LOG_DIRTY : 0, (unsigned long long)GPA + (first << 12),
		count << 12, (unsigned long long)HVA + (first << 12));
}

/* What is the VM's, each kind in turn. */
static void write_vm_event(FILE *out, unsigned number, uint64_t draw)
{
	unsigned long long hva = HVA + (draw % PAGES << 12);

	switch (number % 5) {
	case 0:
		fprintf(out, "kvm_unmap_hva_range: mmu notifier unmap range: 0x%llx -- 0x%llx\n",
			hva, hva + 0x40000);
		return;
	case 1:
		fprintf(out, "tracing_mark_write: dirty 1\n");
		return;
	case 2:
		fprintf(out, "kvm_age_hva: mmu notifier age hva: 0x%llx -- 0x%llx\n", hva,
			hva + 0x100000);
		return;
	case 3:
		write_slot(out, 1, PAGES - LOGGED, 0);
		fprintf(out, "vmm-1 [000] ..... 2.000000: ");
		write_slot(out, 1, PAGES - LOGGED, LOGGED);
		return;
	default:
		fprintf(out, "kvm_mmu_zap_all_fast: kvm-mmu-valid-gen 0 used_pages 7\n");
	}
}

/* A page of VCPU's own, one of every four; now and then where no memory is. */
static uint64_t page_of(unsigned vcpu, uint64_t draw, bool is_shared)
{
	uint64_t page = draw % (PAGES + 16);

	return is_shared ? page % 64 * (PAGES / 64) : page / VCPUS * VCPUS + vcpu;
}

static void write_trace(const char *path, unsigned kind, uint64_t number, bool is_shared)
{
	struct random_state random = race_random(number);
	FILE *out = fopen(path, "w");

	MUST(out);
	fprintf(out, "vmm-1 [000] ..... 1.000000: ");
	write_slot(out, 0, 0, PAGES - LOGGED);
	fprintf(out, "vmm-1 [000] ..... 1.000000: ");
	write_slot(out, 1, PAGES - LOGGED, LOGGED);
	for (unsigned i = 0; i < FAULTS; i++) {
		/* The first of each in order, as the reader numbers vCPUs by their threads. */
		unsigned vcpu = i < VCPUS ? i : random_u64(&random) % VCPUS;
		uint64_t draw = random_u64(&random);

		if (i % 400 == 399) {
			fprintf(out, "vmm-1 [000] ..... 2.000000: ");
			write_vm_event(out, i / 400, draw);
		}
		fprintf(out, "vcpu-%u [000] ..... 3.000000: ", 10 + vcpu);
		kinds[kind].write(out, vcpu, GPA + (page_of(vcpu, draw, is_shared) << 12),
				  1u << draw / PAGES % 3);
	}
	MUST(!fclose(out));
}

struct seen {
	bool is_mapped[PAGES];
	unsigned mapped;
};

static int look(void *ctx, struct vmmu_vm *vm)
{
	struct seen *seen = ctx;
	struct vmmu_walk walk;

	memset(seen, 0, sizeof(*seen));
	for (unsigned page = 0; page < PAGES; page++) {
		seen->is_mapped[page] = !vmmu_walk(vm, 0, GPA + (page << 12), &walk) &&
					walk.entry.kind == VMMU_ENTRY_LEAF;
		seen->mapped += seen->is_mapped[page];
	}
	return 0;
}

static void replay(const char *path, const struct vmmu_replay_options *asked, struct seen *seen,
		   struct vmmu_replay_report *report)
{
	struct vmmu_replay_options options = *asked;
	struct vmmu_trace *trace;

	options.size = sizeof(options);
	options.finish = look;
	options.finish_ctx = seen;
	MUST(!vmmu_trace_open(path, &trace_options, &trace, NULL, 0));
	MUST(!vmmu_replay(trace, &options, report));
	vmmu_trace_close(trace);
	MUST(report->faults == FAULTS && !report->errors && !report->slot_errors);
	MUST(report->audit.checked && !report->audit.violations);
	MUST(report->stats.tables_reclaimed == 0);
}

/* Nothing depends on who was first. */
static void check_same(const struct vmmu_replay_report *serial,
		       const struct vmmu_replay_report *parallel)
{
	MUST(!memcmp(&serial->digest, &parallel->digest, sizeof(serial->digest)));
	MUST(!memcmp(serial->outcomes, parallel->outcomes, sizeof(serial->outcomes)));
	MUST(!memcmp(serial->kinds, parallel->kinds, sizeof(serial->kinds)));
	MUST(!memcmp(serial->stats.mapped, parallel->stats.mapped, sizeof(serial->stats.mapped)));
	MUST(serial->lines == parallel->lines && serial->events == parallel->events);
	MUST(serial->dirty_pages == parallel->dirty_pages);
	MUST(serial->ages_young == parallel->ages_young);
	MUST(serial->stats.mmio_entries == parallel->stats.mmio_entries);
}

static void run(const char *path, unsigned kind, enum vmmu_root_mode root, bool is_shared)
{
	struct vmmu_replay_options options = {.format = vmmu_format_find(kinds[kind].format),
					      .root = root};
	unsigned most = race_threads(4);
	struct vmmu_replay_report serial, parallel;
	struct seen expected, seen;

	replay(path, &options, &expected, &serial);
	MUST(expected.mapped > 10);
	MUST(serial.invalidations && serial.dirty_pages && serial.ages_young && serial.slot_calls);
	MUST(serial.stats.zap_all && !serial.parallel_faults);
	for (options.threads = 1; options.threads <= most; options.threads *= 2) {
		replay(path, &options, &seen, &parallel);
		MUST(!memcmp(&seen, &expected, sizeof(seen)));
		MUST(!parallel.parallel_faults == (options.threads == 1));
		if (!is_shared || options.threads == 1)
			check_same(&serial, &parallel);
	}
	printf("%s, %s roots, %s pages: %u mapped, %llu faults in parallel, %llu tried again\n",
	       kinds[kind].format, root == VMMU_ROOT_TDP ? "tdp" : "direct",
	       is_shared ? "shared" : "disjoint", expected.mapped,
	       (unsigned long long)parallel.parallel_faults, (unsigned long long)parallel.retried);
}

int main(void)
{
	const unsigned ways = 4 * sizeof(kinds) / sizeof(kinds[0]);
	struct race race = race_begin(1, ways);
	char path[] = "/tmp/vmmu-race-XXXXXX";
	int fd = mkstemp(path);

	MUST(fd >= 0);
	close(fd);
	for (unsigned n = 0; race_goes_on(&race, n); n++) {
		unsigned kind = n % ways / 4;

		write_trace(path, kind, n, n % 2);
		run(path, kind, n / 2 % 2 ? VMMU_ROOT_TDP : VMMU_ROOT_DIRECT, n % 2);
	}
	unlink(path);
	return 0;
}
