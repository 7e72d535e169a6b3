/* SPDX-License-Identifier: MIT */
/*
 * The hardware on the other side: what a CPU's MMU makes of tables in memory, both stages, written
 * from the manuals and from nothing else in this library.
 *
 * One call is one access of the guest: it reads guest tables through the second stage, as hardware
 * does, updates accessed and dirty bits, and gives either a translation or the architecture's own
 * fault registers. Registers and entries are the architecture's raw values. Everything here is pure
 * but for the bus callbacks: no lock, no allocation, no hidden state, any thread.
 *
 * Levels in results count up from 1, the smallest page, for every architecture (Arm's level L is 4
 * - L).
 */
#ifndef VMMU_HW_H
#define VMMU_HW_H

#include <vmmu/types.h>

#ifdef __cplusplus
extern "C" {
#endif

enum vmmu_hw_arch {
	VMMU_HW_X86,   /* guest paging alone: guest-physical is host-physical */
	VMMU_HW_EPT,   /* guest paging over Intel EPT */
	VMMU_HW_NPT,   /* guest paging over AMD nested paging */
	VMMU_HW_RISCV, /* VS-stage over G-stage, V=1 */
	VMMU_HW_ARM64, /* EL1&0 stage 1 over stage 2, AArch64 */
	VMMU_HW_ARCHES,
};

/* What an x86 CPU can do beyond the base; flags of vmmu_hw_x86.features. */
enum vmmu_hw_x86_feature {
	VMMU_HW_X86_1G = 1 << 0,        /* 1G pages in guest tables and NPT */
	VMMU_HW_X86_PSE36 = 1 << 1,     /* 4M pages reach 40 physical bits */
	VMMU_HW_X86_AMD = 1 << 2,       /* bit 8 of level-4 and level-5 entries is reserved */
	VMMU_HW_EPT_EXEC_ONLY = 1 << 3, /* EPT capability bit 0 */
	VMMU_HW_EPT_2M = 1 << 4,        /* EPT capability bit 16 */
	VMMU_HW_EPT_1G = 1 << 5,        /* EPT capability bit 17 */
	VMMU_HW_EPT_ADVANCED = 1 << 6,  /* EPT capability bit 22: qualification bits 9-11 */
	VMMU_HW_EPT_MBE = 1 << 7,       /* VM-execution control "mode-based execute" is on */
	VMMU_HW_NPT_GMET = 1 << 8,      /* VMCB 0x90 bit 3 is on */
	VMMU_HW_X86_FEATURES = (1 << 9) - 1,
};

/* x86: registers of the guest, and of the second stage as the architecture field says. */
struct vmmu_hw_x86 {
	unsigned features;            /* enum vmmu_hw_x86_feature, or-ed */
	uint8_t maxphyaddr;           /* CPUID 0x80000008 EAX[7:0]: 32..52 */
	uint64_t cr0, cr3, cr4, efer; /* guest; CR0.PG off: guest-virtual is guest-physical */
	uint64_t rflags;              /* guest; AC matters */
	uint32_t pkru, pkrs;          /* guest */
	uint64_t pdpte[4];            /* guest PAE, not under NPT: see vmmu_hw_pdptes_load() */
	uint64_t eptp;                /* EPT */
	uint64_t ncr3;                /* NPT */
	uint64_t host_cr4, host_efer; /* NPT: paging mode and NXE of the nested tables */
	uint32_t vpid;                /* EPT: tag of translations; 0 counts like any other */
	uint32_t asid;                /* NPT: tag of translations, VMCB 0x58 */
	bool has_pml;                 /* EPT: page-modification logging is on */
	uint64_t pml_address;         /* VMCS 0x200e: the log's page; the caller writes it */
	uint16_t pml_index;           /* VMCS 0x812: next entry to be written; above 511: full */
};

enum vmmu_hw_riscv_feature {
	VMMU_HW_RISCV_SVNAPOT = 1 << 0,
	VMMU_HW_RISCV_SVPBMT = 1 << 1, /* without it the PBMTE bits read 0 */
	VMMU_HW_RISCV_SVADU = 1 << 2,  /* without it the ADUE bits read 0: a clear A or D faults */
	VMMU_HW_RISCV_SVRSW60T59B = 1 << 3, /* bits 60:59 are software's */
	VMMU_HW_RISCV_ZICFISS = 1 << 4,     /* without it the SSE bits read 0 */
	VMMU_HW_RISCV_FEATURES = (1 << 5) - 1,
};

struct vmmu_hw_riscv {
	unsigned features;    /* enum vmmu_hw_riscv_feature, or-ed */
	uint8_t xlen, vsxlen; /* 32 or 64; vsxlen at most xlen */
	uint8_t pa_bits; /* implemented physical address bits: 32..56; more is an access fault */
	uint64_t hgatp, vsatp;      /* MODE 0 is Bare */
	uint64_t sstatus, vsstatus; /* HS-level sstatus: MXR; vsstatus: SUM, MXR */
	uint64_t menvcfg, henvcfg;  /* PBMTE, ADUE, SSE */
};

enum vmmu_hw_arm64_feature {
	VMMU_HW_ARM64_XNX = 1 << 0, /* XN[1:0] at stage 2 */
	VMMU_HW_ARM64_TTST =
		1 << 1, /* small tables: T0SZ to 48 (64K: 47), stage 2 start at level 3 for 4K */
	VMMU_HW_ARM64_LPA2 = 1 << 2,   /* DS honoured for 4K and 16K */
	VMMU_HW_ARM64_LVA = 1 << 3,    /* 52-bit virtual addresses with 64K granule */
	VMMU_HW_ARM64_HAFDBS = 1 << 4, /* HA and HD honoured */
	VMMU_HW_ARM64_FEATURES = (1 << 5) - 1,
};

struct vmmu_hw_arm64 {
	unsigned features; /* enum vmmu_hw_arm64_feature, or-ed */
	uint8_t pamax;     /* implemented physical address bits: 32, 36, 40, 42, 44, 48, 52 */
	uint8_t bbm_level; /* FEAT_BBM: 0..2; 1 and 2 have nT, which faults here */
	uint64_t hcr_el2;  /* VM, PTW, DC, FWB matter */
	uint64_t vtcr_el2, vttbr_el2;
	uint64_t sctlr_el1; /* M off: stage 1 off */
	uint64_t tcr_el1, ttbr0_el1, ttbr1_el1, mair_el1;
	bool pan; /* PSTATE.PAN */
};

/* One CPU: architecture and registers. A plain value. */
struct vmmu_hw_cpu {
	enum vmmu_hw_arch arch;
	union {
		struct vmmu_hw_x86 x86; /* VMMU_HW_X86, EPT, NPT */
		struct vmmu_hw_riscv riscv;
		struct vmmu_hw_arm64 arm64;
	} u;
};

/*
 * Physical memory. Addresses are aligned to bytes, which is 4 or 8; values are little-endian words
 * read at once. A callback may be called many times for one access, with any address that tables
 * may hold.
 */
struct vmmu_hw_bus {
	void *ctx;
	/* Read. 0, or non-zero: nothing answers at HPA. Required. */
	int (*load)(void *ctx, uint64_t hpa, unsigned bytes, uint64_t *value);
	/*
	 * Atomically write NEW_VALUE where OLD_VALUE stands. 0: done; 1: another value stands
	 * there, the access is walked again; -1: memory refuses writes. NULL: updates are listed in
	 * the result but not made.
	 */
	int (*swap)(void *ctx, uint64_t hpa, unsigned bytes, uint64_t old_value,
		    uint64_t new_value);
};

/* Properties of an access; flags of vmmu_hw_access.flags. */
enum vmmu_hw_access_flag {
	VMMU_HW_USER = 1 << 0,         /* CPL 3, VU-mode, EL0 */
	VMMU_HW_IMPLICIT = 1 << 1,     /* x86: implicit supervisor access (descriptor tables) */
	VMMU_HW_SHADOW_STACK = 1 << 2, /* x86 CET, RISC-V Zicfiss */
	VMMU_HW_CACHE_OP =
		1 << 3, /* Arm: cache maintenance by address; access says the right it needs */
	VMMU_HW_HLVX = 1 << 4, /* RISC-V: a read that needs execute instead of read */
	VMMU_HW_ACCESS_FLAGS = (1 << 5) - 1,
};

/* One access. READ|WRITE is an atomic read-modify-write. */
struct vmmu_hw_access {
	uint64_t gva;      /* bytes */
	unsigned access;   /* VMMU_READ, VMMU_WRITE, VMMU_READ | VMMU_WRITE or VMMU_EXEC */
	unsigned flags;    /* enum vmmu_hw_access_flag, or-ed */
	unsigned bytes;    /* width, a power of two, for alignment checks on Arm device memory; 0:
			      aligned */
	uint32_t syndrome; /* Arm: ISS[24:14] that the instruction would report (ISV, SAS ...); 0:
			      none */
};

/* Why the second stage is asked. */
enum vmmu_hw_purpose {
	VMMU_HW_FINAL,       /* the access itself */
	VMMU_HW_TABLE_READ,  /* a guest table entry is read */
	VMMU_HW_TABLE_WRITE, /* a guest table entry is updated (accessed, dirty) */
	VMMU_HW_PDPTE_LOAD,  /* EPT: MOV to CR0, CR3 or CR4 of a PAE guest */
	VMMU_HW_PURPOSES,
};

/* What the guest's own tables said of a page: EPT reports it, NPT and EPT judge fetches by it. */
enum vmmu_hw_guest_page {
	VMMU_HW_PAGE_USER = 1 << 0,
	VMMU_HW_PAGE_WRITABLE = 1 << 1,
	VMMU_HW_PAGE_NX = 1 << 2,
	VMMU_HW_PAGE_FLAGS = (1 << 3) - 1,
};

/* A second-stage translation alone. */
struct vmmu_hw_gpa {
	uint64_t gpa; /* bytes */
	enum vmmu_hw_purpose purpose;
	unsigned guest_page; /* enum vmmu_hw_guest_page, or-ed; VMMU_HW_FINAL on x86 */
};

/* One memory reference of a walk. */
struct vmmu_hw_ref {
	uint64_t hpa;   /* bytes */
	uint64_t input; /* the address being translated: guest-virtual in stage 1, guest-physical in
			   stage 2 */
	uint64_t gpa;   /* stage 1: guest-physical address of the entry; stage 2: input */
	uint64_t value; /* as read */
	uint64_t update; /* UPDATE: what was (or, without swap, would be) written */
	uint8_t stage;   /* 1 or 2 */
	uint8_t level;
	uint8_t bytes;  /* 4 or 8 */
	bool is_update; /* an accessed or dirty update, else a load */
};

/* What one stage (or both) makes of the page around the access: all that a TLB may keep of it. */
struct vmmu_hw_mapping {
	uint64_t input, output;             /* bytes, of the access itself */
	uint8_t level;                      /* of the leaf; 0: this stage is off */
	uint8_t page_lg2;                   /* lg2 bytes of the leaf; 64: this stage is off */
	uint8_t range_lg2;                  /* of the contiguous or NAPOT group; else page_lg2 */
	uint8_t kernel_access, user_access; /* rights under the current control registers, accessed
					       and dirty left aside */
	uint8_t guest_page;                 /* x86 stage 1: enum vmmu_hw_guest_page */
	/*
	 * Raw type bits: EPT: type | IPAT << 3; x86 and NPT: PWT | PCD << 1 | PAT << 2; RISC-V:
	 * PBMT; Arm stage 1: AttrIndx; stage 2: MemAttr. 0 in a combined mapping.
	 */
	uint8_t memtype;
	bool dirty;  /* a write needs no update of the leaf */
	bool global; /* stage 1: for every address space of the guest */
};

enum vmmu_hw_status {
	VMMU_HW_OK,
	VMMU_HW_FAULT_GUEST, /* the guest's own tables refuse: the report is for the guest */
	VMMU_HW_FAULT_HOST,  /* the second stage refuses: the report is the hypervisor's */
};

/* Why, in neutral words; hardware tells only what the report says. */
enum vmmu_hw_cause {
	VMMU_HW_NO_CAUSE,
	VMMU_HW_ABSENT,   /* no valid entry */
	VMMU_HW_RESERVED, /* reserved bits or a reserved combination */
	VMMU_HW_PERMISSION,
	VMMU_HW_ACCESSED,   /* accessed or dirty bit clear, and hardware does not set it */
	VMMU_HW_INPUT_SIZE, /* the address is outside what the tables translate; a start level that
			       cannot be */
	VMMU_HW_ADDRESS_SIZE, /* an address in a register or entry is too wide */
	VMMU_HW_ALIGNMENT,    /* unaligned access to device memory */
	VMMU_HW_BUS,          /* nothing answers where an entry should be */
	VMMU_HW_LOG_FULL,     /* EPT: a page would turn dirty, and the log has no room for it */
};

/* Pages that one access can make dirty: guest tables, each read and updated, and the page. */
#define VMMU_HW_LOG_MAX 16

struct vmmu_hw_fault {
	enum vmmu_hw_cause cause;
	uint8_t stage;                /* 1 or 2: whose entry (or address) is at fault */
	uint8_t level;                /* of the entry; 0: none was read */
	enum vmmu_hw_purpose purpose; /* stage 2 */
	uint64_t gpa;                 /* stage 2: input; stage 1: address of the entry */
	uint64_t entry, entry_hpa;    /* meaningful with level */
};

/* The architecture's fault registers; which member counts follows from architecture and status. */
struct vmmu_hw_report {
	struct {
		uint8_t vector; /* 14 #PF, 13 #GP, 18 #MC */
		uint32_t error_code;
		uint64_t cr2; /* #PF */
	} exception;          /* x86, guest faults */
	struct {
		/* 48 EPT violation, 49 misconfiguration, 62 page-modification log full */
		uint32_t exit_reason;
		bool gla_valid;
		uint64_t qualification;
		uint64_t gpa, gla;
	} vmx;
	struct {
		uint64_t exit_code; /* 0x400 */
		uint64_t info1, info2;
	} svm;
	struct {
		uint64_t cause, tval, tval2, tinst; /* scause, stval, htval, htinst */
		bool gva; /* hstatus.GVA: tval is a guest-virtual address */
	} riscv;
	struct {
		uint64_t esr, far, hpfar;
		uint8_t el; /* 1 or 2: whose registers */
		bool hpfar_valid;
	} arm64;
};

/*
 * Loads and updates that one access can make: two five-level stages, every entry updated under a
 * new translation.
 */
#define VMMU_HW_REFS_MAX 128
/* How often lost update races restart a walk before it is given up. */
#define VMMU_HW_RESTARTS_MAX 64

/* What became of an access. */
struct vmmu_hw_walk {
	enum vmmu_hw_status status;
	struct vmmu_hw_mapping stage1, stage2, combined; /* OK: the whole, and each stage's part */
	struct vmmu_hw_mapping
		table[VMMU_LEVELS_MAX]; /* stage 2 of the guest tables read, in order */
	unsigned table_count;
	struct vmmu_hw_fault fault;
	struct vmmu_hw_report report;
	unsigned load_count; /* loads among the references */
	unsigned ref_count;
	unsigned restart_count;
	/*
	 * EPT with PML: guest-physical pages that turned dirty, in order, also when the access then
	 * faults: to be written to the log from entry pml_index downwards
	 */
	uint64_t log[VMMU_HW_LOG_MAX];
	unsigned log_count;
	struct vmmu_hw_ref
		ref[VMMU_HW_REFS_MAX]; /* in order, of the last try; [ref_count] on: unset */
};

/*
 * Do one access of the guest: both stages.
 * 0: see walk->status. -EINVAL: an argument is NULL or names nothing, or the registers hold what
 * hardware would refuse to enter with. -EAGAIN: VMMU_HW_RESTARTS_MAX updates in a row lost their
 * race. Cost: at most VMMU_HW_REFS_MAX bus calls per try.
 */
VMMU_API int vmmu_hw_translate(const struct vmmu_hw_cpu *cpu, const struct vmmu_hw_bus *bus,
			       const struct vmmu_hw_access *access, struct vmmu_hw_walk *walk);

/*
 * Translate a guest-physical address by the second stage alone, on behalf of ACCESS (whose gva is
 * reported). The result's stage1 is that of a stage that is off. Returns as vmmu_hw_translate();
 * VMMU_HW_X86 has no second stage: -EINVAL.
 */
VMMU_API int vmmu_hw_translate_gpa(const struct vmmu_hw_cpu *cpu, const struct vmmu_hw_bus *bus,
				   const struct vmmu_hw_access *access,
				   const struct vmmu_hw_gpa *gpa, struct vmmu_hw_walk *walk);

/*
 * x86 PAE guests: what MOV to CR3 does. Read the four entries that CR3 points at into
 * cpu->u.x86.pdpte; reserved bits in a present one give a #GP and leave the registers alone.
 * Returns as vmmu_hw_translate(); not x86, or the guest is not in PAE mode: -EINVAL. Under NPT
 * hardware reads them in each walk instead: this is a plain check there.
 */
VMMU_API int vmmu_hw_pdptes_load(struct vmmu_hw_cpu *cpu, const struct vmmu_hw_bus *bus,
				 struct vmmu_hw_walk *walk);

#ifdef __cplusplus
}
#endif
#endif
