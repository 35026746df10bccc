/** How a server stops: it rejects new requests, waits for running ones, and then interrupts them. */
import * as HttpApp from "@effect/platform/HttpApp"
import * as HttpServerRequest from "@effect/platform/HttpServerRequest"
import * as HttpServerResponse from "@effect/platform/HttpServerResponse"
import type * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import type * as Fiber from "effect/Fiber"
import * as Predicate from "effect/Predicate"
import { notifyShared } from "../../internal/listeners.js"
import { clockOf, monotonicMillis } from "../../internal/time.js"
import * as Wait from "../../internal/wait.js"
import { withoutStack } from "../../policy/define.js"
import type * as HttpDrain from "./HttpDrain.js"
import type { Answer } from "./answer.js"
import { ServerDraining } from "../problem/errors.js"
import { type Connection, connectionOf, holdConnection } from "./incoming.js"
import { cutOff, endWithConnection, isSending } from "./sending.js"

type Request = HttpServerRequest.HttpServerRequest
type Response = HttpServerResponse.HttpServerResponse

export interface Config extends Pick<HttpDrain.Options, "exempt" | "server" | "onDraining" | "onDrained"> {
  readonly name: string
  readonly delay: number
  readonly within: number
  readonly interruptWithin: number
  readonly answer: Answer
}

interface Running {
  readonly request: Request
  readonly fiber: Fiber.RuntimeFiber<unknown, unknown>
  interrupted: boolean
}

export class Drain {
  private phase: HttpDrain.State = "serving"
  /** When draining began, on the monotonic clock. */
  private startedAt = 0
  private rejected = 0
  private ended = 0
  private interrupted = 0
  private readonly running = new Set<Running>()
  /** The last request of each connection. */
  private readonly latest = new WeakMap<Connection, Running>()
  private readonly waiting = new Set<() => void>()
  private server: HttpDrain.ClosableServer | undefined

  constructor(private readonly config: Config) {
    this.server = config.server
  }

  readonly state: Effect.Effect<HttpDrain.State> = Effect.sync(() => this.phase)

  readonly snapshot: Effect.Effect<HttpDrain.Snapshot> = Effect.sync(() => ({
    name: this.config.name,
    state: this.phase,
    running: this.running.size,
    ended: this.ended,
    interrupted: this.interrupted,
    rejected: this.rejected
  }))

  readonly around = <E, R>(app: Effect.Effect<Response, E, R>): Effect.Effect<Response, E, R | Request> =>
    Effect.withFiberRuntime((fiber) =>
      Effect.flatMap(HttpServerRequest.HttpServerRequest, (request) => this.admit(app, request, fiber))
    )

  private admit<E, R>(
    app: Effect.Effect<Response, E, R>,
    request: Request,
    fiber: Running["fiber"]
  ): Effect.Effect<Response, E, R | Request> {
    this.server ??= serverOf(request)
    const call: Running = { request, fiber, interrupted: false }
    if (this.config.exempt?.(request) === true) return this.run(call, app)
    if (this.isClosed(clockOf(fiber))) {
      this.rejected++
      return this.reject
    }
    this.running.add(call)
    const connection = connectionOf(request)
    if (connection !== undefined) this.latest.set(connection, call)
    return this.run(call, app)
  }

  private readonly reject = Effect.suspend(() => {
    const { answer, name } = this.config
    return answer(withoutStack(() => new ServerDraining({ name, retryAfter: undefined })))
  })

  private isClosed(clock: Clock.Clock): boolean {
    return this.phase !== "serving" && monotonicMillis(clock) >= this.startedAt + this.config.delay
  }

  private run<E, R>(call: Running, app: Effect.Effect<Response, E, R>): Effect.Effect<Response, E, R> {
    const last = (response: Response): Response =>
      this.phase === "serving" || this.isFollowed(call)
        ? response
        : HttpServerResponse.setHeader(response, "connection", "close")
    const sent = HttpApp.appendPreResponseHandler((request, response) =>
      call.interrupted && response.status === 503 && response.body._tag === "Empty"
        ? Effect.provideService(this.reject, HttpServerRequest.HttpServerRequest, request)
        : Effect.sync(() => last(response))
    )
    endWithConnection(call.request)
    return Effect.ensuring(
      holdConnection(call.request, Effect.zipRight(sent, Effect.map(app, last))),
      Effect.sync(() => this.leave(call))
    )
  }

  /** Whether a later request is still to be answered on the connection. */
  private isFollowed(call: Running): boolean {
    const connection = connectionOf(call.request)
    const latest = connection && this.latest.get(connection)
    return latest !== undefined && latest !== call && this.running.has(latest)
  }

  private leave(call: Running): void {
    if (!this.running.delete(call)) return
    if (this.phase !== "serving") {
      if (call.interrupted) this.interrupted++
      else this.ended++
    }
    if (this.running.size > 0) return
    for (const wake of this.waiting) wake()
    this.waiting.clear()
  }

  /** Each caller takes the same steps, so an interruption of one stops no drain. */
  readonly drain: Effect.Effect<HttpDrain.Drained> = Effect.withFiberRuntime((fiber) => {
    const { delay, interruptWithin, name, onDraining, onDrained, within } = this.config
    const clock = clockOf(fiber)
    const until = (instant: number) => Math.max(0, instant - monotonicMillis(clock))
    const begin = Effect.suspend(() => {
      if (this.phase !== "serving") return Effect.void
      this.phase = "draining"
      this.startedAt = monotonicMillis(clock)
      return notifyShared(name, onDraining, { name, running: this.running.size })
    })
    const closed = Effect.suspend(() => Effect.sleep(until(this.startedAt + delay)))
    const idle = Effect.sync(() => this.server?.closeIdleConnections())
    const allLeft = Effect.suspend(() => this.allLeftWithin(until(this.startedAt + delay + within)))
    const stop = Effect.suspend(() => {
      if (this.running.size === 0) return Effect.void
      for (const call of this.running) this.interrupt(call)
      return this.allLeftWithin(interruptWithin)
    })
    const end = Effect.suspend(() => {
      const abandoned = this.running.size
      for (const { request } of this.running) cutOff(request)
      const { ended, interrupted, rejected } = this
      const drained: HttpDrain.Drained = { name, ended, interrupted, abandoned, rejected }
      if (this.phase === "drained") return Effect.succeed(drained)
      this.phase = "drained"
      return Effect.as(notifyShared(name, onDrained, drained), drained)
    })
    return Effect.suspend(() => (this.phase === "drained" ? Effect.void : begin)).pipe(
      Effect.zipRight(closed),
      Effect.zipRight(idle),
      Effect.zipRight(allLeft),
      Effect.zipRight(stop),
      Effect.zipRight(idle),
      Effect.zipRight(end)
    )
  })

  /** A response that has begun cannot be replaced, and ending it would pass off a part as the whole. */
  private interrupt(call: Running): void {
    if (call.interrupted) return
    call.interrupted = true
    if (isSending(call.request)) cutOff(call.request)
    call.fiber.unsafeInterruptAsFork(call.fiber.id())
  }

  private allLeftWithin(millis: number): Effect.Effect<void> {
    if (this.running.size === 0 || millis === 0) return Effect.void
    const left = Wait.forOthers<void>((resume) => {
      const wake = () => resume(Effect.void)
      this.waiting.add(wake)
      return Effect.sync(() => this.waiting.delete(wake))
    })
    // In fibers of their own: the fiber that closes the scope of a program cannot be interrupted.
    return Effect.raceFirst(Effect.interruptible(left), Effect.interruptible(Effect.sleep(millis)))
  }

  /** Closes what is left of the connections. */
  readonly closeConnections: Effect.Effect<void> = Effect.sync(() => {
    this.server?.closeIdleConnections()
    this.server?.closeAllConnections?.()
  })
}

const serverOf = (request: Request): HttpDrain.ClosableServer | undefined => {
  const server = connectionOf(request)?.server
  return isClosable(server) ? server : undefined
}

const isClosable = (u: unknown): u is HttpDrain.ClosableServer =>
  Predicate.hasProperty(u, "closeIdleConnections") && Predicate.isFunction(u.closeIdleConnections)
