// What a reader of the installed package finds: links that lead to files of the package, and a changelog for its version.
import * as fs from "node:fs"
import * as path from "node:path"

const link = /\]\(([^)#?\s]+)[^)]*\)/g
const code = /^(\s*)(`{3,}|~{3,})[\s\S]*?^\s*\2|`[^`\n]*`/gm

/** The relative links of the pages of a package that lead to none of its files. */
export const linkProblems = (installed: string, files: ReadonlyArray<string>): ReadonlyArray<string> =>
  files
    .filter((file) => file.endsWith(".md"))
    .flatMap((page) => {
      const text = fs.readFileSync(path.join(installed, page), "utf8").replace(code, "")
      return [...text.matchAll(link)]
        .map(([, target]) => target)
        .filter((target) => !/^[a-z]+:/i.test(target))
        .filter((target) => !leadsTo(files, path.posix.join(path.posix.dirname(page), target)))
        .map((target) => `${page}: the package has no ${target}`)
    })

const leadsTo = (files: ReadonlyArray<string>, target: string): boolean => {
  const name = target.replace(/\/$/, "")
  return files.some((file) => file === name || file.startsWith(`${name}/`))
}

/** The newest release of a changelog has to be the version of the package. What comes after it is "Unreleased". */
export const changelogProblems = (changelog: string, version: string): ReadonlyArray<string> => {
  const headings = [...changelog.matchAll(/^## (.+)$/gm)].map(([, heading]) => heading)
  const newest = headings.find((heading) => heading !== "Unreleased")?.split(" ")[0]
  if (newest !== version)
    return [`the newest release in CHANGELOG.md is ${newest}, the package is ${version}`]
  return headings.lastIndexOf("Unreleased") > 0 ? ["what is unreleased stands first in CHANGELOG.md"] : []
}
