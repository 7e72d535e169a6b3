/* SPDX-License-Identifier: MIT */
/* The manual page and --help tell of the same options. */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "tools/run.h"

static struct run run;
static char manual[65536];

/* The manual page without roff's backslashes, which stand before every dash. */
static void read_manual(void)
{
	FILE *in = fopen(VMMU_MANUAL, "r");
	size_t length = 0;
	int c;

	cr_assert(in != NULL);
	while ((c = getc(in)) != EOF && length < sizeof(manual) - 1)
		if (c != '\\')
			manual[length++] = (char)c;
	fclose(in);
}

static bool is_option_char(char c)
{
	return islower((unsigned char)c) || c == '-';
}

/* Does TEXT have OPTION as a whole word? */
static bool has_option(const char *text, const char *option)
{
	size_t length = strlen(option);

	for (text = strstr(text, option); text; text = strstr(text + 1, option))
		if (!is_option_char(text[length]))
			return true;
	return false;
}

/* Call FN for each word of TEXT that is a long option; how many there were. */
static unsigned for_options(const char *text, void (*fn)(const char *option))
{
	char option[64];
	unsigned count = 0;
	size_t length;

	for (text = strstr(text, "--"); text; text = strstr(text + length, "--")) {
		for (length = 2; is_option_char(text[length]); length++)
			;
		if (length == 2 || length >= sizeof(option))
			continue;
		memcpy(option, text, length);
		option[length] = '\0';
		fn(option);
		count++;
	}
	return count;
}

static void expect_in_manual(const char *option)
{
	cr_expect(has_option(manual, option), "%s is not in the manual page", option);
}

static void expect_in_help(const char *option)
{
	cr_expect(has_option(run.out, option), "no command has %s", option);
}

static void help_of_all(void)
{
	static const char *const commands[] = {"replay --help", "formats --help", "walk --help",
					       "dump --help", "--help"};
	static char all[65536];
	size_t i, used = 0;

	for (i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
		run_vmmu(&run, NULL, commands[i]);
		cr_assert(eq(int, run.code, 0));
		used += (size_t)snprintf(all + used, sizeof(all) - used, "%s", run.out);
		cr_assert(lt(sz, used, sizeof(all)));
	}
	memcpy(run.out, all, sizeof(all));
}

Test(manual, every_option_of_help__is_in_the_manual_page)
{
	read_manual();
	help_of_all();
	/* 12 of replay alone; a reader that finds none would be content with anything. */
	cr_expect(gt(u32, for_options(run.out, expect_in_manual), 20));
}

Test(manual, every_option_of_the_manual_page__is_in_help)
{
	read_manual();
	help_of_all();
	cr_expect(gt(u32, for_options(manual, expect_in_help), 20));
}
