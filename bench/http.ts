/**
 * `tsx bench/launch.ts http.ts`: what the policies for HTTP cost a request, in CPU time of the process that has them: a client
 * over a stub and over undici, and a server of Node.js. The other end of a connection runs in a process of its own.
 *
 *     --rounds 31     how often each contender is measured
 *     --only server   only groups whose name contains this
 *     --run NAME      one contender alone, in a loop, for a profiler
 *     --check         fails where a target is missed
 */
import { type ChildProcess, fork } from "node:child_process"
import * as Http from "node:http"
import type { AddressInfo } from "node:net"
import {
  type HttpApp,
  HttpClient,
  HttpClientResponse,
  HttpRouter,
  HttpServer,
  HttpServerResponse
} from "@effect/platform"
import { NodeHttpClient, NodeHttpServer } from "@effect/platform-node"
import { Context, Effect, Layer, ManagedRuntime, Scope } from "effect"
import { RateLimiter } from "effect-resilience"
import { HttpProtection, HttpResilience } from "effect-resilience/http"
import { repeated } from "./loop.js"
import { cpuNanos, shuffled } from "./measure.js"
import { median } from "./median.js"

interface Contender {
  readonly name: string
  /** Makes so many requests, one after the other. */
  readonly run: (times: number) => Promise<unknown>
  /** The most that it may cost: so many times the first of its group, or so many nanoseconds more. */
  readonly target?: { readonly times: number } | { readonly more: number }
}

interface Group {
  readonly name: string
  /** How many requests there are in a sample. */
  readonly times: number
  readonly contenders: ReadonlyArray<Contender>
}

const argument = (name: string): string | undefined => {
  const index = process.argv.indexOf(`--${name}`)
  return index === -1 ? undefined : process.argv[index + 1]
}

// ---------------------------------------------------------------------------------------------------- the other process

type Message =
  { readonly port: number } | { readonly send: number; readonly to: number } | { readonly done: number }

const reply = (message: Message): void => void process.send?.(message)

/** Answers requests, and sends as many as it is told to. */
const otherEnd = (): void => {
  const server = Http.createServer((_, response) => response.end("an offer"))
  server.listen(0, "127.0.0.1", () => reply({ port: (server.address() as AddressInfo).port }))
  const agent = new Http.Agent({ keepAlive: true, maxSockets: 1 })
  process.on("disconnect", () => process.exit())
  process.on("message", (message: Message) => {
    if (!("send" in message)) return
    let left = message.send
    const next = (): void => {
      if (left-- === 0) return reply({ done: message.send })
      Http.get({ agent, host: "127.0.0.1", port: message.to, path: "/" }, (response) => {
        response.resume()
        response.on("end", next)
      })
    }
    next()
  })
}

const received = <A extends Message>(
  child: ChildProcess,
  is: (message: Message) => message is A
): Promise<A> =>
  new Promise((resolve) => {
    const listen = (message: Message) => {
      if (!is(message)) return
      child.off("message", listen)
      resolve(message)
    }
    child.on("message", listen)
  })

// ----------------------------------------------------------------------------------------------------------- contenders

const clients = (
  client: HttpClient.HttpClient,
  url: string,
  target: NonNullable<Contender["target"]>
): ReadonlyArray<Contender> => {
  const of = (
    name: string,
    use: HttpClient.HttpClient.With<unknown>,
    most?: Contender["target"]
  ): Contender => {
    const call = Effect.flatMap(use.get(url), (response) => response.text)
    return {
      name,
      run: (times) => Effect.runPromise(repeated(call, times, true)),
      ...(most && { target: most })
    }
  }
  return [
    of("plain", client),
    of("standard()", client.pipe(HttpResilience.standard()), target),
    of("timeout", client.pipe(HttpResilience.timeout("10 seconds"))),
    of("retry", client.pipe(HttpResilience.retry())),
    of("circuit breaker", client.pipe(HttpResilience.circuitBreaker()))
  ]
}

const stub = HttpClient.make((request) =>
  Effect.succeed(HttpClientResponse.fromWeb(request, new Response("an offer")))
)

const servers = async (other: ChildProcess, scope: Scope.Scope): Promise<ReadonlyArray<Contender>> => {
  const rate = RateLimiter.tokenBucket({ limit: 10_000_000, per: "1 second" })
  const app = HttpRouter.empty.pipe(HttpRouter.get("/", HttpServerResponse.text("an offer")))
  const of = async (
    name: string,
    use: HttpApp.Default<unknown>,
    target?: Contender["target"]
  ): Promise<Contender> => {
    const server = Http.createServer()
    const layer = NodeHttpServer.layer(() => server, { port: 0, host: "127.0.0.1" })
    const context = await Effect.runPromise(Scope.extend(Layer.build(layer), scope))
    await Effect.runPromise(HttpServer.serveEffect(use).pipe(Effect.provide(context), Scope.extend(scope)))
    const { port } = server.address() as AddressInfo
    return {
      name,
      run: (times) => {
        other.send({ send: times, to: port })
        return received(other, (message): message is { readonly done: number } => "done" in message)
      },
      ...(target && { target })
    }
  }
  const everything = HttpProtection.standard({
    rateLimiter: { rate },
    bulkhead: { permits: 100, maxQueued: 100, maxWait: "250 millis" },
    circuitBreaker: {},
    timeout: "10 seconds"
  })
  return [
    await of("plain", app),
    await of("rate limiter", app.pipe(HttpProtection.rateLimiter({ rate })), { times: 1.2 }),
    await of("rate limiter without fields", app.pipe(HttpProtection.rateLimiter({ rate, fields: "never" }))),
    await of("bulkhead", app.pipe(HttpProtection.bulkhead({ permits: 100 }))),
    await of("circuit breaker", app.pipe(HttpProtection.circuitBreaker())),
    await of("timeout", app.pipe(HttpProtection.timeout("10 seconds"))),
    await of("everything", app.pipe(everything), { times: 1.35 })
  ]
}

// ---------------------------------------------------------------------------------------------------------- measurement

const sample = async ({ run }: Contender, times: number): Promise<number> => {
  const before = cpuNanos()
  await run(times)
  return (cpuNanos() - before) / times
}

interface Row {
  readonly name: string
  readonly nanos: number
  /** The medians over the rounds, in which each stands beside the first of the same round. */
  readonly times: number
  readonly more: number
  readonly target: Contender["target"]
}

const measure = async ({ contenders, times }: Group, rounds: number): Promise<ReadonlyArray<Row>> => {
  for (const contender of contenders) await sample(contender, times * 4)
  const taken: Array<ReadonlyMap<Contender, number>> = []
  for (let round = 0; round < rounds; round++) {
    const nanos = new Map<Contender, number>()
    for (const contender of shuffled(contenders)) nanos.set(contender, await sample(contender, times))
    taken.push(nanos)
  }
  const of = (contender: Contender | undefined, round: ReadonlyMap<Contender, number>): number =>
    (contender && round.get(contender)) ?? NaN
  const [first] = contenders
  return contenders.map((contender) => ({
    name: contender.name,
    nanos: median(taken.map((round) => of(contender, round))),
    times: median(taken.map((round) => of(contender, round) / of(first, round))),
    more: median(taken.map((round) => of(contender, round) - of(first, round))),
    target: contender.target
  }))
}

const micros = (nanos: number): string => (nanos / 1000).toFixed(0)

/** As in the other tables, a target is missed when it is missed by more than two measurements of the same differ by. */
const tolerance = 1.1

const verdict = ({ more, target, times }: Row): { readonly text: string; readonly missed: boolean } => {
  if (target === undefined) return { text: "", missed: false }
  const [value, most] = "times" in target ? [times, target.times] : [more, target.more]
  const missed = value > most * tolerance
  const said = "times" in target ? `${most} x` : `${micros(most)} us more`
  return { text: `at most ${said}${missed ? ", missed" : ""}`, missed }
}

const main = async (): Promise<void> => {
  const other = fork(process.argv[1], ["--other-end"], { execArgv: [] })
  const { port } = await received(other, (message): message is { readonly port: number } => "port" in message)
  const scope = await Effect.runPromise(Scope.make())
  const undici = ManagedRuntime.make(NodeHttpClient.layerUndici)
  const context = await undici.runtime()
  const groups: ReadonlyArray<Group> = [
    {
      name: "a client over a stub",
      times: 400,
      contenders: clients(stub, "http://localhost:3000/", { more: 60_000 })
    },
    {
      name: "a client over undici",
      times: 200,
      contenders: clients(Context.get(context.context, HttpClient.HttpClient), `http://127.0.0.1:${port}/`, {
        times: 1.25
      })
    },
    { name: "a server of Node.js", times: 200, contenders: await servers(other, scope) }
  ]
  const only = argument("only") ?? ""
  const run = argument("run")
  let missed = false
  for (const group of groups.filter(({ name }) => name.includes(only))) {
    if (run !== undefined) {
      const contender = group.contenders.find(({ name }) => name === run)
      for (let round = 0; round < 50; round++) await contender?.run(group.times)
      continue
    }
    const rows = await measure(group, Number(argument("rounds") ?? 31))
    console.log(
      `\n### CPU time of a request, ${group.name}\n\n| | us | x plain | us more | |\n|---|---|---|---|---|`
    )
    for (const row of rows) {
      const { missed: isMissed, text } = verdict(row)
      missed ||= isMissed
      console.log(
        `| ${row.name} | ${micros(row.nanos)} | ${row.times.toFixed(2)} | ${micros(row.more)} | ${text} |`
      )
    }
  }
  process.exit(missed && process.argv.includes("--check") ? 1 : 0)
}

if (process.argv.includes("--other-end")) otherEnd()
else await main()
