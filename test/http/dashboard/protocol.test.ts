import { assert, describe, it } from "@effect/vitest"
import { FastCheck } from "effect"
import {
  applied,
  difference,
  empty,
  encoded,
  type Full,
  fromFull,
  parser,
  type State,
  type View
} from "../../../src/http/dashboard/protocol.js"
import { runs } from "../../support/runs.js"

// Small alphabets, so that a view of one state is often in the next one, with some of its parts as they were.
const numbers = FastCheck.dictionary(
  FastCheck.constantFrom("success", "failure", "rejected", "toString", "constructor"),
  FastCheck.integer({ min: 0, max: 3 }),
  { noNullPrototype: true }
)

const happening = FastCheck.record({
  at: FastCheck.integer({ min: 0, max: 2 }),
  text: FastCheck.constantFrom("closed → open", "rejected"),
  count: FastCheck.integer({ min: 1, max: 2 })
})

const view = (id: number): FastCheck.Arbitrary<View> =>
  FastCheck.record({
    id: FastCheck.constant(id),
    kind: FastCheck.constant("circuit-breaker"),
    name: FastCheck.oneof(FastCheck.constantFrom("payments", "</script>\n\u2028"), FastCheck.string()),
    state: FastCheck.constantFrom("open", "closed"),
    since: FastCheck.constantFrom(null, 0, 1000),
    until: FastCheck.constantFrom(null, 0, 2000),
    why: FastCheck.constantFrom("", "closed: 1 of 3 calls failed"),
    totals: numbers,
    gauges: numbers,
    recent: FastCheck.array(happening, { maxLength: 5 })
  })

const state: FastCheck.Arbitrary<State> = FastCheck.record({
  at: FastCheck.nat(),
  hidden: numbers,
  views: FastCheck.subarray([1, 2, 3, 4]).chain((ids) =>
    FastCheck.tuple(...ids.map(view)).map((views) => new Map(views.map((each) => [each.id, each])))
  )
})

/** What arrives of what is sent. */
const sent = <A>(data: A): A => JSON.parse(JSON.stringify(data))

const sorted = ({ at, hidden, views }: State) => ({
  at,
  hidden,
  views: [...views.values()].sort((one, other) => one.id - other.id)
})

describe("the differences between two states", () => {
  it("lead from one to the other, over the wire", () => {
    FastCheck.assert(
      FastCheck.property(state, state, (before, after) => {
        const reached = applied(before, sent(difference(before, after)))
        assert.deepStrictEqual(sorted(reached), sorted(after))
      }),
      { numRuns: runs(1000, 100_000) }
    )
  })

  it("lead to the full state through any number of states", () => {
    FastCheck.assert(
      FastCheck.property(FastCheck.array(state, { minLength: 1, maxLength: 6 }), (states) => {
        let [before, followed] = [empty, empty]
        for (const after of states) {
          followed = applied(followed, sent(difference(before, after)))
          before = after
        }
        const full: Full = {
          run: 1,
          interval: 500,
          steering: false,
          ...before,
          views: [...before.views.values()]
        }
        assert.deepStrictEqual(sorted(followed), sorted(fromFull(sent(full))))
      }),
      { numRuns: runs(300, 20_000) }
    )
  })

  it("are none between a state and itself", () => {
    FastCheck.assert(
      FastCheck.property(state, (same) => {
        assert.deepStrictEqual(difference(same, same), { at: same.at })
        const copy = { ...same, views: new Map([...same.views].map(([id, each]) => [id, sent(each)])) }
        assert.deepStrictEqual(difference(same, copy), { at: same.at })
      }),
      { numRuns: runs(200, 5000) }
    )
  })

  it("hold of a list of events only those that are new", () => {
    const recent = [1, 2, 3].map((at) => ({ at, text: "rejected", count: 1 }))
    const before: View = {
      id: 1,
      kind: "retry",
      name: "a",
      state: "",
      since: null,
      until: null,
      why: "",
      totals: {},
      gauges: {},
      recent
    }
    const next = { at: 4, text: "rejected", count: 1 }
    const after = { ...before, recent: [...recent.slice(1), next] }
    const of = (each: View): State => ({ at: 0, hidden: {}, views: new Map([[1, each]]) })
    assert.deepStrictEqual(difference(of(before), of(after)).changed, [[1, { recent: [1, 2, next] }]])
  })

  it("leave a view that has not changed the same object", () => {
    FastCheck.assert(
      FastCheck.property(state, (before) => {
        const after = applied(before, { at: before.at + 500 })
        assert.strictEqual(after.views, before.views)
        assert.strictEqual(after.at, before.at + 500)
      })
    )
  })
})

describe("a parser of server-sent events", () => {
  const parsed = (...pieces: ReadonlyArray<string>) => {
    const events: Array<readonly [string, string]> = []
    const retries: Array<number> = []
    const read = parser(
      (event, data) => events.push([event, data]),
      (millis) => retries.push(millis)
    )
    pieces.forEach(read)
    return { events, retries }
  }

  it("reads what the server encodes, wherever it is cut", () => {
    FastCheck.assert(
      FastCheck.property(
        FastCheck.array(FastCheck.anything({ withNullPrototype: false }), { maxLength: 4 }),
        FastCheck.array(FastCheck.integer({ min: 1, max: 7 }), { minLength: 1 }),
        (values, lengths) => {
          const json = values.map((value) => JSON.stringify({ value }))
          const text = json.map((data) => encoded("delta", JSON.parse(data))).join("")
          const pieces: Array<string> = []
          for (let at = 0, index = 0; at < text.length; index++) {
            const length = lengths[index % lengths.length]
            pieces.push(text.slice(at, at + length))
            at += length
          }
          assert.deepStrictEqual(
            parsed(...pieces).events,
            json.map((data) => ["delta", data])
          )
        }
      ),
      { numRuns: runs(300, 20_000) }
    )
  })

  it("knows all line breaks, comments, other fields and data of several lines", () => {
    const { events, retries } = parsed(
      ": hello\r\nretry: 1500\nretry: soon\n\nevent:full\r",
      "\ndata: a\rdata:  b\nid: 7\n\ndata\n\nevent: lost\n\n"
    )
    assert.deepStrictEqual(events, [
      ["full", "a\n b"],
      ["message", ""]
    ])
    assert.deepStrictEqual(retries, [1500])
  })
})
