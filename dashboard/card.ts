/** A card: a head that is always there, and a body that is made when the card comes into view. */
import type { Happening, View } from "../src/http/dashboard/protocol.js"
import { h, mark, show, write } from "./dom.js"
import type { Track } from "./history.js"
import { type Plot, plotOf } from "./plot.js"
import { Foot } from "./steer.js"
import {
  ago,
  capitalized,
  count,
  dateAndTime,
  type Gauge,
  gaugesOf,
  kindOf,
  mainOutcomesOf,
  outcomesOf,
  rate,
  seriesFor,
  span,
  timeOfDay,
  toneOf
} from "./words.js"

/** What a card needs of the page. */
export interface Page {
  /** The time of the server. */
  readonly now: number
  readonly allowed: (id: number) => ReadonlyArray<string>
  readonly openDetails: (id: number) => void
}

const eventsShown = 3

/** How many numbers fit on a card. */
const numbersShown = 6

/** How long a state has lasted, and what comes next. */
export const sinceOf = ({ since, state, until }: View, now: number): string => {
  if (state === "open" && until !== null) {
    const left = until - now
    return left <= 0 ? "half-open soon" : `half-open in ${span(left + 999)}`
  }
  return since === null ? "" : `for ${span(now - since)}`
}

const eventRow = ({ at, count: times, text }: Happening, now: number): HTMLElement =>
  h(
    "li",
    {},
    h(
      "time",
      { datetime: new Date(at).toISOString(), title: dateAndTime(at) },
      now - at < 3_600_000 ? ago(now - at) : timeOfDay(at)
    ),
    h("span", { class: "what" }, times > 1 ? `${text} (${count(times)} times)` : text)
  )

/** Events, the latest first, or a row that says that there are none. */
export const eventRows = (latest: ReadonlyArray<Happening>, now: number): ReadonlyArray<HTMLElement> =>
  latest.length > 0
    ? latest.map((happening) => eventRow(happening, now))
    : [h("li", { class: "nothing" }, "No events yet")]

/** Rates and gauges, each written in place as long as they are the same ones. */
export class Numbers {
  private key = ""
  private readonly values: Array<HTMLElement> = []
  private readonly meters: Array<HTMLElement | undefined> = []

  /** All of them with their totals, or as many as fit on a card. */
  constructor(
    readonly element: HTMLElement,
    private readonly areAll: boolean
  ) {}

  update(view: View, track: Track): void {
    const outcomes = this.areAll ? outcomesOf(view) : mainOutcomesOf(view)
    const gauges = gaugesOf(view).slice(0, this.areAll ? Infinity : numbersShown - outcomes.length)
    const key = [...outcomes, "|", ...gauges.map(({ label, share }) => label + (share === undefined))].join()
    if (key !== this.key) this.make(key, outcomes, gauges)
    outcomes.forEach((outcome, index) => {
      const perSecond = rate(track.rate(outcome))
      write(
        this.values[index],
        this.areAll ? `${perSecond}/s, ${count(view.totals[outcome] ?? 0)} in all` : `${perSecond}/s`
      )
    })
    gauges.forEach(({ share, text }, index) => {
      write(this.values[outcomes.length + index], text)
      const meter = this.meters[index]
      if (meter === undefined || share === undefined) return
      const percent = Math.round(Math.min(1, Math.max(0, share)) * 100)
      const width = `${percent}%`
      if (meter.style.width !== width) meter.style.width = width
      mark(meter, "level", percent >= 100 ? "bad" : percent >= 80 ? "warn" : "good")
    })
  }

  private make(key: string, outcomes: ReadonlyArray<string>, gauges: ReadonlyArray<Gauge>): void {
    this.key = key
    this.values.length = 0
    this.meters.length = 0
    const pairs = outcomes.map((outcome) => {
      const value = h("dd")
      this.values.push(value)
      return h("div", { "data-series": seriesFor(outcome) }, h("dt", {}, outcome), value)
    })
    const others = gauges.map(({ label, share }) => {
      const value = h("dd")
      const meter = share === undefined ? undefined : h("span", { class: "level" })
      this.values.push(value)
      this.meters.push(meter)
      return h(
        "div",
        {},
        h("dt", {}, label),
        value,
        meter && h("span", { class: "meter", "aria-hidden": "true" }, meter)
      )
    })
    this.element.replaceChildren(...pairs, ...others)
  }
}

interface Body {
  readonly why: HTMLElement
  readonly plotPlace: HTMLElement
  readonly numbers: Numbers
  readonly events: HTMLElement
  readonly foot: Foot
  plot: Plot | undefined
  recent: ReadonlyArray<Happening> | undefined
  /** What is written of it. */
  latest: ReadonlyArray<Happening>
}

export class Card {
  readonly element: HTMLLIElement
  private readonly article: HTMLElement
  private readonly name: HTMLElement
  private readonly state: HTMLElement
  private readonly since: HTMLElement
  private body: Body | undefined
  isVisible = false
  isDirty = true

  constructor(
    private view: View,
    private readonly track: Track,
    private readonly page: Page
  ) {
    const title = `policy-${view.id}`
    this.name = h("bdi")
    this.state = h("span", { class: "state" })
    this.since = h("span", { class: "since" })
    const details = h(
      "button",
      { type: "button", class: "name", id: title, "aria-haspopup": "dialog" },
      this.name
    )
    details.addEventListener("click", () => page.openDetails(view.id))
    this.article = h(
      "article",
      { class: "card", "aria-labelledby": title },
      h(
        "div",
        { class: "head" },
        h(
          "div",
          { class: "line" },
          h("p", { class: "kind" }, kindOf(view.kind)),
          h("p", { class: "status" }, this.state, this.since)
        ),
        h("h3", {}, details)
      )
    )
    this.element = h("li", {}, this.article)
    this.head()
  }

  set(view: View): void {
    if (view === this.view) return
    const before = this.view
    this.view = view
    if (before.state !== view.state || before.name !== view.name || before.since !== view.since) this.head()
    this.isDirty = true
  }

  private head(): void {
    const { name } = this.view
    if (this.name.textContent !== name) {
      write(this.name, name)
      this.name.title = name
    }
    write(this.state, this.view.state)
    show(this.state, this.view.state !== "")
    mark(this.article, "tone", toneOf(this.view.state))
    mark(this.article, "state", this.view.state)
  }

  /** Writes what has changed. Called within a frame, for visible cards only. */
  render(isMoving: boolean): void {
    const body = (this.body ??= this.makeBody())
    const { view } = this
    this.tick()
    body.numbers.update(view, this.track)
    if (isMoving) this.draw(body)
    if (!this.isDirty) return
    this.isDirty = false
    write(body.why, capitalized(view.why))
    body.foot.update(view, this.page.allowed(view.id))
  }

  /** Writes what changes with time alone. */
  tick(): void {
    const { body, view } = this
    const { now } = this.page
    write(this.since, sinceOf(view, now))
    if (body === undefined) return
    if (body.recent !== view.recent) {
      body.recent = view.recent
      body.latest = view.recent.slice(-eventsShown).reverse()
      body.events.replaceChildren(...eventRows(body.latest, now))
      return
    }
    body.latest.forEach(({ at }, index) => {
      const time = body.events.children[index]?.firstElementChild
      if (time && now - at < 3_600_000) write(time, ago(now - at))
    })
  }

  private draw(body: Body): void {
    const outcomes = mainOutcomesOf(this.view)
    show(body.plotPlace, outcomes.length > 0)
    body.plot = plotOf(body.plot, body.plotPlace, outcomes, 92)
    body.plot?.draw(this.track.rows(outcomes))
  }

  private makeBody(): Body {
    const why = h("p", { class: "why", dir: "auto" })
    const plotPlace = h("div", { class: "plot" })
    const numbers = new Numbers(h("dl", { class: "numbers" }), false)
    const events = h("ol", { class: "events", "aria-label": "Latest events" })
    const details = h("button", { type: "button", class: "more", "aria-haspopup": "dialog" }, "Details")
    details.addEventListener("click", () => this.page.openDetails(this.view.id))
    const foot = new Foot(this.view, details)
    this.article.append(why, plotPlace, numbers.element, events, foot.element)
    return { why, plotPlace, numbers, events, foot, plot: undefined, recent: undefined, latest: [] }
  }

  /** Its policy is gone. The card stays, without doing anything, until it is taken away. */
  gone(): void {
    this.hide()
    this.element.inert = true
    mark(this.article, "gone", "")
  }

  /** A card that is out of sight keeps its texts and gives its canvas back. */
  hide(): void {
    this.isVisible = false
    this.body?.plot?.remove()
    if (this.body) this.body.plot = undefined
  }
}
