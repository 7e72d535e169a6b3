/* SPDX-License-Identifier: MIT */
/*
 * What goes into an emulator and what comes out: shared by the host and the bare-metal programs.
 *
 * A job is one file: header, image, records. The image is the tables as they lie in physical
 * memory, in runs of words; whatever is in no run is zero. The program copies it to its place,
 * tags the pages that tables may map, does the records in order, and writes one result for each
 * probe and each read. All words are little-endian, 64 bits.
 */
#ifndef TESTS_ORACLE_JOB_H
#define TESTS_ORACLE_JOB_H

#include <stdint.h>

#define JOB_MAGIC UINT64_C(0x3130626f6a6d6d76)

struct job_header {
	uint64_t magic;
	uint64_t image_words;  /* behind the header: runs of {hpa, count, word ...} */
	uint64_t record_count; /* behind the image */
	uint64_t result_hpa;   /* where results gather before they are written out */
	uint64_t window_hpa;   /* the guest's own pages; code is copied to the first */
	uint64_t guest_leaf;   /* hpa of the guest's entry that probes are aimed with */
	uint64_t tag_hpa, tag_bytes;
	uint64_t mode; /* enum job_mode, or-ed */
};

enum job_mode {
	JOB_LA57 = 1 << 0, /* x86: the host pages with five levels, hence its nested tables too */
};

enum job_op {
	/*
	 * Registers of the second stage, then a flush of everything. arg[3]: gpa of the window.
	 * RISC-V: hgatp, vsatp. Arm: VTTBR_EL2, VTCR_EL2, TCR_EL1 (0: stage 1 off). x86: EPTP or
	 * nested CR3.
	 */
	JOB_ROOT = 1,
	/*
	 * An access of the guest. arg: gva; value to store or add; hpa to look at afterwards (and
	 * to tag anew), 0: none; new value of the guest's leaf, 0: leave it. enum job_kind << 8.
	 */
	JOB_PROBE,
	JOB_WRITE, /* words arg[1..] at hpa arg[0] on, without a flush; their count (1..3) << 8 */
	JOB_READ,  /* the word at hpa arg[0] */
	JOB_FLUSH, /* whatever this CPU may have cached of the second stage */
};

enum job_kind {
	JOB_LOAD,
	JOB_STORE,
	JOB_FETCH,
	JOB_RMW,         /* atomic add */
	JOB_ASIDE_LOAD,  /* without a guest: RISC-V HLV, Arm AT */
	JOB_ASIDE_STORE, /* RISC-V HSV, Arm AT for write */
	JOB_KINDS,
	JOB_USER = 0x10, /* flag: in the guest's user mode */
};

struct job_record {
	uint64_t op; /* enum job_op, more from bit 8 on */
	uint64_t arg[4];
};

/*
 * What a probe came to. WHAT is the trap: RISC-V scause (all ones: none), Arm ESR_EL2 or PAR_EL1,
 * VMX exit reason, SVM exit code. REG: the registers that go with it.
 *   RISC-V: stval, htval, htinst | hstatus.GVA << 63
 *   Arm: FAR_EL2, HPFAR_EL2, ESR_EL1
 *   VMX: qualification, guest-physical, guest-linear address; failed entry: error number
 *   SVM: EXITINFO1, EXITINFO2
 * A read has its word in VALUE.
 */
struct job_result {
	uint64_t what;
	uint64_t reg[3];
	uint64_t value; /* loaded; of a fetch: what the tag's instruction left */
	uint64_t after; /* the word looked at afterwards */
};

/*
 * The word that stands at HPA in a tagged page: an instruction that leaves the guest, and the
 * address. Loaded, fetched or found stored to, it tells which word it is.
 */
static inline uint64_t job_tag_riscv(uint64_t hpa)
{
	/* lui t2, page number; ecall */
	return UINT64_C(0x73) << 32 | (hpa & 0xfffff000) | 0x3b7;
}

static inline uint64_t job_tag_arm64(uint64_t hpa)
{
	/* brk #page number; address above */
	return (hpa >> 3) << 32 | 0xd4200000 | (hpa >> 12 & 0xffff) << 5;
}

static inline uint64_t job_tag_x86(uint64_t hpa)
{
	/* mov eax, address >> 3; hlt */
	return UINT64_C(0xf4) << 40 | (hpa >> 3 & 0xffffffff) << 8 | 0xb8;
}

#endif
