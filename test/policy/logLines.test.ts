// Names and keys may come from clients. Whatever the library logs, they must not be able to forge a line.
import { HttpServerRequest } from "@effect/platform"
import { assert, describe, it } from "@effect/vitest"
import { Duration, Effect, FastCheck, Logger, Schedule, TestClock } from "effect"
import { Bulkhead, Cache, CircuitBreaker, Retry, Trip } from "effect-resilience"
import * as fs from "node:fs"
import * as path from "node:path"
import * as HttpAdmin from "../../src/http/admin/admin.js"
import { quoted } from "../../src/internal/quoted.js"

const hostile =
  'x"\ntimestamp=now level=FATAL message="\r\u001b[2J\u009b1m\u202eevil\u2066\u200f\u200b\u2028\u0000\ud800\u{e0001}\\'

const isSafe = (text: string) => !/[\p{Cc}\p{Cf}\p{Cs}\u2028\u2029]/u.test(text)

const bad = (): never => {
  throw "bug"
}

/** Everything that makes the library write a name into the log. */
const sites: Readonly<Record<string, Effect.Effect<unknown, unknown>>> = {
  "a listener of a call that dies": Retry.retry(Effect.fail("no"), {
    name: hostile,
    times: 1,
    schedule: Schedule.spaced("1 millis"),
    onRetry: () => Effect.die("bug")
  }),
  "a listener of a shared policy that fails": Effect.flatMap(
    Bulkhead.make({ name: hostile, permits: 1, onAdmitted: () => Effect.fail("no") }),
    (bulkhead) => bulkhead.protect(Effect.void)
  ),
  "a listener of a policy by key": Effect.flatMap(
    Bulkhead.keyed({ options: { permits: 1, onAdmitted: () => Effect.die("no") } }),
    (bulkheads) => bulkheads.protect(hostile)(Effect.void)
  ),
  "an open period that is no duration": Effect.flatMap(
    CircuitBreaker.make({ name: hostile, trip: Trip.consecutive(1), openFor: () => NaN }),
    (breaker) => breaker.protect(Effect.fail("no"))
  ),
  "a time to live that is no duration": Effect.scoped(
    Effect.flatMap(
      Cache.make({ name: hostile, lookup: (key: string) => Effect.succeed(key), timeToLive: bad }),
      (cache) => cache.get(hostile)
    )
  ),
  "a hook of the admin routes that fails": Effect.flatMap(
    HttpAdmin.make("HttpAdmin.router", {
      policies: [],
      steering: { authorize: bad },
      reading: { authorize: bad }
    }),
    (admin) => {
      const request = HttpServerRequest.fromWeb(new Request("http://localhost"))
      return Effect.zipRight(
        Effect.exit(admin.get(request, hostile, undefined)),
        Effect.exit(admin.steer(request, hostile, undefined, "open"))
      )
    }
  )
}

describe("a log line", () => {
  for (const [site, effect] of Object.entries(sites)) {
    it.effect(`about ${site} shows a hostile name as text`, () => {
      const messages: Array<string> = []
      const logger = Logger.make<unknown, void>(({ message }) => {
        for (const part of Array.isArray(message) ? message : [message]) {
          if (typeof part === "string") messages.push(part)
        }
      })
      return Effect.gen(function* () {
        const running = yield* Effect.fork(Effect.exit(effect))
        yield* TestClock.adjust(Duration.seconds(1))
        yield* running
        const named = messages.filter((message) => message.includes("level=FATAL"))
        assert.isAbove(named.length, 0, "No line has the name")
        for (const message of messages) assert.isTrue(isSafe(message), JSON.stringify(message))
      }).pipe(Effect.provide(Logger.replace(Logger.defaultLogger, logger)))
    })
  }

  it("is written with no name but a quoted one anywhere in src", () => {
    const src = path.join(import.meta.dirname, "../../src")
    const files = fs
      .readdirSync(src, { recursive: true, encoding: "utf8" })
      .filter((file) => file.endsWith(".ts"))
    const calls = files.flatMap((file) =>
      Array.from(
        fs.readFileSync(path.join(src, file), "utf8").matchAll(/^(?! \*).*Effect\.log\w*\(([^]*?)\n\s*\n/gm),
        ([call]) => call
      )
    )
    assert.isAbove(calls.length, 4)
    for (const call of calls) assert.notMatch(call, /\$\{(?!quoted|what|asked\.name === undefined|option\})/)
  })
})

describe("a quoted name", () => {
  it("is on one line, whatever it is", () => {
    FastCheck.assert(
      FastCheck.property(FastCheck.string({ unit: "binary", maxLength: 300 }), (name) => isSafe(quoted(name)))
    )
  })

  it("is unchanged where that does no harm", () => {
    for (const name of ["partner", "upstream/http://localhost:3000", "Grüße/東京"]) {
      assert.strictEqual(quoted(name), `"${name}"`)
    }
  })

  it("cannot close its quotation marks, and is of a limited length", () => {
    assert.strictEqual(quoted('a" b\\'), '"a\\" b\\\\"')
    assert.isBelow(quoted("x".repeat(100_000)).length, 250)
  })
})
