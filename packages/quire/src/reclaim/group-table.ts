/**
 * The group table, in node 0: 64 slots of 128 bytes (struct mem_cgroup). A group is there while a region is open under its
 * name or somebody holds it (`quire.group`); its limits go with it. A slot whose group has gone is taken again only when
 * nothing is charged to it any more: a read that was under way may give its frames back late (an offline memcg).
 *
 * What changes a slot's uses runs under the lock of node 0.
 */
import * as L from '../arena/layout.ts';
import type { Node } from '../arena/node.ts';
import { assert } from '../base/assert.ts';
import { DEFAULT_GROUP, groupAt } from './group.ts';

export const DEFAULT_GROUP_NAME = 'default';
/** The table is full. */
export const NO_GROUP_SLOT = -1;

/** Once, by the creator. */
export function formatGroups(node: Node): void {
  writeName(node, DEFAULT_GROUP, new TextEncoder().encode(DEFAULT_GROUP_NAME));
  node.words[groupAt(DEFAULT_GROUP) + L.G_USES] = 1;
}

/** One more use of the group of this name, which is made if need be; NO_GROUP_SLOT when no slot is free. */
export function enterGroupLocked(node: Node, name: string): number {
  const encoded = new TextEncoder().encode(name);
  assert(encoded.length <= L.GROUP_NAME_BYTES_MAX, 'group name checked by the caller', encoded.length);
  const found = findGroup(node, encoded);
  const group = found === NO_GROUP_SLOT ? findFree(node) : found;
  if (group === NO_GROUP_SLOT) return NO_GROUP_SLOT;
  if (found === NO_GROUP_SLOT) {
    const at = groupAt(group);
    node.words.fill(0, at, at + L.GROUP_WORDS);
    writeName(node, group, encoded);
  }
  node.words[groupAt(group) + L.G_USES]++;
  return group;
}

/** Gives up one use. */
export function leaveGroupLocked(node: Node, group: number): void {
  const uses = --node.words[groupAt(group) + L.G_USES];
  assert(uses >= 0 && (group !== DEFAULT_GROUP || uses > 0), 'group left once a use', group, uses);
}

export function isGroupUsed(node: Node, group: number): boolean {
  return node.words[groupAt(group) + L.G_USES] > 0;
}

export function groupName(node: Node, group: number): string {
  const start = (groupAt(group) + L.G_NAME) * 4;
  return new TextDecoder().decode(node.bytes.slice(start + 1, start + 1 + node.bytes[start]));
}

function writeName(node: Node, group: number, name: Uint8Array): void {
  const start = (groupAt(group) + L.G_NAME) * 4;
  node.bytes[start] = name.length;
  node.bytes.set(name, start + 1);
}

function findGroup(node: Node, name: Uint8Array): number {
  for (let group = 0; group < L.GROUPS_MAX; group++) {
    if (!isGroupUsed(node, group)) continue;
    const start = (groupAt(group) + L.G_NAME) * 4;
    if (node.bytes[start] === name.length && name.every((byte, i) => node.bytes[start + 1 + i] === byte)) return group;
  }
  return NO_GROUP_SLOT;
}

function findFree(node: Node): number {
  for (let group = 0; group < L.GROUPS_MAX; group++) {
    const at = groupAt(group);
    const isCharged = Atomics.load(node.words, at + L.G_PAGES) + Atomics.load(node.words, at + L.G_SWAP_PAGES) > 0;
    if (!isGroupUsed(node, group) && !isCharged) return group;
  }
  return NO_GROUP_SLOT;
}
