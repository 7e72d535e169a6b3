/* SPDX-License-Identifier: MIT */
/*
 * Page tables in a file: written by `vmmu replay --dump-tables`, read by `vmmu walk` and `vmmu
 * dump`.
 *
 * All numbers are little-endian. A header of 64 bytes:
 * 	0   8  magic "VMMUTAB", NUL
 * 	8   4  version, 1
 * 	12  4  number of frames
 * 	16  32 format name, NUL-padded
 * 	48  8  bytes after the header
 * 	56  8  checksum: XXH3-64 of bytes 0..55, seeded with the XXH3-64 of all that comes after the
 * header then each frame, 32 bytes and its contents: 0   8  hpa, aligned to the frame's size 8   8
 * size in bytes, a power of two 16  4  level of the table 20  4  address space 24  4  flags: bit 0:
 * a root 28  4  0 32  -  the entries, 8 bytes each
 */
#ifndef VMMU_TOOLS_TABLE_FILE_H
#define VMMU_TOOLS_TABLE_FILE_H

#include <stddef.h>
#include <stdio.h>
#include <vmmu/vm.h>

#define TABLE_FILE_HEADER_BYTES 64u
#define TABLE_FILE_FRAME_BYTES  32u
/* A file has few roots: one for each address space, and what nested modes add. */
#define TABLE_FILE_ROOTS_MAX 16u

struct table_frame {
	uint64_t hpa, bytes;
	uint64_t offset; /* in the file, of the entries */
	unsigned level, as_id;
	bool is_root;
	unsigned visit; /* for whoever walks the frames; 0 after reading */
};

struct table_file {
	const struct vmmu_format *format;
	unsigned char *bytes; /* the whole file */
	size_t size;
	struct table_frame *frames; /* sorted by hpa, disjoint */
	size_t frame_count;
	size_t roots[TABLE_FILE_ROOTS_MAX]; /* indexes into frames, by hpa */
	unsigned root_count;
};

/* Write the tables of VM to OUT, which is at its start and can seek. 0 or -errno. */
int table_file_write(struct vmmu_vm *vm, FILE *out);
/*
 * Read and check the file at PATH. An exit code: TOOL_OK, and *FILE is to be given to
 * table_file_close(), or another and a message is printed that says at which offset the file is
 * wrong.
 */
int table_file_open(const char *path, struct table_file *file);
void table_file_close(struct table_file *file);
/* The frame that starts at HPA, or NULL. */
struct table_frame *table_file_find(const struct table_file *file, uint64_t hpa);
/* The first root of an address space, or NULL. */
struct table_frame *table_file_root(const struct table_file *file, unsigned as_id);
/* Entry INDEX, below frame->bytes / 8. */
uint64_t table_file_entry(const struct table_file *file, const struct table_frame *frame,
			  uint64_t index);

#endif
