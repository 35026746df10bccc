/** The results as tables for people, with the targets beside them. */
import * as fs from "node:fs"
import * as os from "node:os"
import { guarded } from "./guarded.js"
import { type Path, paths, type Target } from "./paths.js"
import type { Results, Row } from "./run.js"
import { figure, type Study } from "./studies.js"

const others = ["bare", "hand", "fiber", "plain", "cockatiel", "opossum", "p-limit"] as const
type Other = (typeof others)[number]

const titles: { readonly [table in Row["table"]]: string } = {
  "in a fiber": "Calls inside a running fiber",
  "from promises": "Calls from promises, guarded by `Policy.promise`",
  sustained: "Calls over two seconds, collections included"
}

/** Two measurements of the same differ by as much as this, so a target is missed when it is missed by more. */
const tolerance = 1.2

const targetOf = ({ body, path, table }: Row): Target => {
  const found = paths.find((candidate: Path) => `${candidate.policy}, ${candidate.path}` === path)
  if (table === "from promises") return guarded.find((each) => each.path === path)?.target ?? {}
  return (table === "in a fiber" ? found?.targets[body] : undefined) ?? {}
}

const targetFor = (row: Row, other: Other): number | undefined =>
  other === "p-limit" || other === "fiber" ? undefined : targetOf(row)[other]

const cell = (row: Row, other: Other): string => {
  const ratio = row.ratios[other]
  if (ratio === undefined) return ""
  const target = targetFor(row, other)
  if (target === undefined) return figure(ratio)
  return `${figure(ratio)} of ${target}${ratio > target * tolerance ? " (missed)" : ""}`
}

const table = (header: ReadonlyArray<string>, rows: ReadonlyArray<ReadonlyArray<string>>): string => {
  const widths = header.map((title, column) =>
    Math.max(title.length, ...rows.map((row) => row[column].length))
  )
  const line = (cells: ReadonlyArray<string>): string =>
    `| ${cells.map((text, column) => text.padEnd(widths[column])).join(" | ")} |`
  return [line(header), line(widths.map((width) => "-".repeat(width))), ...rows.map(line)].join("\n")
}

const tableOf = (results: Results, name: Row["table"]): string => {
  const rows = results.rows.filter((row) => row.table === name)
  const shown = others.filter((other) => rows.some(({ ratios }) => ratios[other] !== undefined))
  const header = ["path", "body", "ns", ...shown.map((other) => `x ${other}`)]
  const lines = rows.map((row) => [
    row.path,
    row.body,
    figure(row.nanos),
    ...shown.map((other) => cell(row, other))
  ])
  return rows.length === 0 ? "" : `### ${titles[name]}\n\n${table(header, lines)}\n`
}

const studyTable = ({ studies }: Results, section: Study["section"]): string => {
  const lines = studies
    .filter((study) => study.section === section)
    .map(({ figure: bound, points, what }) => [
      what,
      points.map(({ at, shown }) => `${at}: ${shown}`).join("; "),
      bound === undefined
        ? ""
        : `${bound.name}: ${figure(bound.value)} of ${bound.target}${isMissed(bound) ? " (missed)" : ""}`
    ])
  return lines.length === 0 ? "" : `### ${section}\n\n${table(["what", "figures", "target"], lines)}\n`
}

const isMissed = ({ target, value }: NonNullable<Study["figure"]>): boolean => value > target * tolerance

const versionOf = (name: string): string => {
  const manifest: { readonly version: string } = JSON.parse(
    fs.readFileSync(`node_modules/${name}/package.json`, "utf8")
  )
  return manifest.version
}

/** Where the results come from. */
export const machine = () => ({
  machine: `${os.cpus()[0]?.model ?? "unknown"}, ${os.cpus().length} processors`,
  node: process.versions.node,
  versions: Object.fromEntries(
    ["effect", "cockatiel", "opossum", "p-limit", "mitata"].map((name) => [name, versionOf(name)])
  )
})

/** All tables, with where they come from. */
export const report = (results: Results): string => {
  const { machine: computer, node, versions } = machine()
  const shown = Object.entries(versions).map(([name, version]) => `${name} ${version}`)
  const parts = [
    `${computer}; Node.js ${node}; ${shown.join(", ")}.\n`,
    ...(["in a fiber", "from promises", "sustained"] as const).map((name) => tableOf(results, name)),
    ...(
      ["Building", "10 000 calls at once", "Cold starts", "Growth", "A look at 10 000 policies"] as const
    ).map((section) => studyTable(results, section))
  ]
  return parts.filter((part) => part !== "").join("\n")
}

/** The targets that are missed, each in a line. */
export const misses = (results: Results): ReadonlyArray<string> => [
  ...results.rows.flatMap((row) =>
    others.flatMap((other) => {
      const target = targetFor(row, other)
      const ratio = row.ratios[other]
      return target !== undefined && ratio !== undefined && ratio > target * tolerance
        ? [`${row.path}, ${row.body}: ${figure(ratio)} times ${other}, the target is ${target}`]
        : []
    })
  ),
  ...results.studies.flatMap(({ figure: bound, what }) =>
    bound !== undefined && isMissed(bound)
      ? [`${what}, ${bound.name}: ${figure(bound.value)}, the target is ${bound.target}`]
      : []
  )
]

// ------------------------------------------------------------------------------------------------------- the short table

/** The rows of the short table: what most programs do, and what they pay the most for. */
const summarized: ReadonlyArray<
  readonly [shown: string, table: Row["table"], path: string, body: Row["body"]]
> = [
  ["timeout, in time", "in a fiber", "timeout, in time", "sync"],
  ["circuit breaker, closed", "in a fiber", "circuit breaker, closed, default options", "sync"],
  ["circuit breaker, open", "in a fiber", "circuit breaker, open, rejected", "sync"],
  ["circuit breaker by key", "in a fiber", "circuit breaker, keyed, closed", "sync"],
  ["retry, success", "in a fiber", "retry, success", "sync"],
  ["retry, one failure", "in a fiber", "retry, one failure, no delay", "sync"],
  ["bulkhead, free", "in a fiber", "bulkhead, free", "sync"],
  ["hedge, not fired", "in a fiber", "hedge, not fired", "sync"],
  ["four policies", "in a fiber", "pipeline, composed ahead of time", "sync"],
  [
    "four policies, built for each call",
    "in a fiber",
    "pipeline, four policies, built for each call",
    "sync"
  ],
  ["four policies, a promise", "in a fiber", "pipeline, composed ahead of time", "promise"],
  ["circuit breaker, for promises", "from promises", "circuit breaker, closed, default options", "promise"],
  ["four policies, for promises", "from promises", "pipeline, timeout, breaker, retry, fallback", "promise"]
]

const times = (ratio: number | undefined): string => {
  if (ratio === undefined) return ""
  if (ratio > 1 / tolerance && ratio < tolerance) return "about the same"
  return ratio > 1 ? `${figure(ratio)} times less` : `${figure(1 / ratio)} times as much`
}

/** The ratio in which this library does worst, whatever the path. */
const worst = (rows: ReadonlyArray<Row>): string => {
  const all = rows.flatMap((row) =>
    (["plain", "cockatiel", "opossum", "p-limit"] as const).map((other) => ({
      row,
      other,
      ratio: row.ratios[other] ?? 0
    }))
  )
  const { other, ratio, row } = all.reduce((most, each) => (each.ratio > most.ratio ? each : most))
  const where = row.table === "in a fiber" ? "" : ` (${titles[row.table].toLowerCase()})`
  return `The worst row of all: \`${row.path}\` with a ${row.body === "sync" ? "synchronous" : "promise"} body${where} takes ${figure(ratio)} times as long as ${other === "plain" ? "plain Effect" : other}.`
}

/** What a reader wants to know first, in a table for the front page. */
export const summary = ({ rows }: Results): string => {
  const lines = summarized.flatMap(([shown, inTable, path, body]) => {
    const row = rows.find((each) => each.table === inTable && each.path === path && each.body === body)
    if (row === undefined) return []
    const { cockatiel, opossum, plain } = row.ratios
    return [[shown, row.nanos.toFixed(0), times(plain), times(cockatiel), times(opossum)]]
  })
  return `${table(["", "here", "plain Effect", "cockatiel", "opossum"], lines)}\n\n${worst(rows)}`
}
