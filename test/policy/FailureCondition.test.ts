import { assert, describe, it } from "@effect/vitest"
import { Cause, Duration, Exit, FastCheck, FiberId } from "effect"
import { FailureCondition, Policy } from "effect-resilience"
import { runs } from "../support/runs.js"

interface Response {
  readonly status: number
}
interface Problem {
  readonly _tag: "Refused" | "Forbidden" | "Busy"
}
type Condition = FailureCondition.FailureCondition<Response, Problem | string>
type Outcome = "Success" | "Failure" | "Ignored"

const status =
  (...statuses: ReadonlyArray<number>) =>
  (response: Response) =>
    statuses.includes(response.status)
const error =
  (...tags: ReadonlyArray<Problem["_tag"]>) =>
  (error: Problem | string) =>
    typeof error === "object" && tags.includes(error._tag)

const interruption = Cause.interrupt(FiberId.none)
const refused: Problem = { _tag: "Refused" }
const forbidden: Problem = { _tag: "Forbidden" }

const exits = {
  ok: Exit.succeed({ status: 200 }),
  "503": Exit.succeed({ status: 503 }),
  "429": Exit.succeed({ status: 429 }),
  refused: Exit.fail(refused),
  forbidden: Exit.fail(forbidden),
  text: Exit.fail("down"),
  bug: Exit.die("bug"),
  interrupted: Exit.failCause(interruption),
  empty: Exit.failCause(Cause.empty)
} satisfies Record<string, Exit.Exit<Response, Problem | string>>

// ------------------------------------------------------------------------------------------------------- what it means

describe("FailureCondition.classify", () => {
  const never: ReadonlyArray<keyof typeof exits> = ["interrupted", "empty"]
  /** For each condition the exits that are failures and those that are ignored; all others are successes. */
  type Row = readonly [
    string,
    Condition | undefined,
    ReadonlyArray<keyof typeof exits>,
    ReadonlyArray<keyof typeof exits>?
  ]
  const table: ReadonlyArray<Row> = [
    ["nothing said", undefined, ["refused", "forbidden", "text", "bug"]],
    ["nothing said in words", {}, ["refused", "forbidden", "text", "bug"]],
    ["nothing said by any", FailureCondition.any(), ["refused", "forbidden", "text", "bug"]],
    [
      "a result, which leaves errors alone",
      { result: status(503) },
      ["503", "refused", "forbidden", "text", "bug"]
    ],
    ["an error, which replaces the default", { error: error("Refused") }, ["refused", "bug"]],
    ["tags, which replace the default", { tags: ["Refused"] }, ["refused", "bug"]],
    ["no tags at all", { tags: [] }, ["bug"]],
    ["error or tags", { tags: ["Refused"], error: (e) => e === "down" }, ["refused", "text", "bug"]],
    ["error or result", { error: error("Refused"), result: status(503) }, ["refused", "503", "bug"]],
    ["no defects", { defect: false }, ["refused", "forbidden", "text"], ["bug"]],
    ["defects", { defect: true }, ["refused", "forbidden", "text", "bug"]],
    ["some defects", { defect: (d) => d === "bug" }, ["refused", "forbidden", "text", "bug"]],
    ["other defects", { defect: (d) => d !== "bug" }, ["refused", "forbidden", "text"], ["bug"]],
    [
      "ignored results",
      { ignore: { result: status(429) } },
      ["refused", "forbidden", "text", "bug"],
      ["429"]
    ],
    ["ignored errors", { ignore: { tags: ["Forbidden"] } }, ["refused", "text", "bug"], ["forbidden"]],
    [
      "ignored, whatever else matches",
      { error: () => true, result: () => true, ignore: { error: error("Refused"), result: status(200) } },
      ["503", "429", "forbidden", "text", "bug"],
      ["refused", "ok"]
    ],
    [
      "ignoring everything, which leaves defects",
      { ignore: { error: () => true, result: () => true } },
      ["bug"],
      ["ok", "503", "429", "refused", "forbidden", "text"]
    ],
    [
      "any of results",
      FailureCondition.any({ result: status(503) }, { result: status(429) }),
      ["503", "429", "refused", "forbidden", "text", "bug"]
    ],
    [
      "any of result and error, which replaces the default for both",
      FailureCondition.any({ result: status(503) }, { error: error("Refused") }),
      ["503", "refused", "bug"]
    ],
    [
      "any with an ignore, which wins for all",
      FailureCondition.any({ result: () => true }, { ignore: { result: status(200) } }),
      ["503", "429", "refused", "forbidden", "text", "bug"],
      ["ok"]
    ],
    [
      "any of no defects and all of them",
      FailureCondition.any({ defect: false }, { defect: true }),
      ["refused", "forbidden", "text", "bug"]
    ],
    [
      "any within any",
      FailureCondition.any(
        FailureCondition.any({ tags: ["Refused"] }, FailureCondition.any({ result: status(503) })),
        { error: error("Busy") }
      ),
      ["refused", "503", "bug"]
    ],
    [
      "a classifier, which decides alone",
      (exit) => (Exit.isSuccess(exit) ? FailureCondition.failure : FailureCondition.ignored),
      ["ok", "503", "429"],
      ["refused", "forbidden", "text", "bug"]
    ],
    ["a classifier that forgives", () => FailureCondition.success, []],
    [
      "any of a classifier that forgives and a tag",
      FailureCondition.any<Response, Problem | string>(() => FailureCondition.success, { tags: ["Refused"] }),
      ["refused"]
    ],
    [
      "any of a classifier that ignores and one that fails",
      FailureCondition.any<Response, Problem | string>(
        () => FailureCondition.ignored,
        () => FailureCondition.failure
      ),
      ["ok", "503", "429", "refused", "forbidden", "text", "bug"]
    ],
    [
      "any of a classifier that ignores and one that forgives",
      FailureCondition.any<Response, Problem | string>(
        () => FailureCondition.success,
        () => FailureCondition.ignored
      ),
      [],
      ["ok", "503", "429", "refused", "forbidden", "text", "bug"]
    ]
  ]

  it.each(table.map((row) => [row[0], row] as const))("%s", (_, [, condition, failures, ignored]) => {
    const classify = FailureCondition.classify(condition)
    const outcomes = Object.entries(exits).map(([name, exit]) => [name, classify(exit)._tag])
    const expected = Object.keys(exits).map((name): [string, Outcome] => {
      const is = (names: ReadonlyArray<string>) => names.includes(name)
      return [name, is(failures) ? "Failure" : is(ignored ?? []) || is(never) ? "Ignored" : "Success"]
    })
    assert.deepStrictEqual(outcomes, expected)
  })

  it("does not ask a classifier about an interruption or an empty cause", () => {
    const asked: Array<Exit.Exit<unknown, unknown>> = []
    const classify = FailureCondition.classify((exit) => {
      asked.push(exit)
      return FailureCondition.failure
    })
    const twice = Cause.parallel(interruption, Cause.sequential(Cause.empty, interruption))
    for (const cause of [interruption, Cause.empty, twice]) {
      assert.strictEqual(classify(Exit.failCause(cause))._tag, "Ignored")
    }
    assert.deepStrictEqual(asked, [])
  })

  it("does not look at results when the condition does not", () => {
    const result = Object.defineProperty({}, "status", { get: () => assert.fail("looked at") })
    for (const condition of [{}, { error: () => true }, { tags: [] }, { ignore: { error: () => true } }]) {
      assert.strictEqual(FailureCondition.classify(condition)(Exit.succeed(result))._tag, "Success")
    }
  })

  it("sees no tag in an error without one, and in a tag that is no string", () => {
    const classify = FailureCondition.classify<unknown, { readonly _tag: "Refused" }>({ tags: ["Refused"] })
    for (const odd of [undefined, null, "Refused", 1, {}, { _tag: ["Refused"] }, { _tag: undefined }]) {
      assert.strictEqual(classify(Exit.fail(odd as never))._tag, "Success")
    }
  })
})

// --------------------------------------------------------------------------------------------------------- mixed causes

describe("FailureCondition.classify of a mixed cause", () => {
  const fail = Cause.fail(refused)
  const die = Cause.die("bug")
  const seen = (cause: Cause.Cause<Problem>): ReadonlyArray<unknown> => {
    const looked: Array<unknown> = []
    FailureCondition.classify<never, Problem>({
      error: () => true,
      defect: true,
      retryAfter: (failed) => {
        looked.push(
          failed._tag,
          failed._tag === "Error" ? failed.error : failed._tag === "Defect" ? failed.defect : undefined
        )
        assert.strictEqual(failed._tag === "Result" ? undefined : failed.cause, cause)
        return undefined
      }
    })(Exit.failCause(cause))
    return looked
  }

  it.each<readonly [string, Cause.Cause<Problem>, ReadonlyArray<unknown>]>([
    ["an error", fail, ["Error", refused]],
    ["an error and an interruption", Cause.parallel(interruption, fail), ["Error", refused]],
    ["an error, interrupted in its finalizer", Cause.sequential(fail, interruption), ["Error", refused]],
    ["an interruption with an error after it", Cause.sequential(interruption, fail), []],
    ["an interruption with a defect in its finalizer", Cause.sequential(interruption, die), []],
    [
      "a sibling's interruption, an error and a finalizer's defect",
      Cause.sequential(Cause.parallel(interruption, fail), die),
      ["Defect", "bug"]
    ],
    ["nothing, and then an error", Cause.sequential(Cause.empty, fail), ["Error", refused]],
    ["two errors, of which the first", Cause.parallel(fail, Cause.fail(forbidden)), ["Error", refused]],
    ["an error and a defect", Cause.parallel(fail, die), ["Defect", "bug"]],
    ["an error with a defect in its finalizer", Cause.sequential(fail, die), ["Defect", "bug"]],
    ["a defect and an interruption", Cause.parallel(interruption, die), ["Defect", "bug"]],
    ["two defects, of which the first", Cause.sequential(die, Cause.die("other")), ["Defect", "bug"]],
    ["an error among nothing", Cause.parallel(Cause.empty, fail), ["Error", refused]],
    ["an interruption", Cause.parallel(interruption, interruption), []],
    ["nothing", Cause.sequential(Cause.empty, Cause.empty), []]
  ])("%s", (_, cause, expected) => {
    assert.deepStrictEqual(seen(cause), expected)
  })
})

// ----------------------------------------------------------------------------------------------------------------- hints

describe("the retryAfter of FailureCondition.classify", () => {
  const hintOf = (condition: Condition, exit: Exit.Exit<Response, Problem | string>) => {
    const outcome = FailureCondition.classify(condition)(exit)
    if (outcome._tag !== "Failure") return outcome._tag
    return outcome.retryAfter && Duration.toMillis(outcome.retryAfter)
  }
  const retryAfter = (hint: Duration.DurationInput | undefined) => ({ retryAfter: () => hint })

  it.each<readonly [string, Condition, Exit.Exit<Response, Problem | string>, unknown]>([
    ["of an error", retryAfter("3 seconds"), exits.refused, 3000],
    ["of an error that is named", { ...retryAfter(5), tags: ["Refused"] }, exits.refused, 5],
    ["of a result", { ...retryAfter("3 seconds"), result: status(503) }, exits["503"], 3000],
    ["of a defect", { ...retryAfter("3 seconds") }, exits.bug, 3000],
    ["of a defect that is named", { ...retryAfter("3 seconds"), defect: true }, exits.bug, 3000],
    ["of a success, which has none", { ...retryAfter(5), result: status(503) }, exits.ok, "Success"],
    [
      "of what is ignored, which has none",
      { ...retryAfter(5), ignore: { error: () => true } },
      exits.refused,
      "Ignored"
    ],
    ["of an interruption, which has none", retryAfter(5), exits.interrupted, "Ignored"],
    ["that is not known", retryAfter(undefined), exits.refused, undefined],
    ["below zero, which is now", retryAfter(-5), exits.refused, 0],
    ["that is no number", retryAfter(NaN), exits.refused, undefined],
    ["that is no duration", retryAfter("soon" as never), exits.refused, undefined],
    ["of a classifier", () => FailureCondition.failureAfter("4 seconds"), exits.refused, 4000],
    [
      "of the part that matches, before those of others",
      FailureCondition.any(
        { ...retryAfter(1), tags: ["Forbidden"] },
        { ...retryAfter(2), tags: ["Refused"] }
      ),
      exits.refused,
      2
    ],
    [
      "of the first of those that match",
      FailureCondition.any({ ...retryAfter(1), error: () => true }, { ...retryAfter(2), tags: ["Refused"] }),
      exits.refused,
      1
    ],
    [
      "of any part, for a failure by default",
      FailureCondition.any({ result: status(503) }, retryAfter(7)),
      exits.refused,
      7
    ]
  ])("%s", (_, condition, exit, expected) => {
    assert.strictEqual(hintOf(condition, exit), expected)
  })

  it("leaves the hint of a rejection to the policy", () => {
    const rejection = {
      [Policy.RejectionTypeId]: Policy.RejectionTypeId,
      _tag: "Busy",
      name: "x",
      retryAfter: Duration.seconds(1)
    }
    assert.deepStrictEqual(FailureCondition.classify()(Exit.fail(rejection)), FailureCondition.failure)
  })
})

// ----------------------------------------------------------------------------------------------------------- properties

describe("FailureCondition.classify of any exit", () => {
  const leaf = FastCheck.oneof(
    FastCheck.constantFrom(refused, forbidden, "down", undefined).map((error) => Cause.fail<unknown>(error)),
    FastCheck.constantFrom("bug", undefined, null).map((defect) => Cause.die(defect)),
    FastCheck.constant(interruption),
    FastCheck.constant(Cause.empty)
  )
  const { cause } = FastCheck.letrec<{ cause: Cause.Cause<unknown> }>((tie) => ({
    cause: FastCheck.oneof(
      { maxDepth: 5, withCrossShrink: true },
      leaf,
      FastCheck.tuple(tie("cause"), tie("cause")).map(([left, right]) => Cause.parallel(left, right)),
      FastCheck.tuple(tie("cause"), tie("cause")).map(([left, right]) => Cause.sequential(left, right))
    )
  }))
  const says = FastCheck.option(FastCheck.func(FastCheck.boolean()), { nil: undefined })
  const matcher = FastCheck.record({
    error: says,
    result: says,
    tags: FastCheck.option(FastCheck.subarray(["Refused", "Forbidden"]), { nil: undefined })
  })
  const part = FastCheck.tuple(
    matcher,
    FastCheck.option(matcher, { nil: undefined }),
    FastCheck.option(FastCheck.boolean(), { nil: undefined })
  ).map(([matches, ignore, defect]) => ({ ...matches, ignore, defect }))
  type Part = FailureCondition.Options<unknown, never>

  /** What happened before any finalizer ran. */
  const firstIn = (cause: Cause.Cause<unknown>): Cause.Cause<unknown> =>
    cause._tag === "Sequential" ? firstIn(Cause.isEmpty(cause.left) ? cause.right : cause.left) : cause

  /** The rule in words, one after the other. */
  const modelled = (parts: ReadonlyArray<Part>, exit: Exit.Exit<unknown, unknown>): Outcome => {
    const errors = Exit.isFailure(exit) ? [...Cause.failures(exit.cause)] : []
    const defects = Exit.isFailure(exit) ? [...Cause.defects(exit.cause)] : []
    if (Exit.isFailure(exit) && Cause.isInterruptedOnly(firstIn(exit.cause))) return "Ignored"
    const matches = (matcher: FailureCondition.Matcher<unknown, never> | undefined): boolean => {
      if (matcher === undefined || defects.length > 0) return false
      if (Exit.isSuccess(exit)) return matcher.result?.(exit.value) ?? false
      const tag = (errors[0] as { readonly _tag?: never } | undefined)?._tag
      return (
        (matcher.error?.(errors[0] as never) ?? false) ||
        (matcher.tags?.some((other) => other === tag) ?? false)
      )
    }
    if (parts.some((part) => matches(part.ignore))) return "Ignored"
    if (defects.length > 0) {
      const said = parts.flatMap((part) => (part.defect === undefined ? [] : [part.defect]))
      return said.includes(true) || said.length === 0 ? "Failure" : "Ignored"
    }
    if (parts.some(matches)) return "Failure"
    const narrowed = parts.some((part) => part.error !== undefined || part.tags !== undefined)
    return Exit.isSuccess(exit) || narrowed ? "Success" : "Failure"
  }

  it.prop(
    "follows the rule, for any cause and any conditions",
    [
      FastCheck.array(part, { maxLength: 3 }),
      FastCheck.oneof(cause.map(Exit.failCause), FastCheck.constant(exits.ok))
    ],
    ([parts, exit]) => {
      const conditions = parts as ReadonlyArray<Part>
      const classify = FailureCondition.classify(FailureCondition.any(...conditions))
      assert.strictEqual(classify(exit as Exit.Exit<unknown, never>)._tag, modelled(conditions, exit))
    },
    { fastCheck: { numRuns: runs(500, 2000) } }
  )
})
