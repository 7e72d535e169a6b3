/* SPDX-License-Identifier: MIT */
/* The library from C++17: a VM that cleans up after itself. */
#include <cstdio>
#include <memory>
#include <vmmu/vmmu.h>

namespace
{

struct vm_destroy {
	void operator()(vmmu_vm *vm) const
	{
		vmmu_vm_destroy(vm);
	}
};

/* Where the host keeps a guest page: here, 0x1000 frames further up. */
vmmu_resolve_status resolve(void *, const vmmu_page_request *request, vmmu_page *page)
{
	*page = {};
	page->pfn = 0x1000 + request->gfn;
	page->writable = true;
	return VMMU_RESOLVE_OK;
}

int run()
{
	/* Where a function has the name of a struct, C++ too wants the word struct. */
	vmmu_env env = {};
	vmmu_vm_options options = {};
	vmmu_slot ram = {};
	struct vmmu_fault fault = {};
	vmmu_vcpu *vcpu;
	vmmu_vm *raw;

	env.size = sizeof(env);
	env.resolve = resolve;
	options.size = sizeof(options);
	options.format = vmmu_format_find("ept4");
	options.env = &env;
	if (vmmu_vm_create(&options, &raw))
		return 1;
	std::unique_ptr<vmmu_vm, vm_destroy> vm(raw);
	ram.bytes = 1 << 20;
	ram.hva = 0x7f0000000000;
	fault.gpa = 0x5123;
	fault.access = VMMU_WRITE;
	if (vmmu_slot_set(vm.get(), &ram) || vmmu_vcpu_create(vm.get(), 0, &vcpu) ||
	    vmmu_fault(vcpu, &fault) != VMMU_FIXED)
		return 1;
	std::printf("gpa 0x5123 is at hpa 0x%x\n",
		    unsigned(vmmu_translate_once(vm.get(), 0, fault.gpa)));
	return 0;
}

} // namespace

int main()
{
	vmmu_thread_register();
	int err = run();
	vmmu_thread_unregister();
	return err;
}
