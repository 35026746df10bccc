/** The cards: which there are, which are shown, in what order, and what is written in a frame. */
import {
  type Delta,
  empty,
  type Full,
  type Hidden,
  type State,
  type View
} from "../src/http/dashboard/protocol.js"
import { urgencyOf, urgent } from "../src/http/dashboard/urgency.js"
import { Card, type Page } from "./card.js"
import { Details } from "./details.js"
import { byId, h, mark, show, write } from "./dom.js"
import { History, type Track } from "./history.js"
import { arrange } from "./order.js"
import { Allowed } from "./steer.js"
import { inOrder, kindOf, numbersInWords, placeOfKind, toneOf, whole } from "./words.js"

/** A policy that has become better keeps its place for so long, so that cards do not dance. */
const calmMillis = 5000

/** How long cards stay where they are after the pointer has moved over them, and after a key has been pressed in them. */
const handMillis = 3000
const keyMillis = 10_000

/** How often the order is made anew when it depends on rates. */
const busyMillis = 5000

interface Shown {
  readonly card: Card
  readonly track: Track
  view: View
  /** The rank by which it stands where it stands, and since when its own has been lower. */
  rank: number
  betterAt: number
  /** How busy it was when the order was made. */
  busy: number
  /** What the filter looks at. */
  text: string
}

export class Board {
  private readonly grid = byId("grid", HTMLElement)
  private readonly chips = byId("chips", HTMLElement)
  private readonly note = byId("note", HTMLElement)
  private readonly changes = byId("changes", HTMLElement)
  private readonly search = byId("search", HTMLInputElement)
  private readonly kind = byId("kind", HTMLSelectElement)
  private readonly order = byId("order", HTMLSelectElement)
  private readonly shown = new Map<number, Shown>()
  private readonly ofElement = new WeakMap<Element, Shown>()
  private readonly page: Page
  private readonly details: Details
  private readonly allowed: Allowed
  private readonly sight: IntersectionObserver
  /** The states that are shown alone. */
  private readonly only = new Set<string>()
  private history = new History(500)
  private run = 0
  private hidden: Hidden = empty.hidden
  private hasData = false
  private isRequested = false
  /** Whether there is a new reading, which moves the plots. */
  private isMoving = false
  private isOrderOld = true
  private orderedAt = 0
  private handAt = -Infinity
  private keyAt = -Infinity

  constructor(clock: { readonly now: number }) {
    this.page = {
      get now() {
        return clock.now
      },
      allowed: (id) => this.allowed.of(id),
      openDetails: (id) => this.openDetails(id)
    }
    this.details = new Details(this.page)
    this.allowed = new Allowed((ids) => {
      for (const id of ids) {
        const card = this.shown.get(id)?.card
        if (card) card.isDirty = true
      }
      this.request()
    })
    this.sight = new IntersectionObserver((entries) => this.seen(entries), { rootMargin: "150px 0px" })
    this.readAddress()
    this.listen()
    setInterval(() => this.tick(), 1000)
  }

  // ------------------------------------------------------------------------------------------------------------ data

  full(full: Full, state: State): void {
    if (full.run !== this.run) {
      for (const id of [...this.shown.keys()]) this.remove(id)
      this.run = full.run
      this.history = new History(full.interval)
    }
    for (const id of [...this.shown.keys()]) if (!state.views.has(id)) this.remove(id)
    this.allowed.isEnabled = full.steering
    this.allowed.forget()
    this.take(state, this.hasData)
    this.hasData = true
    for (const { card, view } of this.shown.values()) if (card.isVisible) this.allowed.want(view.id)
  }

  delta({ removed }: Delta, state: State): void {
    for (const id of removed ?? []) this.remove(id)
    this.take(state, true)
  }

  private take({ at, hidden, views }: State, isNews: boolean): void {
    this.hidden = hidden
    this.history.begin(at)
    const news: Array<View> = []
    for (const [id, view] of views) {
      const isNew = !this.shown.has(id)
      const shown = this.shown.get(id) ?? this.add(view)
      // Where there are more policies than places, one appears because it is in trouble.
      if (isNew && urgencyOf(view.state) >= urgent) news.push(view)
      if (shown.view !== view) {
        if (shown.view.state !== view.state) {
          news.push(view)
          this.isOrderOld = true
        }
        if (shown.view.name !== view.name) shown.text = textOf(view)
        shown.view = view
        shown.card.set(view)
      }
      shown.track.record(view.totals)
    }
    if (isNews && news.length > 0) this.announce(news)
    this.isMoving = true
    this.request()
  }

  private add(view: View): Shown {
    const track = this.history.track()
    const card = new Card(view, track, this.page)
    const rank = urgencyOf(view.state)
    const shown: Shown = { card, track, view, rank, betterAt: 0, busy: 0, text: textOf(view) }
    this.shown.set(view.id, shown)
    this.ofElement.set(card.element, shown)
    this.sight.observe(card.element)
    this.isOrderOld = true
    return shown
  }

  private remove(id: number): void {
    const shown = this.shown.get(id)
    if (shown === undefined) return
    this.sight.unobserve(shown.card.element)
    // It goes when cards may move.
    shown.card.gone()
    this.shown.delete(id)
    if (this.details.id === id) this.details.gone()
    this.isOrderOld = true
  }

  /** Tells those who listen instead of look, in a sentence for each, or in one for many. */
  private announce(news: ReadonlyArray<View>): void {
    const worth = news.filter(({ state }) => state !== "")
    if (worth.length === 0) return
    const text =
      worth.length > 3
        ? `${worth.length} policies have changed: ${numbersInWords(numbersByState(worth))}`
        : worth.map((view) => `${kindOf(view.kind)} ${view.name.slice(0, 80)} is ${view.state}`).join(". ")
    this.changes.append(h("p", {}, text))
    while (this.changes.childElementCount > 5) this.changes.firstElementChild?.remove()
  }

  // ---------------------------------------------------------------------------------------------------------- frames

  /** Asks for a frame, which writes all changes until then. */
  request(): void {
    if (this.isRequested) return
    this.isRequested = true
    requestAnimationFrame(() => {
      this.isRequested = false
      this.frame()
    })
  }

  private frame(): void {
    const { isMoving } = this
    this.isMoving = false
    this.arrange()
    this.writeChips()
    for (const { card } of this.shown.values()) if (card.isVisible) card.render(isMoving)
    const { id } = this.details
    const open = id === undefined ? undefined : this.shown.get(id)
    if (open) this.details.render(open.view, open.track)
  }

  private seen(entries: ReadonlyArray<IntersectionObserverEntry>): void {
    for (const { isIntersecting, target } of entries) {
      const shown = this.ofElement.get(target)
      if (shown === undefined || !target.isConnected) continue
      if (isIntersecting) {
        shown.card.isVisible = true
        shown.card.isDirty = true
        this.allowed.want(shown.view.id)
      } else shown.card.hide()
    }
    this.isMoving = true
    this.request()
  }

  private tick(): void {
    for (const { card } of this.shown.values()) if (card.isVisible) card.tick()
    if (this.order.value === "busiest" && performance.now() - this.orderedAt > busyMillis)
      this.isOrderOld = true
    for (const shown of this.shown.values()) {
      if (shown.rank !== urgencyOf(shown.view.state)) this.isOrderOld = true
    }
    if (this.isOrderOld) this.request()
  }

  // ----------------------------------------------------------------------------------------------- filter and order

  private arrange(isFilterNew = false): void {
    if (!this.isOrderOld || (!isFilterNew && this.isHeld())) return
    const now = performance.now()
    this.isOrderOld = false
    this.orderedAt = now
    const words = this.search.value
      .toLowerCase()
      .split(/\s+/)
      .filter((word) => word !== "")
    const wanted: Array<Shown> = []
    for (const shown of this.shown.values()) {
      const rank = urgencyOf(shown.view.state)
      if (rank < shown.rank && shown.betterAt === 0) shown.betterAt = now
      else if (rank >= shown.rank || now - shown.betterAt >= calmMillis) {
        shown.rank = rank
        shown.betterAt = 0
      }
      if (this.order.value === "busiest") shown.busy = Math.round(shown.track.total)
      const isWanted =
        words.every((word) => shown.text.includes(word)) &&
        (this.kind.value === "" || this.kind.value === shown.view.kind) &&
        (this.only.size === 0 || this.only.has(shown.view.state))
      if (isWanted) wanted.push(shown)
    }
    wanted.sort(orders[this.order.value] ?? byName)
    const focused = document.activeElement
    const isInside = this.grid.contains(focused)
    arrange(
      this.grid,
      wanted.map(({ card }) => card.element)
    )
    // An element that is moved loses the focus.
    if (isInside && focused instanceof HTMLElement && focused !== document.activeElement) {
      const next = focused.isConnected ? focused : byId("policies", HTMLElement)
      next.focus({ preventScroll: true })
    }
    this.writeKinds()
    this.writeNote(wanted.length)
  }

  /** Cards do not move away under a pointer or from the keyboard. */
  private isHeld(): boolean {
    if (this.grid.childElementCount === 0) return false
    const now = performance.now()
    return now - this.handAt < handMillis || now - this.keyAt < keyMillis
  }

  private filter(): void {
    this.isOrderOld = true
    this.arrange(true)
    this.writeAddress()
    this.request()
  }

  private writeNote(wanted: number): void {
    const hidden = Object.entries(this.hidden)
    const more = hidden.length === 0 ? "" : ` ${hiddenInWords(hidden, this.shown.size)}`
    const text =
      this.shown.size === 0
        ? this.hasData
          ? "There are no policies yet. A policy appears when it is made, and a retry, a hedge, a timeout or a fallback when it has something to say."
          : ""
        : wanted === 0
          ? `No policy matches the filter.${more}`
          : wanted < this.shown.size
            ? `${whole(wanted)} of ${whole(this.shown.size)} policies.${more}`
            : more.trim()
    write(this.note, text)
    mark(this.note, "tone", toneOf(inOrder(hidden)[0]?.[0] ?? ""))
    show(this.note, text !== "")
  }

  private readonly chipOf = new Map<string, HTMLButtonElement>()

  /** How many are in each state, the worst first. */
  private writeChips(): void {
    const numbers = numbersByState(Array.from(this.shown.values(), ({ view }) => view))
    for (const state of this.only) if (!numbers.has(state)) numbers.set(state, 0)
    const sorted = inOrder(numbers)
    const wanted = sorted.map(([state, number]) => {
      const chip = this.chipOf.get(state) ?? this.makeChip(state)
      write(chip.firstElementChild as Element, String(number))
      chip.setAttribute("aria-pressed", String(this.only.has(state)))
      return chip
    })
    arrange(this.chips, wanted)
    const worst = sorted[0]
    const isBad = worst !== undefined && urgencyOf(worst[0]) >= urgent
    const title = isBad ? `${worst[1]} ${worst[0]} · Resilience` : "Resilience"
    if (document.title !== title) document.title = title
  }

  private makeChip(state: string): HTMLButtonElement {
    const chip = h(
      "button",
      { type: "button", class: "chip", "data-tone": toneOf(state) },
      h("span", { class: "number" }),
      ` ${state === "" ? "without state" : state}`
    )
    chip.addEventListener("click", () => {
      if (!this.only.delete(state)) this.only.add(state)
      this.filter()
    })
    this.chipOf.set(state, chip)
    return chip
  }

  private writeKinds(): void {
    const known = new Set(Array.from(this.kind.options, ({ value }) => value))
    for (const { view } of this.shown.values()) {
      if (known.has(view.kind)) continue
      known.add(view.kind)
      this.kind.append(h("option", { value: view.kind }, kindOf(view.kind)))
    }
    if (this.kindInAddress !== "" && known.has(this.kindInAddress)) {
      this.kind.value = this.kindInAddress
      this.kindInAddress = ""
      this.isOrderOld = true
      this.request()
    }
  }

  // --------------------------------------------------------------------------------------------------------- address

  private kindInAddress = ""

  /** The filter is in the address, so that a link shows the same. */
  private readAddress(): void {
    const address = new URLSearchParams(location.hash.slice(1))
    this.search.value = address.get("text") ?? ""
    this.kindInAddress = address.get("kind") ?? ""
    const order = address.get("order")
    if (order !== null && order in orders) this.order.value = order
    for (const state of address.getAll("state")) this.only.add(state)
  }

  private writeAddress(): void {
    const address = new URLSearchParams()
    if (this.search.value !== "") address.set("text", this.search.value)
    if (this.kind.value !== "") address.set("kind", this.kind.value)
    if (this.order.value !== "worst") address.set("order", this.order.value)
    for (const state of this.only) address.append("state", state)
    const hash = address.toString()
    history.replaceState(null, "", hash === "" ? location.pathname + location.search : `#${hash}`)
  }

  // -------------------------------------------------------------------------------------------------------- keyboard

  private listen(): void {
    this.search.addEventListener("input", () => this.filter())
    this.kind.addEventListener("change", () => this.filter())
    this.order.addEventListener("change", () => this.filter())
    this.grid.addEventListener("pointermove", () => (this.handAt = performance.now()), { passive: true })
    this.grid.addEventListener("pointerleave", () => (this.handAt = -Infinity))
    for (const type of ["keydown", "focusin"]) {
      this.grid.addEventListener(type, () => (this.keyAt = performance.now()))
    }
    this.grid.addEventListener("focusout", () => (this.keyAt = -Infinity))
    this.search.addEventListener("keydown", (event) => {
      if (event.key !== "Escape") return
      if (this.search.value === "") this.search.blur()
      this.search.value = ""
      this.filter()
    })
    document.addEventListener("keydown", (event) => {
      if (event.key !== "/" || event.ctrlKey || event.metaKey || event.altKey) return
      if (event.target instanceof HTMLElement && event.target.matches("input, select, textarea, dialog *"))
        return
      event.preventDefault()
      this.search.focus()
      this.search.select()
    })
  }

  private openDetails(id: number): void {
    const shown = this.shown.get(id)
    if (shown === undefined) return
    this.allowed.want(id)
    this.details.open(shown.view, shown.track)
  }
}

const textOf = ({ kind, name }: View): string => `${name} ${kind} ${kindOf(kind)}`.toLowerCase()

const numbersByState = (views: ReadonlyArray<View>): Map<string, number> => {
  const numbers = new Map<string, number>()
  for (const { state } of views) numbers.set(state, (numbers.get(state) ?? 0) + 1)
  return numbers
}

/** What is not shown, and why. */
const hiddenInWords = (hidden: ReadonlyArray<readonly [string, number]>, room: number): string => {
  const number = hidden.reduce((sum, [, each]) => sum + each, 0)
  const states = hidden.length === 1 ? hidden[0][0] || "without state" : numbersInWords(hidden)
  return (
    `Not shown and not found by the filter: ${whole(number)} policies (${states}). ` +
    `The page has room for ${whole(room)}: those that need attention first, then the busiest.`
  )
}

type Order = (one: Shown, other: Shown) => number

const { compare } = new Intl.Collator(undefined, { numeric: true })
const byName: Order = (one, other) => compare(one.view.name, other.view.name) || one.view.id - other.view.id
const byKind: Order = ({ view: one }, { view: other }) =>
  placeOfKind(one.kind) - placeOfKind(other.kind) || compare(one.kind, other.kind)

const orders: Readonly<Record<string, Order>> = {
  worst: (one, other) => other.rank - one.rank || byKind(one, other) || byName(one, other),
  busiest: (one, other) => other.busy - one.busy || byName(one, other),
  name: byName,
  kind: (one, other) => byKind(one, other) || byName(one, other)
}
