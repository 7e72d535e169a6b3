/* SPDX-License-Identifier: MIT */
/*
 * RISC-V with the hypervisor extension: from reset (M-mode) to HS-mode, the way into the guest and
 * back out of it. Hypervisor instructions by number, since older assemblers do not know them.
 */
	.option norvc
	.equ hstatus, 0x600
	.equ htval, 0x643
	.equ htinst, 0x64a
	.equ hstatus_gva, 1 << 6
	.equ hstatus_spv, 1 << 7
	.equ sstatus_spp, 1 << 8

	.section .text.start, "ax"
	.globl _start
_start:	csrr	a0, mhartid
	bnez	a0, halt
	la	sp, stack_top
	la	t0, machine_trap
	csrw	mtvec, t0
	/* HS- and VS-mode may reach all memory. */
	li	t0, -1
	csrw	pmpaddr0, t0
	li	t0, 0x1f
	csrw	pmpcfg0, t0
	/* Everything that a probe can raise goes to HS-mode; its own calls (9, 11) do not. */
	li	t0, 0xf0b5ff
	csrw	medeleg, t0
	csrw	mideleg, zero
	csrw	mie, zero
	/* To HS-mode: MPP = S, MPV = 0. */
	li	t0, 3 << 11
	csrc	mstatus, t0
	li	t0, 1 << 11
	csrs	mstatus, t0
	la	t0, supervisor
	csrw	mepc, t0
	mret
supervisor:
	la	t0, machine_trap
	csrw	stvec, t0
	call	bare_main
halt:	wfi
	j	halt

	/* A trap that no probe asked for: end with status 3, results or not. */
	.balign	4
machine_trap:
	li	t0, 0x100000
	li	t1, 3 << 16 | 0x3333
	sw	t1, 0(t0)
	j	halt

	/*
	 * void machine_aside(kind, address, value, result): HLV.D or HSV.D.
	 * void machine_enter(pc, address, value, result): the guest at PC; modes stand in
	 * hstatus.SPVP and sstatus.SPP. Both come back through trap_back or fall into it.
	 * a3 points to the result all the time: the guest's few instructions do not touch it.
	 */
	.globl	machine_aside
machine_aside:
	la	t0, trap_back
	csrw	stvec, t0
	li	t2, 0
	li	t1, -1
	sd	t1, 0(a3)
	sd	zero, 8(a3)
	sd	zero, 16(a3)
	sd	zero, 24(a3)
	bnez	a0, 1f
	.insn	r 0x73, 4, 0x36, t2, a1, x0	/* hlv.d t2, (a1) */
	j	2f
1:	.insn	r 0x73, 4, 0x37, x0, a1, a2	/* hsv.d a2, (a1) */
2:	sd	t2, 32(a3)
	j	done

	.globl	machine_enter
machine_enter:
	la	t0, trap_back
	csrw	stvec, t0
	csrw	sepc, a0
	li	t0, hstatus_spv
	csrs	hstatus, t0
	li	t2, 0
	sret

	.balign	4
trap_back:
	csrr	t0, scause
	sd	t0, 0(a3)
	csrr	t0, stval
	sd	t0, 8(a3)
	csrr	t0, htval
	sd	t0, 16(a3)
	csrr	t1, hstatus
	andi	t1, t1, hstatus_gva
	slli	t1, t1, 63 - 6
	csrr	t0, htinst
	or	t0, t0, t1
	sd	t0, 24(a3)
	sd	t2, 32(a3)
	li	t0, hstatus_spv
	csrc	hstatus, t0
done:	la	t0, machine_trap
	csrw	stvec, t0
	ret

	/* long machine_semihosting(op, argument): three instructions that only together are a call. */
	.globl	machine_semihosting
	.balign	16
machine_semihosting:
	slli	x0, x0, 0x1f
	ebreak
	srai	x0, x0, 7
	ret

	/* The guest: one access of address a1 for each kind, 16 bytes apart, then out. */
	.globl	guest_code, guest_code_end
	.balign	16
guest_code:
	ld	t2, 0(a1)
	ecall
	.balign	16
	sd	a2, 0(a1)
	ecall
	.balign	16
	jr	a1
	.balign	16
	amoadd.d t2, a2, (a1)
	ecall
guest_code_end:

	.bss
	.balign	16
	.space	16384
stack_top:
