/** What the compiler says of a misspelt option, and what an editor shows of what a policy adds and needs. */
import { assert, describe, it } from "@effect/vitest"
import * as path from "node:path"
import ts from "typescript"

const prelude = `
import { HttpClient } from "@effect/platform"
import { Config, Context, Data, Effect, Schedule } from "effect"
import { Bulkhead, Cache, CircuitBreaker, Fallback, Hedge, Policy, RateLimiter, Retry, RetryBudget, Timeout, Trip } from "effect-resilience"
import { HttpProtection, HttpResilience } from "effect-resilience/http"
class Down extends Data.TaggedError("Down")<{ readonly final: boolean }> {}
class Audit extends Context.Tag("Audit")<Audit, "audit">() {}
class Prices extends CircuitBreaker.Tag("Prices")<Prices>() {}
class Places extends Bulkhead.Tag("Places")<Places>() {}
class Calls extends RateLimiter.Tag("Calls")<Calls>() {}
class Budget extends RetryBudget.Tag("Budget")<Budget>() {}
const audit: Effect.Effect<void, never, Audit> = Effect.asVoid(Audit)
const rate = RateLimiter.smooth({ limit: 1, per: "1 second" })
const lookup = (id: number) => Effect.as(Timeout.timeout(call, 1), id)
class Quotes extends Cache.Tag("Quotes")<Quotes, typeof lookup>() {}
declare const call: Effect.Effect<string, Down>
`

/** Options that do not exist, and what is suggested instead. */
const misspelt: ReadonlyArray<readonly [code: string, wrong: string, suggested?: string]> = [
  ["call.pipe(Retry.retry({ times: 1, maxRetries: 3 }))", "maxRetries"],
  ["call.pipe(Retry.retry({ maxDuratio: 3 }))", "maxDuratio", "maxDuration"],
  ["Retry.retry(call, { times: 1, maxDuratio: 3 })", "maxDuratio", "maxDuration"],
  [
    "Effect.runPromise(call.pipe(Retry.retry({ times: 1, onRetri: () => Effect.void })))",
    "onRetri",
    "onRetry"
  ],
  ["call.pipe(Retry.retry({ condition: { tagz: ['Down'] } }))", "tagz"],
  ["call.pipe(Timeout.timeout({ limit: 1, nam: 'x' }))", "nam"],
  ["Timeout.timeout(call, { limit: 1, nam: 'x' })", "nam"],
  ["call.pipe(Hedge.hedge({ delay: 1, maxHedge: 1 }))", "maxHedge", "maxHedges"],
  ["Hedge.hedge(call, { delay: 1, maxHedge: 1 })", "maxHedge", "maxHedges"],
  ["call.pipe(Fallback.succeed(1, { onFalback: () => audit }))", "onFalback", "onFallback"],
  ["Fallback.succeed(call, 1, { onFalback: () => audit })", "onFalback", "onFallback"],
  ["call.pipe(Fallback.sync(() => 1, { nam: 'x' }))", "nam", "name"],
  ["call.pipe(Fallback.orElse(() => call, { nam: 'x' }))", "nam", "name"],
  ["call.pipe(Fallback.fail(() => 'no', { nam: 'x' }))", "nam", "name"],
  ["call.pipe(Fallback.chain([() => call], { nam: 'x' }))", "nam", "name"],
  ["CircuitBreaker.make({ failureThreshold: 3 })", "failureThreshold"],
  ["CircuitBreaker.make({ name: 'x', halfOpen: { permitz: 3 } })", "permitz", "permits"],
  ["Prices.layer({ openFor: 1, onOpened: () => audit })", "onOpened", "onOpen"],
  ["CircuitBreaker.keyed({ options: { name: 'x', openFr: 1 } })", "openFr"],
  ["CircuitBreaker.keyed({ options: {}, capacit: 1 })", "capacit", "capacity"],
  ["Prices.layerConfig({}, { onOpened: () => audit })", "onOpened", "onOpen"],
  ["call.pipe(Prices.protectWhen({ tagz: ['Down'] }))", "tagz"],
  ["Bulkhead.make({ permits: 1, maxQueue: 1 })", "maxQueue", "maxQueued"],
  ["Places.layer({ permits: 1, maxQueue: 1 })", "maxQueue", "maxQueued"],
  ["Bulkhead.keyed({ options: { permits: 1, maxQueue: 1 } })", "maxQueue"],
  ["call.pipe(Places.protectWhen({ tagz: ['Down'] }))", "tagz"],
  ["RateLimiter.make({ rate, maxWaits: 1 })", "maxWaits", "maxWait"],
  ["Calls.layer({ rate, onReject: () => audit })", "onReject", "onRejected"],
  ["RateLimiter.keyed({ options: { rate, maxWaits: 1 } })", "maxWaits"],
  ["RetryBudget.make({ name: 'x', rul: 1 })", "rul", "rule"],
  ["Budget.layer({ name: 'x', onExhaust: () => audit })", "onExhaust", "onExhausted"],
  ["Cache.make({ lookup, timeToLive: 1, staleIfErrors: 1 })", "staleIfErrors", "staleIfError"],
  ["Quotes.layer({ lookup, timeToLive: 1, onServe: ({ key }) => audit })", "onServe"],
  ["Cache.makeStore<string, string>()({ timeToLive: 1, maxAges: 1 })", "maxAges", "maxAge"],
  ["HttpResilience.standard({ totalTimeout: 1, totalTimout: 1 })", "totalTimout", "totalTimeout"],
  ["HttpResilience.standard({ retry: { times: 1, budgett: 1 } })", "budgett"],
  ["HttpResilience.retry({ times: 1, maxRetries: 1 })", "maxRetries"],
  ["HttpResilience.circuitBreaker({ condition: { tagz: ['x'] } })", "tagz"],
  ["HttpResilience.circuitBreaker({ openFor: 1, openFr: 1 })", "openFr", "openFor"],
  ["HttpResilience.bulkhead({ permits: 1, maxQueue: 1 })", "maxQueue", "maxQueued"],
  ["HttpResilience.rateLimiter({ rate, maxWaits: 1 })", "maxWaits", "maxWait"],
  ["HttpResilience.timeout({ limit: 1, nam: 'x' })", "nam"],
  ["HttpResilience.hedge({ delay: 1, maxHedge: 1 })", "maxHedge", "maxHedges"],
  ["HttpProtection.bulkhead({ permits: 1, maxQueue: 1 })", "maxQueue", "maxQueued"],
  ["HttpProtection.circuitBreaker({ openFor: 1, openFr: 1 })", "openFr", "openFor"],
  ["HttpProtection.rateLimiter({ rate, maxWaits: 1 })", "maxWaits", "maxWait"],
  ["HttpProtection.standard({ bulkhead: { permits: 1, maxQueue: 1 } })", "maxQueue"]
]

/** Values, and how their types are printed. */
const shown: ReadonlyArray<readonly [code: string, type: string]> = [
  ["Timeout.timeout(1)", "Policy<TimeoutExceeded, never>"],
  ["Timeout.timeout({ limit: 1, onTimeout: () => audit })", "Policy<TimeoutExceeded, Audit>"],
  ["Retry.retry({ times: 1 })", "RetryFor<unknown, unknown, never, never>"],
  ["Retry.retry({ times: 1, onRetry: () => audit })", "RetryFor<unknown, unknown, never, Audit>"],
  ["Retry.retry({ budget: Budget })", "RetryFor<unknown, unknown, never, Budget>"],
  ["Hedge.hedge({ delay: 1, budget: Budget })", "PolicyFor<unknown, unknown, never, Budget>"],
  ["Fallback.succeed(1)", "Fallback<number, never, never>"],
  [
    "Fallback.succeed(1, { onFallback: () => audit })",
    "FallbackFor<unknown, unknown, undefined, number, never, Audit>"
  ],
  ["Prices.protect", "Policy<CircuitOpen, Prices>"],
  ["Prices.protectWhen({ error: (e: Down) => e.final })", "PolicyFor<unknown, Down, CircuitOpen, Prices>"],
  ["Places.protectWhen({ error: (e: Down) => e.final })", "PolicyFor<unknown, Down, BulkheadFull, Places>"],
  [
    "Calls.protectWhen({ error: (e: Down) => e.final })",
    "PolicyFor<unknown, Down, RateLimitExceeded, Calls>"
  ],
  ["CircuitBreaker.make({ onOpen: () => audit })", "Effect<CircuitBreaker, never, Audit>"],
  ["CircuitBreaker.keyed({ options: { onOpen: () => audit } })", "Effect<KeyedCircuitBreaker, never, Audit>"],
  ["Prices.layer({ openFor: 1 })", "Layer<Prices, never, never>"],
  ["Prices.layer({ onOpen: () => audit })", "Layer<Prices, never, Audit>"],
  [
    "Prices.layer({ onOpen: () => audit, onClose: () => Effect.asVoid(Budget) })",
    "Layer<Prices, never, Audit | Budget>"
  ],
  ["Places.layer({ permits: 1 })", "Layer<Places, never, never>"],
  [
    "Places.layerConfig({ permits: Config.integer('N') }, { onRejected: () => audit })",
    "Layer<Places, ConfigError, Audit>"
  ],
  ["Calls.layer({ rate })", "Layer<Calls, never, never>"],
  ["Budget.layer({ onRefused: () => audit })", "Layer<Budget, never, Audit>"],
  ["Quotes.layer({ lookup, timeToLive: 1 })", "Layer<Quotes, never, never>"],
  ["Quotes.get(1)", "Effect<number, Down | TimeoutExceeded, Quotes>"],
  [
    "Cache.make({ lookup, timeToLive: 1 })",
    "Effect<Cache<number, number, Down | TimeoutExceeded>, never, Scope>"
  ],
  ["HttpResilience.standard()", "Part<CircuitOpen | TimeoutExceeded, never>"],
  [
    "HttpResilience.standard({ totalTimeout: 3, circuitBreaker: HttpResilience.circuitBreaker(Prices), bulkhead: { permits: 1 } })",
    "Part<BulkheadFull | CircuitOpen | TimeoutExceeded, Prices>"
  ],
  ["HttpResilience.circuitBreaker(Prices)", "Part<CircuitOpen, Prices>"],
  ["HttpResilience.bulkhead({ permits: 1, onRejected: () => audit })", "Part<BulkheadFull, Audit>"],
  ["HttpResilience.retry({ budget: Budget })", "Part<never, Budget>"],
  ["HttpProtection.bulkhead(Places)", "AdmissionPart<Places>"],
  ["HttpProtection.standard({ bulkhead: Places, timeout: 1 })", "Part<Places>"],
  ["undefined as unknown as Parameters<typeof Quotes.layerConfig>[0]", "SettingsConfig | Config<Settings>"]
]

/** All snippets as one program, so that the library is read once. */
const compiled = () => {
  const root = path.join(import.meta.dirname, "../..")
  const config = ts.getParsedCommandLineOfConfigFile(
    path.join(root, "tsconfig.json"),
    { incremental: false, plugins: [] },
    {
      ...ts.sys,
      onUnRecoverableConfigFileDiagnostic: (diagnostic) => assert.fail(String(diagnostic.messageText))
    }
  )
  assert.isDefined(config)
  const files = new Map<string, string>()
  const file = (index: number) => path.join(root, "test/tooling", `snippet-${index}.ts`)
  const codes = [...misspelt.map(([code]) => code), ...shown.map(([code]) => code)]
  codes.forEach((code, index) => files.set(file(index), `${prelude}export const shown = ${code}\n`))
  const { tsBuildInfoFile: _, ...given } = config.options
  const options: ts.CompilerOptions = {
    ...given,
    incremental: false,
    noUnusedLocals: false,
    noUnusedParameters: false
  }
  const host = ts.createCompilerHost(options)
  const { fileExists, getSourceFile, readFile } = host
  host.fileExists = (name) => files.has(path.normalize(name)) || fileExists(name)
  host.readFile = (name) => files.get(path.normalize(name)) ?? readFile(name)
  host.getSourceFile = (name, version) => {
    const text = files.get(path.normalize(name))
    return text === undefined ? getSourceFile(name, version) : ts.createSourceFile(name, text, version)
  }
  const program = ts.createProgram([...files.keys()], options, host)
  const sourceOf = (index: number): ts.SourceFile => {
    const found = program.getSourceFile(file(index))
    assert.isDefined(found)
    return found
  }
  return {
    diagnostics: (index: number) =>
      program.getSemanticDiagnostics(sourceOf(index)).map((diagnostic) => ({
        at: sourceOf(index).text.slice(diagnostic.start, (diagnostic.start ?? 0) + (diagnostic.length ?? 0)),
        message: ts.flattenDiagnosticMessageText(diagnostic.messageText, "\n")
      })),
    typeOf: (index: number): string => {
      const checker = program.getTypeChecker()
      const last = sourceOf(index).statements.at(-1)
      assert.isTrue(last !== undefined && ts.isVariableStatement(last))
      const [declaration] = (last as ts.VariableStatement).declarationList.declarations
      return checker.typeToString(
        checker.getTypeAtLocation(declaration),
        undefined,
        ts.TypeFormatFlags.NoTruncation
      )
    }
  }
}

/** Members of unions stand in the order in which the compiler met them. */
const sorted = (type: string): string =>
  type.replace(/[\w.]+(?: \| [\w.]+)+/g, (union) => union.split(" | ").sort().join(" | "))

describe("the compiler", () => {
  const program = compiled()

  it.each(misspelt.map(([code, wrong, suggested], index) => ({ code, index, wrong, suggested })))(
    "reports '$wrong' by name, where it stands, and nothing else: $code",
    ({ index, suggested, wrong }) => {
      const [first, ...others] = program
        .diagnostics(index)
        .filter(({ message }) => !message.includes("implicitly has an 'any' type"))
      assert.deepStrictEqual(others, [])
      assert.strictEqual(first.at, wrong)
      assert.match(first.message, new RegExp(`'${wrong}' does not exist in type `))
      if (suggested !== undefined) assert.include(first.message, `Did you mean to write '${suggested}'?`)
      assert.strictEqual(first.message.split("\n").length, 1)
      assert.isBelow(first.message.length, 250)
    }
  )

  it.each(shown.map(([code, type], index) => ({ code, index: misspelt.length + index, type })))(
    "shows what is added and needed: $code",
    ({ index, type }) => {
      assert.deepStrictEqual(program.diagnostics(index), [])
      assert.strictEqual(sorted(program.typeOf(index)), sorted(type))
    }
  )
})
