// That `npm run docs:check`, which compiles the documentation, can be trusted: it finds the examples, and reports a broken
// one at the line a reader would open.
import { expect, it } from "vitest"
import { compileBlocks, repositoryBlocks } from "../../scripts/lib/compile-docs.js"
import { markdownBlocks, sourceBlocks } from "../../scripts/lib/doc-blocks.js"

const compileTimeout = 60_000

const page = `# A page

\`\`\`ts
import { Effect } from "effect"

const unused = await Effect.runPromise(Effect.succeed(1))
\`\`\`

\`\`\`sh
not typescript
\`\`\`

- In a list:

  \`\`\`ts
  import { Effect } from "effect"

  const wrong: Effect.Effect<string> = Effect.succeed(1)
  \`\`\`

\`\`\`ts no-check
this is not typescript
\`\`\`

~~~~ts
const text: string = null
~~~~
`

const source = `/**
 * A module.
 */
const glob = "src/**/not a comment"

/**
 * Adds.
 *
 * @example
 * \`\`\`ts
 * const four: number = "four"
 * \`\`\`
 */
export const add = 1 // \`\`\`ts
`

it("the check of the docs finds the ts blocks of a page, with their lines", () => {
  const blocks = markdownBlocks("docs/page.md", page)
  expect(blocks.map(({ line, checked }) => ({ line, checked }))).toEqual([
    { line: 4, checked: true },
    { line: 16, checked: true },
    { line: 22, checked: false },
    { line: 26, checked: true }
  ])
  expect(blocks[1].code.split("\n")[0]).toBe(`import { Effect } from "effect"`)
})

it("the check of the docs finds the ts blocks of doc comments, with their lines", () => {
  expect(sourceBlocks("src/add.ts", source)).toEqual([
    { file: "src/add.ts", line: 11, code: `const four: number = "four"`, checked: true }
  ])
})

it(
  "the check of the docs reports an error at its line, and nothing else",
  () => {
    const blocks = [...markdownBlocks("docs/page.md", page), ...sourceBlocks("src/add.ts", source)]
    const places = compileBlocks(blocks).map((problem) => /^[^:]+:\d+/.exec(problem)?.[0])
    expect(places).toEqual(["docs/page.md:18", "docs/page.md:26", "src/add.ts:11"])
  },
  compileTimeout
)

it("the check of the docs finds the examples of README.md, docs and src", () => {
  const files = new Set(repositoryBlocks().map(({ file }) => file.split("/")[0]))
  expect([...files].sort()).toEqual(["README.md", "docs", "src"])
})
