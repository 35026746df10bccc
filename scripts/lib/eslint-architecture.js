// The architecture of src/ as lint rules: which folder may import what, and that time and randomness have one
// source. Every rule has an offending and an allowed snippet in test/tooling/architecture.test.ts.
import { createNodeResolver, importX } from "eslint-plugin-import-x"

/** Import paths are matched as they are written, so a rule says in its regex where the importing file is. */
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
  regex: "^(node:)?(timers|perf_hooks|crypto)(/|$)",
  message: "Time and randomness come from Effect's Clock and Random, or tests cannot control them."
}
const nodeBuiltin = { regex: "^node:", message: "Policies run wherever Effect runs, browsers included." }
const platform = { regex: "^@effect/", message: "Policies need effect alone. Only integrations need more." }
const integrationMessage = "Policies do not know their integrations: the dependency goes the other way."
const outsideCore = {
  regex: "^(?!\\./[^/]+$)",
  message: "src/core is pure: it imports its sibling modules and nothing else."
}

/** Everything in src that is not core or internal and has a folder of its own is an integration. */
const integrationSeenFromRoot = {
  regex: "^\\./(?!(core|internal)/)[^/]+/",
  message: integrationMessage
}
const integrationSeenFromInternal = {
  regex: "^(\\.\\./)+(?!(core|internal)/)[^./][^/]*/",
  message: integrationMessage
}

const dependencies = [
  { files: ["src/*/**/*.ts"], rules: forbidImports(barrel, effectRoot, hiddenTime) },
  {
    files: ["src/*.ts"],
    rules: forbidImports(barrel, effectRoot, hiddenTime, nodeBuiltin, platform, integrationSeenFromRoot)
  },
  {
    files: ["src/internal/**/*.ts"],
    rules: forbidImports(barrel, effectRoot, hiddenTime, nodeBuiltin, platform, integrationSeenFromInternal)
  },
  { files: ["src/core/**/*.ts"], rules: forbidImports(barrel, outsideCore) }
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

const timeAndRandomness = {
  files: ["src/**/*.ts"],
  ignores: ["src/internal/time.ts"],
  rules: {
    "no-restricted-globals": [
      "error",
      {
        globals: forbiddenGlobals.map((name) => ({ name, message: timeMessage })),
        checkGlobalObject: true
      }
    ],
    "no-restricted-properties": [
      "error",
      ...forbiddenCalls.map(([object, property]) => ({ object, property, message: timeMessage }))
    ],
    "no-restricted-syntax": [
      "error",
      // With an argument Date only converts a time that was read elsewhere.
      { selector: "NewExpression[callee.name='Date'][arguments.length=0]", message: timeMessage },
      { selector: "CallExpression[callee.name='Date']", message: timeMessage },
      {
        selector: "MemberExpression[object.name='globalThis'][property.name=/^(Date|Math)$/]",
        message: timeMessage
      },
      // The import rules above see static imports only.
      {
        selector: "ImportExpression",
        message: "src is imported statically, so that its architecture can be checked."
      }
    ]
  }
}

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

export const architecture = [...dependencies, timeAndRandomness, modules]
