/** The connection: reads the stream of the server, notices when it is silent, and connects again. */
import {
  applied,
  type Delta,
  empty,
  type Full,
  fromFull,
  parser,
  type State
} from "../src/http/dashboard/protocol.js"

export type Live =
  | { readonly _tag: "connecting" }
  | { readonly _tag: "live" }
  /** There is a connection, and nothing comes. */
  | { readonly _tag: "silent" }
  | { readonly _tag: "waiting"; readonly why: string; readonly until: number }

export interface Listener {
  readonly onFull: (full: Full, state: State) => void
  readonly onDelta: (delta: Delta, state: State) => void
  readonly onLive: (live: Live) => void
}

const longestWait = 15_000

/** Says why the server does not send, and how long to wait. */
class Refused extends Error {
  constructor(
    message: string,
    readonly millis: number
  ) {
    super(message)
  }
}

const unanswered = new Refused("the server does not answer", 0)

export class Feed {
  private state: State = empty
  private live: Live = { _tag: "connecting" }
  private interval = 500
  /** When something came, on the clock of the page. */
  private heardAt = 0
  private failures = 0
  private retry = 1000
  private running = new AbortController()
  private wake: (() => void) | undefined

  constructor(
    private readonly url: string,
    private readonly listener: Listener
  ) {}

  /** The time of the server. Clocks may differ, and that of a laptop may jump. */
  get now(): number {
    return this.state.at + (this.heardAt === 0 ? 0 : performance.now() - this.heardAt)
  }

  /** How long ago the last reading came, in milliseconds. */
  get age(): number {
    return performance.now() - this.heardAt
  }

  get hasData(): boolean {
    return this.heardAt !== 0
  }

  async run(): Promise<never> {
    addEventListener("online", () => this.hurry())
    document.addEventListener("visibilitychange", () => this.hurry())
    setInterval(() => this.watch(), 250)
    for (;;) {
      try {
        await this.read()
      } catch (error) {
        const { message, millis } = error instanceof Refused ? error : unanswered
        const wait = Math.min(longestWait, this.retry * 2 ** this.failures) * (0.75 + Math.random() / 2)
        this.failures = Math.min(this.failures + 1, 6)
        await this.pause(message, Math.max(millis, wait))
      }
    }
  }

  /** Tries at once what would be tried later. */
  private hurry(): void {
    if (document.visibilityState === "visible") this.wake?.()
  }

  private pause(why: string, millis: number): Promise<void> {
    this.become({ _tag: "waiting", why, until: performance.now() + millis })
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, millis)
      this.wake = () => {
        clearTimeout(timer)
        resolve()
      }
    })
  }

  private become(live: Live): void {
    if (live._tag === this.live._tag && live._tag !== "waiting") return
    this.live = live
    this.listener.onLive(live)
  }

  /** A connection that is silent for too long is given up, even if the browser takes it for alive. */
  private watch(): void {
    if (this.live._tag !== "live" && this.live._tag !== "silent") return
    const silence = this.age
    if (silence > Math.max(10_000, 8 * this.interval)) this.running.abort()
    else if (silence > Math.max(2500, 4 * this.interval)) this.become({ _tag: "silent" })
  }

  /** Reads until the connection ends. An end after at least one event is no failure. */
  private async read(): Promise<void> {
    const { heardAt } = this
    this.running = new AbortController()
    const giveUp = setTimeout(() => this.running.abort(), 10_000)
    try {
      const response = await fetch(this.url, {
        headers: { accept: "text/event-stream" },
        cache: "no-store",
        signal: this.running.signal
      })
      if (!response.ok || response.body === null) throw await refusal(response)
      const read = parser(
        (event, data) => this.take(event, data),
        (millis) => (this.retry = millis)
      )
      const reader = response.body.pipeThrough(new TextDecoderStream()).getReader()
      for (;;) {
        const { done, value } = await reader.read()
        if (done && this.heardAt === heardAt) throw new Refused("the server sends no policies", 0)
        if (done) return
        clearTimeout(giveUp)
        read(value)
      }
    } finally {
      clearTimeout(giveUp)
      this.running.abort()
    }
  }

  private take(event: string, data: string): void {
    this.heardAt = performance.now()
    this.failures = 0
    if (event === "full") {
      const full = JSON.parse(data) as Full
      this.interval = full.interval
      this.state = fromFull(full)
      this.listener.onFull(full, this.state)
    } else if (event === "delta") {
      const delta = JSON.parse(data) as Delta
      this.state = applied(this.state, delta)
      this.listener.onDelta(delta, this.state)
    } else return
    this.become({ _tag: "live" })
  }
}

const refusal = async (response: Response): Promise<Refused> => {
  const { status } = response
  await response.body?.cancel()
  if (status === 401 || status === 403) return new Refused("you may not read the policies", longestWait)
  const retryAfter = Number(response.headers.get("retry-after") ?? Number.NaN)
  const millis = Number.isFinite(retryAfter) ? retryAfter * 1000 : 0
  if (status === 503) return new Refused("the server has no room for another viewer, or is stopping", millis)
  return new Refused(`the server answers with status ${status}`, millis)
}
