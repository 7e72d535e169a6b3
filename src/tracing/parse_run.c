/* SPDX-License-Identifier: MIT */
/*
 * Entering and leaving the guest, on every architecture, and the faults that arm64 and riscv64
 * report there.
 */
#include <vmmu/format.h>

#include "tracing/form.h"
#include "tracing/parse.h"
#include "tracing/scan.h"

/*
 * Exit names that say how the next kvm_page_fault of the thread is to be read: kernel's, and
 * trace-cmd's plugin's.
 */
static const struct {
	const char *name;
	enum vmmu_trace_semantics semantics;
} run_fault_exits[] = {
	{"EPT_VIOLATION", VMMU_SEMANTICS_EPT}, {"EPT_MISCONFIG", VMMU_SEMANTICS_EPT},
	{"npf", VMMU_SEMANTICS_NPT},           {"EXIT_NPF", VMMU_SEMANTICS_NPT},
	{"0x400", VMMU_SEMANTICS_NPT},         {"EXCEPTION_NMI", VMMU_SEMANTICS_SHADOW},
	{"PF excp", VMMU_SEMANTICS_SHADOW},    {"EXIT_EXCP_PF", VMMU_SEMANTICS_SHADOW},
};

static enum vmmu_trace_semantics run_semantics(const char *reason)
{
	for (size_t i = 0; i < sizeof(run_fault_exits) / sizeof(*run_fault_exits); i++)
		if (scan_is_word(reason, run_fault_exits[i].name))
			return run_fault_exits[i].semantics;
	return VMMU_SEMANTICS_AUTO;
}

static void run_note_exit(struct parser *parser, struct thread *thread, uint64_t info)
{
	thread->exit_info = info;
	thread->is_nested = false;
	if (thread->exit != VMMU_SEMANTICS_AUTO)
		parser->known = thread->exit;
}

/* Is REASON that of a guest that stopped by itself? */
static bool run_is_stop(const char *reason)
{
	return scan_is_word(reason, "hlt") || scan_is_word(reason, "HLT") ||
	       scan_is_word(reason, "EXIT_HLT");
}

/* TEXT from "reason" on. The name may hold blanks; the information words come after the rip. */
static bool run_x86_exit(struct parser *parser, struct thread *thread, const char *text,
			 struct vmmu_trace_event *event)
{
	const char *reason = scan_after(text, "reason ");
	const char *rip = reason ? strstr(reason, " rip ") : NULL;
	uint64_t v[3] = {0};

	if (!rip || !form_match(rip, " rip %x", v))
		return false;
	if (!form_match(rip, " rip %x info1 %x", v))
		form_match(rip, " rip %x info %x", v);
	event->count = run_is_stop(reason);
	thread->exit = run_semantics(reason);
	run_note_exit(parser, thread, v[1]);
	return true;
}

/* The exit as fields: reasons are the architecture manuals' numbers. */
static bool run_x86_fields(struct parser *parser, const char *text, struct vmmu_trace_event *event)
{
	enum {
		ISA_VMX = 1,
		ISA_SVM = 2
	};
	struct thread *thread;
	uint64_t v[4];

	if (form_fields(text, "exit_reason isa info1 vcpu_id", v))
		thread = parse_vcpu(parser, event, v[3]);
	else if (form_fields(text, "exit_reason isa info1", v))
		thread = parse_thread(parser, event);
	else
		return false;
	if (!thread)
		return false;
	thread->exit = VMMU_SEMANTICS_AUTO;
	if (v[1] == ISA_VMX && (v[0] == 48 || v[0] == 49))
		thread->exit = VMMU_SEMANTICS_EPT;
	else if (v[1] == ISA_SVM && v[0] == 0x400)
		thread->exit = VMMU_SEMANTICS_NPT;
	else if ((v[1] == ISA_VMX && v[0] == 0) || (v[1] == ISA_SVM && v[0] == 0x4e))
		thread->exit = VMMU_SEMANTICS_SHADOW;
	event->count = (v[1] == ISA_VMX && v[0] == 12) || (v[1] == ISA_SVM && v[0] == 0x78);
	run_note_exit(parser, thread, v[2]);
	return true;
}

/* riscv64 has no fault event: a guest page fault is an exit with one of three causes. */
static bool run_riscv_exit(struct parser *parser, const char *text, struct vmmu_trace_event *event)
{
	struct vmmu_syndrome syndrome = {0};
	uint64_t v[5];

	if (!form_match(text, "SEPC:%x, SCAUSE:%x, STVAL:%x, HTVAL:%x, HTINST:%x", v) &&
	    !form_fields(text, "sepc scause stval htval htinst", v))
		return false;
	event->count = v[1] == 3;
	if (v[1] != 20 && v[1] != 21 && v[1] != 23)
		return parse_thread(parser, event);
	for (unsigned i = 0; i < 4; i++)
		syndrome.reg[i] = v[i + 1];
	return parse_fault(parser, "riscv64", &syndrome, event);
}

/* arm64 "TRAP: HSR_EC: 0x0024 (DABT_LOW), PC: ...", older "PC: ..." */
static bool run_is_arm_exit(const char *text)
{
	return strstr(text, "_EC: 0x") || scan_after(text, "PC: 0x") || strstr(text, "vcpu_pc=");
}

bool parse_exit(struct parser *parser, const char *text, struct vmmu_trace_event *event)
{
	struct thread *thread;
	const char *reason = text;
	uint64_t vcpu;

	event->kind = VMMU_TRACE_EXIT;
	if (scan_after(text, "SEPC:") || strstr(text, "sepc="))
		return run_riscv_exit(parser, text, event);
	if (*text == '[' || strstr(text, "exit_reason="))
		return run_x86_fields(parser, text, event);
	if (form_match(text, "vcpu %u ", &vcpu)) {
		thread = parse_vcpu(parser, event, vcpu);
		reason = scan_spaces(text + 5);
		while (scan_is_digit(*reason))
			reason++;
		reason = scan_spaces(reason);
	} else {
		thread = parse_thread(parser, event);
	}
	if (!thread)
		return false;
	if (*reason == '[' && reason != text) /* loongarch: vcpu N [reason] PC: ... */
		return true;
	event->count = strstr(text, "_EC: 0x003c") != NULL;
	return run_is_arm_exit(text) || run_x86_exit(parser, thread, reason, event);
}

/*
 * x86 and loongarch name the vCPU; arm64 and riscv64 (with a stray 016 before the digits) print the
 * PC only.
 */
bool parse_entry(struct parser *parser, const char *text, struct vmmu_trace_event *event)
{
	uint64_t vcpu;

	event->kind = VMMU_TRACE_ENTRY;
	if (form_match(text, "vcpu %u", &vcpu) || form_fields(text, "vcpu_id", &vcpu))
		return parse_vcpu(parser, event, vcpu);
	return (scan_after(text, "PC: ") || form_fields(text, "vcpu_pc", &vcpu) ||
		form_fields(text, "pc", &vcpu)) &&
	       parse_thread(parser, event);
}

/*
 * arm64 and 32-bit Arm. The page comes from HPFAR, which KVM prints as an address; the offset from
 * the fault address.
 */
bool parse_guest_fault(struct parser *parser, const char *text, struct vmmu_trace_event *event)
{
	struct vmmu_syndrome syndrome = {0};
	uint64_t v[3];

	if (!form_match(text, "ipa %x, hsr %x, hxfar %x", v) &&
	    !form_fields(text, "ipa hsr hxfar", v))
		return false;
	syndrome.reg[0] = v[1];
	syndrome.reg[1] = v[2];
	syndrome.reg[2] = v[0] >> 12 << 4;
	return parse_fault(parser, "arm64", &syndrome, event);
}
