// Type-checks the installed package as a user's compiler does, for both module resolutions, including the package's own declarations:
// with skipLibCheck, a broken one would silently become `any`.
import * as path from "node:path"
import ts from "typescript"

const resolutions = [
  { name: "NodeNext", module: ts.ModuleKind.NodeNext, moduleResolution: ts.ModuleResolutionKind.NodeNext },
  { name: "Bundler", module: ts.ModuleKind.ESNext, moduleResolution: ts.ModuleResolutionKind.Bundler }
]

export const declarationProblems = (
  consumer: string,
  entries: ReadonlyArray<string>
): ReadonlyArray<string> => {
  const file = path.join(consumer, "consumer.ts")
  ts.sys.writeFile(file, consumerOf(entries))
  return resolutions.flatMap(({ name, ...resolution }) => {
    const program = ts.createProgram([file], {
      ...resolution,
      target: ts.ScriptTarget.ES2022,
      lib: ["lib.es2022.d.ts", "lib.dom.d.ts"],
      strict: true,
      exactOptionalPropertyTypes: true,
      noEmit: true,
      types: []
    })
    const checked = program
      .getSourceFiles()
      .filter((source) => source.fileName === file || source.fileName.includes("/effect-resilience/dist/"))
    const diagnostics = [
      ...program.getOptionsDiagnostics(),
      ...checked.flatMap((source) => program.getSemanticDiagnostics(source))
    ]
    return diagnostics.map((diagnostic) => `${name}: ${describe(consumer, diagnostic)}`)
  })
}

/** A module that uses every entry. `Retry` from the barrel has to be the same module. */
const consumerOf = (entries: ReadonlyArray<string>): string =>
  [
    ...entries.map((entry, index) => `import * as entry${index} from "${entry}"`),
    `import { Retry } from "effect-resilience"`,
    `import * as RetryModule from "effect-resilience/Retry"`,
    `export const used: ReadonlyArray<object> = [${entries.map((_, index) => `entry${index}`).join(", ")}]`,
    `export const same: typeof RetryModule = Retry`,
    `type IsAny<T> = 0 extends 1 & T ? true : false`,
    `export const typed: IsAny<typeof Retry.retry> = false`
  ].join("\n")

const describe = (consumer: string, diagnostic: ts.Diagnostic): string => {
  const message = ts.flattenDiagnosticMessageText(diagnostic.messageText, "\n  ")
  if (diagnostic.file === undefined) return message
  const { line } = diagnostic.file.getLineAndCharacterOfPosition(diagnostic.start ?? 0)
  return `${path.relative(consumer, diagnostic.file.fileName)}:${line + 1}: ${message}`
}
