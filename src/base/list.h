/* SPDX-License-Identifier: MIT */
/* Intrusive doubly linked list; the head is a node too. */
#ifndef VMMU_BASE_LIST_H
#define VMMU_BASE_LIST_H

#include "base/bits.h"

struct list {
	struct list *next, *prev;
};

static inline void list_init(struct list *head)
{
	head->next = head;
	head->prev = head;
}

static inline bool list_is_empty(const struct list *head)
{
	return head->next == head;
}

/* Insert NODE right behind AT. */
static inline void list_insert(struct list *at, struct list *node)
{
	node->next = at->next;
	node->prev = at;
	at->next->prev = node;
	at->next = node;
}

/* NODE's own links are left pointing at itself, so that removing twice is harmless. */
static inline void list_remove(struct list *node)
{
	node->prev->next = node->next;
	node->next->prev = node->prev;
	list_init(node);
}

#define list_for_each(node, head) \
	for (struct list * (node) = (head)->next; (node) != (head); (node) = (node)->next)

#endif
