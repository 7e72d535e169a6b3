// SPDX-License-Identifier: MIT
/*
 * x86, long mode: VMX or SVM, whichever the CPU has. The emulator shows in the same choice how the
 * job comes in and results go out: Bochs (VMX) by disk and printer port, QEMU (SVM) by its loader
 * and debug port.
 */
#include "x86.h"

#define X86_JOB UINT64_C(0x2000000)

#define PORT_PRINTER  0x378 /* data; + 2: control */
#define PORT_DEBUG    0xe9
#define PORT_EXIT     0xf4   /* QEMU's isa-debug-exit */
#define PORT_SHUTDOWN 0x8900 /* Bochs: spell "Shutdown" */
#define ATA_DATA      0x1f0  /* + 2: count, 3-5: block, 6: device, 7: command and status */
#define ATA_CONTROL   0x3f6
#define ATA_READ      0x20
#define ATA_BUSY      0x80
#define ATA_READY     0x88 /* busy and data request; ready is 8 */
#define SECTOR        512

#define CPUID_VMX (UINT32_C(1) << 5)

extern char guest_code[], guest_code_end[];

static uint64_t window_gpa;

static void port_write(uint16_t port, uint8_t value)
{
	__asm__ volatile("outb %0, %1" ::"a"(value), "Nd"(port));
}

static uint8_t port_read(uint16_t port)
{
	uint8_t value;

	__asm__ volatile("inb %1, %0" : "=a"(value) : "Nd"(port));
	return value;
}

static int has_vmx(void)
{
	uint32_t a = 1, b, c = 0, d;

	__asm__ volatile("cpuid" : "+a"(a), "=b"(b), "+c"(c), "=d"(d));
	return !!(c & CPUID_VMX);
}

/* COUNT (1..256) sectors from BLOCK on to TO, by programmed input. */
static void disk_command(uint64_t block, unsigned count, uint16_t *to)
{
	uint64_t words;

	while (port_read(ATA_DATA + 7) & ATA_BUSY)
		;
	port_write(ATA_DATA + 6, (uint8_t)(0xe0 | block >> 24));
	port_write(ATA_DATA + 2, (uint8_t)count); /* 0 stands for 256 */
	port_write(ATA_DATA + 3, (uint8_t)block);
	port_write(ATA_DATA + 4, (uint8_t)(block >> 8));
	port_write(ATA_DATA + 5, (uint8_t)(block >> 16));
	port_write(ATA_DATA + 7, ATA_READ);
	for (; count; count--) {
		while ((port_read(ATA_DATA + 7) & ATA_READY) != 8)
			;
		words = SECTOR / 2;
		__asm__ volatile("rep insw" : "+D"(to), "+c"(words) : "d"(ATA_DATA) : "memory");
	}
}

static void disk_read(uint64_t block, uint64_t sectors, uint8_t *to)
{
	unsigned count;

	for (; sectors; sectors -= count) {
		count = sectors > 256 ? 256 : (unsigned)sectors;
		disk_command(block, count, (uint16_t *)to);
		block += count;
		to += count * SECTOR;
	}
}

/* The job stands on the disk from its first sector on. */
const struct job_header *machine_job(void)
{
	struct job_header *job = (struct job_header *)X86_JOB;
	uint64_t bytes;

	if (!has_vmx())
		return job;
	port_write(ATA_CONTROL, 2); /* no interrupts */
	disk_read(0, 1, (uint8_t *)job);
	if (job->magic != JOB_MAGIC)
		return job;
	bytes = sizeof(*job) + job->image_words * 8 + job->record_count * sizeof(struct job_record);
	disk_read(0, (bytes + SECTOR - 1) / SECTOR, (uint8_t *)job);
	return job;
}

void machine_start(const struct job_header *job)
{
	volatile char *to = (volatile char *)job->window_hpa;
	char *from;

	for (from = guest_code; from < guest_code_end; from++)
		*to++ = *from;
	if (has_vmx())
		vmx_start();
	else
		svm_start();
}

void machine_root(const uint64_t arg[4])
{
	window_gpa = arg[3];
	if (has_vmx())
		vmx_root(arg[0]);
	else
		svm_root(arg[0]);
}

/* An SVM guest is entered with a flush every time. */
void machine_flush(void)
{
	if (has_vmx())
		vmx_flush();
	CR_WRITE(3, CR_READ(3));
}

uint64_t machine_tag(uint64_t hpa)
{
	return job_tag_x86(hpa);
}

void machine_probe(const struct job_record *record, struct job_result *result)
{
	struct guest_run run = {
		.window_gpa = window_gpa,
		.pc = window_gpa + (record->op >> 8 & 0xf) * 16,
		.address = record->arg[0],
		.value = record->arg[1],
	};

	if (has_vmx())
		vmx_run(&run, result);
	else
		svm_run(&run, result);
}

static void byte_out(uint8_t byte)
{
	if (!has_vmx()) {
		port_write(PORT_DEBUG, byte);
		return;
	}
	port_write(PORT_PRINTER, byte);
	port_write(PORT_PRINTER + 2, 0x0d); /* strobe */
	port_write(PORT_PRINTER + 2, 0x0c);
}

void machine_finish(const void *results, uint64_t bytes)
{
	const uint8_t *byte = results, *end = byte + bytes;
	const char *word = "Shutdown";

	while (byte < end)
		byte_out(*byte++);
	if (has_vmx()) {
		for (; *word; word++)
			port_write(PORT_SHUTDOWN, (uint8_t)*word);
	} else {
		port_write(PORT_EXIT, 0);
	}
	for (;;)
		__asm__ volatile("hlt");
}
