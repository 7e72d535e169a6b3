/* SPDX-License-Identifier: MIT */
/*
 * x86: from flat protected mode at 0x100000 to long mode with 4 GiB mapped one to one; the way into
 * a guest and back.
 */
	.equ	JOB, 0x2000000
	.equ	JOB_MODE, 8 * 8		/* struct job_header.mode */
	.equ	VMCS_HOST_RSP, 0x6c14
	.equ	VMCS_HOST_RIP, 0x6c16

	.code32
	.section .text.start, "ax"
	.globl	_start
_start:	cld
	movl	$bss_start, %edi
	movl	$bss_end, %ecx
	subl	%edi, %ecx
	xorl	%eax, %eax
	rep stosb
	/* Four page directories of 2 MiB pages. */
	movl	$pd, %edi
	movl	$0x83, %eax
	movl	$2048, %ecx
1:	movl	%eax, (%edi)
	addl	$0x200000, %eax
	addl	$8, %edi
	loop	1b
	movl	$pdpt, %edi
	movl	$(pd + 3), %eax
	movl	$4, %ecx
2:	movl	%eax, (%edi)
	addl	$0x1000, %eax
	addl	$8, %edi
	loop	2b
	movl	$(pdpt + 3), pml4
	movl	$(pml4 + 3), pml5
	movl	$0x620, %eax		/* PAE, OSFXSR, OSXMMEXCPT */
	movl	$pml4, %ebx
	testb	$1, JOB + JOB_MODE	/* JOB_LA57 */
	jz	3f
	orl	$0x1000, %eax
	movl	$pml5, %ebx
3:	movl	%eax, %cr4
	movl	%ebx, %cr3
	movl	$0xc0000080, %ecx
	rdmsr
	orl	$0x900, %eax		/* LME, NXE */
	wrmsr
	movl	$0x80000031, %eax	/* PG, NE, ET, PE */
	movl	%eax, %cr0
	lgdt	gdt_table
	ljmp	$8, $long_mode
	.code64
long_mode:
	movw	$16, %ax
	movw	%ax, %ds
	movw	%ax, %es
	movw	%ax, %ss
	movw	%ax, %fs
	movw	%ax, %gs
	movw	$24, %ax
	ltr	%ax
	lidt	idt_table
	movq	$stack_top, %rsp
	call	bare_main
1:	hlt
	jmp	1b

	.balign	16
	.globl	gdt
gdt:	.quad	0
	.quad	0x00af9b000000ffff
	.quad	0x00cf93000000ffff
	.quad	0x0000890000000067	/* TSS at 0 */
	.quad	0
gdt_table:
	.word	39
	.quad	gdt
idt_table:				/* none: a fault of ours ends in a reset */
	.word	0
	.quad	0

	.macro	save
	pushq	%rbx
	pushq	%rbp
	pushq	%r12
	pushq	%r13
	pushq	%r14
	pushq	%r15
	pushq	%rdi
	.endm
	.macro	restore
	popq	%rdi
	.endm
	.macro	restore_rest
	popq	%r15
	popq	%r14
	popq	%r13
	popq	%r12
	popq	%rbp
	popq	%rbx
	.endm

	/*
	 * int vmx_enter(uint64_t registers[2], int is_launched): the guest with RAX, RBX from
	 * registers[] until its next exit; 1: it could not be entered.
	 */
	.globl	vmx_enter
vmx_enter:
	save
	movl	$VMCS_HOST_RSP, %eax
	vmwrite	%rsp, %rax
	movl	$VMCS_HOST_RIP, %eax
	leaq	2f(%rip), %rdx
	vmwrite	%rdx, %rax
	movq	8(%rdi), %rbx
	movq	(%rdi), %rax
	testl	%esi, %esi
	jnz	1f
	vmlaunch
	jmp	3f
1:	vmresume
3:	restore
	movl	$1, %eax
	jmp	4f
2:	restore
	movq	%rax, (%rdi)
	xorl	%eax, %eax
4:	restore_rest
	ret

	/* void svm_enter(uint64_t registers[2], vmcb hpa): RBX from registers[1], RAX is the VMCB's. */
	.globl	svm_enter
svm_enter:
	save
	movq	8(%rdi), %rbx
	movq	%rsi, %rax
	vmrun
	restore
	restore_rest
	ret

	/* The guest: one access of address RBX for each kind, 16 bytes apart, then out. */
	.globl	guest_code, guest_code_end
	.balign	16
guest_code:
	movq	(%rbx), %rax
	hlt
	.balign	16
	movq	%rax, (%rbx)
	hlt
	.balign	16
	jmp	*%rbx
	.balign	16
	lock xaddq %rax, (%rbx)
	hlt
guest_code_end:

	.bss
	.balign	4096
pml4:	.space	4096
pml5:	.space	4096
pdpt:	.space	4096
pd:	.space	16384
	.space	16384
stack_top:
