/** The results as tables for people, with the targets beside them. */
import * as fs from "node:fs"
import * as os from "node:os"
import { type Path, paths, type Target } from "./paths.js"
import type { Results, Row } from "./run.js"

const others = ["bare", "plain", "cockatiel", "opossum", "p-limit"] as const
type Other = (typeof others)[number]

const titles: { readonly [table in Row["table"]]: string } = {
  "in a fiber": "Calls inside a running fiber",
  "from promises": "Calls from promises, a fiber for each",
  sustained: "Calls over two seconds, collections included"
}

/** Two measurements of the same differ by as much as this, so a target is missed when it is missed by more. */
const tolerance = 1.2

const targetOf = ({ body, path, table }: Row): Target => {
  const found = paths.find((candidate: Path) => `${candidate.policy}, ${candidate.path}` === path)
  return (table === "in a fiber" ? found?.targets[body] : undefined) ?? {}
}

const targetFor = (row: Row, other: Other): number | undefined =>
  other === "p-limit" ? undefined : targetOf(row)[other]

/** A number with as many digits as mean something. */
const figure = (value: number): string =>
  value >= 100 ? value.toFixed(0) : value >= 10 ? value.toFixed(1) : value.toPrecision(2)

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
  const header = ["path", "body", "ns", ...others.map((other) => `x ${other}`)]
  const lines = rows.map((row) => [
    row.path,
    row.body,
    figure(row.nanos),
    ...others.map((other) => cell(row, other))
  ])
  return rows.length === 0 ? "" : `### ${titles[name]}\n\n${table(header, lines)}\n`
}

const growthTable = ({ growth }: Results): string => {
  const lines = growth.map(({ figure: bound, points, what }) => [
    what,
    points.map(({ at, nanos }) => `${at}: ${figure(nanos)}`).join("; "),
    bound === undefined
      ? ""
      : `${bound.name}: ${figure(bound.value)} of ${bound.target}${bound.value > bound.target * tolerance ? " (missed)" : ""}`
  ])
  return growth.length === 0 ? "" : `### Growth, ns a call\n\n${table(["what", "ns", "target"], lines)}\n`
}

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
    growthTable(results)
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
  ...results.growth.flatMap(({ figure: bound, what }) =>
    bound !== undefined && bound.value > bound.target * tolerance
      ? [`${what}, ${bound.name}: ${figure(bound.value)}, the target is ${bound.target}`]
      : []
  )
]
