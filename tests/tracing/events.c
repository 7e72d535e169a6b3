/* SPDX-License-Identifier: MIT */
/* Every kind of event in every text that carries it. */
#include <vmmu/fault.h>

#include "tracing/help.h"

#define COLUMNS "vmm-125 [000] ..... 1.000001: "

/* What of an event a row below looks at; numbers copied by hand from the text beside them. */
static const struct {
	const char *text;
	struct vmmu_trace_event want;
} rows[] = {
	/* entering and leaving */
	{COLUMNS "kvm_entry: vcpu 2, rip 0xfff0\n", {.kind = VMMU_TRACE_ENTRY, .vcpu = 2}},
	{COLUMNS "kvm_entry: vcpu 2, rip 0xfff0[immediate exit]\n",
	 {.kind = VMMU_TRACE_ENTRY, .vcpu = 2}},
	{COLUMNS "kvm_entry: vcpu 2, rip 0x1 intr_info 0x00000000 error_code 0x00000000\n",
	 {.kind = VMMU_TRACE_ENTRY, .vcpu = 2}},
	{COLUMNS "kvm_entry:             vcpu 2 rip 0xfff0\n",
	 {.kind = VMMU_TRACE_ENTRY, .vcpu = 2}},
	{COLUMNS "kvm_entry: vcpu 2\n", {.kind = VMMU_TRACE_ENTRY, .vcpu = 2}},
	{COLUMNS "kvm_entry: PC: 0x0000000080000000\n", {.kind = VMMU_TRACE_ENTRY}},
	{COLUMNS "kvm_entry: PC: 0x01680000000\n", {.kind = VMMU_TRACE_ENTRY}},
	{COLUMNS "kvm_enter: vcpu 1 PC: 0x9000000000200000\n",
	 {.kind = VMMU_TRACE_ENTRY, .vcpu = 1}},
	{COLUMNS "kvm_exit: vcpu 1 [IDLE] PC: 0x9000000000200000\n",
	 {.kind = VMMU_TRACE_EXIT, .vcpu = 1}},
	{COLUMNS
	 "kvm_exit: vcpu 1 reason EPT_VIOLATION FAILED_VMENTRY rip 0x1 info1 0x0 info2 0x0\n",
	 {.kind = VMMU_TRACE_EXIT, .vcpu = 1}},
	{COLUMNS "kvm_exit: vcpu 1 reason hlt rip 0x1012 info1 0x0 info2 0x0 intr_info 0x0 "
		 "error_code 0x0 requests 0x0\n",
	 {.kind = VMMU_TRACE_EXIT, .vcpu = 1, .count = 1}},
	{COLUMNS "kvm_exit: [FAILED TO PARSE] exit_reason=0x78 isa=2 info1=0x0 vcpu_id=1\n",
	 {.kind = VMMU_TRACE_EXIT, .vcpu = 1, .count = 1}},
	{COLUMNS "kvm_exit: [FAILED TO PARSE] exit_reason=0xc isa=2 info1=0x0 vcpu_id=1\n",
	 {.kind = VMMU_TRACE_EXIT, .vcpu = 1}},
	{COLUMNS "kvm_exit: TRAP: HSR_EC: 0x003c (BRK64), PC: 0x0000000000001004\n",
	 {.kind = VMMU_TRACE_EXIT, .count = 1}},
	{COLUMNS "kvm_exit:             reason UNKNOWN (77) rip 0x1 info 0 0\n",
	 {.kind = VMMU_TRACE_EXIT}},
	{COLUMNS "kvm_exit: TRAP: HSR_EC: 0x0020 (IABT_LOW), PC: 0x0000000080000000\n",
	 {.kind = VMMU_TRACE_EXIT}},
	{COLUMNS "kvm_exit:   PC: 0x802c21c8; exit count: 80671\n", {.kind = VMMU_TRACE_EXIT}},
	{COLUMNS "kvm_exit: SEPC:0x1004, SCAUSE:0x3, STVAL:0x0, HTVAL:0x0, HTINST:0x0\n",
	 {.kind = VMMU_TRACE_EXIT, .count = 1}},
	/*
	 * arm64: EC 0x20 fetch, 0x24 data; WnR is bit 6; fault status 0b0001LL translation,
	 * 0b0011LL permission
	 */
	{COLUMNS
	 "kvm_guest_fault: ipa 0x80000000, hsr 0x82000005, hxfar 0x80000000, pc 0x00000080000000\n",
	 {.kind = VMMU_TRACE_FAULT, .gpa = 0x80000000, .access = VMMU_EXEC}},
	{COLUMNS "kvm_guest_fault: ipa 0xa0000000, hsr 0x93820047, hxfar 0xffff0000a0000048, pc "
		 "0x00000080000000\n",
	 {.kind = VMMU_TRACE_FAULT, .gpa = 0xa0000048, .access = VMMU_WRITE}},
	{COLUMNS
	 "kvm_guest_fault: ipa 0x1c010000, hsr 0x93800006, hxfar 0xf80100a8, pc 0x802c21c8\n",
	 {.kind = VMMU_TRACE_FAULT, .gpa = 0x1c0100a8, .access = VMMU_READ}},
	/* riscv64: HTVAL << 2, and the low two bits of STVAL; causes 20 fetch, 21 load, 23 store */
	{COLUMNS
	 "kvm_exit: SEPC:0x80000000, SCAUSE:0x14, STVAL:0x80000002, HTVAL:0x20000000, HTINST:0x0\n",
	 {.kind = VMMU_TRACE_FAULT, .gpa = 0x80000002, .access = VMMU_EXEC}},
	{COLUMNS
	 "kvm_exit: SEPC:0x80000000, SCAUSE:0x15, STVAL:0xb0000011, HTVAL:0x2c000004, HTINST:0x0\n",
	 {.kind = VMMU_TRACE_FAULT, .gpa = 0xb0000011, .access = VMMU_READ}},
	{COLUMNS
	 "kvm_exit: SEPC:0x80000000, SCAUSE:0x17, STVAL:0x8007fff8, HTVAL:0x2001fffe, HTINST:0x0\n",
	 {.kind = VMMU_TRACE_FAULT, .gpa = 0x8007fff8, .access = VMMU_WRITE}},
	/* MMIO */
	{COLUMNS "kvm_mmio: mmio unsatisfied-read len 4 gpa 0xb0000010 val 0x0\n",
	 {.kind = VMMU_TRACE_MMIO, .gpa = 0xb0000010, .access = VMMU_READ, .bytes = 4}},
	{COLUMNS "kvm_mmio: mmio read len 1 gpa 0xfee000f0 val 0xff\n",
	 {.kind = VMMU_TRACE_MMIO, .gpa = 0xfee000f0, .access = VMMU_READ, .bytes = 1}},
	{COLUMNS "kvm_mmio: mmio write len 8 gpa 0xb0000000 val 0x1\n",
	 {.kind = VMMU_TRACE_MMIO, .gpa = 0xb0000000, .access = VMMU_WRITE, .bytes = 8}},
	{COLUMNS "kvm_mmio: [FAILED TO PARSE] type=2 len=4 gpa=0xb0000000 val=1\n",
	 {.kind = VMMU_TRACE_MMIO, .gpa = 0xb0000000, .access = VMMU_WRITE, .bytes = 4}},
	{COLUMNS "vcpu_match_mmio: gva 0xfebf0000 gpa 0xfebf1000 Read GPA\n",
	 {.kind = VMMU_TRACE_MMIO, .gpa = 0xfebf1000, .access = VMMU_READ}},
	{COLUMNS "vcpu_match_mmio:      gva 0xfebf0000 gpa 0xfebf1000 Write GVA\n",
	 {.kind = VMMU_TRACE_MMIO, .gpa = 0xfebf1000, .access = VMMU_WRITE}},
	{COLUMNS "vcpu_match_mmio: [FAILED TO PARSE] gva=0x1000 gpa=0xfebf1000 write=1 gpa_val=1\n",
	 {.kind = VMMU_TRACE_MMIO, .gpa = 0xfebf1000, .access = VMMU_WRITE}},
	{COLUMNS "handle_mmio_page_fault: [FAILED TO PARSE] addr=0 gfn=0xb8 access=6\n",
	 {.kind = VMMU_TRACE_MMIO, .gpa = 0xb8000, .gfn = 0xb8}},
	{COLUMNS "kvm_smm_transition: [FAILED TO PARSE] vcpu_id=3 smbase=0x30000 entering=1\n",
	 {.kind = VMMU_TRACE_SMM, .vcpu = 3, .writable = true}},
	{COLUMNS "kvm_mmu_set_spte: [FAILED TO PARSE] gfn=0x11 spte=0x12003 sptep=0x1000 level=1 "
		 "r=1 x=0 u=0\n",
	 {.kind = VMMU_TRACE_MAP_SET,
	  .gfn = 0x11,
	  .new_pte = 0x12003,
	  .level = 1,
	  .pte_hpa = 0x1000,
	  .access = VMMU_READ | VMMU_WRITE,
	  .vcpu = UINT32_MAX}},
	{COLUMNS "mark_mmio_spte: [FAILED TO PARSE] sptep=0x1000 gfn=0xfee00 access=6 gen=9\n",
	 {.kind = VMMU_TRACE_MMIO_SET,
	  .gfn = 0xfee00,
	  .access = 6,
	  .generation = 9,
	  .vcpu = UINT32_MAX}},
	{COLUMNS "check_mmio_spte: [FAILED TO PARSE] kvm_gen=7 spte_gen=7 spte=0x77\n",
	 {.kind = VMMU_TRACE_MMIO_CHECK,
	  .new_pte = 0x77,
	  .count = 7,
	  .generation = 7,
	  .writable = true,
	  .vcpu = UINT32_MAX}},
	{COLUMNS "kvm_fast_mmio: fast mmio at gpa 0xfe003000\n",
	 {.kind = VMMU_TRACE_MMIO, .gpa = 0xfe003000, .access = VMMU_WRITE}},
	{COLUMNS "handle_mmio_page_fault: addr:0 gfn b8 access 6\n",
	 {.kind = VMMU_TRACE_MMIO, .gpa = 0xb8000, .gfn = 0xb8}},
	{COLUMNS
	 "kvm_guest_fault: ipa 0xb0000000, hsr 0x93820047, hxfar 0xb0000010, pc "
	 "0x00000080000000\n" COLUMNS
	 "kvm_mmio_emulate: Emulate MMIO at: 0x00000080000000 (instr: b9000020, cpsr: 600003c5)\n",
	 {.kind = VMMU_TRACE_MMIO, .gpa = 0xb0000010}},
	{COLUMNS
	 "kvm_mmio_emulate: Emulate MMIO at: 0x00000080000000 (instr: b9000020, cpsr: 600003c5)\n",
	 {.kind = VMMU_TRACE_OTHER}},
	/* the host */
	{COLUMNS "invalidate_end: (kvm_mmu_notifier_invalidate_range_end+0x0/0xd0 [kvm])\n",
	 {.kind = VMMU_TRACE_INVALIDATE_END, .vcpu = UINT32_MAX}},
	{COLUMNS "invalidate_end: (something_else+0x0/0xd0)\n",
	 {.kind = VMMU_TRACE_OTHER, .vcpu = UINT32_MAX}},
	{COLUMNS "mm_collapse_huge_page: mm=0000000064b20f89, isolated=1, status=succeeded\n",
	 {.kind = VMMU_TRACE_COLLAPSE, .count = 1, .vcpu = UINT32_MAX}},
	{COLUMNS
	 "mm_collapse_huge_page: mm=00000000f749c80e, isolated=1, status=succeeded, order=9\n",
	 {.kind = VMMU_TRACE_COLLAPSE, .count = 1, .vcpu = UINT32_MAX}},
	{COLUMNS "mm_collapse_huge_page: mm=0000000064b20f89, isolated=0, status=pte_non_present\n",
	 {.kind = VMMU_TRACE_COLLAPSE, .vcpu = UINT32_MAX}},
	{COLUMNS "mm_collapse_huge_page: [FAILED TO PARSE] mm=0x1 isolated=1 status=1\n",
	 {.kind = VMMU_TRACE_COLLAPSE, .count = 1, .vcpu = UINT32_MAX}},
	{COLUMNS "mm_collapse_huge_page: [FAILED TO PARSE] mm=0x1 isolated=1 status=3\n",
	 {.kind = VMMU_TRACE_COLLAPSE, .vcpu = UINT32_MAX}},
	/* what the MMU did */
	{COLUMNS "kvm_mmu_spte_requested: gfn fffff pfn 11f382 level 1\n",
	 {.kind = VMMU_TRACE_MAP_REQUESTED,
	  .gfn = 0xfffff,
	  .pfn = 0x11f382,
	  .level = 1,
	  .vcpu = UINT32_MAX}},
	{COLUMNS "kvm_mmu_spte_requested: gfn 14600 pfn 8000000000000000 level 1 access f\n",
	 {.kind = VMMU_TRACE_MAP_REQUESTED,
	  .gfn = 0x14600,
	  .pfn = UINT64_C(1) << 63,
	  .level = 1,
	  .access = 15,
	  .vcpu = UINT32_MAX}},
	{COLUMNS "kvm_mmu_set_spte: gfn fffff spte 11f382825 (r-xu) level 2 at 103d1dff8\n",
	 {.kind = VMMU_TRACE_MAP_SET,
	  .gfn = 0xfffff,
	  .new_pte = 0x11f382825,
	  .level = 2,
	  .pte_hpa = 0x103d1dff8,
	  .access = VMMU_READ | VMMU_EXEC,
	  .vcpu = UINT32_MAX}},
	{COLUMNS "kvm_mmu_set_spte: gfn 1 spte 600000455299b77 (rwx) level 1 at 1000\n",
	 {.kind = VMMU_TRACE_MAP_SET,
	  .gfn = 1,
	  .new_pte = 0x600000455299b77,
	  .level = 1,
	  .pte_hpa = 0x1000,
	  .access = VMMU_RWX,
	  .vcpu = UINT32_MAX}},
	{COLUMNS
	 "kvm_tdp_mmu_spte_changed: as id 1 gfn fffff level 1 old_spte 5a0 new_spte 11f382825\n",
	 {.kind = VMMU_TRACE_ENTRY_CHANGED,
	  .gfn = 0xfffff,
	  .gpa = 0xfffff000,
	  .level = 1,
	  .old_pte = 0x5a0,
	  .new_pte = 0x11f382825,
	  .slot.as_id = 1,
	  .vcpu = UINT32_MAX}},
	{COLUMNS "mark_mmio_spte: sptep:000000003a277df2 gfn 70000 access 7 gen 1a\n",
	 {.kind = VMMU_TRACE_MMIO_SET,
	  .gfn = 0x70000,
	  .access = 7,
	  .generation = 0x1a,
	  .vcpu = UINT32_MAX}},
	{COLUMNS "mark_mmio_spte: sptep:(____ptrval____) gfn 70000 access 6 gen 2\n",
	 {.kind = VMMU_TRACE_MMIO_SET,
	  .gfn = 0x70000,
	  .access = 6,
	  .generation = 2,
	  .vcpu = UINT32_MAX}},
	{COLUMNS "check_mmio_spte: spte 8000070000017 kvm_gen 14 spte-gen 12 valid 0\n",
	 {.kind = VMMU_TRACE_MMIO_CHECK,
	  .new_pte = 0x8000070000017,
	  .generation = 0x12,
	  .count = 0x14,
	  .vcpu = UINT32_MAX}},
	{COLUMNS "check_mmio_spte: spte 80000000b82b7 kvm_gen 56 spte-gen 56 valid 1\n",
	 {.kind = VMMU_TRACE_MMIO_CHECK,
	  .new_pte = 0x80000000b82b7,
	  .generation = 0x56,
	  .count = 0x56,
	  .writable = true,
	  .vcpu = UINT32_MAX}},
	{COLUMNS "fast_page_fault: vcpu 1 gva 20010000 error_code P|W|U|0x100000000 sptep "
		 "0000000090ddfc72 old 0x2a6fe65 new 2a6fe67 spurious 0 fixed 1\n",
	 {.kind = VMMU_TRACE_FAST_FIX,
	  .vcpu = 1,
	  .gpa = 0x20010000,
	  .access = VMMU_WRITE,
	  .old_pte = 0x2a6fe65,
	  .new_pte = 0x2a6fe67,
	  .count = 1}},
	{COLUMNS "fast_page_fault: vcpu 1 gva 1000 error_code P|U|F sptep 0000000090ddfc72 old 0x1 "
		 "new 1 spurious 1 fixed 0\n",
	 {.kind = VMMU_TRACE_FAST_FIX,
	  .vcpu = 1,
	  .gpa = 0x1000,
	  .access = VMMU_EXEC,
	  .old_pte = 1,
	  .new_pte = 1,
	  .stride = 1}},
	{COLUMNS "fast_page_fault: vcpu 1 gva 1000 error_code  sptep (null) old 0 new 0 spurious 0 "
		 "fixed 0\n",
	 {.kind = VMMU_TRACE_FAST_FIX, .vcpu = 1, .gpa = 0x1000, .access = VMMU_READ}},
	{COLUMNS "fast_page_fault: [FAILED TO PARSE] vcpu_id=1 cr2_or_gpa=0x1000 error_code=7 "
		 "sptep=0xff11 old_spte=0x65 new_spte=0x67 ret=4\n",
	 {.kind = VMMU_TRACE_FAST_FIX,
	  .vcpu = 1,
	  .gpa = 0x1000,
	  .access = VMMU_WRITE,
	  .old_pte = 0x65,
	  .new_pte = 0x67,
	  .count = 1}},
	{COLUMNS
	 "kvm_mmu_get_page: sp gen 0 gfn c0000 l2 8-byte q0 direct wux nxe ad root 0 sync new\n",
	 {.kind = VMMU_TRACE_TABLE_GET,
	  .gfn = 0xc0000,
	  .level = 2,
	  .writable = true,
	  .vcpu = UINT32_MAX}},
	{COLUMNS
	 "kvm_mmu_get_page: sp gen 0 gfn 6 l1 4-byte q1 w-x !nxe !ad root 0 unsync existing\n",
	 {.kind = VMMU_TRACE_TABLE_GET, .gfn = 6, .level = 1, .vcpu = UINT32_MAX}},
	{COLUMNS "kvm_mmu_get_page:     new sp gfn 3f 5 q0 direct wux !pae nxe wp root 0 sync\n",
	 {.kind = VMMU_TRACE_TABLE_GET,
	  .gfn = 0x3f,
	  .level = 5,
	  .writable = true,
	  .vcpu = UINT32_MAX}},
	{COLUMNS
	 "kvm_mmu_get_page:     existing sp gfn 3f 4 q0 direct wux !pae nxe wp root 0 sync\n",
	 {.kind = VMMU_TRACE_TABLE_GET, .gfn = 0x3f, .level = 4, .vcpu = UINT32_MAX}},
	{COLUMNS "kvm_mmu_get_page: [FAILED TO PARSE] mmu_valid_gen=0 gfn=786432 role=14210 "
		 "root_count=0 unsync=0 created=1\n",
	 {.kind = VMMU_TRACE_TABLE_GET,
	  .gfn = 0xc0000,
	  .level = 2,
	  .writable = true,
	  .vcpu = UINT32_MAX}},
	{COLUMNS "kvm_mmu_prepare_zap_page: sp gen 0 gfn ffc00 l1 8-byte q0 direct wux nxe ad root "
		 "0 sync\n",
	 {.kind = VMMU_TRACE_TABLE_ZAP, .gfn = 0xffc00, .level = 1, .vcpu = UINT32_MAX}},
	{COLUMNS "kvm_mmu_prepare_zap_page: sp gen 0 gfn 0 l5 8-byte q0 direct wux invalid nxe ad "
		 "root 0 sync\n",
	 {.kind = VMMU_TRACE_TABLE_ZAP, .vcpu = UINT32_MAX, .level = 5, .count = 1}},
	{COLUMNS "kvm_mmu_split_huge_page: gfn 10800 spte fa00ee7 level 2 errno 0\n",
	 {.kind = VMMU_TRACE_SPLIT,
	  .vcpu = UINT32_MAX,
	  .gfn = 0x10800,
	  .level = 2,
	  .old_pte = 0xfa00ee7}},
	{COLUMNS "kvm_mmu_split_huge_page: gfn 10800 spte fa00ee7 level 2 errno -12\n",
	 {.kind = VMMU_TRACE_SPLIT,
	  .vcpu = UINT32_MAX,
	  .gfn = 0x10800,
	  .level = 2,
	  .old_pte = 0xfa00ee7,
	  .count = 12}},
	{COLUMNS "kvm_mmu_prepare_zap_page: 2 q0 direct wux !pae nxe wp root 0 sync\n",
	 {.kind = VMMU_TRACE_TABLE_ZAP, .gfn = UINT64_MAX, .level = 2, .vcpu = UINT32_MAX}},
	{COLUMNS "kvm_mmu_zap_all_fast: kvm-mmu-valid-gen 0 used_pages 7\n",
	 {.kind = VMMU_TRACE_ZAP_ALL, .vcpu = UINT32_MAX}},
	/* the kit's probes, and events of other systems by the same names */
	{COLUMNS "map: (kvm_pgtable_stage2_map+0x0/0x1a0) pgd=0xffff000003438000 ia_bits=40 "
		 "start_level=1 addr=0x10000000 size=0x200000 phys=0x4fa00000 prot=0x6\n",
	 {.kind = VMMU_TRACE_STAGE2,
	  .vcpu = UINT32_MAX,
	  .count = VMMU_TRACE_STAGE2_MAP,
	  .gpa = 0x10000000,
	  .bytes = 0x200000,
	  .pfn = 0x4fa00,
	  .access = VMMU_READ | VMMU_WRITE,
	  .stride = 40,
	  .level = 1}},
	{COLUMNS "unmap: (kvm_pgtable_stage2_unmap+0x0/0x80) addr=0x40800000 size=0x1000\n",
	 {.kind = VMMU_TRACE_STAGE2,
	  .vcpu = UINT32_MAX,
	  .count = VMMU_TRACE_STAGE2_UNMAP,
	  .gpa = 0x40800000,
	  .bytes = 0x1000}},
	{COLUMNS "wrprotect: (kvm_pgtable_stage2_wrprotect+0x0/0x90) addr=0x20000000 "
		 "size=0x800000\n",
	 {.kind = VMMU_TRACE_STAGE2,
	  .vcpu = UINT32_MAX,
	  .count = VMMU_TRACE_STAGE2_PROTECT,
	  .gpa = 0x20000000,
	  .bytes = 0x800000}},
	{COLUMNS "relax: (kvm_pgtable_stage2_relax_perms+0x0/0x130) addr=0x10002000 prot=0x5\n",
	 {.kind = VMMU_TRACE_STAGE2,
	  .vcpu = UINT32_MAX,
	  .count = VMMU_TRACE_STAGE2_RELAX,
	  .gpa = 0x10002000,
	  .access = VMMU_READ | VMMU_EXEC}},
	{COLUMNS "map: IOMMU: iova=0x1000 - 0x2000 paddr=0x3000 size=4096\n",
	 {.kind = VMMU_TRACE_OTHER, .vcpu = UINT32_MAX}},
	/* the kit's script */
	{COLUMNS "tracing_mark_write: slot 1a 10000000 4000000 303\n",
	 {.kind = VMMU_TRACE_SLOT,
	  .vcpu = UINT32_MAX,
	  .count = 0x300,
	  .slot = {.id = 0x1a, .gpa = 0x10000000, .bytes = 0x4000000, .flags = 3}}},
	{COLUMNS "tracing_mark_write: del 3\n",
	 {.kind = VMMU_TRACE_SLOT, .vcpu = UINT32_MAX, .slot = {.id = 3}}},
	{COLUMNS "tracing_mark_write: x 10002000\n",
	 {.kind = VMMU_TRACE_ACCESS,
	  .vcpu = UINT32_MAX,
	  .access = VMMU_EXEC,
	  .gpa = 0x10002000,
	  .count = 1}},
	{COLUMNS "print:                tracing_mark_write: w 10002000\n",
	 {.kind = VMMU_TRACE_ACCESS,
	  .vcpu = UINT32_MAX,
	  .access = VMMU_WRITE,
	  .gpa = 0x10002000,
	  .count = 1}},
	{COLUMNS "tracing_mark_write: range 0 20010000 40 1000\n",
	 {.kind = VMMU_TRACE_ACCESS,
	  .vcpu = UINT32_MAX,
	  .access = VMMU_READ,
	  .gpa = 0x20010000,
	  .count = 0x40,
	  .stride = 0x1000}},
	{COLUMNS "tracing_mark_write: range 2 20010000 40 1000\n",
	 {.kind = VMMU_TRACE_ACCESS,
	  .vcpu = UINT32_MAX,
	  .access = VMMU_WRITE,
	  .gpa = 0x20010000,
	  .count = 0x40,
	  .stride = 0x1000}},
	{COLUMNS "tracing_mark_write: dirty 2\n",
	 {.kind = VMMU_TRACE_DIRTY_GET, .vcpu = UINT32_MAX, .slot = {.id = 2}}},
	{COLUMNS "tracing_mark_write: dirty 10002\n",
	 {.kind = VMMU_TRACE_DIRTY_GET, .vcpu = UINT32_MAX, .slot = {.as_id = 1, .id = 2}}},
	{COLUMNS "tracing_mark_write: clear 10002 40 c0 ffff0000\n",
	 {.kind = VMMU_TRACE_DIRTY_CLEAR,
	  .vcpu = UINT32_MAX,
	  .slot = {.as_id = 1, .id = 2},
	  .gfn = 0x40,
	  .count = 0xc0,
	  .stride = 0xffff0000}},
	{COLUMNS "tracing_mark_write: manual 3\n",
	 {.kind = VMMU_TRACE_DIRTY_MANUAL, .vcpu = UINT32_MAX, .count = 3}},
	{COLUMNS "tracing_mark_write: ring 1000\n",
	 {.kind = VMMU_TRACE_DIRTY_RING, .vcpu = UINT32_MAX, .bytes = 0x1000}},
	{COLUMNS "tracing_mark_write: harvest\n",
	 {.kind = VMMU_TRACE_DIRTY_HARVEST, .vcpu = UINT32_MAX}},
	{COLUMNS "tracing_mark_write: page slot 10001 offset 1ff\n",
	 {.kind = VMMU_TRACE_DIRTY_PAGE,
	  .vcpu = UINT32_MAX,
	  .slot = {.as_id = 1, .id = 1},
	  .gfn = 0x1ff}},
	{COLUMNS "tracing_mark_write: prefault 40000000 3000\n",
	 {.kind = VMMU_TRACE_PREFAULT, .vcpu = UINT32_MAX, .gpa = 0x40000000, .bytes = 0x3000}},
	{COLUMNS "tracing_mark_write: reclaim 80000\n",
	 {.kind = VMMU_TRACE_RECLAIM, .vcpu = UINT32_MAX, .bytes = 0x80000}},
	{COLUMNS "tracing_mark_write: vcpu 2\n", {.kind = VMMU_TRACE_SCRIPT, .vcpu = 2}},
	{COLUMNS "tracing_mark_write: alias 10003 50000000 800000 101 1 200000\n",
	 {.kind = VMMU_TRACE_SLOT,
	  .vcpu = UINT32_MAX,
	  .slot = {.as_id = 1,
		   .id = 3,
		   .gpa = 0x50000000,
		   .bytes = 0x800000,
		   .flags = VMMU_SLOT_LOG_DIRTY}}},
	{COLUMNS "tracing_mark_write: dontneed 1 200000 1000\n",
	 {.kind = VMMU_TRACE_DROP,
	  .vcpu = UINT32_MAX,
	  .slot = {.id = 1},
	  .gpa = 0x200000,
	  .bytes = 0x1000}},
	{COLUMNS "tracing_mark_write: protect 1 400000 10000 1\n",
	 {.kind = VMMU_TRACE_PROTECT,
	  .vcpu = UINT32_MAX,
	  .slot = {.id = 1},
	  .gpa = 0x400000,
	  .bytes = 0x10000,
	  .writable = true}},
	{COLUMNS
	 "tracing_mark_write: entry level 3 gpa 20000000 at 4b977000 old 0 new 4000004bfc67ff\n",
	 {.kind = VMMU_TRACE_ENTRY_CHANGED,
	  .vcpu = UINT32_MAX,
	  .level = 3,
	  .gpa = 0x20000000,
	  .gfn = 0x20000,
	  .pte_hpa = 0x4b977000,
	  .new_pte = 0x4000004bfc67ff}},
	{COLUMNS "tracing_mark_write: mode 64 2000\n",
	 {.kind = VMMU_TRACE_SCRIPT, .vcpu = UINT32_MAX}},
	{COLUMNS "tracing_mark_write: wq 6000 10008003\n",
	 {.kind = VMMU_TRACE_SCRIPT, .vcpu = UINT32_MAX, .count = 1}},
	{COLUMNS "tracing_mark_write: a note of my own\n",
	 {.kind = VMMU_TRACE_OTHER, .vcpu = UINT32_MAX}},
	{COLUMNS "tracing_mark_write: kvm_set_user_memory Slot#65537 flags=0x1 gpa=0x1000 "
		 "size=0x2000 ua=0x7f00 ret=0\n",
	 {.kind = VMMU_TRACE_SLOT,
	  .vcpu = UINT32_MAX,
	  .slot = {.as_id = 1,
		   .id = 1,
		   .flags = 1,
		   .gpa = 0x1000,
		   .bytes = 0x2000,
		   .hva = 0x7f00}}},
	{COLUMNS "tracing_mark_write: kvm_set_user_memory Slot#1 flags=0x1 gpa=0x1000 size=0x2000 "
		 "ua=0x7f00 ret=-22\n",
	 {.kind = VMMU_TRACE_SCRIPT,
	  .vcpu = UINT32_MAX,
	  .slot = {.id = 1, .flags = 1, .gpa = 0x1000, .bytes = 0x2000, .hva = 0x7f00}}},
	/* of no use */
	{COLUMNS "kvm_fpu: load\n", {.kind = VMMU_TRACE_OTHER, .vcpu = UINT32_MAX}},
};

Test(events, every_text__gives_its_fields)
{
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		const struct vmmu_trace_event *want = &rows[i].want;
		struct vmmu_trace_event event = help_last(rows[i].text);
		const char *text = rows[i].text;

		cr_expect_eq(event.kind, want->kind, "%s: %d", text, event.kind);
		cr_expect_eq(event.vcpu, want->vcpu, "%s: %u", text, event.vcpu);
		cr_expect_eq(event.gpa, want->gpa, "%s: %lx", text, event.gpa);
		cr_expect_eq(event.bytes, want->bytes, "%s: %lx", text, event.bytes);
		cr_expect_eq(event.gfn, want->gfn, "%s: %lx", text, event.gfn);
		cr_expect_eq(event.pfn, want->pfn, "%s: %lx", text, event.pfn);
		cr_expect_eq(event.old_pte, want->old_pte, "%s: %lx", text, event.old_pte);
		cr_expect_eq(event.new_pte, want->new_pte, "%s: %lx", text, event.new_pte);
		cr_expect_eq(event.pte_hpa, want->pte_hpa, "%s: %lx", text, event.pte_hpa);
		cr_expect_eq(event.generation, want->generation, "%s: %lx", text, event.generation);
		cr_expect_eq(event.count, want->count, "%s: %lu", text, event.count);
		cr_expect_eq(event.stride, want->stride, "%s: %lu", text, event.stride);
		cr_expect_eq(event.level, want->level, "%s: %u", text, event.level);
		cr_expect_eq(event.writable, want->writable, "%s", text);
		if (want->access || event.kind != VMMU_TRACE_MMIO)
			cr_expect_eq(event.access, want->access, "%s: %u", text, event.access);
		if (want->kind != VMMU_TRACE_FAULT && want->kind != VMMU_TRACE_HOST_PAGE)
			cr_expect(help_is_same_slot(&event.slot, &want->slot), "%s", text);
		else
			cr_expect_eq(event.fault.gpa, want->gpa, "%s", text);
	}
}

static const struct {
	const char *text;
	enum vmmu_trace_kind kind;
	uint64_t start, end;
	uint64_t count;
} ranges[] = {
	{COLUMNS
	 "kvm_unmap_hva_range: mmu notifier unmap range: 0x00ffff85000000 -- 0x00ffff85100000\n",
	 VMMU_TRACE_INVALIDATE, 0xffff85000000, 0xffff85100000, 0},
	{COLUMNS
	 "kvm_unmap_hva_range: mmu notifier unmap range: 0000000000000000 -- 0x00000000098000\n",
	 VMMU_TRACE_INVALIDATE, 0, 0x98000, 0},
	{COLUMNS "kvm_set_spte_hva: mmu notifier set pte hva: 0x0055623bcde123\n",
	 VMMU_TRACE_INVALIDATE, 0x55623bcde000, 0x55623bcdf000, 1},
	{COLUMNS "kvm_age_hva: mmu notifier age hva: 0x007f41bdf75000 -- 0x007f41bdf76000\n",
	 VMMU_TRACE_AGE, 0x7f41bdf75000, 0x7f41bdf76000, 0},
	{COLUMNS "kvm_test_age_hva: mmu notifier test age hva: 0x007f41bdf75000\n", VMMU_TRACE_AGE,
	 0x7f41bdf75000, 0x7f41bdf76000, 1},
};

Test(events, host_ranges__are_half_open_hvas)
{
	for (size_t i = 0; i < sizeof(ranges) / sizeof(*ranges); i++) {
		struct vmmu_trace_event event = help_last(ranges[i].text);

		cr_expect_eq(event.kind, ranges[i].kind, "%s", ranges[i].text);
		cr_expect_eq(event.count, ranges[i].count, "%s", ranges[i].text);
		cr_expect_eq(event.hva.start, ranges[i].start, "%s: %lx", ranges[i].text,
			     event.hva.start);
		cr_expect_eq(event.hva.end, ranges[i].end, "%s: %lx", ranges[i].text,
			     event.hva.end);
	}
}

Test(events, host_line__says_what_is_behind_the_page)
{
	struct vmmu_trace_event event = help_last(
		COLUMNS "tracing_mark_write: host gpa 10001000 hva 7fb99ac01000 present "
			"1 pfn 10401 huge 1 zero 0\n");

	cr_expect_eq(event.kind, VMMU_TRACE_HOST_PAGE);
	cr_expect_eq(event.host.gpa, 0x10001000);
	cr_expect_eq(event.host.hva, 0x7fb99ac01000);
	cr_expect_eq(event.host.pfn, 0x10401);
	cr_expect(event.host.present);
	cr_expect(event.host.huge);
	cr_expect_not(event.host.zero);
	event = help_last(
		COLUMNS
		"tracing_mark_write: host gpa 1000 hva 2000 present 0 pfn 0 huge 0 zero 1\n");
	cr_expect_not(event.host.present);
	cr_expect_not(event.host.huge);
	cr_expect(event.host.zero);
}

/* Texts with something missing, too large or of the wrong kind are counted, and no event. */
static const char *const broken[] = {
	"kvm_page_fault: vcpu 0 rip 0x1 address 0x error_code 0x4",
	"kvm_page_fault: vcpu x rip 0x1 address 0x1 error_code 0x4",
	"kvm_page_fault: vcpu 0 rip 0x1 address 0x11112222333344445 error_code 0x4",
	"kvm_page_fault:",
	"kvm_exit: reason",
	"kvm_exit: SEPC:0x1, SCAUSE:0x17",
	"kvm_entry: now",
	"kvm_guest_fault: ipa 0x1000, hsr",
	"kvm_mmio: mmio read len 4",
	"kvm_unmap_hva_range: mmu notifier unmap range: 0x2000 -- 0x1000",
	"kvm_mmu_set_spte: gfn 1 spte 2 (rwx) level 77 at 3",
	"kvm_tdp_mmu_spte_changed: as id 0 gfn 1 level 1 old_spte 2",
	"fast_page_fault: vcpu 1 gva 1000",
	"kvm_mmu_get_page: sp gen 0",
	"kvm_mmu_split_huge_page: gfn 10800 spte",
	"kvm_smm_transition: vcpu 0: dancing SMM",
	"kvm_smm_transition: dancing",
	"kvm_page_fault: vcpu_id=0 guest_rip=0x1 fault_address=0x1 code=2",
	"kvm_exit: reason EPT_VIOLATION at 0x1",
	"kvm_exit: exit_reason=48 isa=1",
	"vcpu_match_mmio: gva 1",
	"kvm_mmio_emulate: Emulate it",
	"handle_mmio_page_fault: addr:0",
	"kvm_set_spte_hva: mmu notifier set",
	"kvm_test_age_hva: mmu notifier",
	"kvm_mmu_set_spte: gfn 1",
	"mark_mmio_spte: sptep:1 gfn 2",
	"check_mmio_spte: spte 1 kvm_gen",
	"map: (kvm_pgtable_stage2_map+0x0/0x1a0) pgd=0x1 ia_bits=40 addr=0x1000 size=0x1000",
	("map: (kvm_pgtable_stage2_map+0x0/0x1a0) pgd=0x1 ia_bits=40 start_level=1 addr=0x1000 "
	 "size=0x1000 phys=0x1001 prot=0x6"),
	"unmap: (kvm_pgtable_stage2_unmap+0x0/0x80) addr=0x1000",
	"unmap: (kvm_pgtable_stage2_unmap+0x0/0x80) addr=0x1000 size=0x800",
	"wrprotect: (kvm_pgtable_stage2_wrprotect+0x0/0x90)",
	"relax: (kvm_pgtable_stage2_relax_perms+0x0/0x130) addr=0x1000 prot=",
	"tracing_mark_write: del x",
	"tracing_mark_write: dirty x",
	"tracing_mark_write: dontneed 1 2",
	"tracing_mark_write: protect 1 2 3",
	"tracing_mark_write: entry level 1",
	"tracing_mark_write: entry level 1 gpa 1001 at 2000 old 0 new 3",
	"tracing_mark_write: entry level 1 gpa 1000 at 2001 old 0 new 3",
	"tracing_mark_write: slot 1 2",
	"tracing_mark_write: range 7 1 2 3",
	"tracing_mark_write: host gpa 1",
	"tracing_mark_write: kvm_set_user_memory Slot#1 flags=",
};

Test(events, broken_texts__are_counted_as_not_understood)
{
	for (size_t i = 0; i < sizeof(broken) / sizeof(*broken); i++) {
		char text[256];
		struct vmmu_trace *trace;
		struct vmmu_trace_event event;

		snprintf(text, sizeof(text), COLUMNS "%s\n", broken[i]);
		trace = help_open(text);
		cr_expect_eq(vmmu_trace_next(trace, &event), 0, "%s", broken[i]);
		cr_expect_eq(help_not_understood(trace), 1, "%s", broken[i]);
		vmmu_trace_close(trace);
	}
}

/* External abort (fault status 0b010000) is no second-stage fault. */
Test(events, arm_abort_of_another_kind__is_no_fault)
{
	struct vmmu_trace *trace = help_open(
		COLUMNS
		"kvm_guest_fault: ipa 0x80000000, hsr 0x92000010, hxfar 0x80000000, pc 0x1\n");
	struct vmmu_trace_event event;

	cr_expect_eq(vmmu_trace_next(trace, &event), 0);
	cr_expect_eq(help_count(trace, "kvm_guest_fault (not understood)", NULL), 1);
	vmmu_trace_close(trace);
}
