// That nothing is left over: after many calls of each kind no fiber runs, no connection is held, and no more of them are open
// than the pool may have. A connection that were held for good would be missed by the calls that come after.
import { HttpClient } from "@effect/platform"
import { assert, describe, it } from "@effect/vitest"
import { Cause, Effect, Exit, Schedule } from "effect"
import { HttpResilience } from "effect-resilience/http"
import { pools, poolSize, type PooledClient } from "../support/clients.js"
import { settled, watchFibers } from "../support/leaks.js"
import { until } from "../../support/until.js"
import * as Servers from "../support/servers.js"
import { runs } from "../../support/runs.js"

/** Most over undici, which is the quickest of the clients; the others run through the same code here. */
const callsOver = ({ name }: PooledClient, { common }: Scenario): number =>
  name !== "a pool of undici" ? runs(20, 40) : common === true ? runs(30, 1000) : runs(20, 400)

/** With two hedges each there is still a connection for everyone. */
const atATime = 10

/** Nothing but what HTTP itself says, and no waiting. */
const atOnce = { times: 3, schedule: Schedule.forever } as const

const small = { body: "x".repeat(500) }
const fine = Servers.status(200, small)
const failing = Servers.status(503, small)

type Client = HttpClient.HttpClient.With<unknown>

interface Scenario {
  readonly name: string
  readonly answers: () => Servers.Answer
  readonly protect: (client: Client) => Client
  /** One call; each is given a path of its own, and the body is read. */
  readonly call?: (call: Effect.Effect<string, unknown>, index: number) => Effect.Effect<unknown, unknown>
  /** What becomes of a call, where that does not depend on the time. */
  readonly outcome?: (exit: Exit.Exit<unknown, unknown>) => boolean
  /** One of the ways that calls go most often. */
  readonly common?: boolean
  /** Requests are aborted, after each of which undici opens a connection that nobody has asked for. */
  readonly aborts?: boolean
  /** How many requests the server sees for each call. */
  readonly requests?: number
}

/** How often each exit occurs. */
const tally = (exits: ReadonlyArray<Exit.Exit<unknown, unknown>>): Record<string, number> =>
  exits.reduce<Record<string, number>>((counts, exit) => {
    const kind = Exit.match(exit, { onSuccess: String, onFailure: (cause) => String(Cause.squash(cause)) })
    return { ...counts, [kind]: (counts[kind] ?? 0) + 1 }
  }, {})

const isFine = (exit: Exit.Exit<unknown, unknown>) =>
  exit._tag === "Success" && exit.value === `200 ${small.body}`
const isFailed = (exit: Exit.Exit<unknown, unknown>) => exit._tag === "Failure"

const timeout = HttpResilience.timeout("5 millis")

const scenarios: ReadonlyArray<Scenario> = [
  {
    name: "that succeed",
    common: true,
    answers: () => fine,
    protect: (client) => client.pipe(HttpResilience.standard()),
    outcome: isFine,
    requests: 1
  },
  {
    name: "that are retried after a 503 with a body",
    common: true,
    answers: () => Servers.eachPath(failing, fine),
    protect: (client) => client.pipe(HttpResilience.retry(atOnce)),
    outcome: isFine,
    requests: 2
  },
  {
    name: "that are retried after a reset",
    common: true,
    answers: () => Servers.eachPath(Servers.reset, fine),
    protect: (client) => client.pipe(HttpResilience.retry(atOnce)),
    outcome: isFine,
    requests: 2
  },
  {
    name: "that are retried after a big body",
    aborts: true,
    answers: () => Servers.eachPath(Servers.bigBody(503, 200_000), fine),
    protect: (client) => client.pipe(HttpResilience.retry(atOnce)),
    outcome: isFine,
    requests: 2
  },
  {
    name: "whose attempts time out",
    common: true,
    aborts: true,
    answers: () => Servers.hang,
    protect: (client) => client.pipe(timeout, HttpResilience.retry({ ...atOnce, times: 1 })),
    outcome: isFailed
  },
  {
    name: "whose answers come when they time out",
    aborts: true,
    answers: () => Servers.after(3, fine),
    protect: (client) => client.pipe(HttpResilience.timeout("4 millis"))
  },
  {
    name: "whose bodies time out",
    aborts: true,
    answers: () => Servers.slowBody(200),
    protect: (client) => client.pipe(HttpResilience.timeout({ limit: "5 millis", body: true })),
    outcome: isFailed
  },
  {
    name: "with a hedge that wins",
    common: true,
    aborts: true,
    answers: () => Servers.eachPath(Servers.hang, fine),
    protect: (client) => client.pipe(HttpResilience.hedge({ delay: "1 millis" })),
    outcome: isFine
  },
  {
    name: "with hedges of which all answer",
    aborts: true,
    answers: () => fine,
    protect: (client) => client.pipe(HttpResilience.hedge({ delay: 0, maxHedges: 2 })),
    outcome: isFine
  },
  {
    name: "that are interrupted at any time",
    common: true,
    aborts: true,
    answers: () => Servers.eachPath(failing, Servers.slowBody(503), Servers.hang),
    protect: (client) =>
      client.pipe(timeout, HttpResilience.hedge({ delay: "2 millis" }), HttpResilience.retry(atOnce)),
    call: (call, index) => Effect.timeoutOption(call, (index % 40) / 4)
  },
  {
    name: "in a scope, that are retried and hedged",
    aborts: true,
    // Mostly the late answer loses to a hedge. No limit has to end a call.
    answers: () => Servers.eachPath(failing, Servers.after(100, fine), fine),
    protect: (client) =>
      client.pipe(
        HttpResilience.timeout("1 minute"),
        HttpResilience.hedge({ delay: "1 millis" }),
        HttpResilience.retry(atOnce),
        (inner) => HttpClient.transformResponse(HttpClient.withScope(inner), (response) => response)
      ) as Client,
    call: Effect.scoped,
    outcome: isFine
  }
]

const run = (testClient: PooledClient, scenario: Scenario) =>
  Effect.gen(function* () {
    const { aborts, answers, call = (self) => self, outcome, protect, requests } = scenario
    const calls = callsOver(testClient, scenario)
    const server = yield* Servers.server(answers())
    const client = protect(yield* HttpClient.HttpClient)
    const { alive, watch } = yield* watchFibers
    const one = (index: number) =>
      Effect.exit(
        call(
          Effect.flatMap(client.get(`${server.url}/${index}`), (response) =>
            Effect.map(response.text, (text) => `${response.status} ${text}`)
          ),
          index
        )
      )
    const exits = yield* watch(
      Effect.forEach(
        Array.from({ length: calls }, (_, index) => index),
        one,
        { concurrency: atATime }
      )
    )
    const others = exits.filter((exit) => outcome?.(exit) === false)
    assert.deepStrictEqual(tally(others), {})
    if (requests !== undefined) assert.strictEqual(server.seen.length, requests * calls)
    yield* until(alive, (fibers) => fibers.length === 0)
    if (testClient.bounded) {
      yield* until(server.sockets, ({ busy, open }) => busy === 0 && open <= poolSize)
    } else {
      const { open } = yield* settled(server)
      if (aborts !== true) assert.isAtMost(open, 2 * atATime)
    }
  }).pipe(Effect.scoped, Effect.provide(testClient.layer))

describe.each(pools)("a client over $name", (testClient) => {
  it.live.each(scenarios)("leaves nothing behind: calls $name", (scenario) => run(testClient, scenario))
})
