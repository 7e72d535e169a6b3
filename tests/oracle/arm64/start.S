/* SPDX-License-Identifier: MIT */
/* Arm at EL2, MMU off: entry, exceptions, the way into the guest and back out of it. */
	.arch	armv8.1-a
	.section .text.start, "ax"
	.globl	_start
_start:	mrs	x0, mpidr_el1
	and	x0, x0, #0xff
	cbnz	x0, halt
	ldr	x0, =stack_top
	mov	sp, x0
	ldr	x0, =vectors
	msr	vbar_el2, x0
	isb
	bl	bare_main
halt:	wfi
	b	halt

	/* An exception that no probe asked for: exit status 3. */
wrong:	ldr	x0, =wrong_exit
	mov	x1, x0
	mov	x0, #0x18
	hlt	#0xf000
	b	halt
	.balign	8
wrong_exit:
	.quad	0x20026, 3

	/*
	 * uint64_t machine_at(kind, address): PAR_EL1 after AT S12E1R, E1W, E0R or E0W. A walk that
	 * meets no memory is an exception instead: its ESR_EL2, with bit 63 set.
	 */
	.globl	machine_at
machine_at:
	tbnz	x0, #1, 2f
	tbnz	x0, #0, 1f
	at	s12e1r, x1
	b	4f
1:	at	s12e1w, x1
	b	4f
2:	tbnz	x0, #0, 3f
	at	s12e0r, x1
	b	4f
3:	at	s12e0w, x1
4:	isb
	mrs	x0, par_el1
at_done:
	ret
from_at:
	adr	x0, machine_at
	mrs	x1, elr_el2
	cmp	x1, x0
	b.lo	wrong
	adr	x0, at_done
	cmp	x1, x0
	b.hs	wrong
	msr	elr_el2, x0
	mrs	x0, esr_el2
	orr	x0, x0, #0x8000000000000000
	eret

	/*
	 * void machine_enter(pc, address, value, result, spsr): the guest at PC until its next
	 * exception to EL2. x19 keeps the result: the guest's few instructions do not touch it.
	 */
	.globl	machine_enter
machine_enter:
	stp	x29, x30, [sp, #-32]!
	str	x19, [sp, #16]
	mov	x19, x3
	msr	elr_el2, x0
	msr	spsr_el2, x4
	mov	x0, #0
	isb
	eret
from_guest:
	str	x0, [x19, #32]
	mrs	x0, esr_el2
	str	x0, [x19, #0]
	mrs	x0, far_el2
	str	x0, [x19, #8]
	mrs	x0, hpfar_el2
	str	x0, [x19, #16]
	mrs	x0, esr_el1
	str	x0, [x19, #24]
	ldr	x19, [sp, #16]
	ldp	x29, x30, [sp], #32
	ret

	.globl	machine_semihosting
machine_semihosting:
	hlt	#0xf000
	ret

	/*
	 * The guest: one access of address x1 for each kind, 16 bytes apart, then out. BRK leaves
	 * for EL2 from EL0 and EL1 alike (MDCR_EL2.TDE). Behind them, vectors of EL1 that tell a
	 * stage-1 fault by number 0xffff.
	 */
	.globl	guest_code, guest_code_end
	.balign	16
guest_code:
	ldr	x0, [x1]
	brk	#0
	.balign	16
	str	x2, [x1]
	brk	#0
	.balign	16
	br	x1
	.balign	16
	ldadd	x2, x0, [x1]
	brk	#0
	.org	guest_code + 0x200
	brk	#0xffff
	.org	guest_code + 0x400
	brk	#0xffff
guest_code_end:

	.macro	unexpected
	.balign	128
	b	wrong
	.endm
	.balign	2048
vectors:
	.rept	4
	unexpected
	.endr
	.balign	128
	b	from_at		/* synchronous, from EL2 itself */
	.rept	3
	unexpected
	.endr
	.balign	128
	b	from_guest	/* synchronous, from a lower level in AArch64 */
	.rept	7
	unexpected
	.endr

	.bss
	.balign	16
	.space	16384
stack_top:
