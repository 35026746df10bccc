/** A doubly linked list of nodes that hold their own links. Every operation costs the same at any length. */

/** What a member of a list has. In another list it could not be at the same time. */
export interface Links<Node> {
  previous: Node | undefined
  next: Node | undefined
}

export class Linked<Node extends Links<Node>> {
  first: Node | undefined
  last: Node | undefined

  append(node: Node): void {
    this.insert(node, this.last)
  }

  /** Puts a node behind another, or at the front. */
  insert(node: Node, previous: Node | undefined): void {
    const next = previous === undefined ? this.first : previous.next
    node.previous = previous
    node.next = next
    if (previous === undefined) this.first = node
    else previous.next = node
    if (next === undefined) this.last = node
    else next.previous = node
  }

  remove(node: Node): void {
    const { next, previous } = node
    if (previous === undefined) this.first = next
    else previous.next = next
    if (next === undefined) this.last = previous
    else next.previous = previous
    node.previous = node.next = undefined
  }

  moveToEnd(node: Node): void {
    if (node === this.last) return
    this.remove(node)
    this.append(node)
  }

  clear(): void {
    this.first = this.last = undefined
  }

  *[Symbol.iterator](): Iterator<Node> {
    for (let node = this.first; node !== undefined; node = node.next) yield node
  }
}
