// SPDX-License-Identifier: MIT
/*
 * src/hw is written from the manuals: nothing of the formats or of the engine reaches it, not even
 * through a header.
 */
#include <criterion/criterion.h>
#include <dirent.h>
#include <stdio.h>
#include <string.h>

#define PATH_BYTES  512
#define HEADERS_MAX 32

/* Headers reached so far, as paths. */
struct closure {
	char path[HEADERS_MAX][PATH_BYTES];
	unsigned count;
};

static const char *const allowed[] = {"hw/",       "base/bits.h", "base/mem.h",
				      "vmmu/hw.h", "vmmu/tlb.h",  "vmmu/types.h"};
static const char *const standard[] = {"errno.h", "stdbool.h", "stddef.h", "stdint.h", "string.h"};

static bool is_one_of(const char *name, const char *const *names, size_t count)
{
	size_t i;

	for (i = 0; i < count; i++) {
		if (!strncmp(name, names[i], strlen(names[i])))
			return true;
	}
	return false;
}

static void closure_add(struct closure *closure, const char *path)
{
	unsigned i;

	for (i = 0; i < closure->count; i++) {
		if (!strcmp(closure->path[i], path))
			return;
	}
	cr_assert_lt(closure->count, HEADERS_MAX);
	snprintf(closure->path[closure->count++], PATH_BYTES, "%s", path);
}

/* One include of FILE; ours are followed. Returns whether it is allowed. */
static bool is_include_fine(struct closure *closure, const char *name)
{
	char path[PATH_BYTES];
	bool is_public = !strncmp(name, "vmmu/", 5);

	if (is_one_of(name, standard, sizeof(standard) / sizeof(standard[0])))
		return true;
	if (!is_one_of(name, allowed, sizeof(allowed) / sizeof(allowed[0])) || strstr(name, ".."))
		return false;
	snprintf(path, sizeof(path), "%s/../../%s/%.200s", VMMU_TEST_DATA,
		 is_public ? "include" : "src", name);
	closure_add(closure, path);
	return true;
}

static unsigned check_file(struct closure *closure, const char *path)
{
	char line[512], name[256];
	unsigned includes = 0;
	FILE *file = fopen(path, "r");

	cr_assert_not_null(file, "%s", path);
	while (fgets(line, sizeof(line), file)) {
		if (sscanf(line, " # include %*[<\"]%255[^>\"]", name) != 1)
			continue;
		cr_assert(is_include_fine(closure, name), "%s includes %s", path, name);
		includes++;
	}
	fclose(file);
	return includes;
}

Test(includes, sources_of_the_model__only_its_own_headers_and_bits)
{
	struct closure closure = {0};
	unsigned sources = 0, includes = 0, i;
	char path[PATH_BYTES], directory[PATH_BYTES];
	struct dirent *entry;
	DIR *dir;

	snprintf(directory, sizeof(directory), "%s/../../src/hw", VMMU_TEST_DATA);
	dir = opendir(directory);
	cr_assert_not_null(dir);
	while ((entry = readdir(dir))) {
		size_t length = strlen(entry->d_name);

		if (length < 3 || entry->d_name[length - 2] != '.')
			continue;
		snprintf(path, sizeof(path), "%.240s/%.240s", directory, entry->d_name);
		includes += check_file(&closure, path);
		sources++;
	}
	closedir(dir);
	for (i = 0; i < closure.count; i++)
		check_file(&closure, closure.path[i]);
	cr_assert_geq(sources, 12);
	cr_assert_geq(includes, sources - 1);
	cr_assert_geq(closure.count, 6, "the public header, types, bits and the model's own");
}
