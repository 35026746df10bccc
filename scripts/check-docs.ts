// `npm run docs:check`: compiles every TypeScript example in README.md, docs and the doc comments of src. An example opts out with
// the info string "ts no-check"; the report counts these.
import { compileBlocks, repositoryBlocks } from "./lib/compile-docs.js"

const blocks = repositoryBlocks()
const problems = compileBlocks(blocks)
const optedOut = blocks.filter((block) => !block.checked).length
const files = new Set(blocks.map((block) => block.file)).size

for (const problem of problems) console.error(problem)
console.log(
  `${blocks.length - optedOut} examples in ${files} files compiled, ${optedOut} opted out, ${problems.length} problems`
)
if (blocks.length === 0) console.error("No examples were found, so the search for them is broken.")
process.exitCode = problems.length > 0 || blocks.length === 0 ? 1 : 0
