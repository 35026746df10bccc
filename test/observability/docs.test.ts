// The tables of docs/observability.md are those of the code.
import * as fs from "node:fs"
import * as path from "node:path"
import { describe, expect, it } from "vitest"
import { type Alert, alerts, burns } from "../../src/observability/alertTable.js"

const docs = path.resolve(import.meta.dirname, "../../docs")
const page = fs.readFileSync(path.join(docs, "observability.md"), "utf8")

type Row = Readonly<Record<string, string>>

/** The table between the marks `<!-- name -->` and `<!-- /name -->`, by the names of its columns. */
const table = (name: string): ReadonlyArray<Row> => {
  const [, marked = ""] = page.split(new RegExp(`<!-- /?${name} -->`))
  const [head = [], , ...rows] = marked
    .trim()
    .split("\n")
    .map((line) =>
      line
        .split("|")
        .slice(1, -1)
        .map((cell) => cell.trim())
    )
  return rows.map((row) => Object.fromEntries(head.map((column, index) => [column, row[index] ?? ""])))
}

/** What a cell has in backticks. */
const codes = (cell = ""): ReadonlyArray<string> =>
  [...cell.matchAll(/`([^`]+)`/g)].map(([, code = ""]) => code)

const words = (cell = ""): ReadonlyArray<string> => cell.split(", ").filter((word) => word !== "")

describe("the page about observability", () => {
  const holds: Readonly<Record<string, string>> = { undefined: "`window`", 0: "at once", 60_000: "1 minute" }

  it("has every alert with its kinds and when it fires by default", () => {
    const documented = table("alerts").map((row) => [
      codes(row["Alert"])[0],
      row["Kinds"] === "of an SLO" ? undefined : [...words(row["Kinds"])].sort(),
      row["Above"],
      row["For"]
    ])
    const ofKinds: ReadonlyArray<readonly [string, Alert]> = Object.entries(alerts)
    expect(documented).toEqual([
      ...ofKinds.map(([name, { forMillis, kinds, threshold }]) => [
        name,
        [...kinds].sort(),
        String(threshold),
        holds[String(forMillis)]
      ]),
      ...Object.keys(burns).map((name) => [name, undefined, "", "at once"])
    ])
  })

  it("says for every alert what to do, at an anchor of its name", () => {
    const [, runbook = ""] = page.split("### Runbook")
    const headings = [...runbook.matchAll(/^#### (\w+)$/gm)].map(([, name]) => name)
    expect(headings).toEqual([...Object.keys(alerts), ...Object.keys(burns)])
  })
})
