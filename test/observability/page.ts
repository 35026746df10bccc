/** What docs/observability.md says, by its tables. */
import * as fs from "node:fs"
import * as path from "node:path"

export const docs = path.resolve(import.meta.dirname, "../../docs")
export const page = fs.readFileSync(path.join(docs, "observability.md"), "utf8")

export type Row = Readonly<Record<string, string>>

/** The table between the marks `<!-- name -->` and `<!-- /name -->`, by the names of its columns. */
export const table = (name: string): ReadonlyArray<Row> => {
  const [, marked = ""] = page.split(new RegExp(`<!-- /?${name} -->`))
  return rowsOf(marked)
}

/** The rows of a table in Markdown, by the names of its columns. */
export const rowsOf = (markdown: string): ReadonlyArray<Row> => {
  const [head = [], , ...rows] = markdown
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
export const codes = (cell = ""): ReadonlyArray<string> =>
  [...cell.matchAll(/`([^`]+)`/g)].map(([, code = ""]) => code)

export const words = (cell = ""): ReadonlyArray<string> => cell.split(", ").filter((word) => word !== "")
