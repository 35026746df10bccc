/** All that is known of one policy, in a dialog that goes on being live. */
import type { Happening, View } from "../src/http/dashboard/protocol.js"
import { eventRows, Numbers, type Page, sinceOf } from "./card.js"
import { byId, h, mark, show, write } from "./dom.js"
import type { Track } from "./history.js"
import { type Plot, plotOf } from "./plot.js"
import { Foot } from "./steer.js"
import { capitalized, kindOf, outcomesOf, toneOf } from "./words.js"

export class Details {
  private readonly dialog = byId("details", HTMLDialogElement)
  private shown:
    | {
        readonly id: number
        readonly state: HTMLElement
        readonly since: HTMLElement
        readonly why: HTMLElement
        readonly note: HTMLElement
        readonly plotPlace: HTMLElement
        readonly numbers: Numbers
        readonly events: HTMLElement
        readonly foot: Foot
        plot: Plot | undefined
        recent: ReadonlyArray<Happening> | undefined
      }
    | undefined

  constructor(private readonly page: Page) {
    this.dialog.addEventListener("close", () => {
      this.shown?.plot?.remove()
      this.shown = undefined
    })
    this.dialog.addEventListener("click", (event) => {
      if (event.target === this.dialog) this.dialog.close()
    })
  }

  get id(): number | undefined {
    return this.shown?.id
  }

  open(view: View, track: Track): void {
    if (this.dialog.open) return
    const state = h("span", { class: "state" })
    const since = h("span", { class: "since" })
    const why = h("p", { class: "why", dir: "auto" })
    const note = h("p", { class: "remark" })
    const plotPlace = h("div", { class: "plot" })
    const numbers = new Numbers(h("dl", { class: "numbers" }), true)
    const events = h("ol", { class: "events" })
    const close = h("button", { type: "button", class: "more", autofocus: true }, "Close this view")
    const foot = new Foot(view, close)
    close.addEventListener("click", () => this.dialog.close())
    this.dialog.replaceChildren(
      h(
        "div",
        { class: "inner" },
        h("p", { class: "kind" }, kindOf(view.kind)),
        h("h2", { id: "details-name" }, h("bdi", {}, view.name)),
        h("p", { class: "status" }, state, since),
        why,
        plotPlace,
        numbers.element,
        note,
        h("h3", {}, "Latest events"),
        events,
        foot.element
      )
    )
    this.shown = {
      id: view.id,
      state,
      since,
      why,
      note,
      plotPlace,
      numbers,
      events,
      foot,
      plot: undefined,
      recent: undefined
    }
    this.dialog.showModal()
    this.render(view, track)
  }

  render(view: View, track: Track): void {
    const { shown } = this
    if (shown === undefined) return
    const { now } = this.page
    write(shown.state, view.state)
    show(shown.state, view.state !== "")
    mark(this.dialog, "tone", toneOf(view.state))
    write(shown.since, sinceOf(view, now))
    write(shown.why, capitalized(view.why))
    shown.numbers.update(view, track)
    const outcomes = outcomesOf(view)
    shown.plot = plotOf(shown.plot, shown.plotPlace, outcomes, 180)
    shown.plot?.draw(track.rows(outcomes))
    if (shown.recent !== view.recent) {
      shown.recent = view.recent
      shown.events.replaceChildren(...eventRows([...view.recent].reverse(), now))
    }
    shown.foot.update(view, this.page.allowed(view.id))
  }

  /** The policy is gone. */
  gone(): void {
    if (this.shown !== undefined) write(this.shown.note, "This policy is gone.")
  }
}
