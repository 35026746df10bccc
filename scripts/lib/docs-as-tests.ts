// A vite plugin that runs a markdown file as a test file: every ```ts example is a separate module, with its own imports and tests.
// Failures point to the line in the markdown file. "ts no-check" examples are left out.
import * as fs from "node:fs"
import type { Plugin } from "vite"
import { type DocBlock, inPlace, markdownBlocks } from "./doc-blocks.js"

const page = /\.md$/
// A path and not a query, because stack traces drop the query and would lose the source map.
const example = /^(.+\.md)\.(\d+)\.ts$/

export const docsAsTests = (): Plugin => ({
  name: "docs-as-tests",
  enforce: "pre",
  resolveId: (id) => (example.test(id) ? id : undefined),
  load(id) {
    if (page.test(id)) return suite(id)
    const [, file, line] = example.exec(id) ?? []
    const block = file && blocksOf(file).find((candidate) => candidate.line === Number(line))
    return block ? inPlace(block) : undefined
  }
})

const blocksOf = (file: string): ReadonlyArray<DocBlock> =>
  markdownBlocks(file, fs.readFileSync(file, "utf8")).filter((block) => block.checked)

/** One suite per example. An example without tests passes when it runs to its end. */
const suite = (file: string): string => {
  const cases = blocksOf(file).map(({ code, line }) => {
    const title = JSON.stringify(`example at line ${line}`)
    const load = `() => import(${JSON.stringify(`${file}.${line}.ts`)})`
    return /from "(@effect\/)?vitest"/.test(code) ? `describe(${title}, ${load})` : `it(${title}, ${load})`
  })
  return [`import { describe, it } from "vitest"`, ...cases].join("\n")
}
