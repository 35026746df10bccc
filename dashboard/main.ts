/** The dashboard: the connection, what it says of itself, and the board. */
import { Board } from "./board.js"
import { byId, mark, write } from "./dom.js"
import { Feed, type Live } from "./feed.js"
import { watchTheme } from "./plot.js"
import { span } from "./words.js"

const liveText = byId("live-text", HTMLElement)
const liveAge = byId("live-age", HTMLElement)
let live: Live = { _tag: "connecting" }

const feed = new Feed("dashboard/events", {
  onFull: (full, state) => board.full(full, state),
  onDelta: (delta, state) => board.delta(delta, state),
  onLive: (next) => {
    live = next
    writeLive()
  }
})
const board = new Board(feed)

/** The text is read aloud when it changes; how old the data is changes all the time, and is not. */
const writeLive = (): void => {
  mark(document.body, "live", live._tag)
  const age = feed.hasData ? `data is ${span(feed.age)} old` : ""
  switch (live._tag) {
    case "connecting":
      write(liveText, "Connecting")
      write(liveAge, age)
      break
    case "live":
      write(liveText, "Live")
      write(liveAge, "")
      break
    case "silent":
      write(liveText, "Not live: the server is silent")
      write(liveAge, `· ${age}`)
      break
    case "waiting": {
      const left = Math.max(0, live.until - performance.now())
      write(liveText, `Not live: ${live.why}, reconnecting`)
      write(liveAge, `${left > 999 ? `in ${span(left)}` : "now"}${age === "" ? "" : ` · ${age}`}`)
    }
  }
}

write(byId("host", HTMLElement), location.host)
watchTheme()
writeLive()
setInterval(writeLive, 500)
void feed.run()
