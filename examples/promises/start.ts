// `npx tsx examples/promises/start.ts`: the service on port 8002 (PORT), which asks the partner at PARTNER_URL.
import { serviceOf } from "./service.js"

const { PARTNER_URL = "http://localhost:8000", PORT = "8002" } = process.env

serviceOf(PARTNER_URL).listen(Number(PORT), "127.0.0.1", () => {
  console.log(`listening on http://127.0.0.1:${PORT}, asking ${PARTNER_URL}`)
})
