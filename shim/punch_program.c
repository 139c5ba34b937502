/* SPDX-License-Identifier: MIT */
/*
 * punch_program.c - will a preloaded library have an effect on this program?
 *
 * What bypasses the library does so in silence: its look-ups go to DNS, its
 * ports are not published.  So the runner looks before it runs.
 */
#include <elf.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "shim/punch_program.h"

#define SCRIPTS_MOST	4	/* interpreters of interpreters; the kernel's own limit */
#define SECTIONS_MOST	512	/* of an ELF file; programs have about 40 */
#define NAMES_MOST	65536	/* bytes of section names looked at */
#define LINE_MOST	256	/* bytes of a #! line; BINPRM_BUF_SIZE of the kernel */

#if __SIZEOF_POINTER__ == 8
#define OWN_CLASS ELFCLASS64
#else
#define OWN_CLASS ELFCLASS32
#endif

static bool read_at(int fd, uint64_t offset, void *data, size_t size)
{
	return offset < INT64_MAX && pread(fd, data, size, (off_t)offset) == (ssize_t)size;
}

bool program_find(const char *name, char path[LIMIT_PATH])
{
	const char *folders = getenv("PATH"), *end;

	if (strchr(name, '/')) {
		snprintf(path, LIMIT_PATH, "%s", name);
		return access(path, F_OK) == 0;
	}
	if (!folders)
		folders = "/bin:/usr/bin";
	for (;; folders = end + 1) {
		struct stat st;
		int size;

		end = strchrnul(folders, ':');
		size = snprintf(path, LIMIT_PATH, "%.*s%s%s", (int)(end - folders), folders, end == folders ? "" : "/",
				name);
		if (size < LIMIT_PATH && stat(path, &st) == 0 && S_ISREG(st.st_mode) && access(path, X_OK) == 0)
			return true;
		if (!*end)
			return false;
	}
}

static bool is_privileged(int fd)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return false;
	/* root runs its own set-uid programs with equal users: no privilege is gained, the loader listens */
	if ((st.st_mode & S_ISUID) && st.st_uid != geteuid())
		return true;
	if ((st.st_mode & S_ISGID) && (st.st_mode & S_IXGRP) && st.st_gid != getegid())
		return true;
	return geteuid() != 0 && fgetxattr(fd, "security.capability", NULL, 0) > 0;
}

/* Is there a section that only the Go linker makes? Each table is read at once: a program starts with this */
static bool is_go(int fd, const Elf64_Ehdr *elf)
{
	static Elf64_Shdr sections[SECTIONS_MOST];
	static char names[NAMES_MOST + 1];	/* ends with a NUL whatever the file holds */
	const Elf64_Shdr *own;
	unsigned int i;

	if (elf->e_shentsize != sizeof(sections[0]) || elf->e_shnum > SECTIONS_MOST ||
	    elf->e_shstrndx >= elf->e_shnum || !read_at(fd, elf->e_shoff, sections, elf->e_shnum * sizeof(sections[0])))
		return false;
	own = &sections[elf->e_shstrndx];
	if (own->sh_size > NAMES_MOST || !read_at(fd, own->sh_offset, names, own->sh_size))
		return false;
	for (i = 0; i < elf->e_shnum; i++) {
		const char *name = names + sections[i].sh_name;

		if (sections[i].sh_name >= own->sh_size)
			return false;
		if (strcmp(name, ".note.go.buildid") == 0 || strcmp(name, ".go.buildinfo") == 0)
			return true;
	}
	return false;
}

static bool has_loader(int fd, const Elf64_Ehdr *elf)
{
	Elf64_Phdr segment;
	unsigned int i;

	if (elf->e_phentsize != sizeof(segment))
		return true;
	for (i = 0; i < elf->e_phnum; i++) {
		if (!read_at(fd, elf->e_phoff + i * sizeof(segment), &segment, sizeof(segment)))
			return true;
		if (segment.p_type == PT_INTERP)
			return true;
	}
	return false;
}

/* The machine that this program itself was built for */
static uint16_t own_machine(void)
{
	Elf64_Ehdr elf = { .e_machine = EM_NONE };
	int fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);

	if (fd >= 0) {
		if (!read_at(fd, 0, &elf, sizeof(elf)))
			elf.e_machine = EM_NONE;
		close(fd);
	}
	return elf.e_machine;
}

static enum program_kind kind_of_elf(int fd)
{
	Elf64_Ehdr elf;
	uint16_t machine = own_machine();

	if (!read_at(fd, 0, &elf, sizeof(elf)) || memcmp(elf.e_ident, ELFMAG, SELFMAG) != 0)
		return PROGRAM_UNKNOWN;
	if (is_privileged(fd))
		return PROGRAM_SETUID;
	if (elf.e_ident[EI_CLASS] != OWN_CLASS || (machine != EM_NONE && elf.e_machine != machine))
		return PROGRAM_FOREIGN;
	if (OWN_CLASS != ELFCLASS64)
		return PROGRAM_DYNAMIC;		/* its tables are laid out otherwise: not looked at */
	if (is_go(fd, &elf))
		return PROGRAM_GO;
	return has_loader(fd, &elf) ? PROGRAM_DYNAMIC : PROGRAM_STATIC;
}

/* "#!/usr/bin/env -S python3 -u". Return: whether there is another program to look at, now in @path */
static bool next_interpreter(int fd, char path[LIMIT_PATH])
{
	char line[LINE_MOST + 1] = { 0 }, *word, *rest;
	ssize_t n = pread(fd, line, LINE_MOST, 0);

	if (n < 4 || line[0] != '#' || line[1] != '!')
		return false;
	line[strcspn(line, "\n")] = '\0';
	word = strtok_r(line + 2, " \t", &rest);
	if (!word)
		return false;
	if (strlen(word) > 4 && strcmp(word + strlen(word) - 4, "/env") == 0) {
		do {
			word = strtok_r(NULL, " \t", &rest);	/* options and NAME=VALUE of env */
		} while (word && (*word == '-' || strchr(word, '=')));
		return word && program_find(word, path);
	}
	snprintf(path, LIMIT_PATH, "%s", word);
	return true;
}

void program_examine(const char *path, struct program *program)
{
	unsigned int depth;

	snprintf(program->path, sizeof(program->path), "%s", path);
	program->kind = PROGRAM_UNKNOWN;
	for (depth = 0; depth <= SCRIPTS_MOST; depth++) {
		int fd = open(program->path, O_RDONLY | O_CLOEXEC);
		bool script;

		if (fd < 0)
			return;
		script = next_interpreter(fd, program->path);
		if (!script)
			program->kind = kind_of_elf(fd);
		close(fd);
		if (!script)
			return;
	}
}
