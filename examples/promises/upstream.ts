// `npx tsx examples/promises/upstream.ts`: a partner on port 8000 (PORT). PUT /behaviour makes it fine, failing or hanging.
import express from "express"
import { listen } from "./listen.js"

let behaviour = "fine"

const app = express()

app.put("/behaviour", express.text({ type: () => true }), (request, response) => {
  behaviour = String(request.body)
  response.json({ behaviour })
})

app.get("/offers/:id", (request, response) => {
  if (behaviour === "hanging") return
  if (behaviour === "failing") response.status(500).end()
  else response.json({ id: request.params.id, price: 1 })
})

listen(app, 8000)
