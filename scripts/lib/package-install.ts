// Follows the README in an empty project: installs with its lines, compiles its examples, and runs a test of docs/testing.md.
import { execFileSync } from "node:child_process"
import * as fs from "node:fs"
import * as path from "node:path"
import { type DocBlock, markdownBlocks } from "./doc-blocks.js"

/** The commands in the section "Install" of a README, with the tarball instead of the published package. */
export const installCommands = (readme: string, name: string, tarball: string): ReadonlyArray<string> => {
  const [, section = ""] = /^## Install$([\s\S]*?)^## /m.exec(readme) ?? []
  return [...section.matchAll(/^npm install .*$/gm)].map(([command]) =>
    command.replace(new RegExp(` ${name}(?= |$)`), ` ${tarball}`)
  )
}

/** Runs a command in a project. Its output is shown only when it fails. */
export const runIn = (project: string, command: string): string => {
  const [program, ...args] = command.split(" ")
  return execFileSync(program, args, {
    cwd: project,
    encoding: "utf8",
    // Prefers npm's cache.
    env: { ...process.env, npm_config_prefer_offline: "true", npm_config_audit: "false" }
  })
}

const tsconfig = {
  compilerOptions: {
    target: "ES2022",
    lib: ["ES2022", "DOM"],
    module: "NodeNext",
    moduleDetection: "force",
    strict: true,
    exactOptionalPropertyTypes: true,
    skipLibCheck: true,
    noEmit: true
  }
}

/** Compiles the examples of the installed pages and runs the first test of docs/testing.md. */
export const usageProblems = (project: string, installed: string): ReadonlyArray<string> => {
  const blocksOf = (page: string): ReadonlyArray<DocBlock> =>
    markdownBlocks(page, fs.readFileSync(path.join(installed, page), "utf8")).filter(({ checked }) => checked)
  const write = (file: string, text: string): void => fs.writeFileSync(path.join(project, file), text)

  write("tsconfig.json", JSON.stringify(tsconfig))
  for (const { code, line } of blocksOf("README.md")) write(`readme-${line}.ts`, code)
  const test = blocksOf("docs/testing.md").find(({ code }) => code.includes("TestClock"))
  if (test === undefined) return ["docs/testing.md has no test"]
  write("retry.test.ts", test.code)

  return ["npx tsc", "npx vitest run"].flatMap((command) => {
    try {
      runIn(project, command)
      return []
    } catch (error) {
      const { stderr, stdout } = error as { readonly stderr: string; readonly stdout: string }
      return [`${command} fails in a project with the package:\n${stdout}${stderr}`]
    }
  })
}
