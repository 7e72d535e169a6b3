/* SPDX-License-Identifier: MIT */
/* 64 KiB of boot ROM, in place of a BIOS: reset vector, flat protected mode, on to 0x100000. */
	.code16
	.text
	.globl	_start
_start:	cli
	lgdtl	%cs:(table - _start)
	movl	%cr0, %eax
	orl	$1, %eax
	movl	%eax, %cr0
	ljmpl	$8, $(0xf0000 + (flat - _start))
	.code32
flat:	movw	$16, %ax
	movw	%ax, %ds
	movw	%ax, %es
	movw	%ax, %ss
	movl	$0x100000, %eax
	jmp	*%eax
	.balign	16
gdt:	.quad	0
	.quad	0x00cf9b000000ffff
	.quad	0x00cf93000000ffff
table:	.word	23
	.long	0xf0000 + (gdt - _start)
	.org	0xfff0
	.code16
	ljmpw	$0xf000, $0
	.org	0x10000
