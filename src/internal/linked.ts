/** A list whose members hold their own neighbours: each is moved, taken out and appended at the same cost in a list of any length. */

/** What a member of a list has. In another list it could not be at the same time. */
export interface Links<Node> {
  previous: Node | undefined
  next: Node | undefined
}

export class Linked<Node extends Links<Node>> {
  first: Node | undefined
  private last: Node | undefined

  append(node: Node): void {
    node.previous = this.last
    node.next = undefined
    if (this.last === undefined) this.first = node
    else this.last.next = node
    this.last = node
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
