/** Which cards stand where, and which are moved: as few as possible. */

/** The indices of a longest rising part of a list (Fredman 1975). */
const longestRise = (list: ReadonlyArray<number>): ReadonlySet<number> => {
  const ends: Array<number> = []
  const before: Array<number> = []
  list.forEach((value, index) => {
    let [low, high] = [0, ends.length]
    while (low < high) {
      const middle = (low + high) >> 1
      if (list[ends[middle]] < value) low = middle + 1
      else high = middle
    }
    before[index] = low === 0 ? -1 : ends[low - 1]
    ends[low] = index
  })
  const rise = new Set<number>()
  for (let index = ends.at(-1) ?? -1; index >= 0; index = before[index]) rise.add(index)
  return rise
}

/** Puts the children of an element in order, and leaves alone those that are in order already. */
export const arrange = (parent: Element, wanted: ReadonlyArray<Element>): void => {
  const places = new Map<Element, number>()
  Array.from(parent.children).forEach((child, index) => places.set(child, index))
  const isSame = places.size === wanted.length && wanted.every((child, index) => places.get(child) === index)
  if (isSame) return
  const known = wanted.filter((child) => places.has(child))
  const rise = longestRise(known.map((child) => places.get(child) as number))
  const staying = new Set(known.filter((_, index) => rise.has(index)))
  const wantedOnes = new Set(wanted)
  for (const child of places.keys()) if (!wantedOnes.has(child)) child.remove()
  let next: Element | null = null
  for (let index = wanted.length - 1; index >= 0; index--) {
    const child = wanted[index]
    if (!staying.has(child)) parent.insertBefore(child, next)
    next = child
  }
}
