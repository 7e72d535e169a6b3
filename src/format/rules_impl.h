/* SPDX-License-Identifier: MIT */
/*
 * The rules that read the same in every format, over the fmt_*() of the format that includes this
 * at its end.
 *
 * The format says first what a TLB may still hold against a change that only grants:
 *   FMT_FLUSH_INSTALL  not present -> present
 *   FMT_FLUSH_GRANT    a permission was added to a leaf
 *   FMT_FLUSH_MARK     an accessed or dirty bit was set in a leaf
 * and fmt_route(): the bits of a leaf that decide where an access goes and how it is cached.
 */

static inline bool fmt_is_present(uint64_t pte, unsigned level)
{
	enum vmmu_entry_kind kind = fmt_classify(pte, level);

	return kind == VMMU_ENTRY_TABLE || kind == VMMU_ENTRY_LEAF;
}

static inline bool fmt_is_volatile(uint64_t pte, unsigned level)
{
	bool is_writable = fmt_access(pte, level) & VMMU_WRITE;

	if (fmt_classify(pte, level) != VMMU_ENTRY_LEAF)
		return false;
	return !fmt_is_accessed(pte, level) || (is_writable && !fmt_is_dirty(pte, level)) ||
	       (!is_writable && fmt_mmu_writable(pte, level));
}

/*
 * May a TLB that still holds OLD_PTE do what NEW_PTE forbids? Both are leaves.
 *
 * mmu_writable counts like WRITE (catalogue part 2, rule 4): WRITE may have been taken away earlier
 * with its flush still owed, so a writable TLB entry may outlive an OLD_PTE that no longer has
 * WRITE. Accessed and dirty count too (sheets of EPT, NPT, RISC-V "clear A or D", Arm "AF
 * cleared"): a TLB that knows the bit as set does not set it again.
 */
static inline bool fmt_is_revoked(uint64_t old_pte, uint64_t new_pte, unsigned level)
{
	return fmt_route(old_pte, level) != fmt_route(new_pte, level) ||
	       fmt_is_malformed(new_pte, level) ||
	       (fmt_access(old_pte, level) & ~fmt_access(new_pte, level)) ||
	       (fmt_mmu_writable(old_pte, level) && !fmt_mmu_writable(new_pte, level)) ||
	       (fmt_is_accessed(old_pte, level) && !fmt_is_accessed(new_pte, level)) ||
	       (fmt_is_dirty(old_pte, level) && !fmt_is_dirty(new_pte, level));
}

/* NEW_PTE revokes nothing of OLD_PTE; both are leaves. */
static inline enum vmmu_flush_due fmt_flush_granted(uint64_t old_pte, uint64_t new_pte,
						    unsigned level)
{
	if (fmt_access(new_pte, level) & ~fmt_access(old_pte, level))
		return FMT_FLUSH_GRANT;
	if (fmt_is_accessed(old_pte, level) != fmt_is_accessed(new_pte, level) ||
	    fmt_is_dirty(old_pte, level) != fmt_is_dirty(new_pte, level))
		return FMT_FLUSH_MARK;
	return VMMU_FLUSH_NONE; /* software bits */
}

/*
 * Not-present values among themselves need nothing in any format: hardware refuses all of them
 * alike. A table entry that changes leaves paging-structure caches behind (all sheets). A large
 * leaf that becomes a table may leave old and new side by side in a TLB, so later changes below
 * would miss the old one.
 */
static inline enum vmmu_flush_due fmt_flush_needed(uint64_t old_pte, uint64_t new_pte,
						   unsigned level)
{
	if (old_pte == new_pte)
		return VMMU_FLUSH_NONE;
	if (!fmt_is_present(old_pte, level))
		return fmt_is_present(new_pte, level) ? FMT_FLUSH_INSTALL : VMMU_FLUSH_NONE;
	if (fmt_classify(old_pte, level) != VMMU_ENTRY_LEAF ||
	    fmt_classify(new_pte, level) != VMMU_ENTRY_LEAF ||
	    fmt_is_revoked(old_pte, new_pte, level))
		return VMMU_FLUSH_REMOTE;
	return fmt_flush_granted(old_pte, new_pte, level);
}
