/* SPDX-License-Identifier: MIT */
/*
 * A target without a fuzzer: runs every file named, and every file of every folder named, in order
 * of their names. Any compiler, under ctest: what was ever found stays found.
 *
 * Exit: 0, all ran; 1, there was none to run; a finding aborts, and the last line says which file.
 */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "target.h"

#define PATH_BYTES 4096

static unsigned runs;

static int run_file(const char *path)
{
	FILE *in = fopen(path, "rb");
	struct stat status;
	uint8_t *data;
	size_t size;

	if (!in || fstat(fileno(in), &status)) {
		perror(path);
		return 1;
	}
	/* just as large as the file, so that a read past its end shows under a sanitizer */
	size = (size_t)status.st_size;
	data = malloc(size ? size : 1);
	if (!data || fread(data, 1, size, in) != size) {
		perror(path);
		return 1;
	}
	fclose(in);
	printf("%s\n", path);
	fflush(stdout);
	LLVMFuzzerTestOneInput(data, size);
	free(data);
	runs++;
	return 0;
}

static int run_folder(const char *path)
{
	struct dirent **names;
	int count = scandir(path, &names, NULL, alphasort), failed = 0;

	if (count < 0)
		return run_file(path);
	for (int i = 0; i < count; i++) {
		char file[PATH_BYTES];

		snprintf(file, sizeof(file), "%s/%s", path, names[i]->d_name);
		if (names[i]->d_name[0] != '.')
			failed |= run_file(file);
		free(names[i]);
	}
	free(names);
	return failed;
}

int main(int argc, char **argv)
{
	int failed = 0;

	/* every target is to stand an input of nothing */
	LLVMFuzzerTestOneInput((const uint8_t *)"", 0);
	for (int i = 1; i < argc; i++)
		failed |= run_folder(argv[i]);
	fprintf(stderr, "%u inputs\n", runs);
	return failed || !runs;
}
