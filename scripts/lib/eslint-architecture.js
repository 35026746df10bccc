// The architecture of src/ as lint rules: what each folder may import, and that time and randomness have one source. Every rule has an
// offending and an allowed snippet in test/tooling/architecture.test.ts.
import * as path from "node:path"
import { createNodeResolver, importX } from "eslint-plugin-import-x"
import { internals, isIntegration, policies, rooms } from "./rooms.js"

/** Import paths are matched as written, so a rule encodes the location of the importing file in its regex. */
const forbidImports = (...patterns) => ({ "no-restricted-imports": ["error", { patterns }] })

const barrel = {
  regex: "^\\.{1,2}/(\\.\\./)*index\\.js$|^effect-resilience(/|$)",
  message: "src imports the module itself, never a barrel or the package's own name: both make cycles."
}
const effectRoot = {
  regex: "^effect$|^@effect/[^/]+$",
  message: "src imports one module, such as effect/Effect: a package root defeats tree-shaking."
}
const hiddenTime = {
  regex: "^(node:)?(timers|perf_hooks)(/|$)",
  message: "Time comes from Effect's Clock, or tests cannot control it."
}
const hiddenRandomness = {
  regex: "^(node:)?crypto$",
  allowImportNamePattern: "^createHash$",
  message: "Randomness comes from Effect's Random, or tests cannot control it. A digest has none."
}
/** What no file of src/ imports, except for `core`, which imports no package at all. */
const everywhere = [barrel, effectRoot, hiddenTime, hiddenRandomness]
const nodeBuiltin = { regex: "^node:", message: "Policies run wherever Effect runs, browsers included." }
const platform = { regex: "^@effect/", message: "Policies need effect alone. Only integrations need more." }
const packages = { regex: "^[^.]", message: "src/core is pure: it imports no package." }

/** Matches imports from outside a room and the rooms that it may see. Integrations see the public modules of policies. */
const elsewhere = (room) => {
  const from = (other) => {
    const way = path.posix.relative(`/${room}`, `/${other}`)
    return (way.startsWith(".") ? way : `./${way}`).replaceAll(".", "\\.")
  }
  const filesOf = (other) => (isIntegration(room) && policies.includes(other) ? "[A-Z][^/]*" : "[^/]+")
  const allowed = [
    "\\./[^/]+",
    ...rooms[room].map((other) => `${from(other)}/${filesOf(other)}`),
    ...(internals[room] ?? []).map(from)
  ]
  return {
    regex: `^(?=\\.)(?!(${allowed.join("|")})$)`,
    caseSensitive: true,
    message: `src/${room} sees its own files and ${rooms[room].map((other) => `src/${other}`).join(", ") || "nothing else"}, an integration only public modules of policies (scripts/lib/rooms.js).`
  }
}

const dependencies = [
  { files: ["src/**/*.ts"], rules: forbidImports(...everywhere) },
  ...Object.keys(rooms).map((room) => ({
    files: [`src/${room}/*.ts`],
    // An entry re-exports public modules of several rooms.
    ignores: ["**/index.ts"],
    rules: room.startsWith("core")
      ? forbidImports(barrel, elsewhere(room), packages)
      : isIntegration(room)
        ? forbidImports(...everywhere, elsewhere(room))
        : forbidImports(...everywhere, nodeBuiltin, platform, elsewhere(room))
  }))
]

const timeMessage =
  "Ask Effect's Clock or Random, so that TestClock and a seed decide. The exception is src/internal/time.ts."
const forbiddenGlobals = [
  "setTimeout",
  "setInterval",
  "setImmediate",
  "queueMicrotask",
  "requestAnimationFrame",
  "performance",
  "crypto",
  "process"
]
const forbiddenCalls = [
  ["Date", "now"],
  ["Math", "random"]
]

const memberOf = (object, name) => `MemberExpression[object.name='${object}'][property.name=/^${name}$/]`
const moduleOf = (name) => `ImportDeclaration[source.value='${name}']`

/** What differs between versions of Effect, and the only file that may use it: a port changes that file. */
const seams = [
  ["src/internal/wait.ts", "how a waiter is resumed", memberOf("Effect", "async(Effect)?")],
  [
    "src/internal/fork.ts",
    "how a fiber starts",
    memberOf("Effect", "fork\\w*"),
    memberOf("Runtime", "run\\w+")
  ],
  [
    "src/internal/duration.ts",
    "the input of a duration",
    `${moduleOf("effect/Duration")} > ImportSpecifier[imported.name='DurationInput']`,
    "TSQualifiedName[left.name='Duration'][right.name='DurationInput']"
  ],
  ["src/internal/schedule.ts", "how a schedule is stepped", moduleOf("effect/ScheduleIntervals")],
  [
    "src/http/client/errors.ts",
    "the errors of HTTP clients",
    "NewExpression[callee.object.name='HttpClientError']",
    memberOf("HttpClientError", "isHttpClientError")
  ]
]

/** What only one file may do. */
const reserved = [
  ...seams.map(([file, what, ...selectors]) => ({ file, selectors, message: `${file} alone says ${what}.` })),
  {
    // The texts of a page are a hundred kilobytes that few programs need. The import rules above see static imports only.
    file: "src/http/dashboard/files.ts",
    selectors: ["ImportExpression"],
    message: "src is imported statically, so that its architecture can be checked."
  }
]

const syntax = (allowed) => [
  "error",
  // With an argument Date only converts a time that was read elsewhere.
  { selector: "NewExpression[callee.name='Date'][arguments.length=0]", message: timeMessage },
  { selector: "CallExpression[callee.name='Date']", message: timeMessage },
  {
    selector: "MemberExpression[object.name='globalThis'][property.name=/^(Date|Math)$/]",
    message: timeMessage
  },
  ...reserved.flatMap(({ file, message, selectors }) =>
    file === allowed ? [] : selectors.map((selector) => ({ selector, message }))
  )
]

const forbidGlobals = (names) => [
  "error",
  { globals: names.map((name) => ({ name, message: timeMessage })), checkGlobalObject: true }
]

const timeAndRandomness = [
  {
    files: ["src/**/*.ts"],
    ignores: ["src/internal/time.ts"],
    rules: {
      "no-restricted-globals": forbidGlobals(forbiddenGlobals),
      "no-restricted-properties": [
        "error",
        ...forbiddenCalls.map(([object, property]) => ({ object, property, message: timeMessage }))
      ],
      "no-restricted-syntax": syntax()
    }
  },
  {
    // The secret of hashed keys comes from the host: one of Random could be replayed with a seed.
    files: ["src/http/admin/keys.ts"],
    rules: { "no-restricted-globals": forbidGlobals(forbiddenGlobals.filter((name) => name !== "crypto")) }
  },
  ...reserved.map(({ file }) => ({ files: [file], rules: { "no-restricted-syntax": syntax(file) } }))
]

const modules = {
  files: ["src/**/*.ts"],
  plugins: { "import-x": importX },
  settings: {
    "import-x/extensions": [".ts"],
    "import-x/parsers": { "@typescript-eslint/parser": [".ts"] },
    "import-x/resolver-next": [createNodeResolver({ extensionAlias: { ".js": [".ts", ".js"] } })]
  },
  rules: {
    "import-x/no-cycle": ["error", { ignoreExternal: true }],
    "no-console": "error"
  }
}

export const architecture = [...dependencies, ...timeAndRandomness, modules]
