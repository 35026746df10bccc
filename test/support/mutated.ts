/** Strings that are almost right: valid ones after a few random edits. */
import { FastCheck } from "effect"

const edit = FastCheck.record({
  /** Where, as a fraction of the length. */
  from: FastCheck.double({ min: 0, max: 1, noNaN: true }),
  length: FastCheck.constantFrom(0, 1, 1, 2, 5),
  text: FastCheck.oneof(
    FastCheck.constant(""),
    FastCheck.string({ maxLength: 2 }),
    FastCheck.string({ maxLength: 2, unit: "binary" }),
    FastCheck.constantFrom(
      "0",
      "9",
      "-",
      " ",
      "\t",
      ",",
      ";",
      "=",
      ":",
      '"',
      "\\",
      ".",
      "GMT",
      "\n",
      "é",
      "٣"
    )
  )
})

export const mutated = (valid: FastCheck.Arbitrary<string>): FastCheck.Arbitrary<string> =>
  FastCheck.tuple(valid, FastCheck.array(edit, { minLength: 1, maxLength: 3 })).map(([text, edits]) =>
    edits.reduce((edited, { from, length, text }) => {
      const at = Math.floor(from * edited.length)
      return edited.slice(0, at) + text + edited.slice(at + length)
    }, text)
  )
