// `npm run examples:smoke`: starts each example program with the commands of its README, on free ports, repeats the requests of the
// README, and stops it. Also runs the demo. The last line counts the checks.
import { Command, type CommandExecutor, FileSystem, HttpClient } from "@effect/platform"
import { NodeContext, NodeHttpClient, NodeRuntime } from "@effect/platform-node"
import { Cause, Console, Data, Deferred, Effect, Exit, Layer, Ref, Stream } from "effect"
import * as path from "node:path"
import * as Redis from "../bench/fleet/server.js"
import { type Answer, get, put, until } from "../examples/support/testing.js"

const root = path.resolve(import.meta.dirname, "..")

// ------------------------------------------------------------------------------------------------------------ counting

let passed = 0
let failed = 0

const report = (name: string, problem: string | undefined): Effect.Effect<void> => {
  if (problem === undefined) passed++
  else failed++
  return Console.log(problem === undefined ? `ok    ${name}` : `FAIL  ${name}: ${problem}`)
}

const check = (name: string, holds: boolean, found: unknown): Effect.Effect<void> =>
  report(name, holds ? undefined : `found ${typeof found === "string" ? found : JSON.stringify(found)}`)

const checkAnswer = (name: string, { body, status }: Answer, expected: Pick<Answer, "body" | "status">) =>
  check(name, isSame({ status, body }, expected), { status, body })

const isSame = (a: unknown, b: unknown): boolean => JSON.stringify(a) === JSON.stringify(b)

/** The checks of one example. If they cannot continue, that counts as a failure, and the other examples continue. */
const suite = <E, R>(name: string, checks: Effect.Effect<void, E, R>) =>
  checks.pipe(
    Effect.scoped,
    Effect.catchAllCause((cause) => report(name, Cause.pretty(cause)))
  )

// ------------------------------------------------------------------------------------------------------------ programs

/** The reason why a program cannot be checked. */
class Problem extends Data.TaggedError("Problem")<{ readonly message: string }> {}

interface Program {
  readonly url: string
  /** The output so far. */
  readonly output: Effect.Effect<string>
}

/** Waits a moment for a value, such as a line in a log, and returns the current value otherwise. */
const eventually = <A, E, R>(self: Effect.Effect<A, E, R>, wanted: (value: A) => boolean) =>
  Effect.orElse(until(self, wanted), () => self)

/** Checks a value that may take a moment to hold. */
const checkEventually = <A, E, R>(name: string, self: Effect.Effect<A, E, R>, holds: (value: A) => boolean) =>
  Effect.flatMap(eventually(self, holds), (value) => check(name, holds(value), value))

/** What is answered, which need not be JSON. */
const textOf = (url: string) => Effect.flatMap(HttpClient.get(url), (response) => response.text)

/** A command that the README documents: readers run no other. */
const documented = (readme: string, command: string) =>
  Effect.gen(function* () {
    const text = yield* (yield* FileSystem.FileSystem).readFileString(path.join(root, readme))
    if (!text.includes(command)) return yield* new Problem({ message: `${readme} does not say: ${command}` })
    const [program = "", ...args] = command.split(" ")
    return Command.make(program, ...args).pipe(Command.workingDirectory(root))
  })

/** Starts a service and waits until it says its URL. Closing the scope stops it. */
const start = (
  readme: string,
  command: string,
  env: Readonly<Record<string, string>> = {},
  said = /Listening on (http:\/\/[\d.:]+\d)["\n]/
) =>
  Effect.gen(function* () {
    const service = yield* documented(readme, command)
    const running = yield* service.pipe(Command.env({ ...env, PORT: "0" }), Command.start)
    const output = yield* Ref.make("")
    const listening = yield* Deferred.make<string, Problem>()
    yield* Stream.merge(running.stdout, running.stderr).pipe(
      Stream.decodeText(),
      Stream.runForEach((text) =>
        Effect.gen(function* () {
          const written = yield* Ref.updateAndGet(output, (before) => before + text)
          const [, url] = said.exec(written) ?? []
          if (url !== undefined) yield* Deferred.succeed(listening, url)
        })
      ),
      Effect.zipRight(
        Effect.flatMap(Ref.get(output), (text) => Deferred.fail(listening, new Problem({ message: text })))
      ),
      Effect.forkScoped
    )
    const url = yield* Deferred.await(listening).pipe(
      Effect.timeoutFail({
        duration: "2 minutes",
        onTimeout: () => new Problem({ message: `not listening: ${command}` })
      })
    )
    return { url, output: Ref.get(output) } satisfies Program
  })

// ------------------------------------------------------------------------------------------------------------ examples

const microservices = Effect.gen(function* () {
  const readme = "examples/microservices/README.md"
  const startA = (flags: string) =>
    start(readme, `npx tsx examples/microservices/service-a.ts${flags}`, { SERVICE_B: b.url })
  const b = yield* start(readme, "npx tsx examples/microservices/service-b.ts")
  const [all, none, timeout] = yield* Effect.all(
    [startA(""), startA(" --policy none"), startA(" --policy timeout")],
    { concurrency: "unbounded" }
  )
  const switchB = (behaviour: string) => put(`${b.url}/behaviour`, behaviour)
  const answered = {
    status: 200,
    body: { messageA: "hello from service A", messageB: "hello from service B" }
  }
  const fellBack = {
    status: 200,
    body: { messageA: "hello from service A", messageB: "error accessing service B" }
  }

  yield* checkAnswer("microservices: B answers", yield* get(b.url), {
    status: 200,
    body: { message: "hello from service B" }
  })
  yield* checkAnswer("microservices: A answers with what B says", yield* get(all.url), answered)

  yield* switchB("hanging")
  yield* checkAnswer("microservices: a timeout is a 504", yield* get(timeout.url), {
    status: 504,
    body: { error: "service B took too long to answer" }
  })

  yield* checkAnswer("microservices: B is switched", yield* switchB("down"), {
    status: 200,
    body: { behaviour: "down" }
  })
  yield* checkAnswer("microservices: without policies a failure of B is a 502", yield* get(none.url), {
    status: 502,
    body: { error: "service B answered with status 503" }
  })
  const answers = yield* Effect.replicateEffect(get(all.url), 3, { concurrency: "unbounded" })
  for (const answer of answers) {
    yield* checkAnswer("microservices: with all policies a failure of B is the fallback", answer, fellBack)
  }
  yield* switchB("healthy")
  const recovered = yield* until(get(all.url), ({ body }) => isSame(body, answered.body))
  yield* checkAnswer("microservices: A recovers with B", recovered, answered)
  for (const change of ["opened for 1 s", "is half-open", "closed"]) {
    const line = `circuit breaker \\"service-b\\" ${change}: `
    yield* checkEventually(`microservices: the log says that the circuit ${change}`, all.output, (log) =>
      log.includes(`message="${line}`)
    )
  }
})

const offers = Effect.gen(function* () {
  const readme = "examples/offers/README.md"
  const partner = yield* start(readme, "npx tsx examples/offers/partner-service.ts")
  const service = yield* start(readme, "npx tsx examples/offers/offer-service.ts", {
    PARTNER: partner.url,
    OPEN_FOR: "8 seconds"
  })
  const offer = Effect.map(get(`${service.url}/offer`), ({ body }) => String(body))
  const circuit = get(`${service.url}/offer/circuit`)
  const inState = (current_state: string, fail_counter: number) => ({
    status: 200,
    body: { current_state, fail_counter }
  })

  const hot = yield* offer
  yield* check("offers: a hot offer from the partner", /^Hot offer/.test(hot), hot)
  yield* put(`${partner.url}/behaviour`, "500")
  const cold = yield* offer
  yield* check("offers: a cold offer when the partner fails", /^Cold offer/.test(cold), cold)
  yield* checkAnswer("offers: one failure", yield* circuit, inState("closed", 1))
  yield* Effect.replicateEffect(offer, 3)
  yield* checkAnswer("offers: three failures open the circuit", yield* circuit, inState("open", 3))
  const calls = yield* eventually(
    Effect.map(partner.output, (log) => log.split("/offer/hot").length - 1),
    (count) => count >= 4
  )
  yield* check("offers: the partner is not called while the circuit is open", calls === 4, calls)
  yield* put(`${partner.url}/behaviour`, "200")
  const halfOpen = inState("half-open", 3)
  yield* checkAnswer(
    "offers: half-open after a while",
    yield* until(circuit, ({ body }) => isSame(body, halfOpen.body)),
    halfOpen
  )
  const again = yield* offer
  yield* check("offers: hot again", /^Hot offer/.test(again), again)
  yield* checkAnswer("offers: closed again", yield* circuit, inState("closed", 0))
})

const sharedOffers = Effect.gen(function* () {
  if (Redis.version() === undefined)
    return yield* Console.log("offers with Redis: not run, there is no redis-server")
  const readme = "examples/offers/README.md"
  const redis = yield* Redis.start()
  const partner = yield* start(readme, "npx tsx examples/offers/partner-service.ts")
  const env = {
    PARTNER: partner.url,
    REDIS_URL: `redis://127.0.0.1:${redis.port}`,
    OPEN_FOR: "2 seconds"
  }
  const service = start(readme, "npx tsx examples/offers/offer-service.ts --store redis", env)
  const [first, second] = yield* Effect.all([service, service], { concurrency: "unbounded" })
  const offerOf = ({ url }: Program) => Effect.map(get(`${url}/offer`), ({ body }) => String(body))
  const stateOf = ({ url }: Program) =>
    Effect.map(get(`${url}/offer/circuit`), ({ body }) => (body as { current_state: string }).current_state)

  yield* put(`${partner.url}/behaviour`, "500")
  yield* Effect.all([offerOf(first), offerOf(second), offerOf(first)])
  yield* checkEventually(
    "offers with Redis: three failures open the circuit of both services",
    Effect.all([first.output, second.output]),
    (logs) => logs.every((log) => log.includes("from closed to open"))
  )
  yield* put(`${partner.url}/behaviour`, "200")
  const isHot = (offer: string) => offer.startsWith("Hot")
  yield* checkEventually("offers with Redis: hot again", offerOf(second), isHot)
  yield* checkEventually(
    "offers with Redis: the probe of one closes the circuit of both",
    stateOf(first),
    (state) => state === "closed"
  )

  yield* redis.kill
  yield* checkEventually("offers with Redis: hot without Redis", offerOf(first), isHot)
  yield* checkEventually("offers with Redis: the log says that Redis is gone", first.output, (log) =>
    log.includes("the shared store does not answer")
  )
})

const gateway = Effect.gen(function* () {
  const { output, url } = yield* start("examples/gateway/README.md", "npm run gateway", {
    OPEN_FOR: "2 seconds"
  })
  const introduction = yield* eventually(output, (text) => text.includes("Ctrl-C"))
  const [, catalog = ""] = /^catalog +(\S+)/m.exec(introduction) ?? []
  const books = get(`${url}/catalog/books`)
  const order = get(`${url}/orders/1`)
  const isServed = ({ status }: Answer) => status === 200

  yield* checkAnswer("gateway: passes a request on", yield* books, {
    status: 200,
    body: { upstream: "catalog", method: "GET", url: "/books" }
  })
  const crowd = yield* Effect.replicateEffect(order, 20, { concurrency: "unbounded" })
  const rejected = crowd.find(({ status }) => status === 429)
  yield* check("gateway: limits a busy client", rejected?.headers["retry-after"] === "1", rejected)
  yield* put(`${catalog}/behaviour`, "slow")
  yield* checkEventually(
    "gateway: hedges requests to a slow upstream",
    Effect.map(Effect.zipRight(books, get(`${url}/resilience/retries`)), ({ body }) => JSON.stringify(body)),
    (budget) => /"hedges":[1-9]/.test(budget)
  )
  yield* put(`${catalog}/behaviour`, "failing")
  yield* checkEventually("gateway: leaves a failing upstream alone", books, ({ status }) => status === 503)
  yield* checkEventually("gateway: serves the other one", order, isServed)
  const ready = yield* get(`${url}/ready`)
  yield* check(
    "gateway: is degraded and ready",
    /"status":"degraded"/.test(JSON.stringify(ready.body)),
    ready
  )
  const metrics = yield* textOf(`${url}/metrics`)
  const rejections = /^resilience_rejections_total\{kind="circuit-breaker".*\} [1-9]/m
  yield* check("gateway: counts rejections for Prometheus", rejections.test(metrics), metrics)
  const page = yield* textOf(`${url}/dashboard`)
  yield* check("gateway: has a dashboard", page.includes("<!doctype html>"), page)
  yield* put(`${catalog}/behaviour`, "fine")
  yield* checkEventually("gateway: serves it again", books, isServed)
})

const promises = Effect.gen(function* () {
  const readme = "examples/promises/README.md"
  const partner = yield* start(readme, "npx tsx examples/promises/upstream.ts")
  const service = yield* start(readme, "npx tsx examples/promises/start.ts", { PARTNER_URL: partner.url })
  const offer = get(`${service.url}/offers/42`)
  const circuit = Effect.map(get(`${service.url}/circuit`), ({ body }) => body)

  yield* checkAnswer("promises: passes the offer of the partner on", yield* offer, {
    status: 200,
    body: { id: "42", price: 1 }
  })
  yield* put(`${partner.url}/behaviour`, "hanging")
  const late = yield* offer
  yield* check("promises: a timeout is a 504", late.status === 504, late)
  yield* put(`${partner.url}/behaviour`, "failing")
  yield* checkAnswer("promises: a failure of the partner is a 502", yield* offer, {
    status: 502,
    body: { error: "the partner answered 500" }
  })
  const rejected = yield* offer
  const { "retry-after": retryAfter = "" } = rejected.headers
  yield* check("promises: an open circuit is a 503", rejected.status === 503, rejected)
  yield* check("promises: the 503 says when to come back", /^[1-9]\d*$/.test(retryAfter), rejected)
  const state = yield* circuit
  yield* check("promises: shows the circuit", isSame(state, { circuit: "open" }), state)
})

const openTelemetry = Effect.gen(function* () {
  const { output, url } = yield* start(
    "examples/opentelemetry/README.md",
    "npx tsx examples/opentelemetry/start.ts"
  )
  yield* checkEventually("opentelemetry: a retry is an event of a span", output, (text) =>
    text.includes("resilience.retry ")
  )
  yield* checkEventually("opentelemetry: counts retries", textOf(url), (metrics) =>
    /attempt_type="retry"[^}]*\} [1-9]/.test(metrics)
  )
})

const demo = Effect.gen(function* () {
  const running = yield* Effect.flatMap(
    documented("examples/microservices/README.md", "npm run demo"),
    Command.start
  )
  const [output, exitCode] = yield* Effect.all(
    [Stream.mkString(Stream.decodeText(running.stdout)), running.exitCode],
    { concurrency: "unbounded" }
  )
  yield* check("demo: exits with 0", exitCode === 0, output)
  for (const change of ["closed → open", "open → half-open", "half-open → closed"]) {
    yield* check(`demo: the circuit goes ${change}`, output.includes(change), output)
  }
  yield* check("demo: ends with a summary", output.includes("The same callers, the same trouble"), output)
  yield* check("demo: says what to do next", output.includes("npm run demo -- --watch"), output)
  yield* check("demo: no colours without a terminal", !output.includes("\u001b["), output)
})

const watchedDemo = Effect.gen(function* () {
  const { url } = yield* start(
    "examples/microservices/README.md",
    "npm run demo -- --watch",
    {},
    /(http:\/\/[\d.:]+\d)\/dashboard\n/
  )
  const page = yield* textOf(`${url}/dashboard`)
  yield* check("watched demo: has a dashboard", page.includes("<!doctype html>"), page)
  yield* checkEventually("watched demo: has metrics", textOf(`${url}/metrics`), (metrics) =>
    metrics.includes("resilience_calls_total")
  )
})

// ----------------------------------------------------------------------------------------------------------------- run

const all: Effect.Effect<
  void,
  never,
  CommandExecutor.CommandExecutor | FileSystem.FileSystem | HttpClient.HttpClient
> = Effect.all(
  [
    suite("microservices", microservices),
    suite("offers", offers),
    suite("offers with Redis", sharedOffers),
    suite("gateway", gateway),
    // One after the other: programs that start at once start slowly.
    Effect.zipRight(suite("promises", promises), suite("watched demo", watchedDemo)),
    suite("opentelemetry", openTelemetry),
    suite("demo", demo)
  ],
  {
    concurrency: "unbounded",
    discard: true
  }
)

all.pipe(
  Effect.timeoutOption("5 minutes"),
  Effect.tap((done) =>
    done._tag === "Some" ? Effect.void : report("everything", "not done after 5 minutes")
  ),
  Effect.zipRight(Effect.suspend(() => Console.log(`${passed} passed, ${failed} failed`))),
  Effect.onExit((exit) =>
    Effect.sync(() => (process.exitCode = Exit.isSuccess(exit) && failed === 0 ? 0 : 1))
  ),
  Effect.provide(Layer.merge(NodeContext.layer, NodeHttpClient.layerUndici)),
  NodeRuntime.runMain
)
