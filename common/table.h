/* SPDX-License-Identifier: MIT */
/*
 * table.h - a hash table of structs that somebody else owns, for keys that strangers choose
 *
 * Pure (libc, and OpenSSL's SipHash by hash.h).  Chained, with sys/queue.h; each table has a seed of its
 * own, so that nobody outside can aim at one chain.  The number of chains is fixed when the table is made:
 * all that is kept in one has a limit of its own, and no request pays for the growth of a table of 131,072.
 *
 * What is kept begins with a struct table_entry and holds its key at any place:
 *
 *	struct visitor {
 *		struct table_entry entry;
 *		uint8_t key[KEY_SIZE];
 *	};
 *	table = table_new(1000, TABLE_KEY(struct visitor, key));
 */
#ifndef PUNCH_TABLE_H
#define PUNCH_TABLE_H

#include <stddef.h>
#include <sys/queue.h>

struct table;

/** struct table_entry - the first member of what is kept; all zero: in no table */
struct table_entry {
	LIST_ENTRY(table_entry) chain;
};

/** TABLE_KEY() - where a struct has its key, and of how many bytes: two arguments of table_new() */
#define TABLE_KEY(type, key)	offsetof(type, key), sizeof(((type *)NULL)->key)

/**
 * table_new()
 * @many:	as many entries have short chains; no limit
 * @key_at:	bytes from an entry to its key
 * @key_size:	bytes of a key
 * Return: table_free(), or NULL without memory
 */
struct table *table_new(size_t many, size_t key_at, size_t key_size);

/** table_free() - with its entries. @entry_free: for each of them; NULL: their owners free them. @table may be NULL */
void table_free(struct table *table, void (*entry_free)(void *entry));

/** table_find() - Return: the struct with that key, as it begins with its entry; NULL when there is none */
void *table_find(const struct table *table, const void *key);

/**
 * table_add() - @entry: with its key, which table_find() does not find, and which stays as it
 * is while the entry is here
 */
void table_add(struct table *table, struct table_entry *entry);

/** table_remove() - @entry: one that is in the table */
void table_remove(struct table *table, struct table_entry *entry);

/** table_count() - Return: entries in it */
unsigned int table_count(const struct table *table);

#endif
