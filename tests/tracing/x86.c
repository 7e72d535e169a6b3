/* SPDX-License-Identifier: MIT */
/* x86: three meanings of kvm_page_fault, its texts through the years, and SMM. */
#include <vmmu/fault.h>

#include "tracing/help.h"

#define COLUMNS "qemu-7 [001] ..... 1.000001: "
#define NPF                                                                           \
	COLUMNS "kvm_exit: vcpu 3 reason npf rip 0x1 info1 0x0000000100000006 info2 " \
		"0x0000000000001000 intr_info 0x00000000 error_code 0x00000000\n"
#define EPT                                                                                     \
	COLUMNS "kvm_exit: vcpu 3 reason EPT_VIOLATION rip 0x1 info1 0x0000000000000181 info2 " \
		"0x0000000000000000 intr_info 0x00000000 error_code 0x00000000\n"
#define SHADOW_AMD                                                                        \
	COLUMNS "kvm_exit: vcpu 3 reason PF excp rip 0x1 info1 0x0000000000000010 info2 " \
		"0x0000000000001000 intr_info 0x00000000 error_code 0x00000000\n"
#define HLT                                                                           \
	COLUMNS "kvm_exit: vcpu 3 reason hlt rip 0x1 info1 0x0000000000000000 info2 " \
		"0x0000000000000000 intr_info 0x00000000 error_code 0x00000000\n"

/* Texts of one fault and what they say; values by hand from the manuals' bits. */
static const struct {
	const char *what, *text;
	enum vmmu_trace_kind kind;
	uint64_t gpa;
	unsigned access, flags;
	uint64_t vcpu;
} faults[] = {
	{"NPT write",
	 NPF COLUMNS
	 "kvm_page_fault: vcpu 3 rip 0x1010 address 0x0000000020000000 error_code 0x100000006\n",
	 VMMU_TRACE_FAULT, 0x20000000, VMMU_WRITE, 0, 3},
	{"NPT fetch",
	 NPF COLUMNS
	 "kvm_page_fault: vcpu 3 rip 0xfff0 address 0x00000000fffffff0 error_code 0x100000014\n",
	 VMMU_TRACE_FAULT, 0xfffffff0, VMMU_EXEC, 0, 3},
	{"NPT MMIO entry",
	 NPF COLUMNS
	 "kvm_page_fault: vcpu 3 rip 0x1 address 0x00000000b0000010 error_code 0x10000000d\n",
	 VMMU_TRACE_FAULT, 0xb0000010, VMMU_READ, VMMU_FAULT_PRESENT | VMMU_FAULT_RSVD, 3},
	{"NPT guest walk",
	 NPF COLUMNS
	 "kvm_page_fault: vcpu 3 rip 0x1 address 0x0000000000002000 error_code 0x200000006\n",
	 VMMU_TRACE_FAULT, 0x2000, VMMU_WRITE, VMMU_FAULT_GUEST_WALK, 3},
	{"NPT without an exit",
	 COLUMNS
	 "kvm_page_fault: vcpu 219 rip 0x0 address 0x00000018cbc00000 error_code 0x500000004\n",
	 VMMU_TRACE_FAULT, 0x18cbc00000, VMMU_READ, 0, 219},
	{"NPT code after an exit of another thread that says EPT",
	 "other-8 [001] ..... 1.0: kvm_exit: reason EPT_VIOLATION rip 0x1 info 181 0\n" COLUMNS
	 "kvm_page_fault: vcpu 3 rip 0x1 address 0x0000000000003000 error_code 0x100000006\n",
	 VMMU_TRACE_FAULT, 0x3000, VMMU_WRITE, 0, 3},
	{"undecided code after an exit of another thread that says EPT: fetch, no linear address",
	 "other-8 [001] ..... 1.0: kvm_exit: reason EPT_VIOLATION rip 0x1 info 181 0\n" COLUMNS
	 "kvm_page_fault: vcpu 3 rip 0x1 address 0x0000000000003000 error_code 0x4\n",
	 VMMU_TRACE_FAULT, 0x3000, VMMU_EXEC, VMMU_FAULT_GUEST_WALK, 3},
	{"undecided code alone: nested paging walks as user",
	 COLUMNS "kvm_page_fault: address 84d000 error_code 6\n", VMMU_TRACE_FAULT, 0x84d000,
	 VMMU_WRITE, 0, 0},
	{"undecided code alone, no user bit",
	 COLUMNS "kvm_page_fault: address 84d000 error_code 2\n", VMMU_TRACE_FAULT_GVA, 0x84d000,
	 VMMU_WRITE, 0, 0},
	{"EPT write",
	 EPT COLUMNS "kvm_page_fault: vcpu 3 rip 0x1 address 0x0000000113674000 error_code 0x182\n",
	 VMMU_TRACE_FAULT, 0x113674000, VMMU_WRITE, 0, 3},
	{"EPT code that could be a page-fault code",
	 EPT COLUMNS "kvm_page_fault: vcpu 3 rip 0x1 address 0x0000000000001000 error_code 0x4\n",
	 VMMU_TRACE_FAULT, 0x1000, VMMU_EXEC, VMMU_FAULT_GUEST_WALK, 3},
	{"EPT without an exit",
	 COLUMNS "kvm_page_fault: vcpu 5 rip 0x1 address 0x00000000fee000b0 error_code 0x182\n",
	 VMMU_TRACE_FAULT, 0xfee000b0, VMMU_WRITE, 0, 5},
	{"shadow, AMD",
	 SHADOW_AMD COLUMNS
	 "kvm_page_fault: vcpu 3 rip 0x1000 address 0x0000000000001000 error_code 0x10\n",
	 VMMU_TRACE_FAULT_GVA, 0x1000, VMMU_EXEC, 0, 3},
	{"shadow, Intel, old texts",
	 COLUMNS "kvm_entry: vcpu 2\n" COLUMNS
		 "kvm_exit: reason EXCEPTION_NMI rip 0x1007 info 66 80000b0e\n" COLUMNS
		 "kvm_page_fault: address 66 error_code 7\n",
	 VMMU_TRACE_FAULT_GVA, 0x66, VMMU_WRITE, VMMU_FAULT_PRESENT | VMMU_FAULT_USER, 2},
	{"old text after an exit of 5.x: the exit has the bits that the text lost",
	 COLUMNS "kvm_entry: vcpu 1, rip 0x1\n" COLUMNS
		 "kvm_exit: reason EXIT_NPF rip 0x1 info 200000006 1ab000\n" COLUMNS
		 "kvm_page_fault: address 1ab000 error_code 6\n",
	 VMMU_TRACE_FAULT, 0x1ab000, VMMU_WRITE, VMMU_FAULT_GUEST_WALK, 1},
	{"old text, EPT, trace-cmd",
	 COLUMNS "kvm_entry:            vcpu 1\n" COLUMNS
		 "kvm_exit:             reason EPT_VIOLATION rip 0x40359f info 582 0\n" COLUMNS
		 "kvm_page_fault:       address 7fc036d000 error_code 582\n",
	 VMMU_TRACE_FAULT, 0x7fc036d000, VMMU_WRITE, 0, 1},
	{"fields",
	 COLUMNS "kvm_exit: [FAILED TO PARSE] exit_reason=1024 guest_rip=0x1 isa=2 "
		 "info1=0x100000004 info2=0x1000 intr_info=0 error_code=0 vcpu_id=6\n" COLUMNS
		 "kvm_page_fault: [FAILED TO PARSE] vcpu_id=6 guest_rip=0x1 fault_address=0x5000 "
		 "error_code=4294967300\n",
	 VMMU_TRACE_FAULT, 0x5000, VMMU_READ, 0, 6},
	{"fields of a shadow exit",
	 COLUMNS "kvm_exit: exit_reason=0 guest_rip=0x1 isa=1 info1=0x1000 info2=0 intr_info=0 "
		 "error_code=0 vcpu_id=6\n" COLUMNS
		 "kvm_page_fault: vcpu_id=6 guest_rip=0x1 fault_address=0x5000 error_code=2\n",
	 VMMU_TRACE_FAULT_GVA, 0x5000, VMMU_WRITE, 0, 6},
	{"another exit in between",
	 NPF HLT COLUMNS "kvm_page_fault: vcpu 3 rip 0x1 address 0x1000 error_code 0x182\n",
	 VMMU_TRACE_FAULT, 0x1000, VMMU_WRITE, 0, 3},
	{"nested guest",
	 EPT COLUMNS "kvm_nested_vmexit: vcpu 3 reason EPT_VIOLATION rip 0x1 info1 0x181\n" COLUMNS
		     "kvm_page_fault: vcpu 3 rip 0x1 address 0x0000000000001050 error_code 0x182\n",
	 VMMU_TRACE_FAULT_GVA, 0x1050, VMMU_WRITE, 0, 3},
	{"nested guest without nested paging",
	 COLUMNS "kvm_nested_vmenter: rip: 0x1 vmcs: 0x2 nested_rip: 0x3 int_ctl: 0x0 event_inj: "
		 "0x0 nested_ept=n guest_cr3: 0x1000\n" EPT COLUMNS
		 "kvm_nested_vmexit: vcpu 3 reason EPT_VIOLATION rip 0x1 info1 0x181\n" COLUMNS
		 "kvm_page_fault: vcpu 3 rip 0x1 address 0x0000000000001050 error_code 0x182\n",
	 VMMU_TRACE_FAULT, 0x1050, VMMU_WRITE, 0, 3},
	{"exit as fields, without a vCPU in it: EPT's code is a qualification",
	 COLUMNS "kvm_exit: [FAILED TO PARSE] exit_reason=48 isa=1 info1=0x182 info2=0\n" COLUMNS
		 "kvm_page_fault: vcpu 3 rip 0x1 address 0x3000 error_code 0x182\n",
	 VMMU_TRACE_FAULT, 0x3000, VMMU_WRITE, 0, 3},
	{"nested guest without nested paging, as fields",
	 COLUMNS
	 "kvm_nested_vmenter: [FAILED TO PARSE] rip=1 tdp_enabled=0 guest_tdp=0\n" EPT COLUMNS
	 "kvm_nested_vmexit: vcpu 3 reason EPT_VIOLATION rip 0x1 info1 0x181\n" COLUMNS
	 "kvm_page_fault: vcpu 3 rip 0x1 address 0x3000 error_code 0x181\n",
	 VMMU_TRACE_FAULT, 0x3000, VMMU_READ, 0, 3},
	{"no nested exit any more",
	 EPT COLUMNS
	 "kvm_nested_vmexit: vcpu 3 reason EPT_VIOLATION rip 0x1 info1 0x181\n" EPT COLUMNS
	 "kvm_page_fault: vcpu 3 rip 0x1 address 0x0000000000001050 error_code 0x182\n",
	 VMMU_TRACE_FAULT, 0x1050, VMMU_WRITE, 0, 3},
};

Test(x86, preceding_exit_and_bits__decide_what_a_fault_means)
{
	for (size_t i = 0; i < sizeof(faults) / sizeof(*faults); i++) {
		struct vmmu_trace_event event = help_last(faults[i].text);

		cr_expect_eq(event.kind, faults[i].kind, "%s: kind %d", faults[i].what, event.kind);
		cr_expect_eq(event.gpa, faults[i].gpa, "%s: %lx", faults[i].what, event.gpa);
		cr_expect_eq(event.fault.gpa, faults[i].gpa, "%s", faults[i].what);
		cr_expect_eq(event.fault.access, faults[i].access, "%s: access %u", faults[i].what,
			     event.fault.access);
		cr_expect_eq(event.fault.flags, faults[i].flags, "%s: flags %x", faults[i].what,
			     event.fault.flags);
		cr_expect_eq(event.vcpu, faults[i].vcpu, "%s: vcpu %u", faults[i].what, event.vcpu);
		cr_expect_eq(event.pid, 7, "%s", faults[i].what);
	}
}

/*
 * The same fault text, read as told; 0x6: write, page-fault style, or qualification write and
 * fetch.
 */
Test(x86, told_semantics__win_over_the_exit)
{
	static const struct {
		enum vmmu_trace_semantics semantics;
		enum vmmu_trace_kind kind;
		const char *architecture;
	} rows[] = {
		{VMMU_SEMANTICS_AUTO, VMMU_TRACE_FAULT, "x86-npt"},
		{VMMU_SEMANTICS_EPT, VMMU_TRACE_FAULT, "x86-ept"},
		{VMMU_SEMANTICS_NPT, VMMU_TRACE_FAULT, "x86-npt"},
		{VMMU_SEMANTICS_SHADOW, VMMU_TRACE_FAULT_GVA, NULL},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		struct vmmu_trace *trace =
			help_open_all(NPF COLUMNS "kvm_page_fault: address 1000 error_code 6\n",
				      NULL, rows[i].semantics);
		const char *architecture = rows[i].architecture;

		cr_expect_eq(help_next(trace).kind, VMMU_TRACE_EXIT);
		cr_expect_eq(help_next(trace).kind, rows[i].kind, "row %zu", i);
		if (architecture)
			cr_expect_str_eq(vmmu_trace_architecture(trace), architecture);
		else
			cr_expect_null(vmmu_trace_architecture(trace));
		vmmu_trace_close(trace);
	}
}

/* Two threads: each fault goes by its own thread's exit. */
Test(x86, interleaved_threads__keep_their_own_exit)
{
	struct vmmu_trace *trace = help_open(
		"a-1 [000] ..... 1.0: kvm_exit: vcpu 0 reason npf rip 0x1 info1 0x100000004 info2 "
		"0x1000\n"
		"b-2 [001] ..... 1.1: kvm_exit: vcpu 1 reason PF excp rip 0x1 info1 0x4 info2 "
		"0x1000\n"
		"a-1 [000] ..... 1.2: kvm_page_fault: address 1000 error_code 4\n"
		"b-2 [001] ..... 1.3: kvm_page_fault: address 2000 error_code 4\n");
	struct vmmu_trace_event event;

	help_next(trace);
	help_next(trace);
	event = help_next(trace);
	cr_expect_eq(event.kind, VMMU_TRACE_FAULT);
	cr_expect_eq(event.vcpu, 0);
	event = help_next(trace);
	cr_expect_eq(event.kind, VMMU_TRACE_FAULT_GVA);
	cr_expect_eq(event.vcpu, 1);
	vmmu_trace_close(trace);
}

/* Exit and fault with nothing to tell a vCPU: numbers in order of appearance, kept. */
Test(x86, silent_threads__are_numbered)
{
	struct vmmu_trace *trace = help_open(
		"a-9 [000] ..... 1.0: kvm_page_fault: address 1000 error_code 182\n"
		"b-8 [000] ..... 1.1: kvm_page_fault: address 1000 error_code 182\n"
		"a-9 [000] ..... 1.2: kvm_page_fault: address 2000 error_code 182\n");

	cr_expect_eq(help_next(trace).vcpu, 0);
	cr_expect_eq(help_next(trace).vcpu, 1);
	cr_expect_eq(help_next(trace).vcpu, 0);
	vmmu_trace_close(trace);
}

Test(x86, ept_misconfig__is_an_exit_and_no_fault)
{
	struct vmmu_trace_event event = help_last(
		COLUMNS "kvm_exit:             reason EPT_MISCONFIG rip 0x133025 info 0 0\n");

	cr_expect_eq(event.kind, VMMU_TRACE_EXIT);
	cr_expect_eq(event.gpa, 0);
}

Test(x86, smm__says_which_way)
{
	struct vmmu_trace_event event =
		help_last(COLUMNS "kvm_smm_transition: vcpu 4: entering SMM, smbase 0x30000\n");

	cr_expect_eq(event.kind, VMMU_TRACE_SMM);
	cr_expect(event.writable);
	cr_expect_eq(event.vcpu, 4);
	event = help_last(COLUMNS "kvm_smm_transition:   vcpu 4: leaving SMM, smbase 0x30000\n");
	cr_expect_eq(event.kind, VMMU_TRACE_SMM);
	cr_expect_not(event.writable);
}
