/* SPDX-License-Identifier: MIT */
/*
 * differential_names.c - each hooked look-up beside libc's own
 *
 * Names and addresses that are no peer's, with hints, flags and buffers good, odd and bad: the
 * function that the program finds and the one in libc.so give the same code, the same result, and leave errno
 * and h_errno alike.  Nothing here asks a name server that is elsewhere: run it where there is none.
 */
#include <dlfcn.h>

#include "tests/shim/under.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))
#define SHOWN 10
#define TEXT 2048

static unsigned int combinations, different, shown;
static const char *function;

static struct {
	int (*getaddrinfo)(const char *, const char *, const struct addrinfo *, struct addrinfo **);
	int (*getnameinfo)(const struct sockaddr *, socklen_t, char *, socklen_t, char *, socklen_t, int);
	struct hostent *(*gethostbyname)(const char *);
	struct hostent *(*gethostbyname2)(const char *, int);
	struct hostent *(*gethostbyaddr)(const void *, socklen_t, int);
	int (*gethostbyname_r)(const char *, struct hostent *, char *, size_t, struct hostent **, int *);
	int (*gethostbyname2_r)(const char *, int, struct hostent *, char *, size_t, struct hostent **, int *);
	int (*gethostbyaddr_r)(const void *, socklen_t, int, struct hostent *, char *, size_t, struct hostent **, int *);
} libc;

static void find(void *library, const char *name, void *to)
{
	void *address = dlsym(library, name);

	if (!address)
		abort();
	memcpy(to, &address, sizeof(address));
}

static void find_all(void)
{
	void *library = dlopen("libc.so.6", RTLD_NOW | RTLD_NOLOAD);

	find(library, "getaddrinfo", &libc.getaddrinfo);
	find(library, "getnameinfo", &libc.getnameinfo);
	find(library, "gethostbyname", &libc.gethostbyname);
	find(library, "gethostbyname2", &libc.gethostbyname2);
	find(library, "gethostbyaddr", &libc.gethostbyaddr);
	find(library, "gethostbyname_r", &libc.gethostbyname_r);
	find(library, "gethostbyname2_r", &libc.gethostbyname2_r);
	find(library, "gethostbyaddr_r", &libc.gethostbyaddr_r);
}

static void compare(const char *hook, const char *bare, const char *what)
{
	combinations++;
	if (strcmp(hook, bare) == 0)
		return;
	different++;
	if (shown++ < SHOWN)
		printf("# %s(%.200s): %.400s; libc: %.400s\n", function, what, hook, bare);
}

/* Append bytes as hex, "-" for none */
static void put_bytes(char text[TEXT], const void *bytes, size_t size)
{
	const unsigned char *byte = bytes;
	size_t at = strlen(text), i;

	for (i = 0; byte && i < size && at + 3 < TEXT; i++)
		at += (size_t)snprintf(text + at, TEXT - at, "%02x", byte[i]);
	snprintf(text + at, TEXT - at, "%s ", byte ? "" : "-");
}

static void put_text(char text[TEXT], const char *more)
{
	snprintf(text + strlen(text), TEXT - strlen(text), "%s ", more ? more : "-");
}

static void put_number(char text[TEXT], long number)
{
	snprintf(text + strlen(text), TEXT - strlen(text), "%ld ", number);
}

/* ------------------------------------------------------------ getaddrinfo() */

static const char *const hosts[] = {
	NULL, "", ".", "localhost", "LOCALHOST", "localhost.", "127.0.0.1", "127.1", "0x7f000001", "1", "1.2.3", "1.2.3.4.5",
	"256.1.1.1", "::", "::1", "::ffff:10.1.2.3", "fe80::1", "fe80::1%lo", "fe80::1%nosuch", "::1%1", "[::1]", "a..b",
	"-", "a b", "bob bob", " bob", "bob ", "bob%lo", "bo", "bobb", "\303\266", "x\001y", "*",
};
static const char *const services[] = { NULL, "", "0", "80", "http", "nosuch", "65536", "99999", "-1", "80 ", "domain", "tftp" };
static const int families[] = { AF_UNSPEC, AF_INET, AF_INET6, AF_UNIX, 12345 };
static const int types[] = { 0, SOCK_STREAM, SOCK_DGRAM, SOCK_RAW, SOCK_SEQPACKET, 4711 };
static const int flags[] = {
	0, AI_PASSIVE, AI_CANONNAME, AI_NUMERICHOST, AI_NUMERICSERV, AI_ADDRCONFIG, AI_V4MAPPED, AI_V4MAPPED | AI_ALL,
	AI_CANONNAME | AI_NUMERICHOST, AI_PASSIVE | AI_NUMERICSERV, AI_IDN, AI_IDN | AI_CANONIDN | AI_CANONNAME, 0x4000000,
};

static void tell_addrinfo(char text[TEXT], int code, const struct addrinfo *info)
{
	int error = errno;

	put_number(text, code);
	put_number(text, code == EAI_SYSTEM || code == 0 ? error : 0);
	for (; code == 0 && info; info = info->ai_next) {
		put_number(text, info->ai_flags);
		put_number(text, info->ai_family);
		put_number(text, info->ai_socktype);
		put_number(text, info->ai_protocol);
		put_bytes(text, info->ai_addr, info->ai_addrlen);
		put_text(text, info->ai_canonname);
	}
}

static void addrinfo_one(const char *host, const char *service, const struct addrinfo *hints)
{
	char hook[TEXT] = "", bare[TEXT] = "", what[TEXT] = "";
	struct addrinfo *result = NULL;
	int code;

	errno = 4711;
	code = getaddrinfo(host, service, hints, &result);
	tell_addrinfo(hook, code, result);
	if (code == 0)
		freeaddrinfo(result);
	errno = 4711;
	code = libc.getaddrinfo(host, service, hints, &result);
	tell_addrinfo(bare, code, result);
	if (code == 0)
		freeaddrinfo(result);
	put_text(what, host);
	put_text(what, service);
	if (hints) {
		put_number(what, hints->ai_family);
		put_number(what, hints->ai_socktype);
		put_number(what, hints->ai_flags);
	}
	compare(hook, bare, what);
}

static void try_getaddrinfo(void)
{
	struct addrinfo hints;
	unsigned int h, s, f, t, g;

	for (h = 0; h < COUNT(hosts); h++) {
		for (s = 0; s < COUNT(services); s++) {
			addrinfo_one(hosts[h], services[s], NULL);
			for (f = 0; f < COUNT(families); f++) {
				for (t = 0; t < COUNT(types); t++) {
					for (g = 0; g < COUNT(flags); g++) {
						hints = (struct addrinfo){ .ai_family = families[f], .ai_socktype = types[t], .ai_flags = flags[g] };
						addrinfo_one(hosts[h], services[s], &hints);
					}
				}
			}
		}
	}
	hints = (struct addrinfo){ .ai_protocol = IPPROTO_UDP, .ai_socktype = SOCK_STREAM };
	addrinfo_one("localhost", "80", &hints);
	hints = (struct addrinfo){ .ai_addrlen = 1, .ai_canonname = (char[]){ "x" } };
	addrinfo_one("localhost", "80", &hints);
}

/* ------------------------------------------------------------ getnameinfo() */

static void nameinfo_one(const struct sockaddr *address, socklen_t size, socklen_t host_size, socklen_t service_size, int flag)
{
	char hook[TEXT] = "", bare[TEXT] = "", what[TEXT] = "", host[256], service[256];
	int side, code;

	for (side = 0; side < 2; side++) {
		char *text = side ? bare : hook;

		memset(host, 0, sizeof(host));
		memset(service, 0, sizeof(service));
		errno = 4711;
		code = (side ? libc.getnameinfo : getnameinfo)(address, size, host_size ? host : NULL, host_size,
							       service_size ? service : NULL, service_size, flag);
		put_number(text, code);
		put_number(text, code == EAI_SYSTEM || code == 0 ? errno : 0);
		put_text(text, host);
		put_text(text, service);
	}
	put_bytes(what, address, 28);
	put_number(what, size);
	put_number(what, host_size);
	put_number(what, service_size);
	put_number(what, flag);
	compare(hook, bare, what);
}

static void try_getnameinfo(void)
{
	static const int name_flags[] = { 0, NI_NUMERICHOST, NI_NUMERICSERV, NI_NUMERICHOST | NI_NUMERICSERV, NI_NAMEREQD,
					  NI_NOFQDN, NI_DGRAM, NI_IDN, 0x40000 };
	static const socklen_t lengths[] = { 0, 2, 15, 16, 24, 28, 110, 128 }, rooms[] = { 0, 1, 2, 5, 10, 255 };
	static const char *const numbers[] = { "127.0.0.1", "0.0.0.0", "239.191.255.255", "239.196.0.1", "::1", "::ffff:127.0.0.1",
					       "fe80::1", "ff18:7075:6e63:6801::1" };
	union {
		struct sockaddr any;
		struct sockaddr_in in;
		struct sockaddr_in6 in6;
		char bytes[128];
	} address;
	unsigned int n, l, h, s, f;

	for (n = 0; n < COUNT(numbers); n++) {
		memset(&address, 0, sizeof(address));
		if (inet_pton(AF_INET, numbers[n], &address.in.sin_addr) == 1) {
			address.in.sin_family = AF_INET;
			address.in.sin_port = htons(80);
		} else {
			memset(&address, 0, sizeof(address));
			inet_pton(AF_INET6, numbers[n], &address.in6.sin6_addr);
			address.in6.sin6_family = AF_INET6;
			address.in6.sin6_port = htons(80);
		}
		for (l = 0; l < COUNT(lengths); l++)
			for (h = 0; h < COUNT(rooms); h++)
				for (s = 0; s < COUNT(rooms); s++)
					for (f = 0; f < COUNT(name_flags); f++)
						nameinfo_one(&address.any, lengths[l], rooms[h], rooms[s], name_flags[f]);
	}
	address.any.sa_family = AF_UNIX;
	nameinfo_one(&address.any, 128, 255, 255, 0);
	address.any.sa_family = 12345;
	nameinfo_one(&address.any, 128, 255, 255, 0);
}

/* ------------------------------------------------------------ gethostby...() */

static void tell_hostent(char text[TEXT], const struct hostent *entry, int problem)
{
	char **more;

	put_number(text, entry ? 0 : problem);
	if (!entry)
		return;
	put_text(text, entry->h_name);
	put_number(text, entry->h_addrtype);
	for (more = entry->h_aliases; *more; more++)
		put_text(text, *more);
	for (more = entry->h_addr_list; *more; more++)
		put_bytes(text, *more, (size_t)entry->h_length);
}

static void tell_hostent_r(char text[TEXT], int rc, const struct hostent *entry, int problem)
{
	put_number(text, rc);
	tell_hostent(text, entry, problem);
}

static void host_one(const char *host, int family, size_t room)
{
	char hook[TEXT] = "", bare[TEXT] = "", what[TEXT] = "", buffer[1024];
	struct hostent entry, *result;
	int problem = 0, rc;

	result = family ? gethostbyname2(host, family) : gethostbyname(host);
	tell_hostent(hook, result, h_errno);
	result = family ? libc.gethostbyname2(host, family) : libc.gethostbyname(host);
	tell_hostent(bare, result, h_errno);
	rc = family ? gethostbyname2_r(host, family, &entry, buffer, room, &result, &problem) :
	     gethostbyname_r(host, &entry, buffer, room, &result, &problem);
	tell_hostent_r(hook, rc, result, problem);
	rc = family ? libc.gethostbyname2_r(host, family, &entry, buffer, room, &result, &problem) :
	     libc.gethostbyname_r(host, &entry, buffer, room, &result, &problem);
	tell_hostent_r(bare, rc, result, problem);
	put_text(what, host);
	put_number(what, family);
	put_number(what, (long)room);
	compare(hook, bare, what);
}

static void address_one(const void *address, socklen_t size, int family, size_t room)
{
	char hook[TEXT] = "", bare[TEXT] = "", what[TEXT] = "", buffer[1024];
	struct hostent entry, *result;
	int problem = 0, rc;

	result = gethostbyaddr(address, size, family);
	tell_hostent(hook, result, h_errno);
	result = libc.gethostbyaddr(address, size, family);
	tell_hostent(bare, result, h_errno);
	rc = gethostbyaddr_r(address, size, family, &entry, buffer, room, &result, &problem);
	tell_hostent_r(hook, rc, result, problem);
	rc = libc.gethostbyaddr_r(address, size, family, &entry, buffer, room, &result, &problem);
	tell_hostent_r(bare, rc, result, problem);
	put_bytes(what, address, 16);
	put_number(what, size);
	put_number(what, family);
	put_number(what, (long)room);
	compare(hook, bare, what);
}

static void try_hosts(void)
{
	static const size_t rooms[] = { 0, 1, 8, 16, 40, 64, 100, 200, 1024 };
	unsigned int h, f, r;

	for (h = 1; h < COUNT(hosts); h++)
		for (f = 0; f < COUNT(families); f++)
			for (r = 0; r < COUNT(rooms); r++)
				host_one(hosts[h], families[f], rooms[r]);
}

static void try_addresses(void)
{
	static const size_t rooms[] = { 0, 1, 8, 16, 40, 64, 100, 200, 1024 };
	static const socklen_t sizes[] = { 0, 1, 4, 8, 16, 128 };
	static const unsigned char addresses[][16] = {
		{ 127, 0, 0, 1 }, { 0 }, { 239, 191, 255, 255 }, { 239, 196, 0, 0 }, { [15] = 1 },
	};
	unsigned int a, s, f, r;

	for (a = 0; a < COUNT(addresses); a++)
		for (s = 0; s < COUNT(sizes); s++)
			for (f = 0; f < COUNT(families); f++)
				for (r = 0; r < COUNT(rooms); r++)
					address_one(addresses[a], sizes[s], families[f], rooms[r]);
}

static void run(const char *name, void (*attempt)(void))
{
	unsigned int before = different, first = combinations;

	function = name;
	shown = 0;
	attempt();
	printf("%sok - %s(): %u calls as libc's own\n", different == before ? "" : "not ", name, combinations - first);
}

int main(void)
{
	setvbuf(stdout, NULL, _IOLBF, 0);
	find_all();
	run("getaddrinfo", try_getaddrinfo);
	run("getnameinfo", try_getnameinfo);
	run("gethostbyname", try_hosts);
	run("gethostbyaddr", try_addresses);
	return different != 0;
}
