/** Steering: what may be done, the question before it, and how it ended. */
import { mostAsked, steeringHeader, type View } from "../src/http/dashboard/protocol.js"
import { byId, h, write } from "./dom.js"

interface Action {
  readonly label: string
  /** The states in which it changes something. */
  readonly in: (state: string) => boolean
  readonly means: string
  readonly isGrave: boolean
}

const isOneOf =
  (...states: ReadonlyArray<string>) =>
  (state: string): boolean =>
    states.includes(state)

const actions: Readonly<Record<string, Action>> = {
  isolate: {
    label: "Isolate",
    in: (state) => state !== "isolated",
    means: "Every call is rejected until the circuit is released.",
    isGrave: true
  },
  release: {
    label: "Release",
    in: isOneOf("isolated"),
    means: "The isolation ends: the circuit is closed, and calls go through again.",
    isGrave: false
  },
  open: {
    label: "Open",
    in: isOneOf("closed", "half-open"),
    means: "Calls are rejected for the circuit's open time. Then it lets probes through.",
    isGrave: true
  },
  close: {
    label: "Close",
    in: isOneOf("open", "half-open", "disabled", "metrics-only"),
    means: "Calls go through again, and counting begins anew.",
    isGrave: false
  },
  reset: {
    label: "Reset",
    in: () => true,
    means: "Everything that was counted is forgotten, and the policy begins as if it were new.",
    isGrave: false
  }
}

/** The actions that change something in a state, of those that are allowed. */
const actionsIn = (state: string, allowed: ReadonlyArray<string>): ReadonlyArray<string> =>
  Object.keys(actions).filter((action) => allowed.includes(action) && actions[action]?.in(state) === true)

/** A button for each action, and a last one that is always there and takes the focus of a button that goes. */
export class Foot {
  readonly element: HTMLElement
  private actions = ""

  constructor(
    private view: View,
    private readonly last: HTMLButtonElement
  ) {
    this.element = h("div", { class: "foot" }, last)
  }

  update(view: View, allowed: ReadonlyArray<string>): void {
    this.view = view
    const wanted = actionsIn(view.state, allowed)
    if (wanted.join() === this.actions) return
    this.actions = wanted.join()
    const hadFocus = this.element.contains(document.activeElement)
    const buttons = wanted.map((action) => {
      const button = h("button", { type: "button", "data-action": action }, actions[action]?.label)
      button.addEventListener("click", () => ask(this.view, action))
      return button
    })
    this.element.replaceChildren(...buttons, this.last)
    if (hadFocus && !this.element.contains(document.activeElement)) this.last.focus()
  }
}

/** Shows a message for a while. It is read aloud. */
const toast = (text: string, isError: boolean): void => {
  const message = h("p", { class: "toast", "data-error": isError }, text)
  byId("toasts", HTMLElement).append(message)
  setTimeout(() => message.remove(), isError ? 12_000 : 5000)
}

const called = ({ name }: View): string => (name.length > 200 ? `${name.slice(0, 200)}…` : name)

/** Asks, and steers when the answer is yes. */
const ask = (view: View, action: string): void => {
  const dialog = byId("question", HTMLDialogElement)
  const known = actions[action]
  if (known === undefined || dialog.open) return
  const cancel = h("button", { type: "button", autofocus: true }, "Cancel")
  const confirm = h("button", { type: "button", class: known.isGrave ? "grave" : "sure" }, known.label)
  const asker = document.activeElement
  dialog.replaceChildren(
    h("h2", { id: "question-title" }, `${known.label} this policy?`),
    h("p", { class: "question-name" }, h("bdi", {}, called(view))),
    h("p", { id: "question-text" }, known.means),
    h("div", { class: "buttons" }, cancel, confirm)
  )
  cancel.addEventListener("click", () => dialog.close())
  confirm.addEventListener("click", () => {
    confirm.disabled = true
    write(confirm, "…")
    void steer(view, action).then((error) => {
      dialog.close()
      toast(error ?? `${known.label}: done`, error !== undefined)
    })
  })
  dialog.addEventListener(
    "close",
    () => {
      if (asker instanceof HTMLElement && asker.isConnected) asker.focus()
    },
    { once: true }
  )
  dialog.showModal()
}

/** Steers, and returns what went wrong. */
const steer = async ({ kind, name }: View, action: string): Promise<string | undefined> => {
  try {
    const response = await fetch("dashboard/steer", {
      method: "POST",
      headers: { "content-type": "application/json", [steeringHeader]: "1" },
      body: JSON.stringify({ kind, name, action }),
      signal: AbortSignal.timeout(15_000)
    })
    if (response.ok) return undefined
    const body: unknown = await response.json().catch(() => undefined)
    const told = typeof body === "object" && body !== null && "message" in body ? String(body.message) : ""
    return `Not done: ${told === "" ? `the server answers with status ${response.status}` : told}`
  } catch {
    return "The server does not answer. The action may or may not have been done."
  }
}

// --------------------------------------------------------------------------------------------------------- allowed

/** Asks the server what may be done with the policies that come into view, those of one moment together. */
export class Allowed {
  private readonly known = new Map<number, ReadonlyArray<string>>()
  private wanted = new Set<number>()
  isEnabled = false

  constructor(private readonly onKnown: (ids: ReadonlyArray<number>) => void) {}

  forget(): void {
    this.known.clear()
    this.wanted.clear()
  }

  of(id: number): ReadonlyArray<string> {
    return this.known.get(id) ?? []
  }

  want(id: number): void {
    if (!this.isEnabled || this.known.has(id)) return
    if (this.wanted.size === 0) setTimeout(() => void this.fetch(), 50)
    this.wanted.add(id)
  }

  private async fetch(): Promise<void> {
    const ids = [...this.wanted].slice(0, mostAsked)
    for (const id of ids) this.wanted.delete(id)
    if (ids.length === 0) return
    if (this.wanted.size > 0) setTimeout(() => void this.fetch(), 50)
    try {
      const response = await fetch(`dashboard/actions?ids=${ids.join()}`, { cache: "no-store" })
      if (!response.ok) return
      const allowed = (await response.json()) as Readonly<Record<string, ReadonlyArray<string>>>
      for (const id of ids) this.known.set(id, allowed[id] ?? [])
      this.onKnown(ids)
    } catch {
      // Asked again when the card comes into view again.
    }
  }
}
