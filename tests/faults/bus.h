/* SPDX-License-Identifier: MIT */
/* A VM's tables as the memory that the hardware model reads and updates. */
#ifndef TESTS_FAULTS_BUS_H
#define TESTS_FAULTS_BUS_H

#include <vmmu/hw.h>
#include <vmmu/vm.h>

/* The bus over VM's tables; nothing answers elsewhere. Valid as long as VM. */
struct vmmu_hw_bus bus_of(struct vmmu_vm *vm);
/* Where the root of address space 0 is, in bytes; 0: there is none yet. */
uint64_t bus_root(struct vmmu_vm *vm);
/* The second stage of CPU on GPA, for an ordinary access with FLAGS (enum vmmu_hw_access_flag). */
struct vmmu_hw_walk bus_walk(const struct vmmu_hw_cpu *cpu, const struct vmmu_hw_bus *bus,
			     uint64_t gpa, unsigned access, unsigned flags);

#endif
