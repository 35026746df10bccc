/**
 * `npm run fleet`: twenty processes share their policies over a real Redis, which is frozen, killed and cut off, and a thousand
 * instances in one process show how costs grow. Prints figures, and exits with 1 when a goal is missed. Takes about two minutes.
 *
 * Goals are counts, of calls that waited, of probes, of permits, because a count is the same on every machine. What depends on the
 * machine is shown next to the same for policies that share nothing, and times between processes are granted what timers were late.
 */
import { Console, Effect } from "effect"
import * as Fleet from "./fleet.js"
import { member } from "./member.js"
import type { Collected, Setup, Sharing, Timed, Traffic } from "./messages.js"
import * as Proxy from "./proxy.js"
import * as Report from "./report.js"
import * as Server from "./server.js"
import { burst, limit, openMillis, probes, processes, windowMillis } from "./settings.js"
import { thousand } from "./thousand.js"

const localOnly: Traffic = { timed: 5, partner: 1000, through: ["local", "alone"], limited: 0 }
const everything: Traffic = {
  timed: 5,
  partner: 1000,
  through: ["local", "inline", "alone"],
  limited: (2 * limit) / processes
}

/** What happens to connections, each to the processes that share a proxy. */
const faults: ReadonlyArray<Proxy.Fault> = ["cut", "reset", "half", "mute", "silent", { delay: 700 }]

const all = <What extends "admitted" | "inline" | "shared" | "unshared">(
  collected: ReadonlyArray<Collected>,
  what: What
) => collected.flatMap((each) => each[what] as ReadonlyArray<Collected[What][number]>)
const sum = (collected: ReadonlyArray<Collected>, what: "asked" | "hung" | "offered" | "waited") =>
  collected.reduce((total, each) => total + each[what], 0)

const story = (report: Report.Report) =>
  Effect.gen(function* () {
    const { figure, goal } = report
    const server = yield* Server.start()
    const proxies = yield* Effect.forEach(faults, () => Proxy.make(server.port))
    const fleet = yield* Fleet.start(
      Array.from({ length: processes }, (_, index): Setup => {
        const { port } = proxies[index % proxies.length]
        return { name: `process ${index + 1}`, url: `redis://127.0.0.1:${port}` }
      })
    )

    // ------------------------------------------------------------------------------------------------- what is seen

    let calm: { readonly shared: number; readonly unshared: number } | undefined

    /** What the processes see during a phase: the times of its calls, and that none of them waits. */
    const phase = <E>(name: string, during: Effect.Effect<unknown, E>) =>
      Effect.gen(function* () {
        yield* fleet.collect
        const startedAt = performance.now()
        yield* during
        const collected = yield* fleet.collect
        const millis = performance.now() - startedAt
        const shown = (micros: ReadonlyArray<number>) =>
          `${Report.time(Report.quantile(micros, 0.5))} / ${Report.time(Report.quantile(micros, 0.99))}`
        const passed = (calls: ReadonlyArray<Timed>) => calls.map(([micros]) => micros)
        const worked = (calls: ReadonlyArray<Timed>) =>
          Report.quantile(
            calls.map(([, micros]) => micros),
            0.99
          )
        const shared = all(collected, "shared")
        const unshared = all(collected, "unshared")
        const inline = all(collected, "inline")
        yield* figure(`${name}: p50 / p99 of a call, local`, shown(passed(shared)))
        yield* figure(`${name}: the same, not shared`, shown(passed(unshared)))
        if (inline.length > 0) yield* figure(`${name}: the same, inline`, shown(inline))
        const work = { shared: worked(shared), unshared: worked(unshared) }
        calm ??= work
        const percent = (share: number) => `${share < 1 ? "" : "+"}${((share - 1) * 100).toFixed(0)} %`
        yield* figure(
          `${name}: p99 of the processor's time, against the first phase`,
          `local ${percent(work.shared / calm.shared)}, not shared ${percent(work.unshared / calm.unshared)}`
        )
        const waited = sum(collected, "waited")
        const isSeen = shared.length > 0
        yield* goal(`${name}: no call waits`, waited === 0 && isSeen, `${waited} of ${shared.length}`)
        const hung = sum(collected, "hung")
        yield* goal(`${name}: no call hangs`, hung === 0, String(hung))
        return { collected, millis }
      })

    /** What Redis counts during an effect, and what it says itself. */
    const counting = <A, E>(during: Effect.Effect<A, E>) =>
      Effect.gen(function* () {
        const before = yield* Server.counted(server)
        const result = yield* during
        return { result, counted: Server.between(before, yield* Server.counted(server)) }
      })

    // ------------------------------------------------------------------------------------------ the store is healthy

    yield* fleet.traffic(localOnly)
    yield* Effect.sleep("2 seconds")
    const quiet = yield* counting(phase("local", Effect.sleep("5 seconds")))
    {
      const { collected, millis } = quiet.result
      const { exchanges, micros, requests } = Server.scripts(quiet.counted)
      const calls = all(collected, "shared").length
      yield* goal(
        "local: processes that each one knows of",
        collected.every(({ instances }) => instances === processes),
        `${processes}`
      )
      yield* goal(
        "local: round trips of a call, as Redis counts them",
        requests === 0,
        `${requests / calls}, with ${calls} calls`
      )
      // Once a second, a tenth more or less, however many calls are made.
      const most = processes * (Math.ceil(millis / 900) + 1)
      yield* goal(
        "local: exchanges a second, of all processes",
        exchanges <= most,
        ((exchanges / millis) * 1000).toFixed(1)
      )
      yield* figure("local: Redis' own time for an exchange", Report.time(micros))
    }

    yield* fleet.traffic(everything)
    yield* Effect.sleep("1 second")
    const busy = yield* counting(phase("before", Effect.sleep("5 seconds")))
    {
      const { collected, millis } = busy.result
      const { exchanges, requests } = Server.scripts(busy.counted)
      const used = all(collected, "admitted").length / ((limit * millis) / 1000)
      yield* figure(
        "before: scripts a second at Redis, with everything shared",
        (((exchanges + requests) / millis) * 1000).toFixed(0)
      )
      // No goal, because processes that do not run leave permits unused. In virtual time a test holds the limiter to 97 %.
      yield* figure(
        "limiter: used at twice the demand",
        `${(used * 100).toFixed(1)} % of ${limit} a second, ${(sum(collected, "offered") / (millis / 1000)).toFixed(0)} offered`
      )
      const trips = requests / sum(collected, "offered")
      const asked = sum(collected, "asked") / sum(collected, "offered")
      yield* goal("limiter: round trips of a call", trips < 1, trips.toFixed(2))
      yield* figure("limiter: calls that waited for an answer", `${(asked * 100).toFixed(1)} %`)
    }

    // ------------------------------------------------------------------------------------------- the store is in trouble

    /** The processes whose store does not answer, as they said last. */
    const degraded = (heard: ReadonlyArray<Fleet.Heard>): ReadonlyArray<string> => {
      const last = new Map<string, string>()
      for (const news of heard) if (news._tag === "Health") last.set(news.process, news.health)
      return [...last].flatMap(([process, health]) => (health === "Degraded" ? [process] : []))
    }

    /** How many processes said something of the store since so many news. */
    const processesThatSaid = (
      health: "Degraded" | "Recovered",
      known: number,
      already: ReadonlyArray<string> = []
    ): number => {
      const said = fleet.heard
        .slice(known)
        .flatMap((news) => (news._tag === "Health" && news.health === health ? [news.process] : []))
      return new Set([...already, ...said]).size
    }

    /** Does something to the store for a time and undoes it, then waits until every process is connected again. */
    const trouble = <E1, E2>(
      name: string,
      begin: Effect.Effect<unknown, E1>,
      end: Effect.Effect<unknown, E2>,
      millis: number
    ) =>
      Effect.gen(function* () {
        const known = fleet.heard.length
        const already = degraded(fleet.heard)
        yield* phase(name, Effect.zipRight(begin, Effect.sleep(millis)))
        yield* end
        const undoneAt = performance.now()
        yield* fleet.until(
          `every process is connected again (${name})`,
          (heard) => degraded(heard).length === 0,
          30_000,
          () => `still degraded: ${degraded(fleet.heard).join(", ")}`
        )
        // Where the machine is slow, a process may have lost the store before.
        const lost = processesThatSaid("Degraded", known, already)
        const found = processesThatSaid("Recovered", known)
        yield* goal(
          `${name}: processes that say Degraded, and Recovered`,
          lost === processes && found === processes,
          `${lost}, ${found}`
        )
        yield* figure(
          `${name}: until all are connected again`,
          Report.time((performance.now() - undoneAt) * 1000)
        )
      })

    yield* trouble("frozen for 6 s", server.freeze, server.thaw, 6000)
    yield* Effect.sleep("2 seconds")
    {
      const admitted = fleet.heard.flatMap((news) => (news._tag === "Collected" ? news.admitted : []))
      const most = Report.mostWithin(admitted, 1000)
      yield* goal(
        "limiter: the most in any second, the thaw included",
        most <= limit + burst,
        `${most} of ${limit} + ${burst}`
      )
    }
    yield* trouble("killed, started again empty", server.kill, server.restart, 2000)
    const everyProxy = (fault: (index: number) => Proxy.Fault) =>
      Effect.forEach(proxies, (proxy, index) => proxy.set(fault(index)), { discard: true })
    yield* trouble(
      "cut, reset, halved, held, silent, late",
      everyProxy((index) => faults[index]),
      everyProxy(() => "none"),
      3000
    )

    // --------------------------------------------------------------------------------------------- the partner is down

    const changed = (sharing: Sharing, to: string, since: number) =>
      fleet.heard.flatMap((news) =>
        news._tag === "Changed" && news.sharing === sharing && news.to === to && news.at >= since
          ? [news]
          : []
      )
    const reached = (sharing: Sharing, from: number, to: number) =>
      fleet.heard.flatMap((news) =>
        news._tag === "Reached" && news.sharing === sharing && news.at >= from && news.at < to
          ? [news.at]
          : []
      )
    const everywhere = (sharing: Sharing, to: string, since: number) =>
      fleet.until(
        `the circuits of every process, ${sharing}, are ${to}`,
        () => new Set(changed(sharing, to, since).map(({ process }) => process)).size === processes,
        20_000
      )

    /** Takes the partner down until every circuit is open, and returns the time that this took. Only breakers of a kind are called. */
    const outage = (sharing: "local" | "inline") =>
      Effect.gen(function* () {
        const through = [sharing, "alone"] as const
        yield* fleet.traffic({ timed: 0, partner: 1000, through, limited: 0 })
        // Until the windows are full of calls that work.
        yield* Effect.sleep(windowMillis)
        yield* fleet.collect
        const downAt = Date.now()
        yield* fleet.outage(downAt)
        yield* everywhere(sharing, "open", downAt)
        const late = Math.max(...(yield* fleet.collect).map((each) => each.late))
        const first = new Map<string, number>()
        for (const { at, process } of changed(sharing, "open", downAt)) {
          if (!first.has(process)) first.set(process, at - downAt)
        }
        const [soonest, last] = [Math.min(...first.values()), Math.max(...first.values())]
        yield* figure(
          `outage, ${sharing}: first process open, last process open, wasted calls`,
          `${Report.time(soonest * 1000)}, ${Report.time(last * 1000)}, ${reached(sharing, downAt, downAt + last + 1).length}`
        )
        const apart = new Set(changed("alone", "open", downAt).map(({ process }) => process)).size
        yield* figure(
          `outage, ${sharing}: at the same time not shared, processes open, wasted calls`,
          `${apart}, ${reached("alone", downAt, downAt + last + 1).length}`
        )
        return { last, late, openAt: downAt + last }
      })
    const recovery = (sharing: "local" | "inline") =>
      Effect.gen(function* () {
        const upAt = Date.now()
        yield* fleet.outage(undefined)
        yield* everywhere(sharing, "closed", upAt)
        const last = Math.max(...changed(sharing, "closed", upAt).map(({ at }) => at - upAt))
        yield* figure(`recovery, ${sharing}: last process closed`, Report.time(last * 1000))
      })

    const inline = yield* outage("inline")
    yield* fleet.traffic({ timed: 0, partner: 200, through: ["inline"], limited: 0 })
    yield* recovery("inline")
    const local = yield* outage("local")
    const behind = local.last - inline.last
    const late = inline.late + local.late
    yield* goal(
      "outage: the last process open, local after inline, within 1 s",
      behind <= 1000 + late,
      `${behind.toFixed(0)} ms, timers were late by ${late.toFixed(0)} ms`
    )

    yield* fleet.traffic({ timed: 0, partner: 100, through: ["local"], limited: 0 })
    const known = fleet.heard.length
    // Every probe fails, so half-open periods are at least an open time apart.
    const periods = () => Report.groupsOf(reached("local", local.openAt + 1, Infinity), openMillis * 0.9)
    yield* fleet.until("probes in three half-open periods", () => periods().length >= 3, 30_000)
    const complete = periods().slice(0, -1)
    const most = Math.max(...complete.map(({ length }) => length))
    // A process without the store probes by itself, as it has to.
    const apart = processesThatSaid("Degraded", known)
    yield* goal(
      `half-open: the most probes in a period, of ${processes} processes`,
      most <= probes * (1 + apart),
      `${most} of ${probes}${apart > 0 ? `, ${apart} processes had lost the store` : ""}`
    )
    yield* recovery("local")
  })

const [, , flag, setup] = process.argv
if (flag === "--member") await member(JSON.parse(setup))
else if (Server.version() === undefined) {
  console.log("The fleet was not run: there is no redis-server (set REDIS_SERVER to its path).")
} else {
  const report = Report.make(console.log)
  const startedAt = performance.now()
  const program = Effect.gen(function* () {
    yield* Console.log(
      `${processes} processes, redis-server ${Server.version()}, Node.js ${process.versions.node}\n`
    )
    yield* Effect.scoped(story(report))
    yield* Effect.scoped(thousand(report))
  })
  const exit = await Effect.runPromiseExit(program)
  if (exit._tag === "Failure") console.error(String(exit.cause))
  const missed = report.missed()
  console.log(
    `\n${missed === 0 ? "every goal is met" : `${missed} goals are missed`}, after ${((performance.now() - startedAt) / 1000).toFixed(0)} s`
  )
  process.exitCode = exit._tag === "Success" && missed === 0 ? 0 : 1
}
