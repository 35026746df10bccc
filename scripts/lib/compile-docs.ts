// Type-checks documentation examples, each as a separate module of one program, with the options and the package names of the
// repository. Writes nothing to disk.
import * as fs from "node:fs"
import * as path from "node:path"
import ts from "typescript"
import { type DocBlock, inPlace, markdownBlocks, sourceBlocks } from "./doc-blocks.js"

export const root = path.resolve(import.meta.dirname, "../..")

/** Every example of the repository: README.md, docs, and the doc comments of src. */
export const repositoryBlocks = (): ReadonlyArray<DocBlock> => {
  const markdown = ["README.md", ...filesIn("docs", ".md")].filter((file) =>
    fs.existsSync(path.join(root, file))
  )
  return [
    ...markdown.flatMap((file) => markdownBlocks(file, read(file))),
    ...filesIn("src", ".ts").flatMap((file) => sourceBlocks(file, read(file)))
  ]
}

/** Compiles the examples that did not opt out and returns their problems as `file:line: message`. */
export const compileBlocks = (blocks: ReadonlyArray<DocBlock>): ReadonlyArray<string> => {
  const modules = new Map<string, DocBlock>()
  for (const block of blocks) if (block.checked) modules.set(virtualName(block), block)

  const options = compilerOptions()
  const host = ts.createCompilerHost(options)
  const { fileExists, getSourceFile, readFile } = host
  host.fileExists = (file) => modules.has(file) || fileExists(file)
  host.readFile = (file) => {
    const block = modules.get(file)
    return block ? inPlace(block) : readFile(file)
  }
  host.getSourceFile = (file, version, ...rest) => {
    const block = modules.get(file)
    return block ? ts.createSourceFile(file, inPlace(block), version) : getSourceFile(file, version, ...rest)
  }

  const program = ts.createProgram([...modules.keys()], options, host)
  const problems = program.getOptionsDiagnostics().map((diagnostic) => messageOf(diagnostic))
  for (const [name, block] of modules) {
    const source = program.getSourceFile(name)
    const diagnostics = [
      ...program.getSyntacticDiagnostics(source),
      ...program.getSemanticDiagnostics(source)
    ]
    for (const diagnostic of diagnostics) {
      const position = source?.getLineAndCharacterOfPosition(diagnostic.start ?? 0)
      problems.push(`${block.file}:${(position?.line ?? 0) + 1}: ${messageOf(diagnostic)}`)
    }
  }
  return problems
}

/** The options of the repository, except that unused declarations are allowed. */
const compilerOptions = (): ts.CompilerOptions => {
  const config = path.join(root, "tsconfig.json")
  const { error, config: json } = ts.readConfigFile(config, ts.sys.readFile)
  if (error) throw new Error(messageOf(error))
  const { options } = ts.parseJsonConfigFileContent(json, ts.sys, root, undefined, config)
  return { ...options, noUnusedLocals: false, noUnusedParameters: false, incremental: false }
}

// Inside the repository, so that the compiler finds node_modules and the package.json that makes modules ESM.
const virtualName = (block: DocBlock): string =>
  path
    .join(root, ".doc-examples", `${block.file.replaceAll(/[\\/.]/g, "-")}-${block.line}.ts`)
    .replaceAll("\\", "/")

const messageOf = (diagnostic: ts.Diagnostic): string =>
  `${ts.flattenDiagnosticMessageText(diagnostic.messageText, "\n  ")} (TS${diagnostic.code})`

const read = (file: string): string => fs.readFileSync(path.join(root, file), "utf8")

const filesIn = (folder: string, extension: string): ReadonlyArray<string> => {
  const absolute = path.join(root, folder)
  if (!fs.existsSync(absolute)) return []
  return fs
    .readdirSync(absolute, { recursive: true, encoding: "utf8" })
    .filter((file) => file.endsWith(extension))
    .sort()
    .map((file) => path.posix.join(folder, file.replaceAll("\\", "/")))
}
