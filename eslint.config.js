// The lint rules. General TypeScript hygiene is here; what may import what, and where time and randomness may
// come from, is in scripts/lib/eslint-architecture.js, which test/tooling/architecture.test.ts holds to account.
import eslint from "@eslint/js"
import { defineConfig, globalIgnores } from "eslint/config"
import tseslint from "typescript-eslint"
import { architecture } from "./scripts/lib/eslint-architecture.js"

const layerOfVitest = {
  name: "@effect/vitest",
  importNames: ["layer"],
  message:
    "Its `layer` replaces the `it` of every file that shares the worker: provide the layer to each test."
}

export default defineConfig(
  globalIgnores(["dist/", "coverage/", ".stryker/", "src/http/dashboard/assets.ts"]),
  { linterOptions: { reportUnusedDisableDirectives: "error" } },
  eslint.configs.recommended,
  {
    rules: {
      eqeqeq: "error",
      "no-warning-comments": ["error", { terms: ["todo", "fixme", "xxx"], location: "anywhere" }]
    }
  },
  {
    files: ["**/*.js"],
    languageOptions: { globals: { console: "readonly", process: "readonly", URL: "readonly" } }
  },
  {
    files: ["**/*.ts"],
    extends: [tseslint.configs.recommended],
    languageOptions: { parserOptions: { projectService: true, tsconfigRootDir: import.meta.dirname } },
    rules: {
      // An empty generator is a legitimate Effect.gen body.
      "require-yield": "off",
      "@typescript-eslint/consistent-type-imports": "error",
      "@typescript-eslint/no-import-type-side-effects": "error",
      // `export declare namespace X` is how Effect modules group the types that belong to a function.
      "@typescript-eslint/no-namespace": ["error", { allowDeclarations: true }],
      "@typescript-eslint/no-empty-object-type": ["error", { allowInterfaces: "with-single-extends" }],
      "@typescript-eslint/no-unused-vars": ["error", { argsIgnorePattern: "^_", varsIgnorePattern: "^_" }],
      "@typescript-eslint/array-type": ["error", { default: "generic" }],
      // From here on the rules need type information.
      "@typescript-eslint/await-thenable": "error",
      "@typescript-eslint/no-deprecated": "error",
      "@typescript-eslint/no-floating-promises": "error",
      "@typescript-eslint/no-misused-promises": "error",
      "@typescript-eslint/no-unnecessary-type-assertion": "error",
      "@typescript-eslint/switch-exhaustiveness-check": [
        "error",
        { considerDefaultExhaustiveForUnions: true }
      ]
    }
  },
  {
    // An `any` that leaks out of the library would switch the type checker off in its users' code.
    files: ["src/**/*.ts"],
    rules: {
      "@typescript-eslint/no-unsafe-argument": "error",
      "@typescript-eslint/no-unsafe-assignment": "error",
      "@typescript-eslint/no-unsafe-call": "error",
      "@typescript-eslint/no-unsafe-member-access": "error",
      "@typescript-eslint/no-unsafe-return": "error"
    }
  },
  {
    // A test that does not run proves nothing, and a focused one silences all the others.
    files: ["**/*.test.ts", "**/*.tst.ts"],
    rules: {
      "no-restricted-imports": ["error", layerOfVitest],
      "no-restricted-syntax": [
        "error",
        {
          selector:
            "MemberExpression[property.name=/^(skip|only|todo|fails)$/]:matches([object.name=/^(it|test|describe)$/], [object.object.name=/^(it|test)$/])",
          message: "Every test runs: no skip, only, todo or fails."
        }
      ]
    }
  },
  {
    // What opens sockets runs in the project "live" of vitest.config.ts, where waiting for them holds up nothing else.
    files: ["test/**/*.test.ts"],
    ignores: ["**/*.live.test.ts"],
    rules: {
      "no-restricted-imports": [
        "error",
        {
          paths: [layerOfVitest],
          patterns: [
            {
              regex:
                "^node:(child_process|dgram|https?|http2|net|tls)$|^@effect/platform-node|/support/(admin|leaks|protectionServer|servers)\\.js$",
              message: "A test over real sockets or child processes is in a file named *.live.test.ts."
            }
          ]
        }
      ]
    }
  },
  architecture
)
