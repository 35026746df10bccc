// The table of rooms itself: a room that nobody listed, an arrow up or a circle between rooms would pass the lint rules.
import * as fs from "node:fs"
import * as path from "node:path"
import { expect, it } from "vitest"
import { roomOf, rooms } from "../../scripts/lib/rooms.js"

const src = path.resolve(import.meta.dirname, "../../src")
const files = fs
  .readdirSync(src, { recursive: true, encoding: "utf8" })
  .filter((file) => file.endsWith(".ts"))
  .map((file) => file.replaceAll("\\", "/"))

it("every file of src is in a room of the table, except the entries that only re-export", () => {
  const entries = [
    "index.ts",
    "http/index.ts",
    "http/client/index.ts",
    "http/server/index.ts",
    "fleet/index.ts",
    "redis/index.ts",
    "ioredis/index.ts"
  ]
  expect(files.filter((file) => !(roomOf(file) in rooms) && !entries.includes(file))).toEqual([])
})

it("every room of the table has files", () => {
  const used = new Set(files.map(roomOf))
  expect(Object.keys(rooms).filter((room) => !used.has(room))).toEqual([])
})

it("no arrow between rooms leads back, types included", () => {
  const below = (room: string, seen: ReadonlyArray<string>): ReadonlyArray<string> => {
    if (seen.includes(room)) throw new Error(`a circle: ${[...seen, room].join(" -> ")}`)
    return rooms[room].flatMap((other) => [other, ...below(other, [...seen, room])])
  }
  for (const room of Object.keys(rooms)) below(room, [])
})

it("no two paths differ by case alone", () => {
  const known = new Map<string, string>()
  const alike = files.flatMap((file) => {
    const same = known.get(file.toLowerCase())
    known.set(file.toLowerCase(), file)
    return same === undefined ? [] : [[same, file]]
  })
  expect(alike).toEqual([])
})
