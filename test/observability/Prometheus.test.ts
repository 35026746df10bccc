// The text format of Prometheus, for any metric that a program may have.
import { assert, describe, it } from "@effect/vitest"
import { Effect, FastCheck, Metric, MetricPair, MetricState } from "effect"
import * as Prometheus from "../../src/observability/Prometheus.js"
import { runs } from "../support/runs.js"
import { counter, falling, frequency, gauge, histogram, pairs, read, summary } from "./exposition.js"

type Pairs = Parameters<typeof Prometheus.format>[0]

const written = (of: Pairs, expected: ReadonlyArray<string>) =>
  assert.deepStrictEqual(
    Prometheus.format(of)
      .split("\n")
      .filter((line) => line !== "" && !line.startsWith("# HELP")),
    expected
  )

describe("a metric in the text of Prometheus", () => {
  const cases: ReadonlyArray<readonly [sentence: string, of: Pairs, expected: ReadonlyArray<string>]> = [
    [
      "is a counter with _total if it is an incremental counter",
      [counter(3, { name: "resilience.calls", tags: [["policy", "pay"]] })],
      ["# TYPE resilience_calls_total counter", 'resilience_calls_total{policy="pay"} 3']
    ],
    [
      "has _total once if its name has it already",
      [counter(3, { name: "orders_total" })],
      ["# TYPE orders_total counter", "orders_total 3"]
    ],
    [
      "is a gauge if it is a counter that may fall",
      [falling(-2, { name: "effect_fiber_active" })],
      ["# TYPE effect_fiber_active gauge", "effect_fiber_active -2"]
    ],
    [
      "keeps every digit of a bigint",
      [counter(12345678901234567890n, { name: "bytes" })],
      ["# TYPE bytes_total counter", "bytes_total 12345678901234567890"]
    ],
    [
      "is a counter for each word if it is a frequency",
      [frequency({ GET: 2, 'a"b': 1, "": 4 }, { name: "methods", tags: [["key", "x"]] })],
      [
        "# TYPE methods_total counter",
        'methods_total{exported_key="x",key="GET"} 2',
        'methods_total{exported_key="x",key="a\\"b"} 1',
        'methods_total{exported_key="x"} 4'
      ]
    ],
    [
      "has one bucket of all values, which counts `NaN` too",
      [histogram([1, 5, Infinity], [0.5, 2, NaN, 9], { name: "size", tags: [["le", "x"]] })],
      [
        "# TYPE size histogram",
        'size_bucket{exported_le="x",le="1"} 1',
        'size_bucket{exported_le="x",le="5"} 2',
        'size_bucket{exported_le="x",le="+Inf"} 4',
        'size_sum{exported_le="x"} NaN',
        'size_count{exported_le="x"} 4'
      ]
    ],
    [
      "has no bucket of the largest number besides that of all values",
      [histogram([1, Number.MAX_VALUE], [2], { name: "size" })],
      [
        "# TYPE size histogram",
        'size_bucket{le="1"} 0',
        'size_bucket{le="+Inf"} 1',
        "size_sum 2",
        "size_count 1"
      ]
    ],
    [
      "has every quantile once, without a value too",
      [summary([[0.5, 2], [0.5, 2], [0.9, undefined]], { name: "age", tags: [["policy", "p"]] })], // prettier-ignore
      [
        "# TYPE age summary",
        'age{policy="p",quantile="0.5"} 2',
        'age{policy="p",quantile="0.9"} NaN',
        'age_sum{policy="p"} 6',
        'age_count{policy="p"} 3'
      ]
    ],
    [
      "is in seconds if it is a time, with the unit in its name",
      [
        histogram([0.5, 250], [3], { name: "call.duration", tags: [["time_unit", "milliseconds"]] }),
        histogram([0.005], [3], { name: "queue_seconds", tags: [["unit", "s"]] }),
        counter(1500, { name: "cpu_ms_total", tags: [["unit", "ms"]] }),
        gauge(10, { name: "ms", tags: [["unit", "ms"]] }),
        gauge(7, { name: "heap", tags: [["unit", "By"]] }),
        gauge(8, { name: "beans", tags: [["unit", "beans"]] })
      ],
      [
        "# TYPE beans gauge",
        "beans 8",
        "# TYPE call_duration_seconds histogram",
        'call_duration_seconds_bucket{le="0.0005"} 0',
        'call_duration_seconds_bucket{le="0.25"} 1',
        'call_duration_seconds_bucket{le="+Inf"} 1',
        "call_duration_seconds_sum 0.003",
        "call_duration_seconds_count 1",
        "# TYPE cpu_seconds_total counter",
        "cpu_seconds_total 1.5",
        "# TYPE heap_bytes gauge",
        "heap_bytes 7",
        "# TYPE queue_seconds histogram",
        'queue_seconds_bucket{le="0.005"} 0',
        'queue_seconds_bucket{le="+Inf"} 1',
        "queue_seconds_sum 3",
        "queue_seconds_count 1",
        "# TYPE seconds gauge",
        "seconds 0.01"
      ]
    ],
    [
      "shares a family with one of another unit",
      [
        histogram([1000], [3], { name: "wait", tags: [["unit", "ms"], ["at", "a"]] }), // prettier-ignore
        histogram([1000], [3], { name: "wait", tags: [["unit", "s"], ["at", "b"]] }) // prettier-ignore
      ],
      [
        "# TYPE wait_seconds histogram",
        'wait_seconds_bucket{at="a",le="1"} 1',
        'wait_seconds_bucket{at="a",le="+Inf"} 1',
        'wait_seconds_sum{at="a"} 0.003',
        'wait_seconds_count{at="a"} 1',
        'wait_seconds_bucket{at="b",le="1000"} 1',
        'wait_seconds_bucket{at="b",le="+Inf"} 1',
        'wait_seconds_sum{at="b"} 3',
        'wait_seconds_count{at="b"} 1'
      ]
    ],
    [
      "has values that are no finite number",
      [gauge(NaN, { name: "a" }), gauge(Infinity, { name: "b" }), gauge(-Infinity, { name: "c" })],
      ["# TYPE a gauge", "a NaN", "# TYPE b gauge", "b +Inf", "# TYPE c gauge", "c -Inf"]
    ],
    [
      "has label values in which quotes, backslashes and newlines are escaped",
      [gauge(1, { name: "a", tags: [["policy", 'a"b\\c\nd{}<b>']] })],
      ["# TYPE a gauge", 'a{policy="a\\"b\\\\c\\nd{}<b>"} 1']
    ],
    [
      "has no half of a surrogate pair, which could not be encoded",
      [gauge(1, { name: "a", tags: [["x", "a\ud800b😀"]] })],
      ["# TYPE a gauge", 'a{x="a\uFFFDb😀"} 1']
    ],
    [
      "has neither labels without a value nor labels of a unit",
      [gauge(1, { name: "a", tags: [["x", ""], ["unit", "1"], ["time_unit", "?"]] })], // prettier-ignore
      ["# TYPE a gauge", "a 1"]
    ],
    [
      "has valid names",
      [gauge(1, { name: "1st größe (cm)", tags: [["2nd", "a"], ["__name__", "b"], ["ä", "c"]] })], // prettier-ignore
      ["# TYPE _1st_gr_e_cm_ gauge", '_1st_gr_e_cm_{_="c",_2nd="a",_name__="b"} 1']
    ],
    [
      "joins the values of tags that become one label",
      [gauge(1, { name: "a", tags: [["b_c", "2"], ["b.c", "1"], ["b.c", "3"]] })], // prettier-ignore
      ["# TYPE a gauge", 'a{b_c="3;2"} 1']
    ],
    [
      "is added to counters that become the same series",
      [
        counter(1, { name: "a.b", tags: [["x", "1"], ["y", "2"]] }), // prettier-ignore
        counter(2n, { name: "a_b", tags: [["y", "2"], ["x", "1"]] }), // prettier-ignore
        counter(4, { name: "a_b", tags: [["x", "1"], ["y", "2"]], description: "B" }) // prettier-ignore
      ],
      ["# TYPE a_b_total counter", 'a_b_total{x="1",y="2"} 7']
    ],
    [
      "is added to a counter of another unit",
      [
        counter(500, { name: "a", tags: [["unit", "ms"]] }), // prettier-ignore
        counter(2, { name: "a", tags: [["unit", "s"]] }) // prettier-ignore
      ],
      ["# TYPE a_seconds_total counter", "a_seconds_total 2.5"]
    ],
    [
      "is added to another one that counts, also where it may fall",
      [falling(1, { name: "a.b" }), falling(-3, { name: "a_b" })],
      ["# TYPE a_b gauge", "a_b -2"]
    ],
    [
      "stays the first of gauges that become the same series",
      [gauge(1, { name: "a.b" }), gauge(2, { name: "a_b" })],
      ["# TYPE a_b gauge", "a_b 1"]
    ],
    [
      "has another name if a metric of another type has it, wherever they stand",
      [
        gauge(1, { name: "a_total" }),
        gauge(2, { name: "b_count" }),
        summary([], { name: "b" }),
        histogram([], [], { name: "b" }),
        counter(3, { name: "a" })
      ],
      [
        "# TYPE a_total counter",
        "a_total 3",
        "# TYPE a_total_2 gauge",
        "a_total_2 1",
        "# TYPE b histogram",
        'b_bucket{le="+Inf"} 0',
        "b_sum 0",
        "b_count 0",
        "# TYPE b_2 summary",
        "b_2_sum 6",
        "b_2_count 3",
        "# TYPE b_count_2 gauge",
        "b_count_2 2"
      ]
    ]
  ]

  for (const [sentence, of, expected] of cases) it(sentence, () => written(of, expected))

  it("has its description on one line, or its name in Effect", () => {
    const page = Prometheus.format([
      gauge(1, { name: "a.b", description: "one\ntwo \\ three" }),
      gauge(1, { name: "c.d" })
    ])
    assert.deepStrictEqual(
      page.split("\n").filter((line) => line.startsWith("# HELP")),
      ["# HELP a_b one\\ntwo \\\\ three", "# HELP c_d c.d"]
    )
  })

  it("can be read, has no series twice, and is in the same family in another order, whatever it is", () => {
    FastCheck.assert(
      FastCheck.property(pairs, (some) => {
        const families = read(Prometheus.format(some))
        const names = families.map(({ name }) => name)
        assert.deepStrictEqual(names, [...new Set(names)].sort())
        const series = families.flatMap(({ samples }) =>
          samples.map(({ labels, name }) => JSON.stringify([name, Object.entries(labels).sort()]))
        )
        assert.strictEqual(new Set(series).size, series.length)
        for (const { name, samples, type } of families) {
          const parts = { histogram: ["_bucket", "_sum", "_count"], summary: ["", "_sum", "_count"] }[type]
          for (const sample of samples) {
            assert.include(parts ?? [""], sample.name.slice(name.length))
            assert.isTrue(Object.keys(sample.labels).every((label) => !label.startsWith("__")))
          }
        }
        const shape = (page: string) => read(page).map(({ name, type }) => [name, type])
        assert.deepStrictEqual(
          shape(Prometheus.format(some.slice().reverse())),
          shape(Prometheus.format(some))
        )
      }),
      { numRuns: runs(300, 20_000) }
    )
  })

  it("shows its latest value and its latest words", () => {
    const key = { name: "methods" }
    for (const words of [{ GET: 1 }, { GET: 2, PUT: 1 }])
      written(
        [frequency(words, key)],
        [
          "# TYPE methods_total counter",
          ...Object.entries(words).map(([word, n]) => `methods_total{key="${word}"} ${n}`)
        ]
      )
    const { metricKey } = counter(0, { name: "a" })
    for (const count of [1, 2]) {
      const pair = MetricPair.unsafeMake(metricKey, MetricState.counter(count))
      written([pair], ["# TYPE a_total counter", `a_total ${count}`])
    }
  })

  it.effect("is one of Effect's own or of the program's", () =>
    Effect.gen(function* () {
      const shipped = Metric.counter("test.prometheus.shipped", { incremental: true })
      yield* Metric.incrementBy(Metric.tagged(shipped, "to", "Ü"), 2)
      const families = read(yield* Prometheus.text)
      const family = families.find(({ name }) => name === "test_prometheus_shipped_total")
      assert.deepStrictEqual(family?.samples, [{ name: family?.name ?? "", labels: { to: "Ü" }, value: 2 }])
      yield* Metric.increment(Metric.tagged(shipped, "to", "Ü"))
      assert.include(yield* Prometheus.text, 'test_prometheus_shipped_total{to="Ü"} 3\n')
    })
  )
})
