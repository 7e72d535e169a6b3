/* SPDX-License-Identifier: MIT */
/*
 * x86: kvm_page_fault means three things, and its text does not say which. Intel's TDP prints an
 * exit qualification, AMD's nested paging an error code with bits above 31, shadow paging a
 * guest-virtual address with the guest's own page-fault code. The thread's preceding exit decides;
 * without one, bits that only one of the three has; then what the other threads' exits said.
 *
 * On Intel an access to an MMIO entry exits as EPT_MISCONFIG, which KVM handles without
 * kvm_page_fault and whose kvm_exit carries no gpa (the information words are 0): it is an EXIT
 * here, and the kvm_mmio, kvm_fast_mmio or handle_mmio_page_fault that follows gives the gpa. On
 * AMD the same access is a kvm_page_fault with the reserved bit in its code, so a FAULT with
 * VMMU_FAULT_RSVD.
 */
#include <vmmu/fault.h>
#include <vmmu/format.h>

#include "tracing/form.h"
#include "tracing/parse.h"
#include "tracing/scan.h"

/* Bits of the page-fault error code (all x86) and those that only one kind of report has. */
#define X86_PF_PRESENT UINT64_C(0x1)
#define X86_PF_WRITE   UINT64_C(0x2)
#define X86_PF_USER    UINT64_C(0x4)
#define X86_PF_RSVD    UINT64_C(0x8)
#define X86_PF_FETCH   UINT64_C(0x10)
#define X86_EPT_ONLY \
	UINT64_C(    \
		0x780) /* linear address valid, final translation, ...: none is a page-fault bit \
			 */

#define X86_REASON_EPT_VIOLATION 48

static enum vmmu_trace_semantics x86_semantics(const struct parser *parser,
					       const struct thread *thread, uint64_t code)
{
	if (parser->option != VMMU_SEMANTICS_AUTO)
		return parser->option;
	if (thread->exit != VMMU_SEMANTICS_AUTO)
		return thread->exit;
	if (code >> 32)
		return VMMU_SEMANTICS_NPT;
	if (code & X86_EPT_ONLY)
		return VMMU_SEMANTICS_EPT;
	if (parser->known != VMMU_SEMANTICS_AUTO)
		return parser->known;
	/* Nested paging always walks as a user access. */
	return code & X86_PF_USER ? VMMU_SEMANTICS_NPT : VMMU_SEMANTICS_SHADOW;
}

/* A fault that some guest's own tables stand behind: of shadow paging, or of a nested guest. */
static bool x86_guest_fault(struct vmmu_trace_event *event, uint64_t address, uint64_t code)
{
	event->kind = VMMU_TRACE_FAULT_GVA;
	event->gpa = address;
	event->access = VMMU_READ;
	if (code & X86_PF_FETCH)
		event->access = VMMU_EXEC;
	else if (code & X86_PF_WRITE)
		event->access = VMMU_WRITE;
	event->fault.gpa = address;
	event->fault.access = event->access;
	event->fault.flags = (code & X86_PF_PRESENT ? VMMU_FAULT_PRESENT : 0) |
			     (code & X86_PF_RSVD ? VMMU_FAULT_RSVD : 0) |
			     (code & X86_PF_USER ? VMMU_FAULT_USER : 0);
	return true;
}

/* Kernels up to 5.x print the low half of the code; the exit before it has the whole. */
static uint64_t x86_whole_code(const struct thread *thread, uint64_t code)
{
	if (code >> 32 || thread->exit != VMMU_SEMANTICS_NPT || (uint32_t)thread->exit_info != code)
		return code;
	return thread->exit_info;
}

static bool x86_nested_fault(struct vmmu_trace_event *event, enum vmmu_trace_semantics semantics,
			     uint64_t address, uint64_t code)
{
	bool is_ept = semantics == VMMU_SEMANTICS_EPT;

	x86_guest_fault(event, address, is_ept ? 0 : code);
	if (is_ept && code & 6)
		event->access = code & 4 ? VMMU_EXEC : VMMU_WRITE;
	event->fault.access = event->access;
	return true;
}

bool parse_x86_page_fault(struct parser *parser, const char *text, struct vmmu_trace_event *event)
{
	uint64_t v[4] = {0};
	enum vmmu_trace_semantics semantics;
	struct vmmu_syndrome syndrome = {0};
	struct thread *thread;

	if (form_match(text, "vcpu %u rip %x address %x error_code %x", v) ||
	    form_fields(text, "vcpu_id guest_rip fault_address error_code", v))
		thread = parse_vcpu(parser, event, v[0]);
	else if (form_match(text, "address %x error_code %x", v + 2) ||
		 form_fields(text, "fault_address error_code", v + 2))
		thread = parse_thread(parser, event);
	else
		return false;
	if (!thread)
		return false;
	semantics = x86_semantics(parser, thread, v[3]);
	if (semantics == VMMU_SEMANTICS_SHADOW)
		return x86_guest_fault(event, v[2], v[3]);
	if (thread->is_nested && !thread->has_flat_nested && parser->option == VMMU_SEMANTICS_AUTO)
		return x86_nested_fault(event, semantics, v[2], v[3]);
	syndrome.gpa = v[2];
	if (semantics == VMMU_SEMANTICS_NPT) {
		syndrome.reg[0] = x86_whole_code(thread, v[3]);
		return parse_fault(parser, "x86-npt", &syndrome, event);
	}
	syndrome.reg[0] = X86_REASON_EPT_VIOLATION;
	syndrome.reg[1] = v[3];
	return parse_fault(parser, "x86-ept", &syndrome, event);
}

/*
 * kvm_nested_vmexit stands between kvm_exit and the fault when the exit is out of a nested guest.
 */
bool parse_x86_nested_exit(struct parser *parser, const char *text, struct vmmu_trace_event *event)
{
	struct thread *thread = parse_thread(parser, event);

	(void)text;
	if (!thread)
		return false;
	thread->is_nested = true;
	event->kind = VMMU_TRACE_OTHER;
	return true;
}

/* Without second-stage tables of its own a nested guest's faults are in our guest's gpas. */
bool parse_x86_nested_enter(struct parser *parser, const char *text, struct vmmu_trace_event *event)
{
	struct thread *thread = parse_thread(parser, event);
	uint64_t has_tables;

	if (!thread)
		return false;
	if (form_fields(text, "tdp_enabled", &has_tables) || form_fields(text, "npt", &has_tables))
		thread->has_flat_nested = !has_tables;
	else
		thread->has_flat_nested = strstr(text, "nested_ept=n") ||
					  strstr(text, "nested_npt=n") || strstr(text, " npt: off");
	event->kind = VMMU_TRACE_OTHER;
	return true;
}

bool parse_x86_smm(struct parser *parser, const char *text, struct vmmu_trace_event *event)
{
	uint64_t v[3];

	event->kind = VMMU_TRACE_SMM;
	if (form_fields(text, "vcpu_id smbase entering", v)) {
		event->writable = v[2];
		return parse_vcpu(parser, event, v[0]);
	}
	if (!form_match(text, "vcpu %u:", v))
		return false;
	text = strchr(text, ':');
	event->writable = form_match(text, ": entering SMM", v + 1);
	return (event->writable || form_match(text, ": leaving SMM", v + 1)) &&
	       parse_vcpu(parser, event, v[0]);
}
