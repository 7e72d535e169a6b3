/* SPDX-License-Identifier: MIT */
#include "tracing/dat_file.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define COMMON                                                                         \
	"format:\n"                                                                    \
	"\tfield:unsigned short common_type;\toffset:0;\tsize:2;\tsigned:0;\n"         \
	"\tfield:unsigned char common_flags;\toffset:2;\tsize:1;\tsigned:0;\n"         \
	"\tfield:unsigned char common_preempt_count;\toffset:3;\tsize:1;\tsigned:0;\n" \
	"\tfield:int common_pid;\toffset:4;\tsize:4;\tsigned:1;\n\n"

static const char header_page[] = "\tfield: u64 timestamp;\toffset:0;\tsize:8;\tsigned:0;\n"
				  "\tfield: local_t commit;\toffset:8;\tsize:8;\tsigned:1;\n"
				  "\tfield: int overwrite;\toffset:8;\tsize:1;\tsigned:1;\n"
				  "\tfield: char data;\toffset:16;\tsize:4080;\tsigned:1;\n";

static const char header_event[] =
	"# compressed entry header\n\ttype_len    :    5 bits\n\ttime_delta  :   27 bits\n"
	"\tarray       :   32 bits\n\n\tpadding     : type == 29\n\ttime_extend : type == 30\n"
	"\ttime_stamp : type == 31\n\tdata max type_len  == 28\n";

static const char format_print[] = "name: print\nID: 5\n" COMMON
				   "\tfield:unsigned long ip;\toffset:8;\tsize:8;\tsigned:0;\n"
				   "\tfield:char buf[];\toffset:16;\tsize:0;\tsigned:0;\n\n"
				   "print fmt: \"%ps: %s\", (void *)REC->ip, REC->buf\n";

static const char *const formats[] = {
	"name: kvm_entry\nID: 300\n" COMMON
	"\tfield:unsigned long vcpu_pc;\toffset:8;\tsize:8;\tsigned:0;\n\n"
	"print fmt: \"PC: 0x%016lx\", REC->vcpu_pc\n",
	"name: kvm_guest_fault\nID: 301\n" COMMON
	"\tfield:unsigned long vcpu_pc;\toffset:8;\tsize:8;\tsigned:0;\n"
	"\tfield:unsigned long hsr;\toffset:16;\tsize:8;\tsigned:0;\n"
	"\tfield:unsigned long hxfar;\toffset:24;\tsize:8;\tsigned:0;\n"
	"\tfield:unsigned long long ipa;\toffset:32;\tsize:8;\tsigned:0;\n\n"
	"print fmt: \"ipa %#llx\", REC->ipa\n",
	"name: kvm_userspace_exit\nID: 302\n" COMMON
	"\tfield:__u32 reason;\toffset:8;\tsize:4;\tsigned:0;\n"
	"\tfield:int errno;\toffset:12;\tsize:4;\tsigned:1;\n\n"
	"print fmt: \"reason %u (%d)\", REC->reason, REC->errno\n",
};

static void put(struct dat_file *file, const void *bytes, size_t count)
{
	if (count > sizeof(file->bytes) - file->size)
		abort();
	memcpy(file->bytes + file->size, bytes, count);
	file->size += count;
}

/* Little-endian, as this machine is. */
static void put_number(struct dat_file *file, uint64_t value, size_t bytes)
{
	put(file, &value, bytes);
}

static void put_block(struct dat_file *file, const char *text)
{
	put_number(file, strlen(text), 8);
	put(file, text, strlen(text));
}

static void put_formats(struct dat_file *file)
{
	put_number(file, 1, 4);
	put_block(file, format_print);
	put_number(file, 1, 4); /* systems */
	put(file, "kvm", 4);
	put_number(file, sizeof(formats) / sizeof(*formats), 4);
	for (size_t i = 0; i < sizeof(formats) / sizeof(*formats); i++)
		put_block(file, formats[i]);
}

void dat_file_begin(struct dat_file *file)
{
	static const char head[] = "\x17\x08\x44tracing6\0\0\x08"; /* little-endian, 64 bits */

	memset(file, 0, sizeof(*file));
	put(file, head, sizeof(head) - 1);
	put_number(file, DAT_FILE_PAGE, 4);
	put(file, "header_page", 12);
	put_block(file, header_page);
	put(file, "header_event", 13);
	put_block(file, header_event);
	put_formats(file);
	put_number(file, 0, 4); /* kallsyms */
	put_number(file, 0, 4); /* printk */
	put_block(file, "7 qemu\n");
	put_number(file, 1, 4); /* CPUs */
	put(file, "options  ", 10);
	put_number(file, 0, 2);
	put(file, "flyrecord", 10);
	file->page = (file->size + 16 + DAT_FILE_PAGE - 1) / DAT_FILE_PAGE * DAT_FILE_PAGE;
	put_number(file, file->page, 8);
	put_number(file, DAT_FILE_PAGE, 8);
	file->size = file->page + DAT_FILE_PAGE;
	if (file->size > sizeof(file->bytes))
		abort();
	memcpy(file->bytes + file->page, &(uint64_t){5000000000}, 8);
}

/* BYTES bytes of event, a multiple of 4, at most 112. */
static void add_bytes(struct dat_file *file, const void *event, size_t bytes, unsigned delta_ns)
{
	unsigned char *at = file->bytes + file->page + 16 + file->commit;
	uint32_t head = (uint32_t)(bytes / 4) | (uint32_t)delta_ns << 5;

	if (bytes > 112 || bytes % 4 || file->commit + bytes + 4 > DAT_FILE_PAGE - 16)
		abort();
	memcpy(at, &head, 4);
	memcpy(at + 4, event, bytes);
	file->commit += bytes + 4;
	memcpy(file->bytes + file->page + 8, &(uint64_t){file->commit}, 8);
}

void dat_file_add(struct dat_file *file, enum dat_file_event id, unsigned pid, unsigned delta_ns,
		  const uint64_t *words, unsigned count)
{
	uint32_t event[28] = {(uint32_t)id, pid};

	memcpy(event + 2, words, 8 * (size_t)count);
	add_bytes(file, event, 8 + 8 * (size_t)count, delta_ns);
}

void dat_file_mark(struct dat_file *file, unsigned pid, unsigned delta_ns, const char *text)
{
	uint32_t event[28] = {DAT_FILE_PRINT, pid, 0x1000, 0xffffffff};

	snprintf((char *)(event + 4), sizeof(event) - 16, "%s", text);
	add_bytes(file, event, (16 + strlen(text) + 1 + 3) / 4 * 4, delta_ns);
}

void dat_file_lose(struct dat_file *file)
{
	uint64_t commit = file->commit | UINT64_C(1) << 31; /* RB_MISSED_EVENTS */

	memcpy(file->bytes + file->page + 8, &commit, 8);
}

void dat_file_example(struct dat_file *file)
{
	dat_file_begin(file);
	dat_file_mark(file, 7, 0, "slot 1 40000000 200000 0\n");
	dat_file_add(file, DAT_FILE_ENTRY, 8, 1000, (uint64_t[]){0x1000}, 1);
	/* data abort from a lower level, translation fault of level 3, a write: ARM ESR_ELx */
	dat_file_add(file, DAT_FILE_FAULT, 8, 500,
		     (uint64_t[]){0x1000, 0x92000047, 0x40001008, 0x40001000}, 4);
	dat_file_add(file, DAT_FILE_EXIT, 8, 500, (uint64_t[]){UINT64_C(0xfffffffc00000006)}, 1);
}
